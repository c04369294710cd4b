//! The exports of the guest contract.

use crate::call;
use crate::memory;
use crate::realm;
use crate::wire::{Kind, Reply, Request};

#[unsafe(no_mangle)]
extern "C" fn gs_init() {
    std::panic::set_hook(Box::new(|panic| {
        let note = format!("the guest failed: {panic}\n");
        crate::host::write(crate::host::STDERR, note.as_bytes());
    }));
    realm::start();
    warm_up();
}

#[unsafe(no_mangle)]
extern "C" fn gs_alloc(length: usize) -> *mut u8 {
    memory::room(length)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gs_prepare(request: *const u8, length: usize) -> u64 {
    unsafe { answer(request, length, call::prepare) }
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
unsafe fn answer(request: *const u8, length: usize, with: impl FnOnce(&Request<'static>) -> Reply) -> u64 {
    let request = Request::read(unsafe { core::slice::from_raw_parts(request, length) });
    let reply = match request {
        Some(request) => {
            realm::begin_call(request.seed);
            with(&request)
        }
        None => Reply::new(Kind::BadSource, "the request's lengths do not fit"),
    };
    reply.send()
}

/// Runs the path of a call some times before the snapshot, so that its tables have grown and its pages are settled.
///
/// The source declares nothing: what a script declares would stay in the realm.
fn warm_up() {
    const SOURCE: &str = "({ f(a, b) { const m = new Map([[a, b]]); console.debug('%s', [a, { b }]); \
                          return { s: `${a}` + b, l: [...m.keys()].map((x) => x * 1.5) } } }).f";
    for seed in 0..32 {
        realm::begin_call(seed);
        call::rehearse(SOURCE, br#"[1, 2]"#);
        call::rehearse("(a) => { throw new TypeError(a) }", br#"["warm"]"#);
        call::rehearse("async (a) => { await null; return a }", br#"[{"k": [1, 2.5, "x"]}]"#);
    }
    realm::settle_down();
}
