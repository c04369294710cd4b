use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// The identity of a task within its task set: 1 to 200 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(String);

impl TaskId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot identify a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a task id has 1 to 200 characters and no control characters")]
pub struct TaskIdError;

impl FromStr for TaskId {
    type Err = TaskIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned())).ok_or(TaskIdError)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A question with the answer that it should get.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Which task it is.
    pub id: TaskId,
    /// What the assistant is asked.
    pub question: String,
    /// The right answer; only scorers and, for training tasks, the optimizer see it.
    pub target: String,
    /// Whatever else the task file says of it.
    pub metadata: Map<String, Value>,
}
