//! The assistant and its user proxy as one conversation loop, and the scorers that judge what comes out of it.
//!
//! [`solve()`] takes one task to a verdict: it asks the model, runs the calls that the model asks for through the
//! [`FunctionRuntime`](greensand_types::FunctionRuntime), and hands the answer to a [`Scorer`]. The rules of the
//! conversation are in [`Dialogue`], which waits for nothing and can be driven by anything; what a model reads of an
//! outcome is in [`outcome_text`]; the scorers are listed in [`SCORERS`].
//!
//! A fault of a function or of the model is part of the conversation; an [`Err`] is a fault of ours or of the
//! endpoint, and means that the task has no score. Which model, which limits and which scorer a project uses is for
//! `greensand-app` to say.

mod dialogue;
mod fenced_block;
mod prompt;
mod scorer;
mod settings;
mod solve;
mod tool_answer;
mod toolbox;

#[cfg(test)]
mod tests;

pub use dialogue::{Dialogue, Ending, FinishedDialogue, MAX_CALLS_PER_REPLY, PendingCall, Question, Step};
pub use scorer::{OpenScorerError, OptionEntry, OptionsError, SCORERS, Scorer, ScorerEntry, TargetError, open_scorer};
pub use settings::{AgentSettings, AnswerBounds, FencedBlocks};
pub use solve::{SolveError, SolveInputs, solve};
pub use tool_answer::outcome_text;
