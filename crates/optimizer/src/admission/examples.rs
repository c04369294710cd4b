//! Gate `examples`: every example runs in the sandbox, within the limits, and gives its result.

use greensand_types::{
    CallStatus, Encoding, Entry, Example, FunctionDraft, FunctionRuntime, Gate, GrantedFunctions, Grants, HostFault,
    Invocation, JsonKind, JsonText, Limits,
};

use super::compile::source_of;
use super::refusal::{Stop, refuse};
use super::same_value::same_value;
use super::signature::validator;
use super::text::{MAX_DIAGNOSTIC, MAX_VALUE, cut_middle, failure_text};

/// After this many failing examples the rest would tell the model nothing new.
const SHOWN_FAULTS: usize = 3;

/// How calls of examples are made.
#[derive(Clone)]
pub(crate) struct Calls<'a> {
    pub(crate) runtime: &'a dyn FunctionRuntime,
    pub(crate) limits: Limits,
    pub(crate) seed: u64,
    /// What the function may call: the others of its set, or nothing.
    pub(crate) functions: GrantedFunctions,
}

impl Calls<'_> {
    /// Runs a draft with the arguments of an example.
    pub(crate) async fn run(
        &self,
        draft: &FunctionDraft,
        arguments: JsonText,
    ) -> Result<greensand_types::CallOutcome, HostFault> {
        let entry = Entry::Function(draft.signature.name().to_string());
        let grants = Grants { functions: self.functions.clone(), ..Grants::default() };
        let call = Invocation::new(source_of(draft), entry, arguments, self.limits);
        let invocation = Invocation { encoding: Encoding::Tagged, seed: self.seed, grants, ..call };
        self.runtime.invoke(invocation).await
    }
}

/// Runs the examples of a draft.
pub(crate) async fn check(draft: &FunctionDraft, calls: &Calls<'_>) -> Result<(), Stop> {
    check_arguments(draft)?;
    let mut faults = Vec::new();
    for (index, example) in draft.examples.iter().enumerate() {
        if let Some(fault) = fault_of(draft, example, calls).await? {
            faults.push(format!("example {} of {}: {fault}", index + 1, draft.examples.len()));
        }
        if faults.len() == SHOWN_FAULTS {
            break;
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    refuse(Gate::Examples, format!("{}\ncorrect the source or the example, whichever is wrong", faults.join("\n")))
}

async fn fault_of(draft: &FunctionDraft, example: &Example, calls: &Calls<'_>) -> Result<Option<String>, HostFault> {
    let outcome = calls.run(draft, example.arguments.clone()).await?;
    let call = format!("`{}` with {}", draft.signature.name(), cut_middle(example.arguments.get(), MAX_VALUE));
    let fault = match (outcome.status(), outcome.value()) {
        (CallStatus::Ok, Some(value)) if same_value(&example.result, value) => return Ok(None),
        (CallStatus::Ok, Some(value)) => format!(
            "{call} gives {}, expected {}",
            cut_middle(value.get(), MAX_VALUE),
            cut_middle(example.result.get(), MAX_VALUE)
        ),
        _ => format!("{call} ends in {}", failure_text(&outcome, MAX_DIAGNOSTIC / 2)),
    };
    Ok(Some(fault))
}

/// Arguments by name must be what the schema allows, or the schema would keep the assistant from such a call.
fn check_arguments(draft: &FunctionDraft) -> Result<(), Stop> {
    let validator = validator(draft.signature.parameters())?;
    for (index, example) in draft.examples.iter().enumerate() {
        if example.arguments.kind() != JsonKind::Object {
            continue;
        }
        // What cannot be read as a value (too deep, beyond a double) is for the guest to judge.
        let Ok(arguments) = example.arguments.to_value() else { continue };
        if let Err(error) = validator.validate(&arguments) {
            let place = error.instance_path().to_string();
            let message = cut_middle(&error.to_string(), MAX_VALUE);
            return refuse(
                Gate::Examples,
                format!("example {}: its arguments do not fit `parameters`: at `{place}`: {message}", index + 1),
            );
        }
    }
    Ok(())
}
