//! What the suites in `tests/` share.

pub mod chat_server;
pub mod compilers;
pub mod languages;
