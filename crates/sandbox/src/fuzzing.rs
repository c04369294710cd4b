//! Doors for the targets in `fuzz/`: what reads bytes of a guest, of somebody's module, or of the cache folder.
//!
//! It exists only where `cfg(fuzzing)` is set, and checks what must hold for any bytes; a panic is a finding.

use std::sync::LazyLock;

use wasmtime::{Engine, Module};

use crate::call::{Form, Reply, Request};
use crate::engine;
pub use crate::image::fuzzing::look_up_entry;
pub use crate::module::fuzzing::inspect_module;
use crate::slot::audit;

/// Reads a reply out of the memory of a guest. Its parts must lie in that memory, one behind the other.
pub fn read_reply(memory: &[u8], packed: i64) {
    let Some(reply) = Reply::decode(memory, packed) else { return };
    let offset = |part: &[u8]| part.as_ptr().addr() - memory.as_ptr().addr();
    let end_of_message = offset(reply.message) + reply.message.len();
    assert!(end_of_message <= offset(reply.payload), "the message runs into the payload");
    assert!(offset(reply.payload) + reply.payload.len() <= memory.len(), "the payload runs out of the memory");
}

/// Lays a request out, and checks that every part of it stands where the contract says.
pub fn write_request(code: &[u8], entry: &[u8], arguments: &[u8], max_result: u64, seed: u64) {
    let request = Request { form: Form::Source, is_tagged: true, max_result, seed, code, entry, arguments };
    let bytes = request.encode().expect("parts that fit into 32 bits can be said");
    let (head, parts) = bytes.split_at(32);
    let field = |at: usize| u32::from_le_bytes(head[4 * at..4 * at + 4].try_into().expect("four bytes"));
    let lengths = [field(3), field(4), field(5)].map(|length| length as usize);
    assert_eq!(lengths, [code.len(), entry.len(), arguments.len()]);
    assert_eq!(field(2), u32::try_from(max_result).unwrap_or(u32::MAX));
    assert_eq!(head[24..], seed.to_le_bytes());
    assert_eq!(parts, [code, entry, arguments].concat());
}

/// Looks whether instances of a module may be used again. A module that passes must still be one.
pub fn audit_module(wasm: &[u8]) {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| engine::for_calls(1, 1).expect("the engine starts"));
    let is_valid = Module::validate(&ENGINE, wasm).is_ok();
    let audited = audit(wasm.to_vec());
    if is_valid {
        let checked = Module::validate(&ENGINE, &audited.module);
        assert!(checked.is_ok(), "the audit broke a module: {checked:?}");
    }
}
