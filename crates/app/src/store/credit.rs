use std::fmt::Write;

use greensand_types::counted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of the form of `credit.json`.
pub const CREDIT_FORMAT: u32 = 1;

/// What each function of a set is worth: the set was measured without it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreditReport {
    /// The format of the file.
    pub format: u32,
    /// The set.
    pub set: String,
    /// The split that it was measured on.
    pub split: String,
    /// How many tasks that has.
    pub tasks: usize,
    /// The mean score of the whole set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The functions in the order of their names.
    pub functions: Vec<FunctionCredit>,
}

/// What a function is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionCredit {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The mean score with it, less that without it, on the tasks that have both; none, if no task has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<f64>,
    /// The standard error of the effect; none for fewer than two tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// `helps` or `harms`, where the effect is more than two standard errors off zero; else `unclear`.
    pub verdict: String,
    /// Tasks that have a score with it and without it.
    pub tasks: usize,
    /// Those that score higher with it.
    pub gained: usize,
    /// Those that score lower with it.
    pub lost: usize,
    /// Calls of it, under the whole set.
    pub calls: usize,
    /// About how many tokens its signature costs in a request that offers it.
    pub tokens_per_request: u64,
}

impl CreditReport {
    /// Returns it as lines for people.
    pub fn to_text(&self) -> String {
        let score = self.score.map_or_else(|| "no score".into(), |score| format!("{:.1} %", score * 100.0));
        let tasks = counted(self.tasks, "task");
        let split: String = self.split.chars().filter(|c| !c.is_control()).collect();
        let mut text =
            format!("credit: what leaving one function out costs, on {split} ({tasks}, the whole set {score})\n");
        for function in &self.functions {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {}", line(function));
        }
        if self.functions.is_empty() {
            text.push_str("  the set has no functions\n");
        }
        text
    }
}

fn line(function: &FunctionCredit) -> String {
    let name: String = function.name.chars().filter(|c| !c.is_control()).collect();
    let verdict: String = function.verdict.chars().filter(|c| !c.is_control()).collect();
    let effect = match (function.effect, function.standard_error) {
        (None, _) => "no task to compare".to_owned(),
        (Some(effect), None) => format!("{:+.1} points", effect * 100.0),
        (Some(effect), Some(error)) => format!("{:+.1} \u{b1} {:.1} points", effect * 100.0, error * 100.0),
    };
    format!(
        "{name} {effect}: {verdict} (better on {}, worse on {} of {}; {}; {} tokens in a request)",
        function.gained,
        function.lost,
        counted(function.tasks, "task"),
        counted(function.calls, "call"),
        function.tokens_per_request,
    )
}
