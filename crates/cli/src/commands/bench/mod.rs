//! Measures what the speed of Greensand is promised in, on this machine, through the same doors that commands use.
//!
//! A measurement is a method of [`Bench`] that returns [`Measurement`]s; each says what it covers, of how many samples it
//! is made, and what was asked. `subjects` holds the functions that are measured, one row for each language; `report`
//! writes. Numbers of a busy machine are numbers of a busy machine: the report holds the load, and says so.

mod calls;
mod evaluation;
mod image;
mod limits;
mod machine;
mod memory;
mod process;
mod report;
mod subjects;
mod tenants;
mod training;

use std::time::Duration;

use clap::Args;
use greensand_app::{Environment, InstanceMode, Sandbox, SandboxSettings, ToolchainStatus};
use greensand_types::{
    CallOutcome, CallStatus, Entry, FunctionRuntime, HostFault, Invocation, JsonText, Language, Limits, SourceText,
};

use super::common;
use crate::failure::{Ending, Failure};
use crate::terminal::Terminal;
use machine::Machine;
use report::{Measurement, Report};
use subjects::{Subject, subject_of};

/// Measure calls, starts, limits and memory on this machine, beside what was asked.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// A guest language; may be given again; the default is each of them
    #[arg(long, value_name = "L")]
    language: Vec<String>,

    /// Takes some minutes, for numbers that repeat
    #[arg(long, conflicts_with = "quick")]
    long: bool,

    /// Takes some seconds, for a first look
    #[arg(long)]
    quick: bool,

    /// Also makes each image anew, in an empty cache folder that is thrown away
    #[arg(long)]
    image: bool,

    /// Measures the training engine instead: model calls, an epoch, memory, resumption
    #[arg(long, conflicts_with_all = ["language", "image", "jobs", "long", "quick"])]
    training: bool,

    /// How many threads the parallel measurement uses; the default is one for each core
    #[arg(long, short, value_name = "N", value_parser = common::jobs())]
    jobs: Option<usize>,

    /// Prints the report as JSON, whose keys stay
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Beside each number stands what was asked of it, on two quiet cores. The keys of the JSON report are listed in
crates/cli/README.md.

Examples:
  greensand bench
  greensand bench --language python --quick
  greensand bench --long --image --json
  greensand bench --training";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Calls of which quantiles are taken.
    calls: usize,
    /// How long calls are counted.
    count_for: Duration,
    /// Sources that are compiled, if each takes little.
    compiles: usize,
    /// The most that compiling them may take.
    compile_for: Duration,
    /// Starts of this program.
    starts: usize,
    /// Calls that run into their wall clock.
    stalls: usize,
    /// Looks at the memory of live calls.
    looks: usize,
}

const QUICK: Effort = Effort {
    calls: 300,
    count_for: Duration::from_millis(150),
    compiles: 50,
    compile_for: Duration::from_millis(700),
    starts: 5,
    stalls: 10,
    looks: 1,
};
const NORMAL: Effort = Effort {
    calls: 2_000,
    count_for: Duration::from_millis(600),
    compiles: 200,
    compile_for: Duration::from_secs(2),
    starts: 15,
    stalls: 24,
    looks: 3,
};
const LONG: Effort = Effort {
    calls: 50_000,
    count_for: Duration::from_secs(5),
    compiles: 2_000,
    compile_for: Duration::from_secs(15),
    starts: 100,
    stalls: 400,
    looks: 5,
};

/// How functions are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// As commands run them: compiled once, in an instance that is restored where that is possible.
    Prepared,
    /// Compiled once, in a new instance for each call.
    Fresh,
    /// Compiled anew for each call, in a new instance.
    FromSource,
}

/// What is measured with.
struct Bench<'a> {
    subject: &'static Subject,
    language: Language,
    /// Whether its sources are built by a compiler of the machine.
    is_built: bool,
    effort: Effort,
    threads: usize,
    environment: &'a Environment,
    terminal: &'a Terminal,
}

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let mut report = Report::new(Machine::look());
    if arguments.training {
        terminal.say(format_args!("measuring the training engine"));
        report.measurements = training::measure(&environment, terminal)?;
        return write(report, arguments.json, terminal);
    }
    let probe = common::open_sandbox_as(&environment, |settings| SandboxSettings { workers: 1, ..settings })?;
    for language in languages(arguments, &probe)? {
        let Some(subject) = subject_of(language.as_str()) else {
            report.left_out.push(format!("`{language}`, of which no function is measured"));
            continue;
        };
        let effort = match (arguments.quick, arguments.long) {
            (true, _) => QUICK,
            (false, true) => LONG,
            (false, false) => NORMAL,
        };
        let threads = arguments.jobs.unwrap_or_else(common::cores);
        let is_built = probe.toolchain_status(&language) != ToolchainStatus::NotNeeded;
        let bench = Bench { subject, language, is_built, effort, threads, environment: &environment, terminal };
        if let Some(reason) = bench.cannot_run()? {
            report.left_out.push(format!("`{}`: {reason}", subject.language));
            continue;
        }
        terminal.say(format_args!("measuring {}", subject.language));
        report.measurements.extend(bench.measure(arguments.image)?);
        if report.measurements.iter().all(|row| row.key != evaluation::KEY) && bench.has_scripts() {
            report.measurements.extend(bench.evaluation()?);
        }
    }
    // What is of no language stands at the end.
    report.measurements.sort_by_key(|row| !row.key.contains('.'));
    write(report, arguments.json, terminal)
}

fn write(mut report: Report, as_json: bool, terminal: &Terminal) -> Result<Ending, Failure> {
    report.machine.look_again();
    if as_json {
        common::write_json(&report, terminal)?;
    } else {
        common::write_text(&report.text(), terminal)?;
    }
    Ok(Ending::Done)
}

/// Returns the languages that were asked for, or all.
fn languages(arguments: &Arguments, sandbox: &Sandbox) -> Result<Vec<Language>, Failure> {
    let parse = |name: &str| name.parse::<Language>().map_err(|error| Failure::asked(error.to_string()));
    if arguments.language.is_empty() {
        let guests = sandbox.languages().filter(|guest| guest.image().is_some());
        return guests.map(|guest| parse(guest.name)).collect();
    }
    arguments.language.iter().map(|name| common::language_named(name, sandbox)).collect()
}

impl Bench<'_> {
    /// Measures everything that is said of one language.
    fn measure(&self, makes_image: bool) -> Result<Vec<Measurement>, Failure> {
        let mut measurements = self.calls()?;
        measurements.extend(self.rates()?);
        measurements.push(self.source_to_callable()?);
        measurements.extend(self.overshoot()?);
        measurements.push(self.neighbour()?);
        measurements.push(self.dirty_memory()?);
        measurements.extend(self.image()?);
        measurements.push(self.first_result()?);
        if makes_image {
            measurements.extend(self.fresh_image()?);
        }
        Ok(measurements)
    }

    fn named(&self, key: &str, name: impl Into<String>) -> Measurement {
        Measurement::new(Some(self.subject.language), key, name)
    }

    /// Opens a sandbox whose images are there.
    fn sandbox(&self, workers: usize, mode: Mode) -> Result<Sandbox, Failure> {
        self.sandbox_as(workers, mode, |settings| settings)
    }

    /// Opens a sandbox whose images are there, with other settings.
    fn sandbox_as(
        &self,
        workers: usize,
        mode: Mode,
        change: impl FnOnce(SandboxSettings) -> SandboxSettings,
    ) -> Result<Sandbox, Failure> {
        let sandbox = common::open_sandbox_as(self.environment, |settings| {
            let settings = change(SandboxSettings { workers, ..settings });
            match mode {
                Mode::Prepared => settings,
                Mode::Fresh => SandboxSettings { instances: InstanceMode::Fresh, ..settings },
                Mode::FromSource => SandboxSettings { instances: InstanceMode::Fresh, prepared_bytes: 0, ..settings },
            }
        })?;
        common::prepare_image(&sandbox, &self.language, self.terminal)?;
        Ok(sandbox)
    }

    /// Says why functions of the language cannot run on this machine, if they cannot.
    fn cannot_run(&self) -> Result<Option<String>, Failure> {
        let sandbox = self.sandbox(1, Mode::Prepared)?;
        let call = self.call(&sandbox, self.subject.sum, "[20, 22]");
        let outcome = common::block_on(sandbox.invoke(call))?.map_err(|fault| common::host_failure(&fault))?;
        Ok(outcome.failure().map(|failure| failure.message.clone()))
    }

    /// Says whether the language runs scripts, which the evaluation needs.
    fn has_scripts(&self) -> bool {
        self.subject.language == "python"
    }

    /// A call under the default limits of the language.
    fn call(&self, sandbox: &Sandbox, source: &str, arguments: &str) -> Invocation {
        let limits = sandbox.default_limits(&self.language).unwrap_or_default();
        let source = SourceText { language: self.language.clone(), text: source.into(), packages: Vec::new() };
        let arguments = JsonText::parse(arguments).expect("the arguments of a measurement are JSON");
        Invocation::new(source, Entry::Function("f".into()), arguments, limits)
    }

    /// The same call with another wall clock.
    fn call_within(&self, sandbox: &Sandbox, source: &str, arguments: &str, wall: Duration) -> Invocation {
        let call = self.call(sandbox, source, arguments);
        Invocation { limits: Limits { wall, ..call.limits }, ..call }
    }
}

/// Runs a call that must end in a certain way, or nothing that is measured means anything.
async fn run_to(sandbox: &Sandbox, call: Invocation, expected: CallStatus) -> Result<(), Failure> {
    ended_with(sandbox.invoke(call).await, expected)
}

/// Checks that a call has ended as it must.
fn ended_with(outcome: Result<CallOutcome, HostFault>, expected: CallStatus) -> Result<(), Failure> {
    let outcome = outcome.map_err(|fault| common::host_failure(&fault))?;
    if outcome.status() == expected {
        return Ok(());
    }
    let message = outcome.failure().map(|failure| failure.message.clone()).unwrap_or_default();
    Err(Failure::no(format!("a call of the measurement ended with {}, not {expected}: {message}", outcome.status())))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Returns the value below which a share of the samples lies. Sorts them.
fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a share of 0 to 1")]
    let index = ((samples.len() as f64 * share) as usize).min(samples.len().saturating_sub(1));
    samples.get(index).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let mut samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut samples, 0.5), 51.0);
        assert_eq!(quantile(&mut samples, 0.99), 100.0);
        assert_eq!(quantile(&mut [7.0], 0.99), 7.0);
        assert!(quantile(&mut [], 0.5).is_nan());
    }
}
