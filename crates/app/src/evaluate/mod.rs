//! Measuring a function set: every task of a split is solved once, several at one time.
//!
//! Concurrency changes how long it takes and nothing else: results, records and journal lines are in the order of the
//! tasks. A task that could not be worked on, because a request or the host failed, is *missing*: it has no score, and
//! never a zero. What would fail for every task alike (a wrong key, a script without replies) stops at once.

mod look;
mod measure;
mod offers;

pub(crate) use look::count_look;
pub(crate) use measure::{Cover, Job, Measured, TaskResult, measure};
pub use measure::{EvaluateError, TooMuchMissing};
