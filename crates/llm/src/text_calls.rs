//! Calls that a model writes as text: the protocol for models without tool calling, and what models with it do now and then.
//!
//! A call is a JSON object in a fenced block, between `<tool_call>` tags, or the whole text. It is read tolerantly, because
//! models write it by heart: raw line breaks inside of strings and commas before a closing bracket are mended, arguments may
//! stand beside the name or in an object of their own, and the form that endpoints use for tools is understood as well.
//! What cannot be read is an [`UnreadableCall`], whose [`Flaw`] says whether the same mistake was made before.

use std::collections::BTreeMap;

use greensand_types::FunctionCall;
use serde_json::value::RawValue;

/// How deep a call may be wrapped, as in `{"function": {"name": ..}}`.
const MOST_WRAPPING: usize = 3;

/// How a call is written.
#[derive(Debug, Clone, Copy)]
pub struct CallShape<'a> {
    /// The member that names what is called.
    pub name: &'a str,
    /// The members that may hold all arguments; where there is none, every member but the name is an argument.
    pub arguments: &'a [&'a str],
    /// An example, for the model.
    pub example: &'a str,
}

/// The calls of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextCalls<'a> {
    /// The calls in order, numbered from `block-1`.
    pub calls: Vec<FunctionCall>,
    /// What follows the last of them.
    pub rest: &'a str,
}

/// What is wrong with a call that is written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// It is not JSON.
    NotJson,
    /// It is JSON, but no object.
    NotAnObject,
    /// It names nothing to call.
    Unnamed,
    /// What it names is no text.
    OddName,
}

/// A call that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableCall {
    /// What is wrong.
    pub flaw: Flaw,
    /// The same for the model, with the shape that is expected.
    pub reason: String,
    /// What it wrote.
    pub block: String,
}

/// Reads the calls of a text; none where nothing looks like one.
///
/// # Errors
/// When one of them cannot be read: none is taken then.
pub fn read_text_calls<'a>(text: &'a str, shape: &CallShape<'_>) -> Result<TextCalls<'a>, UnreadableCall> {
    let mut found = TextCalls { calls: Vec::new(), rest: text };
    for Block { json, rest } in blocks(text) {
        let mended = mended(json);
        let calls = calls_of(&mended, shape).map_err(|flaw| unreadable(flaw, json, shape))?;
        found.calls.extend(calls);
        found.rest = rest;
    }
    for (index, call) in found.calls.iter_mut().enumerate() {
        call.id = format!("block-{}", index + 1);
    }
    Ok(found)
}

#[derive(Debug, Clone, Copy)]
struct Block<'a> {
    json: &'a str,
    rest: &'a str,
}

/// The blocks that hold JSON, or the whole text when it is JSON without anything around it.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(block) = next_block(rest) {
        found.push(block);
        rest = block.rest;
    }
    if found.is_empty() && text.trim_start().starts_with('{') {
        found.push(Block { json: text, rest: "" });
    }
    found
}

/// Finds the next block: whichever of a fence and a tag opens first.
fn next_block(mut text: &str) -> Option<Block<'_>> {
    loop {
        match (text.find("```"), text.find("<tool_call>")) {
            (fence, Some(tag)) if fence.is_none_or(|fence| tag < fence) => return Some(tagged(text, tag)),
            (Some(fence), _) => match fenced(text, fence)? {
                Fenced::Json(block) => return Some(block),
                Fenced::Other { rest } => text = rest,
            },
            (None, _) => return None,
        }
    }
}

fn tagged(text: &str, open: usize) -> Block<'_> {
    let body = &text[open + "<tool_call>".len()..];
    let (json, rest) = body.split_once("</tool_call>").unwrap_or((body, ""));
    Block { json, rest }
}

enum Fenced<'a> {
    Json(Block<'a>),
    Other { rest: &'a str },
}

fn fenced(text: &str, open: usize) -> Option<Fenced<'_>> {
    let (label, body) = text[open + 3..].split_once('\n')?;
    let label = label.trim();
    // A fence closes at the start of a line; a source inside of a JSON string has its line breaks escaped.
    let (mut end, mut next, mut at) = (body.len(), body.len(), 0);
    for line in body.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            (end, next) = (at, at + line.len());
            break;
        }
        at += line.len();
    }
    let is_json = label.eq_ignore_ascii_case("json")
        || label.eq_ignore_ascii_case("tool_call")
        || (label.is_empty() && body.trim_start().starts_with(['{', '[']));
    let rest = &body[next..];
    Some(if is_json { Fenced::Json(Block { json: &body[..end], rest }) } else { Fenced::Other { rest } })
}

fn calls_of(json: &str, shape: &CallShape<'_>) -> Result<Vec<FunctionCall>, ReadError> {
    let list: Vec<&RawValue> = if json.trim_start().starts_with('[') {
        serde_json::from_str(json).map_err(ReadError::NotJson)?
    } else {
        vec![serde_json::from_str(json).map_err(ReadError::NotJson)?]
    };
    list.into_iter().map(|raw| call_of(raw.get(), shape, MOST_WRAPPING)).collect()
}

enum ReadError {
    NotJson(serde_json::Error),
    Flawed(Flaw),
}

fn unreadable(error: ReadError, block: &str, shape: &CallShape<'_>) -> UnreadableCall {
    let CallShape { name, example, .. } = shape;
    let expected = format!("a block must be {example}");
    let (flaw, reason) = match error {
        ReadError::NotJson(error) => (
            Flaw::NotJson,
            format!(
                "the fenced block is not JSON: {error}; escape quotes and line breaks inside of strings; {expected}"
            ),
        ),
        ReadError::Flawed(flaw) => (
            flaw,
            match flaw {
                Flaw::Unnamed => format!("the fenced block names no `{name}`; {expected}"),
                Flaw::OddName => format!("`{name}` must be a string; {expected}"),
                Flaw::NotAnObject | Flaw::NotJson => format!("the fenced block is not an object; {expected}"),
            },
        ),
    };
    UnreadableCall { flaw, reason, block: block.to_owned() }
}

fn call_of(json: &str, shape: &CallShape<'_>, wrapping: usize) -> Result<FunctionCall, ReadError> {
    let mut fields: BTreeMap<String, &RawValue> =
        serde_json::from_str(json).map_err(|_| ReadError::Flawed(Flaw::NotAnObject))?;
    if let Some(name) = fields.remove(shape.name) {
        let nested = shape.arguments.iter().find_map(|member| fields.get(*member)).filter(|_| fields.len() == 1);
        let arguments = match nested {
            Some(nested) => unquoted(nested),
            // Text of parsed JSON writes JSON again.
            None => serde_json::to_string(&fields).unwrap_or_default(),
        };
        return named(name, arguments);
    }
    // The form of endpoints: `{"name": .., "arguments": {..}}`, possibly with `id` and `type`, possibly wrapped.
    let arguments = shape.arguments.iter().find_map(|member| fields.get(*member).map(|raw| (*member, *raw)));
    if let (Some(name), Some((member, arguments))) = (fields.get("name"), arguments) {
        let is_known = |key: &String| key == member || matches!(key.as_str(), "name" | "id" | "type");
        if fields.keys().all(is_known) {
            return named(name, unquoted(arguments));
        }
    }
    match ["function", "tool_call"].iter().find_map(|member| fields.get(*member)) {
        Some(inner) if wrapping > 0 && inner.get().starts_with('{') => call_of(inner.get(), shape, wrapping - 1),
        Some(_) | None => Err(ReadError::Flawed(Flaw::Unnamed)),
    }
}

fn named(name: &RawValue, arguments: String) -> Result<FunctionCall, ReadError> {
    let name: String = serde_json::from_str(name.get()).map_err(|_| ReadError::Flawed(Flaw::OddName))?;
    Ok(FunctionCall { id: String::new(), name: name.trim().to_owned(), arguments })
}

/// Arguments may be an object, or the text of one.
fn unquoted(raw: &RawValue) -> String {
    match serde_json::from_str::<String>(raw.get()) {
        Ok(text) if text.trim_start().starts_with('{') => text,
        Ok(_) | Err(_) => raw.get().to_owned(),
    }
}

/// Mends what models often write: raw control characters inside of strings, a comma before a closing bracket.
fn mended(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut is_string, mut is_escaped) = (false, false);
    for c in json.chars() {
        if is_string {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c => out.push(c),
            }
            is_string = is_escaped || c != '"';
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        if matches!(c, '}' | ']') {
            let kept = out.trim_end();
            if let Some(kept) = kept.strip_suffix(',') {
                out.truncate(kept.len());
            }
        }
        is_string = c == '"';
        is_escaped = false;
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: CallShape<'static> =
        CallShape { name: "call", arguments: &["arguments", "parameters"], example: "{\"call\": ..}" };

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = read_text_calls(text, &SHAPE).unwrap().calls;
        let found: Vec<(&str, &str)> = found.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[track_caller]
    fn check_flaw(text: &str, flaw: Flaw) {
        let error = read_text_calls(text, &SHAPE).unwrap_err();
        assert_eq!(error.flaw, flaw, "{text}");
        assert!(error.reason.contains("{\"call\": ..}"), "{}", error.reason);
    }

    #[test]
    fn every_usual_spelling_of_a_call_is_read() {
        let expected = [("f", r#"{"a":1}"#)];
        for text in [
            "```json\n{\"call\": \"f\", \"arguments\": {\"a\":1}}\n```",
            "I call it.\n```\n{\"call\": \"f\", \"parameters\": {\"a\":1},}\n```\nWait.",
            "```json\n{\"call\": \"f\", \"a\":1}\n```",
            "```json\n{\"name\": \"f\", \"arguments\": {\"a\":1}}\n```",
            "```json\n{\"name\": \"f\", \"parameters\": \"{\\\"a\\\":1}\"}\n```",
            "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\":1}}\n</tool_call>",
            "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\":1}}",
            "```json\n{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}\n```",
            "{\"call\": \"f\", \"arguments\": {\"a\":1}}",
            "```python\nf(1)\n```\n```JSON\n[{\"call\": \"f\", \"arguments\": {\"a\":1}}]",
        ] {
            check(text, &expected);
        }
    }

    #[test]
    fn several_calls_keep_their_order_and_get_ids() {
        let text = "```json\n{\"call\":\"f\"}\n```\n<tool_call>{\"call\":\"g\"}</tool_call>\n```json\n{\"call\":\"h\"}\n```\nend";
        let found = read_text_calls(text, &SHAPE).unwrap();
        let calls: Vec<_> = found.calls.iter().map(|call| (call.id.as_str(), call.name.as_str())).collect();
        assert_eq!(calls, [("block-1", "f"), ("block-2", "g"), ("block-3", "h")]);
        assert_eq!(found.rest, "end");
    }

    #[test]
    fn prose_and_code_are_no_calls() {
        for text in ["", "All is well.", "```python\n{}\n```", "```", "``` ```", "a { b", "```\nx\n```", "[1]"] {
            check(text, &[]);
        }
    }

    #[test]
    fn a_flaw_is_told_with_the_shape() {
        check_flaw("```json\n{\"call\": \"f\n```", Flaw::NotJson);
        check_flaw("```json\n{'call': 'f'}\n```", Flaw::NotJson);
        check_flaw("```json\n[[]]\n```", Flaw::NotAnObject);
        check_flaw("```json\n{\"name\": \"f\"}\n```", Flaw::Unnamed);
        check_flaw("```json\n{\"call\": 1}\n```", Flaw::OddName);
        let deep = format!("```json\n{}1{}\n```", "{\"function\":".repeat(60), "}".repeat(60));
        check_flaw(&deep, Flaw::Unnamed);
        check_flaw(&format!("```json\n{}", "[".repeat(100_000)), Flaw::NotJson);
    }

    #[test]
    fn digits_and_line_breaks_survive() {
        let number = "123456789012345678901234567890";
        check(&format!("```json\n{{\"call\":\"f\",\"n\":{number}}}\n```"), &[("f", &format!("{{\"n\":{number}}}"))]);
        check("```json\n{\"call\":\"f\",\"code\":\"a\n\tb \\\"c\\\"\"}\n```", &[("f", r#"{"code":"a\n\tb \"c\""}"#)]);
    }
}
