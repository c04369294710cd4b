use std::path::{Path, PathBuf};
use std::sync::Arc;

use greensand_agent::{OpenScorerError, open_scorer};
use greensand_types::FunctionRuntime;

use super::eras::Eras;
use crate::packages::LOCK_FILE;
use crate::project::{Project, Split, TaskSetError, TaskSets};
use crate::settings::{Overrides, Settings, SettingsError, is_free, move_paths, resolve_recorded};
use crate::spend::{Ledger, find_prices};
use crate::store::{Manifest, RunFolder, StoreError, id_of_text, language_of, lock_of};
use crate::{Environment, Equipment, EquipmentError};

/// A run that is in its folder, with the project as it was when the run began: settings from the manifest, tasks from the
/// files that it names.
#[derive(Debug, Clone)]
pub struct RecordedRun {
    /// The folder.
    pub folder: RunFolder,
    /// What it was started with.
    pub manifest: Manifest,
    /// The project, with the settings of the run.
    pub project: Project,
    /// The settings that it had before an epoch, the earliest first.
    earlier: Vec<(u32, Settings)>,
}

/// A run that cannot be done again.
#[derive(Debug, thiserror::Error)]
pub enum RecordedRunError {
    /// Its folder cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A setting was given that would make another run of it.
    #[error("setting `{key}` decides what a run does, and run `{run}` was begun without it")]
    Fixed {
        /// The setting.
        key: String,
        /// The run.
        run: String,
    },
    /// Its scorer does not open.
    #[error("open the scorer of the run")]
    Scorer(#[from] OpenScorerError),
    /// Its tasks cannot be used.
    #[error(transparent)]
    Tasks(#[from] TaskSetError),
    /// A file of tasks, that of the instructions, or the lock file of packages is another one.
    #[error("`{path}` was changed since run `{run}` began")]
    Changed {
        /// The file.
        path: String,
        /// The run.
        run: String,
    },
}

impl RecordedRunError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Settings(error) => error.hint(),
            Self::Fixed { key, run } => {
                Some(format!("`greensand fork {run} --set {key}=..` begins a run from it that has the setting"))
            }
            Self::Changed { .. } => Some("put the file back as it was, or train anew with the new one".into()),
            Self::Scorer(_) | Self::Tasks(_) => None,
        }
    }
}

impl RecordedRun {
    /// Reads a run to take it up again, or to replay it. Of the settings, only those may be given that decide how fast, how
    /// long and for how much money it may work, not what comes out.
    ///
    /// # Errors
    /// When the folder is none of a run, or its tasks are others by now.
    pub fn open(path: &Path, overrides: &Overrides, environment: &Environment) -> Result<Self, RecordedRunError> {
        let folder = RunFolder::open(path)?;
        let manifest = manifest_of(&folder)?;
        if let Some(key) = overrides.keys().find(|key| !is_free(key)) {
            return Err(RecordedRunError::Fixed { key: key.into(), run: path.display().to_string() });
        }
        let mut earlier = Vec::new();
        let (mut settings, mut fork) = (manifest.settings.clone(), manifest.forked_from.as_ref());
        while let Some(record) = fork {
            // At 0 nothing was done under other settings.
            if record.at == 0 {
                break;
            }
            record.put_back(&mut settings);
            earlier.push((record.at, resolve_recorded(&folder, &manifest, &settings, overrides, environment)?));
            fork = record.forked_from.as_deref();
        }
        earlier.reverse();
        let settings = resolve_recorded(&folder, &manifest, &manifest.settings, overrides, environment)?;
        let project = open_project(&manifest, settings, &folder)?;
        Ok(Self { folder, manifest, project, earlier })
    }

    /// Says what else may come out otherwise than when the run began, though nothing of it was changed.
    pub(super) fn doubts(&self) -> Vec<String> {
        let (version, language) = (env!("CARGO_PKG_VERSION"), language_of(&self.project.settings));
        let changed = |what: &str, was: &str, is: &str| {
            (was != is).then(|| {
                format!("the run was begun with {what}{was}, and this is {what}{is}: a line may come out otherwise")
            })
        };
        let doubts =
            [changed("greensand ", &self.manifest.version, version), changed("", &self.manifest.language, &language)];
        doubts.into_iter().flatten().collect()
    }

    /// Returns the split that the run was told to measure.
    ///
    /// # Errors
    /// When its manifest names none, or none that there is.
    pub(super) fn split(&self) -> Result<Split, StoreError> {
        let named = self.manifest.split.as_deref().map(str::parse);
        named.and_then(Result::ok).ok_or_else(|| self.folder.damaged_manifest("it names no split to measure"))
    }

    /// Opens what the run works with, epoch by epoch.
    ///
    /// # Errors
    /// As [`Equipment::open`].
    pub fn equipment(
        &self,
        runtime: &Arc<dyn FunctionRuntime>,
        environment: &Environment,
    ) -> Result<Eras, EquipmentError> {
        let ledger = Arc::new(self.ledger()?);
        let open = |settings: &Settings| {
            let project = Project { settings: settings.clone(), ..self.project.clone() };
            Equipment::open_with(&project, Arc::clone(runtime), environment, &ledger)
        };
        let mut settings = self.earlier.iter().map(|(_, settings)| settings).chain([&self.project.settings]);
        let mut eras = Eras::one(open(settings.next().unwrap_or(&self.project.settings))?);
        for ((until, _), settings) in self.earlier.iter().zip(settings) {
            eras = eras.then(*until, open(settings)?);
        }
        Ok(eras)
    }

    /// Opens the ledger of the run: at the prices that it began with, and the caps of now.
    fn ledger(&self) -> Result<Ledger, EquipmentError> {
        let settings = &self.project.settings;
        let prices = match &self.manifest.prices {
            Some(prices) => prices.clone(),
            None => find_prices(settings)?,
        };
        Ok(Ledger::new(settings.budget.caps, prices))
    }
}

/// Reads the manifest of a run.
///
/// Where the project file is no longer where it was, and the run lies in a folder that has one of that name, the project was moved:
/// its paths are then those of there.
pub(super) fn manifest_of(folder: &RunFolder) -> Result<Manifest, StoreError> {
    let mut manifest = folder.manifest()?;
    let directory = PathBuf::from(&manifest.directory);
    let file = directory.join(&manifest.file);
    let (Some(from), Some(name), false) = (file.parent(), file.file_name(), file.exists()) else {
        return Ok(manifest);
    };
    let run = folder.path().canonicalize().unwrap_or_else(|_| folder.path().to_owned());
    // A project that lost its file is still where it was.
    if run.starts_with(from.canonicalize().unwrap_or_else(|_| from.to_owned())) {
        return Ok(manifest);
    }
    let Some(to) = run.ancestors().skip(1).find(|folder| folder.join(name).is_file()) else { return Ok(manifest) };
    move_paths(&mut manifest.settings, &directory, from, to);
    let mut fork = manifest.forked_from.as_mut();
    while let Some(record) = fork {
        move_paths(&mut record.until_then, &directory, from, to);
        fork = record.forked_from.as_deref_mut();
    }
    Ok(Manifest { file: name.to_string_lossy().into_owned(), directory: to.display().to_string(), ..manifest })
}

fn path_text(folder: &RunFolder) -> String {
    folder.path().display().to_string()
}

/// Reads the tasks of a run, which must be those that it was begun with, as must its instructions and its packages.
pub(super) fn open_project(
    manifest: &Manifest,
    settings: Settings,
    folder: &RunFolder,
) -> Result<Project, RecordedRunError> {
    let changed = |path: &Path| RecordedRunError::Changed { path: path.display().to_string(), run: path_text(folder) };
    let instructions = settings.agent.instructions.as_deref();
    if manifest.instructions.is_some() && instructions.and_then(id_of_text) != manifest.instructions {
        return Err(changed(instructions.unwrap_or(Path::new(""))));
    }
    let scorer = open_scorer(&settings.scorer.name, &settings.scorer.options)?;
    let tasks = TaskSets::read(&settings.tasks, scorer.as_ref())?;
    for (was, is) in manifest.tasks.iter().zip(tasks.files()) {
        if was.digest != is.digest.to_string() {
            return Err(changed(&is.path));
        }
    }
    let file = std::path::PathBuf::from(&manifest.directory).join(&manifest.file);
    let root = file.parent().map_or_else(|| manifest.directory.clone().into(), std::path::Path::to_owned);
    let directory = manifest.directory.clone().into();
    let project = Project { root, file, directory, settings, tasks, command: Vec::new() };
    if manifest.lock.is_some() && lock_of(&project) != manifest.lock {
        return Err(changed(&project.root.join(LOCK_FILE)));
    }
    Ok(project)
}
