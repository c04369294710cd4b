use std::thread;
use std::time::Duration;

use greensand_types::{CallStatus, FunctionRuntime};

use super::report::Measurement;
use super::{Bench, Mode, common, run_to};
use crate::failure::Failure;

/// How long calls are kept alive while memory is looked at, and when it is looked at.
const ALIVE: Duration = Duration::from_millis(900);
const LOOK_AFTER: Duration = Duration::from_millis(500);

/// Two numbers of live calls: their difference is free of what is there only once.
const FEW: usize = 2;
const MANY: usize = 8;

impl Bench<'_> {
    /// Measures what a live instance makes dirty: calls are kept alive, and the process is looked at.
    pub(super) fn dirty_memory(&self) -> Result<Measurement, Failure> {
        let (few, many) = (self.dirty_while_alive(FEW)?, self.dirty_while_alive(MANY)?);
        #[expect(clippy::cast_precision_loss, reason = "far fewer pages than a float can count")]
        let each = (many - few) as f64 / (MANY - FEW) as f64;
        Ok(self
            .named("dirty_memory", "dirty memory per live call")
            .value(each, "KiB")
            .samples(MANY - FEW)
            .covers("private dirty pages of the process, 8 calls alive against 2, their stacks included")
            .asked(self.subject.asked.dirty))
    }

    /// Returns how many KiB more are dirty while so many calls are alive than before their first.
    fn dirty_while_alive(&self, calls: usize) -> Result<i64, Failure> {
        // Whatever is built, and kept, is built by another sandbox.
        let other = self.sandbox(1, Mode::Prepared)?;
        common::block_on(run_to(&other, self.call(&other, self.subject.spin, "[false]"), CallStatus::Ok))??;
        let sandbox = self.sandbox(calls, Mode::Prepared)?;
        let before = private_dirty_kib()?;
        let during = thread::scope(|scope| {
            for _ in 0..calls {
                scope.spawn(|| {
                    let call = self.call_within(&sandbox, self.subject.spin, "[true]", ALIVE);
                    common::block_on(sandbox.invoke(call))
                });
            }
            thread::sleep(LOOK_AFTER);
            private_dirty_kib()
        })?;
        Ok(during - before)
    }
}

fn private_dirty_kib() -> Result<i64, Failure> {
    let path = "/proc/self/smaps_rollup";
    let text = std::fs::read_to_string(path).map_err(|error| Failure::no(format!("cannot read `{path}`: {error}")))?;
    text.lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:")?.trim().strip_suffix(" kB")?.parse().ok())
        .ok_or_else(|| Failure::no(format!("`{path}` does not say how much is dirty")))
}
