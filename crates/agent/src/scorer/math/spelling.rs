//! Answers as text: the formula within a line of prose, and one spelling for what only looks different.

use crate::scorer::final_answer::{FinalAnswer, Place};

/// Returns the formulas that a final answer may mean, the likeliest first.
///
/// A box holds one formula. A line may hold words beside it: then it is the last thing between dollar signs, or what
/// follows the last "is", "are" or "=".
pub(super) fn formulas(found: FinalAnswer<'_>) -> Vec<&str> {
    let whole = found.text.trim();
    if found.place == Place::Box {
        return vec![whole];
    }
    let mut formulas = vec![whole];
    if let Some(formula) = last_formula(whole) {
        formulas.push(formula);
    } else {
        let tail = [" is ", " are ", " = ", ": "].iter().filter_map(|word| whole.rfind(word).map(|at| at + word.len()));
        formulas.extend(tail.max().map(|at| whole[at..].trim()));
    }
    formulas
}

/// Returns what stands between the last pair of dollar signs or `\(` and `\)`.
fn last_formula(line: &str) -> Option<&str> {
    if let Some(close) = line.rfind("\\)")
        && let Some(open) = line[..close].rfind("\\(")
    {
        return Some(line[open + 2..close].trim());
    }
    let marks: Vec<usize> =
        line.match_indices('$').map(|(at, _)| at).filter(|at| !line[..*at].ends_with('\\')).collect();
    match marks.as_slice() {
        [.., open, close] if marks.len().is_multiple_of(2) => Some(line[open + 1..*close].trim()),
        _ => None,
    }
}

/// Writes a formula without what only moves ink: spaces, `\left`, dollar signs, fonts, a final full stop.
///
/// Equal results are equal formulas; unequal ones say nothing.
pub(super) fn squeezed(formula: &str) -> String {
    const DROPPED: [&str; 18] = [
        "\\left",
        "\\right",
        "\\,",
        "\\!",
        "\\;",
        "\\:",
        "\\ ",
        "\\quad",
        "\\qquad",
        "\\displaystyle",
        "\\(",
        "\\)",
        "\\[",
        "\\]",
        "\\bigl",
        "\\bigr",
        "\\big",
        "\\Big",
    ];
    let mut text = formula.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac");
    for dropped in DROPPED {
        if text.contains(dropped) {
            text = without_command(&text, dropped);
        }
    }
    let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '$').collect();
    text.trim_end_matches(['.', ',']).to_owned()
}

/// Drops a command, but not the beginning of a longer one, nor what follows an escaped backslash.
fn without_command(text: &str, command: &str) -> String {
    let is_word = command.ends_with(|c: char| c.is_ascii_alphabetic());
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(command) {
        let (before, after) = (&rest[..at], &rest[at + command.len()..]);
        kept.push_str(before);
        let is_longer = is_word && after.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_longer || before.ends_with('\\') {
            kept.push_str(command);
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}
