//! Gate `signature`: `parameters` is a valid JSON Schema object and agrees with the definition.
//!
//! It comes in two parts. [`build`] looks at the schema alone and costs nothing. [`check_definition`] compares it with
//! what the guest says of the definition, so it stands after gate `compile`. Nothing is fetched: a schema with references
//! is refused, and its patterns must be linear-time ones.

use greensand_types::{FunctionDescription, FunctionSignature, Gate, Parameter, ParameterKind};
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::candidate::Candidate;
use super::form::shown;
use super::refusal::{Stop, refuse};

const MAX_MESSAGE: usize = 400;

/// The most regular expressions of a schema, and the largest compiled one, in bytes: a short one can be large.
const MAX_PATTERNS: usize = 16;
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Checks the schema and builds the signature.
pub(crate) fn build(candidate: &Candidate) -> Result<FunctionSignature, Stop> {
    let signature =
        FunctionSignature::new(candidate.name.clone(), candidate.description.clone(), candidate.parameters.clone())
            .or_else(|error| refuse(Gate::Signature, error.to_string()))?;
    let schema = Value::Object(signature.parameters().clone());
    check_keywords(&schema, "parameters")?;
    check_patterns(&schema)?;
    if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
        return refuse(Gate::Signature, not_a_schema(&error));
    }
    validator(signature.parameters())?;
    Ok(signature)
}

/// Returns what checks arguments against a schema; it never fetches anything.
pub(crate) fn validator(parameters: &Map<String, Value>) -> Result<Validator, Stop> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
        .build(&Value::Object(parameters.clone()))
        .or_else(|error| refuse(Gate::Signature, not_a_schema(&error)))
}

fn not_a_schema(error: &ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let message: String = error.to_string().chars().take(MAX_MESSAGE).collect();
    format!("`parameters{place}` is not valid JSON Schema: {message}")
}

/// Refuses what is valid JSON Schema but is not understood by every endpoint that the signature is sent to.
fn check_keywords(schema: &Value, path: &str) -> Result<(), Stop> {
    match schema {
        Value::Object(map) => {
            if let Some(keyword) = map.keys().find(|key| key.starts_with('$') && *key != "$comment") {
                return refuse(
                    Gate::Signature,
                    format!(
                        "`{path}` uses `{}`: references are not supported, so write the schema out",
                        shown(keyword)
                    ),
                );
            }
            if map.get("type").is_some_and(|kind| kind == "array")
                && !map.contains_key("items")
                && !map.contains_key("prefixItems")
            {
                return refuse(
                    Gate::Signature,
                    format!("`{path}` is an array without `items`: say what its elements are"),
                );
            }
            map.iter().try_for_each(|(key, value)| check_keywords(value, &format!("{path}.{}", shown(key))))
        }
        Value::Array(items) => items.iter().try_for_each(|item| check_keywords(item, path)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn check_patterns(schema: &Value) -> Result<(), Stop> {
    match patterns_in(schema) {
        0..=MAX_PATTERNS => Ok(()),
        count => refuse(
            Gate::Signature,
            format!("`parameters` has {count} regular expressions; at most {MAX_PATTERNS} are allowed"),
        ),
    }
}

/// Counts the regular expressions of a schema, those of nested schemas included.
fn patterns_in(schema: &Value) -> usize {
    match schema {
        Value::Object(map) => {
            let named = map.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
            let own = usize::from(map.get("pattern").is_some_and(Value::is_string));
            named + own + map.values().map(patterns_in).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(patterns_in).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Checks that a call by the names of the schema fits the definition, and that a call that the schema allows works.
pub(crate) fn check_definition(signature: &FunctionSignature, definition: &FunctionDescription) -> Result<(), Stop> {
    let name = signature.name();
    for parameter in &definition.parameters {
        if let Some(fault) = fault_of(parameter, signature) {
            return refuse(Gate::Signature, format!("{fault}; {}", both(signature, definition)));
        }
    }
    let takes_any = definition.parameters.iter().any(|parameter| parameter.kind == ParameterKind::NamedRest);
    let is_defined = |property: &str| {
        definition.parameters.iter().any(|parameter| parameter.name == property && takes_a_name(parameter.kind))
    };
    match signature.parameter_names().find(|(property, _)| !takes_any && !is_defined(property)) {
        Some((property, _)) => refuse(
            Gate::Signature,
            format!("`{name}` has no parameter `{}`; {}", shown(property), both(signature, definition)),
        ),
        None => Ok(()),
    }
}

fn fault_of(parameter: &Parameter, signature: &FunctionSignature) -> Option<String> {
    let name = shown(&parameter.name);
    match parameter.kind {
        ParameterKind::PositionalOnly => {
            Some(format!("parameter `{name}` is positional-only, but calls give arguments by name"))
        }
        ParameterKind::Positional | ParameterKind::NamedOnly if parameter.is_required => {
            match signature.parameter_names().find(|(property, _)| *property == parameter.name) {
                None => Some(format!("the definition needs `{name}`, which `parameters.properties` lacks")),
                Some((_, false)) => Some(format!(
                    "the definition needs `{name}`: list it in `parameters.required`, or give it a default"
                )),
                Some((_, true)) => None,
            }
        }
        ParameterKind::Positional | ParameterKind::NamedOnly | ParameterKind::Rest | ParameterKind::NamedRest => None,
    }
}

fn takes_a_name(kind: ParameterKind) -> bool {
    match kind {
        ParameterKind::Positional | ParameterKind::NamedOnly => true,
        ParameterKind::PositionalOnly | ParameterKind::Rest | ParameterKind::NamedRest => false,
    }
}

fn both(signature: &FunctionSignature, definition: &FunctionDescription) -> String {
    let list = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let schema = signature.parameter_names().map(|(name, is_required)| named(name, is_required)).collect();
    let defined = definition.parameters.iter().map(|parameter| named(&parameter.name, parameter.is_required)).collect();
    format!("the schema has: {}; the definition has: {}", list(schema), list(defined))
}

fn named(name: &str, is_required: bool) -> String {
    format!("`{}`{}", shown(name), if is_required { "" } else { " (optional)" })
}

#[cfg(test)]
mod tests {
    use greensand_types::Language;
    use serde_json::json;

    use super::*;

    fn candidate(parameters: Value) -> Candidate {
        Candidate {
            name: "f".parse().unwrap(),
            description: "Gives.".into(),
            parameters,
            packages: Vec::new(),
            language: "any".parse::<Language>().unwrap(),
            source: "f".into(),
            examples: Vec::new(),
        }
    }

    #[track_caller]
    fn check_schema(parameters: Value, expected: &str) {
        match build(&candidate(parameters.clone())) {
            Err(Stop::Refused(Gate::Signature, reason)) => assert!(reason.contains(expected), "{parameters}: {reason}"),
            other => panic!("{parameters}: {other:?}"),
        }
    }

    #[test]
    fn a_schema_that_is_not_one_is_refused() {
        check_schema(json!({"properties": {"a": {"type": "float"}}}), "float");
        check_schema(json!({"properties": {"a": "integer"}}), "`a`");
        check_schema(json!({"properties": {"a": {"type": "array"}}}), "`items`");
        check_schema(
            json!({"properties": {"a": {"type": "object", "properties": {"b": {"type": "array"}}}}}),
            "`items`",
        );
        check_schema(json!({"type": "array", "items": {}}), "object");
        check_schema(json!({"properties": {"a": {}}, "required": ["b"]}), "required");
        check_schema(json!({"properties": {"a": {"minimum": "0"}}}), "minimum");
        check_schema(json!({"properties": {"a": {"pattern": "("}}}), "parameters");
    }

    #[test]
    fn nothing_is_fetched_and_no_reference_followed() {
        for reference in ["http://127.0.0.1:9/schema", "file:///etc/passwd", "#", "#/properties/a"] {
            check_schema(json!({"properties": {"a": {"$ref": reference}}}), "references are not supported");
        }
        check_schema(json!({"$schema": "http://127.0.0.1:9/meta", "properties": {}}), "references are not supported");
        check_schema(json!({"$id": "file:///etc/passwd", "properties": {}}), "references are not supported");
    }

    /// 16 KiB of schema could take a minute and more than a gigabyte once.
    #[test]
    fn patterns_are_few_and_small() {
        let properties = |count: usize, pattern: &str| -> Value {
            (0..count).map(|number| (format!("p{number}"), json!({"pattern": format!("{pattern}{number}")}))).collect()
        };
        check_schema(json!({"properties": properties(17, "a")}), "17 regular expressions");
        let hidden = json!({"patternProperties": {"^a": {"items": {"pattern": "b"}}}});
        assert_eq!(patterns_in(&json!({"properties": {"a": hidden, "pattern": {"type": "string"}}})), 2);
        let begun = std::time::Instant::now();
        check_schema(json!({"properties": properties(16, r"\p{L}{1000}")}), "pattern");
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
        assert!(build(&candidate(json!({"properties": properties(16, r"^[A-Z]{2}\d{1,12}\p{L}{1,20}$")}))).is_ok());
    }

    #[test]
    fn required_is_kept() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]});
        let signature = build(&candidate(schema.clone())).unwrap();
        assert_eq!(Value::Object(signature.parameters().clone()), schema);
    }

    fn parameter(name: &str, kind: ParameterKind, is_required: bool) -> Parameter {
        Parameter { name: name.into(), kind, is_required }
    }

    fn agreement(parameters: Value, definition: &[Parameter]) -> Result<(), String> {
        let signature = build(&candidate(parameters)).unwrap();
        let definition = FunctionDescription { parameters: definition.to_vec(), documentation: String::new() };
        check_definition(&signature, &definition).map_err(|stop| match stop {
            Stop::Refused(Gate::Signature, reason) => reason,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_definition_agrees_when_every_allowed_call_fits_it() {
        use ParameterKind::{NamedOnly, NamedRest, Positional, Rest};
        let schema = json!({"properties": {"a": {}, "b": {}}, "required": ["a"]});
        let a = parameter("a", Positional, true);
        assert_eq!(agreement(schema.clone(), &[a.clone(), parameter("b", NamedOnly, false)]), Ok(()));
        assert_eq!(agreement(schema.clone(), &[a.clone(), parameter("kw", NamedRest, false)]), Ok(()));
        let more = [a.clone(), parameter("b", Positional, false), parameter("c", Positional, false)];
        assert_eq!(agreement(schema.clone(), &more), Ok(()), "an optional parameter may stay unmentioned");
        assert_eq!(agreement(json!({}), &[parameter("args", Rest, false)]), Ok(()));
    }

    #[test]
    fn parameters_that_differ_from_the_schema_are_refused() {
        use ParameterKind::{Positional, PositionalOnly, Rest};
        let schema = json!({"properties": {"a": {}, "b": {}}, "required": ["a"]});
        let (a, b) = (parameter("a", Positional, true), parameter("b", Positional, true));
        let refused = |definition: &[Parameter], expected: &str| {
            let reason = agreement(schema.clone(), definition).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        };
        refused(std::slice::from_ref(&a), "no parameter `b`");
        refused(&[a.clone(), b.clone()], "`parameters.required`");
        refused(&[a.clone(), parameter("b", Rest, false)], "no parameter `b`");
        refused(&[a, parameter("b", Positional, false), parameter("c", Positional, true)], "lacks");
        refused(&[parameter("a", PositionalOnly, true)], "positional-only");
    }
}
