use super::{characters, percent};
use crate::evidence::{Evidence, Share};
use crate::retirement::{Retirement, retirement};

/// Writes what all conversations so far say of the functions, and which of them might go.
///
/// Of a set that is too large for the budget, the lines of the most telling functions are kept.
pub(super) fn write(known: &[Evidence], order: &[usize], retire_after: u32, budget: usize) -> String {
    if known.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "What all conversations so far say of these very definitions, those of the validation tasks and of sets that were \
         undone included:\n\n\
         | function | calls | returned | failed | not run | tasks that used it | solved with it | same tasks without it \
         | all tasks while it was there | last called | tokens per request |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let proposals = proposals(known, order, retire_after, budget / 4);
    let left = budget.saturating_sub(characters(&text) + characters(&proposals));
    let lines: Vec<String> = known.iter().map(line).collect();
    let mut used = 0;
    let mut shown: Vec<usize> = Vec::new();
    for place in order {
        used += characters(&lines[*place]);
        if used > left && !shown.is_empty() {
            break;
        }
        shown.push(*place);
    }
    shown.sort_unstable();
    shown.iter().for_each(|place| text.push_str(&lines[*place]));
    if shown.len() < known.len() {
        text.push_str(&format!(
            "\n({} functions that are called less are left out here.)\n",
            known.len() - shown.len()
        ));
    }
    text.push('\n');
    text.push_str(&proposals);
    text
}

fn line(evidence: &Evidence) -> String {
    let errors: Vec<String> = evidence.errors.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let errors = if errors.is_empty() { "0".to_owned() } else { errors.join(", ") };
    let last_use = evidence.last_use.map_or_else(|| "never".to_owned(), |epoch| format!("epoch {epoch}"));
    format!(
        "| `{}` | {} | {} | {errors} | {} | {} | {} | {} | {} | {last_use} | {} |\n",
        evidence.name,
        evidence.calls,
        evidence.successes,
        evidence.refused,
        evidence.tasks_used,
        share(evidence.used),
        share(evidence.without),
        share(evidence.held),
        evidence.signature_tokens,
    )
}

fn share(share: Share) -> String {
    match share.rate() {
        None => "none".to_owned(),
        Some(rate) => format!("{} of {} ({})", share.solved, share.conversations, percent(rate)),
    }
}

/// Names the functions that might go. What is done about it is for the model to say.
fn proposals(known: &[Evidence], order: &[usize], retire_after: u32, budget: usize) -> String {
    let mut lines = Vec::new();
    // The most telling functions are those that are called: harm stands before disuse.
    for evidence in order.iter().map(|place| &known[*place]) {
        let why = match retirement(evidence, retire_after) {
            None => continue,
            Some(Retirement::Unused { epochs }) => format!(
                "not called in {epochs} epochs of measuring, and its signature costs {} tokens in each request",
                evidence.signature_tokens
            ),
            Some(Retirement::Harmful { with, without, difference, standard_error }) => format!(
                "conversations that call it solve {} of their tasks, others {} of the same tasks; task by task a \
                 difference of {:+.1} \u{b1} {:.1} points",
                share(with),
                share(without),
                difference * 100.0,
                standard_error * 100.0
            ),
        };
        lines.push(format!("- `{}`: {why}\n", evidence.name));
    }
    if lines.is_empty() {
        return String::new();
    }
    let mut text = String::from("Consider removing these, or revising what they say of themselves:\n\n");
    let mut shown = 0;
    for line in &lines {
        if shown > 0 && characters(&text) + characters(line) > budget {
            break;
        }
        text.push_str(line);
        shown += 1;
    }
    if shown < lines.len() {
        text.push_str(&format!("- and {} more\n", lines.len() - shown));
    }
    text.push('\n');
    text
}
