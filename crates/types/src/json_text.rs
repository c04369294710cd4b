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
        RawValue::from_string(text.trim().to_owned()).map(|value| Self(value.into())).map_err(JsonTextError)
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
        match self.get().as_bytes().first() {
            Some(b'n') => JsonKind::Null,
            Some(b't' | b'f') => JsonKind::Bool,
            Some(b'"') => JsonKind::String,
            Some(b'[') => JsonKind::Array,
            Some(b'{') => JsonKind::Object,
            _ => JsonKind::Number,
        }
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
    fn broken_text_is_refused() {
        for text in ["", "[1,]", "NaN", "{\"a\":1", "1 2"] {
            assert!(JsonText::parse(text).is_err(), "{text}");
        }
    }
}
