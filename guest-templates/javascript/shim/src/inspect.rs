//! Values as text for people: what the console shows, and what messages quote.
//!
//! No code of the function runs, except that a `Date` or a regular expression is asked by the intrinsic for its text.

use std::cell::RefCell;

use crate::engine::{Atom, Property, Thrown, Value, class, context, q, take_exception};
use crate::error;
use crate::number;
use crate::realm::realm;
use crate::text;

/// How much of a value the console shows.
const MAX_DEPTH: usize = 4;
const MAX_ITEMS: usize = 100;
const MAX_BYTES: usize = 64 << 10;
/// Longer containers are shown on several lines.
const LINE: usize = 72;
/// Items of an array that are no longer stand on a line with others.
const SHORT: usize = 24;

/// A value as the console shows it inside of another.
pub fn inspect(value: &Value) -> String {
    let mut shower = Shower { seen: Vec::new(), spent: 0 };
    let text = shower.show(value, 0);
    drop(take_exception());
    text
}

/// One short line about a value.
pub fn short(value: &Value) -> String {
    match value.as_text() {
        Some(text) => text::one_line(&text.escaped(), 200),
        None => text::one_line(&inspect(value), 200),
    }
}

/// The name of the class of an object, as its author knows it.
pub fn class_name(value: &Value) -> String {
    if value.is_proxy() {
        return "Proxy".into();
    }
    let names = &realm().names;
    let constructor = value.prototype().and_then(|prototype| prototype.data(&names.constructor));
    let name = constructor.and_then(|constructor| constructor.own_data(&names.name)).and_then(|name| name.as_text());
    if let Some(name) = name.filter(|name| !name.bytes().is_empty()) {
        return text::one_line(&name.escaped(), 200);
    }
    built_in_class_name(value)
}

fn built_in_class_name(value: &Value) -> String {
    let name = unsafe { q::JS_GetClassName(q::JS_GetRuntime(context()), value.class()) };
    let name = Value::owned(unsafe { q::JS_AtomToString(context(), name) });
    name.ok().and_then(|name| name.as_text()).map_or_else(|| "Object".into(), |name| name.escaped())
}

/// The text of what has no JSON form: of a date its ISO form, of an error its message, of a function its name.
pub fn plain_text(value: &Value) -> Result<String, Thrown> {
    let realm = realm();
    if value.is_symbol() {
        let description = realm.symbol_description.call(value, &[])?;
        return Ok(format!("Symbol({})", description.as_text().map(|text| text.escaped()).unwrap_or_default()));
    }
    if value.is_function() {
        return Ok(function_text(value));
    }
    if unsafe { q::JS_IsDate(value.raw()) } {
        return Ok(date_text(value));
    }
    if unsafe { q::JS_IsRegExp(value.raw()) } {
        let text = realm.expression_text.call(value, &[])?;
        return Ok(text.as_text().map(|text| text.escaped()).unwrap_or_default());
    }
    if value.class() == class::ERROR {
        return Ok(error::message(value));
    }
    Ok(format!("[object {}]", class_name(value)))
}

fn date_text(value: &Value) -> String {
    let text = realm().date_text.call(value, &[]).inspect_err(|Thrown| drop(take_exception()));
    text.ok().and_then(|text| text.as_text()).map_or_else(|| "Invalid Date".into(), |text| text.escaped())
}

fn function_text(value: &Value) -> String {
    let name = value.own_data(&realm().names.name).and_then(|name| name.as_text());
    match name.filter(|name| !name.bytes().is_empty()) {
        Some(name) => format!("[Function: {}]", text::one_line(&name.escaped(), 200)),
        None => "[Function (anonymous)]".into(),
    }
}

/// The keys and values of a map, or the members of a set, by an intrinsic `forEach` that runs no code of the function.
pub fn entries(value: &Value, for_each: &Value) -> Result<Vec<(Value, Value)>, Thrown> {
    thread_local! {
        static COLLECTED: RefCell<Vec<(Value, Value)>> = const { RefCell::new(Vec::new()) };
    }
    unsafe extern "C" fn collect(
        _: *mut q::JSContext,
        _: q::JSValue,
        count: i32,
        arguments: *mut q::JSValue,
    ) -> q::JSValue {
        if count >= 2 {
            let (value, key) = unsafe { (*arguments, *arguments.add(1)) };
            COLLECTED.with_borrow_mut(|collected| collected.push((Value::borrowed(key), Value::borrowed(value))));
        }
        q::JS_UNDEFINED
    }
    let callback = Value::native(Some(collect), c"collect", 2)?;
    let done = for_each.call(value, &[callback]);
    let collected = COLLECTED.take();
    done.map(|_| collected)
}

struct Shower {
    seen: Vec<Value>,
    spent: usize,
}

impl Shower {
    fn show(&mut self, value: &Value, depth: usize) -> String {
        let text = self.text_of(value, depth);
        self.spent += text.len();
        text
    }

    fn text_of(&mut self, value: &Value, depth: usize) -> String {
        match value.tag() {
            q::JS_TAG_UNDEFINED => "undefined".into(),
            q::JS_TAG_NULL => "null".into(),
            q::JS_TAG_BOOL => value.as_boolean().unwrap_or_default().to_string(),
            q::JS_TAG_INT | q::JS_TAG_FLOAT64 => number::text(value.as_number().unwrap_or(f64::NAN)),
            q::JS_TAG_SHORT_BIG_INT | q::JS_TAG_BIG_INT => {
                value.content().map_or_else(|Thrown| "0n".into(), |digits| format!("{}n", digits.escaped()))
            }
            q::JS_TAG_STRING | q::JS_TAG_STRING_ROPE => {
                let text = value.as_text().map(|text| text.escaped()).unwrap_or_default();
                quoted(&text::bounded(&text, 10_000))
            }
            q::JS_TAG_SYMBOL => plain_text(value).unwrap_or_default(),
            q::JS_TAG_OBJECT => self.object(value, depth),
            _ => "unknown".into(),
        }
    }

    fn object(&mut self, value: &Value, depth: usize) -> String {
        if value.is_proxy() {
            return "[Proxy]".into();
        }
        if self.seen.iter().any(|seen| seen.is(value)) {
            return "[Circular]".into();
        }
        if value.class() == class::ERROR {
            return error::message(value);
        }
        if depth >= MAX_DEPTH || self.spent > MAX_BYTES {
            let is_array = value.class() == class::ARRAY;
            return if is_array { "[Array]".into() } else { format!("[{}]", class_name(value)) };
        }
        self.seen.push(value.clone());
        let text = self.container(value, depth);
        self.seen.pop();
        text
    }

    fn container(&mut self, value: &Value, depth: usize) -> String {
        let (raw, name) = (value.raw(), class_name(value));
        if value.class() == class::ARRAY {
            let prefix = if name == "Array" { String::new() } else { format!("{name} ") };
            return format!("{prefix}{}", self.array(value, depth));
        }
        if unsafe { q::JS_GetTypedArrayType(raw) } >= 0 {
            return format!("{name} {}", self.array(value, depth));
        }
        if unsafe { q::JS_IsMap(raw) } {
            let entries = entries(value, &realm().map_for_each).unwrap_or_default();
            let count = entries.len();
            let each = |(key, value): (Value, Value), shower: &mut Self| {
                format!("{} => {}", shower.show(&key, depth + 1), shower.show(&value, depth + 1))
            };
            return format!("{name}({count}) {}", self.list('{', entries, each, '}'));
        }
        if unsafe { q::JS_IsSet(raw) } {
            let entries = entries(value, &realm().set_for_each).unwrap_or_default();
            let count = entries.len();
            let each = |(item, _): (Value, Value), shower: &mut Self| shower.show(&item, depth + 1);
            return format!("{name}({count}) {}", self.list('{', entries, each, '}'));
        }
        if value.is_function() {
            return function_text(value);
        }
        if unsafe { q::JS_IsDate(raw) || q::JS_IsRegExp(raw) } {
            return plain_text(value).inspect_err(|Thrown| drop(take_exception())).unwrap_or(name);
        }
        let prefix = match (value.class(), value.prototype()) {
            (class::OBJECT, None) => "[Object: null prototype] ".into(),
            (class::OBJECT, Some(_)) if name == "Object" => String::new(),
            _ => format!("{name} "),
        };
        let properties = self.properties(value, depth);
        if value.class() != class::OBJECT && properties == "{}" {
            return format!("{name} {{}}");
        }
        format!("{prefix}{properties}")
    }

    fn array(&mut self, array: &Value, depth: usize) -> String {
        let length = array.length().unwrap_or_default().clamp(0, i64::from(u32::MAX)) as u32;
        let each = |at: u32, shower: &mut Self| {
            let item = at.to_string();
            let item = Atom::new(&item).map(|key| array.own_data(&key));
            item.ok().flatten().map_or_else(|| "<empty>".into(), |item| shower.show(&item, depth + 1))
        };
        // Only as many as are shown are counted out.
        let shown = (0..length.min(MAX_ITEMS as u32 + 1)).collect();
        self.list_of('[', shown, each, ']', length as usize)
    }

    fn properties(&mut self, object: &Value, depth: usize) -> String {
        let keys = object.keys().unwrap_or_default();
        let each = |key: Atom, shower: &mut Self| {
            let shown = match object.own(&key) {
                Ok(Some(Property::Data(value))) => shower.show(&value, depth + 1),
                Ok(Some(Property::Accessor { .. })) => "[Getter]".into(),
                Ok(None) | Err(Thrown) => "undefined".into(),
            };
            format!("{}: {shown}", key_text(&key))
        };
        self.list('{', keys, each, '}')
    }

    fn list<T>(&mut self, open: char, items: Vec<T>, each: impl FnMut(T, &mut Self) -> String, close: char) -> String {
        let count = items.len();
        self.list_of(open, items, each, close, count)
    }

    fn list_of<T>(
        &mut self,
        open: char,
        items: Vec<T>,
        mut each: impl FnMut(T, &mut Self) -> String,
        close: char,
        count: usize,
    ) -> String {
        let mut pieces: Vec<String> = Vec::new();
        for item in items.into_iter().take(MAX_ITEMS) {
            if self.spent > MAX_BYTES {
                break;
            }
            pieces.push(each(item, self));
        }
        if pieces.len() < count {
            let left = count - pieces.len();
            pieces.push(format!("... {left} more item{}", if left == 1 { "" } else { "s" }));
        }
        if pieces.is_empty() {
            return format!("{open}{close}");
        }
        let length: usize = pieces.iter().map(|piece| piece.len() + 2).sum();
        if length <= LINE && pieces.iter().all(|piece| !piece.contains('\n')) {
            return format!("{open} {} {close}", pieces.join(", "));
        }
        if open == '[' && pieces.iter().all(|piece| piece.len() <= SHORT && !piece.contains('\n')) {
            return format!("{open}\n  {}\n{close}", in_lines(&pieces));
        }
        let pieces: Vec<String> = pieces.iter().map(|piece| piece.replace('\n', "\n  ")).collect();
        format!("{open}\n  {}\n{close}", pieces.join(",\n  "))
    }
}

/// Short pieces, as many on a line as fit.
fn in_lines(pieces: &[String]) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            let fits = column + piece.len() + 2 <= LINE;
            out.push_str(if fits { ", " } else { ",\n  " });
            column = if fits { column + 2 } else { 0 };
        }
        out.push_str(piece);
        column += piece.len();
    }
    out
}

fn key_text(key: &Atom) -> String {
    let Ok(value) = key.value() else { return String::new() };
    let Some(text) = value.as_text() else { return format!("[{}]", plain_text(&value).unwrap_or_default()) };
    let text = text.escaped();
    let is_name = |character: char| character.is_alphanumeric() || matches!(character, '_' | '$');
    if !text.is_empty() && text.chars().all(is_name) { text } else { quoted(&text) }
}

/// A text in quotes: in single ones where it has none itself.
fn quoted(text: &str) -> String {
    let quote = ['\'', '"', '`'].into_iter().find(|quote| !text.contains(*quote)).unwrap_or('\'');
    let mut out = String::from(quote);
    for character in text.chars() {
        if character == quote || character == '\\' {
            out.push('\\');
            out.push(character);
        } else {
            text::push_escaped(&mut out, character.encode_utf8(&mut [0; 4]));
        }
    }
    out.push(quote);
    out
}
