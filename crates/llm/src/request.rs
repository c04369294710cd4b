use std::fmt;

use greensand_types::{ContentId, FunctionName, Message, TaskId};
use serde_json::Value;

use crate::wire;

/// For which of the two models a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The model that solves tasks.
    Assistant,
    /// The model that changes functions.
    Optimizer,
}

impl Role {
    /// Both roles.
    pub const ALL: [Self; 2] = [Self::Assistant, Self::Optimizer];

    /// Returns the word for the role, as it stands in settings, scripts and journals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assistant => "assistant",
            Self::Optimizer => "optimizer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolDefinition {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Its arguments, as a JSON Schema object.
    pub parameters: Value,
}

/// How a reply is drawn. What is absent is not sent, and is for the endpoint to choose.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sampling {
    /// The randomness of the reply; many reasoning models refuse it.
    pub temperature: Option<f64>,
    /// The most tokens that a reply may have.
    pub max_tokens: Option<u32>,
    /// The seed, for endpoints that have one.
    pub seed: Option<u64>,
}

/// Everything that a model is asked with, and for whom.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// Which of the two models is asked. Not sent.
    pub role: Role,
    /// The task of the conversation; none in an optimizer step. Not sent.
    pub task: Option<TaskId>,
    /// How many replies this conversation or step has had before. Not sent.
    pub turn: u32,
    /// The epoch; 0 is the evaluation of the initial set. Not sent.
    pub epoch: u32,
    /// Which draw of the same request this is, from 0. Not sent; a reply is only ever given again to the same draw.
    pub repeat: u32,
    /// The learned functions that are registered. Not sent as such: those that may be called are among the tools.
    pub functions: Vec<FunctionName>,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The functions that may be called, in the order in which the model sees them.
    pub tools: Vec<ToolDefinition>,
    /// How the reply is drawn.
    pub sampling: Sampling,
}

impl ChatRequest {
    /// Returns the identity of the request: everything that is sent, with role, task, turn and repeat.
    ///
    /// The epoch and the endpoint are not in it. The same request may thus be asked more than once in a run, and who
    /// keys replies by it keeps them in order.
    pub fn digest(&self) -> ContentId {
        let mut id = ContentId::of("chat request");
        id.field(self.role.as_str().as_bytes());
        id.field(&[u8::from(self.task.is_some())]);
        id.field(self.task.as_ref().map_or("", TaskId::as_str).as_bytes());
        id.field(&self.turn.to_le_bytes());
        id.field(wire::request_text(self).as_bytes());
        if self.repeat > 0 {
            id.field(&self.repeat.to_le_bytes());
        }
        id.finish()
    }

    /// Says for whom and when the request is, for messages.
    pub fn place(&self) -> String {
        let task = self.task.as_ref().map(|task| format!(", task `{task}`")).unwrap_or_default();
        let functions = match self.functions.as_slice() {
            [] => "none".to_owned(),
            names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" "),
        };
        format!("role `{}`{task}, turn {}, epoch {}, functions {functions}", self.role, self.turn, self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ChatRequest {
        ChatRequest {
            role: Role::Assistant,
            task: Some("t".parse().unwrap()),
            turn: 1,
            epoch: 1,
            repeat: 0,
            functions: Vec::new(),
            messages: vec![Message::User { text: "1+1?".into() }],
            tools: vec![ToolDefinition { name: "f".into(), description: String::new(), parameters: Value::Null }],
            sampling: Sampling::default(),
        }
    }

    fn changed(change: impl Fn(&mut ChatRequest)) -> bool {
        let mut other = request();
        change(&mut other);
        other.digest() != request().digest()
    }

    #[test]
    fn whatever_is_sent_and_for_whom_is_in_the_digest() {
        assert!(changed(|request| request.role = Role::Optimizer));
        assert!(changed(|request| request.task = None));
        assert!(changed(|request| request.turn = 2));
        assert!(changed(|request| request.repeat = 1));
        assert!(changed(|request| request.messages[0] = Message::System { text: "1+1?".into() }));
        assert!(changed(|request| request.tools[0].description.push('d')));
        assert!(changed(|request| request.tools.clear()));
        assert!(changed(|request| request.sampling.temperature = Some(0.0)));
        assert!(changed(|request| request.sampling.max_tokens = Some(1)));
        assert!(changed(|request| request.sampling.seed = Some(1)));
    }

    #[test]
    fn what_is_not_sent_does_not_change_the_digest() {
        assert!(!changed(|request| request.epoch = 2));
        assert!(!changed(|request| request.functions.push("f".parse().unwrap())));
    }

    /// Journals are keyed by digests: a change here orphans the replies of earlier runs.
    #[test]
    fn digests_are_the_same_in_every_version() {
        assert_eq!(request().digest().to_string(), "95575c99187e1494c1c8007bb77b5c35e95bf74d380cbc859bb21fe749e5b15b");
    }
}
