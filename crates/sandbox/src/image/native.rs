//! Mapping native code: the only unsafe lines of the images.

use std::fs::File;
use std::io::{Read, Seek};

use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use super::make::NativeCode;

/// Native code whose file was found to hold exactly the bytes that this host once wrote.
///
/// Built by [`super::store`] only, after the digest of the open file has matched an entry whose keyed MAC matched.
pub(crate) struct VerifiedCode(File);

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
pub(crate) fn map(engine: &Engine, code: VerifiedCode) -> wasmtime::Result<Module> {
    // SAFETY: `deserialize_open_file` needs bytes that `Engine::precompile_module` wrote and that do not change while
    // they are mapped. `VerifiedCode` is made in one place, after the bytes behind this very descriptor were compared
    // with the digest in an entry that carries a MAC under the key of the cache folder; code enters such an entry
    // only as a [`NativeCode`]. Files of the cache are replaced by renaming and never written again, and their
    // folder (mode 0700) lets nobody but the user of this process open them.
    unsafe { Module::deserialize_open_file(engine, code.0) }
}

/// Loads code that was just compiled, when there is no cache to map it from.
///
/// # Errors
/// When the code does not fit this engine.
#[expect(unsafe_code, reason = "the code comes from the compiler of this process")]
pub(crate) fn load(engine: &Engine, code: &NativeCode) -> wasmtime::Result<Module> {
    // SAFETY: `deserialize` needs bytes that `Engine::precompile_module` wrote. [`NativeCode`] is made
    // from what that function returned, here or in the helper, and gives no way to change its bytes.
    unsafe { Module::deserialize(engine, code.bytes()) }
}

/// Reads verified code as a component.
///
/// # Errors
/// When the code cannot be read, or does not fit this engine.
#[expect(unsafe_code, reason = "mapping native code is what the cache is for, and only done with verified code")]
pub(crate) fn read_component(engine: &Engine, mut code: VerifiedCode) -> wasmtime::Result<Component> {
    let mut bytes = Vec::new();
    code.0.rewind()?;
    code.0.read_to_end(&mut bytes)?;
    // SAFETY: as in `map`, for `precompile_component`; the bytes are a copy that nobody else has.
    unsafe { Component::deserialize(engine, bytes) }
}

/// Loads a component that was just compiled, when there is no cache to read it from.
///
/// # Errors
/// When the code does not fit this engine.
#[expect(unsafe_code, reason = "the code comes from the compiler of this host")]
pub(crate) fn load_component(engine: &Engine, code: &NativeCode) -> wasmtime::Result<Component> {
    // SAFETY: as in `load`, for `precompile_component`.
    unsafe { Component::deserialize(engine, code.bytes()) }
}
