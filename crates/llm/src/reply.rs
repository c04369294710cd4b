use greensand_types::{FunctionCall, TokenUsage};

/// One message of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatReply {
    /// What it says; empty beside calls, and when the model said nothing at all.
    pub text: String,
    /// The calls that it asks for, in order. Ids are unique and not empty; names and arguments are unchecked.
    pub calls: Vec<FunctionCall>,
    /// Why it ended.
    pub finish: FinishReason,
    /// What it cost; zero tokens where the backend does not say.
    pub usage: TokenUsage,
}

/// Why a reply ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// It waits for the answers of its calls.
    ToolCalls,
    /// It was cut off at the limit of tokens: text and arguments may be incomplete.
    Length,
    /// The endpoint withheld it.
    ContentFilter,
    /// The endpoint gave another reason.
    Other(String),
}

impl FinishReason {
    /// Returns the word for it, as it stands on the wire and in journals.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::ToolCalls => "tool_calls",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
            Self::Other(reason) => reason,
        }
    }
}

impl From<&str> for FinishReason {
    fn from(reason: &str) -> Self {
        match reason {
            "stop" => Self::Stop,
            "tool_calls" => Self::ToolCalls,
            "length" => Self::Length,
            "content_filter" => Self::ContentFilter,
            other => Self::Other(other.to_owned()),
        }
    }
}
