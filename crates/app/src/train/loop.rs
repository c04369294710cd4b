use std::sync::Arc;
use std::time::SystemTime;

use greensand_optimizer::{Next, StopReason, Training};
use greensand_types::FunctionSet;

use super::session::{Session, Stop};
use super::{TrainError, TrainErrorKind};
use crate::project::Project;
use crate::sets::{LoadedSet, SetSource};
use crate::store::{Manifest, Report, RunFolder, RunWriter};
use crate::{Equipment, Event, Interrupt, Observer};

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
}

/// Trains the functions of a project's agent, in a new run folder.
///
/// An interrupt is no error: what is under way is abandoned, and the run is closed with what it has.
///
/// # Errors
/// When the initial set is not admitted, the run folder cannot be written, or a model or the host fails in a way that
/// the next request would share. The run folder then says so, and holds everything until then.
pub async fn train(
    project: &Project,
    equipment: &Equipment,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<TrainReport, TrainError> {
    let before_run = |kind| TrainError { kind, run: None };
    let initial = load_initial(project, equipment).await.map_err(before_run)?;
    let run = open_run(project, equipment).map_err(before_run)?;
    let folder = run.folder().clone();
    let max_epochs = equipment.training.max_epochs;
    observer.event(Event::RunOpened { folder: folder.path(), max_epochs });
    for warning in project.tasks.warnings().iter().chain(&initial.warnings) {
        run.warn(warning);
        observer.event(Event::Warning { message: warning });
    }
    let mut session = Session::new(project, equipment, Arc::new(run), Arc::clone(&initial.set), observer, interrupt);
    let finished = run_to_end(&mut session, initial.set).await;
    let closed = session.close(finished);
    closed.map_err(|kind| TrainError { kind, run: Some(folder.path().to_owned()) })
}

async fn load_initial(project: &Project, equipment: &Equipment) -> Result<LoadedSet, TrainErrorKind> {
    let source = match &project.settings.functions.initial {
        None => SetSource::Empty,
        Some(path) => SetSource::parse(&path.to_string_lossy()),
    };
    let loaded = source.load(equipment.runtime.as_ref(), equipment.admission()).await;
    loaded.map_err(|error| TrainErrorKind::Initial(Box::new(error)))
}

fn open_run(project: &Project, equipment: &Equipment) -> Result<RunWriter, TrainErrorKind> {
    let now = SystemTime::now();
    let (assistant, optimizer) = (equipment.assistant.label(), equipment.optimizer.label());
    let manifest = Manifest::of(project, assistant, optimizer, now);
    Ok(RunWriter::create(&project.settings.runs_dir, &manifest, now)?)
}

/// The training itself: what comes next is for [`Training`] to say.
async fn run_to_end(session: &mut Session<'_>, initial: Arc<FunctionSet>) -> Result<StopReason, Stop> {
    let mut training = Training::new(session.equipment.training.clone(), Arc::clone(&initial));
    let mut last_epoch = 0;
    let reason = loop {
        match training.next() {
            Next::Evaluate { epoch, set } => {
                last_epoch = epoch;
                session.evaluate_candidate(&mut training, epoch, &set).await?;
            }
            Next::Propose { epoch } => {
                last_epoch = epoch;
                session.propose(&mut training, epoch).await?;
            }
            Next::Finished(reason) => break reason,
        }
    };
    if !matches!(reason, StopReason::TooMuchMissing { .. }) {
        session.final_test(&initial, last_epoch).await?;
    }
    Ok(reason)
}
