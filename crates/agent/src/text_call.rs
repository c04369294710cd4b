//! Calls that the assistant writes as text.
//!
//! With [`CallProtocol::Text`](crate::CallProtocol::Text) that is how it calls: [`described`] tells it what there is, and a
//! block that was meant as a call and cannot be read is told apart from an answer that happens to be JSON. With tools a model
//! may still write a call as text; [`ignored_tools`] takes it for one only where it can be nothing else.

use greensand_llm::{CallShape, Flaw, TextCalls, ToolDefinition, UnreadableCall, read_text_calls};
use greensand_types::FunctionCall;

const SHAPE: CallShape<'static> = CallShape {
    name: "call",
    arguments: &["arguments", "parameters", "args"],
    example: "{\"call\": \"name_of_the_function\", \"arguments\": {..}}",
};

/// What a text asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Written {
    /// These calls.
    Calls(Vec<FunctionCall>),
    /// A call that cannot be read.
    Unreadable(UnreadableCall),
    /// No call: it is an answer.
    Nothing,
}

/// Describes functions, one after the other in the order of the list.
pub(crate) fn described(tools: &[ToolDefinition]) -> String {
    if tools.is_empty() {
        return "(there are none)".to_owned();
    }
    let line = |tool: &ToolDefinition| {
        let description = tool.description.trim().replace('\n', "\n  ");
        format!("- `{}`: {description}\n  arguments: {}", tool.name, tool.parameters)
    };
    tools.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Reads a reply of a model that calls by text.
pub(crate) fn read(text: &str) -> Written {
    match read_text_calls(text, &SHAPE) {
        Ok(found) if found.calls.is_empty() => Written::Nothing,
        Ok(found) => Written::Calls(found.calls),
        // An answer may be JSON, too: only what speaks of a call was meant as one.
        Err(unreadable) if is_meant_as_call(&unreadable) => Written::Unreadable(unreadable),
        Err(_) => Written::Nothing,
    }
}

fn is_meant_as_call(unreadable: &UnreadableCall) -> bool {
    let speaks_of =
        |member: &str| ['"', '\''].iter().any(|quote| unreadable.block.contains(&format!("{quote}{member}{quote}")));
    match unreadable.flaw {
        Flaw::OddName => true,
        Flaw::NotJson | Flaw::NotAnObject | Flaw::Unnamed => {
            speaks_of("call") || (speaks_of("name") && speaks_of("arguments"))
        }
    }
}

/// Reads a reply without calls of a model that was given tools: calls only where every one is of a known function, and
/// nothing follows them.
pub(crate) fn ignored_tools(text: &str, tools: &[ToolDefinition]) -> Written {
    match read_text_calls(text, &SHAPE) {
        Ok(TextCalls { calls, rest }) if !calls.is_empty() && rest.trim().is_empty() => {
            let is_known = |call: &FunctionCall| tools.iter().any(|tool| tool.name == call.name);
            if calls.iter().all(is_known) { Written::Calls(calls) } else { Written::Nothing }
        }
        Ok(_) | Err(_) => Written::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CALL: &str = "```json\n{\"call\": \"f\", \"arguments\": {\"a\": 1}}\n```";

    fn tools() -> Vec<ToolDefinition> {
        let parameters = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
        vec![ToolDefinition { name: "f".into(), description: "Does f.\nWell.".into(), parameters }]
    }

    fn is_call(written: &Written) -> bool {
        matches!(written, Written::Calls(calls) if calls.len() == 1 && calls[0].name == "f")
    }

    #[test]
    fn an_answer_that_is_json_is_no_call() {
        for text in ["```json\n{\"total\": 3}\n```", "{\"name\": \"Ada\"}", "```json\n[1, 2,, 3]\n```", "\\boxed{3}"] {
            assert_eq!(read(text), Written::Nothing, "{text}");
        }
    }

    #[test]
    fn what_was_meant_as_a_call_and_is_broken_is_told_apart() {
        for text in ["```json\n{\"call\": \"f\", \"arguments\": {\n```", "{'call': 'f'}", "```json\n{\"call\": 3}\n```"]
        {
            assert!(matches!(read(text), Written::Unreadable(_)), "{text}");
        }
        assert!(is_call(&read(CALL)));
    }

    #[test]
    fn with_tools_a_text_is_a_call_only_where_it_can_be_nothing_else() {
        assert!(is_call(&ignored_tools(&format!("I call f.\n{CALL}\n"), &tools())));
        assert!(is_call(&ignored_tools("<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", &tools())));
        let unclear = [
            format!("{CALL}\nThe result is 1, so \\boxed{{1}}."),
            CALL.replace("\"f\"", "\"g\""),
            "```json\n{\"call\": \"f\", \n```".to_owned(),
            "{\"a\": 1}".to_owned(),
        ];
        for text in unclear {
            assert_eq!(ignored_tools(&text, &tools()), Written::Nothing, "{text}");
        }
    }

    #[test]
    fn functions_are_described_with_their_schema() {
        let expected =
            "- `f`: Does f.\n  Well.\n  arguments: {\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}";
        let found = described(&tools());
        assert!(found.starts_with("- `f`: Does f.\n  Well.\n  arguments: {"), "{found} {expected}");
        assert_eq!(described(&[]), "(there are none)");
    }
}
