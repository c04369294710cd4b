//! What every kind of run does before its own work and after it: it takes up a folder and the set it starts from, says so, and
//! writes down how it ended.

use std::time::SystemTime;

use greensand_llm::Role;
use greensand_types::TokenUsage;

use super::eras::Eras;
use super::recorded::RecordedRun;
use super::session::Stop;
use super::{TrainError, TrainErrorKind};
use crate::evaluate::EvaluateError;
use crate::project::Project;
use crate::sets::{LoadedSet, SetSource};
use crate::spend::{Ledger, Spender};
use crate::store::{
    JournalEvent, Manifest, PaidReply, Reopening, RunFolder, RunKind, RunWriter, SentRecord, StopRecord, StoreError,
};
use crate::{Equipment, Event, Observer};

/// The set that the settings start from.
pub(super) fn source_of(project: &Project) -> SetSource {
    match &project.settings.functions.initial {
        None => SetSource::Empty,
        Some(path) => SetSource::parse(&path.to_string_lossy()),
    }
}

/// The set that a run started from: the one that its journal names, or that was in its folder before anything else, or, if it
/// was left even before that, the one of its settings.
fn source_of_run(recorded: &RecordedRun) -> SetSource {
    let of_run = |set: &str| SetSource::Run { folder: recorded.folder.path().to_owned(), set: set.into() };
    match (recorded.folder.load_set("initial"), &recorded.manifest.about) {
        (Ok(_), _) => of_run("initial"),
        (Err(_), Some(set)) => of_run(set),
        (Err(_), None) => source_of(&recorded.project),
    }
}

/// Reads a set, and lets it in.
pub(super) async fn load(source: &SetSource, equipment: &Equipment) -> Result<LoadedSet, TrainErrorKind> {
    let loaded = source.load(equipment.runtime.as_ref(), equipment.admission()).await;
    loaded.map_err(|error| TrainErrorKind::Initial(Box::new(error)))
}

/// Describes a run that begins now.
pub(super) fn manifest_of(kind: RunKind, project: &Project, equipment: &Equipment, now: SystemTime) -> Manifest {
    let (assistant, optimizer) = (equipment.assistant.label(), equipment.optimizer.label());
    Manifest::of(kind, project, assistant, optimizer, now).priced(equipment.ledger.prices().clone())
}

/// Takes the folder of a run up again, with the set that it started from.
pub(super) async fn take_up(
    recorded: &RecordedRun,
    eras: &Eras,
    how: Reopening,
    roles: &[Role],
) -> Result<(RunWriter, LoadedSet), TrainError> {
    let failed = |kind| TrainError { kind, run: Some(recorded.folder.path().to_owned()) };
    let run = reopen(recorded, eras, how, roles).map_err(failed)?;
    let mut initial = load(&source_of_run(recorded), eras.first()).await.map_err(failed)?;
    initial.warnings.extend(recorded.doubts());
    Ok((run, initial))
}

/// To resume, what the run has spent is entered into its ledger, which must allow models of these roles.
fn reopen(recorded: &RecordedRun, eras: &Eras, how: Reopening, roles: &[Role]) -> Result<RunWriter, TrainErrorKind> {
    let ledger = eras.first().ledger();
    if how == Reopening::Resume {
        ledger.allow(roles)?;
    }
    let run = RunWriter::reopen(&recorded.folder, how)?;
    if how == Reopening::Resume {
        restore(ledger, &recorded.folder)?;
    }
    Ok(run)
}

/// Enters what a run has paid for into its ledger, and what was cut off in flight.
pub(super) fn restore(ledger: &Ledger, folder: &RunFolder) -> Result<(), StoreError> {
    let spending = folder.spending()?;
    for PaidReply { spender, epoch, turn, usage } in spending.paid {
        ledger.restore(spender, epoch, turn, usage);
    }
    for SentRecord { role, epoch, prompt_tokens, completion_tokens, .. } in spending.cut_off {
        let spender = Spender::of(&role).unwrap_or(Spender::Assistant);
        let estimate = TokenUsage { requests: 1, prompt_tokens, completion_tokens, ..TokenUsage::default() };
        ledger.restore_cut_off(spender, epoch, estimate);
    }
    Ok(())
}

/// Notes that the work begins, and tells whoever watches.
pub(super) fn begin(
    run: &RunWriter,
    project: &Project,
    initial: &LoadedSet,
    max_epochs: u32,
    observer: &dyn Observer,
) -> Result<(), StoreError> {
    run.begin_sitting(&project.command, SystemTime::now())?;
    observer.event(Event::RunOpened { folder: run.folder().path(), max_epochs });
    for warning in project.tasks.warnings().iter().chain(&initial.warnings) {
        run.warn(warning);
        observer.event(Event::Warning { message: warning });
    }
    Ok(())
}

/// Writes down how a run ended that measures: with its findings, which `keep` puts into the folder, it is over; without, it can be
/// taken up again.
pub(super) fn close<T>(
    run: &RunWriter,
    ended: Result<T, Stop>,
    reason: &str,
    keep: impl FnOnce(&T) -> Result<(), StoreError>,
) -> Result<T, TrainErrorKind> {
    let stop = match &ended {
        Ok(found) => {
            let stop = StopRecord { kind: "measured".into(), reason: reason.into() };
            run.append(&JournalEvent::Stopped(stop.clone()))?;
            keep(found)?;
            stop
        }
        Err(stop) => stop.record(),
    };
    let written = run.end_sitting(stop, SystemTime::now()).and_then(|()| run.write_report());
    // The first error is the one to tell: that the end could not be written down mostly follows from it.
    let found = ended.map_err(TrainErrorKind::from)?;
    written?;
    Ok(found)
}

impl From<Stop> for TrainErrorKind {
    fn from(stop: Stop) -> Self {
        let error = match stop {
            Stop::Interrupted => EvaluateError::Interrupted,
            Stop::TooMuchMissing(missing) => EvaluateError::TooMuchMissing(missing),
            Stop::BudgetSpent(spent) => EvaluateError::BudgetSpent(spent),
            Stop::Failed(kind) => return kind,
        };
        Self::Evaluate(Box::new(error))
    }
}
