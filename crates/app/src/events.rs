//! The events of work as lines of JSON, for programs that watch it.
//!
//! A command that works for a while writes one object on each line: first `opened`, with the number of the form; last
//! `finished`, with the report, or `failed`, with what to do. Who reads lines passes over events and members that it does not
//! know. The order is that of the work: `task_done` comes in whatever order tasks are done, all else in the order of epochs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::{DecisionRecord, ProposalRecord};
use crate::{Event, Tally};

/// The number of the form of these lines. It is raised when an event or a member gets another meaning or goes.
pub const EVENTS_FORMAT: u32 = 1;

/// A line of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventLine {
    /// The first line.
    Opened {
        /// The number of the form.
        format: u32,
        /// The version of the program.
        version: String,
        /// The command, such as `train`.
        command: String,
    },
    /// A stage of the making of an image begins; once per language and machine.
    PreparingImage {
        /// The language.
        language: String,
        /// The stage, in words.
        stage: String,
    },
    /// The image of a guest language is ready.
    ImageReady {
        /// The language.
        language: String,
    },
    /// The run has its folder.
    RunOpened {
        /// The folder.
        run: String,
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
        split: String,
        /// The id of the set.
        set: String,
        /// How many tasks.
        tasks: usize,
    },
    /// A task is done, in whatever order tasks are done.
    TaskDone {
        /// On which tasks.
        split: String,
        /// How far the evaluation has come.
        #[serde(flatten)]
        tally: TallyLine,
    },
    /// A function set has been measured.
    EvaluationDone {
        /// In which epoch.
        epoch: u32,
        /// On which tasks.
        split: String,
        /// The id of the set.
        set: String,
        /// What came out.
        #[serde(flatten)]
        tally: TallyLine,
    },
    /// The best set begins to be measured without one of its functions.
    CreditStarted {
        /// The function that is left out.
        function: String,
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
        /// What became of it, as in the journal.
        proposal: ProposalRecord,
    },
    /// A measured set was judged.
    Decided {
        /// How, as in the journal; it names its epoch.
        decision: DecisionRecord,
    },
    /// What all models have cost so far, earlier sittings of the run included.
    SpentSoFar {
        /// Requests that were answered, or cut off in flight.
        calls: u64,
        /// Tokens of prompts and replies.
        tokens: u64,
        /// Money in billionths of a dollar; none where a price is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        nano_usd: Option<u64>,
    },
    /// The limit of requests that may be under way at an endpoint is another one; growth is told when it is over.
    LimitChanged {
        /// Scheme, host and port of the endpoint.
        endpoint: String,
        /// The limit before.
        before: u32,
        /// The limit since then.
        limit: u32,
        /// When, in milliseconds since the process opened the endpoint.
        at_ms: u64,
        /// Why: `rate_limited`, `grown` because replies came while the limit was the bound, or `bounded` by the settings.
        cause: String,
    },
    /// Something that a person should know and that stops nothing.
    Warning {
        /// What.
        message: String,
    },
    /// The last line of work that came to an end, its own or the one that somebody asked for.
    Finished {
        /// `finished`, or `interrupted`.
        ending: String,
        /// The folder of the run, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<String>,
        /// The exit code of the process.
        exit_code: u8,
        /// What came out; its form is that of the command.
        report: serde_json::Value,
    },
    /// The last line of work that failed.
    Failed(FailedLine),
}

/// The last line of work that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailedLine {
    /// What failed.
    pub error: String,
    /// Why, the nearest cause first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What it is about: `no`, `asked`, `model`, `budget` or `bug`, as the exit code says, too.
    pub kind: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The exit code of the process.
    pub exit_code: u8,
    /// The folder of the run, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What came out until then, if something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<serde_json::Value>,
}

/// How far an evaluation has come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TallyLine {
    /// Tasks that are done, missing ones included.
    pub done: usize,
    /// All tasks.
    pub total: usize,
    /// Tasks that are solved.
    pub solved: usize,
    /// Tasks without a score.
    pub missing: usize,
    /// Function calls so far.
    pub calls: usize,
    /// The mean score of the measured tasks so far, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

impl EventLine {
    /// Returns the first line of a command's work.
    pub fn opened(command: &str) -> Self {
        Self::Opened { format: EVENTS_FORMAT, version: env!("CARGO_PKG_VERSION").into(), command: command.into() }
    }
}

impl From<&Event<'_>> for EventLine {
    fn from(event: &Event<'_>) -> Self {
        match *event {
            Event::PreparingImage { language, progress } => {
                Self::PreparingImage { language: language.to_string(), stage: progress.stage.as_str().into() }
            }
            Event::ImageReady { language } => Self::ImageReady { language: language.to_string() },
            Event::RunOpened { folder, max_epochs } => {
                Self::RunOpened { run: folder.display().to_string(), max_epochs }
            }
            Event::EpochStarted { epoch, max_epochs } => Self::EpochStarted { epoch, max_epochs },
            Event::EvaluationStarted { epoch, split, set, tasks } => {
                Self::EvaluationStarted { epoch, split: split.to_string(), set: set.to_string(), tasks }
            }
            Event::TaskDone { split, tally } => Self::TaskDone { split: split.to_string(), tally: tally.into() },
            Event::EvaluationDone { epoch, split, set, tally } => {
                Self::EvaluationDone { epoch, split: split.to_string(), set: set.to_string(), tally: tally.into() }
            }
            Event::CreditStarted { function, number, of } => {
                Self::CreditStarted { function: function.to_string(), number, of }
            }
            Event::StepStarted { epoch } => Self::StepStarted { epoch },
            Event::Proposed { epoch, proposal } => Self::Proposed { epoch, proposal: proposal.clone() },
            Event::Decided { epoch: _, decision } => Self::Decided { decision: decision.clone() },
            Event::SpentSoFar { spent } => Self::SpentSoFar {
                calls: spent.calls,
                tokens: spent.tokens,
                nano_usd: spent.money.map(|money| money.nano_dollars()),
            },
            Event::LimitChanged { endpoint, before, limit, at, cause } => Self::LimitChanged {
                endpoint: endpoint.into(),
                before,
                limit,
                at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
                cause: cause.as_str().into(),
            },
            Event::Warning { message } => Self::Warning { message: message.into() },
        }
    }
}

impl From<Tally> for TallyLine {
    fn from(tally: Tally) -> Self {
        let score = tally.mean();
        let Tally { done, total, solved, missing, calls, score_sum: _ } = tally;
        Self { done, total, solved, missing, calls, score }
    }
}
