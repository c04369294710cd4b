use std::sync::{Arc, LazyLock};

use greensand_types::{Task, Verdict};
use regex::Regex;

use super::algebra::Budget;
use super::compare::{Rules, kind};
use super::expression::Expression;
use super::parse::parse;
use super::spelling::{formulas, squeezed};
use super::token::Reading;
use crate::scorer::entry::{Scorer, ScorerEntry, TargetError};
use crate::scorer::final_answer::final_answer;
use crate::scorer::options::{OptionEntry, Options, OptionsError, quoted};

pub(in crate::scorer) const ENTRY: ScorerEntry = ScorerEntry {
    name: "math",
    summary: "the final answer (`\\boxed{}`, or the last line) means the same as the target, whatever its spelling",
    options: &[OptionEntry {
        name: "units",
        summary: "\"optional\" (may be missing on one side, the default) or \"required\" (the same on both)",
    }],
    open,
};

/// Compares mathematical answers.
struct Math {
    units_are_optional: bool,
}

fn open(options: &Options<'_>) -> Result<Arc<dyn Scorer>, OptionsError> {
    let units_are_optional = options.choice("units", &[("optional", true), ("required", false)])?;
    Ok(Arc::new(Math { units_are_optional }))
}

impl Scorer for Math {
    fn score(&self, task: &Task, answer: &str) -> Verdict {
        let found = final_answer(answer);
        if found.text.is_empty() {
            return Verdict::unsatisfied(None, "the reply has no final answer");
        }
        let rules = self.rules(&task.question);
        let targets = readings(&task.target);
        let candidates = formulas(found);
        let right = candidates.iter().find(|candidate| is_right(&rules, &task.target, &targets, candidate));
        if let Some(right) = right {
            if repeats_question(task, &targets, right) {
                let feedback = format!(
                    "the answer `{}` repeats an expression of the question instead of evaluating it",
                    quoted(right)
                );
                return Verdict::unsatisfied(Some((*right).to_owned()), feedback);
            }
            return Verdict::satisfied(*right, "the answer means the same as the expected one");
        }
        let shown = candidates.last().copied().unwrap_or(found.text);
        Verdict::unsatisfied(Some(shown.to_owned()), feedback(shown, targets.first()))
    }

    fn check_target(&self, target: &str) -> Result<(), TargetError> {
        if squeezed(target).is_empty() {
            return Err(TargetError("it is empty".to_owned()));
        }
        Ok(())
    }
}

impl Math {
    fn rules(&self, question: &str) -> Rules {
        let asks = |pattern: &LazyLock<Regex>| pattern.is_match(question);
        static PERCENT: LazyLock<Regex> = LazyLock::new(|| word(r"(?i)percent|%"));
        static BASE: LazyLock<Regex> = LazyLock::new(|| word(r"(?i)\bbases?\b|binary|octal|hexadecimal|_\{?\d"));
        static FORM: LazyLock<Regex> =
            LazyLock::new(|| word(r"(?i)\b(factor(?:ed|ing|ize|ise|ization)?\b|expand(?:ed|ing)?\b|multiply out)"));
        Rules {
            budget: Budget::new(),
            units_are_optional: self.units_are_optional,
            asks_for_percent: asks(&PERCENT),
            asks_for_base: asks(&BASE),
            asks_for_form: asks(&FORM),
        }
    }
}

fn word(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a regular expression")
}

fn is_right(rules: &Rules, target: &str, targets: &[Expression], candidate: &str) -> bool {
    let is_same_text = squeezed(candidate) == squeezed(target);
    is_same_text || readings(candidate).iter().any(|answer| targets.iter().any(|target| rules.agree(target, answer)))
}

/// Reads a formula in every way that it may be meant, the likeliest first.
fn readings(formula: &str) -> Vec<Expression> {
    static GROUPS: LazyLock<Regex> = LazyLock::new(|| word(r"\d,\d"));
    static WORDS: LazyLock<Regex> = LazyLock::new(|| word(r"[A-Za-z]{2}"));
    let grouping: &[bool] = if GROUPS.is_match(formula) { &[true, false] } else { &[true] };
    let wording: &[bool] = if WORDS.is_match(formula) { &[false, true] } else { &[false] };
    let mut readings: Vec<Expression> = Vec::new();
    for &groups_digits in grouping {
        for &has_words in wording {
            if let Ok(expression) = parse(formula, Reading { groups_digits, has_words })
                && !readings.contains(&expression)
            {
                readings.push(expression);
            }
        }
    }
    readings
}

/// Says whether an answer is right only because it is what the question asked to work out.
fn repeats_question(task: &Task, targets: &[Expression], answer: &str) -> bool {
    let text = squeezed(answer);
    let (Some(target), Some(answer)) = (targets.first(), readings(answer).into_iter().next()) else { return false };
    answer.size() > target.size() && text.chars().count() >= 3 && squeezed(&task.question).contains(&text)
}

fn feedback(found: &str, target: Option<&Expression>) -> String {
    let shown = quoted(found);
    let Some(answer) = readings(found).into_iter().next() else {
        return format!("the final answer `{shown}` could not be read as a formula and is not the expected text");
    };
    match target.map(kind) {
        Some(expected) if expected != kind(&answer) => {
            format!("the final answer `{shown}` is {}, and {expected} was expected", kind(&answer))
        }
        _ => format!("the final answer `{shown}` is {} that is not the expected one", kind(&answer)),
    }
}
