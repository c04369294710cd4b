//! Training: the loop that wires agent, optimizer, sandbox and run folder together.
//!
//! `greensand-optimizer`'s `Training` says what comes next and decides; this module does it: it measures sets
//! (`evaluate`), makes steps, writes everything down before it is used, and moves the head of the
//! run. The records of *train* go to the optimizer; acceptance is decided on *validation*, or on *train* where there is
//! none; *test* is sealed until the training is over, and nothing is decided on it.

mod again;
mod begin;
mod compare;
mod credit;
mod eras;
mod error;
mod eval;
mod fork;
mod r#loop;
mod noise;
mod recorded;
mod session;

pub use again::{RunDone, replay, resume};
pub use compare::{CompareDone, compare};
pub use credit::credit;
pub use eras::Eras;
pub use error::{TrainError, TrainErrorKind};
pub use eval::{EvalDone, evaluate};
pub use fork::{ForkError, fork};
pub use r#loop::{RunEnding, TrainReport, train};
pub use noise::{NoiseDone, noise};
pub use recorded::{RecordedRun, RecordedRunError};
