use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::records::UsageRecord;

/// The number of the form of `eval.json`.
pub const EVAL_FORMAT: u32 = 1;

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvalReport {
    /// The format of the file.
    pub format: u32,
    /// The split.
    pub split: String,
    /// How often these test tasks had been scored, by runs in the folder of this one, when this was begun or last taken up, this time
    /// included; none for other splits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_scored: Option<u64>,
    /// The function set.
    pub set: String,
    /// The mean score of the measured tasks, 0 to 1; that of a task is the mean of its trials.
    pub score: Option<f64>,
    /// The standard error of the score over tasks; none for a single task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// From where to where the true score lies with a confidence of 95 %; for tasks that are solved or not, Wilson's interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// All tasks of the split.
    pub tasks: usize,
    /// Trials of each task.
    pub trials: u32,
    /// Trials that solved their task.
    pub solved: usize,
    /// Trials without a score, because a request or the host failed.
    pub missing: usize,
    /// Function calls.
    pub calls: usize,
    /// Whether it was interrupted; then some tasks were not reached.
    pub interrupted: bool,
    /// Why it could not go on, with every cause; then some tasks were not reached.
    pub error: Option<String>,
    /// What the replies cost, whoever paid for them.
    pub usage: UsageRecord,
    /// The tasks in their order.
    pub results: Vec<TaskReport>,
}

/// What became of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskReport {
    /// Which.
    pub id: String,
    /// Whether every trial of it was worked on until it had a score, or had none for a reason.
    pub reached: bool,
    /// Its score, the mean of the trials that have one; none, if all are missing or were not reached.
    pub score: Option<f64>,
    /// The scores of its trials, where there is more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<Option<f64>>,
    /// Whether every trial solved it.
    pub solved: bool,
    /// The answer that was found, in the first trial that did not solve it, or else in the first.
    pub answer: Option<String>,
    /// Why that trial has its score, or why it has none.
    pub feedback: String,
    /// The functions that it called, in order.
    pub calls: Vec<String>,
}
