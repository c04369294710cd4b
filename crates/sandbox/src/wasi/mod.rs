//! WASI with nothing granted: what a module that was made elsewhere may ask of its host.
//!
//! Output is the call's own, the clock is the call's own, randomness is the call's own; there are no arguments, no
//! environment, no files and no sockets. A sleep moves the call's clock and never waits for real, so no host function
//! can outlast the wall clock.
//!
//! `preview1` is what core modules import. It answers everything itself: without files there is nothing left for a
//! general implementation to do, and that one has had holes of its own. `preview2` is what components import; most of
//! it is `wasmtime-wasi` with an empty context.

mod no_sockets;
mod preview1;
mod preview2;

pub(crate) use preview1::link as link_preview1;
pub(crate) use preview2::{ComponentState, link as link_preview2};
