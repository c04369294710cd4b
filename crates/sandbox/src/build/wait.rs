//! Programs of the machine that run outside of the jail: ours to start, and not to wait for without end.

use std::io;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// How often somebody looks whether a program has ended: at first, and at most.
const LOOKS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(20)];

/// Runs a program to its end; nothing when it took too long or nobody waits any more, and it was killed.
///
/// # Errors
/// When it cannot be started or watched.
pub(super) fn run_within(
    command: &mut Command,
    longest: Duration,
    is_stopped: &dyn Fn() -> bool,
) -> io::Result<Option<ExitStatus>> {
    let until = Instant::now() + longest;
    let [mut look, longest_look] = LOOKS;
    let mut program = command.spawn()?;
    loop {
        if let Some(status) = program.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > until || is_stopped() {
            program.kill()?;
            program.wait()?;
            return Ok(None);
        }
        thread::sleep(look);
        look = (look * 2).min(longest_look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_end_is_killed() {
        let begun = Instant::now();
        let ended = run_within(Command::new("sleep").arg("60"), Duration::from_millis(50), &|| false).unwrap();
        assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(10));
        let ended = run_within(Command::new("sleep").arg("60"), Duration::from_secs(60), &|| true).unwrap();
        assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(10));
        let ended = run_within(Command::new("true").arg(""), Duration::from_secs(60), &|| false).unwrap();
        assert!(ended.is_some_and(|status| status.success()));
    }
}
