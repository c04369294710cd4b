//! Reads Rust sources inside the sandbox, so that no untrusted text is parsed on the host.
//!
//! It keeps the guest contract (`ABI.md`) as the *front* of a compiled language: `gs_describe` answers from the source
//! alone, and the compiled form that `gs_prepare` returns is a *plan*: the files that are to be compiled, as JSON. It
//! runs nothing.

mod entry;
mod plan;
mod source;
mod wire;

use wire::{Reply, Request};

/// There is nothing to start: the image is the module as it is.
#[unsafe(no_mangle)]
extern "C" fn gs_init() {}

#[unsafe(no_mangle)]
extern "C" fn gs_alloc(len: u32) -> u32 {
    wire::alloc(len)
}

#[unsafe(no_mangle)]
extern "C" fn gs_prepare(pointer: u32, len: u32) -> u64 {
    answer(pointer, len, |request| {
        let source = source::read(request.code)?;
        let entry = match request.entry {
            "" => None,
            name => Some(entry::find(&source, name)?),
        };
        Ok(plan::of(&source, entry.as_ref()))
    })
}

#[unsafe(no_mangle)]
extern "C" fn gs_describe(pointer: u32, len: u32) -> u64 {
    answer(pointer, len, |request| Ok(entry::find(&source::read(request.code)?, request.entry)?.description()))
}

#[unsafe(no_mangle)]
extern "C" fn gs_invoke(pointer: u32, len: u32) -> u64 {
    answer(pointer, len, |_| Err(Reply::bad_entry("a source that is not compiled cannot be called")))
}

#[unsafe(no_mangle)]
extern "C" fn gs_run(pointer: u32, len: u32) -> u64 {
    answer(pointer, len, |_| Err(Reply::bad_entry("Rust has no scripts: name a function to call")))
}

fn answer(pointer: u32, len: u32, work: impl FnOnce(&Request<'_>) -> Result<String, Reply>) -> u64 {
    // SAFETY: the host hands over the range that it has just filled, in room of `gs_alloc`.
    let request = unsafe { std::slice::from_raw_parts(pointer as *const u8, len as usize) };
    let reply = match Request::read(request) {
        Some(request) => work(&request).map_or_else(|reply| reply, Reply::returned),
        None => Reply::bad_source("the request is malformed"),
    };
    reply.leak()
}
