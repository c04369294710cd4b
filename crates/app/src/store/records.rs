//! The stored forms of the values that flow, and the conversions.
//!
//! Journal and report hold these and nothing else. Fields may be added; to rename or to reinterpret one is a new
//! format number. JSON of functions and models (`JsonText`) is stored as it was written.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use greensand_llm::{ChatReply, FinishReason, RecordedReply, Role};
use greensand_types::{
    CallAnswer, CallEnding, CallOutcome, CallStatus, CallUsage, ContentId, ConversationRecord, ExecutedCall, Failure,
    FunctionCall, JsonText, KeptText, LimitKind, Message, Proposal, StepEnd, StepReport, Task, TokenUsage, Verdict,
};
use serde::{Deserialize, Serialize};

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum MessageRecord {
    /// Instructions.
    System {
        /// What it says.
        text: String,
    },
    /// The task, or what the user proxy says.
    User {
        /// What it says.
        text: String,
    },
    /// A reply.
    Assistant {
        /// What it says.
        text: String,
        /// The calls that it asks for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<CallRequestRecord>,
    },
    /// The answer to a call.
    Tool {
        /// Which call.
        call: String,
        /// What the model reads.
        content: String,
    },
}

/// A call as a model wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRequestRecord {
    /// Which call.
    pub id: String,
    /// The function.
    pub name: String,
    /// The arguments as text; they may not be JSON.
    pub arguments: String,
}

/// A call with what became of it: refused, or run to an outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The call.
    #[serde(flatten)]
    pub call: CallRequestRecord,
    /// Why it was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeRecord>,
}

/// The outcome of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutcomeRecord {
    /// The class of the outcome.
    pub status: String,
    /// The value, as the function returned it; only with `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Standard output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// Standard error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// Which of the two outputs were cut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truncated: Vec<String>,
    /// Wall clock in microseconds.
    pub wall_us: u64,
    /// Peak memory in bytes.
    pub peak_memory_bytes: u64,
    /// Bytes that left the guest.
    pub output_bytes: u64,
}

/// A verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictRecord {
    /// 0 to 1.
    pub score: f64,
    /// Whether the task counts as solved.
    pub solved: bool,
    /// The answer that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Why.
    pub feedback: String,
}

/// What replies cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// Replies.
    pub requests: u64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Tokens of the replies.
    pub completion_tokens: u64,
}

/// A closed conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConversationRecordLine {
    /// The epoch of the evaluation.
    pub epoch: u32,
    /// The split of the task.
    pub split: String,
    /// The function set.
    pub set: String,
    /// The task.
    pub task: String,
    /// The messages.
    pub messages: Vec<MessageRecord>,
    /// The calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallRecord>,
    /// The verdict.
    pub verdict: VerdictRecord,
    /// What the replies cost.
    pub usage: UsageRecord,
}

/// A task that got no score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingRecord {
    /// The epoch of the evaluation.
    pub epoch: u32,
    /// The split of the task.
    pub split: String,
    /// The function set.
    pub set: String,
    /// The task.
    pub task: String,
    /// Why.
    pub reason: String,
}

/// An evaluation that begins, or that is over and has its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// The epoch.
    pub epoch: u32,
    /// The split.
    pub split: String,
    /// The function set.
    pub set: String,
    /// How many tasks.
    pub tasks: usize,
    /// Tasks that are solved.
    #[serde(default)]
    pub solved: usize,
    /// Tasks without a score.
    #[serde(default)]
    pub missing: usize,
    /// Function calls.
    #[serde(default)]
    pub calls: usize,
    /// The mean score of the measured tasks, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// A proposed action with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalRecord {
    /// The verb, as the model wrote it.
    pub action: String,
    /// The function, as the model named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Whether it was applied.
    pub applied: bool,
    /// The id of the function that was added or that took the place of another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The gate that refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Why it was refused, or why the model removed a function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a person should look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A step of the optimizer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The epoch.
    pub epoch: u32,
    /// The set that it started from.
    pub parent: String,
    /// The set that it proposes.
    pub candidate: String,
    /// Every action in order.
    pub proposals: Vec<ProposalRecord>,
    /// Why it ended: `terminated`, `actions_spent`, `retries_spent`, or `failed`.
    pub end: String,
    /// What failed, if it ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the replies cost.
    pub usage: UsageRecord,
}

/// How a set was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// It is the initial set.
    Baseline,
    /// It is the best now.
    Accepted,
    /// The best set stays.
    RolledBack,
    /// The step changed nothing.
    Unchanged,
    /// Too many scores are missing.
    NotCompared,
}

/// A decision of the training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The epoch.
    pub epoch: u32,
    /// The set that was judged.
    pub set: String,
    /// How.
    pub decision: DecisionKind,
    /// Its score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The score that it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<f64>,
    /// Why, in a sentence.
    pub reason: String,
    /// The best set, with which both roles are registered from here on.
    pub registered: String,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRecord {
    /// `max_epochs`, `patience`, `too_much_missing`, `interrupted`, or `failed`.
    pub kind: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// A reply of a model with the request that it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyRecord {
    /// Which of the two models.
    pub role: String,
    /// The epoch.
    pub epoch: u32,
    /// The task, if it is the assistant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Which reply of the conversation or step, from 0.
    pub turn: u32,
    /// The id of the request.
    pub request: String,
    /// What the reply says.
    pub text: String,
    /// The calls that it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallRequestRecord>,
    /// Why it ended.
    pub finish: String,
    /// What it cost.
    pub usage: UsageRecord,
}

impl From<&FunctionCall> for CallRequestRecord {
    fn from(call: &FunctionCall) -> Self {
        Self { id: call.id.clone(), name: call.name.clone(), arguments: call.arguments.clone() }
    }
}

impl From<CallRequestRecord> for FunctionCall {
    fn from(record: CallRequestRecord) -> Self {
        Self { id: record.id, name: record.name, arguments: record.arguments }
    }
}

impl From<&Message> for MessageRecord {
    fn from(message: &Message) -> Self {
        match message {
            Message::System { text } => Self::System { text: text.clone() },
            Message::User { text } => Self::User { text: text.clone() },
            Message::Assistant { text, calls } => {
                Self::Assistant { text: text.clone(), calls: calls.iter().map(Into::into).collect() }
            }
            Message::Tool { call, content } => Self::Tool { call: call.clone(), content: content.clone() },
        }
    }
}

impl From<MessageRecord> for Message {
    fn from(record: MessageRecord) -> Self {
        match record {
            MessageRecord::System { text } => Self::System { text },
            MessageRecord::User { text } => Self::User { text },
            MessageRecord::Assistant { text, calls } => {
                Self::Assistant { text, calls: calls.into_iter().map(Into::into).collect() }
            }
            MessageRecord::Tool { call, content } => Self::Tool { call, content },
        }
    }
}

impl From<&ExecutedCall> for CallRecord {
    fn from(executed: &ExecutedCall) -> Self {
        let (refused, outcome) = match &executed.answer {
            CallAnswer::Refused(reason) => (Some(reason.clone()), None),
            CallAnswer::Ran(outcome) => (None, Some(outcome.into())),
        };
        Self { call: (&executed.call).into(), refused, outcome }
    }
}

impl TryFrom<CallRecord> for ExecutedCall {
    type Error = String;

    fn try_from(record: CallRecord) -> Result<Self, String> {
        let answer = match (record.refused, record.outcome) {
            (Some(reason), None) => CallAnswer::Refused(reason),
            (None, Some(outcome)) => CallAnswer::Ran(outcome.try_into()?),
            _ => return Err(format!("call `{}` needs either `refused` or `outcome`", record.call.id)),
        };
        Ok(Self { call: record.call.into(), answer })
    }
}

impl From<&CallOutcome> for OutcomeRecord {
    fn from(outcome: &CallOutcome) -> Self {
        let cut = [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)];
        let failure = outcome.failure();
        Self {
            status: outcome.status().as_str().into(),
            value: outcome.value().map(|value| value.get().to_owned()),
            message: failure.map(|failure| failure.message.clone()),
            trace: failure.and_then(|failure| failure.trace.clone()),
            stdout: outcome.stdout.text.clone(),
            stderr: outcome.stderr.text.clone(),
            truncated: cut.iter().filter(|(_, kept)| kept.is_truncated).map(|(name, _)| (*name).to_owned()).collect(),
            wall_us: u64::try_from(outcome.usage.wall.as_micros()).unwrap_or(u64::MAX),
            peak_memory_bytes: outcome.usage.peak_memory_bytes,
            output_bytes: outcome.usage.output_bytes,
        }
    }
}

impl TryFrom<OutcomeRecord> for CallOutcome {
    type Error = String;

    fn try_from(record: OutcomeRecord) -> Result<Self, String> {
        let status = CallStatus::ALL.into_iter().find(|status| status.as_str() == record.status);
        let failure = Failure { message: record.message.unwrap_or_default(), trace: record.trace };
        let ending = match status.ok_or_else(|| format!("unknown outcome class `{}`", record.status))? {
            CallStatus::Ok => {
                let value = record.value.ok_or("an outcome `ok` without a value")?;
                CallEnding::Returned(JsonText::parse(&value).map_err(|error| error.to_string())?)
            }
            CallStatus::Error => CallEnding::Raised(failure),
            CallStatus::Timeout => CallEnding::LimitHit(LimitKind::Wall, failure),
            CallStatus::Memory => CallEnding::LimitHit(LimitKind::Memory, failure),
            CallStatus::OutputLimit => CallEnding::LimitHit(LimitKind::Output, failure),
            CallStatus::Denied => CallEnding::Denied(failure),
            CallStatus::Invalid => CallEnding::Invalid(failure),
        };
        let is_cut = |name: &str| record.truncated.iter().any(|cut| cut == name);
        Ok(Self {
            ending,
            stdout: KeptText { is_truncated: is_cut("stdout"), text: record.stdout },
            stderr: KeptText { is_truncated: is_cut("stderr"), text: record.stderr },
            usage: CallUsage {
                wall: Duration::from_micros(record.wall_us),
                peak_memory_bytes: record.peak_memory_bytes,
                output_bytes: record.output_bytes,
            },
        })
    }
}

impl From<&Verdict> for VerdictRecord {
    fn from(verdict: &Verdict) -> Self {
        Self {
            score: verdict.score,
            solved: verdict.is_satisfied,
            answer: verdict.answer.clone(),
            feedback: verdict.feedback.clone(),
        }
    }
}

impl From<VerdictRecord> for Verdict {
    fn from(record: VerdictRecord) -> Self {
        Self { score: record.score, is_satisfied: record.solved, answer: record.answer, feedback: record.feedback }
    }
}

impl From<TokenUsage> for UsageRecord {
    fn from(usage: TokenUsage) -> Self {
        Self {
            requests: usage.requests,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
        }
    }
}

impl From<UsageRecord> for TokenUsage {
    fn from(record: UsageRecord) -> Self {
        Self {
            requests: record.requests,
            prompt_tokens: record.prompt_tokens,
            completion_tokens: record.completion_tokens,
        }
    }
}

impl ConversationRecordLine {
    /// Stores a conversation of an evaluation.
    pub fn of(epoch: u32, split: &str, record: &ConversationRecord) -> Self {
        Self {
            epoch,
            split: split.into(),
            set: record.set.to_string(),
            task: record.task.id.to_string(),
            messages: record.messages.iter().map(Into::into).collect(),
            calls: record.calls.iter().map(Into::into).collect(),
            verdict: (&record.verdict).into(),
            usage: record.usage.into(),
        }
    }

    /// Reads the conversation back, given its task.
    ///
    /// # Errors
    /// When an id, a class or a value is not what was written there.
    pub fn into_record(self, task: Arc<Task>) -> Result<ConversationRecord, String> {
        Ok(ConversationRecord {
            task,
            set: ContentId::from_str(&self.set).map_err(|error| error.to_string())?,
            messages: self.messages.into_iter().map(Into::into).collect(),
            calls: self.calls.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            verdict: self.verdict.into(),
            usage: self.usage.into(),
        })
    }
}

impl From<&Proposal> for ProposalRecord {
    fn from(proposal: &Proposal) -> Self {
        match proposal {
            Proposal::Applied { action, warnings } => {
                use greensand_types::Action::{Add, Remove, Revise, Terminate};
                let (id, reason) = match action {
                    Add(function) | Revise(function) => (Some(function.id().to_string()), None),
                    Remove { reason, .. } => (None, Some(reason.clone())),
                    Terminate => (None, None),
                };
                Self {
                    action: action.verb().into(),
                    function: action.function().map(ToString::to_string),
                    applied: true,
                    id,
                    gate: None,
                    reason,
                    warnings: warnings.clone(),
                }
            }
            Proposal::Refused(rejection) => Self {
                action: rejection.action.clone(),
                function: rejection.function.clone(),
                applied: false,
                id: None,
                gate: Some(rejection.gate.as_str().into()),
                reason: Some(rejection.reason.clone()),
                warnings: Vec::new(),
            },
        }
    }
}

impl StepRecord {
    /// Stores a step; `error` is what cut it short.
    pub fn of(epoch: u32, report: &StepReport, error: Option<String>) -> Self {
        let end = match report.end {
            StepEnd::Terminated => "terminated",
            StepEnd::ActionsSpent => "actions_spent",
            StepEnd::RetriesSpent => "retries_spent",
        };
        Self {
            epoch,
            parent: report.parent.to_string(),
            candidate: report.candidate.id().to_string(),
            proposals: report.proposals.iter().map(Into::into).collect(),
            end: if error.is_some() { "failed".into() } else { end.into() },
            error,
            usage: report.usage.into(),
        }
    }
}

impl ReplyRecord {
    /// Stores a reply with the request that it answered.
    pub fn of(request: &greensand_llm::ChatRequest, reply: &ChatReply) -> Self {
        Self {
            role: request.role.as_str().into(),
            epoch: request.epoch,
            task: request.task.as_ref().map(ToString::to_string),
            turn: request.turn,
            request: request.digest().to_string(),
            text: reply.text.clone(),
            calls: reply.calls.iter().map(Into::into).collect(),
            finish: reply.finish.as_str().into(),
            usage: reply.usage.into(),
        }
    }

    /// Says whether it is of a role.
    pub fn is_of(&self, role: Role) -> bool {
        self.role == role.as_str()
    }

    /// Reads it back, for the `replay` backend.
    ///
    /// # Errors
    /// When the id of the request is none.
    pub fn into_reply(self) -> Result<RecordedReply, String> {
        Ok(RecordedReply {
            request: ContentId::from_str(&self.request).map_err(|error| error.to_string())?,
            reply: ChatReply {
                text: self.text,
                calls: self.calls.into_iter().map(Into::into).collect(),
                finish: FinishReason::from(self.finish.as_str()),
                usage: self.usage.into(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(ending: CallEnding) -> CallOutcome {
        CallOutcome {
            ending,
            stdout: KeptText { text: "out".into(), is_truncated: true },
            stderr: KeptText::default(),
            usage: CallUsage { wall: Duration::from_micros(1500), peak_memory_bytes: 7, output_bytes: 3 },
        }
    }

    fn task() -> Arc<Task> {
        Arc::new(Task {
            id: "t".parse().unwrap(),
            question: "q".into(),
            target: "a".into(),
            metadata: serde_json::Map::new(),
        })
    }

    #[test]
    fn a_conversation_comes_back_as_it_was() {
        let failure = || Failure { message: "no".into(), trace: Some("line 1".into()) };
        let answers = [
            CallAnswer::Refused("unknown function".into()),
            CallAnswer::Ran(outcome(CallEnding::Returned(
                JsonText::parse("[123456789012345678901234567890, null]").unwrap(),
            ))),
            CallAnswer::Ran(outcome(CallEnding::Returned(JsonText::parse("null").unwrap()))),
            CallAnswer::Ran(outcome(CallEnding::Raised(failure()))),
            CallAnswer::Ran(outcome(CallEnding::LimitHit(LimitKind::Wall, failure()))),
            CallAnswer::Ran(outcome(CallEnding::LimitHit(LimitKind::Memory, failure()))),
            CallAnswer::Ran(outcome(CallEnding::LimitHit(LimitKind::Output, failure()))),
            CallAnswer::Ran(outcome(CallEnding::Denied(failure()))),
            CallAnswer::Ran(outcome(CallEnding::Invalid(Failure::new("no")))),
        ];
        let call = |index: usize| FunctionCall { id: format!("c{index}"), name: "f".into(), arguments: "{".into() };
        let calls: Vec<_> = (0..answers.len()).map(call).collect();
        let record = ConversationRecord {
            task: task(),
            set: ContentId::of("test").finish(),
            messages: vec![
                Message::System { text: "s".into() },
                Message::User { text: "\u{1f600}\u{0}".into() },
                Message::Assistant { text: String::new(), calls: calls.clone() },
                Message::Tool { call: "c0".into(), content: "value: 1".into() },
            ],
            calls: calls.into_iter().zip(answers).map(|(call, answer)| ExecutedCall { call, answer }).collect(),
            verdict: Verdict { score: 0.1 + 0.2, is_satisfied: false, answer: None, feedback: "no".into() },
            usage: TokenUsage { requests: 1, prompt_tokens: 2, completion_tokens: 3 },
        };
        let text = serde_json::to_string(&ConversationRecordLine::of(1, "train", &record)).unwrap();
        let line: ConversationRecordLine = serde_json::from_str(&text).unwrap();
        assert_eq!(line.into_record(task()).unwrap(), record);
    }

    #[test]
    fn a_record_that_was_edited_is_refused() {
        let record = CallRecord {
            call: CallRequestRecord { id: "c".into(), name: "f".into(), arguments: String::new() },
            refused: None,
            outcome: None,
        };
        assert!(ExecutedCall::try_from(record).is_err());
        let mut broken = OutcomeRecord::from(&outcome(CallEnding::Returned(JsonText::parse("1").unwrap())));
        broken.status = "fine".into();
        assert!(CallOutcome::try_from(broken.clone()).is_err());
        broken.status = "ok".into();
        broken.value = Some("{".into());
        assert!(CallOutcome::try_from(broken).is_err());
    }
}
