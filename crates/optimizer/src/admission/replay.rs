//! Gate `replay`: a revision answers the recorded calls of solved training tasks as they were answered.
//!
//! The calls are those of the function's name that returned a value in a conversation that solved its task. They are run with
//! the new source, in the sandbox, each arguments once, at most [`MAX_CALLS`] of them, and no further after [`SHOWN`] changed
//! answers or timeouts; so a source that hangs holds nobody up for long.
//!
//! A call whose answer is not its own (it draws, or it asks for the time) proves nothing: when an answer differs, the present
//! source is run with the same arguments, and must give what was recorded. Calls whose arguments the new parameters do not
//! allow are told, and are no changed answers: to change a signature is what a revision is for.

use std::collections::BTreeSet;

use greensand_types::{
    CallAnswer, CallOutcome, CallStatus, ConversationRecord, FunctionDraft, HostFault, JsonText, ValidatedFunction,
};
use jsonschema::Validator;

use super::examples::Calls;
use super::refusal::Stop;
use super::same_value::same_value;
use super::signature::validator;
use super::text::{MAX_VALUE, cut_middle, failure_text};

/// The most recorded calls that are run again.
const MAX_CALLS: usize = 32;

/// After this many changed answers the rest would tell the model nothing new.
const SHOWN: usize = 3;

/// What running the recorded calls again has shown.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// The answers that changed, in words.
    pub(crate) changed: Option<String>,
    /// The calls that the new parameters do not allow, in words.
    pub(crate) unfit: Option<String>,
}

/// A call that returned a value in a conversation that solved its task.
#[derive(Debug, Clone)]
struct RecordedCall<'a> {
    task: &'a str,
    arguments: JsonText,
    value: &'a JsonText,
}

/// Runs the recorded calls of a function with the source that is to take its place.
pub(crate) async fn run(
    draft: &FunctionDraft,
    present: &ValidatedFunction,
    records: &[ConversationRecord],
    calls: &Calls<'_>,
) -> Result<Replayed, Stop> {
    let recorded = recorded_calls(draft, records);
    if recorded.is_empty() {
        return Ok(Replayed::default());
    }
    let validator = validator(draft.signature.parameters())?;
    let (fitting, unfit): (Vec<_>, Vec<_>) =
        recorded.into_iter().partition(|call| fits(draft, &validator, &call.arguments));
    let mut changed = Vec::new();
    let chosen = spread(&fitting, MAX_CALLS);
    let mut timeouts = 0;
    for call in &chosen {
        let outcome = calls.run(draft, call.arguments.clone()).await?;
        timeouts += usize::from(outcome.status() == CallStatus::Timeout);
        if let Some(change) = change_of(draft, present, call, &outcome, calls).await? {
            changed.push(change);
        }
        if changed.len() == SHOWN || timeouts == SHOWN {
            break;
        }
    }
    Ok(Replayed { changed: changed_text(draft, &changed, chosen.len()), unfit: unfit_text(&unfit) })
}

fn recorded_calls<'a>(draft: &FunctionDraft, records: &'a [ConversationRecord]) -> Vec<RecordedCall<'a>> {
    let name = draft.signature.name().as_str();
    let mut seen = BTreeSet::new();
    let mut recorded = Vec::new();
    for record in records.iter().filter(|record| record.verdict.is_satisfied) {
        for executed in record.calls.iter().filter(|executed| executed.call.name == name) {
            let CallAnswer::Ran(outcome) = &executed.answer else { continue };
            let Some(value) = outcome.value() else { continue };
            let written = executed.call.arguments.trim();
            let Ok(arguments) = JsonText::parse(if written.is_empty() { "{}" } else { written }) else { continue };
            if seen.insert(arguments.get().to_owned()) {
                recorded.push(RecordedCall { task: record.task.id.as_str(), arguments, value });
            }
        }
    }
    recorded
}

/// Says whether a call by these arguments would reach the new definition.
fn fits(draft: &FunctionDraft, validator: &Validator, arguments: &JsonText) -> bool {
    // What cannot be read as a value (too deep, beyond a double) is for the guest to judge.
    let Ok(value) = arguments.to_value() else { return true };
    let takes_others = draft.signature.parameters().get("additionalProperties").is_some_and(|others| *others != false);
    let names: BTreeSet<&str> = draft.signature.parameter_names().map(|(name, _)| name).collect();
    let knows_all = value.as_object().is_none_or(|fields| fields.keys().all(|name| names.contains(name.as_str())));
    (takes_others || knows_all) && validator.is_valid(&value)
}

/// Takes at most `count` items, evenly from the whole list.
fn spread<T>(items: &[T], count: usize) -> Vec<&T> {
    let count = count.min(items.len());
    (0..count).map(|index| &items[index * items.len() / count]).collect()
}

async fn change_of(
    draft: &FunctionDraft,
    present: &ValidatedFunction,
    call: &RecordedCall<'_>,
    outcome: &CallOutcome,
    calls: &Calls<'_>,
) -> Result<Option<String>, HostFault> {
    if gives(outcome, call.value) || !gives(&calls.run(present.draft(), call.arguments.clone()).await?, call.value) {
        return Ok(None);
    }
    let now = match outcome.value() {
        Some(value) => format!("gives {}", cut_middle(value.get(), MAX_VALUE)),
        None => format!("ends in {}", failure_text(outcome, MAX_VALUE)),
    };
    Ok(Some(format!(
        "in task `{}`, `{}` with {} gave {}; it now {now}",
        call.task,
        draft.signature.name(),
        cut_middle(call.arguments.get(), MAX_VALUE),
        cut_middle(call.value.get(), MAX_VALUE),
    )))
}

fn gives(outcome: &CallOutcome, expected: &JsonText) -> bool {
    outcome.status() == CallStatus::Ok && outcome.value().is_some_and(|value| same_value(value, expected))
}

fn changed_text(draft: &FunctionDraft, changed: &[String], ran: usize) -> Option<String> {
    if changed.is_empty() {
        return None;
    }
    Some(format!(
        "it answers calls otherwise that solved training tasks ({} recorded calls looked at):\n{}\nkeep these answers, or \
         add what is new under another name and leave `{}` as it is",
        ran,
        changed.join("\n"),
        draft.signature.name(),
    ))
}

fn unfit_text(unfit: &[RecordedCall<'_>]) -> Option<String> {
    let first = unfit.first()?;
    Some(format!(
        "{} recorded calls of solved tasks do not fit the new `parameters` any more, such as {} in task `{}`; say in the \
         description what is to be given now",
        unfit.len(),
        cut_middle(first.arguments.get(), MAX_VALUE),
        first.task,
    ))
}
