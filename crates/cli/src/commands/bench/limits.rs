use std::time::{Duration, Instant};

use greensand_types::CallStatus;

use super::report::{Asked, Measurement};
use super::{Bench, Mode, common, milliseconds, quantile, run_to};
use crate::failure::Failure;

/// The wall clock of the calls that run into it.
const WALL: Duration = Duration::from_millis(40);

impl Bench<'_> {
    /// Measures how long after its wall clock a call is answered, stuck in several places.
    pub(super) fn overshoot(&self) -> Result<Vec<Measurement>, Failure> {
        let sandbox = self.sandbox(1, Mode::Prepared)?;
        let stalls = self.subject.stalls;
        // Where functions are built, the build has a wall clock of its own, and is not measured here.
        for stall in stalls {
            let call = self.call_within(&sandbox, stall, "[]", Duration::from_millis(500));
            common::block_on(run_to(&sandbox, call, CallStatus::Timeout))??;
        }
        let mut samples = Vec::new();
        for stall in stalls.iter().cycle().take(self.effort.stalls) {
            let call = self.call_within(&sandbox, stall, "[]", WALL);
            let started = Instant::now();
            common::block_on(run_to(&sandbox, call, CallStatus::Timeout))??;
            // A sleep that would outlast the wall clock ends before it.
            samples.push(milliseconds(started.elapsed().saturating_sub(WALL)));
        }
        let [p50, p99] = [0.5, 0.99].map(|share| quantile(&mut samples, share));
        let row = |key: &str, name: &str, value| self.named(key, name).value(value, "ms").samples(samples.len());
        Ok(vec![
            row("limit_overshoot.p50", "late after the limit, p50", p50)
                .covers("a wall clock of 40 ms: loops, long built-ins, regular expressions, as the language has them"),
            row("limit_overshoot.p99", "late after the limit, p99", p99).covers("the same").asked(Asked::AtMost(25.0)),
        ])
    }
}
