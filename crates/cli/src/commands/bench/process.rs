use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::report::{Asked, Measurement};
use super::{Bench, milliseconds, quantile};
use crate::failure::Failure;

impl Bench<'_> {
    /// Starts this program with one request, and waits for its answer.
    pub(super) fn first_result(&self) -> Result<Measurement, Failure> {
        // The first start may build what the cache then keeps.
        self.start_once()?;
        let mut samples = (0..self.effort.starts).map(|_| self.start_once()).collect::<Result<Vec<_>, _>>()?;
        Ok(self
            .named("first_result.p50", "process start to result, p50")
            .value(quantile(&mut samples, 0.5), "ms")
            .samples(samples.len())
            .covers("start `greensand batch`, send a request, read its answer; the image is in the cache")
            .asked(Asked::AtMost(30.0)))
    }

    fn start_once(&self) -> Result<f64, Failure> {
        let failed = |error: std::io::Error| Failure::no(format!("cannot start this program again: {error}"));
        let request = serde_json::json!({
            "id": 1, "language": self.language.as_str(), "source": self.subject.sum, "entry": "f", "args": [1, 2],
        });
        let program = std::env::current_exe().map_err(failed)?;
        let started = Instant::now();
        let mut child = Command::new(program)
            .args(["batch", "--jobs", "1", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure::bug("a child without the pipes that it was given"));
        };
        writeln!(input, "{request}").map_err(failed)?;
        let mut answer = String::new();
        BufReader::new(output).read_line(&mut answer).map_err(failed)?;
        let elapsed = milliseconds(started.elapsed());
        drop(input);
        child.wait().map_err(failed)?;
        match answer.contains("\"status\":\"ok\"") {
            true => Ok(elapsed),
            false => Err(Failure::no(format!("the started program answered: {}", answer.trim()))),
        }
    }
}
