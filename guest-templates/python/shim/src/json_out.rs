//! Python objects to JSON text: the result of a call.
//!
//! [`encode`] walks the value itself; under [`Encoding::Strict`] no code of the function runs meanwhile, under
//! [`Encoding::Tagged`] the texts of foreign objects are asked for. Writing stops as soon as the text is longer than
//! the host wants it, so a small value that holds itself many times cannot explode. Subclasses of the built-in types
//! are written by the value that they hold (an `IntEnum` is its integer, a named tuple is an array).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char};

use crate::json_in::MAX_DEPTH;
use crate::python::{
    self, Object, PyDict_Next, PyFloat_AsDouble, PyList_GetItemRef, PyList_Size, PyLong_AsLongLongAndOverflow,
    PyMem_Free, PyNumber_ToBase, PyOS_double_to_string, PyObject, PyObject_CallOneArg, PyObject_Repr, PyObject_Str,
    PySequence_List, PyTuple_GetItem, PyTuple_Size, PyType_GetFlags, PyType_GetFullyQualifiedName,
    PyUnicode_AsEncodedString, Raised, flag,
};
use crate::scan::push_string;
use crate::text;
use crate::wire::Encoding;

/// Why a value was not written.
pub enum Failure {
    /// The value, or a part of it, has no JSON form; the text says which.
    NoForm(String),
    TooLarge,
    Raised,
}

impl From<Raised> for Failure {
    fn from(_: Raised) -> Failure {
        Failure::Raised
    }
}

/// Writes `value` as JSON of at most `most` bytes.
pub fn encode(value: &Object, encoding: Encoding, most: usize) -> Result<Vec<u8>, Failure> {
    let mut writer = Writer { out: Vec::with_capacity(64), most, encoding, path: Vec::new() };
    writer.value(value)?;
    writer.check_size()?;
    Ok(writer.out)
}

/// One step from a container to the part of it that is being written.
struct Step {
    container: *mut PyObject,
    place: Place,
}

enum Place {
    Index(usize),
    Key(Object),
}

struct Writer {
    out: Vec<u8>,
    most: usize,
    encoding: Encoding,
    path: Vec<Step>,
}

impl Writer {
    fn value(&mut self, value: &Object) -> Result<(), Failure> {
        self.check_size()?;
        let pointer = value.pointer();
        if pointer == python::none() {
            self.out.extend(b"null");
            return Ok(());
        }
        if pointer == python::py_true() || pointer == python::py_false() {
            self.out.extend(if pointer == python::py_true() { &b"true"[..] } else { b"false" });
            return Ok(());
        }
        let kind = value.kind();
        let flags = unsafe { PyType_GetFlags(kind) };
        if flags & flag::TEXT != 0 {
            self.text(value)
        } else if flags & flag::LONG != 0 {
            self.integer(value)
        } else if flags & flag::LIST != 0 {
            self.list(value)
        } else if flags & flag::TUPLE != 0 {
            self.tuple(value)
        } else if flags & flag::DICT != 0 {
            self.dict(value)
        } else if python::derives(kind, python::float_type()) {
            self.float(value)
        } else {
            self.other(value)
        }
    }

    fn check_size(&self) -> Result<(), Failure> {
        if self.out.len() > self.most { Err(Failure::TooLarge) } else { Ok(()) }
    }

    fn text(&mut self, value: &Object) -> Result<(), Failure> {
        if let Ok(text) = value.as_text() {
            if text.len() > self.most {
                return Err(Failure::TooLarge);
            }
            push_string(&mut self.out, text);
            return Ok(());
        }
        forgive_or_raise()?;
        match self.encoding {
            Encoding::Strict => Err(self.no_form("is a text with a lone surrogate, which has no UTF-8 form")),
            Encoding::Tagged => {
                let text = escaped(value).unwrap_or_default();
                self.tag("str", &text)
            }
        }
    }

    fn integer(&mut self, value: &Object) -> Result<(), Failure> {
        let mut overflow = 0;
        let small = unsafe { PyLong_AsLongLongAndOverflow(value.pointer(), &mut overflow) };
        if overflow == 0 {
            if small == -1 && python::raised() {
                return Err(Failure::Raised);
            }
            self.out.extend(format!("{small}").as_bytes());
            return Ok(());
        }
        let digits = Object::owned(unsafe { PyNumber_ToBase(value.pointer(), 10) })?;
        self.out.extend(digits.as_text()?.as_bytes());
        Ok(())
    }

    fn float(&mut self, value: &Object) -> Result<(), Failure> {
        const SHORTEST_TO_READ_BACK: c_char = b'r' as c_char;
        const WITH_POINT: i32 = 2;
        let number = unsafe { PyFloat_AsDouble(value.pointer()) };
        let digits =
            unsafe { PyOS_double_to_string(number, SHORTEST_TO_READ_BACK, 0, WITH_POINT, core::ptr::null_mut()) };
        if digits.is_null() {
            return Err(Failure::Raised);
        }
        let text = String::from_utf8_lossy(unsafe { CStr::from_ptr(digits) }.to_bytes()).into_owned();
        unsafe { PyMem_Free(digits.cast()) };
        if number.is_finite() {
            self.out.extend(text.as_bytes());
            return Ok(());
        }
        match self.encoding {
            Encoding::Strict => Err(self.no_form(&format!("is the `float` {text}, which JSON cannot hold"))),
            Encoding::Tagged => self.tag("float", &text),
        }
    }

    fn list(&mut self, list: &Object) -> Result<(), Failure> {
        self.enter(list)?;
        self.out.push(b'[');
        let mut at = 0;
        // Asked for again each time: the text of a foreign object may change the list.
        while at < unsafe { PyList_Size(list.pointer()) } {
            let item = Object::owned(unsafe { PyList_GetItemRef(list.pointer(), at) })?;
            self.item(at as usize, &item)?;
            at += 1;
        }
        self.out.push(b']');
        self.path.pop();
        Ok(())
    }

    fn tuple(&mut self, tuple: &Object) -> Result<(), Failure> {
        self.enter(tuple)?;
        self.out.push(b'[');
        for at in 0..unsafe { PyTuple_Size(tuple.pointer()) } {
            let item = Object::borrowed(unsafe { PyTuple_GetItem(tuple.pointer(), at) })?;
            self.item(at as usize, &item)?;
        }
        self.out.push(b']');
        self.path.pop();
        Ok(())
    }

    fn item(&mut self, at: usize, item: &Object) -> Result<(), Failure> {
        if at > 0 {
            self.out.push(b',');
        }
        self.go_to(Place::Index(at));
        self.value(item)
    }

    fn dict(&mut self, dict: &Object) -> Result<(), Failure> {
        self.enter(dict)?;
        let entries = entries_of(dict)?;
        let plain = entries.iter().all(|(key, _)| is_plain_key(key, self.encoding));
        if !plain && self.encoding == Encoding::Tagged {
            self.tagged_entries(dict, &entries)?;
        } else {
            if let Some(name) = doubled_name(&entries) {
                let name = text::one_line(&name, 100);
                return Err(self.no_form_here(&format!("has the key {name:?} twice, which JSON cannot tell apart")));
            }
            self.out.push(b'{');
            for (at, (key, value)) in entries.iter().enumerate() {
                if at > 0 {
                    self.out.push(b',');
                }
                self.key(key)?;
                self.out.push(b':');
                self.go_to(Place::Key(key.clone()));
                self.value(value)?;
            }
            self.out.push(b'}');
        }
        self.path.pop();
        Ok(())
    }

    fn key(&mut self, key: &Object) -> Result<(), Failure> {
        if unsafe { PyType_GetFlags(key.kind()) } & flag::TEXT == 0 {
            let (kind, key) = (qualified_name(key.kind()), short_text(key, Wording::Representation));
            // The step of this dict has no place yet: the path names the dict itself.
            return Err(
                self.no_form_here(&format!("has the key {key} of type `{kind}`; JSON objects have text keys only"))
            );
        }
        if !is_plain_key(key, self.encoding) {
            return Err(self.no_form_here("has a key with a lone surrogate, which has no UTF-8 form"));
        }
        self.text(key)
    }

    fn tagged_entries(&mut self, dict: &Object, entries: &[(Object, Object)]) -> Result<(), Failure> {
        self.open_tag(&qualified_name(dict.kind()));
        self.out.extend(b"\"$entries\":[");
        for (at, (key, value)) in entries.iter().enumerate() {
            self.out.extend(if at > 0 { &b",["[..] } else { b"[" });
            self.go_to(Place::Key(key.clone()));
            self.value(key)?;
            self.out.push(b',');
            self.value(value)?;
            self.out.push(b']');
        }
        self.out.extend(b"]}");
        Ok(())
    }

    fn other(&mut self, value: &Object) -> Result<(), Failure> {
        let name = qualified_name(value.kind());
        if self.encoding == Encoding::Strict {
            return Err(self.no_form(&format!("is of type `{name}`, which JSON cannot hold")));
        }
        if is_collection(value, &name) {
            self.enter(value)?;
            let items = Object::owned(unsafe { PySequence_List(value.pointer()) })?;
            self.open_tag(&name);
            self.out.extend(b"\"$items\":[");
            for at in 0..unsafe { PyList_Size(items.pointer()) } {
                let item = Object::owned(unsafe { PyList_GetItemRef(items.pointer(), at) })?;
                self.item(at as usize, &item)?;
            }
            self.out.extend(b"]}");
            self.path.pop();
            return Ok(());
        }
        let text = full_text(value)?;
        self.tag(&name, &text)
    }

    fn open_tag(&mut self, name: &str) {
        self.out.extend(b"{\"$type\":");
        push_string(&mut self.out, name);
        self.out.push(b',');
    }

    fn tag(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        self.check_size()?;
        if text.len() > self.most {
            return Err(Failure::TooLarge);
        }
        self.open_tag(name);
        self.out.extend(b"\"$text\":");
        push_string(&mut self.out, &text::without_addresses(text));
        self.out.push(b'}');
        Ok(())
    }

    fn enter(&mut self, container: &Object) -> Result<(), Failure> {
        if self.path.iter().any(|step| step.container == container.pointer()) {
            return Err(self.no_form("is circular: a value that holds itself has no JSON form"));
        }
        if self.path.len() >= MAX_DEPTH {
            return Err(Failure::NoForm(format!("the result is nested deeper than {MAX_DEPTH} levels")));
        }
        self.path.push(Step { container: container.pointer(), place: Place::Index(usize::MAX) });
        Ok(())
    }

    fn go_to(&mut self, place: Place) {
        if let Some(step) = self.path.last_mut() {
            step.place = place;
        }
    }

    fn no_form(&self, what: &str) -> Failure {
        Failure::NoForm(format!("{} {what}", path_text(&self.path)))
    }

    /// As [`Self::no_form`], about the innermost container itself.
    fn no_form_here(&self, what: &str) -> Failure {
        let outer = self.path.len().saturating_sub(1);
        Failure::NoForm(format!("{} {what}", path_text(&self.path[..outer])))
    }
}

/// The entries of a dict, in its order, without any code of the function.
///
/// An `OrderedDict` keeps an order of its own. Reading it compares keys: where that could be code, the order in which the
/// entries were made is taken instead.
fn entries_of(dict: &Object) -> Result<Vec<(Object, Object)>, Raised> {
    let mut entries = Vec::new();
    let (mut at, mut key, mut value) = (0, core::ptr::null_mut(), core::ptr::null_mut());
    while unsafe { PyDict_Next(dict.pointer(), &mut at, &mut key, &mut value) } != 0 {
        entries.push((Object::borrowed(key)?, Object::borrowed(value)?));
    }
    if python::derives(dict.kind(), python::ordered_dict_type()) && entries.iter().all(|(key, _)| is_exact_text(key)) {
        put_in_order(dict, &mut entries)?;
    }
    Ok(entries)
}

/// Puts the entries of an `OrderedDict` in its own order, as the type itself gives it, whatever a subclass says.
fn put_in_order(dict: &Object, entries: &mut [(Object, Object)]) -> Result<(), Raised> {
    let own = Object::borrowed(python::ordered_dict_type())?.attribute(c"__iter__")?;
    let keys = Object::owned(unsafe { PyObject_CallOneArg(own.pointer(), dict.pointer()) })?;
    let keys = Object::owned(unsafe { PySequence_List(keys.pointer()) })?;
    let mut places = BTreeMap::new();
    for at in 0..unsafe { PyList_Size(keys.pointer()) } {
        let key = Object::owned(unsafe { PyList_GetItemRef(keys.pointer(), at) })?;
        places.insert(key.pointer(), at);
    }
    entries.sort_by_key(|(key, _)| places.get(&key.pointer()).copied());
    Ok(())
}

/// Whether an object is a `str` and nothing more: such keys of a dict are all different, and comparing them runs no code.
fn is_exact_text(key: &Object) -> bool {
    key.kind() == python::text_type()
}

/// A name that two keys of a dict share. Only keys of a type that compares in its own way can.
fn doubled_name(entries: &[(Object, Object)]) -> Option<String> {
    if entries.iter().all(|(key, _)| is_exact_text(key)) {
        return None;
    }
    let mut names = BTreeSet::new();
    let texts = entries.iter().filter_map(|(key, _)| key.as_text().ok());
    let doubled = texts.into_iter().find(|text| !names.insert(*text)).map(String::from);
    python::clear();
    doubled
}

/// Whether a key can be the name in a JSON object. A name that looks like a tag cannot, in the tagged encoding.
fn is_plain_key(key: &Object, encoding: Encoding) -> bool {
    if unsafe { PyType_GetFlags(key.kind()) } & flag::TEXT == 0 {
        return false;
    }
    match key.as_text() {
        Ok(text) => encoding == Encoding::Strict || text != "$type",
        Err(Raised) => {
            python::clear();
            false
        }
    }
}

/// Whether the elements of `value` say more than its text.
fn is_collection(value: &Object, name: &str) -> bool {
    python::derives(value.kind(), python::set_type())
        || python::derives(value.kind(), python::frozen_set_type())
        || matches!(name, "collections.deque" | "dict_keys" | "dict_values" | "dict_items")
}

/// The name of a type, with its module unless it is built in or the function's own.
pub fn qualified_name(kind: *mut PyObject) -> String {
    let name = Object::owned(unsafe { PyType_GetFullyQualifiedName(kind) });
    let name = name.ok().and_then(|name| escaped(&name).ok());
    python::clear();
    let name = name.unwrap_or_else(|| "object".into());
    let name = text::one_line(&name, 200);
    let own = name.strip_prefix(concat!("function", "."));
    own.map(Into::into).unwrap_or(name)
}

/// Which of its two texts an object is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    Plain,
    Representation,
}

/// The text of an object, never an error: at most a few hundred bytes on one line.
pub fn short_text(value: &Object, wording: Wording) -> String {
    const MOST: isize = 200;
    let text = worded(value, wording).and_then(|text| {
        let cut = Object::owned(unsafe { python::PyUnicode_Substring(text.pointer(), 0, MOST) })?;
        escaped(&cut)
    });
    python::clear();
    match text {
        Ok(text) => text::one_line(&text::without_addresses(&text), MOST as usize),
        Err(Raised) => format!("<{}>", qualified_name(value.kind())),
    }
}

/// The whole text of an object that has no JSON form. Falls back on the name of its type when its own code fails.
fn full_text(value: &Object) -> Result<String, Failure> {
    let is_bytes =
        [python::bytes_type(), python::byte_array_type()].iter().any(|of| python::derives(value.kind(), *of));
    let wording = if is_bytes { Wording::Representation } else { Wording::Plain };
    if let Ok(text) = worded(value, wording).and_then(|text| escaped(&text)) {
        return Ok(text);
    }
    forgive_or_raise()?;
    Ok(format!("<{} object>", qualified_name(value.kind())))
}

fn worded(value: &Object, wording: Wording) -> Result<Object, Raised> {
    Object::owned(match wording {
        Wording::Plain => unsafe { PyObject_Str(value.pointer()) },
        Wording::Representation => unsafe { PyObject_Repr(value.pointer()) },
    })
}

/// The content of a `str`, with lone surrogates as `\ud800`.
pub fn escaped(text: &Object) -> Result<String, Raised> {
    if let Ok(text) = text.as_text() {
        return Ok(text.into());
    }
    python::clear();
    let (encoding, errors) = (c"utf-8".as_ptr(), c"backslashreplace".as_ptr());
    let bytes = Object::owned(unsafe { PyUnicode_AsEncodedString(text.pointer(), encoding, errors) })?;
    Ok(String::from_utf8_lossy(bytes.as_bytes()?).into_owned())
}

/// Forgets an ordinary exception; being out of memory, or ended, stays one.
fn forgive_or_raise() -> Result<(), Raised> {
    let exception = Object::owned(unsafe { python::PyErr_GetRaisedException() })?;
    let kind = exception.kind();
    if python::derives(kind, python::memory_error()) || python::derives(kind, python::system_exit()) {
        unsafe { python::PyErr_SetRaisedException(exception.into_pointer()) };
        return Err(Raised);
    }
    Ok(())
}

/// `result.items[3]["a key"]`, bounded.
fn path_text(path: &[Step]) -> String {
    let mut text = String::from("result");
    for step in path {
        match &step.place {
            Place::Index(usize::MAX) => {}
            Place::Index(at) => text.push_str(&format!("[{at}]")),
            Place::Key(key) => {
                let key = short_text(key, Wording::Plain);
                if is_identifier(&key) {
                    text.push('.');
                    text.push_str(&key);
                } else {
                    text.push_str(&format!("[{key:?}]"));
                }
            }
        }
    }
    text::bounded(&text, 400).into_owned()
}

fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    let first = characters.next();
    first.is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|character| character.is_alphanumeric() || character == '_')
}
