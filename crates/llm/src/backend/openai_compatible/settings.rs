use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::{ApiKey, BackendEntry, OpenBackendError, SettingEntry};

pub(crate) const ENTRY: BackendEntry = BackendEntry {
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
            summary: "seconds for a reply with all its retries and their waits, from when it is first sent; default 600",
            is_required: false,
        },
        SettingEntry {
            name: "max_retries",
            summary: "attempts after the first, on 429, 5xx and broken connections; default 4",
            is_required: false,
        },
        SettingEntry {
            name: "max_concurrency",
            summary: "the most requests under way at the endpoint, whatever it takes; default 256",
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
    /// Where the endpoint is; `/chat/completions` is added to it, or `/embeddings`.
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
    /// The most time for a reply with all its retries and their waits, from when it is first sent. Default 600 s.
    pub deadline: Duration,
    /// Attempts after the first. Default 4.
    pub max_retries: u32,
    /// Whether a request is sent again here whose last attempt may have been billed, because it was cut off in flight. Default
    /// `true`; whoever counts what is sent does it itself, and counts each.
    pub resends_billed: bool,
    /// The wait before the first retry; it doubles with each, up to 30 s, unless the endpoint says otherwise.
    /// Default 500 ms.
    pub first_backoff: Duration,
    /// The most requests under way at the endpoint; below it the limit adapts. Default 256.
    ///
    /// All backends of one endpoint and key share the limit, and the smallest bound of theirs counts.
    pub max_concurrency: u32,
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
            resends_billed: true,
            first_backoff: Duration::from_millis(500),
            max_concurrency: 256,
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

/// What an endpoint is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    ChatCompletions,
    Embeddings,
}

impl Route {
    const ALL: [Self; 2] = [Self::ChatCompletions, Self::Embeddings];

    /// Returns what is added to the base of the address.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Embeddings => "/embeddings",
        }
    }

    /// Returns what a good answer is called.
    pub(super) fn answer(self) -> &'static str {
        match self {
            Self::ChatCompletions => "a chat completion",
            Self::Embeddings => "a list of embeddings",
        }
    }
}

/// The settings of an endpoint after every check.
#[derive(Debug)]
pub(super) struct CheckedSettings {
    pub(super) settings: OpenAiSettings,
    pub(super) route: Route,
    /// The whole address that requests go to.
    pub(super) address: Url,
    /// What messages call the endpoint: scheme, host and port.
    pub(super) endpoint: String,
    /// `Authorization`, where there is a key.
    pub(super) authorization: Option<HeaderValue>,
}

impl OpenAiSettings {
    /// Checks the settings; nothing is filled in for what is missing.
    pub(super) fn check(mut self, route: Route) -> Result<CheckedSettings, OpenBackendError> {
        self.model = self.model.trim().to_owned();
        if self.model.is_empty() {
            return Err(bad("model", "name a model, as the endpoint names it; there is no default"));
        }
        if self.model.chars().any(char::is_control) {
            return Err(bad("model", "a model name has no control characters"));
        }
        let address = address(&self.base_url, route)?;
        for (name, time) in [
            ("request_timeout_s", self.request_timeout),
            ("connect_timeout_s", self.connect_timeout),
            ("deadline_s", self.deadline),
        ] {
            if time.is_zero() || time > LONGEST_WAIT {
                return Err(bad(name, "give a time above 0 and of at most a day"));
            }
        }
        if self.max_concurrency == 0 {
            return Err(bad("max_concurrency", "give a number above 0"));
        }
        if self.max_reply_bytes == 0 {
            return Err(bad("max_reply_bytes", "give a size above 0"));
        }
        let authorization = self.api_key.as_ref().map(|key| self.authorization(key)).transpose()?;
        let endpoint = address.origin().ascii_serialization();
        Ok(CheckedSettings { settings: self, route, address, endpoint, authorization })
    }

    fn authorization(&self, key: &ApiKey) -> Result<HeaderValue, OpenBackendError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose())).map_err(|_| {
            bad("api_key_env", format!("the key in `{}` has characters that no key has", self.api_key_env))
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

fn address(base_url: &str, route: Route) -> Result<Url, OpenBackendError> {
    let base_url = base_url.trim();
    if base_url.is_empty() {
        return Err(bad("base_url", "name an endpoint, such as `http://localhost:11434/v1`; there is no default"));
    }
    // The text is not quoted in the reasons: it may hold a password.
    let mut url = Url::parse(base_url).map_err(|error| bad("base_url", format!("not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(bad("base_url", "give an `http` or `https` URL with a host, such as `http://localhost:11434/v1`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("base_url", "leave out user and password; the key comes from an environment variable"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("base_url", "leave out what follows `?` or `#`"));
    }
    let path = url.path().trim_end_matches('/');
    // The whole address of a route is taken for its base: also that of the chats, which embeddings may be asked beside.
    let path = Route::ALL.iter().find_map(|route| path.strip_suffix(route.path())).unwrap_or(path);
    let path = format!("{path}{}", route.path());
    url.set_path(&path);
    Ok(url)
}

fn bad(setting: &'static str, reason: impl Into<String>) -> OpenBackendError {
    OpenBackendError::BadSetting { backend: ENTRY.name, setting, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(settings: OpenAiSettings) -> String {
        settings.check(Route::ChatCompletions).unwrap_err().to_string()
    }

    #[test]
    fn the_path_is_added_to_every_spelling_of_the_base() {
        for (base, expected) in [
            ("http://localhost:11434/v1", "http://localhost:11434/v1"),
            ("http://localhost:11434/v1/", "http://localhost:11434/v1"),
            ("http://localhost", "http://localhost"),
            (" https://h/a/v1/chat/completions\n", "https://h/a/v1"),
            ("https://h/a/v1/embeddings/", "https://h/a/v1"),
        ] {
            for route in Route::ALL {
                let checked = OpenAiSettings::new(base, "m").check(route).unwrap();
                assert_eq!(checked.address.as_str(), format!("{expected}{}", route.path()));
            }
        }
    }

    #[test]
    fn there_is_no_default_model_or_endpoint() {
        assert!(refusal(OpenAiSettings::new("http://h/v1", " ")).contains("setting `model`"));
        assert!(refusal(OpenAiSettings::new("", "m")).contains("setting `base_url`"));
    }

    #[test]
    fn addresses_that_could_mislead_are_refused_without_being_quoted() {
        for base in [
            "h",
            "localhost:80",
            "ftp://h/",
            "http://",
            "http://me:secret@h/v1",
            "http://h/v1?key=secret",
            "file:///etc",
        ] {
            let refusal = refusal(OpenAiSettings::new(base, "m"));
            assert!(refusal.contains("setting `base_url`") && !refusal.contains("secret"), "{base}: {refusal}");
        }
    }

    #[test]
    fn waits_are_bounded_and_never_zero() {
        for wait in [Duration::ZERO, Duration::MAX] {
            let settings = OpenAiSettings { deadline: wait, ..OpenAiSettings::new("http://h/v1", "m") };
            assert!(refusal(settings).contains("setting `deadline_s`"));
        }
    }

    #[test]
    fn a_key_that_no_header_can_hold_is_refused_without_being_quoted() {
        let settings =
            OpenAiSettings { api_key: ApiKey::new("sk-\nsecret"), ..OpenAiSettings::new("http://h/v1", "m") };
        let refusal = refusal(settings);
        assert!(refusal.contains("`OPENAI_API_KEY`") && !refusal.contains("secret"), "{refusal}");
    }

    #[test]
    fn keys_do_not_show_in_debug_text() {
        let settings = OpenAiSettings { api_key: ApiKey::new("sk-secret"), ..OpenAiSettings::new("http://h/v1", "m") };
        assert!(!format!("{settings:?}").contains("secret"));
        assert!(!format!("{:?}", settings.check(Route::ChatCompletions).unwrap()).contains("secret"));
    }
}
