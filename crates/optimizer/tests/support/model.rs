use std::collections::VecDeque;
use std::sync::Mutex;

use greensand_llm::{ChatReply, ChatRequest, FinishReason, ModelBackend, ModelError, ModelErrorKind};
use greensand_types::{BoxFuture, FunctionCall, Message, TokenUsage};
use serde_json::Value;

/// A model that gives its replies in order, fails where told to, and keeps what it was asked.
#[derive(Default)]
pub struct Model {
    replies: Mutex<VecDeque<Option<ChatReply>>>,
    requests: Mutex<Vec<ChatRequest>>,
}

impl Model {
    pub fn says(replies: impl IntoIterator<Item = ChatReply>) -> Self {
        Self::with(replies.into_iter().map(Some))
    }

    /// `None` is a request that fails.
    pub fn with(replies: impl IntoIterator<Item = Option<ChatReply>>) -> Self {
        Self { replies: Mutex::new(replies.into_iter().collect()), requests: Mutex::default() }
    }

    pub fn requests(&self) -> Vec<ChatRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// What the model was told after its reply number `turn`.
    pub fn told_after(&self, turn: usize) -> String {
        let request = &self.requests()[turn + 1];
        let answers = request.messages.iter().rev().take_while(|message| !matches!(message, Message::Assistant { .. }));
        let mut texts: Vec<String> = answers
            .map(|message| match message {
                Message::System { text } | Message::User { text } | Message::Assistant { text, .. } => text.clone(),
                Message::Tool { content, .. } => content.clone(),
            })
            .collect();
        texts.reverse();
        texts.join("\n")
    }
}

impl ModelBackend for Model {
    fn label(&self) -> String {
        "test".to_owned()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        self.requests.lock().unwrap().push(request.clone());
        let reply = self.replies.lock().unwrap().pop_front().flatten();
        Box::pin(async move { reply.ok_or_else(|| ModelError::new(ModelErrorKind::RateLimited, "too many requests")) })
    }
}

pub fn text(text: &str) -> ChatReply {
    reply(text, Vec::new(), FinishReason::Stop)
}

pub fn silent() -> ChatReply {
    text("")
}

/// A reply that was cut off.
pub fn length(text: &str, calls: &[(&str, Value)]) -> ChatReply {
    ChatReply { finish: FinishReason::Length, text: text.to_owned(), ..self::calls(calls) }
}

pub fn call(name: &str, arguments: Value) -> ChatReply {
    calls(&[(name, arguments)])
}

/// A text among the arguments is sent as it stands, so that broken JSON can be sent.
pub fn calls(calls: &[(&str, Value)]) -> ChatReply {
    let call = |(index, (name, arguments)): (usize, &(&str, Value))| FunctionCall {
        id: format!("call-{index}"),
        name: (*name).to_owned(),
        arguments: arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned),
    };
    reply("", calls.iter().enumerate().map(call).collect(), FinishReason::ToolCalls)
}

fn reply(text: &str, calls: Vec<FunctionCall>, finish: FinishReason) -> ChatReply {
    let usage = TokenUsage { requests: 1, prompt_tokens: 100, completion_tokens: 10, ..TokenUsage::default() };
    ChatReply { text: text.to_owned(), calls, finish, usage }
}
