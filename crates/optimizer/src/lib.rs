//! From the records of one evaluation to the next function set.
//!
//! [`propose`] makes one step: the optimizer model reads what happened and adds, revises or removes functions;
//! [`admit`] lets in only what its gates have seen work. [`Training`] is the loop as a state machine: it says what to
//! evaluate and whether to keep it, by one of the [`STRATEGIES`]. [`Optimizer`] is the same as an object with
//! the three verbs that users of the method know.
//!
//! This crate does no I/O but through the ports that it is given: a model backend and a function runtime.

mod actions;
mod admission;
mod credit;
mod evidence;
mod instructions;
mod nearest;
mod optimizer;
mod prompt;
mod reading;
mod retirement;
mod statistics;
mod step;
mod strategy;
mod training;

pub use admission::{
    AdmissionContext, AdmissionSettings, AdmitError, Admitted, MemorisedAnswers, Readmitted, ReplayedCalls, admit,
    admit_call, readmit,
};
pub use credit::{Credit, CreditVerdict};
pub use evidence::{CallNote, ConversationNote, Evidence, EvidenceBook, Share, signature_tokens};
pub use instructions::{InstructionsInput, RewrittenInstructions, rewrite_instructions};
pub use optimizer::{AskVerdict, Optimizer, OptimizerError, OptimizerSettings, RecordError};
pub use retirement::{Retirement, retirement};
pub use statistics::{Interval, Sample, share_interval};
pub use step::{
    ActionProtocol, PartialStep, StepError, StepErrorKind, StepInput, StepSettings, propose, propose_until,
};
pub use strategy::{Judgement, PairedScores, Rules, STRATEGIES, StrategyEntry, UnknownStrategyError, find_strategy};
pub use training::{
    Comparison, Decision, FailedSet, Measurement, Next, StopReason, Training, TrainingError, TrainingSettings,
};
