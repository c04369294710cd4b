//! Acceptance strategies: whether a candidate takes the place of the best set.
//!
//! A strategy is a function from [`PairedScores`] (the same tasks, measured under both sets) and [`Rules`] to a [`Judgement`].
//! Values in, values out: its tests are tables. It neither sees the sets nor decides when a run stops; that is for
//! [`crate::Training`].
//!
//! To add one: a file beside this one with a `pub(super) static` entry, and a line in [`STRATEGIES`].

mod entry;
mod greedy;
mod paired;
mod significant;

pub use entry::{Judgement, Rules, StrategyEntry, UnknownStrategyError, find_strategy};
pub use paired::PairedScores;

/// Every acceptance strategy, the default first.
pub static STRATEGIES: &[StrategyEntry] = &[greedy::ENTRY, significant::ENTRY];
