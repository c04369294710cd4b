//! Functions that were compiled once: the compiled forms that guests made, kept for the calls to come.
//!
//! [`Prepared`] is what a guest's `gs_prepare` gave for one source and entry: a compiled form, or the reason why there
//! is none. [`PreparedCache`] keeps them by content within a bound of bytes, the least recently used ones go first.
//!
//! Only what every call would find is kept. The compiler gets no arguments, no grants and always the same seed, and
//! whatever a limit, a trap or a cancellation had a hand in is not kept: such a call goes on from its source. What the
//! compiler wrote is part of the result, and is written again in every call, so that a call from the compiled form has the
//! outcome of one from source. A form is opaque and untrusted: it goes back to a guest for the same source only.

mod cache;
mod form;

pub use cache::PreparedUse;
pub(crate) use cache::{PreparedCache, PreparedKey};
pub(crate) use form::{Preparation, Prepared};
