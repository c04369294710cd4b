use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A difference of two means below this is rounding of the scores' sums, not an effect.
const ROUNDING: f64 = 1e-9;

/// From where to where a value may lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Numbers of independent tasks, summed up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    count: usize,
    mean: f64,
    /// The sum of squared deviations from the mean.
    squares: f64,
}

impl Sample {
    /// Sums numbers up; nothing when there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        // The second pass keeps the digits that a sum of squares would lose.
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let mean = if mean.abs() < ROUNDING { 0.0 } else { mean };
        Some(Self { count, mean, squares: if squares < ROUNDING * ROUNDING { 0.0 } else { squares } })
    }

    /// Returns how many tasks there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Returns the standard deviation of one task, by n - 1; nothing for a single task, which says nothing of it.
    pub fn deviation(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.squares / (self.count - 1) as f64).sqrt())
    }

    /// Returns the standard error of the mean; nothing for a single task.
    pub fn standard_error(&self) -> Option<f64> {
        self.deviation().map(|deviation| deviation / (self.count as f64).sqrt())
    }

    /// Returns where the true mean lies with a confidence, such as 0.95, by Student's t; nothing for a single task.
    pub fn interval(&self, confidence: f64) -> Option<Interval> {
        let reach = self.t_quantile(0.5 + confidence / 2.0)? * self.standard_error()?;
        Some(Interval { low: self.mean - reach, high: self.mean + reach })
    }

    /// Returns the number of standard errors that a mean exceeds 0 by with a probability of at most `level`, if it truly is 0.
    pub fn critical(&self, level: f64) -> Option<f64> {
        self.t_quantile(1.0 - level)
    }

    /// Returns the smallest true mean that would be told from 0 with a power, such as 0.8, at a one-sided level; nothing for a
    /// single task.
    ///
    /// The usual approximation: the sum of both quantiles, times the standard error.
    pub fn smallest_effect(&self, level: f64, power: f64) -> Option<f64> {
        Some((self.critical(level)? + self.t_quantile(power)?) * self.standard_error()?)
    }

    fn t_quantile(&self, probability: f64) -> Option<f64> {
        let freedom = self.count.checked_sub(1).filter(|freedom| *freedom > 0)?;
        let t = StudentsT::new(0.0, 1.0, freedom as f64).ok()?;
        Some(t.inverse_cdf(probability.clamp(1e-9, 1.0 - 1e-9)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 5e-4), "{found:?} {expected}");
    }

    /// The values are those of printed tables of Student's t.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (count, level, expected) in [(2, 0.05, 6.3138), (5, 0.05, 2.1318), (10, 0.025, 2.2622), (31, 0.05, 1.6973)]
        {
            let sample = Sample { count, mean: 0.0, squares: 1.0 };
            close(sample.critical(level), expected);
        }
    }

    #[test]
    fn mean_deviation_error_and_interval_have_their_closed_forms() {
        let sample = Sample::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!((sample.count(), sample.mean()), (5, 3.0));
        close(sample.deviation(), 2.5_f64.sqrt());
        close(sample.standard_error(), 0.5_f64.sqrt());
        let interval = sample.interval(0.95).unwrap();
        close(Some(interval.low), 3.0 - 2.7764 * 0.5_f64.sqrt());
        close(Some(interval.high), 3.0 + 2.7764 * 0.5_f64.sqrt());
        close(sample.smallest_effect(0.05, 0.8), (2.1318 + 0.9410) * 0.5_f64.sqrt());
    }

    #[test]
    fn one_task_says_nothing_of_its_error_and_none_nothing_at_all() {
        let one = Sample::of(&[1.0]).unwrap();
        assert_eq!((one.standard_error(), one.interval(0.95), one.critical(0.05)), (None, None, None));
        assert_eq!(Sample::of(&[]), None);
    }

    #[test]
    fn rounding_is_no_effect() {
        let sample = Sample::of(&[0.1 + 0.2 - 0.3, 0.3 - 0.1 - 0.2]).unwrap();
        assert_eq!((sample.mean(), sample.standard_error()), (0.0, Some(0.0)));
    }
}
