use std::io;
use std::path::{Path, PathBuf};

use super::run_folder::{EMBEDDINGS, JOURNAL, MANIFEST, OUTCOMES, REPLIES, SENT};

/// A run folder that cannot be written, or that does not hold what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something could not be written.
    #[error("write `{}`", path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something could not be read.
    #[error("read `{}`", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no folder.
    #[error("there is no run or function set at `{}`", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The folder is no run folder.
    #[error("`{}` is no run folder: it has no `manifest.json`", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds no function.
    #[error("`{}` is no function set: no `NAME.json` describes a function in it", path.display())]
    NoFunctions {
        /// The folder.
        path: PathBuf,
    },
    /// A file is not what was written there.
    #[error("{}{}: {reason}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where there are lines.
        line: Option<usize>,
        /// What is wrong.
        reason: String,
    },
    /// A file has a format of a later program.
    #[error("`{}` has format {found}, and this program reads up to {known}", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that is read.
        known: u32,
    },
    /// The run has no such set.
    #[error("run `{}` has no function set `{wanted}`", run.display())]
    NoSet {
        /// The run.
        run: PathBuf,
        /// What was asked for.
        wanted: String,
        /// The sets that it has.
        known: Vec<String>,
    },
    /// Several sets begin alike.
    #[error("several function sets of run `{}` begin with `{wanted}`", run.display())]
    AmbiguousSet {
        /// The run.
        run: PathBuf,
        /// What was asked for.
        wanted: String,
        /// Those that begin so.
        candidates: Vec<String>,
    },
    /// A function on disk is not the one that was written.
    #[error("function `{function}` in `{}` was changed after it was written", path.display())]
    Changed {
        /// The folder of the set.
        path: PathBuf,
        /// The function.
        function: String,
    },
    /// The run did something else than it did before.
    #[error(
        "{}:{line}: the run goes another way here: `{found}` where the line has `{expected}`", path.display()
    )]
    Diverged {
        /// The file.
        path: PathBuf,
        /// The first line that differs, counted from 1.
        line: usize,
        /// What the line has, about where it differs.
        expected: String,
        /// What it would have been now.
        found: String,
    },
    /// The run would go on behind the end of what is recorded, and nothing may be written.
    #[error("`{}` ends here, and the run would go on", path.display())]
    EndOfRecord {
        /// The file.
        path: PathBuf,
    },
    /// The run was made by a program that kept too little to take it up again.
    #[error("run `{}` cannot be taken up again: {reason}", path.display())]
    NotResumable {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A process writes to the run now.
    #[error("run `{}` is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

impl StoreError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Write { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Some("the disk is full: make room; what was written so far stays readable".into())
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    Some("choose another folder with `--runs DIR`".into())
                }
                _ => None,
            },
            Self::Read { path, source } if source.kind() == io::ErrorKind::NotFound => without(path),
            Self::Read { .. } => None,
            Self::Missing { .. } | Self::NoRun { .. } => {
                Some(
                    "runs are the folders below `runs/` of a project, which `greensand status PROJECT` lists; sets are those below \
                     `sets/` of a run"
                        .into(),
                )
            }
            Self::NoFunctions { .. } => Some(
                "name a run, `RUN:SET`, or a folder with a `NAME.json` beside each source; `empty` is the empty set"
                    .into(),
            ),
            Self::Damaged { path, .. } => without(path),
            Self::NewerFormat { .. } => Some("use the version of greensand that wrote it, or a later one".into()),
            Self::NoSet { known, .. } if known.is_empty() => {
                Some("the run stopped before its first set was kept".into())
            }
            Self::NoSet { known, .. } => Some(format!("its sets: {}; or `best`, `initial`", known.join(", "))),
            Self::AmbiguousSet { candidates, .. } => Some(format!("write more of one of: {}", candidates.join(", "))),
            Self::Changed { .. } => Some(format!(
                "to use it as your own set, delete `{}` beside it and name the folder in `functions.initial`",
                super::function_set::SET_FILE
            )),
            Self::Diverged { .. } => Some(
                "the journal was edited, or made by another version of greensand; `greensand fork` begins a new run from it"
                    .into(),
            ),
            Self::EndOfRecord { .. } => Some("`greensand resume` goes on with it".into()),
            Self::NotResumable { .. } => Some("train again; `greensand show` still reads it".into()),
            Self::InUse { .. } => Some("wait for the other process, or stop it".into()),
        }
    }

    /// Says whether a run that met this can be taken up again as it is: nothing that it needs is lost or is another's.
    pub(crate) fn leaves_a_run(&self) -> bool {
        match self {
            Self::Write { .. } | Self::InUse { .. } | Self::EndOfRecord { .. } => true,
            Self::Read { source, .. } => source.kind() != io::ErrorKind::NotFound,
            Self::Missing { .. }
            | Self::NoRun { .. }
            | Self::NoFunctions { .. }
            | Self::Damaged { .. }
            | Self::NewerFormat { .. }
            | Self::NoSet { .. }
            | Self::AmbiguousSet { .. }
            | Self::Changed { .. }
            | Self::Diverged { .. }
            | Self::NotResumable { .. } => false,
        }
    }

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Read { path: path.to_owned(), source }
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Write { path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), line: None, reason: reason.into() }
    }
}

/// What to do where a file of a run is not what was written there, or is gone.
fn without(path: &Path) -> Option<String> {
    let run = path.parent()?.display();
    let file = path.file_name()?.to_str()?;
    match file {
        JOURNAL => Some(format!("put `{file}` back from a copy: nothing can be told of a run without it")),
        REPLIES | EMBEDDINGS | OUTCOMES => Some(format!(
            "put `{file}` back from a copy: the run cannot go on without what was paid for; `greensand show {run}` still shows it"
        )),
        MANIFEST => Some(format!(
            "put `{file}` back from a copy: it says what the run works with; `greensand show {run}` still shows it"
        )),
        SENT => Some(format!(
            "to go on without it, delete `{}`: what was cut off in flight then counts against no cap",
            path.display()
        )),
        _ => None,
    }
}
