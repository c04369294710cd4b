use greensand_types::{FunctionCall, JsonKind, JsonText, Message};
use serde_json::{Map, Value, json};

use crate::{ChatRequest, Sampling, TokenLimitField, ToolDefinition};

/// Writes the body of a request to a model.
pub(crate) fn request_body(request: &ChatRequest, model: &str, token_limit_field: TokenLimitField) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    add_request(&mut body, request, token_limit_field);
    Value::Object(body)
}

/// Writes what is sent whichever the model and the endpoint are: the text that a request is known by.
pub(crate) fn request_text(request: &ChatRequest) -> String {
    let mut body = Map::new();
    add_request(&mut body, request, TokenLimitField::default());
    Value::Object(body).to_string()
}

fn add_request(body: &mut Map<String, Value>, request: &ChatRequest, token_limit_field: TokenLimitField) {
    body.insert("messages".into(), request.messages.iter().map(message).collect());
    // An empty list of tools is an error to some servers.
    if !request.tools.is_empty() {
        body.insert("tools".into(), request.tools.iter().map(tool).collect());
    }
    let Sampling { temperature, max_tokens, seed } = request.sampling;
    if let Some(temperature) = temperature {
        body.insert("temperature".into(), temperature.into());
    }
    if let Some(max_tokens) = max_tokens {
        body.insert(token_limit_field.as_str().into(), max_tokens.into());
    }
    if let Some(seed) = seed {
        body.insert("seed".into(), seed.into());
    }
}

fn tool(tool: &ToolDefinition) -> Value {
    json!({
        "type": "function",
        "function": { "name": tool.name, "description": tool.description, "parameters": tool.parameters },
    })
}

fn message(message: &Message) -> Value {
    match message {
        Message::System { text } => json!({ "role": "system", "content": text }),
        Message::User { text } => json!({ "role": "user", "content": text }),
        Message::Assistant { text, calls } if calls.is_empty() => json!({ "role": "assistant", "content": text }),
        Message::Assistant { text, calls } => {
            let content = if text.is_empty() { Value::Null } else { text.as_str().into() };
            let calls: Vec<_> = calls.iter().map(call).collect();
            json!({ "role": "assistant", "content": content, "tool_calls": calls })
        }
        Message::Tool { call, content } => json!({ "role": "tool", "tool_call_id": call, "content": content }),
    }
}

fn call(call: &FunctionCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": sendable_name(&call.name), "arguments": sendable_arguments(&call.arguments) },
    })
}

/// Endpoints refuse a whole conversation over one bad name in it, although a model of theirs wrote it.
fn sendable_name(name: &str) -> String {
    let is_plain = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    let name: String =
        name.chars().take(64).map(|character| if is_plain(&character) { character } else { '_' }).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// Many servers parse the arguments of earlier calls and refuse the conversation when they are not a JSON object.
/// The text stays readable to the model that wrote it.
fn sendable_arguments(arguments: &str) -> String {
    match JsonText::parse(arguments) {
        Ok(json) if json.kind() == JsonKind::Object => arguments.to_owned(),
        Ok(_) | Err(_) => json!({ "malformed_arguments": arguments }).to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::Role;

    /// A request of an assistant with nothing but messages.
    pub(in crate::wire) fn asked(messages: Vec<Message>) -> ChatRequest {
        ChatRequest {
            role: Role::Assistant,
            task: None,
            turn: 0,
            epoch: 0,
            repeat: 0,
            functions: Vec::new(),
            messages,
            tools: Vec::new(),
            sampling: Sampling::default(),
        }
    }

    fn check(messages: Vec<Message>, expected: Value) {
        assert_eq!(request_body(&asked(messages), "m", TokenLimitField::MaxTokens)["messages"], expected);
    }

    fn calls(name: &str, arguments: &str) -> Message {
        let call = FunctionCall { id: "c1".into(), name: name.into(), arguments: arguments.into() };
        Message::Assistant { text: String::new(), calls: vec![call] }
    }

    #[test]
    fn every_kind_of_message_has_its_wire_form() {
        check(
            vec![
                Message::System { text: "be exact".into() },
                Message::User { text: "1+1?".into() },
                calls("add", r#"{"a":1,"b":1}"#),
                Message::Tool { call: "c1".into(), content: "2".into() },
                Message::Assistant { text: "2".into(), calls: Vec::new() },
            ],
            json!([
                { "role": "system", "content": "be exact" },
                { "role": "user", "content": "1+1?" },
                { "role": "assistant", "content": null, "tool_calls": [
                    { "id": "c1", "type": "function", "function": { "name": "add", "arguments": "{\"a\":1,\"b\":1}" } },
                ] },
                { "role": "tool", "tool_call_id": "c1", "content": "2" },
                { "role": "assistant", "content": "2" },
            ]),
        );
    }

    #[test]
    fn what_is_absent_is_not_sent() {
        let body = request_body(&asked(Vec::new()), "m", TokenLimitField::MaxTokens);
        assert_eq!(body, json!({ "model": "m", "messages": [] }));
    }

    #[test]
    fn sampling_is_sent_under_the_names_of_the_settings() {
        let mut request = asked(Vec::new());
        request.sampling = Sampling { temperature: Some(0.5), max_tokens: Some(9), seed: Some(7) };
        request.tools =
            vec![ToolDefinition { name: "f".into(), description: "d".into(), parameters: json!({ "type": "object" }) }];
        assert_eq!(
            request_body(&request, "m", TokenLimitField::MaxCompletionTokens),
            json!({
                "model": "m", "messages": [], "temperature": 0.5, "max_completion_tokens": 9, "seed": 7,
                "tools": [{ "type": "function", "function":
                    { "name": "f", "description": "d", "parameters": { "type": "object" } } }],
            })
        );
    }

    #[test]
    fn a_malformed_call_in_the_history_does_not_break_the_conversation() {
        let function = |name, arguments| {
            let body = request_body(&asked(vec![calls(name, arguments)]), "m", TokenLimitField::MaxTokens);
            body["messages"][0]["tool_calls"][0]["function"].clone()
        };
        for (arguments, sent) in [
            (r#"{"a":123456789012345678901234567890}"#, r#"{"a":123456789012345678901234567890}"#),
            (r#"{"a":"#, r#"{"malformed_arguments":"{\"a\":"}"#),
            ("", r#"{"malformed_arguments":""}"#),
            ("[1]", r#"{"malformed_arguments":"[1]"}"#),
        ] {
            assert_eq!(function("f", arguments)["arguments"], sent);
        }
        assert_eq!(function("", "{}")["name"], "unnamed");
        assert_eq!(function("days between", "{}")["name"], "days_between");
        assert_eq!(function(&"é".repeat(100), "{}")["name"].as_str().unwrap().len(), 64);
    }
}
