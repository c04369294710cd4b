//! From the values that flow to their stored forms, and back.
//!
//! The way back checks: a file may have been edited. Every variant is matched, so that a new one asks for its form.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use greensand_llm::{ChatReply, FinishReason, RecordedReply};
use greensand_optimizer::{Comparison, PairedScores};
use greensand_types::{
    Action, CallAnswer, CallEnding, CallOutcome, CallStatus, CallUsage, ContentId, ConversationRecord, DescribeOutcome,
    ExecutedCall, Failure, FunctionCall, FunctionDescription, JsonText, KeptText, LimitKind, Message, Parameter,
    ParameterKind, Proposal, StepEnd, StepReport, Task, TokenUsage, Verdict,
};

use super::records::{
    CallRecord, CallRequestRecord, ComparisonRecord, ConversationRecordLine, DescriptionRecord, KeptOutcomeRecord,
    MessageRecord, OutcomeRecord, ParameterRecord, ProposalRecord, ReplyRecord, StepRecord, UsageRecord, VerdictRecord,
};

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

impl KeptOutcomeRecord {
    /// Stores what came of a call, under the id of the call.
    pub fn of_call(call: ContentId, outcome: &CallOutcome) -> Self {
        Self { call: call.to_string(), outcome: Some(outcome.into()), described: None }
    }

    /// Stores what a look at a source found, under the id of the look.
    pub fn of_look(call: ContentId, found: &DescribeOutcome) -> Self {
        match found {
            DescribeOutcome::Failed(outcome) => Self::of_call(call, outcome),
            DescribeOutcome::Described(description) => {
                Self { call: call.to_string(), outcome: None, described: Some(description.into()) }
            }
        }
    }

    /// Reads back what came of a call.
    ///
    /// # Errors
    /// When it is not what was written there.
    pub fn into_call(self) -> Result<CallOutcome, String> {
        self.outcome.ok_or("a call without an outcome")?.try_into()
    }

    /// Reads back what a look found.
    ///
    /// # Errors
    /// When it is not what was written there.
    pub fn into_look(self) -> Result<DescribeOutcome, String> {
        match (self.described, self.outcome) {
            (Some(description), None) => Ok(DescribeOutcome::Described(description.try_into()?)),
            (None, Some(outcome)) => Ok(DescribeOutcome::Failed(outcome.try_into()?)),
            _ => Err("a look that found nothing, or two things".into()),
        }
    }
}

const PARAMETER_KINDS: [(ParameterKind, &str); 5] = [
    (ParameterKind::PositionalOnly, "positional_only"),
    (ParameterKind::Positional, "positional"),
    (ParameterKind::NamedOnly, "named_only"),
    (ParameterKind::Rest, "rest"),
    (ParameterKind::NamedRest, "named_rest"),
];

impl From<&FunctionDescription> for DescriptionRecord {
    fn from(description: &FunctionDescription) -> Self {
        let parameter = |parameter: &Parameter| {
            let kind = PARAMETER_KINDS.iter().find(|(kind, _)| *kind == parameter.kind).map_or("", |(_, word)| word);
            ParameterRecord { name: parameter.name.clone(), kind: kind.into(), required: parameter.is_required }
        };
        Self {
            parameters: description.parameters.iter().map(parameter).collect(),
            documentation: description.documentation.clone(),
        }
    }
}

impl TryFrom<DescriptionRecord> for FunctionDescription {
    type Error = String;

    fn try_from(record: DescriptionRecord) -> Result<Self, String> {
        let parameter = |parameter: ParameterRecord| {
            let kind = PARAMETER_KINDS.iter().find(|(_, word)| *word == parameter.kind).map(|(kind, _)| *kind);
            let kind = kind.ok_or_else(|| format!("unknown kind of parameter `{}`", parameter.kind))?;
            Ok(Parameter { name: parameter.name, kind, is_required: parameter.required })
        };
        let parameters = record.parameters.into_iter().map(parameter).collect::<Result<_, String>>()?;
        Ok(Self { parameters, documentation: record.documentation })
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
            cached_tokens: usage.cached_tokens,
            completion_tokens: usage.completion_tokens,
            reasoning_tokens: usage.reasoning_tokens,
        }
    }
}

impl From<UsageRecord> for TokenUsage {
    fn from(record: UsageRecord) -> Self {
        Self {
            requests: record.requests,
            prompt_tokens: record.prompt_tokens,
            cached_tokens: record.cached_tokens,
            completion_tokens: record.completion_tokens,
            reasoning_tokens: record.reasoning_tokens,
        }
    }
}

impl ConversationRecordLine {
    /// Stores a conversation of an evaluation.
    pub fn of(epoch: u32, split: &str, repeat: u32, record: &ConversationRecord) -> Self {
        Self {
            epoch,
            split: split.into(),
            set: record.set.to_string(),
            task: record.task.id.to_string(),
            repeat,
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
                let (id, reason) = match action {
                    Action::Add(function) | Action::Revise(function) => (Some(function.id().to_string()), None),
                    Action::Remove { reason, .. } => (None, Some(reason.clone())),
                    Action::Terminate => (None, None),
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

impl ComparisonRecord {
    /// Stores how two lists of scores compare, task by task, each of one trial.
    pub fn of_pairs(paired: &PairedScores) -> Self {
        let sample = paired.differences();
        let interval = sample.and_then(|sample| sample.interval(0.95));
        Self {
            difference: paired.mean_difference(),
            standard_error: sample.and_then(|sample| sample.standard_error()),
            interval: interval.map(|interval| [interval.low, interval.high]),
            tasks: paired.pairs().len(),
            gained: paired.gained(),
            lost: paired.lost(),
            trials: 1,
        }
    }
}

impl From<&Comparison> for ComparisonRecord {
    fn from(comparison: &Comparison) -> Self {
        Self {
            difference: comparison.difference,
            standard_error: comparison.standard_error,
            interval: comparison.interval.map(|interval| [interval.low, interval.high]),
            tasks: comparison.tasks,
            gained: comparison.gained,
            lost: comparison.lost,
            trials: comparison.trials,
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
    /// Stores a reply of a backend, by its identity, with the request that it answered.
    pub fn of(backend: &str, request: &greensand_llm::ChatRequest, digest: ContentId, reply: &ChatReply) -> Self {
        Self {
            role: request.role.as_str().into(),
            epoch: request.epoch,
            task: request.task.as_ref().map(ToString::to_string),
            turn: request.turn,
            repeat: request.repeat,
            request: digest.to_string(),
            backend: backend.into(),
            paid_by: None,
            text: reply.text.clone(),
            calls: reply.calls.iter().map(Into::into).collect(),
            finish: reply.finish.as_str().into(),
            usage: reply.usage.into(),
        }
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
            usage: TokenUsage { requests: 1, prompt_tokens: 2, completion_tokens: 3, ..TokenUsage::default() },
        };
        let text = serde_json::to_string(&ConversationRecordLine::of(1, "train", 0, &record)).unwrap();
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
