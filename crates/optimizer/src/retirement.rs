//! Which functions are proposed for removal. Nothing is ever removed by this: the optimizer model is shown the numbers, and
//! a set changes by actions only.
//!
//! A function is *unused* after so many epochs in which a set with it was measured without a call of it, and *harmful* when
//! conversations that call it solve the same tasks clearly less often than those that do not. "Clearly" is by more than two
//! standard errors of the paired differences, over at least [`LEAST_TASKS`] tasks.

use crate::evidence::{Evidence, Share};
use crate::statistics::Sample;

/// A difference on fewer tasks than this says nothing.
const LEAST_TASKS: usize = 5;

/// By so many standard errors a difference must be off zero.
const STANDARD_ERRORS: f64 = 2.0;

/// Why a function might go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Retirement {
    /// It costs tokens and is not called.
    Unused {
        /// In so many epochs.
        epochs: u32,
    },
    /// The same tasks are solved more often without it.
    Harmful {
        /// Conversations that call it.
        with: Share,
        /// Those about the same tasks that do not.
        without: Share,
        /// The mean difference of the solved shares, task by task.
        difference: f64,
        /// Its standard error.
        standard_error: f64,
    },
}

/// Returns why a function might go; `after` is how many idle epochs it takes, and 0 asks for none.
pub fn retirement(evidence: &Evidence, after: u32) -> Option<Retirement> {
    if after > 0 && evidence.idle_epochs >= after {
        return Some(Retirement::Unused { epochs: evidence.idle_epochs });
    }
    if evidence.differences.len() < LEAST_TASKS {
        return None;
    }
    let sample = Sample::of(&evidence.differences)?;
    let (difference, standard_error) = (sample.mean(), sample.standard_error()?);
    (difference < -STANDARD_ERRORS * standard_error).then_some(Retirement::Harmful {
        with: evidence.used,
        without: evidence.without,
        difference,
        standard_error,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use greensand_types::ContentId;

    use super::*;

    fn evidence(idle_epochs: u32, differences: &[f64]) -> Evidence {
        Evidence {
            name: "f".parse().unwrap(),
            id: ContentId::of("f").finish(),
            calls: 0,
            successes: 0,
            errors: BTreeMap::new(),
            refused: 0,
            tasks_used: 0,
            tasks_solved: 0,
            used: Share::default(),
            without: Share::default(),
            held: Share::default(),
            differences: differences.to_vec(),
            mean_wall: None,
            last_use: None,
            idle_epochs,
            signature_tokens: 0,
            examples: 1,
        }
    }

    #[track_caller]
    fn check(idle: u32, after: u32, differences: &[f64], expected: &str) {
        let found = match retirement(&evidence(idle, differences), after) {
            None => "stays",
            Some(Retirement::Unused { .. }) => "unused",
            Some(Retirement::Harmful { .. }) => "harmful",
        };
        assert_eq!(found, expected, "{idle} {after} {differences:?}");
    }

    #[test]
    fn idle_epochs_are_counted_against_the_setting() {
        check(2, 3, &[], "stays");
        check(3, 3, &[], "unused");
        check(9, 0, &[], "stays");
    }

    #[test]
    fn harm_takes_enough_tasks_and_a_clear_difference() {
        check(0, 3, &[-1.0; 4], "stays");
        check(0, 3, &[-1.0; 5], "harmful");
        check(0, 3, &[0.0; 50], "stays");
        check(0, 3, &[1.0; 5], "stays");
        // The mean is -0.4, its standard error 0.245: not more than two of them.
        check(0, 3, &[-1.0, -1.0, 0.0, 0.0, 0.0], "stays");
        check(0, 3, &[-1.0, -1.0, -1.0, -1.0, 0.0], "harmful");
        check(0, 3, &[-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0], "stays");
    }
}
