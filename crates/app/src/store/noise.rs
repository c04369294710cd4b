use std::fmt::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of the form of `noise.json`.
pub const NOISE_FORMAT: u32 = 1;

/// The most tasks that are listed for people.
const LISTED: usize = 20;

/// How much the scores of an unchanged set differ between two measurements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NoiseReport {
    /// The format of the file.
    pub format: u32,
    /// The set.
    pub set: String,
    /// The split.
    pub split: String,
    /// Tasks with a score in both measurements.
    pub tasks: usize,
    /// Tasks without one in either.
    pub missing: usize,
    /// Trials of each task in each measurement.
    pub repeats: u32,
    /// The mean score of the first measurement.
    pub first: f64,
    /// The mean score of the second.
    pub second: f64,
    /// The second, less the first.
    pub difference: f64,
    /// The standard error of the difference over tasks; none for a single task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// The strategy that decides on this project; none in older files.
    #[serde(default)]
    pub acceptance: String,
    /// How often one look of a comparison may take chance for an effect: `training.false_accepts`, shared among the looks that
    /// `training.max_trials` allows.
    pub level: f64,
    /// How surely an effect of the smallest size would be found.
    pub power: f64,
    /// So many tasks must differ, all for the better, before that can be rarer by chance than the level; 0 in older files.
    #[serde(default)]
    pub least_tasks: usize,
    /// The smallest effects that a comparison on these tasks would find, by trials; none where they are too few to show any.
    pub smallest_effects: Vec<SmallestEffect>,
    /// Tasks whose score changed though nothing else did.
    pub changed: Vec<NoiseTask>,
}

/// The smallest effect that a comparison with so many trials of each task would find.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SmallestEffect {
    /// Trials of each task.
    pub repeats: u32,
    /// The difference of the mean scores.
    pub effect: f64,
}

/// A task whose score changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NoiseTask {
    /// The task.
    pub task: String,
    /// Its score in the first measurement.
    pub first: f64,
    /// Its score in the second.
    pub second: f64,
}

impl NoiseReport {
    /// Writes the report for people.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let percent = |score: f64| format!("{:.1} %", score * 100.0);
        let Self { split, tasks, .. } = self;
        writeln!(out, "the same set, measured twice on {tasks} tasks of {split}")?;
        writeln!(out, "  first   {}", percent(self.first))?;
        writeln!(out, "  second  {}", percent(self.second))?;
        let error = self.standard_error.map(|error| format!(" ± {:.1}", error * 100.0)).unwrap_or_default();
        writeln!(
            out,
            "  difference {:+.1}{error} points; {} tasks changed",
            self.difference * 100.0,
            self.changed.len()
        )?;
        if self.missing > 0 {
            writeln!(out, "  {} tasks lack a score, and count nowhere", self.missing)?;
        }
        self.write_effects(out)?;
        if !self.changed.is_empty() {
            writeln!(out, "\ntasks that changed though nothing else did")?;
        }
        for NoiseTask { task, first, second } in self.changed.iter().take(LISTED) {
            let task: String = task.chars().take(60).flat_map(char::escape_debug).collect();
            writeln!(out, "  {task}  {first:.2} -> {second:.2}")?;
        }
        if self.changed.len() > LISTED {
            writeln!(out, "  and {} more; `--json` has them", self.changed.len() - LISTED)?;
        }
        Ok(())
    }

    fn write_effects(&self, out: &mut String) -> std::fmt::Result {
        let (level, power) = (self.level * 100.0, self.power * 100.0);
        if self.smallest_effects.is_empty() {
            let Self { tasks, least_tasks, .. } = self;
            writeln!(out, "\n{tasks} tasks can show no improvement: {least_tasks} must get better, and none worse,")?;
            return writeln!(out, "before that is rarer than {level:.1} % by chance; add tasks");
        }
        writeln!(out, "\nthe smallest improvement that `significant` would find on these tasks")?;
        writeln!(out, "(about; in at least {power:.0} % of cases, with {level:.1} % of false accepts at each look)")?;
        for SmallestEffect { repeats, effect } in &self.smallest_effects {
            let trials = if *repeats == 1 { "trial of each task" } else { "trials of each task" };
            writeln!(out, "  {:>5.1} points with {repeats} {trials}", effect * 100.0)?;
        }
        if self.acceptance == "greedy" {
            writeln!(out, "this project accepts by `greedy`: whatever is higher, be it chance")?;
        }
        Ok(())
    }
}
