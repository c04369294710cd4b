//! The conversation about one task as a state machine that waits for nothing.
//!
//! [`Dialogue::open`] gives the first [`Step`]: a [`Question`] for the model, a [`PendingCall`] for the runtime, or the
//! [`FinishedDialogue`]. A question is consumed by its reply, a call by its outcome, and each gives the next step, so
//! nothing can be answered twice or out of order, and a driver may stop between any two steps. The same replies and
//! outcomes always lead to the same conversation.
//!
//! Whatever the model says has a way on: unknown functions and bad arguments are refused with a reason, call ids are
//! made usable, an empty or cut reply is asked again once. The target of the task is nowhere in here but in the record:
//! the model sees the instructions, the question, and answers to its own calls.
//!
//! A request holds what fits into the prompt, see `shorten`; the record holds everything.
//!
//! Scoring the answer is for the caller, see [`solve`](crate::solve()).

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use greensand_llm::{ChatReply, ChatRequest, FinishReason, Flaw, Role, UnreadableCall};
use greensand_types::{
    CallAnswer, CallOutcome, CallStatus, Conversation, ConversationRecord, ExecutedCall, FunctionCall, Invocation,
    Language, Limits, Message, Registration, Task, Verdict,
};
use serde_json::json;

use crate::fenced_block::fenced_blocks;
use crate::shorten::{characters, fitted};
use crate::tool_answer::{cut_middle, outcome_text, refusal_text};
use crate::toolbox::{Toolbox, code_tool_name, shown};
use crate::{AgentSettings, CallProtocol, prompt, text_call};

/// The most calls, or fenced blocks, of one reply that are taken; the others are dropped, and the model is told so once.
pub const MAX_CALLS_PER_REPLY: usize = 32;

/// Under this name a call by text that could not be read stands in the record. No function can have it.
const UNREADABLE: &str = "(unreadable call)";

/// So much of such a call is kept, in characters.
const MAX_KEPT_BLOCK: usize = 2000;

/// What is taken for the length of a token.
const CHARACTERS_PER_TOKEN: usize = 4;

/// What is to be done next.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// The model is to reply.
    AskModel(Question),
    /// A call is to be run.
    RunCall(PendingCall),
    /// The conversation has ended and waits for its verdict.
    Finished(FinishedDialogue),
}

/// When a task is worked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Occasion {
    /// The epoch, for the backend's record; 0 is the evaluation of the initial set.
    pub epoch: u32,
    /// Which of several independent attempts at the task this is, from 0. It is part of the seeds of its calls.
    pub repeat: u32,
}

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With a reply that is an answer: its whole text.
    Answered(String),
    /// Without one, and why, as a sentence for the record.
    Unanswered(String),
}

/// The state between two steps. It is only ever seen inside of them.
#[derive(Debug)]
pub struct Dialogue {
    conversation: Conversation,
    toolbox: Toolbox,
    settings: AgentSettings,
    occasion: Occasion,
    turns: u32,
    failed_calls: u32,
    /// Why the tools were withdrawn, once they are.
    withdrawn: Option<String>,
    was_nudged: bool,
    /// What was wrong with calls by text that could not be read.
    flaws: HashSet<Flaw>,
    /// Whether one of them came a second time.
    is_flaw_repeated: bool,
    /// The most characters of a request, once the endpoint said that it was too long.
    most_characters: Option<usize>,
    seen_ids: HashSet<String>,
}

/// The calls of one reply that are not answered yet.
#[derive(Debug)]
struct Batch {
    waiting: VecDeque<(FunctionCall, Result<Invocation, String>)>,
    /// How many more there were.
    dropped: usize,
    answers: Answers,
}

/// What was written as text and not called as a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextKind {
    Blocks,
    Calls,
}

/// How the calls of a batch are answered.
#[derive(Debug)]
enum Answers {
    /// Each by a tool message.
    ToolMessages,
    /// All together by a user message, because the reply had its code or its calls as text.
    UserMessage { what: TextKind, total: usize, texts: Vec<String> },
}

impl Dialogue {
    /// Opens the conversation about a task.
    ///
    /// `default_limits` are those of the runtime, asked for each language that the settings have no limits for.
    pub fn open(
        task: Arc<Task>,
        registration: &Registration,
        settings: &AgentSettings,
        occasion: Occasion,
        default_limits: &dyn Fn(&Language) -> Option<Limits>,
    ) -> Step {
        let mut dialogue = Self {
            conversation: Conversation::open(task.clone(), registration.set_id()),
            toolbox: Toolbox::new(registration.clone(), settings, occasion.repeat, default_limits),
            settings: settings.clone(),
            occasion,
            turns: 0,
            failed_calls: 0,
            withdrawn: None,
            was_nudged: false,
            flaws: HashSet::new(),
            is_flaw_repeated: false,
            most_characters: None,
            seen_ids: HashSet::new(),
        };
        if let Some(text) = system_text(settings, &dialogue.toolbox) {
            dialogue.say(Message::System { text });
        }
        dialogue.say(Message::User { text: task.question.clone() });
        dialogue.ask()
    }

    /// Asks for the next reply, for the last time without tools.
    fn ask(mut self) -> Step {
        let last_turn = self.settings.max_turns.max(1) - 1;
        if self.withdrawn.is_none() {
            let reason = if self.turns >= last_turn {
                Some(format!("the limit of {} is reached", count(self.settings.max_turns.max(1), "reply", "replies")))
            } else if self.failed_calls > self.settings.max_failed_calls {
                Some(format!("{} failed", count(self.failed_calls, "call", "calls")))
            } else if self.is_flaw_repeated {
                Some("two calls could not be read for the same reason".to_owned())
            } else {
                None
            };
            if let Some(reason) = reason {
                if self.turns > 0 {
                    self.say(Message::User { text: prompt::answer_now(&reason) });
                }
                self.withdrawn = Some(reason);
            }
        }
        Step::AskModel(Question(Box::new(self)))
    }

    /// Asks again after a reply that is no answer, once.
    fn nudge(mut self, note: String) -> Step {
        self.was_nudged = true;
        self.say(Message::User { text: note });
        self.ask()
    }

    fn may_nudge(&self) -> bool {
        !self.was_nudged && self.turns < self.settings.max_turns
    }

    fn finish(self, ending: Ending) -> Step {
        Step::Finished(FinishedDialogue { conversation: self.conversation, ending })
    }

    fn unanswered(self, what: &str) -> Step {
        let reason = self.withdrawn.as_ref().map(|reason| format!(" after the tools were withdrawn: {reason}"));
        let feedback = format!("no answer: {what}{}", reason.unwrap_or_default());
        self.finish(Ending::Unanswered(feedback))
    }

    /// Runs or refuses what waits, in order, up to the next call that is to be run.
    fn go_on(mut self, mut batch: Batch) -> Step {
        while let Some((call, plan)) = batch.waiting.pop_front() {
            let plan = match plan {
                Ok(_) if self.failed_calls > self.settings.max_failed_calls => {
                    Err("too many calls of this task have failed".to_owned())
                }
                plan => plan,
            };
            match plan {
                Ok(invocation) => {
                    let pending =
                        PendingCall { dialogue: Box::new(self), batch, call, invocation: Box::new(invocation) };
                    return Step::RunCall(pending);
                }
                Err(reason) => self.answer(&mut batch, call, CallAnswer::Refused(reason)),
            }
        }
        if let Answers::UserMessage { texts, .. } = batch.answers {
            self.say(Message::User { text: texts.join("\n\n") });
        }
        self.ask()
    }

    fn answer(&mut self, batch: &mut Batch, call: FunctionCall, answer: CallAnswer) {
        let (mut content, is_ok) = match &answer {
            CallAnswer::Refused(reason) => (refusal_text(reason), false),
            CallAnswer::Ran(outcome) => {
                (outcome_text(outcome, &self.settings.answer_bounds), outcome.status() == CallStatus::Ok)
            }
        };
        self.failed_calls += u32::from(!is_ok);
        if batch.dropped > 0 && batch.waiting.is_empty() {
            let dropped = batch.dropped;
            content
                .push_str(&format!("\n({dropped} more were dropped: a reply may have at most {MAX_CALLS_PER_REPLY})"));
        }
        match &mut batch.answers {
            Answers::ToolMessages => self.say(Message::Tool { call: call.id.clone(), content }),
            Answers::UserMessage { what: TextKind::Calls, texts, .. } => {
                texts.push(format!("Your call of `{}` came to this.\n{content}", shown(&call.name)));
            }
            Answers::UserMessage { what: TextKind::Blocks, total: 1, texts } => {
                texts.push(format!("Your code block was run.\n{content}"));
            }
            Answers::UserMessage { what: TextKind::Blocks, total, texts } => {
                texts.push(format!("Your code block {} of {total} was run.\n{content}", texts.len() + 1));
            }
        }
        self.conversation.keep_call(ExecutedCall { call, answer });
    }

    /// Plans the calls of a reply.
    fn plan_calls(&self, calls: &[FunctionCall], dropped: usize) -> Batch {
        let first = self.conversation.calls().len();
        let plan = |(place, call): (usize, &FunctionCall)| {
            let plan = match &self.withdrawn {
                Some(reason) => Err(format!("functions cannot be called any more: {reason}")),
                None => self.toolbox.plan(call, &self.conversation.task().id, first + place),
            };
            (call.clone(), plan)
        };
        Batch { waiting: calls.iter().enumerate().map(plan).collect(), dropped, answers: Answers::ToolMessages }
    }

    /// Plans the fenced blocks of a reply, if there are any to run.
    fn plan_blocks(&mut self, text: &str) -> Option<Batch> {
        if self.withdrawn.is_some() {
            return None;
        }
        let settings = self.settings.fenced_blocks.clone()?;
        let blocks = fenced_blocks(text).into_iter();
        let mut blocks = blocks.filter(|block| settings.runs(&block.info) && !block.code.trim().is_empty());
        let first = self.conversation.calls().len();
        let mut waiting = VecDeque::new();
        for (place, block) in blocks.by_ref().take(MAX_CALLS_PER_REPLY).enumerate() {
            let call = FunctionCall {
                id: self.usable_id("block"),
                name: code_tool_name(&settings.language),
                arguments: json!({"code": block.code}).to_string(),
            };
            let task = &self.conversation.task().id;
            let invocation = self.toolbox.plan_block(&settings.language, block.code, task, first + place);
            waiting.push_back((call, Ok(invocation)));
        }
        let total = waiting.len();
        let dropped = blocks.count();
        let answers = Answers::UserMessage { what: TextKind::Blocks, total, texts: Vec::new() };
        (total > 0).then_some(Batch { waiting, dropped, answers })
    }

    /// Gives each call an id that is new in this conversation and that every endpoint takes back.
    fn usable_calls(&mut self, calls: Vec<FunctionCall>) -> Vec<FunctionCall> {
        calls.into_iter().map(|call| FunctionCall { id: self.usable_id(&call.id), ..call }).collect()
    }

    fn usable_id(&mut self, id: &str) -> String {
        let fits = (1..=40).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if fits && self.seen_ids.insert(id.to_owned()) {
            return id.to_owned();
        }
        let mut number = self.seen_ids.len();
        loop {
            let id = format!("call_{number}");
            if self.seen_ids.insert(id.clone()) {
                return id;
            }
            number += 1;
        }
    }

    fn say(&mut self, message: Message) {
        self.conversation.say(message).expect("ids are unique, and a batch answers every call before anything is said");
    }
}

/// A request that the model is to reply to.
#[derive(Debug)]
#[must_use]
pub struct Question(Box<Dialogue>);

impl Question {
    /// Returns the request.
    pub fn request(&self) -> ChatRequest {
        let dialogue = &self.0;
        ChatRequest {
            role: Role::Assistant,
            task: Some(dialogue.conversation.task().id.clone()),
            turn: dialogue.turns,
            epoch: dialogue.occasion.epoch,
            repeat: dialogue.occasion.repeat,
            functions: dialogue.toolbox.functions(),
            messages: fitted(dialogue.conversation.messages(), dialogue.most_characters()),
            tools: match dialogue.settings.protocol {
                CallProtocol::Tools if dialogue.withdrawn.is_none() => dialogue.toolbox.tools(),
                CallProtocol::Tools | CallProtocol::Text => Vec::new(),
            },
            sampling: dialogue.settings.sampling,
        }
    }

    /// Says that the request was longer than the context of the model. The next one has half of it, as far as answers of
    /// calls can be given up; nothing comes back where that was done before, or where there is nothing to give up.
    pub fn overflowed(self) -> Option<Self> {
        let mut dialogue = self.0;
        if dialogue.most_characters.is_some() {
            return None;
        }
        let sent = fitted(dialogue.conversation.messages(), dialogue.most_characters());
        dialogue.most_characters = Some(characters(&sent) / 2);
        let next = fitted(dialogue.conversation.messages(), dialogue.most_characters());
        (characters(&next) < characters(&sent)).then_some(Self(dialogue))
    }

    /// Takes the reply and returns what is to be done next.
    pub fn replied(self, mut reply: ChatReply) -> Step {
        let mut dialogue = *self.0;
        let dropped = reply.calls.len().saturating_sub(MAX_CALLS_PER_REPLY);
        reply.calls.truncate(MAX_CALLS_PER_REPLY);
        dialogue.turns += 1;
        dialogue.conversation.add_usage(reply.usage);
        let calls = dialogue.usable_calls(reply.calls);
        dialogue.say(Message::Assistant { text: reply.text.clone(), calls: calls.clone() });
        if !calls.is_empty() {
            return dialogue.take_calls(&calls, dropped, reply.text);
        }
        dialogue.take_text(reply.text, &reply.finish)
    }
}

impl Dialogue {
    fn take_calls(mut self, calls: &[FunctionCall], dropped: usize, text: String) -> Step {
        let mut batch = self.plan_calls(calls, dropped);
        if self.withdrawn.is_none() {
            return self.go_on(batch);
        }
        while let Some((call, plan)) = batch.waiting.pop_front() {
            let reason = plan.err().unwrap_or_default();
            self.answer(&mut batch, call, CallAnswer::Refused(reason));
        }
        if text.trim().is_empty() {
            return self.unanswered("the model went on calling functions");
        }
        self.finish(Ending::Answered(text))
    }

    fn take_text(mut self, text: String, finish: &FinishReason) -> Step {
        let is_empty = text.trim().is_empty();
        let was_cut = *finish == FinishReason::Length;
        if (is_empty || was_cut) && self.may_nudge() {
            return self.nudge(if was_cut { prompt::cut_reply() } else { prompt::empty_reply() });
        }
        if is_empty {
            return self.unanswered("the last reply was empty");
        }
        match self.written_calls(&text) {
            text_call::Written::Calls(calls) => {
                let batch = self.plan_written(calls);
                return self.go_on(batch);
            }
            text_call::Written::Unreadable(unreadable) => return self.answer_unreadable(unreadable),
            text_call::Written::Nothing => {}
        }
        match self.plan_blocks(&text) {
            Some(batch) => self.go_on(batch),
            None => self.finish(Ending::Answered(text)),
        }
    }

    fn written_calls(&self, text: &str) -> text_call::Written {
        if self.withdrawn.is_some() {
            return text_call::Written::Nothing;
        }
        match self.settings.protocol {
            CallProtocol::Text => text_call::read(text),
            CallProtocol::Tools => text_call::ignored_tools(text, &self.toolbox.tools()),
        }
    }

    fn plan_written(&mut self, mut calls: Vec<FunctionCall>) -> Batch {
        let dropped = calls.len().saturating_sub(MAX_CALLS_PER_REPLY);
        calls.truncate(MAX_CALLS_PER_REPLY);
        let calls = self.usable_calls(calls);
        let answers = Answers::UserMessage { what: TextKind::Calls, total: calls.len(), texts: Vec::new() };
        Batch { answers, ..self.plan_calls(&calls, dropped) }
    }

    /// Says once what is wrong. The same mistake a second time is not explained again: the tools are withdrawn instead.
    fn answer_unreadable(mut self, unreadable: UnreadableCall) -> Step {
        let UnreadableCall { flaw, reason, block } = unreadable;
        self.is_flaw_repeated = !self.flaws.insert(flaw);
        self.failed_calls += 1;
        let block = cut_middle(&block, MAX_KEPT_BLOCK);
        let call = FunctionCall { id: self.usable_id("block"), name: UNREADABLE.to_owned(), arguments: block };
        self.conversation.keep_call(ExecutedCall { call, answer: CallAnswer::Refused(reason.clone()) });
        if !self.is_flaw_repeated {
            self.say(Message::User { text: prompt::unreadable_call(&reason) });
        }
        self.ask()
    }

    /// The most characters that the next request may have.
    fn most_characters(&self) -> usize {
        self.most_characters.unwrap_or(self.settings.prompt_tokens.saturating_mul(CHARACTERS_PER_TOKEN))
    }
}

/// A call that is to be run.
#[derive(Debug)]
#[must_use]
pub struct PendingCall {
    dialogue: Box<Dialogue>,
    batch: Batch,
    call: FunctionCall,
    invocation: Box<Invocation>,
}

impl PendingCall {
    /// Returns the call as the model wrote it, under an id that can be used.
    pub fn call(&self) -> &FunctionCall {
        &self.call
    }

    /// Returns what the runtime is to run.
    pub fn invocation(&self) -> &Invocation {
        &self.invocation
    }

    /// Takes the outcome and returns what is to be done next.
    pub fn answered(self, outcome: CallOutcome) -> Step {
        let Self { mut dialogue, mut batch, call, invocation: _ } = self;
        dialogue.answer(&mut batch, call, CallAnswer::Ran(outcome));
        dialogue.go_on(batch)
    }
}

/// A conversation that has ended.
#[derive(Debug)]
#[must_use]
pub struct FinishedDialogue {
    conversation: Conversation,
    ending: Ending,
}

impl FinishedDialogue {
    /// Returns how it ended.
    pub fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Returns the messages and calls.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// Closes the conversation with its verdict.
    pub fn close(self, verdict: Verdict) -> ConversationRecord {
        self.conversation.close(verdict)
    }
}

fn system_text(settings: &AgentSettings, toolbox: &Toolbox) -> Option<String> {
    let instructions = Some(settings.instructions.clone()).filter(|text| !text.is_empty());
    let blocks = settings.fenced_blocks.as_ref().map(|blocks| prompt::fenced_blocks(&blocks.language));
    let calls = match settings.protocol {
        CallProtocol::Tools => None,
        CallProtocol::Text => Some(prompt::text_protocol(&text_call::described(&toolbox.tools()))),
    };
    let parts: Vec<String> = instructions.into_iter().chain(calls).chain(blocks).collect();
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

fn count(number: u32, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
