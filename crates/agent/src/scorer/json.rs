//! JSON values: the same whatever their spelling, order of keys and white space.
//!
//! Numbers are compared as exact fractions, so `1`, `1.0` and `1e0` agree and integers of any size keep their digits.

use std::collections::BTreeMap;
use std::sync::Arc;

use greensand_types::{JsonKind, JsonText, Task, Verdict};
use num_rational::BigRational;
use num_traits::Signed;
use serde_json::value::RawValue;

use super::decimal::parse_decimal;
use super::entry::{Scorer, ScorerEntry, TargetError};
use super::final_answer::final_answer;
use super::options::{OptionEntry, Options, OptionsError, quoted};
use crate::fenced_block::fenced_blocks;

pub(super) const ENTRY: ScorerEntry = ScorerEntry {
    name: "json",
    summary: "the JSON value of the reply is the target's: key order, spacing and spelling do not matter",
    options: &[
        OptionEntry {
            name: "relative",
            summary: "the largest difference of two numbers as a fraction of the target's; 0 by default",
        },
        OptionEntry { name: "absolute", summary: "the largest difference of two numbers in any case; 0 by default" },
    ],
    open,
};

/// The deepest nesting that is compared.
const MAX_DEPTH: usize = 64;

/// Compares JSON values.
struct Json {
    relative: BigRational,
    absolute: BigRational,
}

fn open(options: &Options<'_>) -> Result<Arc<dyn Scorer>, OptionsError> {
    Ok(Arc::new(Json { relative: options.tolerance("relative")?, absolute: options.tolerance("absolute")? }))
}

impl Scorer for Json {
    fn score(&self, task: &Task, answer: &str) -> Verdict {
        let Ok(target) = JsonText::parse(&task.target) else {
            return Verdict::unsatisfied(None, "the target of this task is not JSON");
        };
        let Some(found) = json_of(answer) else {
            let found = final_answer(answer).text;
            let feedback = format!("the final answer `{}` is not JSON", quoted(found));
            return Verdict::unsatisfied(Some(found.to_owned()), feedback);
        };
        match self.difference(&found, &target, "$", 0) {
            None => Verdict::satisfied(found.get(), "the JSON value is right"),
            Some(why) => Verdict::unsatisfied(Some(found.get().to_owned()), why),
        }
    }

    fn check_target(&self, target: &str) -> Result<(), TargetError> {
        JsonText::parse(target).map(|_| ()).map_err(|error| TargetError(format!("it is {error}")))
    }
}

/// Finds the JSON value of a reply: the whole of it, its last fenced block, its final answer, or what begins with the
/// first bracket.
fn json_of(reply: &str) -> Option<JsonText> {
    let block = fenced_blocks(reply).pop().map(|block| block.code).unwrap_or_default();
    let from_bracket = |text: &'_ str| text.find(['{', '[']).map(|at| text[at..].to_owned());
    let candidates = [
        Some(reply.to_owned()),
        Some(block),
        Some(final_answer(reply).text.to_owned()),
        from_bracket(final_answer(reply).text),
        from_bracket(reply),
    ];
    candidates.into_iter().flatten().find_map(|text| first_value(&text))
}

/// Reads one value; closing words after an object or array do not matter.
fn first_value(text: &str) -> Option<JsonText> {
    let text = text.trim();
    if let Ok(value) = JsonText::parse(text) {
        return Some(value);
    }
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Box<RawValue>>();
    JsonText::parse(values.next()?.ok()?.get()).ok()
}

impl Json {
    /// Returns the first difference with its place, without telling the target's value there.
    fn difference(&self, found: &JsonText, target: &JsonText, place: &str, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH {
            return Some(format!("the value at `{}` is nested too deeply", quoted(place)));
        }
        let kind = target.kind();
        if found.kind() != kind {
            let (expected, found) = (kind.with_article(), found.kind().with_article());
            return Some(format!("expected {expected} at `{}`, found {found}", quoted(place)));
        }
        match kind {
            JsonKind::Null => None,
            JsonKind::Bool => (found != target).then(|| other_value(place)),
            JsonKind::Number => (!self.numbers_agree(found.get(), target.get())).then(|| other_value(place)),
            JsonKind::String => {
                let text = |json: &JsonText| serde_json::from_str::<String>(json.get()).ok();
                let is_same = found == target || (text(found).is_some() && text(found) == text(target));
                (!is_same).then(|| other_value(place))
            }
            JsonKind::Array => self.array_difference(found, target, place, depth),
            JsonKind::Object => self.object_difference(found, target, place, depth),
        }
    }

    fn array_difference(&self, found: &JsonText, target: &JsonText, place: &str, depth: usize) -> Option<String> {
        let items = |json: &JsonText| serde_json::from_str::<Vec<JsonText>>(json.get());
        let (Ok(found), Ok(target)) = (items(found), items(target)) else { return Some(other_value(place)) };
        if found.len() != target.len() {
            return Some(format!(
                "the array at `{}` has another length than was expected: {}",
                quoted(place),
                found.len()
            ));
        }
        let mut pairs = found.iter().zip(&target).enumerate();
        pairs.find_map(|(index, (found, target))| {
            self.difference(found, target, &format!("{place}[{index}]"), depth + 1)
        })
    }

    fn object_difference(&self, found: &JsonText, target: &JsonText, place: &str, depth: usize) -> Option<String> {
        let members = |json: &JsonText| serde_json::from_str::<BTreeMap<String, JsonText>>(json.get());
        let (Ok(found), Ok(target)) = (members(found), members(target)) else { return Some(other_value(place)) };
        if let Some(key) = found.keys().find(|key| !target.contains_key(*key)) {
            return Some(format!("the object at `{}` has an unexpected key `{}`", quoted(place), quoted(key)));
        }
        if found.len() != target.len() {
            return Some(format!("the object at `{}` lacks a key", quoted(place)));
        }
        let mut keys = found.iter();
        keys.find_map(|(key, value)| self.difference(value, target.get(key)?, &format!("{place}.{key}"), depth + 1))
    }

    fn numbers_agree(&self, found: &str, target: &str) -> bool {
        let number = |text: &str| match text.strip_prefix('-') {
            Some(digits) => parse_decimal(&digits.replace('+', "")).map(|number| -number),
            None => parse_decimal(&text.replace('+', "")),
        };
        match (number(found), number(target)) {
            (Some(found), Some(target)) => {
                let allowed = (&self.relative * target.abs()).max(self.absolute.clone());
                (found - target).abs() <= allowed
            }
            _ => found == target,
        }
    }
}

fn other_value(place: &str) -> String {
    format!("the value at `{}` is not the expected one", quoted(place))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests;
    use super::*;

    fn score(options: Value, target: &str, answer: &str) -> Verdict {
        tests::score("json", options, "", target, answer)
    }

    #[test]
    fn spelling_does_not_matter() {
        let target = r#"{"a": [1, 2.50, "x"], "b": null}"#;
        for answer in [
            r#"{"b":null,"a":[1.0,2.5,"\u0078"]}"#,
            "Here it is:\n```json\n{\"a\": [1, 2.5, \"x\"],\n \"b\": null}\n```\nDone.",
            r#"The answer is {"a": [1e0, 25e-1, "x"], "b": null}"#,
            r#"The value {"a": [1e+0, 25e-1, "x"], "b": null} is it"#,
        ] {
            assert!(score(json!({}), target, answer).is_satisfied, "{answer}");
        }
    }

    #[test]
    fn a_difference_is_told_with_its_place_but_without_the_target() {
        let target = r#"{"a": [1, 98765], "b": {"c": "secret"}}"#;
        for (answer, feedback) in [
            (r#"{"a": [1, 3], "b": {"c": "secret"}}"#, "the value at `$.a[1]` is not the expected one"),
            (r#"{"a": [1], "b": {"c": "secret"}}"#, "the array at `$.a` has another length than was expected: 1"),
            (r#"{"a": [1, 98765]}"#, "the object at `$` lacks a key"),
            (r#"{"a": [1, 98765], "b": {"c": 1}}"#, "expected a string at `$.b.c`, found a number"),
            (r#"{"a": [1, 98765], "b": {"d": "x"}}"#, "the object at `$.b` has an unexpected key `d`"),
            ("none", "the final answer `none` is not JSON"),
        ] {
            assert_eq!(score(json!({}), target, answer).feedback, feedback);
        }
    }

    #[test]
    fn numbers_are_exact_unless_a_tolerance_is_given() {
        assert!(score(json!({}), "12345678901234567890123", "12345678901234567890123.0").is_satisfied);
        assert!(!score(json!({}), "12345678901234567890123", "12345678901234567890124").is_satisfied);
        assert!(!score(json!({}), "1e400", "2e400").is_satisfied);
        assert!(score(json!({"absolute": 0.1}), "[1]", "[1.05]").is_satisfied);
        assert!(!score(json!({"relative": 0.01}), "[100]", "[102]").is_satisfied);
    }

    #[test]
    fn deep_nesting_is_a_wrong_answer() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(!score(json!({}), "[[1]]", &deep).is_satisfied);
        assert!(!score(json!({}), &deep, &deep).is_satisfied);
    }
}
