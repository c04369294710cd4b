//! Gate `compile`: the source compiles in the sandbox, its top level runs, and the definition is there.

use greensand_types::{
    CallOutcome, CallStatus, DescribeOutcome, FunctionDescription, FunctionDraft, FunctionRuntime, Gate, Limits,
    SourceText,
};

use super::refusal::{Stop, refuse};
use super::text::{MAX_DIAGNOSTIC, failure_text};

/// Returns the source of a draft as the runtime takes it.
pub(crate) fn source_of(draft: &FunctionDraft) -> SourceText {
    SourceText { language: draft.language.clone(), text: draft.source.clone(), packages: draft.packages.clone() }
}

/// Compiles the source without running it.
pub(crate) async fn check(draft: &FunctionDraft, runtime: &dyn FunctionRuntime, limits: Limits) -> Result<(), Stop> {
    let outcome = runtime.compile(source_of(draft), limits).await?;
    match outcome.status() {
        CallStatus::Ok => Ok(()),
        _ => refuse(Gate::Compile, format!("the source does not compile: {}", failure_text(&outcome, MAX_DIAGNOSTIC))),
    }
}

/// Runs the top level of a source that compiles and returns what it defines under the function's name.
pub(crate) async fn describe(
    draft: &FunctionDraft,
    runtime: &dyn FunctionRuntime,
    limits: Limits,
) -> Result<FunctionDescription, Stop> {
    let name = draft.signature.name();
    match runtime.describe(source_of(draft), name.to_string(), limits).await? {
        DescribeOutcome::Described(definition) => Ok(definition),
        DescribeOutcome::Failed(outcome) => refuse_description(&outcome, name.as_str()),
    }
}

fn refuse_description<T>(outcome: &CallOutcome, name: &str) -> Result<T, Stop> {
    let failure = failure_text(outcome, MAX_DIAGNOSTIC);
    match outcome.status() {
        // The source compiles, so what breaks the contract is the entry.
        CallStatus::Invalid => refuse(
            Gate::Signature,
            format!("the source does not define a function `{name}` at its top level: {failure}"),
        ),
        CallStatus::Ok
        | CallStatus::Error
        | CallStatus::Timeout
        | CallStatus::Memory
        | CallStatus::OutputLimit
        | CallStatus::Denied => refuse(Gate::Compile, format!("the top level of the source does not run: {failure}")),
    }
}
