use std::path::Path;
use std::time::SystemTime;

use greensand_llm::Role;

use super::recorded::{RecordedRunError, manifest_of, open_project};
use crate::equipment::{open_model, open_text_vectors};
use crate::settings::{Overrides, is_free, is_measuring, resolve_recorded};
use crate::spend::find_prices;
use crate::store::{ForkRecord, Manifest, ManifestSetting, RunFolder, RunWriter, StoreError};
use crate::{Environment, EquipmentError};

/// A run that cannot be forked so.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// The run cannot be read, or its settings cannot be used.
    #[error(transparent)]
    Recorded(#[from] RecordedRunError),
    /// A model of the new run does not open.
    #[error(transparent)]
    Equipment(#[from] EquipmentError),
    /// The new folder cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run has not come so far.
    #[error("run `{run}` has not come to step {at}: {}", told(*last))]
    TooFar {
        /// The run.
        run: String,
        /// The step that was asked for.
        at: u32,
        /// The last epoch that it decided on, if it did on any.
        last: Option<u32>,
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
            Self::Equipment(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::TooFar { last: Some(last), .. } => Some(format!("pass `--at` from 0 to {}", last + 1)),
            Self::TooFar { last: None, .. } => Some("pass `--at 0`: everything is measured anew".into()),
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
    let origin = manifest_of(&folder).map_err(RecordedRunError::from)?;
    if at > 0
        && let Some(key) = overrides.keys().find(|key| is_measuring(key))
    {
        return Err(ForkError::Measuring { key: key.into(), at });
    }
    let now = SystemTime::now();
    let mut manifest = manifest_of_fork(&folder, &origin, overrides, environment, at, now)?;
    let (former, chain) = before(&origin, at);
    let until_then = differences(&former, &manifest.settings);
    let forked_from = if at == 0 { None } else { chain };
    manifest.forked_from = Some(ForkRecord { run: folder.name(), at, until_then, forked_from });
    let runs_dir = Path::new(&origin.directory).join(runs_dir(&manifest));
    RunWriter::fork(&folder, at, &runs_dir, &manifest, now)?.ok_or_else(|| {
        let last = folder.last_epoch().ok().flatten();
        ForkError::TooFar { run: path.display().to_string(), at, last }
    })
}

fn told(last: Option<u32>) -> String {
    last.map_or_else(|| "it has decided on nothing".into(), |last| format!("its last epoch is {last}"))
}

/// Describes the new run. Tasks and models are opened for that, so that a fork that cannot go on is not made.
fn manifest_of_fork(
    folder: &RunFolder,
    origin: &Manifest,
    overrides: &Overrides,
    environment: &Environment,
    at: u32,
    now: SystemTime,
) -> Result<Manifest, ForkError> {
    let settings =
        resolve_recorded(folder, origin, &origin.settings, overrides, environment).map_err(RecordedRunError::from)?;
    let mut expected = origin.clone();
    if overrides.keys().any(|key| key.starts_with("tasks.")) {
        expected.tasks.clear();
    }
    // What is measured anew may be measured with other texts and packages, if that is what they were told to be.
    if at == 0 {
        (expected.instructions, expected.lock) = (None, None);
    }
    if overrides.keys().any(|key| key == "functions.packages") {
        expected.lock = None;
    }
    let label = |section, role| open_model(section, role, environment).map(|model| model.label());
    let assistant = label(&settings.assistant, Role::Assistant)?;
    let optimizer = label(&settings.optimizer, Role::Optimizer)?;
    settings.embeddings.as_ref().map(|section| open_text_vectors(section, environment)).transpose()?;
    // Prices stay with a run, unless the fork asks for another model.
    let is_priced_anew =
        overrides.keys().any(|key| key.contains("model.") || key.starts_with("embeddings.") || key == "budget.prices");
    let prices = match &origin.prices {
        Some(prices) if !is_priced_anew => prices.clone(),
        Some(_) | None => find_prices(&settings).map_err(EquipmentError::from)?,
    };
    let project = open_project(&expected, settings, folder)?;
    let manifest = Manifest::of(origin.kind, &project, assistant, optimizer, now).priced(prices);
    let (file, directory) = (origin.file.clone(), origin.directory.clone());
    // Another initial set takes the place of the one that the run was about.
    let is_about_another = overrides.keys().any(|key| key == "functions.initial");
    let about = origin.about.clone().filter(|_| !is_about_another);
    Ok(Manifest { file, directory, about, split: origin.split.clone(), ..manifest })
}

fn runs_dir(manifest: &Manifest) -> &str {
    let setting = manifest.settings.iter().find(|setting| setting.key == "project.runs");
    setting.and_then(|setting| setting.value.as_str()).unwrap_or("runs")
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
