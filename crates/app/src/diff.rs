//! What two function sets differ in: functions that came, went or changed, with their sources line by line.

use std::collections::BTreeMap;
use std::time::Duration;

use greensand_types::FunctionDraft;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::TextDiff;

use crate::store::StoredSet;

/// How long the smallest difference of two files is looked for. A larger one is told of long files that have little in common.
const LOOKING: Duration = Duration::from_millis(300);

/// What two sets differ in, in the order of the names. Functions that are alike are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetDiff {
    /// The functions that differ.
    pub functions: Vec<FunctionDiff>,
    /// How many are alike.
    pub unchanged: usize,
}

/// What a function differs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionDiff {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub change: Change,
    /// The differences as a unified diff of its files; empty if both sets have the same.
    pub text: String,
}

/// What became of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only the second set has it.
    Added,
    /// Only the first set has it.
    Removed,
    /// Both have it, and it differs.
    Revised,
}

/// Compares two sets.
pub fn diff_sets(one: &StoredSet, other: &StoredSet) -> SetDiff {
    let mut names: BTreeMap<&str, [Option<&FunctionDraft>; 2]> = BTreeMap::new();
    for (side, set) in [one, other].into_iter().enumerate() {
        for draft in &set.functions {
            names.entry(draft.signature.name().as_str()).or_default()[side] = Some(draft);
        }
    }
    let mut diff = SetDiff { functions: Vec::new(), unchanged: 0 };
    for (name, sides) in names {
        let change = match sides {
            [Some(before), Some(after)] if before.content_id() == after.content_id() => {
                diff.unchanged += 1;
                continue;
            }
            [Some(_), Some(_)] => Change::Revised,
            [None, _] => Change::Added,
            [_, None] => Change::Removed,
        };
        diff.functions.push(FunctionDiff { name: name.to_owned(), change, text: text(name, sides) });
    }
    diff
}

fn text(name: &str, sides: [Option<&FunctionDraft>; 2]) -> String {
    let [signatures, sources] =
        [signature_text, source_text].map(|text| sides.map(|side| side.map(text).unwrap_or_default()));
    let language = sides.iter().flatten().next().map(|draft| &draft.language);
    let extension = language.and_then(crate::paths::guest).and_then(|guest| guest.extensions.first()).unwrap_or(&"txt");
    unified(&format!("{name}.json"), &signatures) + &unified(&format!("{name}.{extension}"), &sources)
}

fn unified(file: &str, [before, after]: &[String; 2]) -> String {
    if before == after {
        return String::new();
    }
    let diff = TextDiff::configure().timeout(LOOKING).diff_lines(before.as_str(), after.as_str());
    let mut unified = diff.unified_diff();
    unified.context_radius(3).header(&format!("a/{file}"), &format!("b/{file}")).to_string()
}

fn source_text(draft: &FunctionDraft) -> String {
    format!("{}\n", draft.source.trim_end_matches('\n'))
}

fn signature_text(draft: &FunctionDraft) -> String {
    let examples: Vec<String> = draft
        .examples
        .iter()
        .map(|example| format!("example: {} -> {}\n", example.arguments, example.result))
        .collect();
    let parameters = serde_json::Value::from(draft.signature.parameters().clone());
    format!(
        "description: {}\nparameters: {parameters:#}\npackages: {}\nlanguage: {}\n{}",
        draft.signature.description(),
        draft.packages.join(", "),
        draft.language,
        examples.concat()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn long_files_that_have_nothing_in_common_are_compared_in_bounded_time() {
        let lines = |from: u32| (from..from + 100_000).map(|line| format!("{line}\n")).collect::<String>();
        let begun = Instant::now();
        let diff = unified("f.py", &[lines(0), lines(1_000_000)]);
        assert!(begun.elapsed() < 20 * LOOKING, "{:?}", begun.elapsed());
        assert!(diff.contains("\n-99999\n") && diff.contains("\n+1099999\n"), "a line is lost");
    }
}
