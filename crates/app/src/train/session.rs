use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use greensand_llm::{ModelError, ModelErrorKind};
use greensand_optimizer::{
    Decision, EvidenceBook, Measurement, PartialStep, StepError, StepErrorKind, StepInput, StopReason, Training,
    propose_until,
};
use greensand_types::{ContentId, ConversationRecord, FunctionSet, Registration, StepEnd, StepReport};

use super::TrainErrorKind;
use super::compare::Taken;
use super::credit::LeaveOneOut;
use super::eras::{Era, Eras};
use super::r#loop::{RunEnding, TrainReport};
use crate::causes::with_causes;
use crate::evaluate::{Cover, EvaluateError, Job, Measured, TooMuchMissing, count_look, measure};
use crate::project::{Project, Split};
use crate::spend::BudgetSpent;
use crate::store::{DecisionKind, DecisionRecord, JournalEvent, RunWriter, StepRecord, StopRecord, StoreError};
use crate::{Equipment, Event, Interrupt, Observer};

/// A training run that is under way.
pub(super) struct Session<'a> {
    /// What the run works with now; every answer of it is kept in the run.
    equipment: Equipment,
    /// What it works with from some epoch on, the next first.
    later: VecDeque<Era>,
    project: &'a Project,
    run: Arc<RunWriter>,
    observer: &'a dyn Observer,
    interrupt: &'a Interrupt,
    /// The best set as both roles have it; a candidate is registered only while it is measured.
    registered: Registration,
    /// The records of *train* under a set, with the id of that set.
    train_records: Option<TrainRecords>,
    /// Those of a set that was measured on *train* and may become the best one.
    measured_records: Option<TrainRecords>,
    /// What the last step proposed.
    candidate: Option<Arc<FunctionSet>>,
    /// What the conversations of train and validation said of each function.
    evidence: EvidenceBook,
    /// The replies that everything until now has taken.
    taken: Taken,
}

/// The conversations about *train*, one about each task, and the set that they were held under.
type TrainRecords = (ContentId, Arc<[ConversationRecord]>);

/// Why a run stops before the training says so.
#[derive(Debug)]
pub(super) enum Stop {
    Interrupted,
    TooMuchMissing(TooMuchMissing),
    BudgetSpent(BudgetSpent),
    Failed(TrainErrorKind),
}

impl Stop {
    /// Returns how it is written down.
    pub(super) fn record(&self) -> StopRecord {
        let (kind, reason) = match self {
            Self::Interrupted => ("interrupted", "interrupted".into()),
            Self::TooMuchMissing(missing) => ("too_much_missing", missing.to_string()),
            Self::BudgetSpent(spent) => {
                ("budget_spent", format!("{spent}; a higher cap, such as `{}`, lets it go on", spent.raised_flag()))
            }
            Self::Failed(error) => ("failed", with_causes(error)),
        };
        StopRecord { kind: kind.into(), reason }
    }

    /// Returns what it is to whoever trains: an ending, or an error.
    fn ending(self) -> Result<RunEnding, TrainErrorKind> {
        match self {
            Self::Interrupted => Ok(RunEnding::Interrupted),
            Self::TooMuchMissing(_) => Ok(RunEnding::TooMuchMissing),
            Self::BudgetSpent(spent) => Ok(RunEnding::BudgetSpent(spent)),
            Self::Failed(error) => Err(error),
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<greensand_optimizer::TrainingError> for Stop {
    fn from(error: greensand_optimizer::TrainingError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<EvaluateError> for Stop {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::Interrupted => Self::Interrupted,
            EvaluateError::TooMuchMissing(missing) => Self::TooMuchMissing(missing),
            EvaluateError::BudgetSpent(spent) => Self::BudgetSpent(spent),
            EvaluateError::Uncapped(uncapped) => Self::Failed(uncapped.into()),
            EvaluateError::Store(error) => error.into(),
            EvaluateError::NoTasks(_) | EvaluateError::Model(_) | EvaluateError::Embeddings { .. } => {
                Self::Failed(TrainErrorKind::Evaluate(Box::new(error)))
            }
        }
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(
        project: &'a Project,
        eras: &Eras,
        run: Arc<RunWriter>,
        initial: Arc<FunctionSet>,
        observer: &'a dyn Observer,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self {
            equipment: eras.first().recorded_in(&run),
            later: eras.later().cloned().collect(),
            project,
            run,
            observer,
            interrupt,
            registered: Registration::of(initial),
            train_records: None,
            measured_records: None,
            candidate: None,
            evidence: EvidenceBook::new(),
            taken: Taken::default(),
        }
    }

    /// Returns the best set so far.
    pub(super) fn best(&self) -> Arc<FunctionSet> {
        Arc::clone(self.registered.set())
    }

    /// Returns the replies that the training has taken.
    pub(super) fn taken(&self) -> Taken {
        self.taken
    }

    /// Goes over to what the run works with from an epoch on.
    pub(super) fn enter(&mut self, training: &mut Training, epoch: u32) {
        while let Some(era) = self.later.pop_front_if(|era| era.from <= epoch) {
            let limits = Arc::clone(&self.equipment.limits);
            self.equipment = Equipment { limits, ..era.equipment.recorded_in(&self.run) };
            training.change_settings(self.equipment.training.clone());
        }
    }

    /// Measures a set, lets the training judge it, and registers what is best with both roles.
    pub(super) async fn evaluate_candidate(
        &mut self,
        training: &mut Training,
        epoch: u32,
        set: &Arc<FunctionSet>,
        trials: Range<u32>,
    ) -> Result<(), Stop> {
        if epoch == 0 {
            self.begin_epoch(epoch);
            self.run.save_set(set)?;
        }
        let split = self.project.tasks.acceptance_split();
        let first = trials.start == 0;
        let measured = self.measure(epoch, split, set, trials).await?;
        self.evidence.note_all(set, epoch, measured.records());
        self.taken.add(measured.records());
        let scores = measured.trial_scores();
        if split == Split::Train && first {
            self.measured_records = Some((set.id(), measured.first_trials().into()));
        }
        if let Some(decision) = training.measured(Measurement { set: set.id(), scores })? {
            // Between two looks it is the best set that was measured last.
            let judged = self.candidate.as_ref().map_or(set.id(), |candidate| candidate.id());
            self.decided(training, epoch, judged, &decision)?;
        }
        if let Some(records) = self.measured_records.take_if(|(set, _)| *set == self.registered.set_id()) {
            self.train_records = Some(records);
        }
        Ok(())
    }

    /// Makes a step of the optimizer from the records of the best set.
    pub(super) async fn propose(&mut self, training: &mut Training, epoch: u32) -> Result<(), Stop> {
        let best = Arc::clone(self.registered.set());
        let records = self.train_records(&best, epoch - 1).await?;
        self.begin_epoch(epoch);
        self.observer.event(Event::StepStarted { epoch });
        let input = StepInput {
            best: &best,
            records: &records,
            evidence: &self.evidence,
            failures: training.failures(),
            success_rate: success_rate(&records),
            epoch,
        };
        let Equipment { optimizer, runtime, step, .. } = &self.equipment;
        let stop = self.interrupt.raised();
        let made = propose_until(input, optimizer.as_ref(), runtime.as_ref(), step, stop).await;
        let report = self.keep_step(epoch, made)?;
        self.taken.optimizer += report.usage;
        self.candidate = Some(Arc::clone(&report.candidate));
        if let Some(decision) = training.proposed(&report)? {
            self.decided(training, epoch, report.candidate.id(), &decision)?;
        }
        Ok(())
    }

    /// Scores the initial and the best set on *test*, once. Nothing is decided on it.
    pub(super) async fn final_test(&self, initial: &Arc<FunctionSet>, epoch: u32) -> Result<(), Stop> {
        let best = self.registered.set();
        if !self.project.settings.training.final_test || self.project.tasks.get(Split::Test).is_empty() {
            return Ok(());
        }
        let trials = 0..self.equipment.training.trials();
        let conversations = self.project.tasks.get(Split::Test).len() * trials.len();
        count_look(&self.run, self.project, self.equipment.ledger(), conversations, self.observer)?;
        self.measure(epoch, Split::Test, initial, trials.clone()).await?;
        if best.id() != initial.id() {
            self.measure(epoch, Split::Test, best, trials).await?;
        }
        Ok(())
    }

    /// Measures what each function of the best set is worth, where the settings ask for it.
    pub(super) async fn credit(&self, epoch: u32) -> Result<(), Stop> {
        if !self.project.settings.training.credit_at_end {
            return Ok(());
        }
        let (project, run) = (self.project, &*self.run);
        let (equipment, observer, interrupt) = (&self.equipment, self.observer, self.interrupt);
        let work = LeaveOneOut { equipment, project, run, epoch, observer, interrupt };
        let report = work.measure(self.registered.set()).await?;
        Ok(self.run.keep_credit(&report)?)
    }

    /// Closes the run: writes down how it ended, and its report. What the training did not end itself can be taken up again,
    /// and ends no journal.
    pub(super) fn close(&self, finished: Result<StopReason, Stop>) -> Result<TrainReport, TrainErrorKind> {
        let (stop, ending) = match finished {
            Ok(reason) => {
                let ending = match reason {
                    StopReason::TooMuchMissing { .. } => RunEnding::TooMuchMissing,
                    StopReason::MaxEpochs { .. } | StopReason::Patience { .. } => RunEnding::Finished,
                };
                let stop = StopRecord { kind: stop_kind(&reason).into(), reason: reason.to_string() };
                self.run.append(&JournalEvent::Stopped(stop.clone()))?;
                (stop, Ok(ending))
            }
            Err(stop) => (stop.record(), stop.ending()),
        };
        let written = self.run.end_sitting(stop, SystemTime::now()).and_then(|()| self.run.write_report());
        // The first error is the one to tell: that the end could not be written down mostly follows from it.
        let ending = ending?;
        Ok(TrainReport { folder: self.run.folder().clone(), report: written?, ending })
    }

    async fn measure(
        &self,
        epoch: u32,
        split: Split,
        set: &Arc<FunctionSet>,
        trials: Range<u32>,
    ) -> Result<Measured, Stop> {
        let job = Job {
            equipment: &self.equipment,
            set,
            tasks: self.project.tasks.get(split),
            trials,
            split,
            epoch,
            jobs: self.project.settings.training.jobs,
            cover: Cover::Whole,
            run: Some(&self.run),
            observer: self.observer,
            interrupt: self.interrupt,
        };
        measure(job).await.map_err(|(error, _)| error.into())
    }

    /// Returns the records of *train* under the best set; they are made when a step first needs them.
    async fn train_records(&mut self, best: &Arc<FunctionSet>, epoch: u32) -> Result<Arc<[ConversationRecord]>, Stop> {
        if let Some((_, records)) = self.train_records.as_ref().filter(|(set, _)| *set == best.id()) {
            return Ok(Arc::clone(records));
        }
        // The optimizer reads one conversation about each task, however many trials a score takes.
        let measured = self.measure(epoch, Split::Train, best, 0..1).await?;
        self.evidence.note_all(best, epoch, measured.records());
        self.taken.add(measured.records());
        let records: Arc<[ConversationRecord]> = measured.first_trials().into();
        self.train_records = Some((best.id(), Arc::clone(&records)));
        Ok(records)
    }

    /// Keeps a step.
    ///
    /// One that was cut short is made again when the run is taken up again: its replies are kept, and cost nothing then. Only
    /// a request that the endpoint refuses for itself would be refused again: what the step had proposed until then is measured like
    /// any other.
    fn keep_step(&self, epoch: u32, made: Result<StepReport, StepError>) -> Result<StepReport, Stop> {
        if let Some(error) = self.run.take_failure() {
            return Err(error.into());
        }
        let (report, error) = match made {
            Ok(report) => (report, None),
            Err(StepError { kind, partial, .. }) => {
                let PartialStep { parent, candidate, proposals, usage } = *partial;
                let report = StepReport { parent, candidate, proposals, end: StepEnd::Terminated, usage };
                match kind {
                    StepErrorKind::Interrupted => return Err(Stop::Interrupted),
                    StepErrorKind::Host(error) => return Err(Stop::Failed(TrainErrorKind::Host(error))),
                    StepErrorKind::Model(error) if error.kind() == ModelErrorKind::BudgetSpent => {
                        return Err(self.out_of_budget(error));
                    }
                    StepErrorKind::Model(error) if report.is_unchanged() || !concerns_this_request(&error) => {
                        return Err(Stop::Failed(TrainErrorKind::Optimizer(error)));
                    }
                    StepErrorKind::Model(error) => (report, Some(with_causes(&error))),
                }
            }
        };
        if let Some(error) = &error {
            self.warn(&format!("the step of epoch {epoch} was cut short: {error}"));
        }
        // What the journal names is in the folder before.
        self.run.save_set(&report.candidate)?;
        let record = StepRecord::of(epoch, &report, error);
        self.run.append(&JournalEvent::Step(record.clone()))?;
        for proposal in &record.proposals {
            self.observer.event(Event::Proposed { epoch, proposal });
        }
        Ok(report)
    }

    /// Stops because the budget does not cover a request.
    fn out_of_budget(&self, error: ModelError) -> Stop {
        match self.equipment.ledger.refusal() {
            Some(spent) => Stop::BudgetSpent(spent),
            None => Stop::Failed(TrainErrorKind::Optimizer(error)),
        }
    }

    fn warn(&self, message: &str) {
        self.run.warn(message);
        self.observer.event(Event::Warning { message });
    }

    fn begin_epoch(&self, epoch: u32) {
        self.observer.event(Event::EpochStarted { epoch, max_epochs: self.equipment.training.max_epochs });
    }

    /// Writes a decision down, moves the head, and registers the best set with both roles.
    fn decided(
        &mut self,
        training: &Training,
        epoch: u32,
        set: ContentId,
        decision: &Decision,
    ) -> Result<(), StoreError> {
        // One registration is both views. After a roll-back it is the old one again, for assistant and user proxy alike.
        self.registered = Registration::of(Arc::clone(training.best()));
        let best = self.registered.set_id();
        let record = decision_record(epoch, set, best, decision);
        self.run.append(&JournalEvent::Decision(record.clone()))?;
        self.run.set_best(best)?;
        self.observer.event(Event::Decided { epoch, decision: &record });
        Ok(())
    }
}

/// Says whether an endpoint refused this request for itself, and would again.
fn concerns_this_request(error: &ModelError) -> bool {
    matches!(error.kind(), ModelErrorKind::Refused { .. } | ModelErrorKind::ContextOverflow) && !error.is_transient()
}

fn decision_record(epoch: u32, set: ContentId, best: ContentId, decision: &Decision) -> DecisionRecord {
    let (kind, score, compared_with, reason, comparison) = match decision {
        Decision::Baseline { score } => {
            (DecisionKind::Baseline, Some(*score), None, "the initial set was measured".to_owned(), None)
        }
        Decision::Accepted { score, previous, reason, comparison } => {
            (DecisionKind::Accepted, Some(*score), Some(*previous), reason.clone(), Some(comparison))
        }
        Decision::RolledBack { score, best, reason, comparison } => {
            (DecisionKind::RolledBack, Some(*score), Some(*best), reason.clone(), Some(comparison))
        }
        Decision::Undecided { score, best, reason, comparison } => {
            (DecisionKind::Undecided, Some(*score), Some(*best), reason.clone(), Some(comparison))
        }
        Decision::Unchanged => (DecisionKind::Unchanged, None, None, "the step changed nothing".to_owned(), None),
        Decision::NotCompared { missing, tasks } => {
            let reason = format!("{missing} of {tasks} tasks have no score to compare");
            (DecisionKind::NotCompared, None, None, reason, None)
        }
    };
    DecisionRecord {
        epoch,
        set: set.to_string(),
        decision: kind,
        score,
        compared_with,
        reason,
        comparison: comparison.map(Into::into),
        registered: best.to_string(),
    }
}

fn stop_kind(reason: &StopReason) -> &'static str {
    match reason {
        StopReason::MaxEpochs { .. } => "max_epochs",
        StopReason::Patience { .. } => "patience",
        StopReason::TooMuchMissing { .. } => "too_much_missing",
    }
}

fn success_rate(records: &[ConversationRecord]) -> f64 {
    if records.is_empty() {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "no task set has 2^53 tasks")]
    let count = records.len() as f64;
    records.iter().map(|record| record.verdict.score).sum::<f64>() / count
}
