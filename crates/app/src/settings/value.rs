//! Whether a value is of the kind of its setting, and how text from environment and flags becomes a value.

use std::path::Path;

use toml::Value;

use super::keys::{self, Key, Kind};
use super::{SettingSource, SettingsError};

/// Checks a value against its setting. Single entries of lists become lists; paths are joined to `base`.
pub(super) fn check(key: &Key, value: Value, source: &SettingSource, base: &Path) -> Result<Value, SettingsError> {
    let wrong = |found: String| SettingsError::WrongValue {
        place: source.clone(),
        key: key.name.into(),
        expected: expected(key.kind),
        found,
        nearest: None,
    };
    let path = |text: &str| Value::String(base.join(text).to_string_lossy().into_owned());
    match (key.kind, value) {
        (Kind::Text, Value::String(text)) if !text.trim().is_empty() => Ok(Value::String(text)),
        // Whoever writes the key itself here must not find it in a message or a manifest.
        (Kind::VariableName, Value::String(text)) => {
            if is_variable_name(&text) {
                Ok(Value::String(text))
            } else {
                Err(wrong("another text (not shown)".into()))
            }
        }
        (Kind::Url, Value::String(text)) => check_url(&text).map(|()| Value::String(text)).map_err(wrong),
        (Kind::Path, Value::String(text)) if !text.is_empty() => Ok(path(&text)),
        (Kind::PathList, value) => {
            let texts = texts(value).map_err(|value| wrong(describe(&value)))?;
            match texts.iter().any(String::is_empty) || texts.is_empty() {
                true => Err(wrong("an empty one".into())),
                false => Ok(Value::Array(texts.iter().map(|text| path(text)).collect())),
            }
        }
        (Kind::TextList, value) => {
            let texts = texts(value).map_err(|value| wrong(describe(&value)))?;
            match texts.iter().find(|text| text.trim().is_empty()) {
                Some(_) => Err(wrong("an empty text".into())),
                None => Ok(Value::Array(texts.into_iter().map(Value::String).collect())),
            }
        }
        (Kind::Integer(least, most), Value::Integer(number)) if (least..=most).contains(&number) => {
            Ok(Value::Integer(number))
        }
        (Kind::Number(least, most), Value::Float(number)) if (least..=most).contains(&number) => {
            Ok(Value::Float(number))
        }
        #[expect(clippy::cast_precision_loss, reason = "the bounds of every number are far below 2^53")]
        (Kind::Number(least, most), Value::Integer(number)) if (least..=most).contains(&(number as f64)) => {
            Ok(Value::Float(number as f64))
        }
        (Kind::Share, Value::Integer(number)) if number >= 0 => Ok(Value::Integer(number)),
        (Kind::Share, Value::Float(number)) if (0.0..1.0).contains(&number) => Ok(Value::Float(number)),
        (Kind::Switch, Value::Boolean(switch)) => Ok(Value::Boolean(switch)),
        (Kind::Choice(known), Value::String(text)) if known().contains(&text.as_str()) => Ok(Value::String(text)),
        (Kind::Choice(known), Value::String(text)) => Err(SettingsError::WrongValue {
            place: source.clone(),
            key: key.name.into(),
            expected: expected(key.kind),
            nearest: keys::nearest_word(&text, &known()),
            found: describe(&Value::String(text)),
        }),
        (Kind::Table, Value::Table(table)) => Ok(Value::Table(table)),
        (_, value) => Err(wrong(describe(&value))),
    }
}

/// Reads a text from environment or flag as the setting wants it; what does not fit stays text, for [`check`] to refuse.
pub(super) fn parse_text(key: &Key, text: &str) -> Value {
    let as_written = || Value::String(text.to_owned());
    let as_toml = || parse_toml(text);
    match key.kind {
        Kind::Integer(..) | Kind::Number(..) | Kind::Share => text
            .trim()
            .parse()
            .map(Value::Integer)
            .or_else(|_| text.trim().parse().map(Value::Float))
            .unwrap_or_else(|_| as_written()),
        Kind::Switch => text.trim().parse().map(Value::Boolean).unwrap_or_else(|_| as_written()),
        Kind::TextList | Kind::PathList if text.trim_start().starts_with('[') => as_toml(),
        Kind::TextList | Kind::PathList => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        Kind::Table => as_toml(),
        Kind::Text | Kind::VariableName | Kind::Url | Kind::Path | Kind::Choice(_) => as_written(),
    }
}

/// Reads a text as a TOML value, or as a plain text where it is none.
pub(super) fn parse_toml(text: &str) -> Value {
    let read = toml::from_str::<toml::Table>(&format!("value = {text}")).ok();
    // One entry: a line break in the text must not smuggle in more.
    let value = read.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn texts(value: Value) -> Result<Vec<String>, Value> {
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(items) if items.iter().all(Value::is_str) => {
            Ok(items.into_iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
        }
        other => Err(other),
    }
}

fn is_variable_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_uppercase() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Refuses what is no HTTP address, and an address that carries a secret, which would stand in the manifest.
fn check_url(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest else { return Err("another text (not shown)".into()) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match () {
        () if authority.is_empty() => Err("an address without a host".into()),
        () if authority.contains('@') => Err("an address with a user or a password in it (not shown)".into()),
        () if rest.contains(['?', '#']) => Err("an address with a query or a fragment (not shown)".into()),
        () if text.chars().any(|c| c.is_whitespace() || c.is_control()) => Err("an address with white space".into()),
        () => Ok(()),
    }
}

/// Says what a setting of a kind may hold.
pub(super) fn expected(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text that is not empty".into(),
        Kind::VariableName => "the name of an environment variable, such as `OPENAI_API_KEY`".into(),
        Kind::Url => "an address such as `http://localhost:8000/v1`".into(),
        Kind::Path => "a path".into(),
        Kind::PathList => "a path or a list of paths".into(),
        Kind::TextList => "a text or a list of texts".into(),
        Kind::Integer(least, most) => format!("a whole number from {least} to {most}"),
        Kind::Number(least, most) => format!("a number from {least} to {most}"),
        Kind::Share => "a number of tasks, or a fraction of them from 0 to below 1".into(),
        Kind::Switch => "`true` or `false`".into(),
        Kind::Choice(known) => {
            format!("one of {}", known().iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
        }
        Kind::Table => "a table".into(),
    }
}

/// Names a value for a message; long text is cut.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::String(text) if text.trim().is_empty() => "an empty text".into(),
        Value::String(text) => {
            let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
            format!("the text \"{shown}\"{}", if text.chars().count() > 40 { " and more" } else { "" })
        }
        Value::Integer(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::Boolean(switch) => format!("`{switch}`"),
        Value::Datetime(_) => "a date or time".into(),
        Value::Array(_) => "a list".into(),
        Value::Table(_) => "a table".into(),
    }
}

/// Reads a value that [`to_json`] wrote.
pub(super) fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::String(String::new()),
        serde_json::Value::Bool(switch) => Value::Boolean(*switch),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::String(text.clone()),
        serde_json::Value::Array(items) => Value::Array(items.iter().map(from_json).collect()),
        serde_json::Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), from_json(value))).collect::<toml::Table>().into()
        }
    }
}

/// Writes a value as JSON, for the manifest and for scorers.
pub(super) fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::String(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(switch) => (*switch).into(),
        Value::Datetime(time) => time.to_string().into(),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect(),
    }
}
