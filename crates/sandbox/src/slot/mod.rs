//! Guests that are used again: after a call, everything that it could change is put back.

mod audit;

pub use audit::Recycling;
pub(crate) use audit::{Audited, audit};
