//! The JavaScript guest's shim: QuickJS-NG behind the exports of the guest contract (`ABI.md`).
//!
//! - [`exports`] the `gs_*` functions; [`wire`] the request and the reply; [`host`] the imports
//! - [`engine`] QuickJS's C interface as owned values; [`realm`] starts it and keeps the intrinsics that the shim uses
//! - [`source`] compiles, [`call`] runs a function, [`jobs`] waits for promises, [`error`] words what was thrown
//! - [`parameters`] and [`documentation`] read what a function says of itself; [`json_in`] and [`json_out`] convert between JSON text
//!   and values without any code that a function could have replaced
//! - [`console`] and [`inspect`], [`globals`] and `bootstrap.js` are what a function finds beside the language
//! - with the feature `typescript`, [`typescript`] turns TypeScript into JavaScript first
//!
//! The modules that hold no value of the engine are also compiled and tested natively.

pub mod documentation;
pub mod lines;
pub mod number;
pub mod parameters;
pub mod scan;
pub mod text;
#[cfg(feature = "typescript")]
pub mod typescript;

#[cfg(target_family = "wasm")]
mod call;
#[cfg(target_family = "wasm")]
mod console;
#[cfg(target_family = "wasm")]
mod engine;
#[cfg(target_family = "wasm")]
mod error;
#[cfg(target_family = "wasm")]
mod exports;
#[cfg(target_family = "wasm")]
mod globals;
#[cfg(target_family = "wasm")]
mod host;
#[cfg(target_family = "wasm")]
mod inspect;
#[cfg(target_family = "wasm")]
mod jobs;
#[cfg(target_family = "wasm")]
mod json_in;
#[cfg(target_family = "wasm")]
mod json_out;
#[cfg(target_family = "wasm")]
mod memory;
#[cfg(target_family = "wasm")]
mod realm;
#[cfg(target_family = "wasm")]
mod source;
#[cfg(target_family = "wasm")]
mod wire;
