//! Endpoints that speak chat completions or embeddings over HTTP: hosted services, vLLM, Ollama, LM Studio, llama.cpp.
//!
//! - `settings` is what a person chooses, with the checks of it;
//! - `backend` asks for chat completions, `embeddings` for vectors;
//! - `client` is what they share: the loop of attempts under one deadline, through the gate of the endpoint;
//! - `transport` is the HTTP side of one attempt, plugged in below `async-openai`;
//! - `fault` is what one attempt can end in, and what a person is told about it;
//! - `retry` says how long to wait before the next attempt.
//!
//! Closed by default: no endpoint, model, key or proxy is taken from anywhere but the settings, redirects are not
//! followed, and at most `max_reply_bytes` of an answer are read. What this does not cover: an endpoint named `http://`
//! gets the key in clear text, as local servers want it.

mod backend;
mod client;
mod embeddings;
mod fault;
mod retry;
mod settings;
mod transport;

pub(super) use backend::OpenAiCompatible;
pub use embeddings::open_embeddings;
pub(super) use settings::ENTRY;
pub use settings::{OpenAiSettings, TokenLimitField};
