use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use greensand_agent::{SolveError, SolveInputs, solve};
use greensand_llm::{ModelError, ModelErrorKind};
use greensand_optimizer::{Sample, share_interval};
use greensand_types::{ConversationRecord, FunctionSet, Registration, Task};
use tokio::time::{Interval, MissedTickBehavior};

use super::offers::Offers;
use crate::causes::with_causes;
use crate::limit_watch::Telling;
use crate::project::Split;
use crate::spend::{BudgetSpent, Uncapped};
use crate::store::{ConversationRecordLine, EvaluationRecord, JournalEvent, MissingRecord, RunWriter, StoreError};
use crate::{Equipment, Event, Interrupt, Observer, Tally};

/// The confidence of the intervals of scores.
const CONFIDENCE: f64 = 0.95;

/// How often it is looked at how many requests the endpoints take.
const LOOK: Duration = Duration::from_millis(500);

/// What is to be measured, and with what.
pub(crate) struct Job<'a> {
    pub(crate) equipment: &'a Equipment,
    pub(crate) set: &'a Arc<FunctionSet>,
    pub(crate) tasks: &'a [Arc<Task>],
    /// Which trials of each task; the first of every task come before the second of any.
    pub(crate) trials: Range<u32>,
    pub(crate) split: Split,
    pub(crate) epoch: u32,
    pub(crate) jobs: usize,
    pub(crate) cover: Cover,
    pub(crate) run: Option<&'a RunWriter>,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) interrupt: &'a Interrupt,
}

/// How much of the work the budget must cover before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cover {
    /// All of it, by the mean cost of a task.
    Whole,
    /// None: most replies are kept, and it goes as far as the budget does.
    AsItGoes,
}

/// What came out, task by task, in their order.
#[derive(Debug)]
pub(crate) struct Measured {
    /// What became of each task, trial after trial; nothing for what was not reached.
    pub(crate) results: Vec<Option<TaskResult>>,
    /// How many tasks there are.
    pub(crate) tasks: usize,
    pub(crate) tally: Tally,
}

/// A record, or why there is none.
pub(crate) type TaskResult = Result<ConversationRecord, String>;

impl Measured {
    /// Returns the scores of each task, one for each trial, nothing for a missing one.
    pub(crate) fn trial_scores(&self) -> Vec<Vec<Option<f64>>> {
        let score = |result: &Option<TaskResult>| Some(result.as_ref()?.as_ref().ok()?.verdict.score);
        let of_task = |task| self.results.iter().skip(task).step_by(self.tasks).map(score).collect();
        (0..self.tasks).map(of_task).collect()
    }

    /// Returns the score of each task, the mean of its trials; nothing for a task without any score.
    pub(crate) fn scores(&self) -> Vec<Option<f64>> {
        self.trial_scores()
            .iter()
            .map(|trials| Some(Sample::of(&trials.iter().flatten().copied().collect::<Vec<_>>())?.mean()))
            .collect()
    }

    /// Returns the scores of the tasks that have one, summed up.
    pub(crate) fn sample(&self) -> Option<Sample> {
        Sample::of(&self.scores().into_iter().flatten().collect::<Vec<_>>())
    }

    /// Returns the mean of the scores that there are. Summed in the order of the tasks, so that the order of completion
    /// cannot show in the last digit.
    pub(crate) fn mean(&self) -> Option<f64> {
        self.sample().map(|sample| sample.mean())
    }

    /// Where the true score lies with a confidence of 95 %: Wilson's interval where every trial scores 0 or 1, Student's otherwise.
    ///
    /// Both are over tasks. With Wilson's, more trials of the same tasks do not count as more tasks: it is never too narrow,
    /// and worse results never have the better bound.
    pub(crate) fn interval(&self) -> Option<[f64; 2]> {
        let sample = self.sample()?;
        let mut scores = self.records().map(|record| record.verdict.score);
        let interval = match scores.all(|score| score == 0.0 || score == 1.0) {
            true => share_interval(sample.mean(), sample.count(), CONFIDENCE),
            false => sample.interval(CONFIDENCE),
        };
        interval.map(|interval| [interval.low.max(0.0), interval.high.min(1.0)])
    }

    /// Looks at the records in the order of the tasks.
    pub(crate) fn records(&self) -> impl Iterator<Item = &ConversationRecord> {
        self.results.iter().flatten().filter_map(|result| result.as_ref().ok())
    }

    /// Returns the records of the first trial of each task, in the order of the tasks.
    pub(crate) fn first_trials(self) -> Vec<ConversationRecord> {
        self.results.into_iter().take(self.tasks).flatten().filter_map(Result::ok).collect()
    }
}

/// Why an evaluation was not brought to its end. What was measured until then is kept in the
/// journal.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The split has no tasks.
    #[error("the project has no tasks in split {0}")]
    NoTasks(Split),
    /// Somebody asked for the stop.
    #[error("interrupted")]
    Interrupted,
    /// The model fails for every task alike.
    #[error(transparent)]
    Model(SolveError),
    /// The model of embeddings fails for every text alike.
    #[error("get the vectors of {what}")]
    Embeddings {
        /// What has none.
        what: &'static str,
        /// Why.
        source: ModelError,
    },
    /// Too many tasks have no score.
    #[error(transparent)]
    TooMuchMissing(#[from] TooMuchMissing),
    /// The budget does not cover the work, or what is left of it.
    #[error(transparent)]
    BudgetSpent(#[from] BudgetSpent),
    /// It would cost money, and nothing bounds how much. Nothing was sent.
    #[error(transparent)]
    Uncapped(#[from] Uncapped),
    /// The journal cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EvaluateError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoTasks(split) => {
                Some(format!("name its files under `[tasks]` in the project file: `{split} = \"...\"`"))
            }
            Self::Model(SolveError::Model { source, .. }) | Self::Embeddings { source, .. } => {
                source.hint().map(str::to_owned)
            }
            Self::Store(error) => error.hint(),
            Self::BudgetSpent(spent) => Some(format!("raise the cap, such as `{}`", spent.raised_flag())),
            Self::Uncapped(uncapped) => Some(uncapped.hint()),
            Self::TooMuchMissing(_) => {
                Some("see to the first cause; `training.max_missing` is the share that may be missing".into())
            }
            Self::Interrupted | Self::Model(SolveError::Runtime { .. }) => None,
        }
    }
}

/// Too many tasks have no score to say anything.
#[derive(Debug, thiserror::Error)]
#[error("{missing} of {tasks} tasks of {split} could not be worked on; the first: {first}")]
pub struct TooMuchMissing {
    /// The split.
    pub split: Split,
    /// How many have no score so far.
    pub missing: usize,
    /// Of how many.
    pub tasks: usize,
    /// Why the first of them has none.
    pub first: String,
}

/// Measures a set.
///
/// # Errors
/// With what was measured until then, when the work was interrupted or could not go on.
pub(crate) async fn measure(job: Job<'_>) -> Result<Measured, (EvaluateError, Measured)> {
    let mut bench = Bench::new(&job);
    // Results that wait for an earlier task are not in the journal when that task is not done; their replies and outcomes
    // are kept, so that they cost nothing when the run is taken up again.
    let worked = bench.work().await;
    job.equipment.tell_limits(Telling::All, job.observer);
    match worked.and_then(|()| bench.finish()) {
        Ok(()) => Ok(bench.measured),
        Err(error) => Err((error, bench.measured)),
    }
}

struct Bench<'a> {
    job: &'a Job<'a>,
    measured: Measured,
    /// How many results, from the first, are in the journal.
    journalled: usize,
    /// How many tasks, from the first, are to be worked on; fewer than all where a replay has no more.
    known: usize,
}

impl<'a> Bench<'a> {
    fn new(job: &'a Job<'a>) -> Self {
        let tasks = job.tasks.len();
        let total = tasks.saturating_mul(job.trials.len());
        let tally = Tally { total, ..Tally::default() };
        let measured = Measured { results: (0..total).map(|_| None).collect(), tasks, tally };
        Self { job, measured, journalled: 0, known: total }
    }

    async fn work(&mut self) -> Result<(), EvaluateError> {
        let job = self.job;
        if job.tasks.is_empty() {
            return Err(EvaluateError::NoTasks(job.split));
        }
        self.cover()?;
        self.begin()?;
        self.take_recorded()?;
        let offers = &self.offers().await?;
        let open: Vec<usize> = self.open().collect();
        let mut solved = stream::iter(open)
            .map(|index| async move {
                let (task, trial) = job.item(index);
                let registration = offers.registration(&task.question);
                (index, solve(inputs(job, &registration, task, trial)).await)
            })
            .buffer_unordered(job.jobs.max(1));
        // Without an endpoint there is no limit to look at, and no timer to pay for.
        let mut looks = job.equipment.limits().next().map(|_| {
            let mut looks = tokio::time::interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            looks
        });
        loop {
            // Interrupts first: with a fast backend there is always a result.
            let next = tokio::select! {
                biased;
                () = job.interrupt.raised() => return Err(EvaluateError::Interrupted),
                () = next_look(looks.as_mut()) => {
                    job.equipment.tell_limits(Telling::WhatIsOver, job.observer);
                    continue;
                }
                next = solved.next() => next,
            };
            let Some((index, result)) = next else { return self.check_known() };
            self.keep(index, result)?;
        }
    }

    /// Returns what is still to be worked on.
    fn open(&self) -> impl Iterator<Item = usize> {
        (0..self.known).filter(|index| self.measured.results[*index].is_none())
    }

    /// Makes the offers of what is to be worked on. Tasks that have none, because a request for vectors failed, are missing.
    async fn offers(&mut self) -> Result<Offers, EvaluateError> {
        let job = self.job;
        let questions: Vec<&str> = self.open().map(|index| job.item(index).0.question.as_str()).collect();
        let offers = tokio::select! {
            biased;
            () = job.interrupt.raised() => return Err(EvaluateError::Interrupted),
            offers = Offers::of(job, &questions) => offers,
        };
        if let Some(error) = job.run.and_then(RunWriter::take_failure) {
            return Err(error.into());
        }
        let offers = offers.map_err(|error| self.out_of_budget_for_vectors(error))?;
        let lost: Vec<(usize, String)> = self
            .open()
            .filter_map(|index| Some((index, offers.fault(&job.item(index).0.question)?.to_owned())))
            .collect();
        for (index, reason) in lost {
            self.note(index, Err(reason));
            self.check_missing()?;
        }
        self.flush_prefix()?;
        Ok(offers)
    }

    /// Makes sure that the budget covers the evaluation before it begins. One that stands in the journal has begun: what is left
    /// of it is done as far as the budget goes.
    fn cover(&self) -> Result<(), EvaluateError> {
        // A fork has what it is measured with at first for the most part, and asks what is new of it.
        let is_kept = self.job.epoch == 0 && self.job.run.is_some_and(RunWriter::is_fork);
        if self.job.cover == Cover::AsItGoes || is_kept {
            return Ok(());
        }
        let has_begun = self.job.run.map(|run| Ok(run.is_replay() || run.upcoming()?.is_some()));
        match has_begun.unwrap_or(Ok(false)) {
            Err(error) => Err(EvaluateError::Store(error)),
            Ok(true) => Ok(()),
            Ok(false) => Ok(self.job.equipment.ledger.cover(self.measured.results.len())?),
        }
    }

    /// Takes over what the journal holds of this evaluation already. To resume, it is done; to replay, only what is missing
    /// is, because a fault is not made again.
    fn take_recorded(&mut self) -> Result<(), EvaluateError> {
        let Some(run) = self.job.run else { return Ok(()) };
        let items = run.take_items()?;
        if run.is_replay() {
            self.known = items.len();
        }
        for (index, item) in items.into_iter().enumerate() {
            let result = read_item(self.job, index, item).map_err(|reason| run.damaged_journal(reason))?;
            if !run.is_replay() {
                self.note(index, result);
                self.journalled = index + 1;
            } else if result.is_err() {
                self.note(index, result);
            }
        }
        Ok(())
    }

    /// Ends a replay whose record ends within the evaluation.
    fn check_known(&self) -> Result<(), EvaluateError> {
        match self.job.run {
            Some(run) if self.known < self.measured.results.len() => Err(run.end_of_record().into()),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes note of what became of a task.
    fn note(&mut self, index: usize, result: TaskResult) {
        let tally = &mut self.measured.tally;
        tally.done += 1;
        match &result {
            Ok(record) => {
                tally.solved += usize::from(record.verdict.is_satisfied);
                tally.calls += record.calls.len();
                tally.score_sum += record.verdict.score;
            }
            Err(_) => tally.missing += 1,
        }
        self.measured.results[index] = Some(result);
        self.job.observer.event(Event::TaskDone { split: self.job.split, tally: self.measured.tally });
    }

    fn keep(&mut self, index: usize, result: Result<ConversationRecord, SolveError>) -> Result<(), EvaluateError> {
        match result {
            Ok(record) => self.note(index, Ok(record)),
            Err(error) => {
                if let Some(spent) = self.out_of_budget(&error) {
                    return Err(spent.into());
                }
                self.note(index, Err(with_causes(&error)));
                if let Some(error) = self.job.run.and_then(RunWriter::take_failure) {
                    return Err(error.into());
                }
                if concerns_every_task(&error) {
                    return Err(EvaluateError::Model(error));
                }
                self.check_missing()?;
            }
        }
        self.flush_prefix()
    }

    /// Says whether the budget is why a task was not done. Such a task is not missing: it is still to be done.
    fn out_of_budget(&self, error: &SolveError) -> Option<BudgetSpent> {
        match error {
            SolveError::Model { source, .. } if source.kind() == ModelErrorKind::BudgetSpent => {
                self.job.equipment.ledger.refusal()
            }
            SolveError::Model { .. } | SolveError::Runtime { .. } => None,
        }
    }

    /// Says the same of a request for vectors.
    fn out_of_budget_for_vectors(&self, error: EvaluateError) -> EvaluateError {
        let is_spent =
            matches!(&error, EvaluateError::Embeddings { source, .. } if source.kind() == ModelErrorKind::BudgetSpent);
        let refusal = self.job.equipment.ledger.refusal().filter(|_| is_spent);
        refusal.map_or(error, EvaluateError::BudgetSpent)
    }

    fn check_missing(&self) -> Result<(), EvaluateError> {
        let Tally { missing, total: tasks, .. } = self.measured.tally;
        #[expect(clippy::cast_precision_loss, reason = "no task set has 2^53 tasks")]
        let share = missing as f64 / tasks.max(1) as f64;
        if share <= self.job.equipment.training.max_missing {
            return Ok(());
        }
        let first = self.measured.results.iter().flatten().find_map(|result| result.as_ref().err());
        let first = first.cloned().unwrap_or_default();
        Err(TooMuchMissing { split: self.job.split, missing, tasks, first }.into())
    }

    fn begin(&self) -> Result<(), EvaluateError> {
        let Job { epoch, split, set, tasks, .. } = self.job;
        self.job.observer.event(Event::EvaluationStarted {
            epoch: *epoch,
            split: *split,
            set: set.id(),
            tasks: tasks.len() * self.job.trials.len(),
        });
        self.append(|| JournalEvent::EvaluationStarted(self.record()))
    }

    fn finish(&self) -> Result<(), EvaluateError> {
        let Job { epoch, split, set, .. } = self.job;
        self.append(|| JournalEvent::EvaluationDone(self.record()))?;
        let tally = self.measured.tally;
        self.job.observer.event(Event::EvaluationDone { epoch: *epoch, split: *split, set: set.id(), tally });
        self.job.observer.event(Event::SpentSoFar { spent: self.job.equipment.ledger.spent() });
        Ok(())
    }

    fn record(&self) -> EvaluationRecord {
        let Tally { solved, missing, calls, .. } = self.measured.tally;
        let sample = self.measured.sample();
        EvaluationRecord {
            epoch: self.job.epoch,
            split: self.job.split.to_string(),
            set: self.job.set.id().to_string(),
            tasks: self.measured.tasks,
            first_trial: self.job.trials.start,
            trials: self.job.trials.end - self.job.trials.start,
            solved,
            missing,
            calls,
            score: sample.map(|sample| sample.mean()),
            standard_error: sample.and_then(|sample| sample.standard_error()),
            interval: self.measured.interval(),
        }
    }

    /// Writes the results down to which there is no gap.
    fn flush_prefix(&mut self) -> Result<(), EvaluateError> {
        while let Some(Some(result)) = self.measured.results.get(self.journalled) {
            self.append_result(self.journalled, result)?;
            self.journalled += 1;
        }
        Ok(())
    }

    fn append_result(&self, index: usize, result: &TaskResult) -> Result<(), EvaluateError> {
        let Job { epoch, split, set, .. } = self.job;
        let (task, trial) = self.job.item(index);
        self.append(|| match result {
            Ok(record) => {
                JournalEvent::Conversation(Box::new(ConversationRecordLine::of(*epoch, split.as_str(), trial, record)))
            }
            Err(reason) => JournalEvent::Missing(MissingRecord {
                epoch: *epoch,
                split: split.to_string(),
                set: set.id().to_string(),
                task: task.id.to_string(),
                repeat: trial,
                reason: reason.clone(),
            }),
        })
    }

    fn append(&self, event: impl FnOnce() -> JournalEvent) -> Result<(), EvaluateError> {
        match self.job.run {
            Some(run) => Ok(run.append(&event())?),
            None => Ok(()),
        }
    }
}

/// Waits until the limits are to be looked at again; for ever, where there are none.
async fn next_look(looks: Option<&mut Interval>) {
    match looks {
        Some(looks) => drop(looks.tick().await),
        None => std::future::pending().await,
    }
}

/// Reads what the journal holds of a task.
fn read_item(job: &Job<'_>, index: usize, item: JournalEvent) -> Result<TaskResult, String> {
    if index >= job.tasks.len() * job.trials.len() {
        return Err("it holds more tasks than the split has".into());
    }
    let (task, trial) = job.item(index);
    let (set, found, split, repeat, result) = match item {
        JournalEvent::Conversation(line) => {
            let (set, found, split) = (line.set.clone(), line.task.clone(), line.split.clone());
            (set, found, split, line.repeat, Ok(line.into_record(Arc::clone(task))?))
        }
        JournalEvent::Missing(record) => (record.set, record.task, record.split, record.repeat, Err(record.reason)),
        _ => return Err("something else stands among the tasks of an evaluation".into()),
    };
    let is_due = found == task.id.as_str() && split == job.split.as_str() && repeat == trial;
    if !is_due || set != job.set.id().to_string() {
        return Err(format!("task `{found}` of {split} stands where task `{}` of {} is due", task.id, job.split));
    }
    Ok(result)
}

impl Job<'_> {
    /// Returns the task and the trial of an item.
    fn item(&self, index: usize) -> (&Arc<Task>, u32) {
        let trial = u32::try_from(index / self.tasks.len()).unwrap_or(u32::MAX);
        (&self.tasks[index % self.tasks.len()], self.trials.start.saturating_add(trial))
    }
}

fn inputs<'a>(job: &'a Job<'a>, registration: &'a Registration, task: &Arc<Task>, repeat: u32) -> SolveInputs<'a> {
    SolveInputs {
        task: Arc::clone(task),
        registration,
        backend: job.equipment.assistant.as_ref(),
        runtime: job.equipment.runtime.as_ref(),
        scorer: job.equipment.scorer.as_ref(),
        settings: &job.equipment.agent,
        epoch: job.epoch,
        repeat,
    }
}

fn concerns_every_task(error: &SolveError) -> bool {
    match error {
        SolveError::Model { source, .. } => {
            // A script or a replay without a reply is a mistake in it, not a moment's weakness.
            source.concerns_every_request() || source.kind() == ModelErrorKind::Exhausted
        }
        SolveError::Runtime { .. } => false,
    }
}
