//! What a reply of the optimizer model asks for.
//!
//! A model with tool calling calls the actions; one without writes them as JSON in a fenced block, which is read as
//! tolerantly as calls of the assistant, see [`read_text_calls`].
//! A reply without an action ends the step. An empty reply, or one that was cut off, is *unusable*: it is neither an action
//! nor a refusal to act, and half of a function is never adopted.

use greensand_llm::{CallShape, ChatReply, FinishReason, Flaw, UnreadableCall, read_text_calls};
use greensand_types::FunctionCall;

/// What a reply asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Reading {
    /// These actions, by tool calls.
    Calls(Vec<FunctionCall>),
    /// These actions, by the text protocol.
    Blocks(Vec<FunctionCall>),
    /// Nothing: the step is over.
    Nothing,
    /// It cannot be read.
    Unusable {
        /// In which way.
        shape: BrokenShape,
        /// The same, for the model.
        reason: String,
    },
}

/// In which way a reply is unusable. A step asks once after each; a second reply of the same shape ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BrokenShape {
    /// It was cut off.
    Cut,
    /// It was withheld.
    Withheld,
    /// It was empty.
    Empty,
    /// A block of it cannot be read.
    Block(Flaw),
}

/// Reads a reply.
pub(crate) fn read_reply(reply: &ChatReply) -> Reading {
    match &reply.finish {
        FinishReason::Length => {
            return unusable(
                BrokenShape::Cut,
                "your reply was cut off at the limit of tokens, so nothing of it was used; send a shorter one",
            );
        }
        FinishReason::ContentFilter => {
            return unusable(BrokenShape::Withheld, "your reply was withheld by a content filter; say it otherwise");
        }
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Other(_) => {}
    }
    if !reply.calls.is_empty() {
        return Reading::Calls(reply.calls.clone());
    }
    if reply.text.trim().is_empty() {
        return unusable(BrokenShape::Empty, "your reply was empty; act, or reply TERMINATE");
    }
    read_text(&reply.text)
}

fn unusable(shape: BrokenShape, reason: &str) -> Reading {
    Reading::Unusable { shape, reason: reason.to_owned() }
}

/// Says whether a line of the text is the word that ends the step.
pub(crate) fn says_terminate(text: &str) -> bool {
    text.lines().any(|line| line.trim_matches(|c: char| !c.is_alphanumeric()) == "TERMINATE")
}

/// How an action is written as text.
const SHAPE: CallShape<'static> = CallShape {
    name: "action",
    arguments: &["arguments"],
    example: "{\"action\": \"add_function\", \"name\": .., ..}",
};

fn read_text(text: &str) -> Reading {
    match read_text_calls(text, &SHAPE) {
        Ok(found) if found.calls.is_empty() => Reading::Nothing,
        Ok(found) => Reading::Blocks(found.calls),
        Err(UnreadableCall { flaw, reason, .. }) => Reading::Unusable { shape: BrokenShape::Block(flaw), reason },
    }
}

#[cfg(test)]
mod tests {
    use greensand_types::TokenUsage;

    use super::*;

    fn reply(text: &str, finish: FinishReason) -> ChatReply {
        ChatReply { text: text.into(), calls: Vec::new(), finish, usage: TokenUsage::default() }
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let Reading::Blocks(calls) = read_reply(&reply(text, FinishReason::Stop)) else {
            panic!("{:?}", read_reply(&reply(text, FinishReason::Stop)));
        };
        let found: Vec<(&str, &str)> = calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_action_is_read_from_a_fenced_block() {
        let expected = [("remove_function", r#"{"name":"f","reason":"r"}"#)];
        check(
            "I remove it.\n```json\n{\"action\": \"remove_function\", \"name\":\"f\",\"reason\":\"r\"}\n```\nDone.",
            &expected,
        );
        check("```\n{\"action\": \"remove_function\", \"name\":\"f\",\"reason\":\"r\",}\n```", &expected);
        check("```JSON\n{\"action\":\"remove_function\",\"arguments\":{\"name\":\"f\",\"reason\":\"r\"}}\n", &expected);
        check(" {\"action\": \"remove_function\", \"name\":\"f\",\"reason\":\"r\"}", &expected);
        check(
            "```python\nprint(1)\n```\nthen\n```json\n[{\"action\": \"remove_function\", \"name\":\"f\",\"reason\":\"r\"}]\n```",
            &expected,
        );
    }

    #[test]
    fn raw_line_breaks_in_a_source_are_mended() {
        check(
            "```json\n{\"action\": \"add_function\", \"source\": \"def f():\n\treturn \\\"a\\\"\n\"}\n```",
            &[("add_function", r#"{"source":"def f():\n\treturn \"a\"\n"}"#)],
        );
    }

    #[test]
    fn digits_of_examples_are_kept() {
        let number = "123456789012345678901234567890";
        check(
            &format!("```json\n{{\"action\": \"add\", \"result\": {number}}}\n```"),
            &[("add", &format!("{{\"result\":{number}}}"))],
        );
    }

    #[test]
    fn prose_is_no_action() {
        for text in ["TERMINATE", "All is well.", "Try\n```python\ndef f(): pass\n```", "```", "``` ```", "a { b"] {
            assert_eq!(read_reply(&reply(text, FinishReason::Stop)), Reading::Nothing, "{text}");
        }
    }

    #[test]
    fn what_is_cut_off_or_broken_is_unusable() {
        let whole = "```json\n{\"action\": \"remove_function\", \"name\":\"f\",\"reason\":\"r\"}\n```";
        let unusable = [
            (whole, FinishReason::Length),
            (whole, FinishReason::ContentFilter),
            ("", FinishReason::Stop),
            (" \n", FinishReason::ToolCalls),
            ("```json\n{\"action\": \"add_fun", FinishReason::Stop),
            ("```json\n{\"name\": \"f\"}\n```", FinishReason::Stop),
            ("```json\n{\"action\": 1}\n```", FinishReason::Stop),
            ("```json\n[[]]\n```", FinishReason::Stop),
        ];
        for (text, finish) in unusable {
            assert!(matches!(read_reply(&reply(text, finish)), Reading::Unusable { .. }), "{text}");
        }
    }

    #[test]
    fn terminate_is_a_line_of_its_own() {
        assert!(says_terminate("done.\n**TERMINATE**"));
        assert!(!says_terminate("do not TERMINATE yet"));
    }
}
