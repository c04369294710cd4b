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
//!
//! # Example
//!
//! A script plays the model, and a runtime that knows one product plays the sandbox:
//!
//! ```
//! use std::future::ready;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use greensand_agent::{AgentSettings, SolveInputs, open_scorer, solve};
//! use greensand_llm::{BackendSettings, ScriptedSettings, open_backend};
//! use greensand_types::*;
//!
//! struct Product;
//!
//! impl FunctionRuntime for Product {
//!     fn invoke(&self, _: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
//!         let ending = CallEnding::Returned(JsonText::parse("42").unwrap());
//!         Box::pin(ready(Ok(CallOutcome { ending, ..CallOutcome::invalid("") })))
//!     }
//! #   fn compile(&self, _: SourceText, _: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
//! #       Box::pin(ready(Err(HostFault::new("not needed here"))))
//! #   }
//! #   fn describe(&self, _: SourceText, _: String, _: Limits) -> BoxFuture<'_, Result<DescribeOutcome, HostFault>> {
//! #       Box::pin(ready(Err(HostFault::new("not needed here"))))
//! #   }
//! #   fn default_limits(&self, _: &Language) -> Option<Limits> {
//! #       None
//! #   }
//! }
//!
//! let script = r#"
//!     format = 1
//!     [[rule]]
//!     turn = 0
//!     [[rule.reply.calls]]
//!     name = "run_python"
//!     arguments = { code = "6 * 7" }
//!     [[rule]]
//!     last = '(?m)^value: (.*)$'
//!     [rule.reply]
//!     text = 'The answer is \boxed{${last.1}}.'
//! "#;
//! let scripted = ScriptedSettings { script: script.into(), origin: "example".into(), latency: Duration::ZERO };
//! let backend = open_backend(BackendSettings::Scripted(scripted))?;
//! let scorer = open_scorer("number", &serde_json::Map::new())?;
//! let task = Task {
//!     id: "product".parse()?,
//!     question: "What is six times seven?".into(),
//!     target: "42".into(),
//!     metadata: serde_json::Map::new(),
//! };
//!
//! let record = futures::executor::block_on(solve(SolveInputs {
//!     task: Arc::new(task),
//!     registration: &Registration::of(Arc::new(FunctionSet::empty())),
//!     backend: backend.as_ref(),
//!     runtime: &Product,
//!     scorer: scorer.as_ref(),
//!     settings: &AgentSettings { code_tool: Some("python".parse()?), ..AgentSettings::default() },
//!     epoch: 0,
//!     repeat: 0,
//! }))?;
//! assert!(record.verdict.is_satisfied);
//! assert_eq!(record.messages.len(), 5, "instructions, question, call, its answer, the final answer");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dialogue;
mod fenced_block;
mod offer;
mod prompt;
mod scorer;
mod settings;
mod shorten;
mod solve;
mod text_call;
mod tool_answer;
mod toolbox;
mod vector_offer;

#[cfg(test)]
mod tests;

pub use dialogue::{Dialogue, Ending, FinishedDialogue, MAX_CALLS_PER_REPLY, Occasion, PendingCall, Question, Step};
pub use offer::Offer;
pub use scorer::{OpenScorerError, OptionEntry, OptionsError, SCORERS, Scorer, ScorerEntry, TargetError, open_scorer};
pub use settings::{AgentSettings, AnswerBounds, CallProtocol, FencedBlocks};
pub use solve::{SolveError, SolveInputs, solve};
pub use tool_answer::outcome_text;
pub use toolbox::code_tool_name;
pub use vector_offer::VectorOffer;
