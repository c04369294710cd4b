//! The exports of the guest contract.

use crate::call;
use crate::interpreter;
use crate::libc;
use crate::memory;
use crate::wire::{Kind, Reply, Request};

#[unsafe(no_mangle)]
extern "C" fn gs_init() {
    libc::begin_call();
    if cfg!(feature = "compiler") {
        interpreter::start_compiler();
    } else {
        interpreter::start();
    }
}

#[unsafe(no_mangle)]
extern "C" fn gs_alloc(length: usize) -> *mut u8 {
    memory::room(length)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gs_prepare(request: *const u8, length: usize) -> u64 {
    unsafe { answer(request, length, |_, request| call::prepare(request)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gs_describe(request: *const u8, length: usize) -> u64 {
    unsafe { answer(request, length, call::describe) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gs_invoke(request: *const u8, length: usize) -> u64 {
    unsafe { answer(request, length, call::invoke) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gs_run(request: *const u8, length: usize) -> u64 {
    unsafe { answer(request, length, call::run) }
}

/// # Safety
/// `request` points to `length` bytes that nothing changes any more.
unsafe fn answer(
    request: *const u8,
    length: usize,
    with: impl FnOnce(&interpreter::Interpreter, &Request<'static>) -> Reply,
) -> u64 {
    libc::begin_call();
    let request = Request::read(unsafe { core::slice::from_raw_parts(request, length) });
    let reply = match (interpreter::running(), request) {
        (Some(interpreter), Some(request)) => with(interpreter, &request),
        (None, _) => Reply::new(Kind::BadSource, "the interpreter was not started"),
        (_, None) => Reply::new(Kind::BadSource, "the request's lengths do not fit"),
    };
    reply.send()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gs_compile(request: *const u8, length: usize) -> u64 {
    match Request::read(unsafe { core::slice::from_raw_parts(request, length) }) {
        Some(request) => call::compile_file(&request).send(),
        None => Reply::new(Kind::BadSource, "the request's lengths do not fit").send(),
    }
}
