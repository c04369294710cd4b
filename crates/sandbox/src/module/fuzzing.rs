//! The door to the first look at a module for `fuzz/`.

use std::sync::LazyLock;

use greensand_types::Limits;
use wasmtime::Linker;

use super::contract::Contract;
use super::inspect::inspect;
use crate::call::{CallState, guarded_store, link_contract};
use crate::engine;
use crate::wasi::link_preview1;

/// Looks at the bytes of a module as the host does before it has anything compiled.
pub fn inspect_module(wasm: &[u8]) {
    static CONTRACT: LazyLock<Contract> = LazyLock::new(|| contract().expect("the host functions link"));
    if let Err(refusal) = inspect(wasm, &CONTRACT) {
        assert!(!refusal.to_string().is_empty());
    }
}

fn contract() -> wasmtime::Result<Contract> {
    let engine = engine::for_calls(1, 1)?;
    let mut linker = Linker::new(&engine);
    link_contract(&mut linker)?;
    link_preview1(&mut linker)?;
    Ok(Contract::of(&linker, guarded_store(&engine, CallState::of_start(&Limits::DEFAULT, None))))
}
