//! Measures what the speed of Greensand is promised in, on this machine, through the same doors that commands use.
//!
//! Each measurement says what it covers. Numbers of a busy machine are numbers of a busy machine: run it twice.

mod calls;
mod evaluation;
mod process;

use std::time::{Duration, Instant};

use clap::Args;
use greensand_app::{Environment, ImageKeeping, ImageOrigin, Sandbox, open_sandbox_with};
use greensand_types::Language;
use serde::Serialize;

use super::common;
use crate::failure::{Ending, Failure};
use crate::terminal::{BOLD, DIM, Terminal};

/// Measure calls, starts and evaluation on this machine.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The guest language
    #[arg(long, value_name = "L", default_value = "python")]
    language: String,

    /// Fewer repetitions
    #[arg(long)]
    quick: bool,

    /// Also makes the image anew, in an empty cache folder that is thrown away
    #[arg(long)]
    image: bool,

    /// How many threads the parallel measurement uses; the default is one for each core
    #[arg(long, short, value_name = "N", value_parser = common::jobs())]
    jobs: Option<usize>,

    /// Prints the measurements as JSON
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Examples:
  greensand bench
  greensand bench --quick --json
  greensand bench --image";

/// One number, with what it covers.
#[derive(Debug, Serialize)]
struct Measurement {
    name: String,
    value: f64,
    unit: &'static str,
    covers: &'static str,
}

impl Measurement {
    fn new(name: impl Into<String>, value: f64, unit: &'static str, covers: &'static str) -> Self {
        Self { name: name.into(), value: (value * 1000.0).round() / 1000.0, unit, covers }
    }
}

/// What is measured with.
struct Bench<'a> {
    language: Language,
    repetitions: usize,
    threads: usize,
    environment: Environment,
    terminal: &'a Terminal,
}

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let language = arguments.language.parse().map_err(|error| Failure::asked(format!("{error}")))?;
    let bench = Bench {
        language,
        repetitions: if arguments.quick { 100 } else { 1000 },
        threads: arguments.jobs.unwrap_or_else(common::cores),
        environment: common::environment()?,
        terminal,
    };
    let mut measurements = Vec::new();
    if arguments.image {
        measurements.extend(bench.fresh_image()?);
    }
    measurements.push(bench.image()?);
    measurements.push(bench.first_result()?);
    measurements.extend(bench.calls()?);
    measurements.push(bench.dirty_memory()?);
    measurements.extend(bench.evaluation()?);
    if arguments.json {
        common::write_json(&measurements, terminal)?;
    } else {
        common::write_text(&table(&measurements), terminal)?;
    }
    Ok(Ending::Done)
}

impl Bench<'_> {
    fn sandbox(&self, workers: usize) -> Result<Sandbox, Failure> {
        Ok(open_sandbox_with(&self.environment, workers)?)
    }

    /// Makes the image in a cache folder of its own.
    fn fresh_image(&self) -> Result<Vec<Measurement>, Failure> {
        let folder = tempfile::tempdir().map_err(|error| Failure::no(format!("cannot make a folder: {error}")))?;
        let cache = folder.path().to_string_lossy().into_owned();
        let environment = Environment::of([("GREENSAND_CACHE", cache.as_str())], folder.path());
        let sandbox = open_sandbox_with(&environment, 1)?;
        let started = Instant::now();
        common::prepare_image(&sandbox, &self.language, self.terminal)?;
        let mut measurements = vec![Measurement::new(
            "image, made",
            started.elapsed().as_secs_f64(),
            "s",
            "unpack, start, snapshot, compile, keep",
        )];
        let report = sandbox.prepare_image(&self.language, &|_| {})?;
        if let ImageKeeping::Kept { bytes } = report.keeping {
            measurements.push(Measurement::new(
                "image, on disk",
                bytes as f64 / f64::from(1 << 20),
                "MiB",
                "native code and library",
            ));
        }
        Ok(measurements)
    }

    /// Opens the image from the cache, after making it there if need be.
    fn image(&self) -> Result<Measurement, Failure> {
        common::prepare_image(&self.sandbox(1)?, &self.language, self.terminal)?;
        let started = Instant::now();
        let sandbox = self.sandbox(1)?;
        let report = sandbox.prepare_image(&self.language, &|_| {})?;
        let elapsed = milliseconds(started.elapsed());
        Ok(match report.origin {
            ImageOrigin::Cache | ImageOrigin::Open => {
                Measurement::new("image, from the cache", elapsed, "ms", "start the engine, check the image, map it")
            }
            ImageOrigin::Made { .. } => Measurement::new(
                "image, made again",
                elapsed,
                "ms",
                "the cache does not keep it: see `greensand doctor`",
            ),
        })
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Returns the value below which a share of the samples lies. Sorts them.
fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a share of 0 to 1")]
    let index = ((samples.len() as f64 * share) as usize).min(samples.len().saturating_sub(1));
    samples.get(index).copied().unwrap_or(f64::NAN)
}

fn table(measurements: &[Measurement]) -> String {
    let width = measurements.iter().map(|measurement| measurement.name.chars().count()).max().unwrap_or(0);
    let row = |measurement: &Measurement| {
        let Measurement { name, value, unit, covers } = measurement;
        format!("{name:<width$}  {BOLD}{value:>10.3}{BOLD:#} {unit:<8} {DIM}{covers}{DIM:#}\n")
    };
    measurements.iter().map(row).collect()
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
