//! Memory of the shim: the guest's own `malloc`, and what happens when Rust code gives up.

use core::alloc::{GlobalAlloc, Layout};

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

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
