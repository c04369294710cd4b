use greensand_types::{ConversationRecord, FunctionSet, ValidatedFunction};
use serde_json::Value;

use super::fenced::fenced;
use super::{characters, percent};
use crate::admission::cut_middle;
use crate::evidence::{Evidence, gather_evidence};
use crate::step::StepInput;

/// What of one function is shown, in characters each.
#[derive(Debug, Clone, Copy)]
struct Room {
    description: usize,
    parameters: usize,
    source: usize,
}

impl Room {
    /// All of it.
    const WHOLE: Self = Self { description: usize::MAX, parameters: usize::MAX, source: usize::MAX };
    /// Nothing is cut below this, whatever the budget: less says nothing.
    const LEAST: Self = Self { description: 200, parameters: 300, source: 400 };

    /// The whole of every function if that fits; otherwise description and parameters keep to a part of an equal share,
    /// and the sources share what is left.
    fn for_all(set: &FunctionSet, budget: usize) -> Self {
        let needed = |room: Self| set.iter().map(|function| characters(&function_text(function, room))).sum::<usize>();
        if needed(Self::WHOLE) <= budget {
            return Self::WHOLE;
        }
        let share = budget / set.len().max(1);
        let least = Self::LEAST;
        let room = Self {
            description: (share / 8).max(least.description),
            parameters: (share / 4).max(least.parameters),
            source: 0,
        };
        let left = budget.saturating_sub(needed(room));
        Self { source: (left / set.len().max(1)).max(least.source), ..room }
    }
}

/// Writes the score, the current functions, and what is known of each.
pub(super) fn write(input: &StepInput<'_>, budget: usize) -> String {
    let (records, set) = (input.records, input.best);
    let solved = records.iter().filter(|record| record.verdict.is_satisfied).count();
    let mut text = format!(
        "# The assistant now\n\nSuccess rate: {}. Training tasks solved: {solved} of {}.\n\n\
         # Its functions ({})\n\n",
        percent(input.success_rate),
        records.len(),
        set.len(),
    );
    if set.is_empty() {
        text.push_str("It has none yet.\n\n");
    }
    let room = Room::for_all(set, budget);
    for function in set.iter() {
        text.push_str(&function_text(function, room));
    }
    text.push_str(&evidence_text(&gather_evidence(set, records)));
    text.push_str(&other_calls(set, records));
    text
}

fn function_text(function: &ValidatedFunction, room: Room) -> String {
    let draft = function.draft();
    let parameters = Value::Object(draft.signature.parameters().clone()).to_string();
    let parameters = cut_middle(&parameters, room.parameters);
    let packages =
        if draft.packages.is_empty() { String::new() } else { format!(", packages {}", draft.packages.join(", ")) };
    format!(
        "## `{}`\n\n{}\n\nParameters: `{parameters}` ({}{packages})\n\n{}\n",
        function.name(),
        cut_middle(draft.signature.description().trim(), room.description),
        draft.language,
        fenced(draft.language.as_str(), &cut_middle(&draft.source, room.source)),
    )
}

fn evidence_text(evidence: &[Evidence]) -> String {
    if evidence.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "What the conversations say of them:\n\n\
         | function | calls | returned | failed | not run | tasks that used it | of these solved | tokens per request |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for line in evidence {
        let errors: Vec<String> = line.errors.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let errors = if errors.is_empty() { "0".to_owned() } else { errors.join(", ") };
        text.push_str(&format!(
            "| `{}` | {} | {} | {errors} | {} | {} | {} | {} |\n",
            line.name,
            line.calls,
            line.successes,
            line.refused,
            line.tasks_used,
            line.tasks_solved,
            line.signature_tokens,
        ));
    }
    text.push('\n');
    text
}

/// Calls of names that are not in the set: built-in tools, and functions that the assistant wished for.
fn other_calls(set: &FunctionSet, records: &[ConversationRecord]) -> String {
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    for executed in records.iter().flat_map(|record| &record.calls) {
        if set.get(&executed.call.name).is_none() {
            *counts.entry(crate::admission::shown(&executed.call.name)).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return String::new();
    }
    let named: Vec<String> = counts.iter().take(20).map(|(name, count)| format!("`{name}` ({count})")).collect();
    format!("Calls of other tools, or of functions that do not exist: {}.\n\n", named.join(", "))
}
