//! Prompt-only optimization: the model rewrites the instructions of the assistant instead of its functions.
//!
//! It is here to compare with: what learned functions bring must be more than what better words would have brought for the same
//! number of replies. One request, one reply; nothing of it is executed.

use greensand_llm::{ChatRequest, FinishReason, ModelBackend, ModelError, Role};
use greensand_types::{ConversationRecord, Message, TokenUsage};

use crate::prompt;
use crate::reading::says_terminate;
use crate::step::StepSettings;

/// The longest instructions that are taken, in characters.
const LONGEST: usize = 16_000;

/// What a rewriting starts from.
#[derive(Debug, Clone, Copy)]
pub struct InstructionsInput<'a> {
    /// The best instructions so far.
    pub current: &'a str,
    /// The conversations about the training tasks under them, in task order.
    pub records: &'a [ConversationRecord],
    /// Instructions that were tried since and were no better, with why.
    pub failures: &'a [(String, String)],
    /// The epoch, from 1.
    pub epoch: u32,
}

/// What came of a rewriting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewrittenInstructions {
    /// The new instructions; none, if the model would change nothing, or its reply holds none that can be used.
    pub text: Option<String>,
    /// What the reply cost.
    pub usage: TokenUsage,
}

/// Asks the optimizer's model for better instructions.
///
/// # Errors
/// When the model gives no reply.
pub async fn rewrite_instructions(
    input: InstructionsInput<'_>,
    backend: &dyn ModelBackend,
    settings: &StepSettings,
) -> Result<RewrittenInstructions, ModelError> {
    let request = ChatRequest {
        role: Role::Optimizer,
        task: None,
        turn: 0,
        epoch: input.epoch,
        // Another draw than a step of the same epoch: what they ask differs anyhow.
        repeat: input.epoch,
        functions: Vec::new(),
        messages: vec![
            Message::System { text: include_str!("prompts/rewrite.md").trim().to_owned() },
            Message::User { text: user_text(&input, settings.prompt_token_budget) },
        ],
        tools: Vec::new(),
        sampling: settings.sampling,
    };
    let reply = backend.chat(&request).await?;
    let is_whole = !matches!(reply.finish, FinishReason::Length | FinishReason::ContentFilter);
    let text = is_whole.then(|| instructions_in(&reply.text)).flatten().filter(|text| text != input.current.trim());
    Ok(RewrittenInstructions { text, usage: reply.usage })
}

fn user_text(input: &InstructionsInput<'_>, token_budget: usize) -> String {
    let mut text = format!("# Present instructions\n\n{}\n\n", input.current.trim());
    for (failed, reason) in input.failures.iter().rev().take(3) {
        text.push_str(&format!("# Instructions that were tried and undone: {reason}\n\n{failed}\n\n"));
    }
    // About four characters are a token.
    let left = token_budget.saturating_mul(4).saturating_sub(text.chars().count());
    text.push_str(&prompt::conversations(input.records, left));
    text
}

/// Finds the fenced block of instructions, or takes a reply without any fence as a whole.
fn instructions_in(reply: &str) -> Option<String> {
    let body: String = match reply.split_once("```instructions") {
        Some((_, rest)) => {
            let lines = rest.split_once('\n')?.1.lines();
            lines.take_while(|line| !line.starts_with("```")).collect::<Vec<_>>().join("\n")
        }
        None if reply.contains("```") || says_terminate(reply) => return None,
        None => reply.to_owned(),
    };
    let body = body.trim();
    (!body.is_empty() && body.chars().count() <= LONGEST).then(|| body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reply: &str, expected: Option<&str>) {
        assert_eq!(instructions_in(reply).as_deref(), expected, "{reply}");
    }

    #[test]
    fn instructions_are_read_from_their_block_or_from_a_reply_without_any() {
        check("Better:\n```instructions\nAdd first.\nThen check.\n```\nDone.", Some("Add first.\nThen check."));
        check("```instructions\nNo end", Some("No end"));
        check("Add first.", Some("Add first."));
    }

    #[test]
    fn what_is_no_instructions_is_not_taken() {
        for reply in ["TERMINATE", "", "```instructions\n```", "```python\nprint(1)\n```", "```instructions"] {
            check(reply, None);
        }
        check(&"x".repeat(LONGEST + 1), None);
    }
}
