use std::sync::Arc;

use greensand_llm::Role;
use greensand_types::{FunctionSet, TokenUsage};
use serde::Serialize;

use super::look::count_look;
use super::measure::TaskResult;
use super::{Cover, EvaluateError, Job, measure};
use crate::causes::with_causes;
use crate::project::{Project, Split};
use crate::store::{RunWriter, UsageRecord};
use crate::{Equipment, Event, Interrupt, Observer, Tally};

/// What an evaluation found.
#[derive(Debug, Serialize)]
pub struct EvalReport {
    /// The split.
    pub split: String,
    /// How often these test tasks have been scored in this project, this time included; none for other splits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_scored: Option<u64>,
    /// The function set.
    pub set: String,
    /// The mean score of the measured tasks, 0 to 1.
    pub score: Option<f64>,
    /// All tasks of the split.
    pub tasks: usize,
    /// Those that are solved.
    pub solved: usize,
    /// Those without a score, because a request or the host failed.
    pub missing: usize,
    /// Function calls.
    pub calls: usize,
    /// Whether it was interrupted; then some tasks were not reached.
    pub interrupted: bool,
    /// Why it could not go on; then some tasks were not reached. In JSON a text with every cause, or `null`.
    #[serde(serialize_with = "write_error")]
    pub error: Option<EvaluateError>,
    /// What the replies cost.
    pub usage: UsageRecord,
    /// The tasks in their order.
    pub results: Vec<TaskReport>,
}

/// What became of one task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskReport {
    /// Which.
    pub id: String,
    /// Whether it was worked on until it had a score, or had none for a reason.
    pub reached: bool,
    /// Its score; none, if it is missing or was not reached.
    pub score: Option<f64>,
    /// Whether it counts as solved.
    pub solved: bool,
    /// The answer that was found.
    pub answer: Option<String>,
    /// Why it has its score, or why it has none.
    pub feedback: String,
    /// The functions that were called, in order.
    pub calls: Vec<String>,
}

/// Measures a set on a split.
///
/// What was measured is paid for: an interrupt, a model that fails for every task alike, and too many tasks without a
/// score leave a report that says so and holds what there is until then. What has no score counts nowhere.
///
/// # Errors
/// When the split has no tasks, or the model costs money and nothing bounds how much.
pub async fn evaluate(
    project: &Project,
    equipment: &Equipment,
    set: &Arc<FunctionSet>,
    split: Split,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<EvalReport, EvaluateError> {
    equipment.ledger.allow(&[Role::Assistant])?;
    for message in project.tasks.warnings() {
        observer.event(Event::Warning { message });
    }
    let tasks = project.tasks.get(split);
    let test_scored = match split == Split::Test && !tasks.is_empty() {
        true => Some(count_look(project, observer)?),
        false => None,
    };
    let job = Job {
        equipment,
        set,
        tasks,
        trials: 0..1,
        split,
        epoch: 0,
        jobs: project.settings.training.jobs,
        cover: Cover::Whole,
        run: None::<&RunWriter>,
        observer,
        interrupt,
    };
    let (measured, interrupted, error) = match measure(job).await {
        Ok(measured) => (measured, false, None),
        Err((error @ EvaluateError::NoTasks(_), _)) => return Err(error),
        Err((EvaluateError::Interrupted, measured)) => (measured, true, None),
        Err((error, measured)) => (measured, false, Some(error)),
    };
    let Tally { total, solved, missing, calls, .. } = measured.tally;
    let mut usage = TokenUsage::default();
    measured.results.iter().flatten().flatten().for_each(|record| usage += record.usage);
    let ids = tasks.iter().map(|task| task.id.to_string());
    Ok(EvalReport {
        split: split.to_string(),
        test_scored,
        set: set.id().to_string(),
        score: measured.mean(),
        tasks: total,
        solved,
        missing,
        calls,
        interrupted,
        error,
        usage: usage.into(),
        results: ids.zip(&measured.results).map(|(id, result)| task_report(id, result.as_ref())).collect(),
    })
}

#[expect(clippy::ref_option, reason = "the form that serde calls")]
fn write_error<S: serde::Serializer>(error: &Option<EvaluateError>, serializer: S) -> Result<S::Ok, S::Error> {
    error.as_ref().map(|error| with_causes(error)).serialize(serializer)
}

fn task_report(id: String, result: Option<&TaskResult>) -> TaskReport {
    let without = |feedback: &str| TaskReport {
        id: id.clone(),
        reached: result.is_some(),
        score: None,
        solved: false,
        answer: None,
        feedback: feedback.to_owned(),
        calls: Vec::new(),
    };
    match result {
        None => without("not reached"),
        Some(Err(reason)) => without(reason),
        Some(Ok(record)) => TaskReport {
            reached: true,
            score: Some(record.verdict.score),
            solved: record.verdict.is_satisfied,
            answer: record.verdict.answer.clone(),
            feedback: record.verdict.feedback.clone(),
            calls: record.calls.iter().map(|call| call.call.name.clone()).collect(),
            id,
        },
    }
}
