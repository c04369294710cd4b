//! A conversation that fits into a prompt.
//!
//! What is given up are the answers of calls, the oldest first: they are cut in the middle, and if that is not enough they are
//! left out, with a note in their place. Instructions, question and what the model itself said stay. The same messages and
//! bound always give the same result, and the record of the conversation keeps everything.

use greensand_types::Message;

use crate::prompt;
use crate::tool_answer::cut_middle;

/// So much of an answer is kept when it is cut.
const KEPT_OF_ANSWER: usize = 600;

/// Returns how many characters messages have.
pub(crate) fn characters(messages: &[Message]) -> usize {
    messages.iter().map(characters_of).sum()
}

/// Returns the messages with at most so many characters, as far as giving up answers can do it.
pub(crate) fn fitted(messages: &[Message], most: usize) -> Vec<Message> {
    let mut fitted = messages.to_vec();
    let mut size = characters(messages);
    // The first message of the user is the question.
    let question = messages.iter().position(|message| matches!(message, Message::User { .. })).unwrap_or(0);
    for give_up in [cut, leave_out] {
        for message in fitted.iter_mut().skip(question + 1) {
            if size <= most {
                return fitted;
            }
            let Some(answer) = answer_of(message) else { continue };
            let (before, shorter) = (answer.chars().count(), give_up(answer));
            let after = shorter.chars().count();
            if after < before {
                *answer = shorter;
                size = size - before + after;
            }
        }
    }
    fitted
}

fn cut(answer: &str) -> String {
    cut_middle(answer, KEPT_OF_ANSWER)
}

fn leave_out(answer: &str) -> String {
    prompt::left_out(answer.chars().count())
}

/// What the user proxy says: answers of calls, and of calls by text.
fn answer_of(message: &mut Message) -> Option<&mut String> {
    match message {
        Message::Tool { content, .. } => Some(content),
        Message::User { text } => Some(text),
        Message::System { .. } | Message::Assistant { .. } => None,
    }
}

fn characters_of(message: &Message) -> usize {
    let count = |text: &str| text.chars().count();
    match message {
        Message::System { text } | Message::User { text } => count(text),
        Message::Assistant { text, calls } => {
            let calls = calls.iter().map(|call| count(&call.name) + count(&call.arguments));
            count(text) + calls.sum::<usize>()
        }
        Message::Tool { content, .. } => count(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(answers: &[usize]) -> Vec<Message> {
        let mut messages = vec![Message::System { text: "s".repeat(50) }, Message::User { text: "q".repeat(50) }];
        for (number, length) in answers.iter().enumerate() {
            messages.push(Message::Assistant { text: "a".repeat(10), calls: Vec::new() });
            messages.push(Message::Tool { call: number.to_string(), content: "t".repeat(*length) });
        }
        messages
    }

    fn lengths(messages: &[Message]) -> Vec<usize> {
        messages.iter().map(characters_of).collect()
    }

    #[test]
    fn what_fits_is_left_alone() {
        let messages = conversation(&[1000, 10]);
        assert_eq!(fitted(&messages, 1130), messages);
    }

    #[test]
    fn older_answers_are_cut_before_newer_ones() {
        let messages = conversation(&[5000, 5000, 20]);
        let found = fitted(&messages, 6000);
        let lengths = lengths(&found);
        assert!(lengths[3] < 700 && lengths[5] == 5000 && lengths[7] == 20, "{lengths:?}");
        assert!(characters(&found) <= 6000);
        let Message::Tool { content, .. } = &found[3] else { panic!() };
        assert!(content.contains("[.. 4400 characters left out ..]"), "{content}");
    }

    #[test]
    fn what_is_left_out_is_said() {
        let found = fitted(&conversation(&[5000, 5000, 5000]), 1200);
        let Message::Tool { content, .. } = &found[3] else { panic!() };
        assert!(content.contains("left out"), "{content}");
        assert!(characters(&found) <= 1200, "{:?}", lengths(&found));
        assert_eq!(lengths(&found)[..2], [50, 50], "instructions and question stay");
    }

    #[test]
    fn a_bound_that_cannot_be_kept_gives_up_all_that_there_is() {
        let messages = conversation(&[5000, 20]);
        let found = fitted(&messages, 0);
        assert!(characters(&found) < 400);
        assert_eq!(lengths(&found)[5], 20, "a note would be longer than the answer");
        assert_eq!(fitted(&found, 0), found);
    }
}
