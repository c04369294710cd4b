use std::thread;
use std::time::{Duration, Instant};

use greensand_app::Sandbox;
use greensand_types::{CallStatus, Entry, FunctionRuntime, Invocation, JsonText, Limits, SourceText};

use super::{Bench, Measurement, common, milliseconds, quantile};
use crate::failure::Failure;

pub(super) const SOURCE: &str = "def f(a, b):\n    return a + b\n";
const SPINNING: &str = "def f():\n    while True:\n        pass\n";

/// How long calls are kept alive while memory is looked at, and when it is looked at.
const ALIVE: Duration = Duration::from_millis(1500);
const LOOK_AFTER: Duration = Duration::from_millis(700);

impl Bench<'_> {
    /// Measures single calls on one thread, and how many a second one and several threads make.
    pub(super) fn calls(&self) -> Result<Vec<Measurement>, Failure> {
        let sandbox = self.sandbox(1)?;
        sandbox.prepare_image(&self.language, &|_| {})?;
        self.time_calls(&sandbox, 50)?;
        let mut samples = self.time_calls(&sandbox, self.repetitions)?;
        let one = self.rate(1)?;
        let several = self.rate(self.threads)?;
        let covers = "fresh instance, compile the source, run, JSON in and out";
        Ok(vec![
            Measurement::new("call from source, p50", quantile(&mut samples, 0.5), "ms", covers),
            Measurement::new("call from source, p99", quantile(&mut samples, 0.99), "ms", ""),
            Measurement::new("calls, 1 thread", one, "calls/s", covers),
            Measurement::new(format!("calls, {} threads", self.threads), several, "calls/s", covers),
        ])
    }

    /// Measures what a live instance makes dirty: several calls are kept alive, and the process is looked at.
    pub(super) fn dirty_memory(&self) -> Result<Measurement, Failure> {
        const INSTANCES: usize = 4;
        let sandbox = self.sandbox(INSTANCES)?;
        sandbox.prepare_image(&self.language, &|_| {})?;
        let before = private_dirty_kib()?;
        let during = thread::scope(|scope| {
            for _ in 0..INSTANCES {
                scope.spawn(|| {
                    let limits = Limits { wall: ALIVE, ..self.limits(&sandbox) };
                    common::block_on(sandbox.invoke(self.invocation(SPINNING.to_owned(), "[]", limits)))
                });
            }
            thread::sleep(LOOK_AFTER);
            private_dirty_kib()
        })?;
        let each = during.saturating_sub(before) as f64 / 1024.0 / INSTANCES as f64;
        let covers =
            "private dirty pages of the process, 4 calls alive, the first use of their slots and stacks included";
        Ok(Measurement::new("dirty memory per live call", each, "MiB", covers))
    }

    fn time_calls(&self, sandbox: &Sandbox, repetitions: usize) -> Result<Vec<f64>, Failure> {
        let limits = self.limits(sandbox);
        common::block_on(async {
            let mut samples = Vec::with_capacity(repetitions);
            for _ in 0..repetitions {
                let invocation = self.invocation(SOURCE.to_owned(), "[20, 22]", limits);
                let started = Instant::now();
                let outcome = sandbox.invoke(invocation).await.map_err(|fault| common::host_failure(&fault))?;
                samples.push(milliseconds(started.elapsed()));
                if outcome.status() != CallStatus::Ok {
                    let message = outcome.failure().map(|failure| failure.message.clone()).unwrap_or_default();
                    return Err(Failure::no(format!(
                        "a call of the measurement ended with {}: {message}",
                        outcome.status()
                    )));
                }
            }
            Ok(samples)
        })?
    }

    /// Returns calls per second of so many threads, each waiting for its calls one after the other.
    fn rate(&self, threads: usize) -> Result<f64, Failure> {
        let sandbox = self.sandbox(threads)?;
        sandbox.prepare_image(&self.language, &|_| {})?;
        self.time_calls(&sandbox, 20 * threads)?;
        let started = Instant::now();
        let done = thread::scope(|scope| {
            let callers: Vec<_> =
                (0..threads).map(|_| scope.spawn(|| self.time_calls(&sandbox, self.repetitions))).collect();
            callers
                .into_iter()
                .map(|caller| caller.join().unwrap_or_else(|_| Err(Failure::bug("a caller panicked"))))
                .collect::<Result<Vec<_>, _>>()
        })?;
        let calls: usize = done.iter().map(Vec::len).sum();
        Ok(calls as f64 / started.elapsed().as_secs_f64())
    }

    fn limits(&self, sandbox: &Sandbox) -> Limits {
        sandbox.default_limits(&self.language).unwrap_or_default()
    }

    fn invocation(&self, source: String, arguments: &str, limits: Limits) -> Invocation {
        Invocation::new(
            SourceText { language: self.language.clone(), text: source.into(), packages: Vec::new() },
            Entry::Function("f".into()),
            JsonText::parse(arguments).expect("the arguments of the measurement are JSON"),
            limits,
        )
    }
}

fn private_dirty_kib() -> Result<u64, Failure> {
    let path = "/proc/self/smaps_rollup";
    let text = std::fs::read_to_string(path).map_err(|error| Failure::no(format!("cannot read `{path}`: {error}")))?;
    text.lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:")?.trim().strip_suffix(" kB")?.parse().ok())
        .ok_or_else(|| Failure::no(format!("`{path}` does not say how much is dirty")))
}
