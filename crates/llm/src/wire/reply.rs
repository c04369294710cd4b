use std::collections::HashSet;

use greensand_types::{FunctionCall, Message, TokenUsage};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::text::quotable;
use crate::{ChatReply, ChatRequest, FinishReason};

/// The body of a chat completion, as tolerantly as it can be read. Unknown fields are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct Completion {
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    message: Option<ReplyMessage>,
    finish_reason: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct ReplyMessage {
    content: Option<Value>,
    refusal: Option<Value>,
    tool_calls: Option<Vec<ToolCall>>,
    /// What servers wrote before there were tools.
    function_call: Option<CalledFunction>,
}

#[derive(Debug, Deserialize)]
struct ToolCall {
    id: Option<Value>,
    function: Option<CalledFunction>,
}

#[derive(Debug, Default, Deserialize)]
struct CalledFunction {
    name: Option<Value>,
    /// Kept as text, so that integers in an unquoted object keep every digit.
    arguments: Option<Box<RawValue>>,
}

/// A body that is JSON, but not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WrongShape {
    /// It has no reply in it; the text says what is missing or wrong.
    Malformed(String),
    /// It holds an error in spite of its status; with the status that the error itself names.
    Error {
        /// The status, where one is named.
        status: Option<u16>,
        /// What it says.
        body: String,
    },
}

impl WrongShape {
    /// A body without the member that holds what was asked for, and perhaps with an error instead.
    pub(super) fn without(member: &str, error: Option<Value>) -> Self {
        match error {
            Some(error) if !error.is_null() => Self::Error { status: status_in(&error), body: error.to_string() },
            Some(_) | None => Self::Malformed(format!("it has no `{member}`")),
        }
    }
}

impl Completion {
    /// Turns the body into a reply to a request.
    pub(crate) fn into_reply(self, request: &ChatRequest) -> Result<ChatReply, WrongShape> {
        let Some(choice) = self.choices.into_iter().flatten().next() else {
            return Err(WrongShape::without("choices", self.error));
        };
        let Some(message) = choice.message else {
            return Err(WrongShape::Malformed("its first choice has no `message`".into()));
        };
        let calls = match (message.tool_calls, message.function_call) {
            (Some(calls), _) if !calls.is_empty() => calls.into_iter().map(call).collect(),
            (_, Some(function)) => vec![call(ToolCall { id: None, function: Some(function) })],
            (Some(_) | None, None) => Vec::new(),
        };
        let calls = with_unique_ids(calls, request);
        let finish = match choice.finish_reason {
            Some(Value::String(reason)) => FinishReason::from(quotable(&reason, 80).as_str()),
            Some(_) | None if calls.is_empty() => FinishReason::Stop,
            Some(_) | None => FinishReason::ToolCalls,
        };
        let text = match message.content.map(text_of).unwrap_or_default() {
            text if text.is_empty() => message.refusal.map(text_of).unwrap_or_default(),
            text => text,
        };
        let text = without_reasoning(&text);
        Ok(ChatReply { text, calls, finish, usage: usage(self.usage.as_ref()) })
    }
}

/// Content is a text, or a list of parts of which some hold text.
fn text_of(content: Value) -> String {
    match content {
        Value::String(text) => text,
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str())).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// Drops the reasoning that some servers leave in the content: it is no answer, holds no calls, and is not to be sent back.
///
/// It stands before everything else, between `<think>` and `</think>`; some templates open it in the prompt, so that only
/// its end is in the reply. Without an end all of it is reasoning that was cut off. Tags further inside are text.
fn without_reasoning(text: &str) -> String {
    const TAGS: [(&str, &str); 3] =
        [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>")];
    let mut rest = text;
    let mut is_opened = false;
    while let Some((open, close)) = TAGS.iter().find(|(open, _)| rest.trim_start().starts_with(open)) {
        is_opened = true;
        let inside = &rest.trim_start()[open.len()..];
        rest = inside.split_once(close).map_or("", |(_, after)| after);
    }
    if !is_opened && !text.contains("<think>") {
        rest = text.split_once("</think>").map_or(text, |(_, after)| after);
    }
    if rest.len() == text.len() { text.to_owned() } else { rest.trim_start().to_owned() }
}

fn call(call: ToolCall) -> FunctionCall {
    let function = call.function.unwrap_or_default();
    FunctionCall { id: scalar(call.id), name: scalar(function.name), arguments: arguments(function.arguments) }
}

fn scalar(value: Option<Value>) -> String {
    match value {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

/// Arguments are JSON in a string; some servers send them bare, and nothing at all where there are none.
fn arguments(raw: Option<Box<RawValue>>) -> String {
    let Some(raw) = raw else { return "{}".to_owned() };
    match serde_json::from_str::<String>(raw.get()) {
        Ok(text) if text.trim().is_empty() => "{}".to_owned(),
        Ok(text) => text,
        Err(_) => raw.get().to_owned(),
    }
}

/// Gives every call an id of its own, within the reply and within the conversation.
pub(crate) fn with_unique_ids(mut calls: Vec<FunctionCall>, request: &ChatRequest) -> Vec<FunctionCall> {
    let mut taken = HashSet::new();
    for message in &request.messages {
        if let Message::Assistant { calls, .. } = message {
            taken.extend(calls.iter().map(|call| call.id.clone()));
        }
    }
    let mut next = taken.len();
    for call in &mut calls {
        let base = if call.id.is_empty() { "call".to_owned() } else { call.id.clone() };
        while call.id.is_empty() || taken.contains(&call.id) {
            next += 1;
            call.id = format!("{base}_{next}");
        }
        taken.insert(call.id.clone());
    }
    calls
}

pub(super) fn usage(usage: Option<&Value>) -> TokenUsage {
    let tokens = |field| usage.and_then(|usage| usage.get(field)?.as_u64()).unwrap_or(0);
    let part = |of: &str, field| usage.and_then(|usage| usage.get(of)?.get(field)?.as_u64()).unwrap_or(0);
    let (prompt_tokens, completion_tokens) = (tokens("prompt_tokens"), tokens("completion_tokens"));
    // Some servers name what their cache had beside the prompt, and not within its details.
    let cached = part("prompt_tokens_details", "cached_tokens").max(tokens("prompt_cache_hit_tokens"));
    TokenUsage {
        requests: 1,
        prompt_tokens,
        // A part is never larger than the whole, whatever the endpoint says.
        cached_tokens: cached.min(prompt_tokens),
        completion_tokens,
        reasoning_tokens: part("completion_tokens_details", "reasoning_tokens").min(completion_tokens),
    }
}

fn status_in(error: &Value) -> Option<u16> {
    let code = error.get("code").or_else(|| error.get("status"))?;
    let code = code.as_u64().or_else(|| code.as_str()?.parse().ok())?;
    u16::try_from(code).ok().filter(|status| (400..600).contains(status))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::request::tests::asked;
    use super::*;

    fn read_after(messages: Vec<Message>, body: &str) -> Result<ChatReply, WrongShape> {
        serde_json::from_str::<Completion>(body).unwrap().into_reply(&asked(messages))
    }

    fn read(body: Value) -> Result<ChatReply, WrongShape> {
        read_after(Vec::new(), &body.to_string())
    }

    fn says(message: Value) -> ChatReply {
        read(json!({ "choices": [{ "message": message }] })).unwrap()
    }

    fn called(tool_calls: Value) -> Vec<(String, String, String)> {
        let calls = says(json!({ "tool_calls": tool_calls })).calls;
        calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect()
    }

    fn triple(id: &str, name: &str, arguments: &str) -> (String, String, String) {
        (id.into(), name.into(), arguments.into())
    }

    #[test]
    fn a_whole_reply_is_read() {
        let reply = read(json!({
            "id": "x", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{ "index": 0, "finish_reason": "tool_calls", "message": { "role": "assistant", "content": "let me see",
                "tool_calls": [{ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{\"n\": 1}" } }] } }],
            "usage": { "prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13 },
        }))
        .unwrap();
        assert_eq!(reply.text, "let me see");
        assert_eq!(reply.calls, [FunctionCall { id: "a".into(), name: "f".into(), arguments: "{\"n\": 1}".into() }]);
        assert_eq!(reply.finish, FinishReason::ToolCalls);
        assert_eq!(
            reply.usage,
            TokenUsage { requests: 1, prompt_tokens: 10, completion_tokens: 3, ..TokenUsage::default() }
        );
    }

    #[test]
    fn an_empty_reply_is_a_reply() {
        for message in [json!({}), json!({ "content": null }), json!({ "content": "", "tool_calls": [] })] {
            let reply = says(message);
            assert_eq!((reply.text.as_str(), reply.calls.len()), ("", 0));
            assert_eq!(reply.finish, FinishReason::Stop);
            assert_eq!(reply.usage.requests, 1);
        }
    }

    #[test]
    fn content_may_come_in_parts_or_as_a_refusal() {
        let parts = json!([{ "type": "text", "text": "a" }, { "type": "image" }, "b", 3]);
        assert_eq!(says(json!({ "content": parts })).text, "ab");
        assert_eq!(says(json!({ "content": null, "refusal": "I may not" })).text, "I may not");
    }

    #[test]
    fn reasoning_is_no_part_of_the_answer() {
        for (content, text) in [
            ("<think>\n2? 3?\n</think>\n\nIt is 2.", "It is 2."),
            ("  <think>a</think><think>b</think> 2", "2"),
            ("<thinking>a</thinking>2", "2"),
            ("<think>cut of", ""),
            ("first I think\n</think>\n2", "2"),
            ("2", "2"),
            (" 2 ", " 2 "),
            ("Write `<think>` and `</think>` around it.", "Write `<think>` and `</think>` around it."),
            ("<think>```json\n{\"call\": \"f\"}\n```</think>done", "done"),
        ] {
            assert_eq!(says(json!({ "content": content, "reasoning_content": "r", "reasoning": "r" })).text, text);
        }
        let reply = says(json!({ "content": null, "reasoning_content": "it must be 2", "reasoning_details": [1] }));
        assert_eq!(reply.text, "", "reasoning is not taken for an answer");
    }

    #[test]
    fn calls_without_ids_get_some_and_doubled_ids_are_parted() {
        let calls = json!([
            { "function": { "name": "f", "arguments": "{}" } },
            { "id": "", "function": { "name": "f", "arguments": "{}" } },
            { "id": "x", "function": { "name": "f", "arguments": "{}" } },
            { "id": "x", "function": { "name": "f", "arguments": "{}" } },
            { "id": 7, "function": { "name": "f", "arguments": "{}" } },
        ]);
        let ids: Vec<_> = called(calls).into_iter().map(|(id, ..)| id).collect();
        assert_eq!(ids, ["call_1", "call_2", "x", "x_3", "7"]);
    }

    #[test]
    fn ids_are_unique_over_the_conversation() {
        let earlier = FunctionCall { id: "call_1".into(), name: "f".into(), arguments: "{}".into() };
        let history = vec![Message::Assistant { text: String::new(), calls: vec![earlier] }];
        let body = r#"{"choices":[{"message":{"tool_calls":[{"function":{}},{"id":"call_1","function":{}}]}}]}"#;
        let ids: Vec<_> = read_after(history, body).unwrap().calls.into_iter().map(|call| call.id).collect();
        assert_eq!(ids, ["call_2", "call_1_3"]);
    }

    #[test]
    fn arguments_of_every_spelling_become_text() {
        let body = r#"{"choices":[{"message":{"tool_calls":[
            {"id":"1","function":{"name":"f","arguments":{"n": 123456789012345678901234567890}}},
            {"id":"2","function":{"name":"f","arguments":""}},
            {"id":"3","function":{"name":"f"}},
            {"id":"4","function":{"name":"f","arguments":null}},
            {"id":"5","function":{"name":"f","arguments":"{\"a\": tru"}},
            {"id":"6","function":{"arguments":[1]}},
            {"id":"7"}
        ]}}]}"#;
        let calls = read_after(Vec::new(), body).unwrap().calls;
        let calls: Vec<_> = calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect();
        assert_eq!(
            calls,
            [
                triple("1", "f", r#"{"n": 123456789012345678901234567890}"#),
                triple("2", "f", "{}"),
                triple("3", "f", "{}"),
                triple("4", "f", "{}"),
                triple("5", "f", "{\"a\": tru"),
                triple("6", "", "[1]"),
                triple("7", "", "{}"),
            ]
        );
    }

    #[test]
    fn calls_in_the_older_form_are_read() {
        let reply = says(json!({ "content": null, "function_call": { "name": "f", "arguments": "{\"a\":1}" } }));
        assert_eq!(
            reply.calls,
            [FunctionCall { id: "call_1".into(), name: "f".into(), arguments: "{\"a\":1}".into() }]
        );
        assert_eq!(reply.finish, FinishReason::ToolCalls);
    }

    #[test]
    fn every_finish_reason_is_told() {
        for (reason, expected) in [
            (json!("stop"), FinishReason::Stop),
            (json!("length"), FinishReason::Length),
            (json!("content_filter"), FinishReason::ContentFilter),
            (json!("tool_calls"), FinishReason::ToolCalls),
            (json!("eos"), FinishReason::Other("eos".into())),
            (json!(null), FinishReason::Stop),
        ] {
            let reply = read(json!({ "choices": [{ "message": {}, "finish_reason": reason }] })).unwrap();
            assert_eq!(reply.finish, expected);
            assert_eq!(FinishReason::from(expected.as_str()), expected);
        }
    }

    #[test]
    fn cached_and_reasoning_tokens_are_parts_of_what_they_belong_to() {
        for (usage, cached, reasoning) in [
            (
                json!({ "prompt_tokens_details": { "cached_tokens": 60 }, "completion_tokens_details": { "reasoning_tokens": 7 } }),
                60,
                7,
            ),
            (json!({ "prompt_cache_hit_tokens": 40 }), 40, 0),
            (
                json!({ "prompt_tokens_details": { "cached_tokens": 1000 }, "completion_tokens_details": { "reasoning_tokens": 99 } }),
                100,
                20,
            ),
            (json!({ "prompt_tokens_details": null, "completion_tokens_details": "x" }), 0, 0),
        ] {
            let mut usage = usage;
            usage["prompt_tokens"] = 100.into();
            usage["completion_tokens"] = 20.into();
            let usage = read(json!({ "choices": [{ "message": {} }], "usage": usage })).unwrap().usage;
            assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (cached, reasoning));
            assert_eq!((usage.prompt_tokens, usage.completion_tokens), (100, 20));
        }
    }

    #[test]
    fn usage_is_optional_and_may_be_odd() {
        for usage in [json!(null), json!({}), json!("many"), json!({ "prompt_tokens": null, "completion_tokens": -1 })]
        {
            let reply = read(json!({ "choices": [{ "message": {} }], "usage": usage })).unwrap();
            assert_eq!(reply.usage, TokenUsage { requests: 1, ..TokenUsage::default() });
        }
    }

    #[test]
    fn what_holds_no_reply_is_refused_with_a_reason() {
        for body in [json!({}), json!({ "choices": null }), json!({ "choices": [] }), json!({ "error": null })] {
            assert_eq!(read(body), Err(WrongShape::Malformed("it has no `choices`".into())));
        }
        let body = json!({ "choices": [{}] });
        assert_eq!(read(body), Err(WrongShape::Malformed("its first choice has no `message`".into())));
    }

    #[test]
    fn an_error_behind_a_good_status_is_still_an_error() {
        for (code, status) in
            [(json!(429), Some(429)), (json!("502"), Some(502)), (json!("odd"), None), (json!(200), None)]
        {
            let error = json!({ "message": "no", "code": code });
            let expected = WrongShape::Error { status, body: error.to_string() };
            assert_eq!(read(json!({ "error": error })), Err(expected));
        }
    }
}
