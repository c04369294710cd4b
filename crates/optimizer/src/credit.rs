//! What a function is worth: the scores of a set with it and without it, on the same tasks.

use crate::strategy::PairedScores;

/// By so many standard errors an effect must be off zero to be called one.
const STANDARD_ERRORS: f64 = 2.0;

/// What leaving a function out of its set does to the scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Credit {
    /// The mean score with it, less that without it, over the tasks that have both: above 0 it helps.
    pub effect: f64,
    /// The standard error of the effect, from the differences task by task; none for fewer than two tasks.
    pub standard_error: Option<f64>,
    /// Tasks that have both scores.
    pub tasks: usize,
    /// Those that score higher with it.
    pub gained: usize,
    /// Those that score lower with it.
    pub lost: usize,
    /// Tasks that lack a score with it or without it.
    pub missing: usize,
}

/// What a credit lets one say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreditVerdict {
    /// The set is better with it.
    Helps,
    /// The set is better without it.
    Harms,
    /// These tasks do not tell.
    Unclear,
}

impl CreditVerdict {
    /// Returns the word for the verdict.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Helps => "helps",
            Self::Harms => "harms",
            Self::Unclear => "unclear",
        }
    }
}

impl Credit {
    /// Compares the scores of a set with those of the set without one function, task by task; `None` is missing data.
    /// Returns nothing where no task has both.
    pub fn of(with: &[Option<f64>], without: &[Option<f64>]) -> Option<Self> {
        let paired = PairedScores::of(without, with);
        let tasks = paired.pairs().len();
        if tasks == 0 {
            return None;
        }
        Some(Self {
            effect: paired.mean_difference(),
            standard_error: paired.differences().and_then(|sample| sample.standard_error()),
            tasks,
            gained: paired.gained(),
            lost: paired.lost(),
            missing: paired.missing(),
        })
    }

    /// Returns what it lets one say.
    ///
    /// A set that is better or worse on a single task by chance has an effect of one standard error, so two are asked for.
    pub fn verdict(&self) -> CreditVerdict {
        let Some(error) = self.standard_error else { return CreditVerdict::Unclear };
        let bound = STANDARD_ERRORS * error;
        if self.effect > bound {
            CreditVerdict::Helps
        } else if self.effect < -bound {
            CreditVerdict::Harms
        } else {
            CreditVerdict::Unclear
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(with: &[f64], without: &[f64], effect: f64, error: Option<f64>, verdict: CreditVerdict) {
        let some = |scores: &[f64]| scores.iter().map(|score| (*score >= 0.0).then_some(*score)).collect::<Vec<_>>();
        let credit = Credit::of(&some(with), &some(without)).unwrap();
        let found = (credit.effect, credit.standard_error.map(|error| (error * 1e6).round() / 1e6), credit.verdict());
        assert_eq!(found, (effect, error, verdict), "{with:?} {without:?}");
    }

    #[test]
    fn the_effect_is_paired_and_its_error_that_of_the_differences() {
        use CreditVerdict::{Harms, Helps, Unclear};
        check(&[1.0, 1.0, 1.0, 1.0], &[0.0, 0.0, 0.0, 0.0], 1.0, Some(0.0), Helps);
        check(&[0.0, 0.0], &[1.0, 1.0], -1.0, Some(0.0), Harms);
        check(&[1.0, 0.0, 1.0], &[1.0, 0.0, 1.0], 0.0, Some(0.0), Unclear);
        // Differences 1, 0, 0, 0: mean 1/4, deviation 1/2, error 1/4.
        check(&[1.0, 1.0, 1.0, 1.0], &[0.0, 1.0, 1.0, 1.0], 0.25, Some(0.25), Unclear);
        check(&[1.0, 1.0, 1.0, 1.0], &[0.0, 0.0, 0.0, 1.0], 0.75, Some(0.25), Helps);
        check(&[1.0], &[0.0], 1.0, None, Unclear);
    }

    #[test]
    fn missing_scores_are_no_zeros() {
        check(&[1.0, -1.0, 1.0], &[0.0, 0.0, 0.0], 1.0, Some(0.0), CreditVerdict::Helps);
        assert_eq!(Credit::of(&[None, Some(1.0)], &[Some(1.0), None]), None);
        assert_eq!(Credit::of(&[], &[]), None);
    }
}
