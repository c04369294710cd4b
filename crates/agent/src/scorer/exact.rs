use std::sync::Arc;

use greensand_types::{Task, Verdict};

use super::entry::{Scorer, ScorerEntry, TargetError};
use super::final_answer::final_answer;
use super::options::{OptionEntry, Options, OptionsError, quoted};

pub(super) const ENTRY: ScorerEntry = ScorerEntry {
    name: "exact",
    summary: "the final answer, or the whole reply, is the target, character by character",
    options: &[
        OptionEntry { name: "ignore_case", summary: "whether upper and lower case are the same; false by default" },
        OptionEntry {
            name: "whitespace",
            summary: "\"trim\" (around the text, the default), \"collapse\" (runs count as one space) or \"ignore\"",
        },
    ],
    open,
};

#[derive(Debug, Clone, Copy)]
enum Whitespace {
    Trim,
    Collapse,
    Ignore,
}

/// Compares texts.
struct Exact {
    ignores_case: bool,
    whitespace: Whitespace,
}

fn open(options: &Options<'_>) -> Result<Arc<dyn Scorer>, OptionsError> {
    let whitespaces = [("trim", Whitespace::Trim), ("collapse", Whitespace::Collapse), ("ignore", Whitespace::Ignore)];
    Ok(Arc::new(Exact {
        ignores_case: options.flag("ignore_case", false)?,
        whitespace: options.choice("whitespace", &whitespaces)?,
    }))
}

impl Scorer for Exact {
    fn score(&self, task: &Task, answer: &str) -> Verdict {
        let target = self.normalised(&task.target);
        let found = final_answer(answer).text;
        let whole = answer.trim();
        for candidate in [found, whole] {
            if self.normalised(candidate) == target {
                return Verdict::satisfied(candidate, "the answer is the target");
            }
        }
        let feedback = format!("the answer `{}` is not the target, compared character by character", quoted(found));
        Verdict::unsatisfied(Some(found.to_owned()), feedback)
    }

    fn check_target(&self, target: &str) -> Result<(), TargetError> {
        if self.normalised(target).is_empty() {
            return Err(TargetError("it is empty".to_owned()));
        }
        Ok(())
    }
}

impl Exact {
    fn normalised(&self, text: &str) -> String {
        let text = match self.whitespace {
            Whitespace::Trim => text.trim().to_owned(),
            Whitespace::Collapse => text.split_whitespace().collect::<Vec<_>>().join(" "),
            Whitespace::Ignore => text.split_whitespace().collect(),
        };
        if self.ignores_case { text.to_lowercase() } else { text }
    }
}
