use std::fmt;
use std::path::PathBuf;

/// Where the value of a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingSource {
    /// `defaults.toml`, which is compiled in.
    Default,
    /// A line of the project file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// The manifest of a run.
    Run {
        /// The run folder.
        folder: PathBuf,
    },
    /// A flag.
    Flag {
        /// The flag, with its dashes.
        flag: String,
    },
}

impl fmt::Display for SettingSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Environment { variable } => write!(formatter, "environment variable {variable}"),
            Self::Run { folder } => write!(formatter, "run {}", folder.display()),
            Self::Flag { flag } => write!(formatter, "flag {flag}"),
        }
    }
}
