//! Memory: one allocator for the engine and the shim, and what the C code asks of a system that is not there.
//!
//! The engine asks through [`ENGINE_FUNCTIONS`], which remember that it was given nothing: an error that says "out of memory"
//! may be anybody's, but only the engine can have been refused.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::engine::q;

unsafe extern "C" {
    fn malloc(size: usize) -> *mut u8;
    fn calloc(count: usize, size: usize) -> *mut u8;
    fn realloc(pointer: *mut u8, size: usize) -> *mut u8;
    fn free(pointer: *mut u8);
    fn malloc_usable_size(pointer: *mut u8) -> usize;
}

/// Largest alignment that the C library's `malloc` guarantees.
const ALIGNMENT: usize = 16;

struct EngineAllocator;

#[global_allocator]
static ALLOCATOR: EngineAllocator = EngineAllocator;

// SAFETY: the C library's functions keep the contract of an allocator up to their alignment; beyond it there is no
// memory, and what was never given is never freed.
unsafe impl GlobalAlloc for EngineAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGNMENT {
            return std::ptr::null_mut();
        }
        unsafe { malloc(layout.size()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGNMENT {
            return std::ptr::null_mut();
        }
        unsafe { calloc(1, layout.size()) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _layout: Layout) {
        unsafe { free(pointer) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, _layout: Layout, size: usize) -> *mut u8 {
        unsafe { realloc(pointer, size) }
    }
}

/// Whether the engine was refused memory in this call.
static WAS_REFUSED: AtomicBool = AtomicBool::new(false);

pub fn was_refused() -> bool {
    WAS_REFUSED.load(Ordering::Relaxed)
}

/// Forgets what happened before the call.
pub fn begin_call() {
    WAS_REFUSED.store(false, Ordering::Relaxed);
}

/// How the engine asks for memory.
pub const ENGINE_FUNCTIONS: q::JSMallocFunctions = q::JSMallocFunctions {
    js_calloc: Some(engine_calloc),
    js_malloc: Some(engine_malloc),
    js_free: Some(engine_free),
    js_realloc: Some(engine_realloc),
    js_malloc_usable_size: Some(engine_usable_size),
};

unsafe extern "C" fn engine_calloc(_: *mut c_void, count: q::size_t, size: q::size_t) -> *mut c_void {
    noted(unsafe { calloc(count as usize, size as usize) }, count != 0 && size != 0)
}

unsafe extern "C" fn engine_malloc(_: *mut c_void, size: q::size_t) -> *mut c_void {
    noted(unsafe { malloc(size as usize) }, size != 0)
}

unsafe extern "C" fn engine_free(_: *mut c_void, pointer: *mut c_void) {
    unsafe { free(pointer.cast()) }
}

unsafe extern "C" fn engine_realloc(_: *mut c_void, pointer: *mut c_void, size: q::size_t) -> *mut c_void {
    noted(unsafe { realloc(pointer.cast(), size as usize) }, size != 0)
}

unsafe extern "C" fn engine_usable_size(pointer: *const c_void) -> q::size_t {
    unsafe { malloc_usable_size(pointer.cast_mut().cast()) as q::size_t }
}

/// Notes that something was wanted and nothing was given.
fn noted(pointer: *mut u8, was_wanted: bool) -> *mut c_void {
    if pointer.is_null() && was_wanted {
        WAS_REFUSED.store(true, Ordering::Relaxed);
    }
    pointer.cast()
}

/// Room for `size` bytes, or null.
pub fn room(size: usize) -> *mut u8 {
    unsafe { malloc(size.max(1)) }
}

/// Memory that is let go when there is no other, so that the error can still be worded.
static RESERVE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

pub fn keep_reserve() {
    const RESERVED: usize = 64 << 10;
    RESERVE.store(room(RESERVED), Ordering::Relaxed);
}

pub fn release_reserve() {
    unsafe { free(RESERVE.swap(std::ptr::null_mut(), Ordering::Relaxed)) };
}

/// Asks the host for more memory than there can be.
///
/// What is larger than the address space never reaches the host (`new ArrayBuffer(2 ** 31 - 1)`). The host believes in its
/// own refusals only, so it is given the occasion.
pub fn ask_for_too_much() {
    const WHOLE_ADDRESS_SPACE: usize = 1 << 16;
    core::arch::wasm32::memory_grow(0, WHOLE_ADDRESS_SPACE);
}

/// The one thing that the engine's C code asks of the system: microseconds since 1970.
#[unsafe(no_mangle)]
extern "C" fn __rquickjs_host_now_us() -> f64 {
    (crate::host::clock() / 1000) as f64
}
