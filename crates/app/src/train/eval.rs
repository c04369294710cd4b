//! Measuring one set on one split, in a run of its own.

use std::sync::Arc;
use std::time::SystemTime;

use greensand_llm::Role;
use greensand_optimizer::Sample;
use greensand_types::{Task, TokenUsage, Verdict};

use super::begin::{begin, close, load, manifest_of, take_up};
use super::eras::Eras;
use super::recorded::RecordedRun;
use super::session::Stop;
use super::{TrainError, TrainErrorKind};
use crate::causes::with_causes;
use crate::evaluate::{Cover, EvaluateError, Job, Measured, TaskResult, count_look, measure};
use crate::project::{Project, Split};
use crate::sets::{LoadedSet, SetSource};
use crate::store::{EVAL_FORMAT, EvalReport, Manifest, Reopening, RunFolder, RunKind, RunWriter, TaskReport};
use crate::{Equipment, Interrupt, Observer, Tally};

/// What an evaluation left.
#[derive(Debug)]
pub struct EvalDone {
    /// The folder of the run.
    pub folder: RunFolder,
    /// What was found, as far as it went.
    pub report: EvalReport,
    /// Why it was not brought to its end, if it was not.
    pub error: Option<EvaluateError>,
}

/// Measures a set on a split, in a run folder of its own, with as many trials of each task as `training.repeats` says.
///
/// What was measured is paid for: an interrupt, a model that fails for every task alike, a spent budget and too many tasks without a
/// score leave a report that says so and holds what there is until then, and [`resume`](super::resume) goes on with it. What
/// has no score counts nowhere.
///
/// # Errors
/// When the split has no tasks, the set is not admitted, the model costs money and nothing bounds how much, or the folder
/// cannot be written.
pub async fn evaluate(
    project: &Project,
    equipment: &Equipment,
    set: &SetSource,
    split: Split,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<EvalDone, TrainError> {
    let before_run = |kind| TrainError { kind, run: None };
    equipment.ledger.allow(&[Role::Assistant]).map_err(|uncapped| before_run(uncapped.into()))?;
    if project.tasks.get(split).is_empty() {
        return Err(before_run(EvaluateError::NoTasks(split).into()));
    }
    let loaded = load(set, equipment).await.map_err(before_run)?;
    let now = SystemTime::now();
    let manifest = manifest_of(RunKind::Eval, project, equipment, now);
    let manifest = Manifest { split: Some(split.to_string()), ..manifest };
    let run = RunWriter::create_about(&loaded.set, &project.settings.runs_dir, &manifest, now);
    let run = run.map_err(|error| before_run(error.into()))?;
    work(project, equipment, run, &loaded, split, observer, interrupt).await
}

/// Goes on with a run that was stopped, or does one again from what is kept.
pub(super) async fn again(
    recorded: &RecordedRun,
    eras: &Eras,
    how: Reopening,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<EvalDone, TrainError> {
    let failed = |kind| TrainError { kind, run: Some(recorded.folder.path().to_owned()) };
    let split = recorded.split().map_err(|error| failed(error.into()))?;
    let (run, loaded) = take_up(recorded, eras, how, &[Role::Assistant]).await?;
    work(&recorded.project, eras.first(), run, &loaded, split, observer, interrupt).await
}

async fn work(
    project: &Project,
    equipment: &Equipment,
    run: RunWriter,
    loaded: &LoadedSet,
    split: Split,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<EvalDone, TrainError> {
    let folder = run.folder().clone();
    let failed = |kind| TrainError { kind, run: Some(folder.path().to_owned()) };
    begin(&run, project, loaded, 0, observer).map_err(|error| failed(error.into()))?;
    let conversations = project.tasks.get(split).len() * equipment.training.trials() as usize;
    let test_scored = match (split, folder.evaluation()) {
        // What was counted when it was over stays, however often the tasks are scored later.
        (_, Some(report)) => report.test_scored,
        (Split::Test, None) => {
            let count = count_look(&run, project, equipment.ledger(), conversations, observer);
            Some(count.map_err(|error| failed(error.into()))?)
        }
        (Split::Train | Split::Validation, None) => None,
    };
    let run = Arc::new(run);
    let job = Job {
        equipment: &equipment.recorded_in(&run),
        set: &loaded.set,
        tasks: project.tasks.get(split),
        trials: 0..equipment.training.trials(),
        split,
        epoch: 0,
        cover: Cover::Whole,
        jobs: project.settings.training.jobs,
        run: Some(&run),
        observer,
        interrupt,
    };
    let (measured, stop) = match measure(job).await {
        Ok(measured) => (measured, None),
        Err((error, measured)) => (measured, Some(Stop::from(error))),
    };
    let report = EvalReport { test_scored, ..report_of(project.tasks.get(split), &measured, loaded, split) };
    let ended = stop.map_or(Ok(()), Err);
    match close(&run, ended, "the set was measured", |()| run.keep_evaluation(&report)) {
        Ok(()) => Ok(EvalDone { folder, report, error: None }),
        Err(TrainErrorKind::Evaluate(error)) => {
            let interrupted = matches!(*error, EvaluateError::Interrupted);
            let told = (!interrupted).then(|| with_causes(error.as_ref()));
            Ok(EvalDone { folder, report: EvalReport { interrupted, error: told, ..report }, error: Some(*error) })
        }
        Err(kind) => Err(failed(kind)),
    }
}

fn report_of(tasks: &[Arc<Task>], measured: &Measured, loaded: &LoadedSet, split: Split) -> EvalReport {
    let Tally { total, solved, missing, calls, .. } = measured.tally;
    let mut usage = TokenUsage::default();
    measured.records().for_each(|record| usage += record.usage);
    let sample = measured.sample();
    let of_task = |(index, task): (usize, &Arc<Task>)| {
        let trials: Vec<_> = measured.results.iter().skip(index).step_by(tasks.len()).map(Option::as_ref).collect();
        task_report(task.id.to_string(), &trials)
    };
    EvalReport {
        format: EVAL_FORMAT,
        split: split.to_string(),
        test_scored: None,
        set: loaded.set.id().to_string(),
        score: sample.map(|sample| sample.mean()),
        standard_error: sample.and_then(|sample| sample.standard_error()),
        interval: measured.interval(),
        tasks: tasks.len(),
        trials: u32::try_from(total / tasks.len().max(1)).unwrap_or(u32::MAX),
        solved,
        missing,
        calls,
        interrupted: false,
        error: None,
        usage: usage.into(),
        results: tasks.iter().enumerate().map(of_task).collect(),
    }
}

fn verdict(trial: Option<&TaskResult>) -> Option<&Verdict> {
    Some(&trial?.as_ref().ok()?.verdict)
}

/// Tells what became of a task by the first of its trials that did not solve it, or else by the first.
fn task_report(id: String, trials: &[Option<&TaskResult>]) -> TaskReport {
    let is_solved = |trial: &Option<&TaskResult>| verdict(*trial).is_some_and(|verdict| verdict.is_satisfied);
    let scores: Vec<_> = trials.iter().map(|trial| Some(verdict(*trial)?.score)).collect();
    let mean = Sample::of(&scores.iter().flatten().copied().collect::<Vec<_>>()).map(|sample| sample.mean());
    let told = trials.iter().find(|trial| !is_solved(trial)).or_else(|| trials.first()).copied().flatten();
    let (answer, feedback, calls) = match told {
        None => (None, "not reached".to_owned(), Vec::new()),
        Some(Err(reason)) => (None, reason.clone(), Vec::new()),
        Some(Ok(record)) => {
            let calls = record.calls.iter().map(|call| call.call.name.clone()).collect();
            (record.verdict.answer.clone(), record.verdict.feedback.clone(), calls)
        }
    };
    TaskReport {
        id,
        reached: trials.iter().all(Option::is_some),
        score: mean,
        trials: if scores.len() > 1 { scores } else { Vec::new() },
        solved: trials.iter().all(is_solved),
        answer,
        feedback,
        calls,
    }
}
