//! What a number of scores says, and how far it can be trusted. Values in, values out.
//!
//! A [`Sample`] holds one number for each task: a score, or the difference of two scores of the same task. Tasks are the
//! independent units; several attempts at one task are averaged before they come here, because they share the task's
//! difficulty. Intervals and quantiles are Student's; a share of solved tasks has Wilson's interval, which stays within 0 and 1.

mod sample;
mod share;

pub use sample::{Interval, Sample};
pub use share::share_interval;
