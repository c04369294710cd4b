//! Scorers: what an answer is worth.
//!
//! Each scorer is one file beside this one and one line in [`SCORERS`]; [`open_scorer`] makes one from its name and
//! its options. A scorer sees the task with its target and the whole text of the last reply, takes the final answer
//! out of it ([`final_answer`]), and gives a [`Verdict`](greensand_types::Verdict). The feedback of a verdict goes into
//! records that the optimizer model reads, and never holds the target.
//!
//! Invariant: no text of a model makes a scorer panic, overflow the stack, or take more than a moment.

mod decimal;
mod entry;
mod exact;
mod final_answer;
mod json;
mod math;
mod number;
mod options;
mod regex;
#[cfg(test)]
mod tests;

pub use entry::{OpenScorerError, SCORERS, Scorer, ScorerEntry, TargetError, open_scorer};
pub use options::{OptionEntry, OptionsError};
