use std::sync::Arc;
use std::time::SystemTime;

use greensand_llm::Role;
use greensand_optimizer::{Next, StopReason, Training, TrainingSettings};
use greensand_types::FunctionSet;

use super::TrainError;
use super::begin::{begin, load, manifest_of, source_of, take_up};
use super::eras::Eras;
use super::recorded::RecordedRun;
use super::session::{Session, Stop};
use crate::project::Project;
use crate::sets::LoadedSet;
use crate::spend::BudgetSpent;
use crate::store::{Reopening, Report, RunFolder, RunKind, RunWriter};
use crate::{Equipment, Interrupt, Observer};

/// What a training run left.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainReport {
    /// The folder of the run.
    pub folder: RunFolder,
    /// What came out.
    pub report: Report,
    /// How it ended.
    pub ending: RunEnding,
}

/// How a training run ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnding {
    /// The training stopped by its own rules.
    Finished,
    /// Too many tasks had no score to go on.
    TooMuchMissing,
    /// Somebody asked for the stop.
    Interrupted,
    /// The next request was not sent, because the budget does not cover it. A higher cap lets the run go on.
    BudgetSpent(BudgetSpent),
}

/// Trains the functions of a project's agent, in a new run folder.
///
/// An interrupt is no error: what is under way is abandoned, and the run can be taken up again by [`resume`](super::resume).
///
/// # Errors
/// When the initial set is not admitted, the run folder cannot be written, or a model or the host fails in a way that
/// the next request would share. The run folder then says so, holds everything until then, and can be taken up again.
pub async fn train(
    project: &Project,
    equipment: &Equipment,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<TrainReport, TrainError> {
    let before_run = |kind| TrainError { kind, run: None };
    equipment.ledger.allow(&Role::ALL).map_err(|uncapped| before_run(uncapped.into()))?;
    let initial = load(&source_of(project), equipment).await.map_err(before_run)?;
    let now = SystemTime::now();
    let manifest = manifest_of(RunKind::Train, project, equipment, now);
    let run = RunWriter::create(&project.settings.runs_dir, &manifest, now);
    let run = run.map_err(|error| before_run(error.into()))?;
    work(project, &Eras::one(equipment.clone()), run, initial, observer, interrupt).await
}

/// Takes a training run up again, or does it again.
pub(super) async fn again(
    recorded: &RecordedRun,
    eras: &Eras,
    how: Reopening,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<TrainReport, TrainError> {
    let (run, initial) = take_up(recorded, eras, how, &Role::ALL).await?;
    work(&recorded.project, eras, run, initial, observer, interrupt).await
}

/// Works on a run until it is over or cannot go on, and closes it.
async fn work(
    project: &Project,
    eras: &Eras,
    run: RunWriter,
    initial: LoadedSet,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<TrainReport, TrainError> {
    let folder = run.folder().clone();
    let max_epochs = project.settings.training.epochs;
    let failed = |kind| TrainError { kind, run: Some(folder.path().to_owned()) };
    begin(&run, project, &initial, max_epochs, observer).map_err(|error| failed(error.into()))?;
    let mut session = Session::new(project, eras, Arc::new(run), Arc::clone(&initial.set), observer, interrupt);
    let finished = run_to_end(&mut session, eras.first().training.clone(), initial.set).await;
    session.close(finished).map_err(failed)
}

/// The training itself: what comes next is for [`Training`] to say.
async fn run_to_end(
    session: &mut Session<'_>,
    settings: TrainingSettings,
    initial: Arc<FunctionSet>,
) -> Result<StopReason, Stop> {
    let (reason, last_epoch) = train_to_end(session, settings, Arc::clone(&initial)).await?;
    if !matches!(reason, StopReason::TooMuchMissing { .. }) {
        session.final_test(&initial, last_epoch).await?;
        session.credit(last_epoch).await?;
    }
    Ok(reason)
}

/// The training alone, up to where it stops by its own rules; returns why, and the last epoch.
pub(super) async fn train_to_end(
    session: &mut Session<'_>,
    settings: TrainingSettings,
    initial: Arc<FunctionSet>,
) -> Result<(StopReason, u32), Stop> {
    let mut training = Training::new(settings, initial);
    let mut last_epoch = 0;
    let reason = loop {
        match training.next() {
            Next::Evaluate { epoch, set, trials } => {
                last_epoch = epoch;
                session.evaluate_candidate(&mut training, epoch, &set, trials).await?;
            }
            Next::Propose { epoch } => {
                last_epoch = epoch;
                session.propose(&mut training, epoch).await?;
            }
            Next::Finished(reason) => break reason,
        }
        // A candidate that is still to be measured belongs to the epoch that proposed it.
        if !matches!(training.next(), Next::Evaluate { .. }) {
            session.enter(&mut training, last_epoch + 1);
        }
    };
    Ok((reason, last_epoch))
}
