use std::borrow::Cow;

use greensand_types::{CallOutcome, HostFault, JsonText};
use serde::Serialize;

use crate::causes::with_causes;

/// The answer to one line, as it is written.
#[derive(Serialize)]
struct AnswerLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a JsonText>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a JsonText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorLine<'a>>,
    stdout: &'a str,
    stderr: &'a str,
    truncated: bool,
    usage: UsageLine,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    message: Cow<'a, str>,
    trace: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct UsageLine {
    wall_ms: f64,
    peak_memory_bytes: u64,
    output_bytes: u64,
}

/// Returns an outcome as one line of JSON: the answer of `batch` without its id.
///
/// `value` is there only with `ok`, `error` only without; `truncated` says whether stdout or stderr was cut.
pub fn outcome_json(outcome: &CallOutcome) -> String {
    written(&AnswerLine::of(None, outcome))
}

/// Returns the answer to a line that was run, or that could not be.
pub(super) fn outcome_answer(id: &JsonText, outcome: &CallOutcome) -> String {
    written(&AnswerLine::of(Some(id), outcome))
}

/// Returns the answer to a line that met a fault of the host. Its status is none of a function's.
pub(super) fn fault_answer(id: &JsonText, fault: &HostFault) -> String {
    let error = ErrorLine { message: Cow::Owned(with_causes(fault)), trace: None };
    written(&AnswerLine {
        id: Some(id),
        status: "fault",
        value: None,
        error: Some(error),
        stdout: "",
        stderr: "",
        truncated: false,
        usage: UsageLine::default(),
    })
}

impl<'a> AnswerLine<'a> {
    fn of(id: Option<&'a JsonText>, outcome: &'a CallOutcome) -> Self {
        Self {
            id,
            status: outcome.status().as_str(),
            value: outcome.value(),
            error: outcome
                .failure()
                .map(|failure| ErrorLine { message: Cow::Borrowed(&failure.message), trace: failure.trace.as_deref() }),
            stdout: &outcome.stdout.text,
            stderr: &outcome.stderr.text,
            truncated: outcome.stdout.is_truncated || outcome.stderr.is_truncated,
            usage: UsageLine {
                wall_ms: outcome.usage.wall.as_micros() as f64 / 1000.0,
                peak_memory_bytes: outcome.usage.peak_memory_bytes,
                output_bytes: outcome.usage.output_bytes,
            },
        }
    }
}

fn written(line: &AnswerLine<'_>) -> String {
    on_one_line(serde_json::to_string(line).expect("an answer has text keys and finite numbers only"))
}

/// Takes out whatever some reader takes for the end of a line: a guest could otherwise forge an answer.
///
/// Bare line ends stand outside of strings only, in a value that the guest spread over lines; there a space means the same. The
/// others stand within strings only, where an escape means the same.
fn on_one_line(json: String) -> String {
    const ENDS: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    if !json.contains(ENDS) {
        return json;
    }
    let mut line = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        match character {
            '\n' | '\r' => line.push(' '),
            '\u{85}' => line.push_str("\\u0085"),
            '\u{2028}' => line.push_str("\\u2028"),
            '\u{2029}' => line.push_str("\\u2029"),
            other => line.push(other),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use greensand_types::{CallEnding, CallUsage, Failure, KeptText, LimitKind};

    use super::*;

    fn outcome(ending: CallEnding) -> CallOutcome {
        CallOutcome {
            ending,
            stdout: KeptText { text: "out\n".into(), is_truncated: true },
            stderr: KeptText::default(),
            usage: CallUsage { wall: Duration::from_micros(1500), peak_memory_bytes: 65536, output_bytes: 4 },
        }
    }

    #[test]
    fn a_value_is_written_as_the_guest_spelt_it() {
        let value = JsonText::parse("123456789012345678901234567890").unwrap();
        let id = JsonText::parse("\"a\"").unwrap();
        assert_eq!(
            outcome_answer(&id, &outcome(CallEnding::Returned(value))),
            r#"{"id":"a","status":"ok","value":123456789012345678901234567890,"stdout":"out\n","stderr":"","truncated":true,"usage":{"wall_ms":1.5,"peak_memory_bytes":65536,"output_bytes":4}}"#
        );
    }

    #[test]
    fn a_failure_has_an_error_and_no_value() {
        let failure = Failure { message: "too slow".into(), trace: Some("line 3".into()) };
        let text = outcome_json(&outcome(CallEnding::LimitHit(LimitKind::Wall, failure)));
        assert!(
            text.starts_with(r#"{"status":"timeout","error":{"message":"too slow","trace":"line 3"},"stdout""#),
            "{text}"
        );
    }

    #[test]
    fn a_value_cannot_forge_a_line() {
        let value = JsonText::parse("[1,\n{\"id\":1,\r\n\"a\\n\":2}]").unwrap();
        let text = outcome_json(&outcome(CallEnding::Returned(value)));
        assert!(!text.contains(['\n', '\r']), "{text}");
        assert!(text.contains(r#"[1, {"id":1,  "a\n":2}]"#), "{text}");
        let value = JsonText::parse("\"a\u{2028}b\u{2029}c\u{85}d\"").unwrap();
        let text = outcome_json(&outcome(CallEnding::Returned(value)));
        assert!(text.contains(r#""value":"a\u2028b\u2029c\u0085d""#), "{text}");
    }

    #[test]
    fn a_fault_names_its_cause() {
        let fault = HostFault::caused_by("cannot map the image", std::io::Error::other("no memory"));
        let id = JsonText::parse("1").unwrap();
        let text = fault_answer(&id, &fault);
        assert!(text.starts_with(r#"{"id":1,"status":"fault","error":{"message":"cannot map the image: no memory""#));
    }
}
