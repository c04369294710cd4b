use std::time::Duration;

use greensand_types::BoxFuture;

use super::{BackendEntry, ModelBackend, OpenBackendError, SettingEntry};
use crate::{ChatReply, ChatRequest, ModelError, ModelErrorKind};

pub(super) const ENTRY: BackendEntry = BackendEntry {
    name: "scripted",
    summary: "rules in a file: the first that matches a request answers it; needs no key and no network",
    settings: &[
        SettingEntry { name: "script", summary: "the file with the rules (TOML)", is_required: true },
        SettingEntry {
            name: "latency_ms",
            summary: "milliseconds before each reply, for benchmarks; default what the script says, or 0",
            is_required: false,
        },
    ],
};

/// A script and how it is played.
#[derive(Debug, Clone)]
pub struct ScriptedSettings {
    /// The text of the script.
    pub script: String,
    /// Where it came from, for messages.
    pub origin: String,
    /// The time before each reply that names none itself; zero means what the script says.
    pub latency: Duration,
}

pub(super) struct Scripted {
    origin: String,
}

impl Scripted {
    pub(super) fn open(settings: ScriptedSettings) -> Result<Self, OpenBackendError> {
        Ok(Self { origin: settings.origin })
    }
}

impl ModelBackend for Scripted {
    fn label(&self) -> String {
        format!("{} {}", ENTRY.name, self.origin)
    }

    fn chat<'a>(&'a self, _request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(async { Err(ModelError::new(ModelErrorKind::Exhausted, "no rule")) })
    }
}
