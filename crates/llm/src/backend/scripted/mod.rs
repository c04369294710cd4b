//! A model that is a script: rules in a file, of which the first that matches a request answers it.
//!
//! It is a backend like the others, deterministic and free: the quickstart, the tests and the benchmarks run on it.
//! The format is described in `crates/llm/README.md`.
//!
//! - `rule` says when a rule matches and what it answers;
//! - `template` fills what a condition captured into the answer;
//! - `parse` makes rules of the text, on top of `table`, which says where in the text a mistake is.
//!
//! Rules keep no state: the same request gets the same answer however many run at once.

mod backend;
mod parse;
mod rule;
mod table;
mod template;
#[cfg(test)]
mod tests;

pub use backend::ScriptedSettings;
pub(super) use backend::{ENTRY, Scripted};
