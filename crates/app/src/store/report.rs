//! The report of a run: a fold over the events of its journal and over its replies.
//!
//! Whoever feeds the same events gets the same report, whether the run is under way, over, or was killed. The only time
//! in it is the mean of a function's calls; without it two runs that went alike have equal reports.

use std::collections::BTreeMap;
use std::time::Duration;

use greensand_llm::Role;
use greensand_optimizer::{CallNote, ConversationNote, Evidence, EvidenceBook, Share};
use greensand_types::{CallStatus, ContentId, FunctionDraft};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::credit::CreditReport;
use super::journal::JournalEvent;
use super::records::{
    CallRecord, ConversationRecordLine, DecisionRecord, EmbeddingPayment, EmbeddingRecord, EvaluationRecord,
    ReplyRecord, StepRecord, StopRecord, UsageRecord,
};
use super::spend_report::{SpendBuilder, SpendReport};
use crate::spend::Prices;

/// The number of the form of `report.json`.
pub const REPORT_FORMAT: u32 = 1;

/// What came out of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The format of the file.
    pub format: u32,
    /// The name of the run.
    pub run: String,
    /// How the run ended; none, if it is under way or was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopRecord>,
    /// The split that acceptance was decided on.
    pub acceptance_split: String,
    /// The set that the run started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<String>,
    /// The best set that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<String>,
    /// The epochs in order; the first, 0, measured the initial set.
    pub epochs: Vec<EpochReport>,
    /// The scores on the test split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestReport>,
    /// The functions of the best set in the order of their names.
    pub functions: Vec<FunctionReport>,
    /// What each of them is worth, if that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<CreditReport>,
    /// What the replies of the assistant's model cost.
    pub assistant_usage: UsageRecord,
    /// What the replies of the optimizer's model cost.
    pub optimizer_usage: UsageRecord,
    /// What vectors of texts cost; left out where none were asked for.
    #[serde(default, skip_serializing_if = "UsageRecord::is_nothing")]
    pub embeddings_usage: UsageRecord,
    /// What all of it cost, by model and epoch.
    #[serde(default)]
    pub spend: SpendReport,
    /// What a person should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What happened in an epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EpochReport {
    /// Which.
    pub epoch: u32,
    /// The step of the optimizer; none in epoch 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepRecord>,
    /// The measurements that were finished.
    pub scores: Vec<EvaluationRecord>,
    /// How the set was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionRecord>,
}

/// The scores on the test split, which nothing was decided on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestReport {
    /// Of the initial set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<EvaluationRecord>,
    /// Of the best set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<EvaluationRecord>,
}

/// A function of the best set, with the evidence for it: its calls under every set that held this very function, on train and
/// validation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionReport {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The epoch in which it was written; none, if it was in the initial set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_epoch: Option<u32>,
    /// How often it was called.
    pub calls: usize,
    /// How many calls had each class of outcome; `refused` is a call that was not run.
    pub outcomes: BTreeMap<String, usize>,
    /// Tasks about which some conversation called it.
    pub tasks: usize,
    /// Those of them that were solved by such a conversation.
    pub solved: usize,
    /// Conversations in which it was called.
    #[serde(default)]
    pub used: ShareReport,
    /// Conversations about the same tasks in which it was not, under whatever set.
    #[serde(default)]
    pub without: ShareReport,
    /// All conversations under sets that held it.
    #[serde(default)]
    pub held: ShareReport,
    /// The epoch of the last evaluation in which it was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_use: Option<u32>,
    /// In how many epochs since then, or at all, a set that held it was measured.
    #[serde(default)]
    pub idle_epochs: u32,
    /// About how many tokens its signature costs in a request that offers it.
    #[serde(default)]
    pub tokens_per_request: u64,
    /// The mean time of its calls that ran, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_wall_us: Option<u64>,
}

/// Conversations, and how many of them solved their task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShareReport {
    /// Conversations.
    pub conversations: u64,
    /// Those that solved their task.
    pub solved: u64,
}

impl From<Share> for ShareReport {
    fn from(share: Share) -> Self {
        Self { conversations: share.conversations, solved: share.solved }
    }
}

/// Which functions a set holds, as the evidence wants to know it.
pub(super) type Members = Vec<(String, ContentId)>;

/// Builds a report from events.
#[derive(Debug, Clone, Default)]
pub struct ReportBuilder {
    report: Report,
    epochs: BTreeMap<u32, EpochReport>,
    evidence: EvidenceBook,
    /// The epoch in which a function, by its id, was first applied.
    written: BTreeMap<String, u32>,
    test: Vec<EvaluationRecord>,
    spend: SpendBuilder,
    /// Whether what is measured from here on is none of the training: a comparison begins anew with epoch 0.
    is_beyond_training: bool,
    /// Whether the journal says how the run ended.
    is_over: bool,
}

impl ReportBuilder {
    /// Begins a report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of an event of the journal, in its order, or of a reply.
    pub fn add(&mut self, event: &JournalEvent) {
        match event {
            JournalEvent::Opened(opened) => self.report.run.clone_from(&opened.run),
            JournalEvent::EvaluationStarted(record) => self.add_start(record),
            JournalEvent::Missing(_) => {}
            JournalEvent::Reply(record) => self.add_reply(record),
            JournalEvent::Embedding(record) => self.add_embedding(record),
            JournalEvent::Conversation(line) => self.add_conversation(line),
            JournalEvent::EvaluationDone(record) if record.split == TEST => self.test.push(record.clone()),
            JournalEvent::EvaluationDone(_) if self.is_beyond_training => {}
            JournalEvent::EvaluationDone(record) => self.epoch(record.epoch).scores.push(record.clone()),
            JournalEvent::Step(record) => self.add_step(record),
            JournalEvent::Decision(record) => self.add_decision(record),
            JournalEvent::Stopped(record) => {
                self.report.stop = Some(record.clone());
                self.is_over = true;
            }
            JournalEvent::Outcome(_)
            | JournalEvent::Instructions(_)
            | JournalEvent::Sent(_)
            | JournalEvent::GivenBack(_) => {}
            // A run that is over stays over, whoever sits down to it again.
            JournalEvent::SittingStarted(_) if !self.is_over => self.report.stop = None,
            JournalEvent::SittingEnded(record) if !self.is_over => self.report.stop = Some(record.stop.clone()),
            JournalEvent::SittingStarted(_) | JournalEvent::SittingEnded(_) => {}
        }
    }

    /// Adds what a person should know.
    pub fn warn(&mut self, warning: impl Into<String>) {
        self.report.warnings.push(warning.into());
    }

    /// Returns what was paid so far, at prices.
    pub(super) fn spend(&self, prices: Option<&Prices>) -> SpendReport {
        self.spend.finish(prices)
    }

    /// Returns the set that is best so far.
    pub fn best(&self) -> Option<&str> {
        self.report.best.as_deref()
    }

    /// Returns the sets under which conversations were held.
    pub(super) fn sets(&self) -> Vec<ContentId> {
        self.evidence.sets().collect()
    }

    /// Returns the report so far, with the functions of the best set. `members` says what the sets hold.
    pub(super) fn finish(
        &self,
        functions: &[FunctionDraft],
        members: impl IntoIterator<Item = (ContentId, Members)>,
    ) -> Report {
        let mut evidence = self.evidence.clone();
        members.into_iter().for_each(|(set, functions)| evidence.know(set, functions));
        let mut report = self.report.clone();
        report.format = REPORT_FORMAT;
        report.epochs = self.epochs.values().cloned().collect();
        report.functions = {
            let functions = functions.iter().map(|draft| (draft, draft.content_id()));
            evidence.on_all(functions).into_iter().map(|evidence| self.function(evidence)).collect()
        };
        // The first: a comparison scores the same set again, with a vote or with other instructions.
        let of_set = |set: &Option<String>| self.test.iter().find(|record| Some(&record.set) == set.as_ref()).cloned();
        if !self.test.is_empty() {
            report.test = Some(TestReport { initial: of_set(&report.initial), best: of_set(&report.best) });
        }
        report
    }

    fn function(&self, evidence: Evidence) -> FunctionReport {
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let mut outcomes: BTreeMap<String, usize> =
            evidence.errors.iter().map(|(status, number)| (status.to_string(), count(*number))).collect();
        for (class, number) in [(CallStatus::Ok.as_str(), evidence.successes), ("refused", evidence.refused)] {
            if number > 0 {
                outcomes.insert(class.into(), count(number));
            }
        }
        let id = evidence.id.to_string();
        FunctionReport {
            name: evidence.name.to_string(),
            since_epoch: self.written.get(&id).copied(),
            id,
            calls: count(evidence.calls),
            outcomes,
            tasks: count(evidence.tasks_used),
            solved: count(evidence.tasks_solved),
            used: evidence.used.into(),
            without: evidence.without.into(),
            held: evidence.held.into(),
            last_use: evidence.last_use,
            idle_epochs: evidence.idle_epochs,
            tokens_per_request: evidence.signature_tokens,
            mean_wall_us: evidence.mean_wall.and_then(|wall| u64::try_from(wall.as_micros()).ok()),
        }
    }

    fn epoch(&mut self, epoch: u32) -> &mut EpochReport {
        self.epochs.entry(epoch).or_insert_with(|| EpochReport { epoch, ..EpochReport::default() })
    }

    fn add_conversation(&mut self, line: &ConversationRecordLine) {
        // A set whose id is none was edited, and speaks for no function.
        let Ok(set) = line.set.parse() else { return };
        if line.split == TEST || self.is_beyond_training {
            return;
        }
        self.evidence.note(&ConversationNote {
            epoch: line.epoch,
            set,
            task: &line.task,
            is_solved: line.verdict.solved,
            calls: line.calls.iter().map(call_note).collect(),
        });
    }

    /// The first measurement of a run is that of the initial set, on the split that acceptance is decided on.
    fn add_start(&mut self, record: &EvaluationRecord) {
        let is_earlier = |decided: &EpochReport| decided.decision.is_some() && record.epoch < decided.epoch;
        self.is_beyond_training |= record.split != TEST && self.epochs.values().next_back().is_some_and(is_earlier);
        if self.report.initial.is_none() {
            self.report.initial = Some(record.set.clone());
            self.report.acceptance_split.clone_from(&record.split);
        }
    }

    /// What was paid is what came: also replies of tasks and steps that were abandoned.
    fn add_reply(&mut self, record: &ReplyRecord) {
        if record.paid_by.is_some() {
            return;
        }
        let usage = match record.is_of(Role::Optimizer) {
            true => &mut self.report.optimizer_usage,
            false => &mut self.report.assistant_usage,
        };
        usage.add(record.usage);
        self.spend.add(record);
    }

    /// A request for vectors is counted with the first of them.
    pub(super) fn add_embedding(&mut self, record: &EmbeddingRecord) {
        let Some(EmbeddingPayment { usage, paid_by: None, .. }) = &record.paid else { return };
        self.report.embeddings_usage.add(*usage);
        self.spend.add_embeddings(record.epoch, *usage);
    }

    fn add_step(&mut self, record: &StepRecord) {
        for proposal in record.proposals.iter().filter(|proposal| proposal.applied) {
            if let Some(id) = &proposal.id {
                self.written.entry(id.clone()).or_insert(record.epoch);
            }
        }
        self.epoch(record.epoch).step = Some(record.clone());
    }

    fn add_decision(&mut self, record: &DecisionRecord) {
        self.report.best = Some(record.registered.clone());
        self.epoch(record.epoch).decision = Some(record.clone());
    }
}

fn call_note(record: &CallRecord) -> CallNote<'_> {
    let name = record.call.name.as_str();
    match &record.outcome {
        None => CallNote { name, status: None, wall: Duration::ZERO },
        Some(outcome) => {
            let status = CallStatus::ALL.into_iter().find(|status| status.as_str() == outcome.status);
            CallNote { name, status, wall: Duration::from_micros(outcome.wall_us) }
        }
    }
}

/// The word for the split that nothing is decided on.
pub(super) const TEST: &str = "test";
