use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Well-formed JSON kept as the text that was written.
///
/// Values of guests and models stay text on their way, so that integers keep every digit, floats keep their
/// spelling, and no depth of nesting can exhaust the host's stack.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct JsonText(#[serde(serialize_with = "raw")] Arc<RawValue>);

fn raw<S: serde::Serializer>(value: &Arc<RawValue>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().serialize(serializer)
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|value| Self(value.into()))
    }
}

/// What a JSON text holds at its top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonKind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// a number
    Number,
    /// a string
    String,
    /// an array
    Array,
    /// an object
    Object,
}

impl JsonKind {
    /// Returns what a value is.
    pub fn of(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(_) => Self::Bool,
            serde_json::Value::Number(_) => Self::Number,
            serde_json::Value::String(_) => Self::String,
            serde_json::Value::Array(_) => Self::Array,
            serde_json::Value::Object(_) => Self::Object,
        }
    }

    /// Returns the kind of a well-formed text without white space around it, by its first character.
    pub fn of_text(text: &str) -> Self {
        match text.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Bool,
            Some(b'"') => Self::String,
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object,
            _ => Self::Number,
        }
    }

    /// Returns the word for the kind as it stands in a sentence: `null`, `a boolean`, `an object`.
    pub fn with_article(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// A text that is not JSON.
#[derive(Debug, thiserror::Error)]
#[error("not well-formed JSON: {0}")]
pub struct JsonTextError(#[from] serde_json::Error);

impl JsonText {
    /// Checks a text; surrounding white space is dropped.
    ///
    /// # Errors
    /// When the text is not one well-formed JSON value.
    pub fn parse(text: &str) -> Result<Self, JsonTextError> {
        // The white space of JSON, which is less than that of Unicode.
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        RawValue::from_string(text.to_owned()).map(|value| Self(value.into())).map_err(JsonTextError)
    }

    /// Writes a value as JSON text.
    pub fn from_value(value: &serde_json::Value) -> Self {
        let text = value.to_string();
        Self(RawValue::from_string(text).expect("a serde_json value writes well-formed JSON").into())
    }

    /// Returns the text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Reads the text as a value; numbers beyond 64 bits lose digits there.
    ///
    /// # Errors
    /// When the nesting is deeper than 128, or a number is beyond the range of a double.
    pub fn to_value(&self) -> Result<serde_json::Value, JsonTextError> {
        serde_json::from_str(self.get()).map_err(JsonTextError)
    }

    /// Returns what the text holds at its top.
    pub fn kind(&self) -> JsonKind {
        JsonKind::of_text(self.get())
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for JsonText {}

impl fmt::Display for JsonText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.get())
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JsonText({})", self.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_every_digit() {
        let text = "[123456789012345678901234567890123456789]";
        assert_eq!(JsonText::parse(text).unwrap().get(), text);
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let text = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert_eq!(JsonText::parse(&text).unwrap().kind(), JsonKind::Array);
    }

    #[test]
    fn a_value_and_its_text_are_of_one_kind() {
        for (text, word) in [
            ("null", "null"),
            ("true", "a boolean"),
            ("false", "a boolean"),
            ("-1.5", "a number"),
            ("\"x\"", "a string"),
            ("[1]", "an array"),
            ("{}", "an object"),
        ] {
            let json = JsonText::parse(text).unwrap();
            assert_eq!(json.kind().with_article(), word);
            assert_eq!(JsonKind::of(&json.to_value().unwrap()), json.kind());
        }
    }

    #[test]
    fn broken_text_is_refused() {
        for text in ["", "[1,]", "NaN", "{\"a\":1", "1 2"] {
            assert!(JsonText::parse(text).is_err(), "{text}");
        }
    }
}
