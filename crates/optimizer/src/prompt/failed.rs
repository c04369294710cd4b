use greensand_types::FunctionSet;

use super::fenced::fenced;
use super::{characters, percent};
use crate::admission::cut_middle;
use crate::step::StepInput;
use crate::training::FailedSet;

/// So much of a source that failed is shown, in characters: enough not to propose it again.
const SOURCE: usize = 1200;

/// So much of its description.
const DESCRIPTION: usize = 300;

/// Writes what was rolled back, in ascending order of score, as differences from the current set.
pub(super) fn write(input: &StepInput<'_>, budget: usize) -> String {
    if input.failures.is_empty() {
        return String::new();
    }
    let mut texts: Vec<String> = Vec::new();
    let mut used = 0;
    // The better a failure, the more there is to learn from it: what does not fit is left out from the worst on.
    for failure in input.failures.iter().rev() {
        let text = failure_text(failure, input.best);
        used += characters(&text);
        if used > budget && !texts.is_empty() {
            break;
        }
        texts.push(text);
    }
    let left_out = input.failures.len() - texts.len();
    let mut text =
        String::from("# Changes that were measured and undone\n\nIn ascending order of score. Do not repeat them.\n\n");
    if left_out > 0 {
        text.push_str(&format!("({left_out} with lower scores are left out here.)\n\n"));
    }
    texts.iter().rev().for_each(|failure| text.push_str(failure));
    text
}

fn failure_text(failure: &FailedSet, best: &FunctionSet) -> String {
    let mut text = format!(
        "## Epoch {}: {} against {}\n\n{}\n\n",
        failure.epoch,
        percent(failure.score),
        percent(failure.best_score),
        failure.reason.trim(),
    );
    for function in failure.set.iter() {
        let verb = match best.get(function.name().as_str()) {
            None => "added",
            Some(present) if present.id() != function.id() => "revised",
            Some(_) => continue,
        };
        let draft = function.draft();
        let source = fenced(draft.language.as_str(), &cut_middle(&draft.source, SOURCE));
        text.push_str(&format!(
            "- {verb} `{}`: {}\n\n{source}\n",
            function.name(),
            cut_middle(draft.signature.description().trim(), DESCRIPTION)
        ));
    }
    for function in best.iter().filter(|function| failure.set.get(function.name().as_str()).is_none()) {
        text.push_str(&format!("- removed `{}`\n\n", function.name()));
    }
    text
}
