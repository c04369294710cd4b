//! Model backends: how the rest of Greensand asks a model for its next message.
//!
//! A [`ChatRequest`] goes to a [`ModelBackend`] and comes back as a [`ChatReply`], or as a [`ModelError`] that says
//! what kind of fault it was and what to do about it. Which backends there are stands in [`BACKENDS`]; [`open_backend`]
//! makes one from its [`BackendSettings`]. There is no default backend, endpoint or model: what the settings do not
//! name is an error, so that a conversation never goes to somebody whom nobody chose.
//!
//! An [`EmbeddingModel`] turns texts into vectors: [`open_embeddings`] makes one of the settings of an endpoint, and it shares
//! with the chats there whatever is not of the chats themselves.
//!
//! What a model says is checked for shape only. Call ids are unique and never empty in every [`ChatReply`]; function
//! names and arguments are as the model wrote them, and may be wrong. What to do about that is for `greensand-agent`
//! and `greensand-optimizer`; where keys and settings come from is for `greensand-app`.
//!
//! This is the only crate that opens outgoing connections.
//!
//! ```
//! use std::time::Duration;
//!
//! use greensand_llm::{BackendSettings, ChatRequest, Role, Sampling, ScriptedSettings, open_backend};
//! use greensand_types::Message;
//!
//! let script = r#"
//!     format = 1
//!     [[rule]]
//!     question = '(\d+) \+ 0'
//!     [rule.reply]
//!     text = 'The answer is ${1}'
//! "#;
//! let backend = open_backend(BackendSettings::Scripted(ScriptedSettings {
//!     script: script.to_owned(),
//!     origin: "example.toml".to_owned(),
//!     latency: Duration::ZERO,
//! }))?;
//! let request = ChatRequest {
//!     role: Role::Assistant,
//!     task: Some("sum-1".parse()?),
//!     turn: 0,
//!     epoch: 0,
//!     repeat: 0,
//!     functions: Vec::new(),
//!     messages: vec![Message::User { text: "What is 7 + 0?".to_owned() }],
//!     tools: Vec::new(),
//!     sampling: Sampling::default(),
//! };
//! let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! let reply = runtime.block_on(backend.chat(&request))?;
//! assert_eq!(reply.text, "The answer is 7");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod api_key;
mod backend;
mod embedding;
mod error;
mod limit;
mod reply;
mod request;
mod text;
mod text_calls;
mod wire;

pub use api_key::ApiKey;
pub use backend::{
    BACKENDS, BackendEntry, BackendSettings, ModelBackend, OpenAiSettings, OpenBackendError, RecordedReply,
    ReplaySettings, ScriptedSettings, SettingEntry, TokenLimitField, UnknownBackendError, find_backend, open_backend,
    open_embeddings,
};
pub use embedding::{EmbeddingModel, EmbeddingRequest, Embeddings};
pub use error::{ModelError, ModelErrorKind};
pub use limit::{ConcurrencyReport, LimitCause, LimitChange};
pub use reply::{ChatReply, FinishReason};
pub use request::{ChatRequest, Role, Sampling, ToolDefinition};
pub use text_calls::{CallShape, Flaw, TextCalls, UnreadableCall, read_text_calls};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
