use std::path::Path;
use std::time::SystemTime;

use super::recorded::{RecordedRunError, open_project};
use crate::Environment;
use crate::settings::{Overrides, is_free, is_measuring, resolve_recorded};
use crate::store::{ForkRecord, Manifest, ManifestSetting, RunFolder, RunWriter, StoreError};

/// A run that cannot be forked so.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// The run cannot be read, or its settings cannot be used.
    #[error(transparent)]
    Recorded(#[from] RecordedRunError),
    /// The new folder cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run has not come so far.
    #[error("run `{run}` has not come to step {at}: its last epoch is {last}")]
    TooFar {
        /// The run.
        run: String,
        /// The step that was asked for.
        at: u32,
        /// The last epoch that it decided on.
        last: u32,
    },
    /// A setting that decides how tasks are scored cannot change in the middle.
    #[error(
        "setting `{key}` decides how tasks are scored, and scores from before and after step {at} would not compare"
    )]
    Measuring {
        /// The setting.
        key: String,
        /// The step.
        at: u32,
    },
}

impl ForkError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Recorded(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::TooFar { last, .. } => Some(format!("pass `--at` from 0 to {}", last + 1)),
            Self::Measuring { .. } => {
                Some("pass `--at 0`: everything is measured anew, and what was asked alike costs nothing".into())
            }
        }
    }
}

/// Makes a new run folder that holds what a run did before a step, with other settings from that step on. The run itself stays
/// as it is; [`resume`](super::resume) goes on with the new one. Replies that the run has paid for are not asked for again.
///
/// At 0 nothing is taken over but those replies and outcomes: even the initial set is measured anew.
///
/// # Errors
/// When the run has not come to that step, a setting does not exist, or one that decides how tasks are scored would change in
/// the middle.
pub fn fork(path: &Path, at: u32, overrides: &Overrides, environment: &Environment) -> Result<RunFolder, ForkError> {
    let folder = RunFolder::open(path).map_err(RecordedRunError::from)?;
    let mut manifest = folder.manifest().map_err(RecordedRunError::from)?;
    if at > 0
        && let Some(key) = overrides.keys().find(|key| is_measuring(key))
    {
        return Err(ForkError::Measuring { key: key.into(), at });
    }
    let settings = resolve_recorded(&folder, &manifest, &manifest.settings, overrides, environment)
        .map_err(RecordedRunError::from)?;
    let runs_dir = settings.runs_dir.clone();
    let values: Vec<ManifestSetting> = settings.values().map(Into::into).collect();
    // The tasks are read, so that a fork that cannot go on is not made.
    let tasks_changed = overrides.keys().any(|key| key.starts_with("tasks."));
    let mut checked = manifest.clone();
    if tasks_changed {
        checked.tasks.clear();
    }
    let project = open_project(&checked, settings, &folder)?;
    let (former, chain) = before(&manifest, at);
    let until_then = differences(&former, &values);
    let forked_from = if at == 0 { None } else { chain };
    let now = SystemTime::now();
    manifest.forked_from = Some(ForkRecord { run: folder.name(), at, until_then, forked_from });
    manifest.settings = values;
    manifest.tasks = project.tasks.files().iter().map(Into::into).collect();
    manifest.started = humantime::format_rfc3339_seconds(now).to_string();
    RunWriter::fork(&folder, at, &runs_dir, &manifest, now)?.ok_or_else(|| {
        let last = folder.last_epoch().unwrap_or(0);
        ForkError::TooFar { run: path.display().to_string(), at, last }
    })
}

/// Returns the settings that a run had just before a step, and the forks that came before it.
fn before(manifest: &Manifest, at: u32) -> (Vec<ManifestSetting>, Option<Box<ForkRecord>>) {
    let mut settings = manifest.settings.clone();
    let mut chain = manifest.forked_from.clone().map(Box::new);
    while let Some(fork) = chain.take_if(|fork| fork.at >= at) {
        fork.put_back(&mut settings);
        chain = fork.forked_from;
    }
    (settings, chain)
}

/// Returns what settings were that are others now; a value of `null` stands for none.
fn differences(former: &[ManifestSetting], now: &[ManifestSetting]) -> Vec<ManifestSetting> {
    let value = |settings: &[ManifestSetting], key: &str| {
        settings.iter().find(|setting| setting.key == key).map(|setting| setting.value.clone())
    };
    let changed = former.iter().filter(|setting| value(now, &setting.key).as_ref() != Some(&setting.value));
    let added = now.iter().filter(|setting| value(former, &setting.key).is_none());
    let none = added.map(|setting| ManifestSetting { value: serde_json::Value::Null, ..setting.clone() });
    changed.cloned().chain(none).filter(|setting| !is_free(&setting.key)).collect()
}
