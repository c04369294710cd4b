use std::path::{Path, PathBuf};

use greensand_agent::{OpenScorerError, open_scorer};

use super::{TaskSetError, TaskSets};
use crate::Environment;
use crate::settings::{Overrides, ProjectSource, Settings, SettingsError, resolve};

/// A project that was read: settings and tasks, checked.
#[derive(Debug, Clone)]
pub struct Project {
    /// The project folder.
    pub root: PathBuf,
    /// The project file.
    pub file: PathBuf,
    /// The settings.
    pub settings: Settings,
    /// The folder that relative paths of the settings begin in: the current folder when the project was opened.
    pub directory: PathBuf,
    /// The tasks.
    pub tasks: TaskSets,
    /// The command line that is at work, for the manifest. It holds no secret: no flag takes one.
    pub command: Vec<String>,
}

/// A project that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is nothing at the path.
    #[error("there is no project at `{}`", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Its settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Its scorer does not open.
    #[error("open the scorer, settings `scorer.name` and `scorer.options`")]
    Scorer(#[from] OpenScorerError),
    /// Its tasks cannot be used.
    #[error(transparent)]
    Tasks(#[from] TaskSetError),
}

impl ProjectError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { path } => Some(format!("`greensand init {}` makes one", path.display())),
            Self::Settings(error) => error.hint(),
            Self::Scorer(_) | Self::Tasks(_) => None,
        }
    }
}

/// Reads a project: a folder with a project file, or a project file by its own path.
///
/// ```
/// use greensand_app::{Environment, Overrides, Split, open_project, write_project};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// write_project(folder)?;
/// let mut overrides = Overrides::new();
/// overrides.flag("--epochs", "training.epochs", "5");
/// let project = open_project(folder, &overrides, &Environment::of([], folder))?;
/// assert_eq!(project.settings.training.epochs, 5);
/// assert_eq!(project.tasks.get(Split::Train).len(), 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When there is no project, or its settings or tasks cannot be used; the error names file, line and key.
pub fn open_project(path: &Path, overrides: &Overrides, environment: &Environment) -> Result<Project, ProjectError> {
    if !path.exists() {
        return Err(ProjectError::Missing { path: path.to_owned() });
    }
    let source = ProjectSource::read(path)?;
    let settings = resolve(&source, overrides, environment)?;
    let scorer = open_scorer(&settings.scorer.name, &settings.scorer.options)?;
    let tasks = TaskSets::read(&settings.tasks, scorer.as_ref())?;
    let directory = environment.current_dir().to_owned();
    Ok(Project { root: source.root, file: source.file, directory, settings, tasks, command: Vec::new() })
}
