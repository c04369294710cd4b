use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::{Either, select, select_all};
use greensand_app::{Sandbox, SandboxSettings};
use greensand_types::{CallStatus, Invocation, Tenant};

use super::report::{Asked, Measurement};
use super::{Bench, Mode, common, ended_with, microseconds, quantile, run_to};
use crate::failure::Failure;

/// Calls that the flooding tenant keeps under way.
const FLOOD: usize = 64;

/// How long a call works at least: so the queue is measured, and not how fast callers wake up.
const WORK: Duration = Duration::from_millis(1);

impl Bench<'_> {
    /// Measures how much slower one tenant's calls get when another floods the same workers.
    pub(super) fn neighbour(&self) -> Result<Measurement, Failure> {
        // Equal shares: of the workers each of the two may hold half.
        let workers = common::cores().max(2);
        let sandbox = self.sandbox_as(workers, Mode::Prepared, |settings| SandboxSettings {
            tenant_workers: workers / 2,
            ..settings
        })?;
        let steps = self.enough_work(&sandbox, WORK)?;
        let calls = self.effort.calls.div_ceil(4);
        let call = |tenant| self.work(&sandbox, tenant, steps);
        let quiet = || common::block_on(p99_of(calls, &sandbox, || call("neighbour")))?;
        let before = quiet()?;
        // Both call from one thread, as in a server: two would measure how the kernel shares cores between them.
        let flood = async || loop {
            if let Err(failure) = run_to(&sandbox, call("flood"), CallStatus::Ok).await {
                break failure;
            }
        };
        let flooded = common::block_on(async {
            let flood = select_all((0..FLOOD).map(|_| Box::pin(flood())));
            match select(flood, pin!(p99_of(calls, &sandbox, || call("neighbour")))).await {
                Either::Left(((failure, ..), _)) => Err(failure),
                Either::Right((p99, _)) => p99,
            }
        })??;
        Ok(self
            .named("neighbour.ratio", "neighbour of a flood, p99")
            .value(flooded / before.min(quiet()?), "times")
            .samples(calls)
            .covers("p99 of a tenant's calls of 1 ms beside another that keeps 64 such calls under way, each with half of the workers, to its quiet p99")
            .asked(Asked::AtMost(2.0)))
    }

    /// Finds out for how many steps a call works long enough.
    pub(super) fn enough_work(&self, sandbox: &Sandbox, enough: Duration) -> Result<u64, Failure> {
        let takes = |steps| {
            let started = Instant::now();
            ended_with(sandbox.invoke_blocking(self.work(sandbox, "neighbour", steps)), CallStatus::Ok)?;
            Ok::<_, Failure>(started.elapsed())
        };
        let mut steps = 1_000;
        // The first call compiles the function.
        takes(steps)?;
        while takes(steps)? < enough {
            steps = steps * 3 / 2;
        }
        Ok(steps)
    }

    pub(super) fn work(&self, sandbox: &Sandbox, tenant: &str, steps: u64) -> Invocation {
        let tenant: Tenant = tenant.parse().expect("the tenants of the measurement are named well");
        Invocation { tenant, ..self.call(sandbox, self.subject.work, &format!("[{steps}]")) }
    }
}

/// Returns the p99 of calls that are made one after the other, in microseconds.
async fn p99_of(calls: usize, sandbox: &Sandbox, call: impl Fn() -> Invocation) -> Result<f64, Failure> {
    let mut samples = Vec::with_capacity(calls);
    for _ in 0..calls {
        let started = Instant::now();
        run_to(sandbox, call(), CallStatus::Ok).await?;
        samples.push(microseconds(started.elapsed()));
    }
    Ok(quantile(&mut samples, 0.99))
}
