use std::borrow::Cow;
use std::sync::Arc;

use greensand_types::{Task, Verdict};
use regex::{Regex, RegexBuilder};

use super::entry::{Scorer, ScorerEntry, TargetError};
use super::final_answer::final_answer;
use super::options::{OptionEntry, Options, OptionsError, quoted};

pub(super) const ENTRY: ScorerEntry = ScorerEntry {
    name: "regex",
    summary: "the reply matches a regular expression: the target, or one for all tasks that may hold the target",
    options: &[
        OptionEntry {
            name: "pattern",
            summary: "a regular expression for all tasks; `{target}` in it stands for the target, taken literally. \
                      By default each target is its own regular expression",
        },
        OptionEntry {
            name: "match",
            summary: "\"whole\" (the final answer as a whole, the default) or \"search\" (anywhere in the reply)",
        },
        OptionEntry { name: "ignore_case", summary: "whether upper and lower case are the same; false by default" },
    ],
    open,
};

const TARGET: &str = "{target}";

/// The largest compiled expression, in bytes. Matching takes time linear in the reply.
const MAX_COMPILED_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy)]
enum Part {
    Whole,
    Search,
}

/// Matches replies.
struct Matches {
    pattern: Option<String>,
    part: Part,
    ignores_case: bool,
}

fn open(options: &Options<'_>) -> Result<Arc<dyn Scorer>, OptionsError> {
    let scorer = Matches {
        pattern: options.text("pattern")?.map(str::to_owned),
        part: options.choice("match", &[("whole", Part::Whole), ("search", Part::Search)])?,
        ignores_case: options.flag("ignore_case", false)?,
    };
    if let Some(pattern) = &scorer.pattern
        && let Err(error) = scorer.compile("target")
    {
        let expected = format!("a regular expression ({})", error.0);
        return Err(OptionsError::Malformed { key: "pattern", expected, found: quoted(pattern) });
    }
    Ok(Arc::new(scorer))
}

impl Scorer for Matches {
    fn score(&self, task: &Task, answer: &str) -> Verdict {
        let found = final_answer(answer).text;
        let regex = match self.compile(&task.target) {
            Ok(regex) => regex,
            Err(error) => return Verdict::unsatisfied(Some(found.to_owned()), error.to_string()),
        };
        let matched = match self.part {
            Part::Whole => [found, answer.trim()].into_iter().find(|text| regex.is_match(text)),
            Part::Search => regex.find(answer).map(|found| found.as_str()),
        };
        match (matched, self.part) {
            (Some(matched), _) => Verdict::satisfied(matched, "the answer matches the expected pattern"),
            (None, Part::Whole) => {
                let feedback = format!("the answer `{}` does not match the expected pattern as a whole", quoted(found));
                Verdict::unsatisfied(Some(found.to_owned()), feedback)
            }
            (None, Part::Search) => {
                Verdict::unsatisfied(Some(found.to_owned()), "nothing in the reply matches the expected pattern")
            }
        }
    }

    fn check_target(&self, target: &str) -> Result<(), TargetError> {
        self.compile(target).map(|_| ())
    }
}

impl Matches {
    fn compile(&self, target: &str) -> Result<Regex, TargetError> {
        let pattern = match &self.pattern {
            Some(pattern) => Cow::Owned(pattern.replace(TARGET, &regex::escape(target))),
            None => Cow::Borrowed(target),
        };
        let pattern = match self.part {
            Part::Whole => Cow::Owned(format!("\\A(?:{pattern})\\z")),
            Part::Search => pattern,
        };
        RegexBuilder::new(&pattern)
            .case_insensitive(self.ignores_case)
            .size_limit(MAX_COMPILED_BYTES)
            .dfa_size_limit(MAX_COMPILED_BYTES)
            .build()
            .map_err(|error| TargetError(short_reason(&error)))
    }
}

fn short_reason(error: &regex::Error) -> String {
    match error {
        regex::Error::Syntax(text) => {
            let last = text.lines().last().unwrap_or_default();
            format!("it is not a regular expression: {}", quoted(last.trim_start_matches("error: ")))
        }
        regex::Error::CompiledTooBig(limit) => format!("the regular expression needs more than {limit} bytes"),
        other => format!("it is not a usable regular expression: {other}"),
    }
}
