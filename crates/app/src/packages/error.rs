use std::error::Error;
use std::path::PathBuf;

use super::requirement::RequirementError;

/// Packages could not be made ready. Nothing was installed.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// What is asked for is no package.
    #[error(transparent)]
    Requirement(#[from] RequirementError),
    /// The lock file cannot be used.
    #[error("read the lock file `{}`", path.display())]
    ReadLock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The lock file has another layout.
    #[error("the lock file `{}` has format {format}, this program knows {known}", path.display())]
    NewerLock {
        /// The file.
        path: PathBuf,
        /// Its number.
        format: u32,
        /// The number of this program.
        known: u32,
    },
    /// The lock file cannot be written.
    #[error("write the lock file `{}`", path.display())]
    WriteLock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A project needs a lock file that is not there.
    #[error("there is no lock file `{}` for the packages of the project", path.display())]
    NoLock {
        /// Where it would be.
        path: PathBuf,
    },
    /// The allow-list of a project has a package that is not among its packages.
    #[error("setting `functions.allowed_packages` has `{name}`, which is not among the packages of the project")]
    NotLocked {
        /// The package.
        name: String,
    },
    /// The language has no packages.
    #[error("functions in `{language}` have no packages: only those in `python` do")]
    NoPackages {
        /// The language.
        language: String,
    },
    /// Neither pip nor uv is there.
    #[error("no tool was found to resolve packages: pip 23 or newer, or uv")]
    NoTool,
    /// A tool cannot be run.
    #[error("run `{tool}`")]
    Run {
        /// The command.
        tool: String,
        /// Why.
        source: std::io::Error,
    },
    /// A tool did not end in time.
    #[error("`{tool}` did not end within {seconds} s")]
    TooSlow {
        /// The command.
        tool: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A package is not of pure Python.
    #[error(
        "package `{name}` has native code ({evidence}): compiled code of this machine cannot run inside WebAssembly, so \
         packages such as numpy, pandas and torch cannot be used by functions"
    )]
    Native {
        /// The package.
        name: String,
        /// What shows it.
        evidence: String,
    },
    /// A package would have to be built.
    #[error(
        "resolve packages {requirements}: something that they need is no wheel and would be built, which would run its code \
         outside of the sandbox"
    )]
    Builds {
        /// What was asked for.
        requirements: String,
    },
    /// The tool found no packages that fit.
    #[error("resolve packages {requirements}: {reason}")]
    Unresolved {
        /// What was asked for.
        requirements: String,
        /// What the tool said.
        reason: String,
        /// Whether the network was out of reach.
        offline: bool,
    },
    /// Wheels could not be fetched.
    #[error("fetch {packages}: {reason}")]
    NotFetched {
        /// Which.
        packages: String,
        /// What the tool said.
        reason: String,
        /// Whether the network was out of reach.
        offline: bool,
    },
    /// A wheel is not the one that was pinned.
    #[error(
        "the wheel of package `{name}` is not the one that was pinned: its SHA-256 is {found}, the lock file says {expected}"
    )]
    WrongHash {
        /// The package.
        name: String,
        /// What the lock file says.
        expected: String,
        /// What came.
        found: String,
    },
    /// A wheel is damaged, too large, or has files at places where they must not be.
    #[error("the wheel of package `{name}` is refused: {reason}")]
    BadWheel {
        /// The package.
        name: String,
        /// Why.
        reason: String,
    },
    /// The cache folder cannot be used.
    #[error("keep wheels in `{}`", folder.display())]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl PackageError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Requirement(_) | Self::NoPackages { .. } => None,
            Self::NotLocked { name } => Some(format!("add `{name}` to `functions.packages`")),
            Self::ReadLock { .. } => Some("restore the file, or remove it to resolve the packages anew".into()),
            Self::NewerLock { .. } => {
                Some("use the program that wrote it, or remove it to resolve the packages anew".into())
            }
            Self::WriteLock { .. } => Some("name another place with `--lock PATH`".into()),
            Self::NoLock { .. } => Some("`greensand train` or `greensand eval` makes it".into()),
            Self::NoTool | Self::Run { .. } => {
                Some("install Python with pip 23 or newer, or uv, so that `python3 -m pip` or `uv` can be run".into())
            }
            Self::TooSlow { .. } => Some("try again; pip's own settings choose another index or a longer timeout".into()),
            Self::Builds { .. } => Some("name packages that come, with all that they need, as wheels from an index".into()),
            Self::Native { .. } => Some("name packages of pure Python, such as sympy, networkx or mpmath".into()),
            Self::Unresolved { offline: true, .. } => Some(
                "connect once to resolve the packages; with the lock file and the cache filled, no network is needed".into(),
            ),
            Self::NotFetched { offline: true, .. } => {
                Some("connect once to fetch them; after that they are in the cache, and no network is needed".into())
            }
            Self::Unresolved { .. } => Some("check the names and versions, and that pip reaches its index".into()),
            Self::NotFetched { .. } => {
                Some("if the index no longer has these versions, remove the lock file to resolve them anew".into())
            }
            Self::WrongHash { .. } => Some(
                "nothing was installed; find out why the index gives another file under that name before removing the lock \
                 file to accept it"
                    .into(),
            ),
            Self::BadWheel { .. } => Some("name another version of the package".into()),
            Self::Cache { .. } => Some("set GREENSAND_CACHE to a folder that can be written".into()),
        }
    }
}
