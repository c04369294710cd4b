//! JSON text to Python objects: the arguments of a call.
//!
//! Integers keep every digit, an object becomes a `dict` in the order of the text. The host has checked that the
//! text is well formed; what is refused here is what Python cannot be given safely.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;

use crate::python::{
    self, Object, PyDict_Contains, PyDict_New, PyDict_SetItem, PyFloat_FromDouble, PyList_Append, PyList_AsTuple,
    PyList_New, PyLong_FromLongLong, PyLong_FromString, PyOS_string_to_double, PyTuple_New, PyUnicode_DecodeUTF8,
    Raised,
};
use crate::scan;

/// Deepest nesting of arguments and of results: the outermost array or object is level 1.
pub const MAX_DEPTH: usize = 500;

/// Arguments as Python takes them.
pub struct Arguments {
    pub positional: Object,
    pub named: Option<Object>,
}

/// Why arguments were not accepted.
pub enum Refusal {
    Message(String),
    Raised,
}

impl From<Raised> for Refusal {
    fn from(_: Raised) -> Refusal {
        Refusal::Raised
    }
}

/// Reads the arguments of a call: an array (by position), an object (by name), or nothing.
pub fn arguments(json: &[u8]) -> Result<Arguments, Refusal> {
    let mut reader = Reader { text: json, at: 0 };
    match reader.next_token() {
        None => Ok(Arguments { positional: empty_tuple()?, named: None }),
        Some(b'[') => {
            let list = reader.array(1)?;
            let positional = Object::owned(unsafe { PyList_AsTuple(list.pointer()) })?;
            Ok(Arguments { positional, named: None })
        }
        Some(b'{') => {
            let named = reader.object(1, Names::Unique)?;
            Ok(Arguments { positional: empty_tuple()?, named: Some(named) })
        }
        Some(_) => Err(Refusal::Message("arguments are an array or an object".into())),
    }
}

/// Reads one value of any kind.
pub fn value(json: &[u8]) -> Result<Object, Refusal> {
    let mut reader = Reader { text: json, at: 0 };
    let first = reader.next_token().ok_or_else(malformed)?;
    reader.value(first, 0)
}

fn empty_tuple() -> Result<Object, Raised> {
    Object::owned(unsafe { PyTuple_New(0) })
}

/// What to do about a name that an object has twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Refuse: the names of parameters.
    Unique,
    /// Keep the last value, as Python's own `json` does.
    LastWins,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Takes the next byte that is not white space.
    fn next_token(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
        }
        None
    }

    fn value(&mut self, first: u8, depth: usize) -> Result<Object, Refusal> {
        match first {
            b'"' => self.string(),
            b'[' => self.array(depth + 1),
            b'{' => self.object(depth + 1, Names::LastWins),
            b't' => self.word(4, python::py_true()),
            b'f' => self.word(5, python::py_false()),
            b'n' => self.word(4, python::none()),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(malformed()),
        }
    }

    fn word(&mut self, length: usize, value: *mut python::PyObject) -> Result<Object, Refusal> {
        self.at += length - 1;
        Ok(Object::borrowed(value)?)
    }

    fn number(&mut self) -> Result<Object, Refusal> {
        let number = scan::number(&self.text[self.at - 1..]).ok_or_else(malformed)?;
        self.at += number.text.len() - 1;
        let text = str::from_utf8(number.text).map_err(|_| malformed())?;
        if let (true, Ok(small)) = (number.is_integer, text.parse::<i64>()) {
            return Ok(Object::owned(unsafe { PyLong_FromLongLong(small) })?);
        }
        let ended = CString::new(text).map_err(|_| malformed())?;
        if number.is_integer {
            return Ok(Object::owned(unsafe { PyLong_FromString(ended.as_ptr(), core::ptr::null_mut(), 10) })?);
        }
        let value = unsafe { PyOS_string_to_double(ended.as_ptr(), core::ptr::null_mut(), core::ptr::null_mut()) };
        if value == -1.0 && python::raised() {
            return Err(Refusal::Raised);
        }
        if value.is_infinite() {
            return Err(Refusal::Message(format!("the number {text} is out of the range of a float")));
        }
        Ok(Object::owned(unsafe { PyFloat_FromDouble(value) })?)
    }

    fn string(&mut self) -> Result<Object, Refusal> {
        let (content, length) = scan::string(&self.text[self.at..]).ok_or_else(malformed)?;
        self.at += length;
        let errors = c"surrogatepass".as_ptr();
        Ok(Object::owned(unsafe { PyUnicode_DecodeUTF8(content.as_ptr(), content.len() as isize, errors) })?)
    }

    fn array(&mut self, depth: usize) -> Result<Object, Refusal> {
        check_depth(depth)?;
        let list = Object::owned(unsafe { PyList_New(0) })?;
        let mut token = self.next_token().ok_or_else(malformed)?;
        while token != b']' {
            let item = self.value(token, depth)?;
            python::check(unsafe { PyList_Append(list.pointer(), item.pointer()) })?;
            token = match self.next_token() {
                Some(b',') => self.next_token().ok_or_else(malformed)?,
                Some(b']') => b']',
                _ => return Err(malformed()),
            };
        }
        Ok(list)
    }

    fn object(&mut self, depth: usize, names: Names) -> Result<Object, Refusal> {
        check_depth(depth)?;
        let dict = Object::owned(unsafe { PyDict_New() })?;
        let mut token = self.next_token().ok_or_else(malformed)?;
        while token != b'}' {
            let key = self.string()?;
            if names == Names::Unique && unsafe { PyDict_Contains(dict.pointer(), key.pointer()) } == 1 {
                let name = key.as_text().map_or_else(|_| String::new(), |name| crate::text::one_line(name, 100));
                python::clear();
                return Err(Refusal::Message(format!("the argument '{name}' is given twice")));
            }
            let (Some(b':'), Some(first)) = (self.next_token(), self.next_token()) else {
                return Err(malformed());
            };
            let value = self.value(first, depth)?;
            python::check(unsafe { PyDict_SetItem(dict.pointer(), key.pointer(), value.pointer()) })?;
            token = match self.next_token() {
                Some(b',') => self.next_token().ok_or_else(malformed)?,
                Some(b'}') => b'}',
                _ => return Err(malformed()),
            };
        }
        Ok(dict)
    }
}

fn check_depth(depth: usize) -> Result<(), Refusal> {
    if depth > MAX_DEPTH {
        return Err(Refusal::Message(format!("arguments are nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(())
}

fn malformed() -> Refusal {
    Refusal::Message("arguments are not well-formed JSON".into())
}
