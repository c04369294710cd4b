//! How much the scores of an unchanged set differ from one measurement to the next, and what that lets a comparison see.
//!
//! The set is measured twice on the same tasks, each time in draws of its own. Whatever differs is chance: the model's, not the
//! functions'. A change of the set must stand out from that.

use std::sync::Arc;
use std::time::SystemTime;

use greensand_llm::Role;
use greensand_optimizer::{PairedScores, Sample, TrainingSettings};
use greensand_types::{Task, TaskId};

use super::TrainError;
use super::begin::{begin, close, load, manifest_of, take_up};
use super::eras::Eras;
use super::recorded::RecordedRun;
use super::session::Stop;
use crate::evaluate::{Cover, EvaluateError, Job, Measured, measure};
use crate::project::{Project, Split};
use crate::sets::{LoadedSet, SetSource};
use crate::store::{NOISE_FORMAT, NoiseReport, NoiseTask, Reopening, RunFolder, RunKind, RunWriter, SmallestEffect};
use crate::{Equipment, Interrupt, Observer};

/// How surely an effect of the smallest size is to be found.
const POWER: f64 = 0.8;

/// For how many times the trials the smallest effect is told.
const TIMES: [u32; 4] = [1, 2, 4, 8];

/// What a measurement of noise left.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseDone {
    /// The folder of the run.
    pub folder: RunFolder,
    /// What was found.
    pub report: NoiseReport,
}

/// Measures a set twice, in a run folder of its own, and says what a comparison on these tasks can show.
///
/// # Errors
/// When the set is not admitted, the folder cannot be written, or the set cannot be measured. What was paid for is kept, and
/// [`resume`](super::resume) goes on with it.
pub async fn noise(
    project: &Project,
    equipment: &Equipment,
    set: &SetSource,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<NoiseDone, TrainError> {
    let before_run = |kind| TrainError { kind, run: None };
    equipment.ledger.allow(&[Role::Assistant]).map_err(|uncapped| before_run(uncapped.into()))?;
    let split = project.tasks.acceptance_split();
    if project.tasks.get(split).is_empty() {
        return Err(before_run(EvaluateError::NoTasks(split).into()));
    }
    let loaded = load(set, equipment).await.map_err(before_run)?;
    let now = SystemTime::now();
    let manifest = manifest_of(RunKind::Noise, project, equipment, now);
    let run = RunWriter::create_about(&loaded.set, &project.settings.runs_dir, &manifest, now);
    let run = run.map_err(|error| before_run(error.into()))?;
    work(project, equipment, run, loaded, observer, interrupt).await
}

/// Goes on with a run that was stopped, or does one again from what is kept.
pub(super) async fn again(
    recorded: &RecordedRun,
    eras: &Eras,
    how: Reopening,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<NoiseDone, TrainError> {
    let (run, loaded) = take_up(recorded, eras, how, &[Role::Assistant]).await?;
    work(&recorded.project, eras.first(), run, loaded, observer, interrupt).await
}

async fn work(
    project: &Project,
    equipment: &Equipment,
    run: RunWriter,
    loaded: LoadedSet,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<NoiseDone, TrainError> {
    let folder = run.folder().clone();
    let failed = |kind| TrainError { kind, run: Some(folder.path().to_owned()) };
    begin(&run, project, &loaded, 0, observer).map_err(|error| failed(error.into()))?;
    let run = Arc::new(run);
    let split = project.tasks.acceptance_split();
    let repeats = equipment.training.trials();
    let job = Job {
        equipment: &equipment.recorded_in(&run),
        set: &loaded.set,
        tasks: project.tasks.get(split),
        trials: 0..repeats.saturating_mul(2),
        split,
        epoch: 0,
        cover: Cover::Whole,
        jobs: project.settings.training.jobs,
        run: Some(&run),
        observer,
        interrupt,
    };
    let tasks = job.tasks;
    let ended = match measure(job).await {
        Ok(measured) => Ok(report_of(tasks, &measured, &loaded, split, &equipment.training)),
        Err((error, _)) => Err(Stop::from(error)),
    };
    let closed = close(&run, ended, "both measurements are done", |report| run.keep_noise(report));
    closed.map_err(failed).map(|report| NoiseDone { folder, report })
}

fn report_of(
    tasks: &[Arc<Task>],
    measured: &Measured,
    loaded: &LoadedSet,
    split: Split,
    training: &TrainingSettings,
) -> NoiseReport {
    let (repeats, level) = (training.trials(), training.rules().false_accepts);
    let trials = measured.trial_scores();
    let half = |from: u32| -> Vec<Option<f64>> {
        let of_task = |scores: &Vec<Option<f64>>| {
            let scores = scores.iter().skip(from as usize).take(repeats as usize).flatten();
            Some(Sample::of(&scores.copied().collect::<Vec<_>>())?.mean())
        };
        trials.iter().map(of_task).collect()
    };
    let (first, second) = (half(0), half(repeats));
    let paired = PairedScores::of(&first, &second);
    let differences = paired.differences();
    let changed = |(task, (first, second)): (&Arc<Task>, (&Option<f64>, &Option<f64>))| {
        let (first, second) = ((*first)?, (*second)?);
        (first != second).then(|| NoiseTask { task: TaskId::to_string(&task.id), first, second })
    };
    NoiseReport {
        format: NOISE_FORMAT,
        set: loaded.set.id().to_string(),
        split: split.to_string(),
        tasks: paired.pairs().len(),
        missing: paired.missing(),
        repeats,
        first: paired.best_mean(),
        second: paired.candidate_mean(),
        difference: paired.mean_difference(),
        standard_error: differences.and_then(|sample| sample.standard_error()),
        acceptance: training.acceptance.name.into(),
        level,
        power: POWER,
        least_tasks: least_tasks(level),
        smallest_effects: differences.map(|sample| smallest_effects(&sample, repeats, level)).unwrap_or_default(),
        changed: tasks.iter().zip(first.iter().zip(&second)).filter_map(changed).collect(),
    }
}

/// So many tasks all differ in one way by chance, each with a probability of a half, no more often than the level says.
fn least_tasks(level: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 1 to 30")]
    let tasks = (1.0 / level.clamp(1e-9, 0.5)).log2().ceil() as usize;
    tasks
}

/// The smallest effects that a comparison would find, with these trials and with more of them; none, if it would find none on so few
/// tasks.
///
/// The differences of an unchanged set are chance alone, whose variance falls with the number of trials. However little chance there
/// is, so many tasks must differ that they could not all have fallen the same way by it.
fn smallest_effects(sample: &Sample, repeats: u32, level: f64) -> Vec<SmallestEffect> {
    let least_tasks = least_tasks(level);
    if sample.count() < least_tasks {
        return Vec::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "no task set has 2^53 tasks")]
    let least = least_tasks as f64 / sample.count() as f64;
    let effect = |times: u32| {
        let by_chance = sample.smallest_effect(level, POWER)? / f64::from(times).sqrt();
        Some(SmallestEffect { repeats: repeats.saturating_mul(times), effect: by_chance.max(least) })
    };
    TIMES.into_iter().filter_map(effect).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_trials_see_smaller_effects_down_to_what_so_many_tasks_can_show() {
        let differences: Vec<f64> = (0..100).map(|task| [0.0, 1.0, -1.0, 0.0][task % 4]).collect();
        let effects = smallest_effects(&Sample::of(&differences).unwrap(), 1, 0.05);
        assert_eq!(effects.iter().map(|effect| effect.repeats).collect::<Vec<_>>(), [1, 2, 4, 8]);
        // A deviation of 0.7107 over 100 tasks: (1.6604 + 0.8453) * 0.0711.
        assert!((effects[0].effect - 0.1781).abs() < 1e-3, "{effects:?}");
        assert!((effects[2].effect - effects[0].effect / 2.0).abs() < 1e-9);
        let still = smallest_effects(&Sample::of(&[0.0; 20]).unwrap(), 1, 0.05);
        assert!(still.iter().all(|effect| (effect.effect - 0.25).abs() < 1e-9), "five of twenty tasks: {still:?}");
        assert_eq!((least_tasks(0.5), least_tasks(0.05), least_tasks(0.025), least_tasks(0.0)), (1, 5, 6, 30));
        assert!(smallest_effects(&Sample::of(&[0.0; 4]).unwrap(), 1, 0.05).is_empty());
        assert_eq!(smallest_effects(&Sample::of(&[0.0; 5]).unwrap(), 1, 0.05).len(), 4);
    }
}
