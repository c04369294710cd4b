//! The training loop as a state machine: values in, values out, no waiting and no I/O.
//!
//! [`Training::next`] says what is to be done; the caller does it and tells the result by [`Training::measured`]
//! or [`Training::proposed`]. The machine keeps the best set, its scores, and the [`FailedSet`]s that were rolled
//! back since the best set last changed; the same results in the same order always lead to the same state, so a run
//! is resumed by telling them again.
//!
//! The rules, all of them: the initial set is measured first and nothing is compared with "undefined"; an unchanged
//! candidate costs an epoch but no evaluation; an accepted candidate becomes best, clears the failures and the
//! count of fruitless epochs; anything else is rolled back; `patience` fruitless epochs in a row end the run; a tie is
//! not an improvement; a comparison that is indecisive takes more trials of both sets, up to a cap, and is then no
//! improvement; the result is the best set, which was measured. A score that is missing is never a zero: sets
//! are compared on the tasks that both have a score for, and too many missing scores end the run.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use greensand_types::{ContentId, FunctionSet, StepReport};

use crate::statistics::Interval;
use crate::strategy::{Judgement, PairedScores, Rules, STRATEGIES, StrategyEntry};

/// The rules of a run.
#[derive(Debug, Clone)]
pub struct TrainingSettings {
    /// How many epochs there are at most, fruitless ones included. Default 10; 0 only measures the initial set.
    pub max_epochs: u32,
    /// How many fruitless epochs in a row end the run. Default 3; 0 only measures the initial set.
    pub patience: u32,
    /// Which candidate is accepted. Default `greedy`.
    pub acceptance: &'static StrategyEntry,
    /// How often a candidate that is no better may be accepted by chance, 0 to 1, where the strategy heeds that. Default 0.05.
    pub false_accepts: f64,
    /// How many independent trials of each task make a score. Default 1; 0 counts as 1.
    pub repeats: u32,
    /// The most trials that an indecisive comparison buys for each task. Default 1, which buys none.
    ///
    /// Every look at the same candidate is another chance of a false accept: `false_accepts` is shared evenly among all looks that
    /// there may be (Bonferroni), whether they come or not.
    pub max_trials: u32,
    /// The part of the tasks, 0 to 1, that may lack a score before the run ends. Default 0.2.
    pub max_missing: f64,
}

impl TrainingSettings {
    /// Returns how many trials of each task make a score: `repeats`, and at least one.
    pub fn trials(&self) -> u32 {
        self.repeats.max(1)
    }

    /// Returns what one look at a candidate goes by: a candidate that may buy more trials is looked at more than once, and its looks
    /// share `false_accepts` evenly (Bonferroni).
    pub fn rules(&self) -> Rules {
        let looks = self.max_trials.max(self.trials()).div_ceil(self.trials());
        Rules { false_accepts: self.false_accepts / f64::from(looks) }
    }
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            max_epochs: 10,
            patience: 3,
            acceptance: &STRATEGIES[0],
            false_accepts: 0.05,
            repeats: 1,
            max_trials: 1,
            max_missing: 0.2,
        }
    }
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Next {
    /// Score a set on every task, then call [`Training::measured`].
    Evaluate {
        /// 0 for the initial set, else the epoch whose step proposed the candidate.
        epoch: u32,
        /// The set that both roles are to be registered with: the candidate, or the best set where a comparison that was
        /// indecisive takes more trials of both.
        set: Arc<FunctionSet>,
        /// Which trials of each task: numbers that this set was not scored under before.
        trials: Range<u32>,
    },
    /// Make one step from the best set, then call [`Training::proposed`].
    Propose {
        /// The epoch that begins, from 1.
        epoch: u32,
    },
    /// The run is over; its result is [`Training::best`].
    Finished(StopReason),
}

/// Why a run is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// Every epoch is spent.
    MaxEpochs {
        /// How many there were.
        epochs: u32,
    },
    /// Early stop: too many epochs in a row brought nothing.
    Patience {
        /// How many they were.
        fruitless: u32,
    },
    /// Too many tasks lack a score for the comparison to mean anything.
    TooMuchMissing {
        /// The epoch whose measurement it was; 0 is the initial set's.
        epoch: u32,
        /// Tasks without a score under one of the two sets.
        missing: usize,
        /// All tasks.
        tasks: usize,
    },
}

impl fmt::Display for StopReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxEpochs { epochs } => write!(formatter, "all {epochs} epochs are spent"),
            Self::Patience { fruitless } => {
                write!(formatter, "early stop: {fruitless} epochs in a row brought no improvement")
            }
            Self::TooMuchMissing { epoch, missing, tasks } => {
                write!(
                    formatter,
                    "{missing} of {tasks} tasks have no score in epoch {epoch}, which is too many to compare"
                )
            }
        }
    }
}

/// The scores of a set on the tasks that acceptance is decided on, in task order.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// The set that was measured.
    pub set: ContentId,
    /// For each task one score per trial; `None` is missing data (a fault of ours, of the network, of the model's server), not
    /// a zero.
    pub scores: Vec<Vec<Option<f64>>>,
}

impl Measurement {
    /// One trial of each task.
    pub fn once(set: ContentId, scores: impl IntoIterator<Item = Option<f64>>) -> Self {
        Self { set, scores: scores.into_iter().map(|score| vec![score]).collect() }
    }
}

/// What was decided about an epoch.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The initial set is measured.
    Baseline {
        /// Its mean score.
        score: f64,
    },
    /// The candidate is the best set now.
    Accepted {
        /// Its mean score on the tasks that both sets have a score for.
        score: f64,
        /// The mean score of the set before it on the same tasks.
        previous: f64,
        /// Why.
        reason: String,
        /// What was compared.
        comparison: Comparison,
    },
    /// The best set stays; the candidate joins the failure record.
    RolledBack {
        /// The candidate's mean score on the tasks that both sets have a score for.
        score: f64,
        /// The best set's mean score on the same tasks.
        best: f64,
        /// Why.
        reason: String,
        /// What was compared.
        comparison: Comparison,
    },
    /// The comparison is indecisive: more trials of both sets are to be measured before it is decided.
    Undecided {
        /// The candidate's mean score so far, on the tasks that both sets have a score for.
        score: f64,
        /// The best set's mean score on the same tasks.
        best: f64,
        /// Why.
        reason: String,
        /// What was compared.
        comparison: Comparison,
    },
    /// The step changed nothing, so nothing was measured.
    Unchanged,
    /// Too many scores are missing; nothing was compared, and the best set stays.
    NotCompared {
        /// Tasks without a score under one of the two sets.
        missing: usize,
        /// All tasks.
        tasks: usize,
    },
}

/// How two sets compare on the same tasks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The mean difference, candidate minus best.
    pub difference: f64,
    /// Its standard error; nothing for a single task.
    pub standard_error: Option<f64>,
    /// Where it lies with a confidence of 95 %.
    pub interval: Option<Interval>,
    /// Tasks that both sets have a score for.
    pub tasks: usize,
    /// Tasks on which the candidate scores higher.
    pub gained: usize,
    /// Tasks on which it scores lower.
    pub lost: usize,
    /// Trials of each task that the candidate's scores are means of.
    pub trials: u32,
}

/// A set that was measured and rolled back.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedSet {
    /// The candidate; its parent is the set that is still the best one.
    pub set: Arc<FunctionSet>,
    /// The epoch that proposed it.
    pub epoch: u32,
    /// Its mean score on the tasks that it shares with the best set.
    pub score: f64,
    /// The best set's mean score on the same tasks.
    pub best_score: f64,
    /// Why it was rolled back.
    pub reason: String,
}

/// A result that does not belong to what [`Training::next`] asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainingError {
    /// A result was told that nobody asked for.
    #[error("the training run did not ask for a {told}; what it asks for next: {expected}")]
    OutOfTurn {
        /// What was told.
        told: &'static str,
        /// What would have been right.
        expected: &'static str,
    },
    /// Another set was measured, or the step started from another set.
    #[error("the {what} is about set {found}; the training run waits for one about set {expected}")]
    WrongSet {
        /// What was told.
        what: &'static str,
        /// The set that it is about, in short.
        found: String,
        /// The set that it should be about, in short.
        expected: String,
    },
    /// There is nothing to decide on.
    #[error("the measurement has no tasks")]
    NoTasks,
    /// Two measurements are of different tasks.
    #[error("the measurement has {found} tasks; the initial set was measured on {expected}")]
    TaskCount {
        /// How many scores there are.
        found: usize,
        /// How many the first measurement had.
        expected: usize,
    },
    /// A measurement has other trials than were asked for.
    #[error("the measurement has {found} trials of task {index}; {expected} were asked for")]
    TrialCount {
        /// The position of the task, from 0.
        index: usize,
        /// How many trials there are.
        found: usize,
        /// How many were asked for.
        expected: u32,
    },
    /// A score is no number.
    #[error("the score of task {index} is `{score}`: not a number that can be compared")]
    NotAScore {
        /// The position of the task, from 0.
        index: usize,
        /// What stands there.
        score: f64,
    },
}

/// The scores of a set, task by task and trial by trial.
#[derive(Debug, Clone, Default)]
struct Trials {
    /// How many trials each task has had.
    count: u32,
    tasks: Vec<Vec<Option<f64>>>,
}

impl Trials {
    fn add(&mut self, trials: u32, scores: Vec<Vec<Option<f64>>>) {
        self.count += trials;
        self.tasks.resize(scores.len(), Vec::new());
        for (task, more) in self.tasks.iter_mut().zip(scores) {
            task.extend(more);
        }
    }

    /// The mean of each task's trials that have a score; nothing, where none has.
    fn means(&self) -> Vec<Option<f64>> {
        self.means_of_first(self.count)
    }

    /// The same of the first trials only.
    fn means_of_first(&self, count: u32) -> Vec<Option<f64>> {
        let first = |trials: &Vec<Option<f64>>| mean(&trials[..trials.len().min(count as usize)]);
        self.tasks.iter().map(first).collect()
    }
}

/// A set that is being measured.
#[derive(Debug, Clone)]
struct Contest {
    epoch: u32,
    set: Arc<FunctionSet>,
    trials: Trials,
    /// How many trials both sets are to have before the next look.
    wanted: u32,
}

#[derive(Debug, Clone)]
enum Phase {
    Evaluating(Contest),
    Proposing { epoch: u32 },
    Finished(StopReason),
}

/// One training run.
#[derive(Debug, Clone)]
pub struct Training {
    settings: TrainingSettings,
    phase: Phase,
    best: Arc<FunctionSet>,
    /// Empty until the initial set is measured.
    best_trials: Trials,
    /// Their means, task by task.
    best_scores: Vec<Option<f64>>,
    failures: Vec<FailedSet>,
    fruitless: u32,
    /// The last epoch that was decided on.
    decided: u32,
}

impl Training {
    /// Begins a run; the first thing to do is to measure the initial set.
    pub fn new(settings: TrainingSettings, initial: Arc<FunctionSet>) -> Self {
        let phase = Phase::Evaluating(Contest::new(0, Arc::clone(&initial), settings.trials()));
        Self {
            settings,
            phase,
            best: initial,
            best_trials: Trials::default(),
            best_scores: Vec::new(),
            failures: Vec::new(),
            fruitless: 0,
            decided: 0,
        }
    }

    /// Returns what is to be done next; asking again gives the same answer.
    pub fn next(&self) -> Next {
        match &self.phase {
            Phase::Evaluating(contest) => {
                let (set, trials) = match self.best_lags(contest) {
                    true => (&self.best, &self.best_trials),
                    false => (&contest.set, &contest.trials),
                };
                Next::Evaluate { epoch: contest.epoch, set: Arc::clone(set), trials: trials.count..contest.wanted }
            }
            Phase::Proposing { epoch } => Next::Propose { epoch: *epoch },
            Phase::Finished(reason) => Next::Finished(reason.clone()),
        }
    }

    /// Goes on under other rules. What was decided stays; whether the run is over is decided anew.
    pub fn change_settings(&mut self, settings: TrainingSettings) {
        self.settings = settings;
        match self.phase {
            Phase::Proposing { .. } | Phase::Finished(StopReason::MaxEpochs { .. } | StopReason::Patience { .. }) => {
                self.end_epoch(self.decided);
            }
            Phase::Evaluating(_) | Phase::Finished(StopReason::TooMuchMissing { .. }) => {}
        }
    }

    /// Says whether the best set needs more trials before it can be compared.
    fn best_lags(&self, contest: &Contest) -> bool {
        contest.epoch > 0 && self.best_trials.count < contest.wanted
    }

    /// Takes the scores of the set that was to be evaluated, and decides about the candidate; nothing is decided while its
    /// opponent still has fewer trials.
    ///
    /// # Errors
    /// When no evaluation was asked for, another set was measured, or the scores do not fit the tasks of the first
    /// measurement. The state is then as before.
    pub fn measured(&mut self, measurement: Measurement) -> Result<Option<Decision>, TrainingError> {
        let Next::Evaluate { set, trials, .. } = self.next() else {
            return Err(self.out_of_turn("measurement"));
        };
        let count = trials.end - trials.start;
        self.check(&measurement, &set, count)?;
        let Phase::Evaluating(contest) = &self.phase else {
            return Err(self.out_of_turn("measurement"));
        };
        let mut contest = contest.clone();
        if self.best_lags(&contest) {
            self.best_trials.add(count, measurement.scores);
            self.best_scores = self.best_trials.means();
        } else {
            contest.trials.add(count, measurement.scores);
        }
        if contest.epoch == 0 {
            return Ok(Some(self.keep_baseline(contest.trials)));
        }
        self.phase = Phase::Evaluating(contest.clone());
        if contest.trials.count < contest.wanted || self.best_lags(&contest) {
            return Ok(None);
        }
        Ok(Some(self.judge(contest)))
    }

    fn judge(&mut self, mut contest: Contest) -> Decision {
        let epoch = contest.epoch;
        let scores = contest.trials.means();
        // As many trials of both: the best set may have had more, and a mean of many against a single draw is small gains with
        // rare great losses, which a test of means takes for evidence.
        let best = self.best_trials.means_of_first(contest.trials.count);
        let paired = PairedScores::of(&best, &scores);
        if let Some(decision) = self.stop_if_too_much_is_missing(epoch, &paired) {
            return decision;
        }
        let comparison = comparison(&paired, contest.trials.count);
        let decision = match (self.settings.acceptance.judge)(&paired, &self.settings.rules()) {
            Judgement::Accept(reason) => self.accept(contest, &paired, reason, comparison),
            Judgement::Reject(reason) => self.roll_back(epoch, contest.set, &paired, reason, comparison),
            Judgement::Indecisive(reason) if contest.wanted >= self.settings.max_trials => {
                let reason = format!("indecisive after {}: {reason}", counted(contest.trials.count));
                self.roll_back(epoch, contest.set, &paired, reason, comparison)
            }
            Judgement::Indecisive(reason) => {
                contest.wanted = (contest.wanted + self.settings.trials()).min(self.settings.max_trials);
                self.phase = Phase::Evaluating(contest);
                let (score, best) = (paired.candidate_mean(), paired.best_mean());
                return Decision::Undecided { score, best, reason, comparison };
            }
        };
        self.end_epoch(epoch);
        decision
    }

    /// Takes the report of the step; returns the decision when nothing is to be measured.
    ///
    /// # Errors
    /// When no step was asked for, or the step did not start from the best set. The state is then as before.
    pub fn proposed(&mut self, report: &StepReport) -> Result<Option<Decision>, TrainingError> {
        let Phase::Proposing { epoch } = self.phase else {
            return Err(self.out_of_turn("step report"));
        };
        if report.parent != self.best.id() {
            return Err(wrong_set("step report", report.parent, self.best.id()));
        }
        if report.is_unchanged() {
            self.fruitless += 1;
            self.end_epoch(epoch);
            return Ok(Some(Decision::Unchanged));
        }
        self.phase = Phase::Evaluating(Contest::new(epoch, Arc::clone(&report.candidate), self.settings.trials()));
        Ok(None)
    }

    /// Returns the best set; it has been measured, unless the initial set still waits for it.
    pub fn best(&self) -> &Arc<FunctionSet> {
        &self.best
    }

    /// Returns the best set's mean over its own tasks with a score, once it is measured.
    pub fn best_score(&self) -> Option<f64> {
        mean(&self.best_scores)
    }

    /// Returns the best set's scores in task order; empty until the initial set is measured.
    pub fn best_scores(&self) -> &[Option<f64>] {
        &self.best_scores
    }

    /// Returns what was rolled back since the best set last changed, in ascending order of score.
    pub fn failures(&self) -> &[FailedSet] {
        &self.failures
    }

    /// Returns how many epochs in a row brought nothing.
    pub fn fruitless(&self) -> u32 {
        self.fruitless
    }

    fn keep_baseline(&mut self, trials: Trials) -> Decision {
        let scores = trials.means();
        self.best_trials = trials;
        let paired = PairedScores::of(&scores, &scores);
        self.best_scores = scores;
        if let Some(decision) = self.stop_if_too_much_is_missing(0, &paired) {
            return decision;
        }
        self.end_epoch(0);
        Decision::Baseline { score: paired.best_mean() }
    }

    fn stop_if_too_much_is_missing(&mut self, epoch: u32, paired: &PairedScores) -> Option<Decision> {
        if !paired.pairs().is_empty() && paired.missing_share() <= self.settings.max_missing {
            return None;
        }
        let (missing, tasks) = (paired.missing(), paired.pairs().len() + paired.missing());
        self.phase = Phase::Finished(StopReason::TooMuchMissing { epoch, missing, tasks });
        Some(Decision::NotCompared { missing, tasks })
    }

    fn accept(&mut self, contest: Contest, paired: &PairedScores, reason: String, comparison: Comparison) -> Decision {
        self.best = contest.set;
        self.best_scores = contest.trials.means();
        self.best_trials = contest.trials;
        self.failures.clear();
        self.fruitless = 0;
        Decision::Accepted { score: paired.candidate_mean(), previous: paired.best_mean(), reason, comparison }
    }

    fn roll_back(
        &mut self,
        epoch: u32,
        set: Arc<FunctionSet>,
        paired: &PairedScores,
        reason: String,
        comparison: Comparison,
    ) -> Decision {
        let (score, best_score) = (paired.candidate_mean(), paired.best_mean());
        // Equal scores stay in the order of their epochs.
        let place = self.failures.partition_point(|failure| failure.score <= score);
        self.failures.insert(place, FailedSet { set, epoch, score, best_score, reason: reason.clone() });
        self.fruitless += 1;
        Decision::RolledBack { score, best: best_score, reason, comparison }
    }

    fn end_epoch(&mut self, epoch: u32) {
        self.decided = epoch;
        self.phase = if self.fruitless >= self.settings.patience {
            Phase::Finished(StopReason::Patience { fruitless: self.fruitless })
        } else if epoch >= self.settings.max_epochs {
            Phase::Finished(StopReason::MaxEpochs { epochs: self.settings.max_epochs })
        } else {
            Phase::Proposing { epoch: epoch + 1 }
        };
    }

    fn check(&self, measurement: &Measurement, set: &FunctionSet, trials: u32) -> Result<(), TrainingError> {
        if measurement.set != set.id() {
            return Err(wrong_set("measurement", measurement.set, set.id()));
        }
        let (found, expected) = (measurement.scores.len(), self.best_scores.len());
        if found == 0 {
            return Err(TrainingError::NoTasks);
        }
        if expected != 0 && found != expected {
            return Err(TrainingError::TaskCount { found, expected });
        }
        for (index, scores) in measurement.scores.iter().enumerate() {
            if scores.len() != trials as usize {
                return Err(TrainingError::TrialCount { index, found: scores.len(), expected: trials });
            }
            if let Some(score) = scores.iter().flatten().find(|score| !score.is_finite()) {
                return Err(TrainingError::NotAScore { index, score: *score });
            }
        }
        Ok(())
    }

    fn out_of_turn(&self, told: &'static str) -> TrainingError {
        let expected = match self.phase {
            Phase::Evaluating(_) => "a measurement",
            Phase::Proposing { .. } => "a step",
            Phase::Finished(_) => "nothing, it is over",
        };
        TrainingError::OutOfTurn { told, expected }
    }
}

impl Contest {
    fn new(epoch: u32, set: Arc<FunctionSet>, wanted: u32) -> Self {
        Self { epoch, set, trials: Trials::default(), wanted }
    }
}

fn comparison(paired: &PairedScores, trials: u32) -> Comparison {
    let sample = paired.differences();
    Comparison {
        difference: paired.mean_difference(),
        standard_error: sample.and_then(|sample| sample.standard_error()),
        interval: sample.and_then(|sample| sample.interval(0.95)),
        tasks: paired.pairs().len(),
        gained: paired.gained(),
        lost: paired.lost(),
        trials,
    }
}

fn counted(trials: u32) -> String {
    if trials == 1 { "1 trial of each task".to_owned() } else { format!("{trials} trials of each task") }
}

fn wrong_set(what: &'static str, found: ContentId, expected: ContentId) -> TrainingError {
    TrainingError::WrongSet { what, found: found.short(), expected: expected.short() }
}

fn mean(scores: &[Option<f64>]) -> Option<f64> {
    let present: Vec<f64> = scores.iter().filter_map(|score| *score).collect();
    (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
}
