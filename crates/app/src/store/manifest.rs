use greensand_types::ContentId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::packages::LOCK_FILE;
use crate::project::{Project, TaskFileRecord};
use crate::settings::{SettingValue, Settings};
use crate::spend::Prices;

/// The number of the form of `manifest.json`.
pub const MANIFEST_FORMAT: u32 = 2;

/// The first format whose runs can be taken up again.
pub(super) const FIRST_RESUMABLE_FORMAT: u32 = 2;

/// What a run does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// It trains functions.
    #[default]
    Train,
    /// It measures a set on a split.
    Eval,
    /// It measures a set twice.
    Noise,
    /// It compares ways to use a model.
    Compare,
}

impl RunKind {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Eval => "eval",
            Self::Noise => "noise",
            Self::Compare => "compare",
        }
    }

    /// Says whether it trains functions, be it beside other work: it then has epochs and a best set.
    pub fn trains(self) -> bool {
        match self {
            Self::Train | Self::Compare => true,
            Self::Eval | Self::Noise => false,
        }
    }
}

/// What a run was started with: enough to know what its numbers mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// The format of the file.
    pub format: u32,
    /// What the run does.
    #[serde(default)]
    pub kind: RunKind,
    /// What the project is called.
    pub project: String,
    /// The project file.
    #[serde(default)]
    pub file: String,
    /// The folder that relative paths of the settings begin in.
    #[serde(default)]
    pub directory: String,
    /// When the run began, in UTC (RFC 3339).
    pub started: String,
    /// The version of the program.
    pub version: String,
    /// The command line.
    pub command: Vec<String>,
    /// The seed of the run.
    pub seed: u64,
    /// What the assistant's model is called.
    pub assistant: String,
    /// What the optimizer's model is called.
    pub optimizer: String,
    /// The language of the functions, with the version of its guest.
    pub language: String,
    /// Every setting with its source.
    pub settings: Vec<ManifestSetting>,
    /// The files of tasks.
    pub tasks: Vec<ManifestTaskFile>,
    /// What the models cost when the run began: what is spent is counted by this to the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// The id of the text that `agent.instructions` names, where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The id of the project's lock file, where its functions may use packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// The set that the run is about, where that was in its folder before anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The split that the run measures, where it was told to measure one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// The run that this one was forked from, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<ForkRecord>,
}

/// Where a run was forked from another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForkRecord {
    /// The run.
    pub run: String,
    /// The first epoch whose step is this run's own; 0 if even the initial set is measured anew.
    pub at: u32,
    /// The settings that are others from then on, with what they were until then; `null` where they had no value.
    pub until_then: Vec<ManifestSetting>,
    /// Where that run was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<Box<ForkRecord>>,
}

/// A setting of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestSetting {
    /// The key.
    pub key: String,
    /// The value.
    pub value: serde_json::Value,
    /// Where it came from.
    pub source: String,
}

/// A file of tasks of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestTaskFile {
    /// The split; none where the tasks were dealt out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// The file.
    pub path: String,
    /// The id of its bytes.
    pub digest: String,
    /// How many tasks it holds.
    pub tasks: usize,
}

/// Returns the id of what a file says; none where it cannot be read, which is for whoever uses it to say.
pub(crate) fn id_of_text(path: &std::path::Path) -> Option<String> {
    let text = std::fs::read(path).ok()?;
    Some(ContentId::of("text of a setting").field(&text).finish().to_string())
}

/// Returns the id of the lock file of a project whose functions may use packages.
pub(crate) fn lock_of(project: &Project) -> Option<String> {
    let uses_packages = !project.settings.functions.packages.is_empty();
    uses_packages.then(|| id_of_text(&project.root.join(LOCK_FILE))).flatten()
}

/// Returns the language of the functions, with the version of its guest.
pub(crate) fn language_of(settings: &Settings) -> String {
    let language = &settings.functions.language;
    let guest = crate::paths::guest(language).map_or(String::new(), |guest| format!(" ({})", guest.version));
    format!("{language}{guest}")
}

impl ForkRecord {
    /// Gives settings the values that they had before the fork.
    pub fn put_back(&self, settings: &mut Vec<ManifestSetting>) {
        for former in &self.until_then {
            settings.retain(|setting| setting.key != former.key);
            if !former.value.is_null() {
                settings.push(former.clone());
            }
        }
    }
}

impl Manifest {
    /// Says whether the run asks a model for the vectors of texts.
    pub(super) fn asks_for_embeddings(&self) -> bool {
        self.settings.iter().any(|setting| setting.key == "embeddings.model")
    }

    /// Adds what the models cost.
    #[must_use]
    pub fn priced(self, prices: Prices) -> Self {
        Self { prices: Some(prices), ..self }
    }

    /// Describes a run of a project that begins now, with models of these names.
    pub fn of(
        kind: RunKind,
        project: &Project,
        assistant: String,
        optimizer: String,
        started: std::time::SystemTime,
    ) -> Self {
        let settings = &project.settings;
        Self {
            format: MANIFEST_FORMAT,
            kind,
            project: settings.name.clone(),
            file: project.file.display().to_string(),
            directory: project.directory.display().to_string(),
            started: humantime::format_rfc3339_seconds(started).to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            command: project.command.clone(),
            seed: settings.training.seed,
            assistant,
            optimizer,
            language: language_of(settings),
            settings: settings.values().map(Into::into).collect(),
            tasks: project.tasks.files().iter().map(Into::into).collect(),
            prices: None,
            instructions: settings.agent.instructions.as_deref().and_then(id_of_text),
            lock: lock_of(project),
            about: None,
            split: None,
            forked_from: None,
        }
    }
}

impl From<SettingValue<'_>> for ManifestSetting {
    fn from(setting: SettingValue<'_>) -> Self {
        Self { key: setting.key.into(), value: setting.value, source: setting.source.to_string() }
    }
}

impl From<&TaskFileRecord> for ManifestTaskFile {
    fn from(file: &TaskFileRecord) -> Self {
        Self {
            split: file.split.map(|split| split.to_string()),
            path: file.path.display().to_string(),
            digest: file.digest.to_string(),
            tasks: file.tasks,
        }
    }
}
