use std::time::Duration;

use greensand_types::BoxFuture;

use super::{BackendEntry, ModelBackend, OpenBackendError, SettingEntry};
use crate::{ApiKey, ChatReply, ChatRequest, ModelError, ModelErrorKind};

pub(super) const ENTRY: BackendEntry = BackendEntry {
    name: "openai_compatible",
    summary: "an HTTP endpoint that speaks chat completions: hosted services, vLLM, Ollama, LM Studio, llama.cpp",
    settings: &[
        SettingEntry {
            name: "base_url",
            summary: "where it is, such as `http://localhost:11434/v1`; `/chat/completions` is added",
            is_required: true,
        },
        SettingEntry { name: "model", summary: "the model, as the endpoint names it", is_required: true },
        SettingEntry {
            name: "api_key_env",
            summary: "the environment variable that holds the key; none is needed where the endpoint wants none",
            is_required: false,
        },
        SettingEntry {
            name: "request_timeout_s",
            summary: "seconds for one attempt, from sending to the last byte; default 120",
            is_required: false,
        },
        SettingEntry {
            name: "connect_timeout_s",
            summary: "seconds for the connection; default 10",
            is_required: false,
        },
        SettingEntry {
            name: "deadline_s",
            summary: "seconds for a reply with all its retries and waits; default 600",
            is_required: false,
        },
        SettingEntry {
            name: "max_retries",
            summary: "attempts after the first, on 429, 5xx and broken connections; default 4",
            is_required: false,
        },
        SettingEntry {
            name: "token_limit_field",
            summary: "`max_tokens` (default) or `max_completion_tokens`, which newer hosted models want",
            is_required: false,
        },
        SettingEntry {
            name: "max_reply_bytes",
            summary: "the largest body that is read; default 16777216",
            is_required: false,
        },
        SettingEntry { name: "proxy", summary: "the URL of an HTTP proxy; default none", is_required: false },
    ],
};

/// How to reach an endpoint that speaks chat completions.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// Where the endpoint is; `/chat/completions` is added to it.
    pub base_url: String,
    /// The model, as the endpoint names it.
    pub model: String,
    /// The key; many local servers want none.
    pub api_key: Option<ApiKey>,
    /// The environment variable that the key came from or should come from; only named in hints.
    pub api_key_env: String,
    /// The most time for one attempt, from sending to the last byte. Default 120 s.
    pub request_timeout: Duration,
    /// The most time for the connection. Default 10 s.
    pub connect_timeout: Duration,
    /// The most time for a reply with all its retries and waits. Default 600 s.
    pub deadline: Duration,
    /// Attempts after the first. Default 4.
    pub max_retries: u32,
    /// The wait before the first retry; it doubles with each, up to 30 s, unless the endpoint says otherwise.
    /// Default 500 ms.
    pub first_backoff: Duration,
    /// How the limit of tokens is sent, if there is one. Default `max_tokens`.
    pub token_limit_field: TokenLimitField,
    /// The largest body that is read, in bytes. Default 16 MiB.
    pub max_reply_bytes: usize,
    /// The URL of an HTTP proxy. Default none; the environment is not asked.
    pub proxy: Option<String>,
}

impl OpenAiSettings {
    /// The settings of an endpoint and a model, everything else at its default.
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            model: model.into(),
            api_key: None,
            api_key_env: "OPENAI_API_KEY".to_owned(),
            request_timeout: Duration::from_secs(120),
            connect_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(600),
            max_retries: 4,
            first_backoff: Duration::from_millis(500),
            token_limit_field: TokenLimitField::MaxTokens,
            max_reply_bytes: 16 << 20,
            proxy: None,
        }
    }
}

/// The name under which the limit of tokens is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenLimitField {
    /// `max_tokens`: what nearly every server knows.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`: what newer hosted models want.
    MaxCompletionTokens,
}

impl TokenLimitField {
    /// Both names.
    pub const ALL: [Self; 2] = [Self::MaxTokens, Self::MaxCompletionTokens];

    /// Returns the name of the field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

pub(super) struct OpenAiCompatible {
    settings: OpenAiSettings,
}

impl OpenAiCompatible {
    pub(super) fn open(settings: OpenAiSettings) -> Result<Self, OpenBackendError> {
        Ok(Self { settings })
    }
}

impl ModelBackend for OpenAiCompatible {
    fn label(&self) -> String {
        format!("{} {}", ENTRY.name, self.settings.model)
    }

    fn chat<'a>(&'a self, _request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(async { Err(ModelError::new(ModelErrorKind::Unreachable, "not connected yet")) })
    }
}
