use std::path::PathBuf;

use super::SettingSource;

/// Settings that cannot be used. The message names the key and where it stands.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The project file could not be read.
    #[error("read the project file `{}`", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The project folder has no project file.
    #[error("`{}` has no project file `{}`", folder.display(), super::PROJECT_FILE)]
    NoProjectFile {
        /// The folder.
        folder: PathBuf,
    },
    /// The project file is not TOML.
    #[error("{}:{line}: not well-formed TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the reader stumbled over.
        reason: String,
    },
    /// A key that is no setting's.
    #[error("{place}: unknown setting `{key}`")]
    UnknownKey {
        /// Where it stands.
        place: SettingSource,
        /// The key.
        key: String,
        /// The known key that is most like it.
        nearest: Option<String>,
    },
    /// A value that is not of the kind of its setting.
    #[error("{place}: setting `{key}` must be {expected}, found {found}")]
    WrongValue {
        /// Where it stands.
        place: SettingSource,
        /// The key.
        key: String,
        /// What it may hold.
        expected: String,
        /// What it holds.
        found: String,
        /// The word that was meant, if one of those that may stand there is like it.
        nearest: Option<&'static str>,
    },
    /// A setting that is needed, given the others, and that nothing gives.
    #[error("setting `{key}` is missing: {reason}")]
    Missing {
        /// The key.
        key: String,
        /// Why it is needed.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// Two settings that exclude each other.
    #[error("{place}: setting `{key}` does not go with `{other}`: {reason}")]
    Conflict {
        /// Where the one stands.
        place: SettingSource,
        /// The one.
        key: &'static str,
        /// The other.
        other: &'static str,
        /// Why not.
        reason: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// An assignment of `--set` without its form.
    #[error("`{0}` is not of the form `key=value`")]
    NoAssignment(String),
}

impl SettingsError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoProjectFile { folder } => {
                Some(format!("`greensand init {}` writes a project file with every setting", folder.display()))
            }
            Self::UnknownKey { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::WrongValue { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownKey { nearest: None, .. } => {
                Some("`greensand init DIR` writes a project file with every setting".into())
            }
            Self::Missing { remedy, .. } => Some(remedy.clone()),
            Self::Conflict { remedy, .. } => Some((*remedy).to_owned()),
            Self::NoAssignment(_) => Some("write a key and its value, such as `training.epochs=5`".into()),
            Self::ReadFile { .. } | Self::Syntax { .. } | Self::WrongValue { nearest: None, .. } => None,
        }
    }
}
