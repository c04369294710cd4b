//! Gate `form`: the reply parses, the action exists, its fields have the right types and sizes.
//!
//! What comes in is a call as the model wrote it: nothing in it is checked yet, neither its name nor that its arguments
//! are JSON. Arguments and results of examples stay JSON text, so that no digit of theirs is lost.

use std::collections::BTreeMap;

use greensand_types::{Action, Example, FunctionCall, FunctionName, Gate, JsonKind, JsonText, Language};
use serde_json::Value;
use serde_json::value::RawValue;

use super::candidate::{Candidate, check_size, size};
use super::refusal::{Stop, refuse};
use crate::actions::Verb;
use crate::nearest::nearest;

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// An action whose form is right, with what should be said about it.
#[derive(Debug)]
pub(crate) struct Formed {
    pub(crate) action: Action<Candidate>,
    pub(crate) warnings: Vec<String>,
}

/// Reads an action from a call; a definition that names no language is in `language`.
pub(crate) fn read(call: &FunctionCall, language: &Language) -> Result<Formed, Stop> {
    let Some(verb) = Verb::read(&call.name) else {
        return unknown_action(&call.name);
    };
    if verb == Verb::Terminate {
        return Ok(Formed { action: Action::Terminate, warnings: Vec::new() });
    }
    check_size("arguments", call.arguments.len(), size::CALL_BYTES)?;
    let fields: Fields<'_> = match serde_json::from_str(&call.arguments) {
        Ok(fields) => fields,
        Err(error) => return unreadable(&call.arguments, &error),
    };
    let action = match verb {
        Verb::Add => Action::Add(candidate(&fields, language)?),
        Verb::Revise => Action::Revise(candidate(&fields, language)?),
        Verb::Remove => Action::Remove { name: name(&fields)?, reason: reason(&fields)? },
        Verb::Terminate => Action::Terminate,
    };
    let known = verb.fields();
    let unknown = fields.keys().filter(|field| !known.contains(&field.as_str()));
    let warnings = unknown.map(|field| format!("the unknown field `{}` was ignored", shown(field))).collect();
    Ok(Formed { action, warnings })
}

fn unknown_action<T>(written: &str) -> Result<T, Stop> {
    let known = Verb::TOOLS.map(Verb::tool);
    let nearest = nearest(written, known).unwrap_or_default();
    let known = known.map(|name| format!("`{name}`")).join(", ");
    refuse(
        Gate::Form,
        format!("there is no action `{}`; did you mean `{nearest}`? the actions are {known}", shown(written)),
    )
}

fn unreadable<T>(arguments: &str, error: &serde_json::Error) -> Result<T, Stop> {
    if arguments.trim().is_empty() {
        return refuse(Gate::Form, "the call has no arguments; give them as one JSON object");
    }
    match JsonText::parse(arguments) {
        Ok(json) => {
            refuse(Gate::Form, format!("the arguments must be a JSON object, found {}", kind_name(json.kind())))
        }
        Err(_) => refuse(
            Gate::Form,
            format!("the arguments are not JSON: {error}; line breaks and quotes inside of strings must be escaped"),
        ),
    }
}

fn candidate(fields: &Fields<'_>, language: &Language) -> Result<Candidate, Stop> {
    let candidate = Candidate {
        name: name(fields)?,
        description: text(fields, "description")?,
        parameters: parameters(fields)?,
        packages: packages(fields)?,
        language: chosen_language(fields, language)?,
        source: text(fields, "source")?.into(),
        examples: examples(fields)?,
    };
    candidate.check()?;
    Ok(candidate)
}

fn name(fields: &Fields<'_>) -> Result<FunctionName, Stop> {
    let name = text(fields, "name")?;
    name.parse().or_else(|error| refuse(Gate::Form, format!("{error}")))
}

fn reason(fields: &Fields<'_>) -> Result<String, Stop> {
    let reason = text(fields, "reason")?;
    check_size("reason", reason.len(), size::REASON_BYTES)?;
    Ok(reason)
}

fn parameters(fields: &Fields<'_>) -> Result<Value, Stop> {
    let raw = required(fields, "parameters")?;
    let hint = match kind(raw) {
        JsonKind::Object => "",
        JsonKind::String => "; send the object itself, not its text",
        _ => "; it is the JSON Schema of the arguments",
    };
    if kind(raw) != JsonKind::Object {
        return refuse(Gate::Form, format!("`parameters` must be a JSON object, found {}{hint}", kind_name(kind(raw))));
    }
    check_size("parameters", raw.get().len(), size::PARAMETERS_BYTES)?;
    serde_json::from_str(raw.get())
        .or_else(|error| refuse(Gate::Form, format!("`parameters` cannot be read: {error}; make it simpler")))
}

fn packages(fields: &Fields<'_>) -> Result<Vec<String>, Stop> {
    let Some(raw) = optional(fields, "packages") else {
        return Ok(Vec::new());
    };
    serde_json::from_str(raw.get())
        .or_else(|_| refuse(Gate::Form, format!("`packages` must be a list of names, found {}", kind_name(kind(raw)))))
}

fn chosen_language(fields: &Fields<'_>, default: &Language) -> Result<Language, Stop> {
    if optional(fields, "language").is_none() {
        return Ok(default.clone());
    }
    let written = text(fields, "language")?;
    written
        .trim()
        .to_ascii_lowercase()
        .parse()
        .or_else(|error| refuse(Gate::Form, format!("`language`: {error}; functions of this run are in `{default}`")))
}

fn examples(fields: &Fields<'_>) -> Result<Vec<Example>, Stop> {
    let raw = required(fields, "examples")?;
    let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
        return refuse(
            Gate::Form,
            format!(
                "`examples` must be a list of {{\"arguments\": .., \"result\": ..}}, found {}",
                kind_name(kind(raw))
            ),
        );
    };
    list.into_iter().enumerate().map(|(index, raw)| example(index + 1, raw)).collect()
}

fn example(number: usize, raw: &RawValue) -> Result<Example, Stop> {
    let Ok(fields) = serde_json::from_str::<Fields<'_>>(raw.get()) else {
        return refuse(
            Gate::Form,
            format!("example {number} must be an object with `arguments` and `result`, found {}", kind_name(kind(raw))),
        );
    };
    let arguments = example_field(number, &fields, "arguments")?;
    match arguments.kind() {
        JsonKind::Object | JsonKind::Array => {}
        other => {
            return refuse(
                Gate::Form,
                format!(
                    "`arguments` of example {number} must be an object (by name) or a list (by position), found {}",
                    kind_name(other)
                ),
            );
        }
    }
    Ok(Example { arguments, result: example_field(number, &fields, "result")? })
}

fn example_field(number: usize, fields: &Fields<'_>, field: &str) -> Result<JsonText, Stop> {
    let Some(raw) = fields.get(field) else {
        return refuse(Gate::Form, format!("example {number} has no `{field}`"));
    };
    json_text(raw)
}

fn json_text(raw: &RawValue) -> Result<JsonText, Stop> {
    JsonText::parse(raw.get()).or_else(|error| refuse(Gate::Form, error.to_string()))
}

fn text(fields: &Fields<'_>, field: &str) -> Result<String, Stop> {
    let raw = required(fields, field)?;
    if kind(raw) != JsonKind::String {
        return refuse(Gate::Form, format!("`{field}` must be a string, found {}", kind_name(kind(raw))));
    }
    serde_json::from_str(raw.get()).or_else(|error| refuse(Gate::Form, format!("`{field}` cannot be read: {error}")))
}

fn required<'a>(fields: &Fields<'a>, field: &str) -> Result<&'a RawValue, Stop> {
    if let Some(raw) = fields.get(field) {
        return Ok(raw);
    }
    let near = nearest(field, fields.keys().map(String::as_str)).filter(|near| strsim::levenshtein(near, field) <= 2);
    let hint = near.map(|near| format!("; `{}` is not a field", shown(near))).unwrap_or_default();
    refuse(Gate::Form, format!("`{field}` is missing{hint}"))
}

/// A field that may be left out; `null` counts as left out.
fn optional<'a>(fields: &Fields<'a>, field: &str) -> Option<&'a RawValue> {
    fields.get(field).copied().filter(|raw| kind(raw) != JsonKind::Null)
}

fn kind(raw: &RawValue) -> JsonKind {
    JsonKind::of_text(raw.get())
}

/// The word for a kind; what this gate asks for are lists.
fn kind_name(kind: JsonKind) -> &'static str {
    if kind == JsonKind::Array { "a list" } else { kind.with_article() }
}

/// What the model wrote, short and printable.
pub(crate) fn shown(written: &str) -> String {
    written.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
