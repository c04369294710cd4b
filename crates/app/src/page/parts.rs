//! What several sections of the page share: numbers in words, badges, sources and diffs.

use greensand_types::counted;
use maud::{Markup, html};

use crate::diff::{Change, SetDiff};
use crate::store::{DecisionKind, EvaluationRecord};

/// Returns a share of 1 in per cent. The sign stays with its number at the end of a line.
pub(super) fn percent(score: f64) -> String {
    format!("{:.1}\u{a0}%", score * 100.0)
}

/// Returns a difference of shares in points, with from where to where the true one lies.
pub(super) fn point_words(difference: f64, interval: Option<[f64; 2]>) -> String {
    let interval = interval.map(|[low, high]| format!(", 95\u{a0}%: {:+.1} to {:+.1}", low * 100.0, high * 100.0));
    format!("{:+.1} points{}", difference * 100.0, interval.unwrap_or_default())
}

/// Returns what came out of a measurement.
pub(super) fn score_words(record: &EvaluationRecord) -> String {
    let mean = record.score.map_or_else(|| "no score".into(), percent);
    let missing = if record.missing > 0 { format!(", {} missing", record.missing) } else { String::new() };
    let calls = counted(record.calls, "call");
    let interval = record.interval.map(|[low, high]| format!(", 95\u{a0}%: {} to {}", percent(low), percent(high)));
    let interval = interval.unwrap_or_default();
    format!("{mean}, {} of {} solved, {calls}{missing}{interval}", record.solved, record.attempts())
}

/// Returns the beginning of an id, which is enough to tell sets apart.
pub(super) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// Returns a number with its thousands apart.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// Shows how a set was judged.
pub(super) fn badge(decision: DecisionKind) -> Markup {
    let (class, word) = match decision {
        DecisionKind::Baseline => ("badge plain", "baseline"),
        DecisionKind::Accepted => ("badge good", "accepted"),
        DecisionKind::RolledBack => ("badge bad", "rolled back"),
        DecisionKind::Undecided => ("badge warn", "undecided"),
        DecisionKind::Unchanged => ("badge plain", "unchanged"),
        DecisionKind::NotCompared => ("badge warn", "not compared"),
    };
    html! { span class=(class) { (word) } }
}

/// Shows what two sets differ in, folded.
pub(super) fn set_diff(diff: &SetDiff) -> Markup {
    html! {
        @for function in &diff.functions {
            @let word = match function.change { Change::Added => "added", Change::Removed => "removed", Change::Revised => "revised" };
            details {
                summary { code { (function.name) } " " (word) }
                pre.diff {
                    @for line in function.text.lines() {
                        span class=(line_class(line)) { (line) "\n" }
                    }
                }
            }
        }
    }
}

fn line_class(line: &str) -> &'static str {
    match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => "file",
        [b'+', ..] => "plus",
        [b'-', ..] => "minus",
        [b'@', b'@', ..] => "place",
        _ => "same",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
    }
}
