use serde::{Deserialize, Serialize};

use crate::project::Project;

/// The number of the form of `manifest.json`.
pub const MANIFEST_FORMAT: u32 = 1;

/// What a run was started with: enough to know what its numbers mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the file.
    pub format: u32,
    /// What the project is called.
    pub project: String,
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
}

/// A setting of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestSetting {
    /// The key.
    pub key: String,
    /// The value.
    pub value: serde_json::Value,
    /// Where it came from.
    pub source: String,
}

/// A file of tasks of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

impl Manifest {
    /// Describes a run of a project that begins now, with models of these names.
    pub fn of(project: &Project, assistant: String, optimizer: String, started: std::time::SystemTime) -> Self {
        let settings = &project.settings;
        let language = &settings.functions.language;
        let guest = crate::paths::guest(language).map_or(String::new(), |guest| format!(" ({})", guest.version));
        Self {
            format: MANIFEST_FORMAT,
            project: settings.name.clone(),
            started: humantime::format_rfc3339_seconds(started).to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            command: project.command.clone(),
            seed: settings.training.seed,
            assistant,
            optimizer,
            language: format!("{language}{guest}"),
            settings: settings
                .values()
                .map(|setting| ManifestSetting {
                    key: setting.key.into(),
                    value: setting.value,
                    source: setting.source.to_string(),
                })
                .collect(),
            tasks: project
                .tasks
                .files()
                .iter()
                .map(|file| ManifestTaskFile {
                    split: file.split.map(|split| split.to_string()),
                    path: file.path.display().to_string(),
                    digest: file.digest.to_string(),
                    tasks: file.tasks,
                })
                .collect(),
        }
    }
}
