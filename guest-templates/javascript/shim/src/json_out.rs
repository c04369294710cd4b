//! Values to JSON text: the result of a call, and the arguments of granted functions.
//!
//! The shim's own writer: `JSON.stringify` may be another by now, and `toJSON` is not asked. An object is written by
//! its own enumerable properties, an instance of a class too; of the function's code, only getters of such properties
//! run. Writing stops as soon as the text is longer than the host wants it, so a small value that holds itself many
//! times cannot explode.

use crate::engine::{Atom, Property, Thrown, Value, class, q};
use crate::inspect;
use crate::json_in::MAX_DEPTH;
use crate::number;
use crate::realm::realm;
use crate::scan::push_string;
use crate::text;
use crate::wire::Encoding;

/// Why a value was not written.
pub enum Failure {
    /// The value, or a part of it, has no JSON form; the text says which.
    NoForm(String),
    TooLarge,
    Thrown,
}

impl From<Thrown> for Failure {
    fn from(_: Thrown) -> Failure {
        Failure::Thrown
    }
}

/// Writes `value` as JSON of at most `most` bytes. `root` is what paths in messages begin with.
pub fn encode(value: &Value, root: &'static str, encoding: Encoding, most: usize) -> Result<Vec<u8>, Failure> {
    let mut writer = Writer { out: Vec::with_capacity(64), most, encoding, root, path: Vec::new() };
    if value.is_undefined() {
        // What a function without `return` gives.
        return Ok(b"null".to_vec());
    }
    writer.value(value)?;
    writer.check_size()?;
    Ok(writer.out)
}

/// One step from a container to the part of it that is being written.
struct Step {
    container: Value,
    place: Place,
}

enum Place {
    Nowhere,
    Index(usize),
    Key(String),
}

struct Writer {
    out: Vec<u8>,
    most: usize,
    encoding: Encoding,
    root: &'static str,
    path: Vec<Step>,
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<(), Failure> {
        self.check_size()?;
        match value.tag() {
            q::JS_TAG_NULL => self.push(b"null"),
            q::JS_TAG_BOOL => self.push(if value.as_boolean() == Some(true) { b"true" } else { b"false" }),
            q::JS_TAG_INT => {
                let digits = value.as_integer().unwrap_or_default().to_string();
                self.push(digits.as_bytes());
            }
            q::JS_TAG_FLOAT64 => return self.float(value.as_number().unwrap_or(f64::NAN)),
            q::JS_TAG_SHORT_BIG_INT | q::JS_TAG_BIG_INT => {
                let digits = value.content()?;
                self.push(digits.bytes());
            }
            q::JS_TAG_STRING | q::JS_TAG_STRING_ROPE => return self.text(value),
            q::JS_TAG_OBJECT => return self.object(value),
            q::JS_TAG_UNDEFINED => return self.foreign("undefined", || Ok("undefined".into())),
            q::JS_TAG_SYMBOL => return self.foreign("symbol", || inspect::plain_text(value)),
            _ => return self.foreign("unknown", || Ok(String::new())),
        }
        Ok(())
    }

    fn push(&mut self, text: &[u8]) {
        self.out.extend(text);
    }

    fn check_size(&self) -> Result<(), Failure> {
        if self.out.len() > self.most { Err(Failure::TooLarge) } else { Ok(()) }
    }

    fn float(&mut self, number: f64) -> Result<(), Failure> {
        if number.is_finite() {
            self.push(number::json(number).as_bytes());
            return Ok(());
        }
        match self.encoding {
            Encoding::Strict => {
                Err(self.no_form(&format!("is the number {}, which JSON cannot hold", number::text(number))))
            }
            Encoding::Tagged => self.tag("number", &number::text(number)),
        }
    }

    fn text(&mut self, value: &Value) -> Result<(), Failure> {
        let content = value.content()?;
        if content.bytes().len() > self.most {
            return Err(Failure::TooLarge);
        }
        match (content.as_str(), self.encoding) {
            (Some(text), _) => {
                push_string(&mut self.out, text);
                Ok(())
            }
            (None, Encoding::Strict) => Err(self.no_form("is a text with a lone surrogate, which has no UTF-8 form")),
            (None, Encoding::Tagged) => self.tag("string", &content.escaped()),
        }
    }

    fn object(&mut self, value: &Value) -> Result<(), Failure> {
        if value.is_proxy() {
            return self.foreign("Proxy", || Ok("[object Proxy]".into()));
        }
        if value.is_function() {
            return self.foreign("function", || inspect::plain_text(value));
        }
        match value.class() {
            class::ARRAY | class::ARGUMENTS | class::MAPPED_ARGUMENTS => self.array(value),
            class::OBJECT => self.plain(value),
            _ => self.special(value),
        }
    }

    fn array(&mut self, array: &Value) -> Result<(), Failure> {
        self.enter(array)?;
        self.push(b"[");
        let mut at = 0;
        // Asked for again each time: a getter may change the array.
        while i64::from(at) < array.length()? {
            if at > 0 {
                self.push(b",");
            }
            self.go_to(Place::Index(at as usize));
            let item = array.item(at)?;
            self.value(&item)?;
            at += 1;
        }
        self.push(b"]");
        self.path.pop();
        Ok(())
    }

    fn plain(&mut self, object: &Value) -> Result<(), Failure> {
        self.enter(object)?;
        let keys = object.keys()?;
        if self.encoding == Encoding::Tagged && self.looks_tagged(&keys)? {
            self.entries_of_plain(object, &keys)?;
            self.path.pop();
            return Ok(());
        }
        self.push(b"{");
        let mut is_first = true;
        for key in &keys {
            let Some(value) = property(object, key)? else { continue };
            if !std::mem::take(&mut is_first) {
                self.push(b",");
            }
            let name = self.key(&key.value()?)?;
            self.push(b":");
            self.go_to(Place::Key(name));
            self.value(&value)?;
        }
        self.push(b"}");
        self.path.pop();
        Ok(())
    }

    /// Writes a key; gives its text for the path.
    fn key(&mut self, key: &Value) -> Result<String, Failure> {
        if key.is_symbol() {
            let symbol = inspect::plain_text(key)?;
            // The step of this object has no place yet: the path names the object itself.
            return Err(self.no_form_here(&format!("has the key {symbol}, which JSON cannot hold")));
        }
        let content = key.content()?;
        let Some(text) = content.as_str() else {
            return Err(self.no_form_here("has a key with a lone surrogate, which has no UTF-8 form"));
        };
        push_string(&mut self.out, text);
        self.check_size()?;
        Ok(text.to_owned())
    }

    /// Whether an object would be taken for a tag, or has keys that only a tag can hold.
    fn looks_tagged(&self, keys: &[Atom]) -> Result<bool, Thrown> {
        for key in keys {
            let key = key.value()?;
            let is_plain = !key.is_symbol() && key.content()?.as_str().is_some_and(|text| text != "$type");
            if !is_plain {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn entries_of_plain(&mut self, object: &Value, keys: &[Atom]) -> Result<(), Failure> {
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(value) = property(object, key)? {
                entries.push((key.value()?, value));
            }
        }
        self.tagged_entries(&inspect::class_name(object), &entries)
    }

    /// What is an object, but neither plain nor an array.
    fn special(&mut self, value: &Value) -> Result<(), Failure> {
        let name = inspect::class_name(value);
        if self.encoding == Encoding::Strict {
            return Err(self.no_form(&format!("is of type `{name}`, which JSON cannot hold")));
        }
        self.enter(value)?;
        if unsafe { q::JS_IsMap(value.raw()) } {
            self.tagged_entries(&name, &inspect::entries(value, &realm().map_for_each)?)?;
        } else if unsafe { q::JS_IsSet(value.raw()) } {
            let items = inspect::entries(value, &realm().set_for_each)?;
            self.tagged_items(&name, items.into_iter().map(|(item, _)| item).collect())?;
        } else if unsafe { q::JS_GetTypedArrayType(value.raw()) } >= 0 {
            let length = u32::try_from(value.length()?).unwrap_or(u32::MAX);
            self.tagged_items(&name, (0..length).map(|at| value.item(at)).collect::<Result<_, _>>()?)?;
        } else {
            self.path.pop();
            return self.tag(&name, &inspect::plain_text(value)?);
        }
        self.path.pop();
        Ok(())
    }

    /// What JSON cannot hold and the contract has no container for.
    fn foreign(&mut self, name: &str, text: impl FnOnce() -> Result<String, Thrown>) -> Result<(), Failure> {
        match self.encoding {
            Encoding::Strict if name == "undefined" => Err(self.no_form("is undefined, which JSON cannot hold")),
            Encoding::Strict => Err(self.no_form(&format!("is of type `{name}`, which JSON cannot hold"))),
            Encoding::Tagged => self.tag(name, &text()?),
        }
    }

    fn tagged_entries(&mut self, name: &str, entries: &[(Value, Value)]) -> Result<(), Failure> {
        self.open_tag(name);
        self.push(b"\"$entries\":[");
        for (at, (key, value)) in entries.iter().enumerate() {
            self.push(if at > 0 { b",[" } else { b"[" });
            self.go_to(Place::Key(inspect::short(key)));
            self.value(key)?;
            self.push(b",");
            self.value(value)?;
            self.push(b"]");
        }
        self.push(b"]}");
        Ok(())
    }

    fn tagged_items(&mut self, name: &str, items: Vec<Value>) -> Result<(), Failure> {
        self.open_tag(name);
        self.push(b"\"$items\":[");
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.push(b",");
            }
            self.go_to(Place::Index(at));
            self.value(item)?;
        }
        self.push(b"]}");
        Ok(())
    }

    fn open_tag(&mut self, name: &str) {
        self.push(b"{\"$type\":");
        push_string(&mut self.out, name);
        self.push(b",");
    }

    fn tag(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        self.check_size()?;
        if text.len() > self.most {
            return Err(Failure::TooLarge);
        }
        self.open_tag(name);
        self.push(b"\"$text\":");
        push_string(&mut self.out, text);
        self.push(b"}");
        Ok(())
    }

    fn enter(&mut self, container: &Value) -> Result<(), Failure> {
        if self.path.iter().any(|step| step.container.is(container)) {
            return Err(self.no_form("is circular: a value that holds itself has no JSON form"));
        }
        if self.path.len() >= MAX_DEPTH {
            return Err(Failure::NoForm(format!("the {} is nested deeper than {MAX_DEPTH} levels", self.root)));
        }
        self.path.push(Step { container: container.clone(), place: Place::Nowhere });
        Ok(())
    }

    fn go_to(&mut self, place: Place) {
        if let Some(step) = self.path.last_mut() {
            step.place = place;
        }
    }

    fn no_form(&self, what: &str) -> Failure {
        Failure::NoForm(format!("{} {what}", self.path_text(self.path.len())))
    }

    /// As [`Self::no_form`], about the innermost container itself.
    fn no_form_here(&self, what: &str) -> Failure {
        Failure::NoForm(format!("{} {what}", self.path_text(self.path.len().saturating_sub(1))))
    }

    /// The path as the language would write it: `result.items[3]`.
    fn path_text(&self, length: usize) -> String {
        const LONGEST: usize = 500;
        let mut path = self.root.to_owned();
        for step in &self.path[..length] {
            match &step.place {
                Place::Nowhere => {}
                Place::Index(at) => path.push_str(&format!("[{at}]")),
                Place::Key(key) => push_key(&mut path, key),
            }
        }
        text::bounded(&path, LONGEST).into_owned()
    }
}

fn push_key(path: &mut String, key: &str) {
    let is_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '$');
    if !key.is_empty() && key.chars().all(is_name) && !key.starts_with(|first: char| first.is_ascii_digit()) {
        path.push('.');
        path.push_str(key);
    } else {
        let mut quoted = Vec::new();
        push_string(&mut quoted, &text::one_line(key, 100));
        path.push_str(&format!("[{}]", String::from_utf8_lossy(&quoted)));
    }
}

/// The value of an own property; `None` when it has gone meanwhile.
fn property(object: &Value, key: &Atom) -> Result<Option<Value>, Thrown> {
    Ok(match object.own(key)? {
        None => None,
        Some(Property::Data(value)) => Some(value),
        Some(Property::Accessor { getter }) if getter.is_undefined() => Some(Value::UNDEFINED),
        Some(Property::Accessor { getter }) => Some(getter.call(object, &[])?),
    })
}
