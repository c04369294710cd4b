use greensand_types::{CallOutcome, keep_ends};

/// How much of a diagnostic goes back to the model, in characters.
pub(crate) const MAX_DIAGNOSTIC: usize = 2000;

/// How much of a value goes back to the model, in characters.
pub(crate) const MAX_VALUE: usize = 600;

/// Cuts a text that has more characters than `limit` behind its first two thirds, and says how many are left out.
pub(crate) fn cut_middle(text: &str, limit: usize) -> String {
    let tail = limit / 3;
    keep_ends(text, limit - tail, tail)
}

/// Says how a call failed: class, message, trace, and what it had printed.
pub(crate) fn failure_text(outcome: &CallOutcome, limit: usize) -> String {
    let mut text = outcome.status().to_string();
    if let Some(failure) = outcome.failure() {
        text = format!("{text}: {}", failure.message);
        if let Some(trace) = &failure.trace {
            text = format!("{text}\n{trace}");
        }
    }
    for (stream, kept) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        if !kept.text.is_empty() {
            text = format!("{text}\n{stream}: {}", cut_middle(&kept.text, limit / 4));
        }
    }
    cut_middle(&text, limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_says_how_much_is_missing_and_keeps_both_ends() {
        assert_eq!(cut_middle("short", 5), "short");
        let cut = cut_middle(&format!("a{}z", "é".repeat(1000)), 30);
        assert!(cut.starts_with('a') && cut.ends_with('z') && cut.contains("972 characters left out"), "{cut}");
    }
}
