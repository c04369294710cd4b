//! The files that a function sees, all read-only: the input files that the call was granted, below `/`, and the data
//! files of packages, below `/lib/python`.
//!
//! [`find`] says what lies at a path; the rest are the libc functions over it. Without granted files and without
//! packages the only folder is `/`, it is empty, and opening anything is refused with the host being told. Where files
//! were granted, a path that names none of them is simply absent. Writing is always refused.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int, c_void};

use crate::host::{self, Capability};
use crate::libc::{EACCES, EBADF, EINVAL, EISDIR, EMFILE, ENOENT, ENOTDIR, fail, is_stream, refuse};
use crate::scan;

/// Where packages lie, without the leading slash.
pub const PACKAGES: &str = "lib/python";

/// The first descriptor of a file; those below are the streams.
const FIRST_DESCRIPTOR: c_int = 3;
const MOST_OPEN: usize = 1024;

/// The state of this module.
struct Files {
    open: Vec<Option<OpenFile>>,
    /// Data files of packages, sorted, from [`PACKAGES`].
    packaged: Vec<String>,
}

struct Slot(UnsafeCell<Files>);

// SAFETY: the guest has one thread, and no function below keeps a reference while it calls another.
unsafe impl Sync for Slot {}

static FILES: Slot = Slot(UnsafeCell::new(Files { open: Vec::new(), packaged: Vec::new() }));

fn files() -> &'static mut Files {
    unsafe { &mut *FILES.0.get() }
}

/// Makes the data files of packages known.
pub fn set_packaged(mut names: Vec<String>) {
    names.sort();
    files().packaged = names;
}

struct OpenFile {
    content: Content,
    position: u64,
}

enum Content {
    /// An input file, read from the host piece by piece.
    Granted { name: String, size: u64 },
    /// A file of a package.
    Packaged(Vec<u8>),
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Content::Granted { size, .. } => *size,
            Content::Packaged(bytes) => bytes.len() as u64,
        }
    }

    /// Copies from an offset; gives how many bytes there were.
    fn read(&self, offset: u64, into: &mut [u8]) -> usize {
        match self {
            Content::Granted { name, .. } => host::file_read(name, offset, into),
            Content::Packaged(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
                let length = rest.len().min(into.len());
                into[..length].copy_from_slice(&rest[..length]);
                length
            }
        }
    }
}

/// What lies at a path.
pub enum Found {
    Folder,
    /// A file and its size.
    File(u64),
    Nothing,
}

/// Looks at a path. It is absolute or starts from `/`, the only working folder.
pub unsafe fn find(path: *const c_char) -> Found {
    match unsafe { name_of(path) } {
        Some(name) => find_name(&name),
        None => Found::Nothing,
    }
}

fn find_name(name: &str) -> Found {
    if name.is_empty() {
        return Found::Folder;
    }
    if let Some(size) = host::file_size(name) {
        return Found::File(size);
    }
    let packaged = &files().packaged;
    if let Some(rest) = below(name, PACKAGES)
        && packaged.binary_search_by(|other| other.as_str().cmp(rest)).is_ok()
    {
        return host::module_size(&packaged_name(rest)).map_or(Found::Nothing, |size| Found::File(size as u64));
    }
    if names_below(name).is_empty() { Found::Nothing } else { Found::Folder }
}

/// The parts of a path, joined by `/`: no leading slash, no `.`, `..` or empty part. Nothing for what is no UTF-8.
unsafe fn name_of(path: *const c_char) -> Option<String> {
    let path = unsafe { CStr::from_ptr(path) }.to_str().ok()?;
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    // The empty path names nothing.
    (!path.is_empty()).then(|| parts.join("/"))
}

/// What is left of a name below a folder.
fn below<'a>(name: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() { Some(name) } else { name.strip_prefix(folder)?.strip_prefix('/') }
}

/// The names directly below a folder, sorted, each once.
fn names_below(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |whole: &str| {
        if let Some(first) = below(whole, folder).and_then(|rest| rest.split('/').next()) {
            names.push(first.into());
        }
    };
    granted_names().iter().for_each(|name| add(name));
    let packaged = &files().packaged;
    match below(folder, PACKAGES).or((folder == PACKAGES).then_some("")) {
        Some(rest) => {
            let from = packaged.partition_point(|name| name.as_str() < rest);
            let inside = packaged[from..].iter().take_while(|name| name.starts_with(rest));
            inside.for_each(|name| add(&[PACKAGES, name].join("/")));
        }
        // A part of the way to the packages.
        None if !packaged.is_empty() => add(PACKAGES),
        None => {}
    }
    names.sort();
    names.dedup();
    names
}

/// The names of the granted input files.
fn granted_names() -> Vec<String> {
    let json = host::file_names();
    let (mut names, mut rest) = (Vec::new(), &json[..]);
    while let Some(start) = rest.iter().position(|byte| *byte == b'"') {
        let Some((content, length)) = scan::string(&rest[start + 1..]) else { break };
        names.extend(String::from_utf8(content.into_owned()));
        rest = &rest[start + 1 + length..];
    }
    names
}

/// The name under which the host holds a file of a package.
fn packaged_name(name: &str) -> String {
    ["/", name].concat()
}

// Opening and reading.

const WRITE_ONLY: c_int = 0x1000_0000;
const CREATE_OR_CHANGE: c_int = 1 << 12 | 1 << 15 | 1;
const FOLDER_ONLY: c_int = 1 << 13;

#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, _: *const c_void) -> c_int {
    let Some(name) = (unsafe { name_of(path) }) else { return fail(ENOENT) };
    if flags & (WRITE_ONLY | CREATE_OR_CHANGE) != 0 {
        return refuse(Capability::Filesystem);
    }
    match find_name(&name) {
        Found::File(_) if flags & FOLDER_ONLY != 0 => fail(ENOTDIR),
        Found::File(size) => open_file(name, size),
        Found::Folder if !name.is_empty() => fail(EISDIR),
        Found::Folder => refuse(Capability::Filesystem),
        // Who was given files may look for another one; who was given none asks for a capability.
        Found::Nothing if below(&name, PACKAGES).is_none() && granted_names().is_empty() => {
            refuse(Capability::Filesystem)
        }
        Found::Nothing => fail(ENOENT),
    }
}

fn open_file(name: String, size: u64) -> c_int {
    let content = match host::file_size(&name) {
        Some(_) => Content::Granted { name, size },
        None => {
            let rest = below(&name, PACKAGES).unwrap_or_default();
            let Some(bytes) = host::module(&packaged_name(rest)) else { return fail(ENOENT) };
            Content::Packaged(bytes)
        }
    };
    let open = &mut files().open;
    let at = open.iter().position(Option::is_none).unwrap_or(open.len());
    if at >= MOST_OPEN {
        return fail(EMFILE);
    }
    if at == open.len() {
        open.push(None);
    }
    open[at] = Some(OpenFile { content, position: 0 });
    FIRST_DESCRIPTOR + at as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat(_: c_int, path: *const c_char, flags: c_int, rest: *const c_void) -> c_int {
    unsafe { open(path, flags, rest) }
}

fn file_of(descriptor: c_int) -> Option<&'static mut OpenFile> {
    files().open.get_mut(usize::try_from(descriptor - FIRST_DESCRIPTOR).ok()?)?.as_mut()
}

/// Whether a descriptor is that of an open file.
pub fn is_file(descriptor: c_int) -> bool {
    file_of(descriptor).is_some()
}

/// The size of an open file.
pub fn size_of(descriptor: c_int) -> Option<u64> {
    file_of(descriptor).map(|file| file.content.size())
}

/// Closes a file; says whether it was open.
pub fn close(descriptor: c_int) -> bool {
    let place = usize::try_from(descriptor - FIRST_DESCRIPTOR).ok().and_then(|at| files().open.get_mut(at));
    place.is_some_and(|place| place.take().is_some())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn read(descriptor: c_int, into: *mut u8, length: usize) -> c_int {
    // Standard input is empty.
    if descriptor == 0 {
        return 0;
    }
    let Some(file) = file_of(descriptor) else { return fail(EBADF) };
    let read = file.content.read(file.position, unsafe { room(into, length) });
    file.position += read as u64;
    read as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pread(descriptor: c_int, into: *mut u8, length: usize, offset: i64) -> c_int {
    let Some(file) = file_of(descriptor) else { return fail(EBADF) };
    let Ok(offset) = u64::try_from(offset) else { return fail(EINVAL) };
    file.content.read(offset, unsafe { room(into, length) }) as c_int
}

unsafe fn room<'a>(into: *mut u8, length: usize) -> &'a mut [u8] {
    const LONGEST_READ: usize = 1 << 30;
    match length.min(LONGEST_READ) {
        0 => &mut [],
        length => unsafe { core::slice::from_raw_parts_mut(into, length) },
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn lseek(descriptor: c_int, offset: i64, whence: c_int) -> i64 {
    const ESPIPE: c_int = 70;
    let Some(file) = file_of(descriptor) else {
        return i64::from(fail(if is_stream(descriptor) { ESPIPE } else { EBADF }));
    };
    let from = match whence {
        0 => 0,
        1 => file.position,
        2 => file.content.size(),
        _ => return i64::from(fail(EINVAL)),
    };
    match from.checked_add_signed(offset).and_then(|position| i64::try_from(position).ok()) {
        Some(position) => {
            file.position = position.unsigned_abs();
            position
        }
        None => i64::from(fail(EINVAL)),
    }
}

// Folders.

/// What `opendir` gives: the entries that `readdir` has still to give, last first.
struct Folder {
    names: Vec<String>,
    /// The entry given last, as libc lays it out: inode, type, name. In words, so that it is aligned.
    entry: Vec<u64>,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn opendir(path: *const c_char) -> *mut c_void {
    let name = unsafe { name_of(path) };
    match name.as_deref().map(find_name) {
        Some(Found::Folder) => {
            let mut names = names_below(name.as_deref().unwrap_or_default());
            names.reverse();
            return Box::into_raw(Box::new(Folder { names, entry: Vec::new() })).cast();
        }
        Some(Found::File(_)) => fail(ENOTDIR),
        Some(Found::Nothing) | None if granted_names().is_empty() => refuse(Capability::Filesystem),
        Some(Found::Nothing) | None => fail(ENOENT),
    };
    core::ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn readdir(folder: *mut c_void) -> *const c_void {
    const NAME_AT: usize = 9;
    let folder: &mut Folder = unsafe { &mut *folder.cast() };
    let Some(name) = folder.names.pop() else { return core::ptr::null() };
    // The type stays "unknown", for which libc's users ask `stat`; the inode must not be 0.
    folder.entry.clear();
    folder.entry.resize((NAME_AT + name.len() + 1).div_ceil(8), 0);
    folder.entry[0] = 1;
    unsafe {
        let bytes: *mut u8 = folder.entry.as_mut_ptr().cast();
        core::ptr::copy_nonoverlapping(name.as_ptr(), bytes.add(NAME_AT), name.len());
    }
    folder.entry.as_ptr().cast()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn closedir(folder: *mut c_void) -> c_int {
    drop(unsafe { Box::from_raw(folder.cast::<Folder>()) });
    0
}

/// `access` of a file or folder: everything can be read, nothing be written or executed.
pub unsafe fn access(path: *const c_char, mode: c_int) -> c_int {
    const WRITE: c_int = 2;
    match unsafe { find(path) } {
        Found::Nothing => fail(ENOENT),
        Found::Folder | Found::File(_) if mode & WRITE != 0 => fail(EACCES),
        Found::Folder | Found::File(_) => 0,
    }
}
