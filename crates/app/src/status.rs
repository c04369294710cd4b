//! What becomes of a run: under way, over, or left.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::causes::with_causes;
use crate::events::TallyLine;
use crate::settings::{ProjectSource, resolve};
use crate::spend::Money;
use crate::store::{
    DecisionKind, EvaluationRecord, JournalEvent, Manifest, Report, RunFolder, RunKind, SignalError, StopRecord,
    StoreError, UsageRecord,
};
use crate::{Environment, Overrides, ProjectError, Tally};

/// The number of the form of a [`RunStatus`].
pub const STATUS_FORMAT: u32 = 1;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStatus {
    /// The format of this value.
    pub format: u32,
    /// The folder of the run.
    pub run: PathBuf,
    /// What it does.
    #[serde(default)]
    pub kind: RunKind,
    /// When it was begun, in UTC (RFC 3339).
    pub started: String,
    /// Whether it goes on.
    pub state: RunState,
    /// The process that works on it, if one does and can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// What to do next: a command, or in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Why it cannot be read, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How it ended, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopRecord>,
    /// The epoch that it is in, or ended in; none for a run that does not train.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
    /// The most epochs that it may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_epochs: Option<u64>,
    /// The measurement that is not over, as far as it was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measuring: Option<Measuring>,
    /// The score of the best set, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_score: Option<f64>,
    /// The score of the initial set, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_score: Option<f64>,
    /// What the replies of the assistant's model cost.
    pub assistant_usage: UsageRecord,
    /// What the replies of the optimizer's model cost.
    pub optimizer_usage: UsageRecord,
    /// What vectors of texts cost; left out where none were asked for.
    #[serde(default, skip_serializing_if = "UsageRecord::is_nothing")]
    pub embeddings_usage: UsageRecord,
    /// Billionths of a dollar for all of it, at the prices that the run began with; none where a price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nano_usd: Option<u64>,
}

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// A process works on it.
    Running,
    /// It is over by its own rules, and for good.
    Finished,
    /// Its budget is spent: with a higher cap it goes on.
    Stopped,
    /// Somebody asked it to stop.
    Interrupted,
    /// It could not go on, and says why.
    Failed,
    /// Its process is gone, and left no word.
    Crashed,
    /// Nobody has worked on it yet: it was forked from another run.
    Waiting,
    /// It cannot be read.
    Damaged,
}

impl RunState {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Crashed => "crashed",
            Self::Waiting => "waiting",
            Self::Damaged => "damaged",
        }
    }

    /// Says whether the run can be taken up again.
    pub fn can_go_on(self) -> bool {
        match self {
            Self::Stopped | Self::Interrupted | Self::Failed | Self::Crashed | Self::Waiting => true,
            Self::Running | Self::Finished | Self::Damaged => false,
        }
    }
}

/// A measurement that is not over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measuring {
    /// On which tasks.
    pub split: String,
    /// How far it has come: tasks are written down in their order, so that more may be done.
    #[serde(flatten)]
    pub tally: TallyLine,
}

impl RunStatus {
    /// Finds out where a run stands.
    ///
    /// # Errors
    /// When its manifest or its journal cannot be read.
    pub fn of(run: &RunFolder) -> Result<Self, StoreError> {
        // Asked first: a run that ends in between is then one that was under way, and not one that left no word.
        let is_running = run.is_in_use();
        let manifest = run.manifest()?;
        let report = run.report()?;
        let (epoch, open) = last_measurement(run)?;
        let kind = manifest.kind;
        let stop = report.stop.clone().filter(|_| !is_running);
        let state = match &stop {
            _ if is_running => RunState::Running,
            Some(stop) if stop.is_the_end() => RunState::Finished,
            Some(stop) if stop.kind == "interrupted" => RunState::Interrupted,
            Some(stop) if stop.kind == "budget_spent" => RunState::Stopped,
            Some(_) => RunState::Failed,
            None if manifest.forked_from.is_some() && !run.was_begun() => RunState::Waiting,
            None => RunState::Crashed,
        };
        let next = Some(next(run.path(), state, &manifest));
        let max_epochs = manifest.settings.iter().find(|setting| kind.trains() && setting.key == "training.epochs");
        Ok(Self {
            format: STATUS_FORMAT,
            run: run.path().to_owned(),
            kind,
            started: manifest.started,
            state,
            pid: run.process().filter(|process| is_running && process.is_alive()).map(|process| process.pid),
            next,
            problem: None,
            stop,
            epoch: epoch.filter(|_| kind.trains()),
            max_epochs: max_epochs.and_then(|setting| setting.value.as_u64()),
            measuring: open,
            best_score: score_of(&report, |decision| {
                matches!(decision, DecisionKind::Baseline | DecisionKind::Accepted)
            }),
            initial_score: score_of(&report, |decision| matches!(decision, DecisionKind::Baseline)),
            assistant_usage: report.assistant_usage,
            optimizer_usage: report.optimizer_usage,
            embeddings_usage: report.embeddings_usage,
            nano_usd: report.spend.nano_usd.map(Money::nano_dollars),
        })
    }
}

impl RunStatus {
    /// Finds out where one of several runs stands; what cannot be read is told as such, so that it hides no other.
    pub fn of_listed(run: &RunFolder) -> Self {
        Self::of(run).unwrap_or_else(|error| Self {
            format: STATUS_FORMAT,
            run: run.path().to_owned(),
            kind: run.manifest().map(|manifest| manifest.kind).unwrap_or_default(),
            started: run.manifest().map(|manifest| manifest.started).unwrap_or_default(),
            state: RunState::Damaged,
            pid: None,
            next: error.hint(),
            problem: Some(with_causes(&error)),
            stop: None,
            epoch: None,
            max_epochs: None,
            measuring: None,
            best_score: None,
            initial_score: None,
            assistant_usage: UsageRecord::default(),
            optimizer_usage: UsageRecord::default(),
            embeddings_usage: UsageRecord::default(),
            nano_usd: None,
        })
    }

    /// Returns the money that was spent, in words; nothing, where a price is not known.
    pub fn money_words(&self) -> Option<String> {
        self.nano_usd.map(|nano_usd| Money::of_nano_dollars(nano_usd).to_string())
    }
}

/// Says what to do next with a run that can be read.
fn next(run: &Path, state: RunState, manifest: &Manifest) -> String {
    let run = run.display();
    match state {
        RunState::Running => format!("greensand stop {run}"),
        RunState::Finished | RunState::Damaged => format!("greensand report {run}"),
        RunState::Stopped => format!("greensand resume {run} {}", higher_caps(manifest)),
        RunState::Interrupted | RunState::Failed | RunState::Crashed | RunState::Waiting => {
            format!("greensand resume {run}")
        }
    }
}

/// The flags of the caps that a run was begun with. How high they are to be, the reason of its stop says.
fn higher_caps(manifest: &Manifest) -> String {
    let caps = [
        ("budget.max_usd", "--max-usd USD"),
        ("budget.max_tokens", "--max-tokens N"),
        ("budget.max_calls", "--max-calls N"),
    ];
    let is_given = |key| manifest.settings.iter().any(|setting| setting.key == key && setting.value.is_number());
    let flags: Vec<_> = caps.iter().filter(|(key, _)| is_given(*key)).map(|(_, flag)| *flag).collect();
    // It was begun without any, and then gone on with under one.
    if flags.is_empty() { "with a higher cap".into() } else { flags.join(" ") }
}

fn score_of(report: &Report, counts: impl Fn(DecisionKind) -> bool) -> Option<f64> {
    let decisions = report.epochs.iter().rev().filter_map(|epoch| epoch.decision.as_ref());
    decisions.filter(|decision| counts(decision.decision)).find_map(|decision| decision.score)
}

/// Returns the last epoch, and the measurement that is not over.
fn last_measurement(run: &RunFolder) -> Result<(Option<u32>, Option<Measuring>), StoreError> {
    let (mut epoch, mut open): (Option<u32>, Option<Open>) = (None, None);
    for event in run.journal()? {
        match event? {
            JournalEvent::EvaluationStarted(record) => {
                epoch = epoch.max(Some(record.epoch));
                let tally = Tally { total: record.attempts(), ..Tally::default() };
                open = Some(Open { record, tally });
            }
            JournalEvent::EvaluationDone(_) => open = None,
            JournalEvent::Conversation(line) => open.iter_mut().for_each(|open| {
                open.tally.solved += usize::from(line.verdict.solved);
                open.tally.calls += line.calls.len();
                open.tally.score_sum += line.verdict.score;
                open.tally.done += 1;
            }),
            JournalEvent::Missing(_) => open.iter_mut().for_each(|open| {
                open.tally.missing += 1;
                open.tally.done += 1;
            }),
            JournalEvent::Step(record) => epoch = epoch.max(Some(record.epoch)),
            JournalEvent::Opened(_)
            | JournalEvent::Decision(_)
            | JournalEvent::Instructions(_)
            | JournalEvent::Stopped(_)
            | JournalEvent::Reply(_)
            | JournalEvent::Embedding(_)
            | JournalEvent::Outcome(_)
            | JournalEvent::Sent(_)
            | JournalEvent::GivenBack(_)
            | JournalEvent::SittingStarted(_)
            | JournalEvent::SittingEnded(_) => {}
        }
    }
    Ok((epoch, open.map(Open::into_measuring)))
}

/// A measurement that is followed through the journal.
struct Open {
    record: EvaluationRecord,
    tally: Tally,
}

impl Open {
    fn into_measuring(self) -> Measuring {
        Measuring { split: self.record.split, tally: self.tally.into() }
    }
}

/// How often a run that was asked to stop is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Why a run was not stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing says which process works on it.
    #[error("a process works on run `{}`, and nothing says which", run.display())]
    NoProcess {
        /// The run.
        run: PathBuf,
    },
    /// The process cannot be asked.
    #[error("stop run `{}`", run.display())]
    Signal {
        /// The run.
        run: PathBuf,
        /// Why.
        #[source]
        source: SignalError,
    },
    /// It was asked, and goes on.
    #[error("run `{}` was asked to stop, and still writes down what it has", run.display())]
    TooSlow {
        /// The run.
        run: PathBuf,
    },
}

impl StopError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::NoProcess { .. } | Self::Signal { .. } => {
                Some("stop it where it was started: the lock of the run is held, perhaps from another machine".into())
            }
            Self::TooSlow { run } => Some(format!("`greensand status {}` says when it has ended", run.display())),
        }
    }
}

/// Asks the process that works on a run to stop, and waits until it has. Returns whether there was one.
///
/// # Errors
/// When it cannot be found or asked, or does not stop in time.
pub fn stop_run(run: &RunFolder, deadline: Duration) -> Result<bool, StopError> {
    // The lock is what says that a process works on the run; the file only says which.
    if !run.is_in_use() {
        return Ok(false);
    }
    let path = run.path().to_owned();
    let process = run.process().ok_or_else(|| StopError::NoProcess { run: path.clone() })?;
    match process.ask_to_stop() {
        Ok(()) => {}
        // It may have ended in this moment.
        Err(_) if !run.is_in_use() => return Ok(true),
        Err(source) => return Err(StopError::Signal { run: path, source }),
    }
    let asked = Instant::now();
    while run.is_in_use() {
        if asked.elapsed() > deadline {
            return Err(StopError::TooSlow { run: path });
        }
        std::thread::sleep(LOOK);
    }
    Ok(true)
}

/// Finds runs: the run of a run folder, or the runs of a project or of a folder of runs, the oldest first, damaged ones included.
///
/// # Errors
/// When there is nothing there, or the settings of the project cannot be read.
pub fn find_runs(path: &Path, environment: &Environment) -> Result<Vec<RunFolder>, ProjectError> {
    if let Ok(run) = RunFolder::open(path) {
        return Ok(vec![run]);
    }
    if !path.exists() {
        return Err(ProjectError::Missing { path: path.to_owned() });
    }
    let here = RunFolder::list_all(path);
    if path.is_dir() && !here.is_empty() {
        return Ok(here);
    }
    let source = ProjectSource::read(path)?;
    let settings = resolve(&source, &Overrides::new(), environment)?;
    Ok(RunFolder::list_all(&settings.runs_dir))
}
