//! What the optimizer model reads: instructions, the current set, evidence, what failed before, and the conversations.
//!
//! The same input gives the same text, byte for byte: times and orders of completion are not in it. The text keeps to a
//! budget. The set comes whole where it fits into half of it; of the earlier failures the best-scored come first; of the
//! conversations the unsolved ones come first, then a sample of the solved ones spread over the task order. Long values
//! are cut in their middle, and whatever is left out is said.
//!
//! Of a set that is too large even for the least of each function, all are listed in short, and the most telling are shown.
//! What is never left out can take more than the budget: the best-scored failure.
//!
//! Wording stands in `prompts/*.md`, which are reviewed like code.

mod current;
mod evidence;
mod failed;
mod fenced;
mod record;

use crate::step::{ActionProtocol, StepInput, StepSettings};
use greensand_types::ConversationRecord;

const INSTRUCTIONS: &str = include_str!("../prompts/instructions.md");
const EACH_OTHER: &str = include_str!("../prompts/each_other.md");
const PROTOCOL_TOOLS: &str = include_str!("../prompts/protocol_tools.md");
const PROTOCOL_TEXT: &str = include_str!("../prompts/protocol_text.md");

/// What ends a prompt that was written again because it did not fit.
pub(crate) const SHORTENED: &str = include_str!("../prompts/shortened.md");

/// What is taken for the length of a token.
pub(crate) const CHARACTERS_PER_TOKEN: usize = 4;

/// The two messages that a step begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) system: String,
    pub(crate) user: String,
}

/// Writes conversations alone, within a number of characters.
pub(crate) fn conversations(records: &[ConversationRecord], budget: usize) -> String {
    record::write_all(records, budget)
}

/// Writes the prompt of a step.
pub(crate) fn write(input: &StepInput<'_>, settings: &StepSettings) -> Prompt {
    let system = instructions(settings);
    let budget = settings.prompt_token_budget.saturating_mul(CHARACTERS_PER_TOKEN).saturating_sub(characters(&system));
    let mut user = current::write(input, budget / 2, settings);
    user.push_str(&failed::write(input, budget / 6));
    user.push_str(&record::write_all(input.records, budget.saturating_sub(characters(&user))));
    user.push_str(&format!(
        "\nEpoch {}. 0 of {} actions are taken. What do you change?\n",
        input.epoch, settings.max_actions_per_step
    ));
    Prompt { system, user }
}

fn instructions(settings: &StepSettings) -> String {
    let admission = &settings.admission;
    let packages = match admission.allowed_packages.as_slice() {
        [] => "none".to_owned(),
        packages => packages.join(", "),
    };
    let protocol = match settings.protocol {
        ActionProtocol::Tools => PROTOCOL_TOOLS,
        ActionProtocol::Text => PROTOCOL_TEXT,
    };
    let instructions = INSTRUCTIONS
        .replace("{language}", admission.language.as_str())
        .replace("{packages}", &packages)
        .replace("{max_actions}", &settings.max_actions_per_step.to_string());
    let each_other = if admission.may_call_each_other { EACH_OTHER } else { "" };
    format!("{instructions}{each_other}{protocol}")
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

/// A part of one, as a percentage with one digit.
fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}
