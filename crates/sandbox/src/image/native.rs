//! Mapping native code: the only unsafe lines of the crate.

use std::fs::File;

use wasmtime::{Engine, Module};

use super::make::NativeCode;

/// Native code whose file was found to hold exactly the bytes that this host once wrote.
///
/// Built by [`super::store`] only, after the digest of the open file has matched an entry whose keyed MAC matched.
pub(super) struct VerifiedCode(File);

impl VerifiedCode {
    /// Takes a file for verified.
    pub(super) fn new(file: File) -> Self {
        Self(file)
    }
}

/// Maps verified code as a module.
///
/// # Errors
/// When the code does not fit this engine.
#[expect(unsafe_code, reason = "mapping native code is what the cache is for, and only done with verified code")]
pub(super) fn map(engine: &Engine, code: VerifiedCode) -> wasmtime::Result<Module> {
    // SAFETY: `deserialize_open_file` needs bytes that `Engine::precompile_module` wrote and that do not change while
    // they are mapped. `VerifiedCode` is made in one place, after the bytes behind this very descriptor were compared
    // with the digest in an entry that carries a MAC under the key of the cache folder; code enters such an entry
    // only from `precompile_module`. Files of the cache are replaced by renaming and never written again, and their
    // folder (mode 0700) lets nobody but the user of this process open them.
    unsafe { Module::deserialize_open_file(engine, code.0) }
}

/// Loads code that was just compiled, when there is no cache to map it from.
///
/// # Errors
/// When the code does not fit this engine.
#[expect(unsafe_code, reason = "the code comes from the compiler of this process")]
pub(super) fn load(engine: &Engine, code: &NativeCode) -> wasmtime::Result<Module> {
    // SAFETY: `deserialize` needs bytes that `Engine::precompile_module` wrote. `NativeCode` is made in one place,
    // from what that function returned, and gives no way to change its bytes.
    unsafe { Module::deserialize(engine, code.bytes()) }
}
