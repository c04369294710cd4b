/// The identity of one call within a conversation, as the model gave it or as the agent made it up.
pub type CallId = String;

/// A call that the assistant asks for, as the model wrote it: nothing in it is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    /// Which call the answer belongs to.
    pub id: CallId,
    /// The name of the function; it may not exist.
    pub name: String,
    /// The arguments as text; they may not be JSON.
    pub arguments: String,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Instructions.
    System {
        /// What it says.
        text: String,
    },
    /// The task, or what the user proxy says about a reply.
    User {
        /// What it says.
        text: String,
    },
    /// A reply of the model.
    Assistant {
        /// What it says; may be empty beside calls.
        text: String,
        /// The calls that it asks for, in order.
        calls: Vec<FunctionCall>,
    },
    /// The answer to one call.
    Tool {
        /// The call that is answered.
        call: CallId,
        /// The answer as the model reads it.
        content: String,
    },
}
