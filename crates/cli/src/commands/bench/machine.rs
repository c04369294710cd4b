//! The machine on which a number was measured, without which it says nothing.

use std::fmt::Write;
use std::fs;

use greensand_app::scans_changed_pages;
use serde::Serialize;

use super::common;
use crate::terminal::{DIM, WARN};

/// What a reader must know of a machine.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    version: &'static str,
    /// `release`, or `debug`, whose numbers mean little.
    build: &'static str,
    processor: String,
    cores: usize,
    memory_mib: u64,
    kernel: String,
    /// Whether the kernel tells which pages a call has changed (`PAGEMAP_SCAN`).
    pagemap_scan: bool,
    /// The load of the last minute when the measurements began.
    load_before: Option<f64>,
    /// The same when they ended; our own work is in it.
    load_after: Option<f64>,
}

impl Machine {
    /// Looks at this machine before anything is measured.
    pub(super) fn look() -> Self {
        let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let memory = after(&file("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kib = memory.strip_suffix(" kB").and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            processor: after(&file("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".into()),
            cores: common::cores(),
            memory_mib: kib >> 10,
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            pagemap_scan: scans_changed_pages(),
            load_before: load(),
            load_after: None,
        }
    }

    /// Looks again, when everything is measured.
    pub(super) fn look_again(&mut self) {
        self.load_after = load();
    }

    /// Says whether other work competes for the cores.
    fn is_busy(&self) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
        self.load_before.is_some_and(|load| load > 0.25 * self.cores as f64)
    }

    pub(super) fn text(&self) -> String {
        let Self { version, build, processor, cores, memory_mib, kernel, pagemap_scan, .. } = self;
        let scan = if *pagemap_scan { "scans changed pages" } else { "cannot scan changed pages" };
        let load = |load: Option<f64>| load.map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}"));
        let (before, after) = (load(self.load_before), load(self.load_after));
        let mut text = format!(
            "{DIM}greensand {version} ({build}) on {processor}, {cores} cores, {memory_mib} MiB, kernel {kernel} ({scan}), \
             load {before} before and {after} after{DIM:#}\n"
        );
        if self.build == "debug" {
            let _ = writeln!(text, "{WARN}a debug build: these numbers say nothing of a release{WARN:#}");
        }
        if self.is_busy() {
            let _ = writeln!(text, "{WARN}the machine was busy before this began: these numbers are too high{WARN:#}");
        }
        text
    }
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
