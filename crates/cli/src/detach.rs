//! Work that goes on without the terminal that it was started from.
//!
//! The program starts itself again, in a session of its own and without input, with events and talk into files, and
//! waits until the run has its folder. What the other process says until then lies beside the runs and moves into
//! the folder of the run; if it fails before, its failure is this one's.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use greensand_app::Interrupt;
use greensand_app::events::EventLine;
use greensand_app::store::RunFolder;
use tempfile::NamedTempFile;

use crate::commands::common;
use crate::failure::{Ending, Failure};
use crate::interrupt;
use crate::terminal::{Answers, DIM, Terminal};
use crate::text;

/// The first argument of this program when it starts itself to be left alone; nobody types it.
pub(crate) const COMMAND: &str = "detached";

/// How often the other process is looked at until its run has a folder.
const LOOK: Duration = Duration::from_millis(20);

/// Begins a session of this process: no terminal belongs to it, and the end of none ends it.
pub(crate) fn leave_session() {
    // It fails where this process leads a group already; then it is left alone as well, but for a terminal that hangs up.
    let _ = rustix::process::setsid();
}

/// Does what the arguments of this process ask for in another one, and leaves it alone once its run has a folder. Until then its
/// files lie in `folder`, which is on the same disk.
pub(crate) fn start(folder: &Path, terminal: &Terminal) -> Result<Ending, Failure> {
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let waiting = |suffix| {
        let file = tempfile::Builder::new().prefix(".starting-").suffix(suffix).tempfile_in(folder);
        file.map_err(|error| unwritable(folder, &error))
    };
    let (events, talk) = (waiting(".jsonl")?, waiting(".txt")?);
    let mut process = spawn(open_again(events.as_file())?, open_again(talk.as_file())?)?;
    let interrupt = interrupt::on_signals(*terminal)?;
    let run = match wait_for_run(&mut process, events.path(), &interrupt)? {
        Start::Opened(run) => RunFolder::open(&run)?,
        Start::Ended(failure, status) => return Err(failure.map_or_else(|| ended(status, talk.path()), Failure::from)),
        Start::Stopped => return Ok(Ending::No),
    };
    keep(events, &run.events_path())?;
    keep(talk, &run.talk_path())?;
    say(&run, process.id(), terminal)
}

/// What became of a process until its run had a folder.
enum Start {
    Opened(PathBuf),
    Ended(Option<greensand_app::events::FailedLine>, ExitStatus),
    Stopped,
}

fn spawn(events: File, talk: File) -> Result<Child, Failure> {
    let program = env::current_exe().map_err(|error| Failure::bug(format!("cannot find this program: {error}")))?;
    let child = Command::new(program)
        .args(arguments_of(env::args_os().skip(1)))
        .stdin(Stdio::null())
        .stdout(events)
        .stderr(talk)
        .spawn();
    child.map_err(|error| Failure::no(format!("cannot start a process: {error}")))
}

/// Returns the arguments of the other process: those of this one, but in a session of its own and with events.
fn arguments_of(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut others = vec![OsString::from(COMMAND)];
    others.extend(arguments.filter(|argument| argument != "--detach" && argument != "--json"));
    others.push("--json".into());
    others
}

/// Waits for the folder of the run: as long as the other process lives, for the first image takes what it takes.
fn wait_for_run(process: &mut Child, events: &Path, interrupt: &Interrupt) -> Result<Start, Failure> {
    loop {
        // Asked before the events are read: what it wrote before its end is then there.
        let ended = process.try_wait().map_err(|error| Failure::no(format!("cannot wait for a process: {error}")))?;
        let lines = read_events(events)?;
        let opened = lines.iter().find_map(|line| match line {
            EventLine::RunOpened { run, .. } => Some(PathBuf::from(run)),
            _ => None,
        });
        if let Some(run) = opened {
            return Ok(Start::Opened(run));
        }
        if let Some(status) = ended {
            let failed = lines.into_iter().find_map(|line| match line {
                EventLine::Failed(failed) => Some(failed),
                _ => None,
            });
            return Ok(Start::Ended(failed, status));
        }
        if interrupt.is_raised() {
            // It has no run yet, so that nothing is lost.
            let _ = process.kill().and_then(|()| process.wait().map(drop));
            return Ok(Start::Stopped);
        }
        thread::sleep(LOOK);
    }
}

/// Reads the events so far; a line that is being written will be whole the next time.
fn read_events(path: &Path) -> Result<Vec<EventLine>, Failure> {
    let text =
        fs::read_to_string(path).map_err(|error| Failure::no(format!("cannot read `{}`: {error}", path.display())))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn ended(status: ExitStatus, talk: &Path) -> Failure {
    let said = fs::read_to_string(talk).unwrap_or_default();
    Failure::bug(format!("the process ended before it began a run ({status}): {}", said.trim()))
}

fn open_again(file: &File) -> Result<File, Failure> {
    file.try_clone().map_err(|error| Failure::no(format!("cannot open a file a second time: {error}")))
}

/// Moves a file into the folder of the run; who writes to it does not notice.
fn keep(file: NamedTempFile, path: &Path) -> Result<(), Failure> {
    file.persist(path).map(drop).map_err(|error| unwritable(path, &error.error))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::no(format!("cannot write `{}`: {error}", path.display()))
}

fn say(run: &RunFolder, pid: u32, terminal: &Terminal) -> Result<Ending, Failure> {
    let shown = text::line(&run.path().to_string_lossy()).into_owned();
    match terminal.answers() {
        Answers::Json => common::write_json(&serde_json::json!({"run": run.path(), "pid": pid}), terminal)?,
        Answers::Words => common::write_text(&format!("{shown}\n"), terminal)?,
    }
    terminal.say(format_args!("{DIM}it goes on in the background, as process {pid}{DIM:#}"));
    terminal.say(format_args!("{DIM}try: greensand status {shown}{DIM:#}"));
    terminal.say(format_args!("{DIM}     greensand stop {shown}{DIM:#}"));
    Ok(Ending::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_process_is_asked_the_same_with_events_and_without_detaching() {
        let given = ["train", "p", "--detach", "--set", "a=b", "--json"].map(OsString::from);
        let expected = ["detached", "train", "p", "--set", "a=b", "--json"].map(OsString::from);
        assert_eq!(arguments_of(given.into_iter()), expected);
    }
}
