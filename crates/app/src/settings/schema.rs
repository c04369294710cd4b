//! The JSON Schema of the project file: keys and kinds from the one list of settings, meanings and defaults from
//! `defaults.toml`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::DEFAULTS;
use super::keys::{KEYS, Kind};

/// What `defaults.toml` says of a setting.
#[derive(Debug, Default)]
struct Documented {
    meaning: String,
    default: Option<Value>,
}

/// Returns the schema of a project file.
pub(crate) fn project_schema() -> Value {
    let documented = documented();
    let mut root = table();
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    for key in KEYS {
        let mut schema = of_kind(key.kind);
        if let Some(said) = documented.get(key.name) {
            schema["description"] = said.meaning.clone().into();
            said.default.iter().for_each(|default| schema["default"] = default.clone());
        }
        put(&mut root, key.name, schema);
    }
    root
}

fn table() -> Value {
    json!({"type": "object", "properties": {}, "additionalProperties": false})
}

/// Puts the schema of a setting in its place, with the tables around it.
fn put(root: &mut Value, name: &str, schema: Value) {
    let mut place = root;
    let mut parts = name.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            place["properties"][part] = schema;
            return;
        }
        if place["properties"][part].is_null() {
            place["properties"][part] = table();
        }
        place = &mut place["properties"][part];
    }
}

fn of_kind(kind: Kind) -> Value {
    let text = json!({"type": "string", "pattern": "\\S"});
    let path = json!({"type": "string", "minLength": 1});
    match kind {
        Kind::Text => text,
        Kind::Path => path,
        Kind::VariableName => json!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}),
        Kind::Url => json!({"type": "string", "pattern": "^https?://"}),
        Kind::PathList => json!({"anyOf": [path, {"type": "array", "items": path, "minItems": 1}]}),
        Kind::TextList => json!({"anyOf": [text, {"type": "array", "items": text}]}),
        Kind::Integer(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Number(least, most) => json!({"type": "number", "minimum": least, "maximum": most}),
        Kind::Share => json!({"anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        ]}),
        Kind::Switch => json!({"type": "boolean"}),
        Kind::Choice(words) => json!({"enum": words()}),
        Kind::Table => json!({"type": "object"}),
    }
}

/// Reads meanings and defaults: a comment speaks of every setting that follows it until the next comment.
fn documented() -> BTreeMap<String, Documented> {
    let (mut section, mut comment, mut is_used) = (String::new(), String::new(), false);
    let mut found = BTreeMap::new();
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
            comment.clear();
            continue;
        }
        let text = line.strip_prefix("# ").unwrap_or(line);
        let setting = text.split_once(" = ").map(|(key, value)| (format!("{section}.{key}"), value));
        match setting.filter(|(name, _)| KEYS.iter().any(|key| key.name == name)) {
            Some((name, value)) => {
                // A line that is commented out shows an example, and no default.
                let default = (text == line).then(|| json_of(value)).flatten();
                found.insert(name, Documented { meaning: comment.clone(), default });
                is_used = true;
            }
            None if text != line => {
                if std::mem::take(&mut is_used) {
                    comment.clear();
                }
                comment += if comment.is_empty() { "" } else { " " };
                comment += text;
            }
            None => {}
        }
    }
    found
}

fn json_of(value: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {value}")).ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_meaning_and_those_with_a_default_have_it() {
        let documented = documented();
        for key in KEYS {
            let said = documented.get(key.name).unwrap_or_else(|| panic!("`{}` is not documented", key.name));
            assert!(said.meaning.len() > 10, "`{}` has no meaning: {said:?}", key.name);
        }
        let schema = project_schema();
        let of = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
        assert_eq!(of("/properties/training/properties/epochs/default"), 10);
        assert_eq!(of("/properties/tasks/properties/target_key/default"), &json!(["target", "answer"]));
        let meaning = of("/properties/training/properties/jobs/description").as_str().unwrap();
        assert!(meaning.starts_with("Tasks that are solved at one time."), "{meaning}");
        assert!(schema.pointer("/properties/model/properties/model/default").is_none());
    }
}
