//! One step: from the records of the best set to the next candidate (Algorithm 1 of the paper).
//!
//! The model is asked for actions until it ends the step, has used up its actions, or has been refused too often in a row.
//! Several actions of one reply are examined and applied in order, each against the set that the one before it left.
//! A refused action goes back with its reason, as the answer to its call. Nothing is silent: the [`StepReport`] holds every
//! proposal, and a [`StepError`] keeps what was proposed before the fault.

use std::collections::BTreeSet;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use greensand_llm::{ChatReply, ChatRequest, ModelBackend, ModelError, ModelErrorKind, Role, Sampling};
use greensand_types::{
    Action, ContentId, ConversationRecord, FunctionCall, FunctionRuntime, FunctionSet, Gate, Language, Message,
    Proposal, Rejection, StepEnd, StepReport, Task, TokenUsage,
};

use crate::actions::{Verb, tools};
use crate::admission::{
    AdmissionContext, AdmissionSettings, AdmitError, Admitted, admit_call, cut_middle, named_function, shown,
};
use crate::evidence::EvidenceBook;
use crate::prompt::{self, Prompt};
use crate::reading::{BrokenShape, Reading, read_reply, says_terminate};
use crate::training::FailedSet;

/// More actions than this of one reply are dropped: they are neither looked at nor sent back.
const MAX_CALLS_PER_REPLY: usize = 16;

/// So much of an unusable reply is kept in the conversation, in characters.
const KEPT_REPLY: usize = 4000;

/// So often the prompt is halved when it does not fit into the context of the model.
const MAX_TIMES_SHORTENED: u32 = 4;

/// How the model says what it wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ActionProtocol {
    /// The actions are offered as tools; a fenced JSON block is understood too.
    #[default]
    Tools,
    /// No tools are sent, for endpoints that refuse them; the model writes a fenced JSON block.
    Text,
}

/// The rules of a step.
#[derive(Debug, Clone)]
pub struct StepSettings {
    /// How many actions a step applies at most. Default 3.
    pub max_actions_per_step: u32,
    /// How many replies in a row may bring nothing but refusals. Default 3; 0 counts as 1.
    pub max_retries: u32,
    /// About how many tokens the first prompt of the step may have. Default 24 000.
    ///
    /// No tokens are counted: four characters are taken for one, which is too few where the text is not English or code.
    /// Of a set of more than about thirty functions the default shows those that matter most, and lists the others. The
    /// replies and answers of the step come on top. Where the endpoint says that the context of the model is exceeded, the prompt
    /// is written again with half of it, four times at most.
    pub prompt_token_budget: usize,
    /// The most functions that a task is offered; the model is told so once the set has more. Default 0, for all.
    pub offered_functions: usize,
    /// After so many epochs of measuring without a call a function is proposed for removal. Default 3; 0 proposes none.
    pub retire_after: u32,
    /// How the model says what it wants. Default [`ActionProtocol::Tools`].
    pub protocol: ActionProtocol,
    /// How its replies are drawn.
    pub sampling: Sampling,
    /// What admission allows.
    pub admission: AdmissionSettings,
}

impl StepSettings {
    /// The defaults, for functions in a language.
    pub fn new(language: Language) -> Self {
        Self {
            max_actions_per_step: 3,
            max_retries: 3,
            prompt_token_budget: 24_000,
            offered_functions: 0,
            retire_after: 3,
            protocol: ActionProtocol::default(),
            sampling: Sampling::default(),
            admission: AdmissionSettings::new(language),
        }
    }
}

/// What a step starts from.
#[derive(Debug, Clone, Copy)]
pub struct StepInput<'a> {
    /// The best set so far.
    pub best: &'a Arc<FunctionSet>,
    /// The conversations about the training tasks under it, in task order.
    pub records: &'a [ConversationRecord],
    /// What all conversations so far say of each function.
    pub evidence: &'a EvidenceBook,
    /// What was rolled back since, in ascending order of score.
    pub failures: &'a [FailedSet],
    /// The best set's score, 0 to 1.
    pub success_rate: f64,
    /// The epoch, from 1.
    pub epoch: u32,
}

/// A step that could not be finished.
#[derive(Debug, thiserror::Error)]
#[error("make step of epoch {epoch}")]
pub struct StepError {
    /// The epoch.
    pub epoch: u32,
    /// What went wrong.
    #[source]
    pub kind: StepErrorKind,
    /// What the step had done until then. The caller's records are untouched, so the step can be made again.
    pub partial: Box<PartialStep>,
}

/// What keeps a step from being finished.
#[derive(Debug, thiserror::Error)]
pub enum StepErrorKind {
    /// The model gave no reply.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The host failed while a draft was examined.
    #[error(transparent)]
    Host(#[from] AdmitError),
    /// The caller asked for the stop.
    #[error("interrupted")]
    Interrupted,
}

/// What an unfinished step had done.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialStep {
    /// The set that it started from.
    pub parent: ContentId,
    /// The set that it had come to.
    pub candidate: Arc<FunctionSet>,
    /// Every proposed action with what became of it.
    pub proposals: Vec<Proposal>,
    /// What the replies cost.
    pub usage: TokenUsage,
}

/// Makes one step.
///
/// # Errors
/// When the model gives no reply, or the host fails while a draft is examined.
pub async fn propose(
    input: StepInput<'_>,
    backend: &dyn ModelBackend,
    runtime: &dyn FunctionRuntime,
    settings: &StepSettings,
) -> Result<StepReport, StepError> {
    propose_until(input, backend, runtime, settings, pending()).await
}

/// Makes one step, unless `stop` comes first: the step then fails at once as interrupted, with what it had done.
///
/// # Errors
/// When it was stopped, the model gives no reply, or the host fails while a draft is examined.
pub async fn propose_until(
    input: StepInput<'_>,
    backend: &dyn ModelBackend,
    runtime: &dyn FunctionRuntime,
    settings: &StepSettings,
    stop: impl Future<Output = ()>,
) -> Result<StepReport, StepError> {
    let mut step = Step::begin(input, runtime, settings);
    match step.work_until(backend, stop).await {
        Ok(end) => Ok(step.report(end)),
        Err(kind) => Err(step.fail(kind)),
    }
}

struct Step<'a> {
    input: StepInput<'a>,
    runtime: &'a dyn FunctionRuntime,
    settings: &'a StepSettings,
    train: Vec<Arc<Task>>,
    candidate: FunctionSet,
    messages: Vec<Message>,
    proposals: Vec<Proposal>,
    usage: TokenUsage,
    turn: u32,
    actions: u32,
    fruitless_replies: u32,
    broken_shapes: BTreeSet<BrokenShape>,
    /// The budget that the prompt was written with.
    budget: usize,
    times_shortened: u32,
}

/// What the actions of one reply came to.
struct Answers {
    texts: Vec<String>,
    applied: u32,
    refused: u32,
    is_terminated: bool,
}

impl<'a> Step<'a> {
    fn begin(input: StepInput<'a>, runtime: &'a dyn FunctionRuntime, settings: &'a StepSettings) -> Self {
        let Prompt { system, user } = prompt::write(&input, settings);
        Self {
            input,
            runtime,
            settings,
            train: input.records.iter().map(|record| Arc::clone(&record.task)).collect(),
            candidate: FunctionSet::clone(input.best),
            messages: vec![Message::System { text: system }, Message::User { text: user }],
            proposals: Vec::new(),
            usage: TokenUsage::default(),
            turn: 0,
            actions: 0,
            fruitless_replies: 0,
            broken_shapes: BTreeSet::new(),
            budget: settings.prompt_token_budget,
            times_shortened: 0,
        }
    }

    async fn work_until(
        &mut self,
        backend: &dyn ModelBackend,
        stop: impl Future<Output = ()>,
    ) -> Result<StepEnd, StepErrorKind> {
        let (mut stop, mut work) = (pin!(stop), pin!(self.work(backend)));
        // The stop first: with a fast backend there is always work that is done.
        poll_fn(|context| match stop.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(StepErrorKind::Interrupted)),
            Poll::Pending => work.as_mut().poll(context),
        })
        .await
    }

    /// Invariant: may be dropped at any wait. What was examined until then is in `self`.
    async fn work(&mut self, backend: &dyn ModelBackend) -> Result<StepEnd, StepErrorKind> {
        if self.settings.max_actions_per_step == 0 {
            return Ok(StepEnd::ActionsSpent);
        }
        loop {
            let reply = match backend.chat(&self.request()).await {
                Err(error) if error.kind() == ModelErrorKind::ContextOverflow && self.shorten() => continue,
                reply => reply?,
            };
            if let Some(end) = self.take(reply).await? {
                return Ok(end);
            }
        }
    }

    /// Writes the prompt again with half of what it has; says whether it became shorter.
    ///
    /// The replies and answers of the step so far stay: they are what the model has done.
    fn shorten(&mut self) -> bool {
        let size: usize = self.messages.iter().take(2).map(characters_of).sum();
        self.times_shortened += 1;
        self.budget = self.budget.min(size / prompt::CHARACTERS_PER_TOKEN) / 2;
        let settings = StepSettings { prompt_token_budget: self.budget, ..self.settings.clone() };
        let Prompt { system, mut user } = prompt::write(&self.input, &settings);
        user.push_str(prompt::SHORTENED);
        let is_shorter = system.chars().count() + user.chars().count() < size;
        if is_shorter {
            self.messages[0] = Message::System { text: system };
            self.messages[1] = Message::User { text: user };
        }
        is_shorter && self.times_shortened <= MAX_TIMES_SHORTENED
    }

    fn request(&self) -> ChatRequest {
        ChatRequest {
            role: Role::Optimizer,
            task: None,
            turn: self.turn,
            epoch: self.input.epoch,
            // A step that is made again from the same records is another draw.
            repeat: self.input.epoch,
            functions: self.candidate.iter().map(|function| function.name().clone()).collect(),
            messages: self.messages.clone(),
            tools: match self.settings.protocol {
                ActionProtocol::Tools => tools(),
                ActionProtocol::Text => Vec::new(),
            },
            sampling: self.settings.sampling,
        }
    }

    /// Takes a reply; returns why the step ends, if it does.
    async fn take(&mut self, reply: ChatReply) -> Result<Option<StepEnd>, AdmitError> {
        self.turn += 1;
        self.usage += reply.usage;
        let answers = match read_reply(&reply) {
            Reading::Nothing => return Ok(Some(StepEnd::Terminated)),
            Reading::Unusable { shape, reason } => {
                let answers = self.answer_unusable(&reply, reason);
                if !self.broken_shapes.insert(shape) {
                    // What was explained once and came again would come a third time, and be paid for.
                    return Ok(Some(StepEnd::RetriesSpent));
                }
                answers
            }
            Reading::Calls(calls) => {
                let answers = self.examine_all(&calls).await?;
                self.answer_calls(reply.text.clone(), calls, &answers);
                answers
            }
            Reading::Blocks(calls) => {
                let answers = self.examine_all(&calls).await?;
                self.messages.push(Message::Assistant { text: reply.text.clone(), calls: Vec::new() });
                self.messages.push(Message::User { text: answers.texts.join("\n\n") });
                answers
            }
        };
        Ok(self.end_after(&answers, says_terminate(&reply.text)))
    }

    fn end_after(&mut self, answers: &Answers, says_terminate: bool) -> Option<StepEnd> {
        if self.actions >= self.settings.max_actions_per_step {
            return Some(StepEnd::ActionsSpent);
        }
        if answers.is_terminated || (says_terminate && answers.refused == 0) {
            return Some(StepEnd::Terminated);
        }
        self.fruitless_replies = if answers.applied == 0 { self.fruitless_replies + 1 } else { 0 };
        (self.fruitless_replies >= self.settings.max_retries.max(1)).then_some(StepEnd::RetriesSpent)
    }

    async fn examine_all(&mut self, calls: &[FunctionCall]) -> Result<Answers, AdmitError> {
        let mut answers = Answers { texts: Vec::new(), applied: 0, refused: 0, is_terminated: false };
        for call in calls.iter().take(MAX_CALLS_PER_REPLY) {
            let unexamined = if answers.is_terminated {
                Some("not looked at: the step was ended before it".to_owned())
            } else if self.actions >= self.settings.max_actions_per_step {
                Some(format!("not looked at: the step has applied its {} actions", self.actions))
            } else {
                None
            };
            let result = match unexamined {
                Some(reason) => Err(rejection(Gate::Form, call, reason)),
                None => self.examine(call).await?,
            };
            let text = match result {
                // Whoever ends the step behind an action that is refused does not know of the refusal yet.
                Ok(Admitted { action: Action::Terminate, .. }) if answers.refused > 0 => {
                    "the step goes on: an action before this was refused; correct it, or end the step again".to_owned()
                }
                Ok(Admitted { action: Action::Terminate, .. }) => {
                    answers.is_terminated = true;
                    "the step ends".to_owned()
                }
                Ok(admitted) => self.apply(admitted, &mut answers),
                Err(rejection) => self.refuse(rejection, &mut answers),
            };
            answers.texts.push(text);
        }
        if calls.len() > MAX_CALLS_PER_REPLY {
            self.drop_actions(calls.len() - MAX_CALLS_PER_REPLY, &mut answers);
        }
        Ok(answers)
    }

    /// Says once, beside the last answer, that the rest of a reply was dropped.
    fn drop_actions(&mut self, count: usize, answers: &mut Answers) {
        let reason = format!("{count} more actions were dropped: a reply may have at most {MAX_CALLS_PER_REPLY}");
        let rejection = Rejection { gate: Gate::Form, action: "too many actions".to_owned(), function: None, reason };
        let note = self.refuse(rejection, answers);
        if let Some(last) = answers.texts.last_mut() {
            *last = format!("{last}\n{note}");
        }
    }

    async fn examine(&self, call: &FunctionCall) -> Result<Result<Admitted, Rejection>, AdmitError> {
        let context = AdmissionContext {
            runtime: self.runtime,
            settings: &self.settings.admission,
            train: &self.train,
            records: self.input.records,
        };
        admit_call(call, &self.candidate, context).await
    }

    fn apply(&mut self, admitted: Admitted, answers: &mut Answers) -> String {
        let Admitted { action, mut warnings } = admitted;
        let name = action.function().map(ToString::to_string).unwrap_or_default();
        let verb = action.verb();
        match self.candidate.apply(action.clone()) {
            Ok(set) => self.candidate = set,
            // Gate `existence` looked at this very set; should they ever disagree, the set decides.
            Err(error) => {
                let rejection = Rejection {
                    gate: Gate::Existence,
                    action: verb.to_owned(),
                    function: Some(name),
                    reason: error.to_string(),
                };
                return self.refuse(rejection, answers);
            }
        }
        self.actions += 1;
        answers.applied += 1;
        warnings.extend(self.failed_before());
        self.proposals.push(Proposal::Applied { action, warnings: warnings.clone() });
        let names: Vec<String> = self.candidate.iter().map(|function| format!("`{}`", function.name())).collect();
        let mut text = format!(
            "applied; {verb} `{name}`. The candidate now holds {}. {} of {} actions are taken.",
            if names.is_empty() { "no functions".to_owned() } else { names.join(", ") },
            self.actions,
            self.settings.max_actions_per_step,
        );
        for warning in &warnings {
            text = format!("{text}\nwarning: {warning}");
        }
        text
    }

    /// Says so when the candidate is one that was measured and rolled back before.
    fn failed_before(&self) -> Option<String> {
        let failure = self.input.failures.iter().find(|failure| failure.set.id() == self.candidate.id())?;
        Some(format!("this very set was measured in epoch {} and undone; change it further", failure.epoch))
    }

    fn refuse(&mut self, rejection: Rejection, answers: &mut Answers) -> String {
        answers.refused += 1;
        let text = format!("refused at gate `{}`: {}", rejection.gate.as_str(), rejection.reason);
        self.proposals.push(Proposal::Refused(rejection));
        text
    }

    /// Invariant: each call that is sent back has its answer; the calls beyond the answers were dropped.
    fn answer_calls(&mut self, text: String, mut calls: Vec<FunctionCall>, answers: &Answers) {
        calls.truncate(answers.texts.len());
        self.messages.push(Message::Assistant { text, calls: calls.clone() });
        for (call, content) in calls.into_iter().zip(answers.texts.iter().cloned()) {
            self.messages.push(Message::Tool { call: call.id, content });
        }
    }

    /// Sends the reason back for a reply that cannot be read; its calls, if any, are answered with it.
    fn answer_unusable(&mut self, reply: &ChatReply, reason: String) -> Answers {
        let text = match reply.text.trim() {
            "" if reply.calls.is_empty() => "(empty)".to_owned(),
            text => cut_middle(text, KEPT_REPLY),
        };
        // Arguments that were cut off are not JSON, and endpoints refuse a request that repeats them.
        let unread = |call: &FunctionCall| FunctionCall { arguments: "{}".to_owned(), ..call.clone() };
        let calls: Vec<FunctionCall> = reply.calls.iter().take(MAX_CALLS_PER_REPLY).map(unread).collect();
        self.messages.push(Message::Assistant { text, calls: calls.clone() });
        for call in &calls {
            self.messages.push(Message::Tool { call: call.id.clone(), content: reason.clone() });
        }
        if calls.is_empty() {
            self.messages.push(Message::User { text: reason.clone() });
        }
        let rejection =
            Rejection { gate: Gate::Form, action: "unusable reply".to_owned(), function: None, reason: reason.clone() };
        self.proposals.push(Proposal::Refused(rejection));
        Answers { texts: vec![reason], applied: 0, refused: 1, is_terminated: false }
    }

    /// Returns the candidate as a child of the best set: the sets between two actions are nobody's parents.
    fn result(&self) -> Arc<FunctionSet> {
        if self.candidate.id() == self.input.best.id() {
            return Arc::clone(self.input.best);
        }
        let functions = self.candidate.iter().map(|function| (**function).clone());
        FunctionSet::from_functions(functions, Some(self.input.best.id()))
            .map_or_else(|_| Arc::new(self.candidate.clone()), Arc::new)
    }

    fn report(self, end: StepEnd) -> StepReport {
        StepReport {
            parent: self.input.best.id(),
            candidate: self.result(),
            proposals: self.proposals,
            end,
            usage: self.usage,
        }
    }

    fn fail(self, kind: StepErrorKind) -> StepError {
        let partial = PartialStep {
            parent: self.input.best.id(),
            candidate: self.result(),
            proposals: self.proposals,
            usage: self.usage,
        };
        StepError { epoch: self.input.epoch, kind, partial: Box::new(partial) }
    }
}

fn characters_of(message: &Message) -> usize {
    match message {
        Message::System { text } | Message::User { text } | Message::Assistant { text, .. } => text.chars().count(),
        Message::Tool { content, .. } => content.chars().count(),
    }
}

fn rejection(gate: Gate, call: &FunctionCall, reason: String) -> Rejection {
    let action = Verb::read(&call.name).map_or_else(|| shown(&call.name), |verb| verb.word().to_owned());
    Rejection { gate, action, function: named_function(&call.arguments), reason }
}
