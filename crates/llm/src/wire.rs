use greensand_types::Message;
use serde_json::{Map, Value, json};

use crate::{ChatRequest, ToolDefinition};

pub(crate) fn request_text(request: &ChatRequest) -> String {
    let mut body = Map::new();
    body.insert("messages".into(), request.messages.iter().map(message).collect());
    body.insert("tools".into(), request.tools.iter().map(tool).collect());
    Value::Object(body).to_string()
}

fn message(message: &Message) -> Value {
    json!(format!("{message:?}"))
}

fn tool(tool: &ToolDefinition) -> Value {
    json!({"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters}})
}
