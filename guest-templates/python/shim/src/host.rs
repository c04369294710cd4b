//! What the host offers: the imports of module `greensand`, as safe functions.

use alloc::vec::Vec;

mod raw {
    #[link(wasm_import_module = "greensand")]
    unsafe extern "C" {
        pub fn write(stream: i32, pointer: *const u8, length: usize);
        pub fn clock() -> i64;
        pub fn sleep(nanoseconds: i64);
        pub fn random(pointer: *mut u8, length: usize);
        pub fn module_size(name: *const u8, length: usize) -> i32;
        pub fn module_read(name: *const u8, length: usize, into: *mut u8);
        pub fn refused(what: *const u8, length: usize);
    }
}

/// A capability that a function may be refused.
#[derive(Clone, Copy)]
pub enum Capability {
    Filesystem,
    Network,
    Process,
}

impl Capability {
    pub const ALL: [Capability; 3] = [Capability::Filesystem, Capability::Network, Capability::Process];

    pub fn name(self) -> &'static str {
        match self {
            Capability::Filesystem => "filesystem",
            Capability::Network => "network",
            Capability::Process => "process",
        }
    }
}

pub fn write(stream: i32, text: &[u8]) {
    unsafe { raw::write(stream, text.as_ptr(), text.len()) }
}

/// Nanoseconds since 1970.
pub fn clock() -> i64 {
    unsafe { raw::clock() }
}

pub fn sleep(nanoseconds: i64) {
    if nanoseconds > 0 {
        unsafe { raw::sleep(nanoseconds) }
    }
}

pub fn fill_random(bytes: &mut [u8]) {
    unsafe { raw::random(bytes.as_mut_ptr(), bytes.len()) }
}

pub fn refused(what: Capability) {
    let name = what.name();
    unsafe { raw::refused(name.as_ptr(), name.len()) }
}

/// Content of a module of the language's library.
pub fn module(name: &str) -> Option<Vec<u8>> {
    let size = unsafe { raw::module_size(name.as_ptr(), name.len()) };
    let size = usize::try_from(size).ok()?;
    let mut content = alloc::vec![0; size];
    unsafe { raw::module_read(name.as_ptr(), name.len(), content.as_mut_ptr()) };
    Some(content)
}
