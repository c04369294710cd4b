use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use greensand_app::Sandbox;
use greensand_types::{CallStatus, Invocation, Tenant};

use super::report::{Asked, Measurement};
use super::{Bench, Mode, common, microseconds, quantile, run_to};
use crate::failure::Failure;

/// Calls that the flooding tenant keeps under way.
const FLOOD: usize = 64;

impl Bench<'_> {
    /// Measures how much slower one tenant's calls get when another floods the same workers.
    pub(super) fn neighbour(&self) -> Result<Measurement, Failure> {
        // One core is left to those who call.
        let sandbox = self.sandbox(common::cores().saturating_sub(1).max(1), Mode::Prepared)?;
        let calls = self.effort.calls / 2;
        self.neighbour_p99(&sandbox, calls.div_ceil(10))?;
        let quiet = self.neighbour_p99(&sandbox, calls)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let flooded = thread::scope(|scope| {
            let flood = scope.spawn(|| self.flood(&sandbox, &is_over));
            let p99 = self.neighbour_p99(&sandbox, calls);
            is_over.store(true, Ordering::Relaxed);
            flood.join().unwrap_or_else(|_| Err(Failure::bug("the flooding caller panicked")))?;
            p99
        })?;
        Ok(self
            .named("neighbour.ratio", "neighbour of a flood, p99")
            .value(flooded / quiet, "times")
            .samples(calls)
            .covers("p99 of a tenant while another keeps 64 of the same calls under way, to its quiet p99")
            .asked(Asked::AtMost(2.0)))
    }

    fn neighbour_p99(&self, sandbox: &Sandbox, calls: usize) -> Result<f64, Failure> {
        common::block_on(async {
            let mut samples = Vec::with_capacity(calls);
            for _ in 0..calls {
                let started = Instant::now();
                run_to(sandbox, self.call_of(sandbox, "neighbour"), CallStatus::Ok).await?;
                samples.push(microseconds(started.elapsed()));
            }
            Ok(quantile(&mut samples, 0.99))
        })?
    }

    fn flood(&self, sandbox: &Sandbox, is_over: &Arc<AtomicBool>) -> Result<(), Failure> {
        common::block_on(async {
            let mut callers = tokio::task::JoinSet::<Result<(), Failure>>::new();
            for _ in 0..FLOOD {
                let (sandbox, is_over, call) = (sandbox.clone(), is_over.clone(), self.call_of(sandbox, "flood"));
                callers.spawn(async move {
                    while !is_over.load(Ordering::Relaxed) {
                        run_to(&sandbox, call.clone(), CallStatus::Ok).await?;
                    }
                    Ok(())
                });
            }
            while let Some(caller) = callers.join_next().await {
                caller.map_err(|error| Failure::bug(error.to_string()))??;
            }
            Ok(())
        })?
    }

    fn call_of(&self, sandbox: &Sandbox, tenant: &str) -> Invocation {
        let tenant: Tenant = tenant.parse().expect("the tenants of the measurement are named well");
        Invocation { tenant, ..self.call(sandbox, self.subject.sum, "[20, 22]") }
    }
}
