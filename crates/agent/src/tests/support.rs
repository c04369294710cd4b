//! A backend that replies from a list and a runtime that answers from a list, for the tests of this crate.

use std::collections::VecDeque;
use std::future::ready;
use std::sync::{Arc, Mutex};

use greensand_llm::{ChatReply, ChatRequest, FinishReason, ModelBackend, ModelError, ModelErrorKind};
use greensand_types::{
    BoxFuture, CallEnding, CallOutcome, DescribeOutcome, Failure, FunctionCall, FunctionDraft, FunctionRuntime,
    FunctionSet, FunctionSignature, HostFault, Invocation, JsonText, Language, Limits, Registration, SourceText, Task,
    TokenUsage, ValidatedFunction,
};
use serde_json::{Map, Value, json};

/// Replies in order, then fails; keeps every request.
pub(super) struct Model {
    replies: Mutex<VecDeque<ChatReply>>,
    pub(super) requests: Mutex<Vec<ChatRequest>>,
    context: usize,
}

impl Model {
    pub(super) fn new(replies: Vec<ChatReply>) -> Self {
        Self { replies: Mutex::new(replies.into()), requests: Mutex::new(Vec::new()), context: usize::MAX }
    }

    /// Refuses conversations that are longer.
    pub(super) fn with_context(self, context: usize) -> Self {
        Self { context, ..self }
    }
}

impl ModelBackend for Model {
    fn label(&self) -> String {
        "list".to_owned()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        self.requests.lock().unwrap().push(request.clone());
        let size: usize = request.messages.iter().map(|message| format!("{message:?}").len()).sum();
        if size > self.context {
            let error = ModelError::new(ModelErrorKind::ContextOverflow, "the context is exceeded");
            return Box::pin(ready(Err(error)));
        }
        let reply = self.replies.lock().unwrap().pop_front();
        Box::pin(ready(reply.ok_or_else(|| ModelError::new(ModelErrorKind::Unreachable, "no reply is left"))))
    }
}

/// Answers in order, then fails; keeps every invocation.
pub(super) struct Runtime {
    outcomes: Mutex<VecDeque<CallOutcome>>,
    pub(super) invocations: Mutex<Vec<Invocation>>,
}

impl Runtime {
    pub(super) fn new(outcomes: Vec<CallOutcome>) -> Self {
        Self { outcomes: Mutex::new(outcomes.into()), invocations: Mutex::new(Vec::new()) }
    }
}

impl FunctionRuntime for Runtime {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        self.invocations.lock().unwrap().push(invocation);
        let outcome = self.outcomes.lock().unwrap().pop_front();
        Box::pin(ready(outcome.ok_or_else(|| HostFault::new("no outcome is left"))))
    }

    fn compile(&self, _: SourceText, _: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(ready(Err(HostFault::new("this runtime does not compile"))))
    }

    fn describe(&self, _: SourceText, _: String, _: Limits) -> BoxFuture<'_, Result<DescribeOutcome, HostFault>> {
        Box::pin(ready(Err(HostFault::new("this runtime does not describe"))))
    }

    fn default_limits(&self, _: &Language) -> Option<Limits> {
        Some(Limits { memory_bytes: 128 << 20, ..Limits::DEFAULT })
    }
}

pub(super) fn says(text: &str) -> ChatReply {
    let usage = TokenUsage { requests: 1, prompt_tokens: 10, completion_tokens: 2, ..TokenUsage::default() };
    ChatReply { text: text.to_owned(), calls: Vec::new(), finish: FinishReason::Stop, usage }
}

pub(super) fn was_cut(text: &str) -> ChatReply {
    ChatReply { finish: FinishReason::Length, ..says(text) }
}

pub(super) fn calls(calls: &[(&str, &str, &str)]) -> ChatReply {
    let call = |(id, name, arguments): &(&str, &str, &str)| FunctionCall {
        id: (*id).to_owned(),
        name: (*name).to_owned(),
        arguments: (*arguments).to_owned(),
    };
    ChatReply { calls: calls.iter().map(call).collect(), finish: FinishReason::ToolCalls, ..says("") }
}

pub(super) fn returned(value: &str) -> CallOutcome {
    CallOutcome { ending: CallEnding::Returned(JsonText::parse(value).unwrap()), ..CallOutcome::invalid("") }
}

pub(super) fn raised(message: &str) -> CallOutcome {
    CallOutcome { ending: CallEnding::Raised(Failure::new(message)), ..CallOutcome::invalid("") }
}

pub(super) fn task(question: &str, target: &str) -> Arc<Task> {
    let metadata = Map::from_iter([("solution".to_owned(), json!(target))]);
    let (question, target) = (question.to_owned(), target.to_owned());
    Arc::new(Task { id: "task-1".parse().unwrap(), question, target, metadata })
}

/// Registers functions that take integers under the given names; those with `?` need not be given.
pub(super) fn registration(functions: &[(&str, &[&str])]) -> Registration {
    let function = |(name, parameters): &(&str, &[&str])| {
        let required: Vec<&str> = parameters.iter().copied().filter(|name| !name.ends_with('?')).collect();
        let properties: Map<String, Value> =
            parameters.iter().map(|name| (name.trim_end_matches('?').to_owned(), json!({"type": "integer"}))).collect();
        let schema = json!({"properties": properties, "required": required});
        ValidatedFunction::admitted(FunctionDraft {
            signature: FunctionSignature::new(name.parse().unwrap(), format!("does {name}"), schema).unwrap(),
            language: "python".parse().unwrap(),
            source: format!("def {name}(): ...").into(),
            packages: Vec::new(),
            examples: Vec::new(),
        })
    };
    Registration::of(Arc::new(FunctionSet::from_functions(functions.iter().map(function), None).unwrap()))
}
