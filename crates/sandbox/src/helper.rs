//! The helper: a program in which the sandbox runs what it does not run in itself.
//!
//! [`HelperProgram`] says how it is started; a program that embeds this crate calls [`main`] with the arguments after
//! those that lead to it, before it does anything else. `greensand` does so in a hidden command, and the binary of this
//! crate does nothing else. See [`crate::jail`] for what it is for.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use serde::{Deserialize, Serialize};

use crate::jail::{FAILED_BEFORE_START, GuardOrder, InsideOrder, OUT_OF_TIME, become_program, ended_by_signal};
use crate::module::{REFUSED, compile_here};

/// How the helper is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelperProgram {
    /// The program, by its full path.
    pub program: PathBuf,
    /// The arguments that lead to [`main`].
    pub arguments: Vec<String>,
}

/// Does what the host of the sandbox asked for. `arguments` are those after the ones of [`HelperProgram`].
///
/// It must be called before the process has started threads or opened files: it gives up the rights of the process.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let answer = match arguments.as_slice() {
        ["guard", order] => read(order).and_then(|order| guard(&order)),
        ["inside", order] => read(order).and_then(|order: InsideOrder| Err(become_program(&order))),
        ["compile", shape, tier] => compile_here(shape, tier).map(|refused| match refused {
            None => ExitCode::SUCCESS,
            Some(reason) => {
                // If nobody reads it, the status says enough.
                let _ = writeln!(std::io::stderr(), "{reason}");
                ExitCode::from(REFUSED)
            }
        }),
        _ => Err("these are no orders of a sandbox: nobody but the sandbox starts its helper".into()),
    };
    answer.unwrap_or_else(|reason| {
        // The standard error of the helper is a pipe to its host; if nobody reads it, the status says enough.
        let _ = writeln!(std::io::stderr(), "{reason}");
        ExitCode::from(FAILED_BEFORE_START)
    })
}

fn read<'a, T: Deserialize<'a>>(order: &'a str) -> Result<T, String> {
    serde_json::from_str(order).map_err(|error| format!("read the order: {error}"))
}

/// Starts the process inside, and sees to it that nothing of it is left at the end.
fn guard(order: &GuardOrder) -> Result<ExitCode, String> {
    let until = Instant::now() + Duration::from_millis(order.wall_ms);
    let describe = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let inside = serde_json::to_string(&order.inside).map_err(|error| describe("write the order", &error))?;
    // Whom the program leaves behind becomes a child of this process, which can then wait for it.
    let this = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(this)).map_err(|error| describe("adopt orphans", &error))?;
    let child = Command::new(&order.helper.program)
        .args(&order.helper.arguments)
        .args(["inside", &inside])
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| describe("start the second process", &error))?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("the second process has no number")?;
    let in_time = wait_for_an_end(group, until);
    let _ = rustix::process::kill_process_group(group, Signal::KILL);
    let status = reap(group);
    match in_time? {
        true => Ok(ExitCode::from(exit_status(status))),
        false => Ok(ExitCode::from(OUT_OF_TIME)),
    }
}

/// Waits until the program ends, the deadline passes, or the host lets go; says whether it was in time.
fn wait_for_an_end(process: Pid, until: Instant) -> Result<bool, String> {
    let watched = rustix::process::pidfd_open(process, PidfdFlags::empty());
    let watched = watched.map_err(|error| format!("watch the second process: {error}"))?;
    let lifeline = std::io::stdin();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let mut ready = [PollFd::new(&watched, PollFlags::IN), PollFd::new(&lifeline, PollFlags::IN)];
        match poll(&mut ready, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(!ready[0].revents().is_empty()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("wait for the second process: {error}")),
        }
    }
}

/// Waits for everybody whom the kill has hit, and returns how the first process ended.
fn reap(first: Pid) -> Option<ExitStatus> {
    let mut status = None;
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((process, ended))) if process == first => status = Some(ExitStatus::from_raw(ended.as_raw())),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return status,
        }
    }
}

fn exit_status(status: Option<ExitStatus>) -> u8 {
    let Some(status) = status else { return FAILED_BEFORE_START };
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => ended_by_signal(signal),
        (None, None) => FAILED_BEFORE_START,
    }
}
