use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::order::{FAILED_BEFORE_START, GuardOrder, InsideOrder, OUT_OF_TIME, signal_of};
use super::{JailEnding, JailFault, JailReport, JailStatus, JailedCommand, Priority};
use crate::{HelperProgram, UnjailedBuilds};

/// How often a run looks whether somebody still waits for it.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// The longest wall clock that clocks can add up to; who allows more waits as long.
const LONGEST_WALL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long a guard may take beyond the deadline before it is taken for broken.
const GUARD_GRACE: Duration = Duration::from_secs(5);

/// Runs programs in the jail, by way of the helper.
#[derive(Debug)]
pub struct Jail {
    helper: Option<HelperProgram>,
    may_lack_walls: bool,
    status: OnceLock<JailStatus>,
}

impl Jail {
    /// A jail by this helper. Walls that the kernel lacks may be missing only if that is allowed in so many words.
    pub fn new(helper: Option<HelperProgram>, unjailed_builds: UnjailedBuilds) -> Self {
        let may_lack_walls = unjailed_builds == UnjailedBuilds::Allowed;
        Self { helper, may_lack_walls, status: OnceLock::new() }
    }

    /// Says whether programs can be run here, without running any.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<&HelperProgram, JailFault> {
        let helper = self.helper.as_ref().ok_or(JailFault::NoHelper)?;
        if !self.may_lack_walls
            && let Some(wall) = self.status.get_or_init(JailStatus::of_this_machine).missing()
        {
            return Err(JailFault::WallMissing { what: wall.name, mend: wall.mend });
        }
        Ok(helper)
    }

    /// Runs a program to its end. When this returns, none of its processes is left.
    ///
    /// # Errors
    /// When the jail could not do its part; whatever the program does is a report.
    pub fn run(&self, command: &JailedCommand<'_>, is_cancelled: &dyn Fn() -> bool) -> Result<JailReport, JailFault> {
        let helper = self.check()?;
        let failed = |source: io::Error| JailFault::Helper { program: helper.program.clone(), source };
        let order = self.order(helper, command);
        let order = serde_json::to_string(&order).map_err(|error| failed(error.into()))?;
        let guard = Command::new(&helper.program)
            .args(&helper.arguments)
            .args(["guard", &order])
            .env_clear()
            // What is typed at the terminal of the host is for the host.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut watch = Watch { guard, is_cancelled: false };
        let until = Instant::now() + command.wall.min(LONGEST_WALL) + GUARD_GRACE;
        let [stdout, stderr] = watch.read(command.max_output_bytes, until, is_cancelled).map_err(failed)?;
        let status = watch.guard.wait().map_err(failed)?;
        let ending = match status.code() {
            _ if watch.is_cancelled => JailEnding::Cancelled,
            Some(code) if code == i32::from(OUT_OF_TIME) => JailEnding::OutOfTime,
            Some(code) if code == i32::from(FAILED_BEFORE_START) => {
                let reason = String::from_utf8_lossy(&stderr).trim().to_owned();
                return Err(JailFault::NotStarted { program: command.program.clone(), reason });
            }
            Some(code) => signal_of(code).map_or(JailEnding::Exited(code), JailEnding::Signalled),
            None => return Err(failed(io::Error::other(format!("the guard ended with {status}")))),
        };
        Ok(JailReport { ending, stdout, stderr })
    }

    fn order(&self, helper: &HelperProgram, command: &JailedCommand<'_>) -> GuardOrder {
        let wall_ms = u64::try_from(command.wall.min(LONGEST_WALL).as_millis()).unwrap_or(u64::MAX);
        let inside = InsideOrder {
            program: command.program.clone(),
            arguments: command.arguments.clone(),
            work: command.work.to_owned(),
            executable: command.executable.clone(),
            readable: command.readable.clone(),
            memory_bytes: command.memory_bytes,
            // A program with two threads may use up its time in half of the wall clock; then the deadline is the bound.
            processor_seconds: wall_ms.div_ceil(1000).saturating_mul(2).max(1),
            is_low_priority: command.priority == Priority::Low,
            may_lack_walls: self.may_lack_walls,
        };
        GuardOrder { helper: helper.clone(), wall_ms, inside }
    }
}

/// A guard at work. Its standard input is its lifeline: once that is closed, it kills everything and ends.
struct Watch {
    guard: Child,
    is_cancelled: bool,
}

impl Watch {
    /// Reads both streams to their ends, and lets go of the lifeline when nobody waits any more.
    fn read(&mut self, limit: usize, until: Instant, is_cancelled: &dyn Fn() -> bool) -> io::Result<[Vec<u8>; 2]> {
        let process = self.process()?;
        let missing = || io::Error::other("the guard has no output");
        let mut stdout = Stream::new(self.guard.stdout.take().ok_or_else(missing)?, limit);
        let mut stderr = Stream::new(self.guard.stderr.take().ok_or_else(missing)?, limit);
        let mut has_ended = false;
        // The guard leaves nobody behind who could hold the streams open; if it breaks, they do not keep us.
        while !has_ended || stdout.is_open || stderr.is_open {
            let mut ready = [
                PollFd::new(&process, if has_ended { PollFlags::empty() } else { PollFlags::IN }),
                stdout.interest(),
                stderr.interest(),
            ];
            match poll(&mut ready, Some(&LOOK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [ended, stdout_ready, stderr_ready] = ready.map(|ready| !ready.revents().is_empty());
            stdout.read_if(stdout_ready)?;
            stderr.read_if(stderr_ready)?;
            has_ended |= ended;
            if !self.is_cancelled && is_cancelled() {
                self.is_cancelled = true;
                self.guard.stdin = None;
            }
            if Instant::now() > until {
                return Err(io::Error::other("the guard did not end in time"));
            }
        }
        Ok([stdout.kept, stderr.kept])
    }

    fn process(&self) -> io::Result<OwnedFd> {
        let id = i32::try_from(self.guard.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("the guard has no number"))?;
        Ok(pidfd_open(id, PidfdFlags::empty())?)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.guard.stdin = None;
        // Only a guard that broke is still there: whoever is inside follows it.
        if !matches!(self.guard.try_wait(), Ok(Some(_))) {
            let _ = self.guard.kill();
            let _ = self.guard.wait();
        }
    }
}

/// An output stream, of which the beginning is kept.
struct Stream<T> {
    source: T,
    kept: Vec<u8>,
    limit: usize,
    is_open: bool,
}

impl<T: Read + AsFd> Stream<T> {
    fn new(source: T, limit: usize) -> Self {
        Self { source, kept: Vec::new(), limit, is_open: true }
    }

    fn interest(&self) -> PollFd<'_> {
        PollFd::new(&self.source, if self.is_open { PollFlags::IN } else { PollFlags::empty() })
    }

    fn read_if(&mut self, is_ready: bool) -> io::Result<()> {
        if !is_ready || !self.is_open {
            return Ok(());
        }
        let mut buffer = [0; 16 << 10];
        let length = self.source.read(&mut buffer)?;
        let room = self.limit - self.kept.len();
        self.kept.extend_from_slice(&buffer[..length.min(room)]);
        self.is_open = length > 0;
        Ok(())
    }
}
