//! What the host offers: the imports of module `greensand`, as safe functions.

mod raw {
    #[link(wasm_import_module = "greensand")]
    unsafe extern "C" {
        pub fn write(stream: i32, pointer: *const u8, length: usize);
        pub fn clock() -> i64;
        pub fn sleep(nanoseconds: i64);
        pub fn random(pointer: *mut u8, length: usize);
        pub fn call(name: *const u8, name_length: usize, arguments: *const u8, arguments_length: usize) -> i64;
        pub fn file_size(name: *const u8, length: usize) -> i64;
        pub fn file_read(name: *const u8, length: usize, offset: i64, into: *mut u8, room: usize) -> i32;
        pub fn file_names() -> i32;
        pub fn take(into: *mut u8);
        pub fn refused(what: *const u8, length: usize);
    }
}

/// A capability that a function may be refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    Filesystem,
    Network,
    Process,
}

impl Capability {
    pub fn name(self) -> &'static str {
        match self {
            Capability::Filesystem => "filesystem",
            Capability::Network => "network",
            Capability::Process => "process",
        }
    }
}

/// What came of a call of a granted function.
pub enum Granted {
    /// Its result as JSON.
    Returned(Vec<u8>),
    /// Why it failed.
    Failed(String),
    /// No function of that name is granted; the host has noted it.
    Refused(String),
}

/// Standard output.
pub const STDOUT: i32 = 1;
/// Standard error.
pub const STDERR: i32 = 2;

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

/// Calls a granted function; `arguments` is a JSON array or object.
pub fn call(name: &str, arguments: &[u8]) -> Granted {
    let packed = unsafe { raw::call(name.as_ptr(), name.len(), arguments.as_ptr(), arguments.len()) } as u64;
    let reply = taken(packed as u32 as usize);
    let text = |reply: Vec<u8>| String::from_utf8_lossy(&reply).into_owned();
    match packed >> 32 {
        0 => Granted::Returned(reply),
        1 => Granted::Failed(text(reply)),
        _ => Granted::Refused(text(reply)),
    }
}

/// The names of the granted input files as a JSON array.
pub fn file_names() -> Vec<u8> {
    taken(usize::try_from(unsafe { raw::file_names() }).unwrap_or_default())
}

/// The reply that waits in the host.
fn taken(length: usize) -> Vec<u8> {
    let mut reply = vec![0; length];
    unsafe { raw::take(reply.as_mut_ptr()) };
    reply
}

/// The content of a granted input file, or `None` when there is none of that name.
pub fn file(name: &str) -> Option<Vec<u8>> {
    let size = usize::try_from(unsafe { raw::file_size(name.as_ptr(), name.len()) }).ok()?;
    let mut content = vec![0; size];
    let mut done = 0;
    while done < size {
        let rest = &mut content[done..];
        let read = unsafe { raw::file_read(name.as_ptr(), name.len(), done as i64, rest.as_mut_ptr(), rest.len()) };
        match usize::try_from(read) {
            Ok(read) if read > 0 => done += read,
            _ => break,
        }
    }
    content.truncate(done);
    Some(content)
}
