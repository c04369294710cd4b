//! The backends and how one is opened.
//!
//! [`BACKENDS`] is the list: one module beside this one and one line in it per backend. Settings files, help texts and
//! `doctor` read the list; [`open_backend`] makes a [`ModelBackend`] of resolved [`BackendSettings`]. A server that
//! speaks the chat-completions dialect needs no backend of its own, only another `base_url`.

mod openai_compatible;
mod registry;
mod replay;
mod scripted;

pub use openai_compatible::{OpenAiSettings, TokenLimitField, open_embeddings};
pub use registry::{
    BACKENDS, BackendEntry, BackendSettings, ModelBackend, OpenBackendError, SettingEntry, UnknownBackendError,
    find_backend, open_backend,
};
pub use replay::{RecordedReply, ReplaySettings};
pub use scripted::ScriptedSettings;
