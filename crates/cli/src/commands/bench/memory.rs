use std::thread;
use std::time::Duration;

use greensand_types::CallStatus;

use super::report::Measurement;
use super::{Bench, Mode, common, ended_with, quantile, run_to};
use crate::failure::Failure;

/// How long calls are kept alive while memory is looked at, and when it is looked at.
const ALIVE: Duration = Duration::from_millis(700);
const LOOK_AFTER: Duration = Duration::from_millis(400);

/// How often the memory is looked at until it has settled, how far apart, and what is no change of it, in KiB.
const LOOKS: usize = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);
const SETTLED: i64 = 8;

/// Two numbers of live calls: their difference is free of what is there only once.
const FEW: usize = 2;
const MANY: usize = 8;

impl Bench<'_> {
    /// Measures what a live instance makes dirty: calls are kept alive, and the process is looked at.
    pub(super) fn dirty_memory(&self) -> Result<Measurement, Failure> {
        let difference = || Ok(self.dirty_while_alive(MANY)? - self.dirty_while_alive(FEW)?);
        let differences = (0..self.effort.looks).map(|_| difference()).collect::<Result<Vec<i64>, Failure>>()?;
        // The allocator of the process takes and gives back memory as it likes: the middle of several is free of that.
        #[expect(clippy::cast_precision_loss, reason = "far fewer pages than a float can count")]
        let mut each = differences.iter().map(|kib| *kib as f64 / (MANY - FEW) as f64).collect::<Vec<_>>();
        Ok(self
            .named("dirty_memory", "dirty memory per live call")
            .value(quantile(&mut each, 0.5), "KiB")
            .samples(each.len() * (MANY - FEW))
            .covers("private dirty pages of the process, 8 calls alive against 2, their stacks included")
            .asked(self.subject.asked.dirty))
    }

    /// Returns how many KiB more are dirty while so many calls are alive than before them.
    fn dirty_while_alive(&self, calls: usize) -> Result<i64, Failure> {
        let sandbox = self.sandbox(calls, Mode::Prepared)?;
        // Whatever is there only once, and whatever is built in the background, is there before.
        for _ in 0..3 {
            common::block_on(run_to(&sandbox, self.call(&sandbox, self.subject.spin, "[false]"), CallStatus::Ok))??;
        }
        let before = settled_dirty_kib()?;
        thread::scope(|scope| {
            let call = || sandbox.invoke_blocking(self.call_within(&sandbox, self.subject.spin, "[true]", ALIVE));
            let alive: Vec<_> = (0..calls).map(|_| scope.spawn(call)).collect();
            thread::sleep(LOOK_AFTER);
            let during = private_dirty_kib();
            for call in alive {
                let outcome = call.join().map_err(|_| Failure::bug("a caller panicked"))?;
                ended_with(outcome, CallStatus::Timeout)?;
            }
            Ok(during? - before)
        })
    }
}

/// Waits until what is dirty stays the same for a while, or long enough, and returns it.
fn settled_dirty_kib() -> Result<i64, Failure> {
    let mut last = private_dirty_kib()?;
    for _ in 0..LOOKS {
        thread::sleep(BETWEEN_LOOKS);
        let now = private_dirty_kib()?;
        if (now - last).abs() <= SETTLED {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}

fn private_dirty_kib() -> Result<i64, Failure> {
    let path = "/proc/self/smaps_rollup";
    let text = std::fs::read_to_string(path).map_err(|error| Failure::no(format!("cannot read `{path}`: {error}")))?;
    text.lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:")?.trim().strip_suffix(" kB")?.parse().ok())
        .ok_or_else(|| Failure::no(format!("`{path}` does not say how much is dirty")))
}

/// Begins the peak of resident memory anew, where the kernel lets one: making an image takes more than any work with it.
pub(super) fn forget_peak() {
    // Where it cannot be, the number is too high, and never too low.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Returns the most resident memory that this process has had, in MiB; no number where the kernel does not say.
pub(super) fn peak_resident_mebibytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kibibytes = line.trim().trim_end_matches("kB").trim().parse::<f64>();
    kibibytes.map_or(f64::NAN, |kibibytes| kibibytes / 1024.0)
}
