//! Memory: one allocator for the engine and the shim, and what the C code asks of a system that is not there.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicPtr, Ordering};

unsafe extern "C" {
    fn malloc(size: usize) -> *mut u8;
    fn calloc(count: usize, size: usize) -> *mut u8;
    fn realloc(pointer: *mut u8, size: usize) -> *mut u8;
    fn free(pointer: *mut u8);
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
