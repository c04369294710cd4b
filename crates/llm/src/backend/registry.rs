use std::sync::Arc;

use greensand_types::BoxFuture;

use super::openai_compatible::{self, OpenAiCompatible, OpenAiSettings};
use super::replay::{self, Replay, ReplaySettings};
use super::scripted::{self, Scripted, ScriptedSettings};
use crate::text::{nearest, quotable};
use crate::{ChatReply, ChatRequest, ConcurrencyReport, ModelError};

/// Something that continues a conversation: a model behind an endpoint, a script, a journal.
pub trait ModelBackend: Send + Sync {
    /// Returns what messages and reports call it, such as `openai_compatible gpt-4.1`.
    fn label(&self) -> String;

    /// Returns what a reply depends on beside the request: endpoint and model, or the script. A reply of one backend
    /// may stand for a reply of another of the same identity. It may be written down: there is no secret in it.
    fn identity(&self) -> String {
        self.label()
    }

    /// Returns what is known of the load of the endpoint; none where there is no endpoint.
    fn concurrency(&self) -> Option<ConcurrencyReport> {
        None
    }

    /// Returns the next message. Dropping the future abandons the request.
    ///
    /// Retries and deadlines are the backend's own; an error is final.
    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>>;
}

/// One backend of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendEntry {
    /// Its name in settings.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// The settings that it takes.
    pub settings: &'static [SettingEntry],
}

/// One setting of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingEntry {
    /// Its name.
    pub name: &'static str,
    /// What it means, with unit and default.
    pub summary: &'static str,
    /// Whether it must be given.
    pub is_required: bool,
}

/// Every backend.
pub static BACKENDS: &[BackendEntry] = &[openai_compatible::ENTRY, scripted::ENTRY, replay::ENTRY];

/// A name that is no backend's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown backend `{name}`: the known ones are {known}{}", suggestion(.nearest))]
pub struct UnknownBackendError {
    /// The name that was asked for.
    pub name: String,
    /// The known names, as a list for people.
    pub known: String,
    /// The known name that is most like it, if one is.
    pub nearest: Option<&'static str>,
}

fn suggestion(nearest: &Option<&'static str>) -> String {
    nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}

/// Finds a backend by its name.
///
/// # Errors
/// When no backend has the name; the error lists the known ones and names the nearest.
pub fn find_backend(name: &str) -> Result<&'static BackendEntry, UnknownBackendError> {
    BACKENDS.iter().find(|entry| entry.name == name).ok_or_else(|| UnknownBackendError {
        name: quotable(name, 80),
        known: BACKENDS.iter().map(|entry| format!("`{}`", entry.name)).collect::<Vec<_>>().join(", "),
        nearest: nearest(name, BACKENDS.iter().map(|entry| entry.name)),
    })
}

/// The resolved settings of one backend.
#[derive(Debug, Clone)]
pub enum BackendSettings {
    /// An HTTP endpoint that speaks chat completions.
    OpenAiCompatible(OpenAiSettings),
    /// Rules in a file.
    Scripted(ScriptedSettings),
    /// The replies of an earlier run.
    Replay(ReplaySettings),
}

impl BackendSettings {
    /// Returns the entry of the backend that they are for.
    pub fn entry(&self) -> &'static BackendEntry {
        match self {
            Self::OpenAiCompatible(_) => &openai_compatible::ENTRY,
            Self::Scripted(_) => &scripted::ENTRY,
            Self::Replay(_) => &replay::ENTRY,
        }
    }
}

/// Settings that make no backend.
#[derive(Debug, thiserror::Error)]
pub enum OpenBackendError {
    /// A setting is missing or cannot be used.
    #[error("setting `{setting}` of backend `{backend}`: {reason}")]
    BadSetting {
        /// The backend.
        backend: &'static str,
        /// The setting.
        setting: &'static str,
        /// Why, and what to give instead.
        reason: String,
    },
    /// The script has a mistake.
    #[error("{origin}:{line}: {reason}")]
    BadScript {
        /// Where the script came from, usually a file.
        origin: String,
        /// The line of the mistake, counted from 1.
        line: usize,
        /// What the mistake is.
        reason: String,
    },
    /// The HTTP client could not be made.
    #[error("set up the HTTP client: {0}")]
    Client(String),
}

/// Makes a backend from its settings. Nothing is sent yet.
///
/// # Errors
/// When a required setting is empty or malformed, or when a script has a mistake.
pub fn open_backend(settings: BackendSettings) -> Result<Arc<dyn ModelBackend>, OpenBackendError> {
    Ok(match settings {
        BackendSettings::OpenAiCompatible(settings) => Arc::new(OpenAiCompatible::open(settings)?),
        BackendSettings::Scripted(settings) => Arc::new(Scripted::open(settings)?),
        BackendSettings::Replay(settings) => Arc::new(Replay::open(settings)),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings_of_every_backend() -> [BackendSettings; 3] {
        [
            BackendSettings::OpenAiCompatible(OpenAiSettings::new("http://localhost:1/v1", "m")),
            BackendSettings::Scripted(ScriptedSettings {
                script: "format = 1".into(),
                origin: "s.toml".into(),
                latency: Duration::ZERO,
            }),
            BackendSettings::Replay(ReplaySettings { records: Vec::new(), origin: "run".into() }),
        ]
    }

    #[test]
    fn every_backend_is_listed_once_and_opens_under_its_name() {
        let settings = settings_of_every_backend();
        assert_eq!(BACKENDS.iter().collect::<Vec<_>>(), settings.each_ref().map(BackendSettings::entry));
        for settings in settings {
            let entry = settings.entry();
            assert_eq!(find_backend(entry.name), Ok(entry));
            assert!(!entry.summary.is_empty() && !entry.settings.is_empty());
            assert!(open_backend(settings).unwrap().label().starts_with(entry.name));
        }
    }

    #[test]
    fn an_unknown_backend_is_an_error_that_names_the_known_ones() {
        let known = "the known ones are `openai_compatible`, `scripted`, `replay`";
        for (name, expected) in [
            ("openai", format!("unknown backend `openai`: {known}")),
            ("Scriptd", format!("unknown backend `Scriptd`: {known}; did you mean `scripted`?")),
            ("", format!("unknown backend ``: {known}")),
        ] {
            assert_eq!(find_backend(name).unwrap_err().to_string(), expected);
        }
    }
}
