//! The wire formats of chat completions and embeddings: our values as JSON bodies, and their JSON bodies as our values.
//!
//! Writing is strict: whatever the conversation holds, the body is one that every endpoint takes. Reading is
//! tolerant: what servers are known to leave out, spell differently or repeat is put right, and what has no sensible
//! reading is refused with a reason. Nothing here knows of HTTP.

mod embeddings;
mod reply;
mod request;

pub(crate) use embeddings::{EmbeddingList, embedding_body};
pub(crate) use reply::{Completion, WrongShape, with_unique_ids};
pub(crate) use request::{request_body, request_text};
