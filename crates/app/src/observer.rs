use std::time::Duration;

use greensand_llm::LimitCause;
use greensand_sandbox::ImageProgress;
use greensand_types::{ContentId, FunctionName, Language};

use crate::project::Split;
use crate::spend::Spent;
use crate::store::{DecisionRecord, ProposalRecord};

/// What happens while work is under way, for whoever shows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// The image of a guest language is being made; once per language and machine.
    PreparingImage {
        /// The language.
        language: &'a Language,
        /// How far it has come.
        progress: ImageProgress,
    },
    /// The image of a guest language is ready.
    ImageReady {
        /// The language.
        language: &'a Language,
    },
    /// The run has its folder.
    RunOpened {
        /// The folder.
        folder: &'a std::path::Path,
        /// The most epochs.
        max_epochs: u32,
    },
    /// An epoch begins; 0 measures the initial set.
    EpochStarted {
        /// Which.
        epoch: u32,
        /// Of how many.
        max_epochs: u32,
    },
    /// A function set begins to be measured.
    EvaluationStarted {
        /// In which epoch.
        epoch: u32,
        /// On which tasks.
        split: Split,
        /// Which set.
        set: ContentId,
        /// How many tasks.
        tasks: usize,
    },
    /// A task is done, in whatever order tasks are done.
    TaskDone {
        /// On which tasks.
        split: Split,
        /// How far the evaluation has come.
        tally: Tally,
    },
    /// A function set has been measured.
    EvaluationDone {
        /// In which epoch.
        epoch: u32,
        /// On which tasks.
        split: Split,
        /// Which set.
        set: ContentId,
        /// What came out.
        tally: Tally,
    },
    /// The best set begins to be measured without one of its functions.
    CreditStarted {
        /// The function that is left out.
        function: &'a FunctionName,
        /// Which one, from 1.
        number: usize,
        /// Of how many.
        of: usize,
    },
    /// The optimizer begins a step.
    StepStarted {
        /// In which epoch.
        epoch: u32,
    },
    /// The optimizer proposed an action, which was applied or refused; told when the step is over.
    Proposed {
        /// In which epoch.
        epoch: u32,
        /// What became of it.
        proposal: &'a ProposalRecord,
    },
    /// A measured set was judged.
    Decided {
        /// In which epoch.
        epoch: u32,
        /// How.
        decision: &'a DecisionRecord,
    },
    /// What all models have cost so far; told after each measurement.
    SpentSoFar {
        /// How much, earlier sittings of the run included.
        spent: Spent,
    },
    /// The limit of requests that may be under way at an endpoint is another one.
    LimitChanged {
        /// Scheme, host and port.
        endpoint: &'a str,
        /// The limit before.
        before: u32,
        /// The limit since then.
        limit: u32,
        /// When, since the endpoint was opened.
        at: Duration,
        /// Why.
        cause: LimitCause,
    },
    /// Something that a person should know and that stops nothing.
    Warning {
        /// What.
        message: &'a str,
    },
}

/// How far an evaluation has come.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Tasks that are done, missing ones included.
    pub done: usize,
    /// All tasks.
    pub total: usize,
    /// Tasks that are solved.
    pub solved: usize,
    /// Tasks without a score, because a request or the host failed.
    pub missing: usize,
    /// Function calls so far.
    pub calls: usize,
    /// The sum of the scores so far.
    pub score_sum: f64,
}

impl Tally {
    /// Returns the mean score of the measured tasks so far, 0 to 1.
    pub fn mean(&self) -> Option<f64> {
        let measured = self.done - self.missing;
        #[expect(clippy::cast_precision_loss, reason = "no task set has 2^53 tasks")]
        (measured > 0).then(|| self.score_sum / measured as f64)
    }
}

/// Watches work. It is called from within it, and should return at once.
pub trait Observer: Send + Sync {
    /// Takes note of an event.
    fn event(&self, event: Event<'_>);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: Event<'_>) {}
}
