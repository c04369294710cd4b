//! What the agent says to the model. The texts are files of `prompts/`, so that a change of one is a change that a
//! reviewer sees as text; here they get names and their blanks are filled in.

use greensand_types::Language;

/// The system message unless the settings have another.
pub(crate) const INSTRUCTIONS: &str = include_str!("../prompts/instructions.md");

/// Describes the tool `run_<language>`.
pub(crate) fn run_code(language: &Language) -> String {
    include_str!("../prompts/run_code.md").trim().replace("{language}", language.as_str())
}

/// Says that fenced code blocks are run; follows the instructions.
pub(crate) fn fenced_blocks(language: &Language) -> String {
    include_str!("../prompts/fenced_blocks.md").trim().replace("{language}", language.as_str())
}

/// Withdraws the tools.
pub(crate) fn answer_now(reason: &str) -> String {
    include_str!("../prompts/answer_now.md").trim().replace("{reason}", reason)
}

/// Answers an empty reply.
pub(crate) fn empty_reply() -> String {
    include_str!("../prompts/empty_reply.md").trim().to_owned()
}

/// Answers a reply that was cut off.
pub(crate) fn cut_reply() -> String {
    include_str!("../prompts/cut_reply.md").trim().to_owned()
}

/// Describes the functions to a model that calls them by text; follows the instructions.
pub(crate) fn text_protocol(functions: &str) -> String {
    include_str!("../prompts/text_protocol.md").trim().replace("{functions}", functions)
}

/// Answers a call by text that cannot be read.
pub(crate) fn unreadable_call(reason: &str) -> String {
    include_str!("../prompts/unreadable_call.md").trim().replace("{reason}", reason)
}

/// Stands in for the answer of a call that does not fit into the prompt.
pub(crate) fn left_out(characters: usize) -> String {
    include_str!("../prompts/left_out.md").trim().replace("{characters}", &characters.to_string())
}
