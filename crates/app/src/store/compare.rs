use std::fmt::Write;

use greensand_types::counted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::records::ComparisonRecord;
use crate::spend::Money;

/// The number of the form of `compare.json`.
pub const COMPARE_FORMAT: u32 = 1;

/// Four ways to use the same model, on the same tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompareReport {
    /// The format of the file.
    pub format: u32,
    /// The split that all are compared on.
    pub split: String,
    /// Whether nothing was decided on these tasks; if not, every way that learned is flattered.
    pub is_held_out: bool,
    /// How many tasks it has.
    pub tasks: usize,
    /// The replies of both models that learning functions took; what each other way may take.
    pub budget_replies: u64,
    /// The ways; the first is the model alone.
    pub arms: Vec<ArmReport>,
}

/// One way to use the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArmReport {
    /// `no_functions`, `self_consistency`, `prompt_only` or `functions`.
    pub name: String,
    /// What it is, for people.
    pub what: String,
    /// The mean score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Its standard error over tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// How it compares with the first way, task by task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_no_functions: Option<ComparisonRecord>,
    /// Replies of both models that it took to learn, kept ones included.
    pub learning_replies: u64,
    /// Their tokens.
    pub learning_tokens: u64,
    /// Their price in billionths of a dollar, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_nano_usd: Option<u64>,
    /// Replies that the tasks took, all together.
    pub using_replies: u64,
    /// Their tokens.
    pub using_tokens: u64,
    /// Their price in billionths of a dollar, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using_nano_usd: Option<u64>,
}

impl CompareReport {
    /// Writes the report for people.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "{} of {}, each way for at most {} replies of learning",
            counted(self.tasks, "task"),
            self.split,
            self.budget_replies
        )?;
        if !self.is_held_out {
            writeln!(out, "there is no test split: what was learned was chosen on these tasks, and is flattered")?;
        }
        writeln!(
            out,
            "\n  {:<18} {:>16}  {:>34}  {:>10}  {:>10}  {:>10}",
            "", "score", "to the model alone (95 %)", "learning", "using", "cost"
        )?;
        for arm in &self.arms {
            let error = arm.standard_error.map(|error| format!(" ± {:.1}", error * 100.0)).unwrap_or_default();
            let score = arm.score.map_or_else(|| "no score".into(), |score| format!("{:.1} %{error}", score * 100.0));
            let difference = arm.to_no_functions.as_ref().map(difference).unwrap_or_default();
            let money = arm.learning_nano_usd.zip(arm.using_nano_usd);
            let cost = money.map_or_else(
                || "unknown".into(),
                |(one, two)| Money::of_nano_dollars(one.saturating_add(two)).to_string(),
            );
            writeln!(
                out,
                "  {:<18} {score:>16}  {difference:>34}  {:>10}  {:>10}  {cost:>10}",
                arm.name, arm.learning_replies, arm.using_replies
            )?;
        }
        writeln!(
            out,
            "\nlearning and using are replies of models; what a model said before, word by word, is counted and not paid again"
        )?;
        for arm in &self.arms {
            writeln!(out, "  {:<18} {}", arm.name, arm.what)?;
        }
        Ok(())
    }
}

fn difference(comparison: &ComparisonRecord) -> String {
    let interval = comparison.interval.map(|[low, high]| format!(" ({:+.1} to {:+.1})", low * 100.0, high * 100.0));
    format!("{:+.1} points{}", comparison.difference * 100.0, interval.unwrap_or_default())
}
