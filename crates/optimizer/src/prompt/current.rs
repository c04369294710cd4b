use greensand_types::{ConversationRecord, FunctionSet, ValidatedFunction};
use serde_json::Value;

use super::fenced::fenced;
use super::{characters, evidence, percent};
use crate::admission::cut_middle;
use crate::evidence::Evidence;
use crate::step::{StepInput, StepSettings};

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

/// What a function costs beside what [`Room`] counts: headings, fences, and the notes of its cuts.
const FRAME: usize = 240;

/// So much of a description is shown of a function that is only listed, in characters: the first of these with which all
/// fit into their part of the budget.
const LISTED: [usize; 3] = [120, 40, 0];

/// Writes the score, the current functions, and what is known of each.
pub(super) fn write(input: &StepInput<'_>, budget: usize, settings: &StepSettings) -> String {
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
    let most = settings.offered_functions;
    if most > 0 && set.len() > most {
        text.push_str(&format!(
            "Each task is offered {most} of them: those whose names, descriptions and parameter names share the most words \
             with its question. So a description names what is asked for, in the words of those who ask.\n\n"
        ));
    }
    let known = input.evidence.on(set);
    let order = by_interest(&known, records);
    let about = evidence::write(&known, &order, settings.retire_after, budget / 4);
    let other = other_calls(set, records);
    let left = budget.saturating_sub(characters(&about) + characters(&other));
    text.push_str(&functions_text(set, &order, left));
    text.push_str(&about);
    text.push_str(&other);
    text
}

/// The places of the functions, the most telling first: those that unsolved conversations called, then those that were
/// called at all, then by name.
fn by_interest(known: &[Evidence], records: &[ConversationRecord]) -> Vec<usize> {
    let unsolved = records.iter().filter(|record| !record.verdict.is_satisfied);
    let mut failing = std::collections::BTreeMap::<&str, u64>::new();
    for executed in unsolved.flat_map(|record| &record.calls) {
        *failing.entry(&executed.call.name).or_default() += 1;
    }
    let failing = |place: usize| failing.get(known[place].name.as_str()).copied().unwrap_or(0);
    let mut order: Vec<usize> = (0..known.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse((failing(*place), known[*place].calls)));
    order
}

/// Writes every function in the order of their names; if not even the least of each fits, the most telling ones, and a
/// list of the others.
fn functions_text(set: &FunctionSet, order: &[usize], budget: usize) -> String {
    let functions: Vec<&ValidatedFunction> = set.iter().map(AsRef::as_ref).collect();
    let least = Room::LEAST.description + Room::LEAST.parameters + Room::LEAST.source + FRAME;
    let room = Room::for_all(set, budget);
    let all: String = functions.iter().map(|function| function_text(function, room)).collect();
    if characters(&all) <= budget || functions.len() * least <= budget {
        return all;
    }
    let lists = LISTED.map(|description| listed(&functions, description));
    let fits = |list: &&String| characters(list) <= budget / 3 * 2;
    let list = lists.iter().find(fits).cloned().unwrap_or_else(|| cut_middle(&lists[LISTED.len() - 1], budget / 3 * 2));
    let count = budget.saturating_sub(characters(&list)) / least;
    let mut shown: Vec<usize> = order.iter().copied().take(count).collect();
    shown.sort_unstable();
    let mut text = format!(
        "They are too many to be shown whole. All of them, in short:\n\n{list}\n\
         Those that are called most, above all where a task was not solved ({} of {}):\n\n",
        shown.len(),
        functions.len(),
    );
    for place in shown {
        text.push_str(&function_text(functions[place], Room::LEAST));
    }
    text
}

fn listed(functions: &[&ValidatedFunction], description: usize) -> String {
    let line = |function: &&ValidatedFunction| {
        let signature = &function.draft().signature;
        if description == 0 {
            return format!("`{}`\n", signature.name());
        }
        let parameters: Vec<&str> = signature.parameter_names().map(|(name, _)| name).take(8).collect();
        let said: String = signature.description().split_whitespace().collect::<Vec<_>>().join(" ");
        let said: String = said.chars().take(description).collect();
        format!("- `{}({})`: {said}\n", signature.name(), cut_middle(&parameters.join(", "), 80))
    };
    functions.iter().map(line).collect()
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
