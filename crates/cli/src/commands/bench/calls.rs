use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::try_join_all;
use greensand_app::Sandbox;
use greensand_types::{CallStatus, Invocation};

use super::report::{Asked, Measurement};
use super::{Bench, Mode, common, ended_with, microseconds, milliseconds, quantile, run_to};
use crate::failure::Failure;

const ARGUMENTS: &str = "[20, 22]";

/// Calls that are kept under way for each worker while calls are counted.
const UNDER_WAY: usize = 8;

/// How long the calls work of which the ratio of threads is taken.
const WORK: Duration = Duration::from_micros(100);

impl Bench<'_> {
    /// Measures single calls one after the other.
    pub(super) fn calls(&self) -> Result<Vec<Measurement>, Failure> {
        let asked = &self.subject.asked;
        let mut prepared = self.latencies(Mode::Prepared, self.effort.calls)?;
        let mut fresh = self.latencies(Mode::Fresh, self.effort.calls.div_ceil(4))?;
        let mut from_source = self.latencies(Mode::FromSource, self.effort.calls.div_ceil(4))?;
        let [prepared_p50, prepared_p99] = [0.5, 0.99].map(|share| quantile(&mut prepared, share));
        let fresh_p50 = quantile(&mut fresh, 0.5);
        let [source_p50, source_p99] = [0.5, 0.99].map(|share| quantile(&mut from_source, share));
        let row = |key: &str, name: &str, value, samples: &Vec<f64>| {
            self.named(key, name).value(value, "us").samples(samples.len())
        };
        let mut rows = vec![
            row("prepared.p50", "prepared call, p50", prepared_p50, &prepared)
                .covers("f(a, b) by a caller that blocks, compiled before, in a restored instance: JSON in and out, limits on")
                .asked(asked.prepared_p50),
            row("prepared.p99", "prepared call, p99", prepared_p99, &prepared)
                .covers("the same; at most 4 times p50")
                .asked(Asked::AtMost(4.0 * prepared_p50)),
            row("fresh.p50", "prepared call, fresh, p50", fresh_p50, &fresh).covers("the same, each in a new instance"),
        ];
        // What is built is kept, however its instances come about: see `source_to_callable`.
        if !self.is_built {
            rows.push(
                row("from_source.p50", "call from source, p50", source_p50, &from_source)
                    .covers("compiled in each call, in a fresh instance")
                    .asked(asked.from_source_p50),
            );
            rows.push(row("from_source.p99", "call from source, p99", source_p99, &from_source).covers("the same"));
        }
        Ok(rows)
    }

    /// Measures how many calls one thread makes, how many several do, and their ratio.
    pub(super) fn rates(&self) -> Result<Vec<Measurement>, Failure> {
        let threads = self.threads;
        let sum = |sandbox: &Sandbox| self.call(sandbox, self.subject.sum, ARGUMENTS);
        let (one_calls, one) = self.rate(1, sum)?;
        let (several_calls, several) = self.rate(threads, sum)?;
        // The shortest calls cost their caller as much as their worker, and all of them share the cores.
        let steps = self.enough_work(&self.sandbox(1, Mode::Prepared)?, WORK)?;
        let work = |sandbox: &Sandbox| self.work(sandbox, "bench", steps);
        let (worked, several_work) = (self.rate(1, work)?, self.rate(threads, work)?);
        #[expect(clippy::cast_precision_loss, reason = "a number of threads")]
        let asked = Asked::AtLeast(0.85 * threads as f64);
        let ratio = self
            .named("calls_per_second.ratio", format!("{threads} threads to one"))
            .value(several_work.1 / worked.1, "times");
        Ok(vec![
            self.named("calls_per_second.one", "calls, 1 thread")
                .value(one, "calls/s")
                .samples(one_calls)
                .covers("prepared, one worker, 8 calls under way"),
            self.named("calls_per_second.all", format!("calls, {threads} threads"))
                .value(several, "calls/s")
                .samples(several_calls)
                .covers("the same for each worker; one more thread calls, on the same cores"),
            // With one thread there is nothing to compare.
            ratio
                .samples(worked.0 + several_work.0)
                .covers("calls that work for 0.1 ms, so that their caller does not count")
                .asked((threads > 1).then_some(asked)),
        ])
    }

    /// Measures how long a source takes that was never seen before, until it has answered its first call.
    pub(super) fn source_to_callable(&self) -> Result<Measurement, Failure> {
        let sandbox = self.sandbox(1, Mode::Prepared)?;
        let until = Instant::now() + self.effort.compile_for;
        // What is built stays in the cache: no source may be that of an earlier run.
        let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let mut samples = Vec::new();
        while samples.len() < self.effort.compiles && (samples.len() < 3 || Instant::now() < until) {
            let source = format!("{}{} {run} {}\n", self.subject.sum, self.subject.comment, samples.len() + 1);
            let call = self.call(&sandbox, &source, ARGUMENTS);
            let started = Instant::now();
            let outcome = sandbox.invoke_blocking(call);
            samples.push(milliseconds(started.elapsed()));
            ended_with(outcome, CallStatus::Ok)?;
        }
        Ok(self
            .named("source_to_callable.p50", "source to callable, p50")
            .value(quantile(&mut samples, 0.5), "ms")
            .samples(samples.len())
            .covers("check and compile a source that is new, and call it once")
            .asked(self.subject.asked.source_to_callable))
    }

    /// Returns what calls take that are made one after the other, in microseconds.
    fn latencies(&self, mode: Mode, calls: usize) -> Result<Vec<f64>, Failure> {
        let sandbox = self.sandbox(1, mode)?;
        self.call_for(&sandbox, calls.div_ceil(10))?;
        self.call_for(&sandbox, calls)
    }

    fn call_for(&self, sandbox: &Sandbox, calls: usize) -> Result<Vec<f64>, Failure> {
        let mut samples = Vec::with_capacity(calls);
        // What is built takes a while in each call: enough is enough.
        let until = Instant::now() + Duration::from_secs(1).max(self.effort.count_for * 4);
        while samples.len() < calls && (samples.len() < 3 || Instant::now() < until) {
            let call = self.call(sandbox, self.subject.sum, ARGUMENTS);
            let started = Instant::now();
            let outcome = sandbox.invoke_blocking(call);
            samples.push(microseconds(started.elapsed()));
            ended_with(outcome, CallStatus::Ok)?;
        }
        Ok(samples)
    }

    /// Returns how many calls so many workers made, and how many that is in a second.
    fn rate(&self, workers: usize, call: impl Fn(&Sandbox) -> Invocation) -> Result<(usize, f64), Failure> {
        let sandbox = self.sandbox(workers, Mode::Prepared)?;
        self.call_for(&sandbox, 20 * workers)?;
        let started = Instant::now();
        let until = started + self.effort.count_for;
        let one_after_the_other = async || {
            let mut calls = 0_u32;
            while Instant::now() < until {
                run_to(&sandbox, call(&sandbox), CallStatus::Ok).await?;
                calls += 1;
            }
            Ok::<_, Failure>(calls)
        };
        // Several under way: so no worker waits for the caller to wake up.
        let calls = common::block_on(try_join_all((0..UNDER_WAY * workers).map(|_| one_after_the_other())))??;
        let calls = calls.into_iter().sum::<u32>();
        Ok((usize::try_from(calls).unwrap_or(usize::MAX), f64::from(calls) / started.elapsed().as_secs_f64()))
    }
}
