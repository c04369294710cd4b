//! What a reply of the optimizer model asks for.
//!
//! A model with tool calling calls the actions; one without writes them as JSON in a fenced block, which is parsed
//! tolerantly: raw line breaks inside of strings and commas before a closing bracket are mended, because models write them.
//! A reply without an action ends the step. An empty reply, or one that was cut off, is *unusable*: it is neither an action
//! nor a refusal to act, and half of a function is never adopted.

use std::collections::BTreeMap;

use greensand_llm::{ChatReply, FinishReason};
use greensand_types::FunctionCall;
use serde_json::value::RawValue;

/// What a reply asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Reading {
    /// These actions, by tool calls.
    Calls(Vec<FunctionCall>),
    /// These actions, by the text protocol.
    Blocks(Vec<FunctionCall>),
    /// Nothing: the step is over.
    Nothing,
    /// It cannot be read, for this reason.
    Unusable(String),
}

/// Reads a reply.
pub(crate) fn read_reply(reply: &ChatReply) -> Reading {
    match &reply.finish {
        FinishReason::Length => {
            return Reading::Unusable(
                "your reply was cut off at the limit of tokens, so nothing of it was used; send a shorter one"
                    .to_owned(),
            );
        }
        FinishReason::ContentFilter => {
            return Reading::Unusable("your reply was withheld by a content filter; say it otherwise".to_owned());
        }
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Other(_) => {}
    }
    if !reply.calls.is_empty() {
        return Reading::Calls(reply.calls.clone());
    }
    if reply.text.trim().is_empty() {
        return Reading::Unusable("your reply was empty; act, or reply TERMINATE".to_owned());
    }
    read_text(&reply.text)
}

/// Says whether a line of the text is the word that ends the step.
pub(crate) fn says_terminate(text: &str) -> bool {
    text.lines().any(|line| line.trim_matches(|c: char| !c.is_alphanumeric()) == "TERMINATE")
}

fn read_text(text: &str) -> Reading {
    let mut calls = Vec::new();
    for block in blocks(text) {
        match actions_of(&mended(block)) {
            Ok(actions) => calls.extend(actions),
            Err(reason) => return Reading::Unusable(reason),
        }
    }
    if calls.is_empty() {
        return Reading::Nothing;
    }
    for (index, call) in calls.iter_mut().enumerate() {
        call.id = format!("block-{}", index + 1);
    }
    Reading::Blocks(calls)
}

/// The fenced blocks that hold JSON, or the whole text when it is JSON without a fence.
fn blocks(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(block) = next_block(&mut rest) {
        found.push(block);
    }
    if found.is_empty() && text.trim_start().starts_with('{') {
        found.push(text);
    }
    found
}

/// Takes the next fenced JSON block off the text.
fn next_block<'a>(rest: &mut &'a str) -> Option<&'a str> {
    while let Some(open) = rest.find("```") {
        let after = &rest[open + 3..];
        let label_end = after.find('\n')?;
        let label = after[..label_end].trim();
        let body = &after[label_end + 1..];
        // A fence closes at the start of a line; a source inside of a JSON string has its line breaks escaped.
        let mut close = None;
        let mut at = 0;
        for line in body.split_inclusive('\n') {
            if line.trim_start().starts_with("```") {
                close = Some((at, at + line.len()));
                break;
            }
            at += line.len();
        }
        let (end, next) = close.unwrap_or((body.len(), body.len()));
        *rest = &body[next..];
        let is_json =
            label.eq_ignore_ascii_case("json") || (label.is_empty() && body.trim_start().starts_with(['{', '[']));
        if is_json {
            return Some(&body[..end]);
        }
    }
    None
}

fn actions_of(json: &str) -> Result<Vec<FunctionCall>, String> {
    let list: Vec<&RawValue> = if json.trim_start().starts_with('[') {
        serde_json::from_str(json).map_err(|error| not_json(&error))?
    } else {
        vec![serde_json::from_str(json).map_err(|error| not_json(&error))?]
    };
    list.into_iter().map(action_of).collect()
}

fn not_json(error: &serde_json::Error) -> String {
    format!("the fenced block is not JSON: {error}; escape quotes and line breaks inside of strings")
}

fn action_of(raw: &RawValue) -> Result<FunctionCall, String> {
    let expected = "a block must be {\"action\": \"add_function\", \"name\": .., ..}";
    let mut fields: BTreeMap<String, &RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| format!("the fenced block is not an object; {expected}"))?;
    let action = fields.remove("action").ok_or_else(|| format!("the fenced block names no `action`; {expected}"))?;
    let name: String =
        serde_json::from_str(action.get()).map_err(|_| format!("`action` must be a string; {expected}"))?;
    let nested = fields.get("arguments").filter(|_| fields.len() == 1).map(|raw| raw.get().to_owned());
    // Text of parsed JSON writes JSON again.
    let arguments = nested.map_or_else(|| serde_json::to_string(&fields), Ok).unwrap_or_default();
    Ok(FunctionCall { id: String::new(), name, arguments })
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
    use greensand_types::TokenUsage;

    use super::*;

    fn reply(text: &str, finish: FinishReason) -> ChatReply {
        ChatReply { text: text.into(), calls: Vec::new(), finish, usage: TokenUsage::default() }
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let Reading::Blocks(calls) = read_reply(&reply(text, FinishReason::Stop)) else {
            panic!("{:?}", read_reply(&reply(text, FinishReason::Stop)));
        };
        let found: Vec<(&str, &str)> = calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_action_is_read_from_a_fenced_block() {
        let expected = [("remove_function", r#"{"name":"f","reason":"r"}"#)];
        check(
            "I remove it.\n```json\n{\"action\": \"remove_function\", \"name\":\"f\",\"reason\":\"r\"}\n```\nDone.",
            &expected,
        );
        check("```\n{\"action\": \"remove_function\", \"name\":\"f\",\"reason\":\"r\",}\n```", &expected);
        check("```JSON\n{\"action\":\"remove_function\",\"arguments\":{\"name\":\"f\",\"reason\":\"r\"}}\n", &expected);
        check(" {\"action\": \"remove_function\", \"name\":\"f\",\"reason\":\"r\"}", &expected);
        check(
            "```python\nprint(1)\n```\nthen\n```json\n[{\"action\": \"remove_function\", \"name\":\"f\",\"reason\":\"r\"}]\n```",
            &expected,
        );
    }

    #[test]
    fn raw_line_breaks_in_a_source_are_mended() {
        check(
            "```json\n{\"action\": \"add_function\", \"source\": \"def f():\n\treturn \\\"a\\\"\n\"}\n```",
            &[("add_function", r#"{"source":"def f():\n\treturn \"a\"\n"}"#)],
        );
    }

    #[test]
    fn digits_of_examples_are_kept() {
        let number = "123456789012345678901234567890";
        check(
            &format!("```json\n{{\"action\": \"add\", \"result\": {number}}}\n```"),
            &[("add", &format!("{{\"result\":{number}}}"))],
        );
    }

    #[test]
    fn prose_is_no_action() {
        for text in ["TERMINATE", "All is well.", "Try\n```python\ndef f(): pass\n```", "```", "``` ```", "a { b"] {
            assert_eq!(read_reply(&reply(text, FinishReason::Stop)), Reading::Nothing, "{text}");
        }
    }

    #[test]
    fn what_is_cut_off_or_broken_is_unusable() {
        let whole = "```json\n{\"action\": \"remove_function\", \"name\":\"f\",\"reason\":\"r\"}\n```";
        let unusable = [
            (whole, FinishReason::Length),
            (whole, FinishReason::ContentFilter),
            ("", FinishReason::Stop),
            (" \n", FinishReason::ToolCalls),
            ("```json\n{\"action\": \"add_fun", FinishReason::Stop),
            ("```json\n{\"name\": \"f\"}\n```", FinishReason::Stop),
            ("```json\n{\"action\": 1}\n```", FinishReason::Stop),
            ("```json\n[[]]\n```", FinishReason::Stop),
        ];
        for (text, finish) in unusable {
            assert!(matches!(read_reply(&reply(text, finish)), Reading::Unusable(_)), "{text}");
        }
    }

    #[test]
    fn terminate_is_a_line_of_its_own() {
        assert!(says_terminate("done.\n**TERMINATE**"));
        assert!(!says_terminate("do not TERMINATE yet"));
    }
}
