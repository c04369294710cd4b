//! The conversation loop, driven by a list of replies and a list of outcomes.

mod solve;
mod support;
