use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A program to be run in the jail.
#[derive(Debug, Clone)]
pub struct JailedCommand<'a> {
    /// The program. It must be among what is executable.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The folder in which it runs, and the only one to which it may write.
    pub work: &'a Path,
    /// Files and folders that it may read and run; those that do not exist are left out.
    pub executable: Vec<PathBuf>,
    /// Files and folders that it may read; those that do not exist are left out.
    pub readable: Vec<PathBuf>,
    /// How long it may take.
    pub wall: Duration,
    /// The address space of each of its processes, in bytes.
    pub memory_bytes: u64,
    /// How much is kept of each of its output streams, in bytes; the rest is dropped.
    pub max_output_bytes: usize,
    /// How it competes for the processor.
    pub priority: Priority,
}

/// How a jailed program competes for the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Like its host.
    Usual,
    /// After everything else.
    Low,
}

/// What became of a jailed program.
#[derive(Debug)]
#[must_use]
pub struct JailReport {
    /// How it ended.
    pub ending: JailEnding,
    /// What was kept of its standard output.
    pub stdout: Vec<u8>,
    /// What was kept of its standard error.
    pub stderr: Vec<u8>,
}

/// How a jailed program ended. When it is told, none of its processes is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JailEnding {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal: a limit of the jail, or a fault of its own.
    Signalled(i32),
    /// It was killed at its deadline.
    OutOfTime,
    /// It was killed because nobody waits for it.
    Cancelled,
}

/// The jail could not run a program; that says nothing of the program's input.
#[derive(Debug, thiserror::Error)]
pub enum JailFault {
    /// There is no helper to run it.
    #[error("no helper program is set, so nothing can be run in the jail: set `helper` in the settings of the sandbox")]
    NoHelper,
    /// A wall is missing.
    #[error("{what} is missing on this machine: {mend}")]
    WallMissing {
        /// The wall.
        what: &'static str,
        /// What to do.
        mend: &'static str,
    },
    /// The helper could not be started or watched.
    #[error("run helper `{}`", program.display())]
    Helper {
        /// The helper.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The helper could not put up the walls or start the program.
    #[error("the helper could not start `{}` in the jail: {reason}", program.display())]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// What the helper says.
        reason: String,
    },
}
