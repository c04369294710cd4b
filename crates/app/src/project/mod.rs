//! A project: its settings, its tasks, and the texts that its settings name, all read and checked.
//!
//! [`open_project`] reads; nothing is sent, compiled or written by it. What can be wrong with what people write is
//! found here, with file and line. [`Equipment`](crate::Equipment) then opens what the settings name: models,
//! scorer, limits.

mod divide;
mod open;
mod task_file;
mod task_set;

pub use open::{Project, ProjectError, open_project};
pub use task_file::TaskFileError;
pub use task_set::{Split, TaskFileRecord, TaskSetError, TaskSets};
