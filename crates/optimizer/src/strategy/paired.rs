use crate::statistics::Sample;

/// The confidence of the intervals that are told.
const CONFIDENCE: f64 = 0.95;

/// The scores of the best set and of a candidate on the same tasks, without the tasks where either is missing.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedScores {
    pairs: Vec<(f64, f64)>,
    missing: usize,
}

impl PairedScores {
    /// Pairs the scores of two measurements of the same tasks in the same order; `None` is missing data.
    pub fn of(best: &[Option<f64>], candidate: &[Option<f64>]) -> Self {
        let tasks = best.len().max(candidate.len());
        let pairs: Vec<(f64, f64)> =
            best.iter().zip(candidate).filter_map(|(best, candidate)| Some(((*best)?, (*candidate)?))).collect();
        Self { missing: tasks - pairs.len(), pairs }
    }

    /// Returns the scores of best set and candidate, task by task.
    pub fn pairs(&self) -> &[(f64, f64)] {
        &self.pairs
    }

    /// Returns how many tasks lack a score under either set.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Returns the part of the tasks that lack a score, from 0 to 1; 1 when there are no tasks.
    pub fn missing_share(&self) -> f64 {
        let tasks = self.pairs.len() + self.missing;
        if tasks == 0 { 1.0 } else { self.missing as f64 / tasks as f64 }
    }

    /// Returns the mean of the best set, 0 without pairs.
    pub fn best_mean(&self) -> f64 {
        self.mean(|(best, _)| *best)
    }

    /// Returns the mean of the candidate, 0 without pairs.
    pub fn candidate_mean(&self) -> f64 {
        self.mean(|(_, candidate)| *candidate)
    }

    /// Returns the mean of the differences, candidate minus best; what is only rounding is 0.
    pub fn mean_difference(&self) -> f64 {
        self.differences().map_or(0.0, |sample| sample.mean())
    }

    /// Returns the differences, candidate minus best, task by task; nothing without pairs.
    pub fn differences(&self) -> Option<Sample> {
        let differences: Vec<f64> = self.pairs.iter().map(|(best, candidate)| candidate - best).collect();
        Sample::of(&differences)
    }

    /// Says the difference with its standard error, its interval, and on how many tasks it is which way.
    pub fn describe(&self) -> String {
        let Some(sample) = self.differences() else { return "no task has both scores".to_owned() };
        let error = sample.standard_error().map(|error| format!(" ± {error:.4}")).unwrap_or_default();
        let interval = sample
            .interval(CONFIDENCE)
            .map(|interval| format!("95 % interval {:+.4} to {:+.4}, ", interval.low, interval.high));
        format!(
            "{:.4} against {:.4}, difference {:+.4}{error} ({}{} tasks, better on {}, worse on {})",
            self.candidate_mean(),
            self.best_mean(),
            sample.mean(),
            interval.unwrap_or_default(),
            self.pairs.len(),
            self.gained(),
            self.lost(),
        )
    }

    /// Returns on how many tasks the candidate scores higher.
    pub fn gained(&self) -> usize {
        self.pairs.iter().filter(|(best, candidate)| candidate > best).count()
    }

    /// Returns on how many tasks the candidate scores lower.
    pub fn lost(&self) -> usize {
        self.pairs.iter().filter(|(best, candidate)| candidate < best).count()
    }

    fn mean(&self, of: impl Fn(&(f64, f64)) -> f64) -> f64 {
        if self.pairs.is_empty() { 0.0 } else { self.pairs.iter().map(of).sum::<f64>() / self.pairs.len() as f64 }
    }
}
