//! JSON text to values: the arguments of a call, and the results of granted functions.
//!
//! The shim's own reader: `JSON.parse` may be another by now. Integers beyond the range in which a number holds every
//! digit become `BigInt`. A key `__proto__` is a property like any other. The host has checked that the text is well
//! formed; what is refused here is what the language cannot be given.

use crate::engine::{Atom, Thrown, Value};
use crate::number::LARGEST_SAFE;
use crate::realm::realm;
use crate::scan::{self, Content};
use crate::text;

/// Deepest nesting of arguments and of results: the outermost array or object is level 1.
pub const MAX_DEPTH: usize = 500;

/// Arguments as they were given.
pub enum Arguments {
    ByPosition(Vec<Value>),
    ByName(Vec<(String, Value)>),
}

/// Why text was not accepted.
pub enum Refusal {
    Message(String),
    Thrown,
}

impl From<Thrown> for Refusal {
    fn from(_: Thrown) -> Refusal {
        Refusal::Thrown
    }
}

/// Reads the arguments of a call: an array (by position), an object (by name), or nothing.
pub fn arguments(json: &[u8]) -> Result<Arguments, Refusal> {
    let mut reader = Reader { text: json, at: 0 };
    match reader.next_token() {
        None => Ok(Arguments::ByPosition(Vec::new())),
        Some(b'[') => {
            let mut items = Vec::new();
            reader.items(1, |item| {
                items.push(item);
                Ok(())
            })?;
            Ok(Arguments::ByPosition(items))
        }
        Some(b'{') => {
            let mut named: Vec<(String, Value)> = Vec::new();
            reader.entries(1, |key, value| {
                let Content::Text(name) = key else {
                    return Err(Refusal::Message("an argument has a name with a lone surrogate".into()));
                };
                if named.iter().any(|(other, _)| *other == name) {
                    let name = text::one_line(&name, 100);
                    return Err(Refusal::Message(format!("the argument `{name}` is given twice")));
                }
                named.push((name.into_owned(), value));
                Ok(())
            })?;
            Ok(Arguments::ByName(named))
        }
        Some(_) => Err(Refusal::Message("arguments are an array or an object".into())),
    }
}

/// Reads one value.
pub fn value(json: &[u8]) -> Result<Value, Refusal> {
    let mut reader = Reader { text: json, at: 0 };
    let first = reader.next_token().ok_or_else(malformed)?;
    reader.value(first, 0)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
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

    fn value(&mut self, first: u8, depth: usize) -> Result<Value, Refusal> {
        match first {
            b'"' => Ok(self.string()?.to_value()?),
            b'[' => self.array(depth + 1),
            b'{' => self.object(depth + 1),
            b't' => self.word(4, Value::boolean(true)),
            b'f' => self.word(5, Value::boolean(false)),
            b'n' => self.word(4, Value::NULL),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(malformed()),
        }
    }

    fn word(&mut self, length: usize, value: Value) -> Result<Value, Refusal> {
        self.at += length - 1;
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, Refusal> {
        let number = scan::number(&self.text[self.at - 1..]).ok_or_else(malformed)?;
        self.at += number.text.len() - 1;
        if let (true, Ok(small)) = (number.is_integer, number.text.parse::<i32>())
            && number.text != "-0"
        {
            return Ok(Value::integer(small));
        }
        let value: f64 = number.text.parse().map_err(|_| malformed())?;
        if number.is_integer && value.abs() > LARGEST_SAFE {
            let digits = Value::text(number.text)?;
            return Ok(realm().big_int.call(&Value::UNDEFINED, &[digits])?);
        }
        if value.is_infinite() {
            let number = text::one_line(number.text, 100);
            return Err(Refusal::Message(format!("the number {number} is out of the range of a number")));
        }
        Ok(Value::number(value))
    }

    fn string(&mut self) -> Result<Content<'a>, Refusal> {
        let (content, length) = scan::string(&self.text[self.at..]).ok_or_else(malformed)?;
        self.at += length;
        Ok(content)
    }

    fn array(&mut self, depth: usize) -> Result<Value, Refusal> {
        let array = Value::array()?;
        let mut at = 0;
        self.items(depth, |item| {
            array.define_item(at, item)?;
            at += 1;
            Ok(())
        })?;
        Ok(array)
    }

    fn items(&mut self, depth: usize, mut each: impl FnMut(Value) -> Result<(), Refusal>) -> Result<(), Refusal> {
        check_depth(depth)?;
        let mut token = self.next_token().ok_or_else(malformed)?;
        while token != b']' {
            each(self.value(token, depth)?)?;
            token = match self.next_token() {
                Some(b',') => self.next_token().ok_or_else(malformed)?,
                Some(b']') => b']',
                _ => return Err(malformed()),
            };
        }
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<Value, Refusal> {
        let object = Value::object()?;
        self.entries(depth, |key, value| {
            let key = match &key {
                Content::Text(name) => Atom::new(name)?,
                Content::Units(_) => Atom::of(&key.to_value()?)?,
            };
            Ok(object.define(&key, value)?)
        })?;
        Ok(object)
    }

    fn entries(
        &mut self,
        depth: usize,
        mut each: impl FnMut(Content<'a>, Value) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        check_depth(depth)?;
        let mut token = self.next_token().ok_or_else(malformed)?;
        while token != b'}' {
            let key = self.string()?;
            let (Some(b':'), Some(first)) = (self.next_token(), self.next_token()) else {
                return Err(malformed());
            };
            let value = self.value(first, depth)?;
            each(key, value)?;
            token = match self.next_token() {
                Some(b',') => self.next_token().ok_or_else(malformed)?,
                Some(b'}') => b'}',
                _ => return Err(malformed()),
            };
        }
        Ok(())
    }
}

impl Content<'_> {
    fn to_value(&self) -> Result<Value, Thrown> {
        match self {
            Content::Text(text) => Value::text(text),
            Content::Units(units) => Value::text_of_units(units),
        }
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
