//! The Python guest's shim: CPython behind the exports of the guest contract (`ABI.md`).
//!
//! CPython itself is not compiled here. The builder links this crate with CPython's shared libraries into
//! one module, and every function exported here replaces the libc function of the same name, so
//! that the guest needs nothing but the `greensand` imports.
//!
//! - [`exports`] the `gs_*` functions; [`wire`] the request and the reply
//! - [`interpreter`] starts CPython, [`host_module`] is the host as Python code sees it; [`source`] compiles; [`call`] runs a function; [`error`] words what it raised
//! - [`json_in`] and [`json_out`] convert between JSON text and Python objects without Python code, which a
//!   function could have patched
//! - [`libc`], [`files`] and [`sockets`] stand in for the operating system; [`python`] declares the C API
//!
//! The modules that hold no Python object ([`scan`], [`text`]) are also compiled and tested natively.

#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

pub mod scan;
pub mod text;

#[cfg(target_family = "wasm")]
mod call;
#[cfg(target_family = "wasm")]
mod error;
#[cfg(target_family = "wasm")]
mod exports;
#[cfg(target_family = "wasm")]
mod files;
#[cfg(target_family = "wasm")]
mod host;
#[cfg(target_family = "wasm")]
mod host_module;
#[cfg(target_family = "wasm")]
mod interpreter;
#[cfg(target_family = "wasm")]
mod json_in;
#[cfg(target_family = "wasm")]
mod json_out;
#[cfg(target_family = "wasm")]
mod libc;
#[cfg(target_family = "wasm")]
mod memory;
#[cfg(target_family = "wasm")]
mod python;
#[cfg(target_family = "wasm")]
mod sockets;
#[cfg(target_family = "wasm")]
mod source;
#[cfg(target_family = "wasm")]
mod wire;
