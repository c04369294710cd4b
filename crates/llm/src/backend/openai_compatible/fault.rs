//! What one attempt can end in, and what a person is told about it when it was the last.

use std::error::Error;
use std::time::Duration;

use async_openai::error::OpenAIError;
use serde_json::Value;

use super::settings::{CheckedSettings, OpenAiSettings, Route};
use crate::limit::Observed;
use crate::text::quotable;
use crate::wire::WrongShape;
use crate::{ModelError, ModelErrorKind, TokenLimitField};

/// The longest quotation of what an endpoint said, in characters.
const MAX_QUOTE: usize = 300;

/// An attempt without a reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// No connection was made.
    #[error("no connection")]
    NoConnection(#[source] reqwest::Error),
    /// The connection broke before the answer was complete.
    #[error("broken connection")]
    Broken(#[source] reqwest::Error),
    /// The answer was not complete in time.
    #[error("timed out")]
    TimedOut,
    /// The request could not be built or sent at all.
    #[error("unsendable request: {0}")]
    Unsendable(String),
    /// The answer was not a success, by its status or by an error in its body.
    #[error("status {status}")]
    Refused { status: u16, asked_for: Option<Duration>, location: Option<String>, body: String },
    /// The answer is larger than may be read.
    #[error("more than {limit} bytes")]
    TooLarge { limit: usize },
    /// The answer is not what was asked for.
    #[error("{reason}")]
    WrongShape { reason: String, body: String },
}

impl Fault {
    pub(super) fn from_connection(error: reqwest::Error) -> Self {
        // An address may hold what should not be shown.
        let error = error.without_url();
        if error.is_builder() {
            Self::Unsendable(error.to_string())
        } else if error.is_connect() {
            // Also when it took too long: that is no slow model, but no server.
            Self::NoConnection(error)
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Broken(error)
        }
    }

    pub(super) fn from_body(fault: WrongShape) -> Self {
        match fault {
            WrongShape::Malformed(reason) => Self::WrongShape { reason, body: String::new() },
            WrongShape::Error { status: Some(status), body } => {
                Self::Refused { status, asked_for: None, location: None, body }
            }
            WrongShape::Error { status: None, body } => {
                Self::WrongShape { reason: "it holds an error".to_owned(), body }
            }
        }
    }

    /// How long the endpoint wants us to wait before the next attempt.
    pub(super) fn asked_for(&self) -> Option<Duration> {
        match self {
            Self::Refused { asked_for, .. } => *asked_for,
            Self::NoConnection(_)
            | Self::Broken(_)
            | Self::TimedOut
            | Self::Unsendable(_)
            | Self::TooLarge { .. }
            | Self::WrongShape { .. } => None,
        }
    }

    /// Says whether the request was under way when it failed, so that its reply may have been made and billed.
    pub(super) fn was_cut_off(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::TimedOut)
    }

    /// Says whether the same request may fare better.
    ///
    /// A complete answer of the wrong shape is not asked for again: it has been paid for, and would be as wrong.
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            Self::NoConnection(_) | Self::Broken(_) | Self::TimedOut => true,
            Self::Refused { status, body, .. } => match kind_of_refusal(*status, body) {
                ModelErrorKind::RateLimited => true,
                ModelErrorKind::Refused { status } => status == 408 || status >= 500,
                ModelErrorKind::QuotaSpent
                | ModelErrorKind::Authentication
                | ModelErrorKind::UnknownModel
                | ModelErrorKind::Unreachable
                | ModelErrorKind::TimedOut
                | ModelErrorKind::ContextOverflow
                | ModelErrorKind::BadReply
                | ModelErrorKind::Exhausted
                | ModelErrorKind::BudgetSpent => false,
            },
            Self::Unsendable(_) | Self::TooLarge { .. } | Self::WrongShape { .. } => false,
        }
    }

    /// Returns what it says of the load of the endpoint.
    pub(super) fn observed(&self) -> Observed {
        match self {
            Self::NoConnection(_) | Self::Broken(_) | Self::TimedOut => Observed::Faltered,
            Self::Refused { status, body, .. } if kind_of_refusal(*status, body) == ModelErrorKind::RateLimited => {
                Observed::RateLimited
            }
            Self::Refused { status: 408 | 500.., .. } => Observed::Faltered,
            Self::Refused { .. } | Self::Unsendable(_) | Self::TooLarge { .. } | Self::WrongShape { .. } => {
                Observed::Nothing
            }
        }
    }

    /// Tells a person about it.
    pub(super) fn into_error(self, attempts: u32, checked: &CheckedSettings) -> ModelError {
        let CheckedSettings { settings, endpoint, .. } = checked;
        let model = &settings.model;
        let tries = if attempts == 1 { String::new() } else { format!(" (after {attempts} attempts)") };
        match self {
            Self::NoConnection(error) => {
                let message = format!("no connection to `{endpoint}`{tries}: {}", root_cause(&error));
                ModelError::new(ModelErrorKind::Unreachable, message)
                    .before_sending()
                    .with_hint("check that the server runs and that `base_url` is right")
                    .caused_by(error)
            }
            Self::Broken(error) => {
                let cause = root_cause(&error);
                let message =
                    format!("the connection to `{endpoint}` broke before the reply was complete{tries}: {cause}");
                ModelError::new(ModelErrorKind::Unreachable, message).caused_by(error)
            }
            Self::TimedOut => {
                let seconds = settings.request_timeout.as_secs_f64();
                let message = format!("no reply of model `{model}` at `{endpoint}` within {seconds} s{tries}");
                ModelError::new(ModelErrorKind::TimedOut, message).with_hint("raise `request_timeout_s`")
            }
            // Address and headers were checked when the backend was opened: this is a request that no endpoint takes.
            Self::Unsendable(reason) => ModelError::new(
                ModelErrorKind::Refused { status: 400 },
                format!("the request cannot be sent: {reason}"),
            ),
            Self::Refused { status, asked_for, location, body } => {
                refusal(status, asked_for, location.as_deref(), &body, &tries, checked)
            }
            Self::TooLarge { limit } => {
                let message = format!("the reply of `{endpoint}` is larger than {limit} bytes");
                ModelError::new(ModelErrorKind::BadReply, message).with_hint(match checked.route {
                    Route::ChatCompletions => "set `max_tokens`, or raise `max_reply_bytes`",
                    Route::Embeddings => "raise `max_reply_bytes`",
                })
            }
            Self::WrongShape { reason, body } => {
                // The reason may quote the answer in its turn.
                let (reason, quote) = (harmless(reason, checked), quoted(&body, checked));
                let message = format!("the answer of `{endpoint}` is not {}: {reason}{quote}", checked.route.answer());
                ModelError::new(ModelErrorKind::BadReply, message).with_hint(match checked.route {
                    Route::ChatCompletions => {
                        "check that `base_url` is that of a chat-completions endpoint; it often ends in `/v1`"
                    }
                    Route::Embeddings => {
                        "check that `base_url` is that of an endpoint for embeddings, and `model` a model for them"
                    }
                })
            }
        }
    }
}

/// Gives a request up whose waits would pass its deadline.
pub(super) fn out_of_time(last: Option<Fault>, attempts: u32, checked: &CheckedSettings) -> ModelError {
    let Some(last) = last else {
        let CheckedSettings { settings, endpoint, .. } = checked;
        let seconds = settings.deadline.as_secs_f64();
        let message = format!("no reply of model `{}` at `{endpoint}` within {seconds} s", settings.model);
        return ModelError::new(ModelErrorKind::TimedOut, message).with_hint("raise `deadline_s`");
    };
    last.into_error(attempts, checked)
}

/// Gives a request up that the endpoint holds back for longer than its deadline.
pub(super) fn held_back(last: Option<Fault>, wait: Duration, attempts: u32, checked: &CheckedSettings) -> ModelError {
    if let Some(last) = last {
        return last.into_error(attempts, checked);
    }
    let seconds = wait.as_secs_f64().ceil();
    let message = format!("`{}` limits the rate of requests, and asked to wait {seconds} s more", checked.endpoint);
    ModelError::new(ModelErrorKind::RateLimited, message).with_hint("raise `deadline_s`, or go on later")
}

fn refusal(
    status: u16,
    asked_for: Option<Duration>,
    location: Option<&str>,
    body: &str,
    tries: &str,
    checked: &CheckedSettings,
) -> ModelError {
    let CheckedSettings { settings, endpoint, .. } = checked;
    let OpenAiSettings { model, api_key, api_key_env, .. } = settings;
    let quote = quoted(body, checked);
    let kind = kind_of_refusal(status, body);
    let (what, hint) = match kind {
        ModelErrorKind::RateLimited => {
            let wait = asked_for.map(|wait| format!(", and asks to wait {} s", wait.as_secs_f64())).unwrap_or_default();
            (
                format!("limits the rate of requests{wait}"),
                "lower `max_concurrency` or `--jobs`, or raise `deadline_s`".to_owned(),
            )
        }
        ModelErrorKind::QuotaSpent => (
            "says that the quota of the key is spent".to_owned(),
            "look at the account that the key belongs to".to_owned(),
        ),
        ModelErrorKind::Authentication if api_key.is_none() => (
            format!("wants a key, and `{api_key_env}` is not set"),
            format!("set the environment variable `{api_key_env}` to it"),
        ),
        ModelErrorKind::Authentication => (
            format!("refused the key of `{api_key_env}`"),
            format!("check the environment variable `{api_key_env}`, and that the key may use model `{model}`"),
        ),
        ModelErrorKind::UnknownModel => {
            (format!("has no model `{model}`"), "check `model`; many endpoints list theirs under `/models`".to_owned())
        }
        ModelErrorKind::ContextOverflow if checked.route == Route::Embeddings => (
            format!("says that a text is longer than the context of model `{model}`"),
            "lower `embeddings.max_text_bytes`".to_owned(),
        ),
        ModelErrorKind::ContextOverflow => (
            format!("says that the conversation is longer than the context of model `{model}`"),
            "lower `agent.prompt_tokens` (assistant) or `training.prompt_tokens` (optimizer), or `max_tokens`"
                .to_owned(),
        ),
        ModelErrorKind::Refused { .. }
        | ModelErrorKind::Unreachable
        | ModelErrorKind::TimedOut
        | ModelErrorKind::BadReply
        | ModelErrorKind::Exhausted
        | ModelErrorKind::BudgetSpent => {
            ("answered with an error".to_owned(), hint_for(status, location, &code_and_message(body).1, checked))
        }
    };
    let error = ModelError::new(kind, format!("`{endpoint}` {what} (status {status}){tries}{quote}"));
    if hint.is_empty() { error } else { error.with_hint(hint) }
}

fn hint_for(status: u16, location: Option<&str>, message: &str, checked: &CheckedSettings) -> String {
    if let (400 | 422, Some(hint)) = (status, hint_for_field(message, checked.settings.token_limit_field)) {
        return hint;
    }
    match (status, location) {
        (300..400, Some(location)) => {
            let location = harmless(location.to_owned(), checked);
            format!("redirects are not followed; if `{location}` is to be trusted, set `base_url` to it")
        }
        (403, _) => {
            let variable = &checked.settings.api_key_env;
            format!("the endpoint may refuse this request only; if it refuses every one, check the key in `{variable}`")
        }
        (404 | 405, _) => "check `base_url`; it often ends in `/v1`".to_owned(),
        (500.., _) => "the fault is the endpoint's; try again later".to_owned(),
        _ => String::new(),
    }
}

/// Names the setting behind a field that an endpoint does not take, as many do not for reasoning models.
fn hint_for_field(message: &str, token_limit_field: TokenLimitField) -> Option<String> {
    const REFUSALS: [&str; 9] = [
        "unsupported",
        "not support",
        "does not allow",
        "not allowed",
        "unknown",
        "unrecognized",
        "unexpected",
        "not permitted",
        "deprecated",
    ];
    let message = message.to_lowercase();
    if !REFUSALS.iter().any(|word| message.contains(word)) {
        return None;
    }
    let names = |field: &str| {
        let word = |c: char| !c.is_alphanumeric() && c != '_';
        message.split(word).any(|found| found == field)
    };
    let [max_tokens, max_completion_tokens] = TokenLimitField::ALL;
    // A refusal of one of the two often recommends the other.
    if names(token_limit_field.as_str()) {
        let other = if token_limit_field == max_tokens { max_completion_tokens } else { max_tokens };
        return Some(format!("set `token_limit_field` to \"{}\", or leave out `max_tokens`", other.as_str()));
    }
    if names("temperature") {
        return Some("leave out `temperature`: many reasoning models take none".to_owned());
    }
    if names("seed") {
        return Some("leave out the `seed` of the model".to_owned());
    }
    if names("tools") || names("tool") || message.contains("function call") {
        return Some("set `agent.protocol` (assistant) or `optimizer.protocol` to \"text\"".to_owned());
    }
    None
}

/// Decides what an error is about: the status first, then what the body says of a code.
fn kind_of_refusal(status: u16, body: &str) -> ModelErrorKind {
    let (code, message) = code_and_message(body);
    let message = message.to_lowercase();
    match status {
        401 => ModelErrorKind::Authentication,
        403 if speaks_of_access(&code) || speaks_of_access(&message) => ModelErrorKind::Authentication,
        402 => ModelErrorKind::QuotaSpent,
        429 if code == "insufficient_quota" => ModelErrorKind::QuotaSpent,
        429 => ModelErrorKind::RateLimited,
        413 => ModelErrorKind::ContextOverflow,
        400 | 422 | 500 if speaks_of_overflow(&code.to_lowercase(), &message) => ModelErrorKind::ContextOverflow,
        400..500 if code == "model_not_found" => ModelErrorKind::UnknownModel,
        404 if message.contains("model") => ModelErrorKind::UnknownModel,
        400 if message.contains("invalid model") => ModelErrorKind::UnknownModel,
        _ => ModelErrorKind::Refused { status },
    }
}

/// Says whether an error is that the conversation does not fit, in one of the spellings of servers.
fn speaks_of_overflow(code: &str, message: &str) -> bool {
    const CODES: [&str; 3] = ["context_length_exceeded", "exceed_context_size_error", "string_above_max_length"];
    const PHRASES: [&str; 13] = [
        "maximum context length",
        "context length exceeded",
        "exceeds the context",
        "exceed the context",
        "exceeds context",
        "exceeds the available context",
        "context window",
        "context size",
        "prompt is too long",
        "input is too long",
        "input is too large",
        "input token count",
        "too large for model",
    ];
    let is_limit_of_reply = message.starts_with("max_tokens") || message.starts_with("max_completion_tokens");
    CODES.contains(&code) || (!is_limit_of_reply && PHRASES.iter().any(|phrase| message.contains(phrase)))
}

/// Says whether a text is about who may ask, not about what was asked: some gateways answer 403 to a flagged text too.
fn speaks_of_access(text: &str) -> bool {
    const WORDS: [&str; 4] = ["auth", "key", "keys", "apikey"];
    const STEMS: [&str; 6] = ["authenti", "authori", "unauthenti", "unauthori", "permission", "credential"];
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| WORDS.contains(&word) || STEMS.iter().any(|stem| word.starts_with(stem)))
}

/// Finds code and message in the shapes that servers give their errors; a body of no such shape is its own message.
fn code_and_message(body: &str) -> (String, String) {
    let Ok(value) = serde_json::from_str::<Value>(body) else { return (String::new(), body.to_owned()) };
    let error = value.get("error").unwrap_or(&value);
    let text = |field| error.get(field).and_then(Value::as_str).map(str::to_owned);
    let message = text("message").or_else(|| text("detail")).or_else(|| error.as_str().map(str::to_owned));
    let code = text("code").or_else(|| text("type")).or_else(|| text("status"));
    (code.unwrap_or_default(), message.unwrap_or_else(|| body.to_owned()))
}

/// Quotes what an endpoint said, if it said anything.
fn quoted(body: &str, checked: &CheckedSettings) -> String {
    let message = harmless(code_and_message(body).1, checked);
    if message.is_empty() { message } else { format!(": {message}") }
}

/// Shortens and escapes a text of the endpoint, and takes the key out of it if it was so careless as to repeat it.
fn harmless(text: String, checked: &CheckedSettings) -> String {
    let text = match &checked.settings.api_key {
        Some(key) => text.replace(key.expose(), "[key]"),
        None => text,
    };
    quotable(&text, MAX_QUOTE)
}

fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    quotable(&cause.to_string(), MAX_QUOTE)
}

impl From<Fault> for OpenAIError {
    fn from(fault: Fault) -> Self {
        Self::Boxed(Box::new(fault))
    }
}

impl From<OpenAIError> for Fault {
    fn from(error: OpenAIError) -> Self {
        match error {
            OpenAIError::Boxed(fault) => match fault.downcast() {
                Ok(fault) => *fault,
                Err(other) => Self::Unsendable(other.to_string()),
            },
            OpenAIError::Reqwest(error) => Self::from_connection(error),
            OpenAIError::JSONDeserialize(error, body) => Self::WrongShape { reason: error.to_string(), body },
            other => Self::Unsendable(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiKey;

    fn checked(key: Option<&str>) -> CheckedSettings {
        let settings =
            OpenAiSettings { api_key: key.and_then(ApiKey::new), ..OpenAiSettings::new("http://h:8/v1", "m") };
        settings.check(Route::ChatCompletions).unwrap()
    }

    fn refused(status: u16, body: &str) -> Fault {
        Fault::Refused { status, asked_for: None, location: None, body: body.into() }
    }

    fn check(status: u16, body: &str, kind: ModelErrorKind, is_retryable: bool) {
        let fault = refused(status, body);
        assert_eq!(fault.is_retryable(), is_retryable, "{status} {body}");
        assert_eq!(fault.into_error(1, &checked(None)).kind(), kind, "{status} {body}");
    }

    #[test]
    fn a_status_decides_the_kind_and_whether_to_try_again() {
        check(400, "", ModelErrorKind::Refused { status: 400 }, false);
        check(401, "", ModelErrorKind::Authentication, false);
        check(402, "", ModelErrorKind::QuotaSpent, false);
        check(403, "", ModelErrorKind::Refused { status: 403 }, false);
        check(404, "page not found", ModelErrorKind::Refused { status: 404 }, false);
        check(408, "", ModelErrorKind::Refused { status: 408 }, true);
        check(429, "", ModelErrorKind::RateLimited, true);
        check(302, "", ModelErrorKind::Refused { status: 302 }, false);
        for status in [500, 502, 503, 504, 529] {
            check(status, "<html>", ModelErrorKind::Refused { status }, true);
        }
    }

    #[test]
    fn errors_of_every_dialect_are_understood() {
        let spent = r#"{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}"#;
        check(429, spent, ModelErrorKind::QuotaSpent, false);
        for body in [
            r#"{"error":{"message":"The model `m` does not exist","type":"invalid_request_error","code":"model_not_found"}}"#,
            r#"{"error":{"message":"model \"m\" not found, try pulling it first","type":"api_error"}}"#,
            r#"{"object":"error","message":"The model `m` does not exist.","type":"NotFoundError","code":404}"#,
            r#"{"error":"model 'm' not found"}"#,
        ] {
            check(404, body, ModelErrorKind::UnknownModel, false);
        }
        check(400, r#"{"error":{"message":"invalid model ID"}}"#, ModelErrorKind::UnknownModel, false);
        check(404, r#"{"detail":"Not Found"}"#, ModelErrorKind::Refused { status: 404 }, false);
    }

    #[test]
    fn status_403_is_about_the_key_only_if_it_says_so() {
        for body in [
            r#"{"error":{"message":"no","code":"invalid_api_key"}}"#,
            r#"{"error":{"message":"Key not allowed"}}"#,
            r#"{"error":{"message":"You are not authorized to use this model"}}"#,
            r#"{"error":{"message":"no","type":"authentication_error"}}"#,
            r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#,
            "missing credentials",
        ] {
            check(403, body, ModelErrorKind::Authentication, false);
        }
        for body in [
            r#"{"error":{"code":403,"message":"The model requires moderation and your input was flagged"}}"#,
            r#"{"error":{"message":"Blocked keyword of an author: monkey"}}"#,
            "<html><h1>403 Forbidden</h1></html>",
        ] {
            check(403, body, ModelErrorKind::Refused { status: 403 }, false);
        }
        let error = refused(403, "flagged").into_error(1, &checked(Some("sk-1")));
        assert!(!error.concerns_every_request(), "one flagged text says nothing of the next");
        assert!(error.hint().unwrap().contains("`OPENAI_API_KEY`"), "{:?}", error.hint());
    }

    #[test]
    fn a_refused_key_names_the_variable_to_set() {
        let error = refused(401, "").into_error(1, &checked(None));
        assert_eq!(error.to_string(), "`http://h:8` wants a key, and `OPENAI_API_KEY` is not set (status 401)");
        assert_eq!(error.hint(), Some("set the environment variable `OPENAI_API_KEY` to it"));
        let error = refused(401, "").into_error(1, &checked(Some("sk-1")));
        assert_eq!(error.to_string(), "`http://h:8` refused the key of `OPENAI_API_KEY` (status 401)");
        assert!(error.hint().unwrap().contains("check the environment variable `OPENAI_API_KEY`"));
        assert!(error.concerns_every_request());
    }

    #[test]
    fn what_an_endpoint_says_is_quoted_short_and_harmless() {
        let body = format!(r#"{{"error":{{"message":"bad key sk-1 \u001b[31m{}"}}}}"#, "x".repeat(10_000));
        let text = refused(401, &body).into_error(3, &checked(Some("sk-1"))).to_string();
        assert!(
            text.starts_with(
                r"`http://h:8` refused the key of `OPENAI_API_KEY` (status 401) (after 3 attempts): bad key [key] \u{1b}[31mxxx"
            )
        );
        assert!(text.chars().count() < 450 && text.ends_with('…'), "{text}");
    }

    #[test]
    fn a_redirect_is_told_not_followed() {
        let location = Some("http://elsewhere/v1".to_owned());
        let fault = Fault::Refused { status: 307, asked_for: None, location, body: String::new() };
        assert!(fault.into_error(1, &checked(None)).hint().unwrap().contains("`http://elsewhere/v1`"));
        let location = Some("http://elsewhere/v1?key=sk-1".to_owned());
        let fault = Fault::Refused { status: 307, asked_for: None, location, body: String::new() };
        let error = fault.into_error(1, &checked(Some("sk-1")));
        assert!(error.hint().unwrap().contains("`http://elsewhere/v1?key=[key]`"), "{:?}", error.hint());
    }

    #[test]
    fn an_exceeded_context_is_known_in_the_usual_dialects() {
        for (status, body) in [
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, you requested 9000 tokens","code":"context_length_exceeded"}}"#,
            ),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000","code":400}"#,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
            ),
            (500, r#"{"error":{"message":"the request exceeds the available context size. try increasing it"}}"#),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
            ),
            (
                400,
                r#"{"error":{"message":"The input token count (1200000) exceeds the maximum number of tokens allowed"}}"#,
            ),
            (
                400,
                r#"{"message":"Prompt contains 40000 tokens, too large for model with 32768 maximum context length"}"#,
            ),
            (422, r#"{"detail":"Input is too long for requested model."}"#),
            (413, "Request Entity Too Large"),
        ] {
            check(status, body, ModelErrorKind::ContextOverflow, false);
        }
        for (status, body) in [
            (
                400,
                r#"{"error":{"message":"max_tokens is too large: 99999. This model supports at most 16384 completion tokens"}}"#,
            ),
            (400, r#"{"error":{"message":"the tool schema is too long"}}"#),
            (401, r#"{"error":{"message":"maximum context length"}}"#),
        ] {
            let error = refused(status, body).into_error(1, &checked(None));
            assert_ne!(error.kind(), ModelErrorKind::ContextOverflow, "{body}");
        }
    }

    #[test]
    fn a_field_that_is_refused_is_told_by_its_setting() {
        for (message, hint) in [
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                Some("`token_limit_field` to \"max_completion_tokens\""),
            ),
            ("Unsupported value: 'temperature' does not support 0.0 with this model.", Some("leave out `temperature`")),
            ("`temperature` is deprecated for this model", Some("leave out `temperature`")),
            ("Unknown field: seed", Some("leave out the `seed`")),
            ("registry.local/gemma does not support tools", Some("`agent.protocol`")),
            ("temperature must be at most 2", None),
            ("bad schema", None),
        ] {
            let body = serde_json::json!({ "error": { "message": message } }).to_string();
            let error = refused(400, &body).into_error(1, &checked(None));
            assert_eq!(error.kind(), ModelErrorKind::Refused { status: 400 });
            match hint {
                Some(hint) => assert!(error.hint().is_some_and(|found| found.contains(hint)), "{:?}", error.hint()),
                None => assert_eq!(error.hint(), None, "{message}"),
            }
        }
    }
}
