use super::SettingsError;

/// What flags say about settings. Of two for the same key, the later wins.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub(super) entries: Vec<Override>,
}

#[derive(Debug, Clone)]
pub(super) struct Override {
    pub(super) flag: String,
    pub(super) key: String,
    pub(super) text: String,
}

impl Overrides {
    /// Makes one that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a key the value that a flag has; the flag, with its dashes, is named in messages and in the manifest.
    pub fn flag(&mut self, flag: &str, key: &str, text: impl Into<String>) -> &mut Self {
        self.entries.push(Override { flag: flag.into(), key: key.into(), text: text.into() });
        self
    }

    /// Returns the keys that values are given to.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    /// Gives the assistant and the optimizer a model (`--model`).
    ///
    /// A project whose backend is a script or a replay then goes to the `openai_compatible` backend instead, unless a
    /// flag names a backend too: whoever asks for a model must never get a script. The environment's
    /// `GREENSAND_MODEL_MODEL` does the same.
    pub fn model(&mut self, model: &str) -> &mut Self {
        self.flag("--model", "model.model", model).flag("--model", "optimizer.model.model", model)
    }

    /// Gives the assistant and the optimizer a backend (`--backend`).
    pub fn backend(&mut self, backend: &str) -> &mut Self {
        self.flag("--backend", "model.backend", backend).flag("--backend", "optimizer.model.backend", backend)
    }

    /// Gives the assistant and the optimizer an endpoint (`--base-url`).
    pub fn base_url(&mut self, base_url: &str) -> &mut Self {
        self.flag("--base-url", "model.base_url", base_url).flag("--base-url", "optimizer.model.base_url", base_url)
    }

    /// Reads `key=value` (`--set`), for any key.
    ///
    /// # Errors
    /// When there is no `=`. Whether the key exists is for [`resolve`](super::resolve) to say.
    pub fn set(&mut self, assignment: &str) -> Result<&mut Self, SettingsError> {
        let Some((key, text)) = assignment.split_once('=') else {
            let shown = assignment.chars().take(80).flat_map(char::escape_debug).collect();
            return Err(SettingsError::NoAssignment(shown));
        };
        Ok(self.flag("--set", key.trim(), text.trim()))
    }
}
