//! Which process works on a run, so that it can be asked to stop.
//!
//! The number of a process is given to another one later. What is kept therefore names the moment at which the process was
//! started as well, and the start of the machine that the moment is counted from. The file may have been edited: it is
//! believed only where all of it fits a process that lives.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::files::{read_json, replace_json};

/// The number of the form of `process.json`.
pub const PROCESS_FORMAT: u32 = 1;

/// A process that works on a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessRecord {
    /// The format of the file.
    pub format: u32,
    /// Its number.
    pub pid: u32,
    /// When it was started, as the machine counts: the id of the machine's start, and ticks since then.
    pub started: String,
}

/// Why a process was not asked to stop.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The process that is named is gone; another one may have its number now.
    #[error("process {pid}, which `process.json` names, is not the one that works on the run")]
    NotThatProcess {
        /// The number.
        pid: u32,
    },
    /// It may not be asked.
    #[error("ask process {pid} to stop")]
    Refused {
        /// The number.
        pid: u32,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// This system does not say when a process was started.
    #[error("this system does not tell one process from a later one with the same number")]
    NoIdentity,
}

impl ProcessRecord {
    /// Describes this process.
    pub(super) fn current() -> Self {
        let pid = std::process::id();
        Self { format: PROCESS_FORMAT, pid, started: start_of(pid).unwrap_or_default() }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), StoreError> {
        replace_json(path, self)
    }

    pub(super) fn read(path: &Path) -> Result<Self, StoreError> {
        read_json(path, PROCESS_FORMAT)
    }

    /// Says whether the process lives.
    pub fn is_alive(&self) -> bool {
        !self.started.is_empty() && start_of(self.pid).as_ref() == Some(&self.started)
    }

    /// Asks the process to stop, and no other that has its number by now.
    ///
    /// # Errors
    /// When the process is gone, or may not be asked.
    #[cfg(target_os = "linux")]
    pub fn ask_to_stop(&self) -> Result<(), SignalError> {
        use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
        let not_that_process = || SignalError::NotThatProcess { pid: self.pid };
        let refused = |error: rustix::io::Errno| match error {
            rustix::io::Errno::SRCH => not_that_process(),
            error => SignalError::Refused { pid: self.pid, source: error.into() },
        };
        let number = i32::try_from(self.pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
        // The descriptor stays with the process that has the number now; then it is looked at which one that is.
        let process = pidfd_open(number.ok_or_else(not_that_process)?, PidfdFlags::empty()).map_err(refused)?;
        if !self.is_alive() {
            return Err(not_that_process());
        }
        pidfd_send_signal(&process, Signal::TERM).map_err(refused)
    }

    /// Asks the process to stop.
    ///
    /// # Errors
    /// Always: nothing here tells that it is the same process.
    #[cfg(not(target_os = "linux"))]
    pub fn ask_to_stop(&self) -> Result<(), SignalError> {
        Err(SignalError::NoIdentity)
    }
}

/// Returns when a process was started, if it lives and the system says so.
fn start_of(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // The name of the program is in brackets, and may hold brackets and blanks itself. The state, the first field after it, is
    // `Z` for a process that is over and was not yet asked how it ended.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    const FROM_STATE_TO_START: usize = 19 - 1;
    let ticks = fields.nth(FROM_STATE_TO_START)?;
    Some(format!("{}+{ticks}", boot.trim()))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_number() {
        let this = ProcessRecord::current();
        assert!(this.is_alive());
        let mut earlier = this.clone();
        earlier.started.push('1');
        assert!(!earlier.is_alive());
        assert!(matches!(earlier.ask_to_stop(), Err(SignalError::NotThatProcess { .. })));
    }

    #[test]
    fn numbers_that_mean_others_are_never_signalled() {
        // 0 would be the own group, 1 everything in a container, and what is out of range a negative number: all processes.
        for pid in [0, 1, u32::MAX, 1 << 31] {
            let record = ProcessRecord { format: PROCESS_FORMAT, pid, started: "x".into() };
            assert!(matches!(record.ask_to_stop(), Err(SignalError::NotThatProcess { .. })), "{pid}");
        }
    }

    #[test]
    fn a_process_that_ended_is_not_alive_although_its_number_is_kept() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let record = ProcessRecord { format: 1, pid: child.id(), started: start_of(child.id()).unwrap_or_default() };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while record.is_alive() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(!record.is_alive());
        child.wait().unwrap();
    }
}
