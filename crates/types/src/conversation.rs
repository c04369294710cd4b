use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::{CallId, CallOutcome, ContentId, FunctionCall, Message, Task, TokenUsage, Verdict};

/// What became of a call that the assistant asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum CallAnswer {
    /// It was not run: unknown function, arguments that do not fit, too many failures. The reason went to the model.
    Refused(String),
    /// It was run.
    Ran(CallOutcome),
}

/// A call with what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutedCall {
    /// The call as the model wrote it.
    pub call: FunctionCall,
    /// What became of it.
    pub answer: CallAnswer,
}

/// An open list of messages about one task, under one function set.
///
/// Invariants: tool answers follow their calls, in order, each exactly once; nothing else is said while calls
/// are open.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    task: Arc<Task>,
    set: ContentId,
    messages: Vec<Message>,
    calls: Vec<ExecutedCall>,
    open_calls: VecDeque<CallId>,
    usage: TokenUsage,
}

/// A message that does not fit the conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversationError {
    /// A tool answer to a call that is not the next open one.
    #[error("call `{0}` is not the next one that waits for an answer")]
    UnexpectedAnswer(CallId),
    /// Something else was said while calls wait for their answers.
    #[error("call `{0}` waits for its answer")]
    CallOpen(CallId),
    /// Two calls of one reply have the same id.
    #[error("call id `{0}` occurs twice in one reply")]
    DoubledCall(CallId),
}

impl Conversation {
    /// Opens a conversation about a task under a function set.
    pub fn open(task: Arc<Task>, set: ContentId) -> Self {
        Self {
            task,
            set,
            messages: Vec::new(),
            calls: Vec::new(),
            open_calls: VecDeque::new(),
            usage: TokenUsage::default(),
        }
    }

    /// Appends a message.
    ///
    /// # Errors
    /// When it is a tool answer to a call that is not the next open one, or when calls still wait for answers.
    pub fn say(&mut self, message: Message) -> Result<(), ConversationError> {
        match &message {
            Message::Tool { call, .. } => {
                if self.open_calls.front() != Some(call) {
                    return Err(ConversationError::UnexpectedAnswer(call.clone()));
                }
                self.open_calls.pop_front();
            }
            Message::System { .. } | Message::User { .. } | Message::Assistant { .. } => {
                if let Some(call) = self.open_calls.front() {
                    return Err(ConversationError::CallOpen(call.clone()));
                }
            }
        }
        if let Message::Assistant { calls, .. } = &message {
            // A reply may hold as many calls as fit into it: looking at all earlier ones for each would take for ever.
            let mut seen = HashSet::with_capacity(calls.len());
            if let Some(doubled) = calls.iter().find(|call| !seen.insert(call.id.as_str())) {
                return Err(ConversationError::DoubledCall(doubled.id.clone()));
            }
            self.open_calls = calls.iter().map(|call| call.id.clone()).collect();
        }
        self.messages.push(message);
        Ok(())
    }

    /// Keeps what became of a call.
    pub fn keep_call(&mut self, call: ExecutedCall) {
        self.calls.push(call);
    }

    /// Adds what a model reply cost.
    pub fn add_usage(&mut self, usage: TokenUsage) {
        self.usage += usage;
    }

    /// Returns the task.
    pub fn task(&self) -> &Arc<Task> {
        &self.task
    }

    /// Returns the id of the function set.
    pub fn set(&self) -> ContentId {
        self.set
    }

    /// Returns the messages so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Returns the calls so far with what became of them.
    pub fn calls(&self) -> &[ExecutedCall] {
        &self.calls
    }

    /// Closes the conversation with its verdict.
    pub fn close(self, verdict: Verdict) -> ConversationRecord {
        ConversationRecord {
            task: self.task,
            set: self.set,
            messages: self.messages,
            calls: self.calls,
            verdict,
            usage: self.usage,
        }
    }
}

/// A closed conversation. It owns its messages: nothing that happens later changes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationRecord {
    /// The task.
    pub task: Arc<Task>,
    /// The function set that both roles had.
    pub set: ContentId,
    /// The messages in order.
    pub messages: Vec<Message>,
    /// The calls in order with what became of them.
    pub calls: Vec<ExecutedCall>,
    /// What the scorer said.
    pub verdict: Verdict,
    /// What the assistant's replies cost.
    pub usage: TokenUsage,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation() -> Conversation {
        let task = Task {
            id: "t".parse().unwrap(),
            question: String::new(),
            target: String::new(),
            metadata: serde_json::Map::new(),
        };
        Conversation::open(Arc::new(task), ContentId::of("test").finish())
    }

    fn asks(ids: &[&str]) -> Message {
        let calls =
            ids.iter().map(|id| FunctionCall { id: (*id).into(), name: "f".into(), arguments: "{}".into() }).collect();
        Message::Assistant { text: String::new(), calls }
    }

    fn answers(id: &str) -> Message {
        Message::Tool { call: id.into(), content: String::new() }
    }

    #[test]
    fn answers_follow_their_calls_in_order() {
        let mut conversation = conversation();
        conversation.say(asks(&["1", "2"])).unwrap();
        assert_eq!(conversation.say(answers("2")), Err(ConversationError::UnexpectedAnswer("2".into())));
        assert_eq!(conversation.say(asks(&[])), Err(ConversationError::CallOpen("1".into())));
        conversation.say(answers("1")).unwrap();
        conversation.say(answers("2")).unwrap();
        assert_eq!(conversation.say(answers("2")), Err(ConversationError::UnexpectedAnswer("2".into())));
    }

    #[test]
    fn doubled_call_ids_are_refused() {
        assert_eq!(conversation().say(asks(&["1", "1"])), Err(ConversationError::DoubledCall("1".into())));
    }

    /// As many as an endpoint can put into the largest reply that is read. It took the square of that once.
    #[test]
    fn a_flood_of_calls_is_taken_in_one_pass() {
        let ids: Vec<String> = (0..400_000).map(|number| format!("call_{number:06}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let begun = std::time::Instant::now();
        conversation().say(asks(&ids)).unwrap();
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
