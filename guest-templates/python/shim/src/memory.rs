//! Memory: the guest's own `malloc`, how the interpreter says that there is none, and what happens when Rust code gives up.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::python::{self, PyErr_SetNone, PyObject};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn malloc(size: usize) -> *mut u8;
    fn realloc(pointer: *mut u8, size: usize) -> *mut u8;
    fn free(pointer: *mut u8);
}

/// Largest alignment that `malloc` guarantees.
const ALIGNMENT: usize = 16;

struct GuestAllocator;

#[global_allocator]
static ALLOCATOR: GuestAllocator = GuestAllocator;

unsafe impl GlobalAlloc for GuestAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGNMENT {
            return core::ptr::null_mut();
        }
        unsafe { malloc(layout.size()) }
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

/// Whether the interpreter itself has found that there is no memory. A function can raise `MemoryError` in many ways, but it
/// cannot get here without wanting more than there is.
static WAS_MISSING: AtomicBool = AtomicBool::new(false);

pub fn was_missing() -> bool {
    WAS_MISSING.load(Ordering::Relaxed)
}

/// CPython's own way to say that there is no memory; the builder has all of CPython call this one instead.
#[unsafe(no_mangle)]
extern "C" fn PyErr_NoMemory() -> *mut PyObject {
    WAS_MISSING.store(true, Ordering::Relaxed);
    unsafe { PyErr_SetNone(python::memory_error()) };
    core::ptr::null_mut()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
