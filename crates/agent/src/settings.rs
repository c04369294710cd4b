use std::collections::BTreeMap;

use greensand_llm::Sampling;
use greensand_types::{Encoding, Language, Limits};

use crate::prompt;

/// How the assistant calls functions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallProtocol {
    /// Functions are offered as tools; a call that is written as text is understood where it can be nothing else.
    #[default]
    Tools,
    /// No tools are sent, for models and endpoints without them: the system message describes the functions, and the model
    /// writes one fenced JSON block per call.
    Text,
}

/// How a task is worked on. Every value is resolved: where it came from is not known here.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentSettings {
    /// The system message. What the assistant must know of fenced blocks is added to it where they are run.
    pub instructions: String,
    /// How functions are called.
    pub protocol: CallProtocol,
    /// About how many tokens a request may have, at four characters each: beyond it the answers of earlier calls are cut, and
    /// then left out. The record of the conversation keeps them.
    pub prompt_tokens: usize,
    /// The most replies that a task may have. The last one is asked for without tools, so that it is an answer.
    pub max_turns: u32,
    /// How many calls of a task may end other than `ok`; one more, and the tools are withdrawn.
    pub max_failed_calls: u32,
    /// The language of the built-in tool `run_<language>`, or none.
    ///
    /// A learned function of the same name takes its place: what was registered is what is called.
    pub code_tool: Option<Language>,
    /// Which fenced code blocks of a reply without calls are run, or none.
    pub fenced_blocks: Option<FencedBlocks>,
    /// Whether every learned function may call the others of its set.
    pub may_call_each_other: bool,
    /// The bounds of a call, by language. A language that is not here has the defaults of the runtime.
    pub limits: BTreeMap<Language, Limits>,
    /// How results that JSON cannot hold are written.
    pub encoding: Encoding,
    /// How much of an outcome the model is shown.
    pub answer_bounds: AnswerBounds,
    /// From which the seed of each call is derived.
    pub seed: u64,
    /// How replies are drawn.
    pub sampling: Sampling,
}

impl Default for AgentSettings {
    /// No code tool, no fenced blocks, functions that call no others, no limits but those of the runtime; calls by tools,
    /// 100 000 tokens, 12 turns, 3 failed calls, the tagged encoding, seed 0, and the instructions of
    /// `prompts/instructions.md`.
    fn default() -> Self {
        Self {
            instructions: prompt::INSTRUCTIONS.trim().to_owned(),
            protocol: CallProtocol::Tools,
            prompt_tokens: 100_000,
            max_turns: 12,
            max_failed_calls: 3,
            code_tool: None,
            fenced_blocks: None,
            may_call_each_other: false,
            limits: BTreeMap::new(),
            encoding: Encoding::Tagged,
            answer_bounds: AnswerBounds::default(),
            seed: 0,
            sampling: Sampling::default(),
        }
    }
}

/// Which fenced code blocks of a reply are run, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FencedBlocks {
    /// The language that they are run in. Its name is one of the info strings.
    pub language: Language,
    /// Further info strings, such as `py`; upper and lower case are the same.
    pub aliases: Vec<String>,
}

impl FencedBlocks {
    /// Says whether blocks with this info string are run.
    pub(crate) fn runs(&self, info: &str) -> bool {
        std::iter::once(self.language.as_str())
            .chain(self.aliases.iter().map(String::as_str))
            .any(|known| known.eq_ignore_ascii_case(info))
    }
}

/// How much of an outcome the model is shown, in characters. What is longer is cut in the middle, and the cut is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerBounds {
    /// The returned value as JSON.
    pub value: usize,
    /// The message and the trace of a failure, each.
    pub failure: usize,
    /// Standard output and standard error, each.
    pub output: usize,
}

impl Default for AnswerBounds {
    /// 8000 characters of the value, 2000 of message and trace, 4000 of each output.
    fn default() -> Self {
        Self { value: 8000, failure: 2000, output: 4000 }
    }
}
