//! Modules that somebody brings, before anything compiles them: any bytes are refused in words, or pass.

#![no_main]

use greensand_sandbox::fuzzing::{audit_module, inspect_module};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|wasm: &[u8]| {
    inspect_module(wasm);
    audit_module(wasm);
});
