use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use crate::{JsonKey, Mismatch, Reader};

/// A type that arguments can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of an argument",
    label = "no form in JSON",
    note = "arguments may be numbers, `bool`, `char`, texts, `Vec`, slices, arrays, tuples, `Option`, `Box`, maps, sets and `serde_json::Value`"
)]
pub trait FromJson: Sized {
    /// Reads the next value.
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch>;

    /// Returns what stands for an argument that is not given, if one need not be.
    fn missing() -> Option<Self> {
        None
    }
}

macro_rules! integers {
    ($($type:ident)*) => {$(
        impl FromJson for $type {
            fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
                let number = reader.clone().number("an integer")?;
                match parse_integer(number).parse() {
                    Ok(value) => {
                        reader.value();
                        Ok(value)
                    }
                    Err(_) => Err(reader.expected(&integer_words(number, $type::MIN as i128, $type::MAX as u128))),
                }
            }
        }
    )*};
}

integers! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

/// Has `-0` read as the integer that it is.
fn parse_integer(number: &str) -> &str {
    if number == "-0" { "0" } else { number }
}

#[cold]
fn integer_words(number: &str, least: i128, greatest: u128) -> String {
    match number.contains(['.', 'e', 'E']) {
        true => "an integer".into(),
        false => format!("an integer from {least} to {greatest}"),
    }
}

macro_rules! floats {
    ($($type:ident)*) => {$(
        impl FromJson for $type {
            fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
                let number = reader.clone().number("a number")?;
                match number.parse::<$type>() {
                    Ok(value) if value.is_finite() => {
                        reader.value();
                        Ok(value)
                    }
                    _ => Err(reader.expected(concat!("a number within the range of `", stringify!($type), "`"))),
                }
            }
        }
    )*};
}

floats! { f32 f64 }

impl FromJson for bool {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        if reader.word("true") {
            return Ok(true);
        }
        if reader.word("false") { Ok(false) } else { Err(reader.expected("`true` or `false`")) }
    }
}

impl FromJson for () {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        if reader.word("null") { Ok(()) } else { Err(reader.expected("`null`")) }
    }
}

impl FromJson for String {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        reader.string("a text")
    }
}

impl FromJson for char {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        let text = reader.clone().string("a text of one character")?;
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => {
                reader.value();
                Ok(character)
            }
            _ => Err(reader.expected("a text of one character")),
        }
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        if reader.word("null") { Ok(None) } else { T::from_json(reader).map(Some) }
    }

    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        let mut elements = Self::new();
        reader.array("an array", |reader, _| {
            elements.push(T::from_json(reader)?);
            Ok(())
        })?;
        Ok(elements)
    }
}

impl<T: FromJson, const N: usize> FromJson for [T; N] {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        let mut ahead = reader.clone();
        let elements = Vec::from_json(&mut ahead)?;
        match elements.try_into() {
            Ok(array) => {
                *reader = ahead;
                Ok(array)
            }
            Err(_) => Err(reader.expected(&format!("an array of {N} elements"))),
        }
    }
}

macro_rules! by_way_of_vec {
    ($($type:ident $(: $bound:ident $(+ $more:ident)*)?),*) => {$(
        impl<T: FromJson $(+ $bound $(+ $more)*)?> FromJson for $type<T> {
            fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
                Ok(Vec::from_json(reader)?.into_iter().collect())
            }
        }
    )*};
}

by_way_of_vec! { VecDeque, LinkedList, BinaryHeap: Ord, BTreeSet: Ord }

impl<T: FromJson + Eq + Hash, S: BuildHasher + Default> FromJson for HashSet<T, S> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        Ok(Vec::from_json(reader)?.into_iter().collect())
    }
}

impl<K: JsonKey + Eq + Hash, V: FromJson, S: BuildHasher + Default> FromJson for HashMap<K, V, S> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        let mut map = Self::default();
        reader.object("an object", |reader, name| {
            let twice = map.insert(K::from_key(name)?, V::from_json(reader)?).is_some();
            if twice { Err(Mismatch::new("the key is there twice")) } else { Ok(()) }
        })?;
        Ok(map)
    }
}

impl<K: JsonKey + Ord, V: FromJson> FromJson for BTreeMap<K, V> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        let mut map = Self::new();
        reader.object("an object", |reader, name| {
            let twice = map.insert(K::from_key(name)?, V::from_json(reader)?).is_some();
            if twice { Err(Mismatch::new("the key is there twice")) } else { Ok(()) }
        })?;
        Ok(map)
    }
}

macro_rules! tuples {
    ($($count:literal: $($type:ident)*;)*) => {$(
        impl<$($type: FromJson),*> FromJson for ($($type,)*) {
            #[allow(non_snake_case, reason = "each variable is called after its type")]
            fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
                let mut ahead = reader.clone();
                $(let mut $type = None;)*
                let mut length = 0;
                ahead.array(concat!("an array of ", $count, " elements"), |reader, index| {
                    length = index + 1;
                    let mut position = 0;
                    $(
                        if index == position {
                            $type = Some(FromJson::from_json(reader)?);
                            return Ok(());
                        }
                        position += 1;
                    )*
                    let _ = position;
                    reader.value();
                    Ok(())
                })?;
                match ($($type,)*) {
                    ($(Some($type),)*) if length == $count => {
                        *reader = ahead;
                        Ok(($($type,)*))
                    }
                    _ => Err(reader.expected(concat!("an array of ", $count, " elements"))),
                }
            }
        }
    )*};
}

tuples! {
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
    7: A B C D E F G;
    8: A B C D E F G H;
}

macro_rules! around {
    ($($type:ident),*) => {$(
        impl<T: FromJson> FromJson for $type<T> {
            fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
                T::from_json(reader).map($type::new)
            }

            fn missing() -> Option<Self> {
                T::missing().map($type::new)
            }
        }
    )*};
}

around! { Box, Rc, Arc }

impl FromJson for Box<str> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        String::from_json(reader).map(Into::into)
    }
}

impl FromJson for Rc<str> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        String::from_json(reader).map(Into::into)
    }
}

impl FromJson for Arc<str> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        String::from_json(reader).map(Into::into)
    }
}

impl FromJson for Cow<'static, str> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        String::from_json(reader).map(Cow::Owned)
    }
}

// What a function borrows lives as long as its instance, which is as long as the call.

impl FromJson for &'static str {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        Ok(String::from_json(reader)?.leak())
    }
}

impl<T: FromJson + 'static> FromJson for &'static [T] {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        Ok(Vec::from_json(reader)?.leak())
    }
}

impl<T: FromJson + 'static> FromJson for &'static mut [T] {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        Ok(Vec::from_json(reader)?.leak())
    }
}

impl<T: FromJson + 'static> FromJson for &'static T {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        Ok(Box::leak(Box::from_json(reader)?))
    }
}

impl<T: FromJson + 'static> FromJson for &'static mut T {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        Ok(Box::leak(Box::from_json(reader)?))
    }
}

/// How deep a value without a type may be nested.
const DEEPEST: usize = 1000;

/// Says whether a value is nested too deep to be read by recursion.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut is_in_text, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_text => is_escaped = true,
            b'"' => is_in_text = !is_in_text,
            b'[' | b'{' if !is_in_text => depth += 1,
            b']' | b'}' if !is_in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

macro_rules! by_serde {
    ($($type:ty: $what:literal),*) => {$(
        impl FromJson for $type {
            fn from_json(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
                let mut ahead = reader.clone();
                let text = ahead.value();
                if is_too_deep(text) {
                    return Err(Mismatch::new(format!("it is nested deeper than {DEEPEST} levels")));
                }
                let mut deserializer = serde_json::Deserializer::from_str(text);
                // The depth was just looked at, and there is stack for it.
                deserializer.disable_recursion_limit();
                match deserializer.into_iter::<$type>().next() {
                    Some(Ok(value)) => {
                        *reader = ahead;
                        Ok(value)
                    }
                    // The text is well-formed and the kind is right, so what is wrong is in a text.
                    Some(Err(_)) if reader.is($what) => Err(Mismatch::new("a text in it holds half of a surrogate pair")),
                    Some(Err(_)) | None => Err(reader.expected($what)),
                }
            }
        }
    )*};
}

by_serde! { Value: "a value", Map<String, Value>: "an object", Number: "a number" }

impl Reader<'_> {
    fn is(&mut self, what: &str) -> bool {
        match what {
            "an object" => self.peek() == b'{',
            "a number" => matches!(self.peek(), b'-' | b'0'..=b'9'),
            _ => true,
        }
    }
}
