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
//! not an improvement; the result is the best set, which was measured. A score that is missing is never a zero: sets
//! are compared on the tasks that both have a score for, and too many missing scores end the run.

use std::fmt;
use std::sync::Arc;

use greensand_types::{ContentId, FunctionSet, StepReport};

use crate::strategy::{Judgement, PairedScores, STRATEGIES, StrategyEntry};

/// The rules of a run.
#[derive(Debug, Clone)]
pub struct TrainingSettings {
    /// How many epochs there are at most, fruitless ones included. Default 10; 0 only measures the initial set.
    pub max_epochs: u32,
    /// How many fruitless epochs in a row end the run. Default 3; 0 only measures the initial set.
    pub patience: u32,
    /// Which candidate is accepted. Default `greedy`.
    pub acceptance: &'static StrategyEntry,
    /// The part of the tasks, 0 to 1, that may lack a score before the run ends. Default 0.2.
    pub max_missing: f64,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self { max_epochs: 10, patience: 3, acceptance: &STRATEGIES[0], max_missing: 0.2 }
    }
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Next {
    /// Score a set on every task, then call [`Training::measured`].
    Evaluate {
        /// 0 for the initial set, else the epoch whose step proposed the set.
        epoch: u32,
        /// The set that both roles are to be registered with.
        set: Arc<FunctionSet>,
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
    /// One score per task; `None` is missing data (a fault of ours, of the network, of the model's server), not a zero.
    pub scores: Vec<Option<f64>>,
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
    },
    /// The best set stays; the candidate joins the failure record.
    RolledBack {
        /// The candidate's mean score on the tasks that both sets have a score for.
        score: f64,
        /// The best set's mean score on the same tasks.
        best: f64,
        /// Why.
        reason: String,
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
    /// A score is no number.
    #[error("the score of task {index} is `{score}`: not a number that can be compared")]
    NotAScore {
        /// The position of the task, from 0.
        index: usize,
        /// What stands there.
        score: f64,
    },
}

#[derive(Debug, Clone)]
enum Phase {
    Evaluating { epoch: u32, set: Arc<FunctionSet> },
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
    best_scores: Vec<Option<f64>>,
    failures: Vec<FailedSet>,
    fruitless: u32,
    /// The last epoch that was decided on.
    decided: u32,
}

impl Training {
    /// Begins a run; the first thing to do is to measure the initial set.
    pub fn new(settings: TrainingSettings, initial: Arc<FunctionSet>) -> Self {
        Self {
            settings,
            phase: Phase::Evaluating { epoch: 0, set: Arc::clone(&initial) },
            best: initial,
            best_scores: Vec::new(),
            failures: Vec::new(),
            fruitless: 0,
            decided: 0,
        }
    }

    /// Returns what is to be done next; asking again gives the same answer.
    pub fn next(&self) -> Next {
        match &self.phase {
            Phase::Evaluating { epoch, set } => Next::Evaluate { epoch: *epoch, set: Arc::clone(set) },
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
            Phase::Evaluating { .. } | Phase::Finished(StopReason::TooMuchMissing { .. }) => {}
        }
    }

    /// Takes the scores of the set that was to be evaluated, and decides about it.
    ///
    /// # Errors
    /// When no evaluation was asked for, another set was measured, or the scores do not fit the tasks of the first
    /// measurement. The state is then as before.
    pub fn measured(&mut self, measurement: Measurement) -> Result<Decision, TrainingError> {
        let Phase::Evaluating { epoch, set } = &self.phase else {
            return Err(self.out_of_turn("measurement"));
        };
        let (epoch, set) = (*epoch, Arc::clone(set));
        self.check(&measurement, &set)?;
        let scores = measurement.scores;
        if epoch == 0 {
            return Ok(self.keep_baseline(scores));
        }
        let paired = PairedScores::of(&self.best_scores, &scores);
        if let Some(decision) = self.stop_if_too_much_is_missing(epoch, &paired) {
            return Ok(decision);
        }
        let decision = match (self.settings.acceptance.judge)(&paired) {
            Judgement::Accept => self.accept(set, scores, &paired),
            Judgement::Reject(reason) => self.roll_back(epoch, set, &paired, reason),
        };
        self.end_epoch(epoch);
        Ok(decision)
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
        self.phase = Phase::Evaluating { epoch, set: Arc::clone(&report.candidate) };
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

    fn keep_baseline(&mut self, scores: Vec<Option<f64>>) -> Decision {
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

    fn accept(&mut self, set: Arc<FunctionSet>, scores: Vec<Option<f64>>, paired: &PairedScores) -> Decision {
        self.best = set;
        self.best_scores = scores;
        self.failures.clear();
        self.fruitless = 0;
        Decision::Accepted { score: paired.candidate_mean(), previous: paired.best_mean() }
    }

    fn roll_back(&mut self, epoch: u32, set: Arc<FunctionSet>, paired: &PairedScores, reason: String) -> Decision {
        let (score, best_score) = (paired.candidate_mean(), paired.best_mean());
        // Equal scores stay in the order of their epochs.
        let place = self.failures.partition_point(|failure| failure.score <= score);
        self.failures.insert(place, FailedSet { set, epoch, score, best_score, reason: reason.clone() });
        self.fruitless += 1;
        Decision::RolledBack { score, best: best_score, reason }
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

    fn check(&self, measurement: &Measurement, set: &FunctionSet) -> Result<(), TrainingError> {
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
        for (index, score) in measurement.scores.iter().enumerate() {
            if let Some(score) = score.filter(|score| !score.is_finite()) {
                return Err(TrainingError::NotAScore { index, score });
            }
        }
        Ok(())
    }

    fn out_of_turn(&self, told: &'static str) -> TrainingError {
        let expected = match self.phase {
            Phase::Evaluating { .. } => "a measurement",
            Phase::Proposing { .. } => "a step",
            Phase::Finished(_) => "nothing, it is over",
        };
        TrainingError::OutOfTurn { told, expected }
    }
}

fn wrong_set(what: &'static str, found: ContentId, expected: ContentId) -> TrainingError {
    TrainingError::WrongSet { what, found: found.short(), expected: expected.short() }
}

fn mean(scores: &[Option<f64>]) -> Option<f64> {
    let present: Vec<f64> = scores.iter().filter_map(|score| *score).collect();
    (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
}
