//! Function sets from disk: named on the command line or in the settings, and let in by admission again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use greensand_optimizer::{AdmissionContext, AdmissionSettings, AdmitError, readmit};
use greensand_types::{FunctionRuntime, FunctionSet, Limits, Rejection};

use crate::batch::set_limit;
use crate::store::{ManifestSetting, RunFolder, StoreError, StoredSet, load_set};

/// Which set is meant: `empty`, a run folder (its best set), `RUN:SET`, or a folder of functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetSource {
    /// The set without functions.
    Empty,
    /// A set of a run: `best`, `initial`, an id or its beginning.
    Run {
        /// The run folder.
        folder: PathBuf,
        /// The set.
        set: String,
    },
    /// A folder of functions.
    Folder(PathBuf),
}

/// A function set that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Functions of it were refused.
    #[error("function set `{}` is not admitted: {}", path.display(), listed(rejections))]
    Refused {
        /// The folder of the set.
        path: PathBuf,
        /// Why not, for each function that was refused.
        rejections: Vec<Rejection>,
    },
    /// The set is not the one that was written.
    #[error("function set `{}` was changed after it was written: its id is {found}, not {expected}", path.display())]
    Changed {
        /// The folder of the set.
        path: PathBuf,
        /// The id that it was written under.
        expected: String,
        /// The id that it has.
        found: String,
    },
    /// The host failed while it was examined.
    #[error("examine function set `{}`", path.display())]
    Host {
        /// The folder of the set.
        path: PathBuf,
        /// Why.
        #[source]
        source: AdmitError,
    },
}

impl SetError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Refused { .. } => Some("mend the functions, or take them out of the folder".into()),
            Self::Changed { .. } | Self::Host { .. } => None,
        }
    }
}

fn listed(rejections: &[Rejection]) -> String {
    let one = |rejection: &Rejection| {
        let function = rejection.function.as_deref().unwrap_or("?");
        format!("`{function}` at gate `{}`: {}", rejection.gate.as_str(), rejection.reason)
    };
    rejections.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl SetSource {
    /// Reads what a person wrote: `empty`, `RUN`, `RUN:SET` or a folder.
    ///
    /// A path that exists is taken as a path, whatever is in it.
    pub fn parse(text: &str) -> Self {
        if text == "empty" {
            return Self::Empty;
        }
        let path = Path::new(text);
        if !path.exists()
            && let Some((folder, set)) = text.rsplit_once(':')
        {
            return Self::Run { folder: folder.into(), set: set.into() };
        }
        match RunFolder::open(path) {
            Ok(_) => Self::Run { folder: path.into(), set: "best".into() },
            Err(_) => Self::Folder(path.into()),
        }
    }

    /// Reads the set, without letting it in; for whoever only looks at it.
    ///
    /// # Errors
    /// When it does not exist, or is not what was written there.
    pub fn read(&self) -> Result<StoredSet, StoreError> {
        match self {
            Self::Empty => Ok(StoredSet { path: PathBuf::new(), id: None, parent: None, functions: Vec::new() }),
            Self::Run { folder, set } => RunFolder::open(folder)?.load_set(set),
            Self::Folder(folder) if !folder.is_dir() => Err(StoreError::Missing { path: folder.clone() }),
            Self::Folder(folder) => load_set(folder),
        }
    }

    /// Says whether the functions of the set may call each other, by the settings of the run that it is of.
    ///
    /// # Errors
    /// When it is a set of a run whose manifest cannot be read.
    pub fn may_call_each_other(&self) -> Result<bool, StoreError> {
        let settings = self.settings()?;
        let setting = settings.iter().find(|setting| setting.key == "functions.may_call_each_other");
        Ok(setting.is_some_and(|setting| setting.value == serde_json::Value::Bool(true)))
    }

    /// Returns the limits that the run of the set gave to its calls, beside the defaults of a language.
    ///
    /// # Errors
    /// When it is a set of a run whose manifest cannot be read.
    pub fn limits(&self, mut defaults: Limits) -> Result<Limits, StoreError> {
        for setting in self.settings()? {
            let name = setting.key.strip_prefix("limits.").unwrap_or_default();
            // Whatever stands there beside limits within their bounds is none.
            let _ = set_limit(&mut defaults, name, &setting.value.to_string());
        }
        Ok(defaults)
    }

    fn settings(&self) -> Result<Vec<ManifestSetting>, StoreError> {
        let Self::Run { folder, .. } = self else { return Ok(Vec::new()) };
        Ok(RunFolder::open(folder)?.manifest()?.settings)
    }

    /// Reads the set and lets it in: every function passes admission again.
    ///
    /// # Errors
    /// When it cannot be read, or a function does not pass.
    pub async fn load(
        &self,
        runtime: &dyn FunctionRuntime,
        settings: &AdmissionSettings,
    ) -> Result<LoadedSet, SetError> {
        let stored = self.read()?;
        let path = stored.path;
        let context = AdmissionContext { runtime, settings, train: &[], records: &[] };
        let readmitted = readmit(stored.functions, stored.parent, context)
            .await
            .map_err(|source| SetError::Host { path: path.clone(), source })?
            .map_err(|rejections| SetError::Refused { path: path.clone(), rejections })?;
        let found = readmitted.set.id();
        if let Some(expected) = stored.id.filter(|expected| *expected != found) {
            return Err(SetError::Changed { path, expected: expected.short(), found: found.short() });
        }
        Ok(LoadedSet { set: Arc::new(readmitted.set), warnings: readmitted.warnings })
    }
}

/// A set that may be used.
#[derive(Debug, Clone)]
pub struct LoadedSet {
    /// The set.
    pub set: Arc<FunctionSet>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}
