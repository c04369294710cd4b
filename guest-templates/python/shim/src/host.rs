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
        pub fn call(name: *const u8, name_length: usize, arguments: *const u8, arguments_length: usize) -> u64;
        pub fn file_size(name: *const u8, length: usize) -> i64;
        pub fn file_read(name: *const u8, length: usize, offset: u64, into: *mut u8, room: usize) -> i32;
        pub fn file_names() -> i32;
        pub fn take(into: *mut u8);
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

/// The size of a module of the language's library, or of a file of a package.
pub fn module_size(name: &str) -> Option<usize> {
    usize::try_from(unsafe { raw::module_size(name.as_ptr(), name.len()) }).ok()
}

/// Content of a module of the language's library, or of a file of a package.
pub fn module(name: &str) -> Option<Vec<u8>> {
    let mut content = alloc::vec![0; module_size(name)?];
    unsafe { raw::module_read(name.as_ptr(), name.len(), content.as_mut_ptr()) };
    Some(content)
}

/// What came of calling a granted function: its status and its reply, by their numbers in the contract.
pub fn call(name: &str, arguments: &[u8]) -> (u32, Vec<u8>) {
    let packed = unsafe { raw::call(name.as_ptr(), name.len(), arguments.as_ptr(), arguments.len()) };
    ((packed >> 32) as u32, taken(packed as u32 as usize))
}

/// The size of a granted input file.
pub fn file_size(name: &str) -> Option<u64> {
    u64::try_from(unsafe { raw::file_size(name.as_ptr(), name.len()) }).ok()
}

/// Copies a part of a granted input file; gives how many bytes there were.
pub fn file_read(name: &str, offset: u64, into: &mut [u8]) -> usize {
    let read = unsafe { raw::file_read(name.as_ptr(), name.len(), offset, into.as_mut_ptr(), into.len()) };
    usize::try_from(read).unwrap_or(0).min(into.len())
}

/// The names of the granted input files, as a JSON array.
pub fn file_names() -> Vec<u8> {
    let length = unsafe { raw::file_names() };
    taken(usize::try_from(length).unwrap_or(0))
}

/// The waiting reply, of that length.
fn taken(length: usize) -> Vec<u8> {
    let mut reply = alloc::vec![0; length];
    unsafe { raw::take(reply.as_mut_ptr()) };
    reply
}
