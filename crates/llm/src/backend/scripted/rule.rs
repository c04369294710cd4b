use std::time::Duration;

use greensand_types::{FunctionCall, FunctionName, Message, TokenUsage};
use regex::Regex;

use super::template::{Arguments, Found, Patterns, Template, Within};
use crate::wire::with_unique_ids;
use crate::{ChatReply, ChatRequest, FinishReason, ModelErrorKind, Role};

/// When to answer, and what.
pub(super) struct Rule {
    /// Where it stands in the script.
    pub(super) line: usize,
    pub(super) conditions: Conditions,
    pub(super) answer: Answer,
    /// The time before the answer, where the rule names one.
    pub(super) latency: Option<Duration>,
}

/// What a request must be like. What is absent holds for every request.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) role: Option<Role>,
    pub(super) task: Option<Vec<Regex>>,
    pub(super) turn: Option<Vec<u32>>,
    pub(super) epoch: Option<Vec<u32>>,
    pub(super) functions: Vec<FunctionName>,
    pub(super) without: Vec<FunctionName>,
    pub(super) question: Option<Regex>,
    pub(super) last: Option<Regex>,
}

/// The conditions, cheap ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Role,
    Turn,
    Epoch,
    Functions,
    Without,
    Task,
    Question,
    Last,
}

impl Condition {
    pub(super) const ALL: [Self; 8] =
        [Self::Role, Self::Turn, Self::Epoch, Self::Functions, Self::Without, Self::Task, Self::Question, Self::Last];

    /// Returns the key that it has in scripts.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Turn => "turn",
            Self::Epoch => "epoch",
            Self::Functions => "functions",
            Self::Without => "without",
            Self::Task => "task",
            Self::Question => "question",
            Self::Last => "last",
        }
    }
}

impl Conditions {
    pub(super) fn all_hold(&self, request: &ChatRequest) -> bool {
        Condition::ALL.into_iter().all(|condition| self.holds(condition, request))
    }

    pub(super) fn holds(&self, condition: Condition, request: &ChatRequest) -> bool {
        match condition {
            Condition::Role => self.role.is_none_or(|role| role == request.role),
            Condition::Turn => self.turn.as_ref().is_none_or(|turns| turns.contains(&request.turn)),
            Condition::Epoch => self.epoch.as_ref().is_none_or(|epochs| epochs.contains(&request.epoch)),
            Condition::Functions => self.functions.iter().all(|name| request.functions.contains(name)),
            Condition::Without => !self.without.iter().any(|name| request.functions.contains(name)),
            Condition::Task => self.task.as_ref().is_none_or(|globs| {
                request.task.as_ref().is_some_and(|task| globs.iter().any(|glob| glob.is_match(task.as_str())))
            }),
            Condition::Question => self.question.as_ref().is_none_or(|regex| regex.is_match(question(request))),
            Condition::Last => self.last.as_ref().is_none_or(|regex| regex.is_match(last(request))),
        }
    }

    pub(super) fn captures<'r>(&self, request: &'r ChatRequest) -> Found<'r> {
        Found {
            question: self.question.as_ref().and_then(|regex| regex.captures(question(request))),
            last: self.last.as_ref().and_then(|regex| regex.captures(last(request))),
        }
    }

    pub(super) fn patterns(&self) -> Patterns<'_> {
        Patterns { question: self.question.as_ref(), last: self.last.as_ref() }
    }
}

/// The first message of the user, which holds the question.
fn question(request: &ChatRequest) -> &str {
    let text = request.messages.iter().find_map(|message| match message {
        Message::User { text } => Some(text.as_str()),
        Message::System { .. } | Message::Assistant { .. } | Message::Tool { .. } => None,
    });
    text.unwrap_or("")
}

fn last(request: &ChatRequest) -> &str {
    match request.messages.last() {
        Some(Message::System { text } | Message::User { text } | Message::Assistant { text, .. }) => text,
        Some(Message::Tool { content, .. }) => content,
        None => "",
    }
}

/// What a rule answers.
pub(super) enum Answer {
    /// A reply.
    Reply(Reply),
    /// A fault, as if the endpoint had it.
    Fault(ModelErrorKind),
}

/// A reply with places for captures.
pub(super) struct Reply {
    pub(super) text: Template,
    pub(super) calls: Vec<Call>,
    pub(super) finish: Option<FinishReason>,
    pub(super) usage: TokenUsage,
}

/// A call with places for captures.
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: Arguments,
}

impl Reply {
    pub(super) fn render(&self, found: &Found<'_>, request: &ChatRequest) -> ChatReply {
        let calls = self.calls.iter().map(|call| FunctionCall {
            id: call.id.clone(),
            name: call.name.clone(),
            arguments: call.arguments.render(found),
        });
        let calls = with_unique_ids(calls.collect(), request);
        let natural = if calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
        ChatReply {
            text: self.text.render(found, Within::Text),
            calls,
            finish: self.finish.clone().unwrap_or(natural),
            usage: self.usage,
        }
    }
}
