use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::{CallOutcome, Grants, JsonText, Language, Limits, Tenant};

/// A future behind a pointer, so that ports can be used as trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a call runs: text in a guest language, with the packages that it imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// The guest language.
    pub language: Language,
    /// The source.
    pub text: Arc<str>,
    /// Packages beyond the language's own library.
    pub packages: Vec<String>,
}

/// Where a call enters its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A name at the top level. It is data, and need not be one that exists.
    Function(String),
    /// The source is a script; the value is that of its last expression.
    Script,
}

/// How results that JSON cannot hold are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// They are `invalid`, with the type and the path.
    #[default]
    Strict,
    /// They become `{"$type": .., "$text": ..}`.
    Tagged,
}

/// One call: the same invocation always has the same outcome, unless a grant or the wall clock decides otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// What to run.
    pub source: SourceText,
    /// Where to enter it.
    pub entry: Entry,
    /// A JSON object (by name) or array (by position); `[]` for a script.
    pub arguments: JsonText,
    /// The bounds of the call.
    pub limits: Limits,
    /// What it may reach.
    pub grants: Grants,
    /// How the result is written.
    pub encoding: Encoding,
    /// The seed of the call's randomness.
    pub seed: u64,
    /// On whose behalf it runs.
    pub tenant: Tenant,
}

impl Invocation {
    /// A call that is granted nothing, with a strict result, seed 0, and the shared tenant.
    pub fn new(source: SourceText, entry: Entry, arguments: JsonText, limits: Limits) -> Self {
        let (grants, encoding, seed, tenant) = Default::default();
        Self { source, entry, arguments, limits, grants, encoding, seed, tenant }
    }
}

/// How a parameter takes its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// By position only.
    PositionalOnly,
    /// By position or by name.
    Positional,
    /// By name only.
    NamedOnly,
    /// Takes any further arguments by position.
    Rest,
    /// Takes any further arguments by name.
    NamedRest,
}

/// A parameter of an entry as the source defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// How it takes its argument.
    pub kind: ParameterKind,
    /// Whether a call must give it.
    pub is_required: bool,
}

/// An entry as its source defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionDescription {
    /// The parameters in order.
    pub parameters: Vec<Parameter>,
    /// The first line of its documentation; empty if it has none.
    pub documentation: String,
}

/// What a look at an entry found.
#[derive(Debug, Clone, PartialEq)]
pub enum DescribeOutcome {
    /// The source compiles, runs, and defines the entry.
    Described(FunctionDescription),
    /// It does not; the outcome is never `Returned`.
    Failed(CallOutcome),
}

/// A fault of the host: the call could not be run, and says nothing of the function.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct HostFault {
    message: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl HostFault {
    /// A fault without a deeper cause.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// A fault with its cause.
    pub fn caused_by(message: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { message: message.into(), source: Some(source.into()) }
    }
}

/// The port through which the agent and the optimizer run functions.
///
/// The sandbox implements it; the run store wraps it to keep every outcome.
pub trait FunctionRuntime: Send + Sync {
    /// Runs one call to its outcome. Dropping the future abandons the call.
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>>;

    /// Checks and compiles a source without running it. The outcome returns `null` or is a failure.
    fn compile(&self, source: SourceText, limits: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>>;

    /// Runs the top level of a source and says what it defines under a name.
    fn describe(
        &self,
        source: SourceText,
        entry: String,
        limits: Limits,
    ) -> BoxFuture<'_, Result<DescribeOutcome, HostFault>>;

    /// Returns the default limits of a language, or nothing when there is no such guest.
    fn default_limits(&self, language: &Language) -> Option<Limits>;
}
