//! The actions as the optimizer model is offered them: verbs, fields, and the tool definitions.

use greensand_llm::ToolDefinition;
use serde_json::{Value, json};

/// An action that the model may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Add,
    Revise,
    Remove,
    Terminate,
}

impl Verb {
    /// The verbs that are offered as tools. Ending the step needs no tool: it is said in words.
    pub(crate) const TOOLS: [Self; 3] = [Self::Add, Self::Revise, Self::Remove];

    /// Reads what the model called; the bare verb does, and so does any case.
    pub(crate) fn read(written: &str) -> Option<Self> {
        match written.trim().to_ascii_lowercase().as_str() {
            "add_function" | "add" => Some(Self::Add),
            "revise_function" | "revise" => Some(Self::Revise),
            "remove_function" | "remove" => Some(Self::Remove),
            "terminate" => Some(Self::Terminate),
            _ => None,
        }
    }

    /// Returns the name of its tool.
    pub(crate) fn tool(self) -> &'static str {
        match self {
            Self::Add => "add_function",
            Self::Revise => "revise_function",
            Self::Remove => "remove_function",
            Self::Terminate => "terminate",
        }
    }

    /// Returns the word that stands in journals, as `Action::verb` has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Revise => "revise",
            Self::Remove => "remove",
            Self::Terminate => "terminate",
        }
    }

    /// Returns the fields of its arguments.
    pub(crate) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Add | Self::Revise => {
                &["name", "description", "parameters", "packages", "language", "source", "examples"]
            }
            Self::Remove => &["name", "reason"],
            Self::Terminate => &[],
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Add => "Add a function under a name that is not taken.",
            Self::Revise => "Replace the function of the same name; give the whole new definition.",
            Self::Remove => "Remove a function that does not help or does harm.",
            Self::Terminate => "End the step; the set stays as it is.",
        }
    }
}

/// Returns the actions as tools.
pub(crate) fn tools() -> Vec<ToolDefinition> {
    let tool = |verb: Verb| ToolDefinition {
        name: verb.tool().to_owned(),
        description: verb.description().to_owned(),
        parameters: schema(verb),
    };
    Verb::TOOLS.map(tool).into()
}

fn schema(verb: Verb) -> Value {
    let fields = verb.fields();
    let properties: serde_json::Map<String, Value> =
        fields.iter().map(|field| ((*field).to_owned(), field_schema(field))).collect();
    let required: Vec<&&str> = fields.iter().filter(|field| !matches!(**field, "packages" | "language")).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn field_schema(field: &str) -> Value {
    match field {
        "name" => text("The name: letters, digits and `_`. The source defines the function under this very name."),
        "description" => text("What the function gives and when to call it. The assistant decides by this sentence."),
        "parameters" => json!({
            "type": "object",
            "description": "JSON Schema of the arguments: {\"type\": \"object\", \"properties\": {..}, \"required\": [..]}. \
                            Its properties are the parameters of the definition.",
        }),
        "packages" => json!({
            "type": "array",
            "items": {"type": "string"},
            "description": "Packages beyond the standard library that the source imports; only those that are allowed.",
        }),
        "language" => text("The language of the source."),
        "source" => text("The whole definition, with its imports and helpers."),
        "examples" => json!({
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "arguments": {"type": "object", "description": "The arguments by name."},
                    "result": {"description": "The value that the function must return for them."},
                },
                "required": ["arguments", "result"],
            },
            "description": "Arguments and the result that each must give. They are run before the function is let in.",
        }),
        _ => text("Why."),
    }
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}
