//! The values that flow through Greensand, and the ports they flow through.
//!
//! A [`Task`] opens a [`Conversation`]; the model asks for a [`FunctionCall`]; the sandbox turns an
//! [`Invocation`] into a [`CallOutcome`]; a [`Verdict`] closes the conversation into a
//! [`ConversationRecord`]; the optimizer turns records into [`Action`]s on a [`FunctionSet`], and a
//! [`Registration`] hands the set to the assistant and the user proxy at once.
//!
//! Text from outside is parsed here once ([`FunctionName`], [`JsonText`], [`FunctionSignature`]) and trusted
//! afterwards. Two states that differ in what one may do with them are two types: [`FunctionDraft`] and
//! [`ValidatedFunction`], [`Conversation`] and [`ConversationRecord`].
//!
//! This crate does no input or output and has no async runtime. How values are stored is for
//! `greensand-app` to say; how they are shown, for the faces.

mod action;
mod content_id;
mod conversation;
mod function;
mod function_set;
mod grants;
mod input_files;
mod json_text;
mod language;
mod limits;
mod message;
mod name;
mod outcome;
mod registration;
mod runtime;
mod signature;
mod step;
mod task;
mod tenant;
mod text;
mod token_usage;
mod verdict;

pub use action::{Action, RemoveReason};
pub use content_id::{ContentId, ContentIdBuilder, ParseContentIdError};
pub use conversation::{CallAnswer, Conversation, ConversationError, ConversationRecord, ExecutedCall};
pub use function::{Example, FunctionDraft, ValidatedFunction};
pub use function_set::{ApplyActionError, FunctionSet};
pub use grants::{
    ClockGrant, EntropyGrant, GrantedFunction, GrantedFunctions, Grants, HostFunction, HostFunctionError, HostGrant,
    LearnedGrant,
};
pub use input_files::{FileName, FileNameError, InputFiles, InputFilesError};
pub use json_text::{JsonKind, JsonText, JsonTextError};
pub use language::{Language, LanguageError};
pub use limits::Limits;
pub use message::{CallId, FunctionCall, Message};
pub use name::{FunctionName, FunctionNameError};
pub use outcome::{CallEnding, CallOutcome, CallStatus, CallUsage, Failure, KeptText, LimitKind};
pub use registration::Registration;
pub use runtime::{
    BoxFuture, DescribeOutcome, Encoding, Entry, FunctionDescription, FunctionRuntime, HostFault, Invocation,
    Parameter, ParameterKind, SourceText,
};
pub use signature::{FunctionSignature, FunctionSignatureError};
pub use step::{Gate, Proposal, Rejection, StepEnd, StepReport};
pub use task::{Task, TaskId, TaskIdError};
pub use tenant::{Tenant, TenantError};
pub use text::{counted, keep_ends, one_line};
pub use token_usage::TokenUsage;
pub use verdict::Verdict;
