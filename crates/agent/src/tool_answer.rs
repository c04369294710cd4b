//! What the model reads of an outcome. This is the only place that knows the format.
//!
//! The first line says how the call ended; sections follow where there is something in them:
//!
//! ```text
//! value: {"days": 42}                     the call returned; the value is JSON on one line
//!
//! error: ZeroDivisionError: division by zero
//! trace:                                  the classes are error, timeout, memory, output_limit, denied, invalid
//!   line 3, in ratio
//! stdout:
//! what was printed before
//! stderr:
//! what was written there
//!
//! refused: there is no function `sum`     the call was not run, and why
//! ```
//!
//! A section that was cut says so: ` [.. 1200 characters left out ..] ` in the middle where the answer was shortened
//! for the model, `stdout (cut at its limit):` where the call wrote more than is kept. Control characters other than
//! line feed and tab become `\u{fffd}`.

use greensand_types::{CallOutcome, KeptText, keep_ends};

use crate::AnswerBounds;

/// Writes an outcome for the model.
pub fn outcome_text(outcome: &CallOutcome, bounds: &AnswerBounds) -> String {
    let mut text = match (outcome.value(), outcome.failure()) {
        (Some(value), _) => format!("value: {}", cut_middle(value.get(), bounds.value)),
        (None, failure) => {
            let message = failure.map_or("", |failure| failure.message.as_str());
            let message = message.split(['\n', '\r']).map(str::trim).collect::<Vec<_>>().join(" ");
            format!("{}: {}", outcome.status(), cut_middle(message.trim(), bounds.failure))
        }
    };
    if let Some(trace) = outcome.failure().and_then(|failure| failure.trace.as_deref()) {
        push_section(&mut text, "trace", trace, bounds.failure);
    }
    push_output(&mut text, "stdout", &outcome.stdout, bounds.output);
    push_output(&mut text, "stderr", &outcome.stderr, bounds.output);
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Writes why a call was not run.
pub(crate) fn refusal_text(reason: &str) -> String {
    format!("refused: {reason}")
}

fn push_output(text: &mut String, name: &str, kept: &KeptText, bound: usize) {
    let title = if kept.is_truncated { format!("{name} (cut at its limit)") } else { name.to_owned() };
    push_section(text, &title, &kept.text, bound);
}

fn push_section(text: &mut String, title: &str, content: &str, bound: usize) {
    let content = content.trim_end();
    if !content.is_empty() {
        text.push_str(&format!("\n{title}:\n{}", cut_middle(content, bound)));
    }
}

/// Keeps the two ends of a text that has more characters than it may, and says how many are missing.
pub(crate) fn cut_middle(text: &str, bound: usize) -> String {
    keep_ends(text, bound.div_ceil(2), bound / 2)
}

#[cfg(test)]
mod tests {
    use greensand_types::{CallEnding, Failure, JsonText, LimitKind};

    use super::*;

    fn outcome(ending: CallEnding) -> CallOutcome {
        CallOutcome { ending, ..CallOutcome::invalid("") }
    }

    fn kept(text: &str) -> KeptText {
        KeptText { text: text.to_owned(), is_truncated: false }
    }

    fn check(outcome: &CallOutcome, expected: &str) {
        assert_eq!(outcome_text(outcome, &AnswerBounds { value: 20, failure: 40, output: 10 }), expected);
    }

    #[test]
    fn a_value_is_json_on_the_first_line() {
        check(&outcome(CallEnding::Returned(JsonText::parse("[1, \"a\"]").unwrap())), "value: [1, \"a\"]");
    }

    #[test]
    fn printed_text_follows_the_value_in_its_own_section() {
        let mut printed = outcome(CallEnding::Returned(JsonText::parse("null").unwrap()));
        printed.stdout = kept("42\n");
        printed.stderr = kept("warned\n");
        check(&printed, "value: null\nstdout:\n42\nstderr:\nwarned");
    }

    #[test]
    fn a_failure_shows_its_class_message_and_trace() {
        let failure =
            Failure { message: "ValueError: bad\ninput".into(), trace: Some("line 3, in f\nline 1, in g\n".into()) };
        check(
            &outcome(CallEnding::Raised(failure)),
            "error: ValueError: bad input\ntrace:\nline 3, in f\nline 1, in g",
        );
        let timeout = CallEnding::LimitHit(LimitKind::Wall, Failure::new("stopped after 2 s"));
        check(&outcome(timeout), "timeout: stopped after 2 s");
    }

    #[test]
    fn long_text_is_cut_in_the_middle_and_says_so() {
        let long = JsonText::parse(&format!("\"{}\"", "ä".repeat(100))).unwrap();
        let expected = format!("value: \"{} [.. 82 characters left out ..] {}\"", "ä".repeat(9), "ä".repeat(9));
        check(&outcome(CallEnding::Returned(long)), &expected);
        let mut flood = outcome(CallEnding::Returned(JsonText::parse("1").unwrap()));
        flood.stdout = KeptText { text: "0123456789abcdef".into(), is_truncated: true };
        check(&flood, "value: 1\nstdout (cut at its limit):\n01234 [.. 6 characters left out ..] bcdef");
    }

    #[test]
    fn control_characters_of_the_guest_do_not_reach_the_model() {
        let mut shouting = outcome(CallEnding::Returned(JsonText::parse("1").unwrap()));
        shouting.stdout = kept("\u{1b}[2J\0\tx");
        check(&shouting, "value: 1\nstdout:\n\u{fffd}[2J\u{fffd}\tx");
    }

    #[test]
    fn every_bound_holds() {
        for bound in 0..8 {
            let cut = cut_middle("0123456789", bound);
            assert_eq!(cut.chars().filter(char::is_ascii_digit).count() - cut_note_digits(&cut), bound, "{cut}");
        }
    }

    fn cut_note_digits(cut: &str) -> usize {
        let note = &cut[cut.find("[..").unwrap()..cut.find("..]").unwrap()];
        note.chars().filter(char::is_ascii_digit).count()
    }
}
