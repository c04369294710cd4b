use std::pin::pin;
use std::time::Instant;

use futures::future::{Either, select, select_all};
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
        let flooded = self.flooded_p99(&sandbox, calls)?;
        Ok(self
            .named("neighbour.ratio", "neighbour of a flood, p99")
            .value(flooded / quiet, "times")
            .samples(calls)
            .covers("p99 of a tenant while another keeps 64 of the same calls under way, to its quiet p99")
            .asked(Asked::AtMost(2.0)))
    }

    fn neighbour_p99(&self, sandbox: &Sandbox, calls: usize) -> Result<f64, Failure> {
        common::block_on(self.p99_of_neighbour(sandbox, calls))?
    }

    async fn p99_of_neighbour(&self, sandbox: &Sandbox, calls: usize) -> Result<f64, Failure> {
        let mut samples = Vec::with_capacity(calls);
        for _ in 0..calls {
            let started = Instant::now();
            run_to(sandbox, self.call_of(sandbox, "neighbour"), CallStatus::Ok).await?;
            samples.push(microseconds(started.elapsed()));
        }
        Ok(quantile(&mut samples, 0.99))
    }

    /// Both tenants call from one thread, as in a server: two would measure how the kernel shares cores between them.
    fn flooded_p99(&self, sandbox: &Sandbox, calls: usize) -> Result<f64, Failure> {
        let flood = async || loop {
            if let Err(failure) = run_to(sandbox, self.call_of(sandbox, "flood"), CallStatus::Ok).await {
                break failure;
            }
        };
        common::block_on(async {
            let flood = select_all((0..FLOOD).map(|_| Box::pin(flood())));
            match select(flood, pin!(self.p99_of_neighbour(sandbox, calls))).await {
                Either::Left(((failure, ..), _)) => Err(failure),
                Either::Right((p99, _)) => p99,
            }
        })?
    }

    fn call_of(&self, sandbox: &Sandbox, tenant: &str) -> Invocation {
        let tenant: Tenant = tenant.parse().expect("the tenants of the measurement are named well");
        Invocation { tenant, ..self.call(sandbox, self.subject.sum, "[20, 22]") }
    }
}
