//! Settings: `defaults.toml`, then the project file, then the environment, then flags; the last that gives a value wins.
//!
//! [`resolve`] is the only place where they meet. It returns [`Settings`], plain values for everything below, which
//! also remember where each came from ([`Settings::values`]), so that a manifest can say so. Keys and kinds stand in
//! `keys`, one list for every layer; meanings and defaults stand in `defaults.toml`, the text that `init` writes too.
//!
//! A key that is no setting's, and a value that is not of its kind, is an error that names the place and the nearest
//! known key. Secrets are no settings: a setting names the environment variable that holds one.

mod build;
mod error;
mod keys;
mod layer;
mod overrides;
mod resolved;
mod schema;
mod source;
mod value;

pub use error::SettingsError;
#[cfg(test)]
pub(crate) use keys::INSTANCES;
pub(crate) use keys::{is_free, is_measuring};
pub use overrides::Overrides;
pub use resolved::{
    AgentSection, BudgetSection, EmbeddingsSection, FunctionsSection, LimitsSection, ModelSection, SandboxSection,
    ScorerSection, SettingValue, Settings, Share, SplitSection, TaskFiles, TasksSection, TrainingSection,
};
pub(crate) use schema::project_schema;
pub use source::SettingSource;

use std::path::{Component, Path, PathBuf};

use crate::Environment;
use crate::store::{Manifest, ManifestSetting, RunFolder};
use keys::Kind;
use layer::TomlOrigin;

/// The defaults with their comments, as a project file.
pub const DEFAULTS: &str = include_str!("../../defaults.toml");

/// What the project file is called in a project folder.
pub const PROJECT_FILE: &str = "greensand.toml";

/// A project file that was read, or the lack of one.
#[derive(Debug, Clone)]
pub struct ProjectSource {
    /// The project folder, which paths of the file are relative to.
    pub root: PathBuf,
    /// The project file.
    pub file: PathBuf,
    /// What it says.
    pub text: String,
}

impl ProjectSource {
    /// Reads the project file of a folder, or a project file by its own path.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let file = if path.is_dir() { path.join(PROJECT_FILE) } else { path.to_owned() };
        let text = std::fs::read_to_string(&file).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound if path.is_dir() => SettingsError::NoProjectFile { folder: path.to_owned() },
            _ => SettingsError::ReadFile { path: file.clone(), source },
        })?;
        let root = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self { root, file, text: text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text) })
    }
}

/// Merges every layer into the settings of a project.
///
/// # Errors
/// When a layer has an unknown key or a value of the wrong kind, when settings exclude each other, or when one is
/// missing that the others need.
pub fn resolve(
    project: &ProjectSource,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<Settings, SettingsError> {
    let mut values = layer::read_toml(DEFAULTS, TomlOrigin::Defaults, &project.root)?;
    values.extend(layer::read_toml(&project.text, TomlOrigin::File(&project.file), &project.root)?);
    values.extend(layer::read_environment(environment)?);
    values.extend(layer::read_overrides(overrides, environment, &values)?);
    build::build(values, &project.root)
}

/// Makes the settings of a run again, from its manifest. The project file, which may be another one by now, and the environment are
/// not asked.
///
/// # Errors
/// When the manifest or a flag has an unknown key or a value of the wrong kind.
pub(crate) fn resolve_recorded(
    folder: &RunFolder,
    manifest: &Manifest,
    settings: &[ManifestSetting],
    overrides: &Overrides,
    environment: &Environment,
) -> Result<Settings, SettingsError> {
    let directory = PathBuf::from(&manifest.directory);
    let mut values = layer::read_toml(DEFAULTS, TomlOrigin::Defaults, &directory)?;
    values.extend(layer::read_recorded(folder.path(), settings, &directory)?);
    values.extend(layer::read_overrides(overrides, environment, &values)?);
    let file = directory.join(&manifest.file);
    build::build(values, file.parent().unwrap_or(&directory))
}

/// Gives the paths among recorded settings that lie in a folder the place of another folder. All of them come to be absolute.
pub(crate) fn move_paths(settings: &mut [ManifestSetting], directory: &Path, from: &Path, to: &Path) {
    let from = &without_detours(from);
    let moved = |value: &mut serde_json::Value| {
        let Some(path) = value.as_str().map(|path| without_detours(&directory.join(path))) else { return };
        let path = path.strip_prefix(from).map_or_else(|_| path.clone(), |rest| to.join(rest));
        *value = path.display().to_string().into();
    };
    for setting in settings {
        match keys::find(&setting.key).map(|key| key.kind) {
            Some(Kind::Path) => moved(&mut setting.value),
            Some(Kind::PathList) => match setting.value.as_array_mut() {
                Some(paths) => paths.iter_mut().for_each(moved),
                None => moved(&mut setting.value),
            },
            _ => {}
        }
    }
}

/// Returns a path without `.` and `..`, by its words alone.
fn without_detours(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
        path
    })
}

#[cfg(test)]
mod tests;
