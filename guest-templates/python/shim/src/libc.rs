//! The operating system that the guest sees: no files, no environment, a clock and two output streams.
//!
//! Each function here replaces the libc function of its name throughout the guest (see the crate's
//! documentation). Descriptors 0, 1 and 2 exist and cannot be closed; further ones are of files, which [`crate::files`]
//! serves. Changing anything is refused with `EACCES`, which Python raises as `PermissionError`, and the host is told;
//! looking for something that is not there finds nothing (`ENOENT`).

use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::{AtomicI64, Ordering};

use crate::files::{self, Found};
use crate::host::{self, Capability};

pub const EACCES: c_int = 2;
pub const EBADF: c_int = 8;
pub const EINVAL: c_int = 28;
pub const EISDIR: c_int = 31;
pub const EMFILE: c_int = 33;
pub const ENOENT: c_int = 44;
pub const ENOTDIR: c_int = 54;
const ENOTTY: c_int = 59;
const ENOTSUP: c_int = 58;
const ERANGE: c_int = 68;
const ESPIPE: c_int = 70;

#[link(wasm_import_module = "address")]
unsafe extern "C" {
    #[link_name = "errno"]
    fn address_of_errno() -> *mut c_int;
}

/// Sets `errno` and gives the usual failure value.
pub fn fail(errno: c_int) -> c_int {
    unsafe { *address_of_errno() = errno };
    -1
}

/// Refuses a capability: the host is told, and the caller sees `EACCES`.
pub fn refuse(what: Capability) -> c_int {
    host::refused(what);
    fail(EACCES)
}

/// Whether a descriptor is that of a standard stream.
pub fn is_stream(descriptor: c_int) -> bool {
    (0..3).contains(&descriptor)
}

fn is_open(descriptor: c_int) -> bool {
    is_stream(descriptor) || files::is_file(descriptor)
}

// Streams.

#[repr(C)]
pub struct IoVector {
    base: *mut u8,
    length: usize,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn readv(descriptor: c_int, vectors: *const IoVector, count: c_int) -> c_int {
    let mut sum = 0;
    for vector in unsafe { core::slice::from_raw_parts(vectors, count.max(0) as usize) } {
        match unsafe { files::read(descriptor, vector.base, vector.length) } {
            -1 => return -1,
            length => sum += length,
        }
    }
    sum
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(descriptor: c_int, from: *const u8, length: usize) -> c_int {
    if !(1..3).contains(&descriptor) {
        return fail(EBADF);
    }
    if length > 0 {
        host::write(descriptor, unsafe { core::slice::from_raw_parts(from, length) });
    }
    length as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(descriptor: c_int, vectors: *const IoVector, count: c_int) -> c_int {
    let mut written = 0;
    for vector in unsafe { core::slice::from_raw_parts(vectors, count.max(0) as usize) } {
        match unsafe { write(descriptor, vector.base, vector.length) } {
            -1 => return -1,
            length => written += length,
        }
    }
    written
}

#[unsafe(no_mangle)]
extern "C" fn pwrite(_: c_int, _: *const u8, _: usize, _: i64) -> c_int {
    fail(EBADF)
}

#[unsafe(no_mangle)]
extern "C" fn __lseek(descriptor: c_int, offset: i64, whence: c_int) -> i64 {
    files::lseek(descriptor, offset, whence)
}

#[unsafe(no_mangle)]
extern "C" fn __wasilibc_tell(descriptor: c_int) -> i64 {
    const FROM_HERE: c_int = 1;
    files::lseek(descriptor, 0, FROM_HERE)
}

#[unsafe(no_mangle)]
extern "C" fn close(descriptor: c_int) -> c_int {
    if is_stream(descriptor) || files::close(descriptor) { 0 } else { fail(EBADF) }
}

#[unsafe(no_mangle)]
extern "C" fn isatty(descriptor: c_int) -> c_int {
    fail(if is_open(descriptor) { ENOTTY } else { EBADF });
    0
}

#[unsafe(no_mangle)]
extern "C" fn __isatty(descriptor: c_int) -> c_int {
    isatty(descriptor)
}

#[unsafe(no_mangle)]
extern "C" fn fcntl(descriptor: c_int, command: c_int, _: *const c_void) -> c_int {
    const GET_DESCRIPTOR_FLAGS: c_int = 1;
    const SET_DESCRIPTOR_FLAGS: c_int = 2;
    const GET_STATUS_FLAGS: c_int = 3;
    match command {
        _ if !is_open(descriptor) => fail(EBADF),
        // The one such flag is about processes that are started, of which there are none.
        GET_DESCRIPTOR_FLAGS | SET_DESCRIPTOR_FLAGS | GET_STATUS_FLAGS => 0,
        _ => fail(EINVAL),
    }
}

#[unsafe(no_mangle)]
extern "C" fn ioctl(descriptor: c_int, _: c_int, _: *const c_void) -> c_int {
    fail(if is_open(descriptor) { ENOTTY } else { EBADF })
}

macro_rules! descriptor_functions {
    ($($name:ident($($argument:ty),*) = $errno:expr;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name(descriptor: c_int $(, _: $argument)*) -> c_int {
            fail(if is_open(descriptor) { $errno } else { EBADF })
        }
    )*};
}

descriptor_functions! {
    fsync() = EINVAL;
    fdatasync() = EINVAL;
    ftruncate(i64) = EINVAL;
    posix_fadvise(i64, i64, c_int) = ESPIPE;
    futimens(*const c_void) = EACCES;
    fpathconf(c_int) = EINVAL;
}

// Files and folders.

const ROOT: u8 = b'/';

/// Whether the path names the only working folder.
unsafe fn is_root(path: *const c_char) -> bool {
    let path = unsafe { core::ffi::CStr::from_ptr(path) }.to_bytes();
    !path.is_empty() && path.split(|byte| *byte == ROOT).all(|part| matches!(part, b"" | b"." | b".."))
}

/// Python's own `open` does not come here; CPython does, to quote the line of a syntax error. That is no request.
#[unsafe(no_mangle)]
extern "C" fn fopen(_: *const c_char, _: *const c_char) -> *mut c_void {
    fail(ENOENT);
    core::ptr::null_mut()
}

macro_rules! refused_functions {
    ($($name:ident($($argument:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($(_: $argument),*) -> c_int {
            refuse(Capability::Filesystem)
        }
    )*};
}

refused_functions! {
    link(*const c_char, *const c_char);
    mkdir(*const c_char, c_int);
    mkdirat(c_int, *const c_char, c_int);
    rename(*const c_char, *const c_char);
    renameat(c_int, *const c_char, c_int, *const c_char);
    rmdir(*const c_char);
    symlink(*const c_char, *const c_char);
    symlinkat(*const c_char, c_int, *const c_char);
    truncate(*const c_char, i64);
    unlink(*const c_char);
    unlinkat(c_int, *const c_char, c_int);
    utimensat(c_int, *const c_char, *const c_void, c_int);
    utimes(*const c_char, *const c_void);
}

macro_rules! absent_functions {
    ($($name:ident($($argument:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($(_: $argument),*) -> c_int {
            fail(ENOENT)
        }
    )*};
}

absent_functions! {
    readlink(*const c_char, *mut c_char, usize);
    readlinkat(c_int, *const c_char, *mut c_char, usize);
    pathconf(*const c_char, c_int);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn access(path: *const c_char, mode: c_int) -> c_int {
    unsafe { files::access(path, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn faccessat(_: c_int, path: *const c_char, mode: c_int, _: c_int) -> c_int {
    unsafe { access(path, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn chdir(path: *const c_char) -> c_int {
    if unsafe { is_root(path) } { 0 } else { fail(ENOENT) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getcwd(into: *mut u8, size: usize) -> *mut u8 {
    if into.is_null() || size < 2 {
        fail(if into.is_null() { EINVAL } else { ERANGE });
        return core::ptr::null_mut();
    }
    unsafe {
        into.write(ROOT);
        into.add(1).write(0);
    }
    into
}

#[unsafe(no_mangle)]
extern "C" fn realpath(_: *const c_char, _: *mut c_char) -> *mut c_char {
    fail(ENOENT);
    core::ptr::null_mut()
}

/// `struct stat` of wasi-libc: what this file sets, at its offset.
#[repr(C)]
pub struct Status {
    device: u64,
    inode: u64,
    links: u64,
    mode: u32,
    owner: u32,
    group: u32,
    special_device: u64,
    size: u64,
    block_size: u32,
    rest: [u32; 21],
}

impl Status {
    fn of(mode: u32, size: u64) -> Status {
        const BLOCK_SIZE: u32 = 64 << 10;
        Status {
            device: 0,
            inode: 0,
            links: 1,
            mode,
            owner: 0,
            group: 0,
            special_device: 0,
            size,
            block_size: BLOCK_SIZE,
            rest: [0; 21],
        }
    }
}

// What wasi-libc says of its own.
const _: () = assert!(size_of::<Status>() == 144);

const CHARACTER_DEVICE: u32 = 0o020_600;
const DIRECTORY: u32 = 0o040_555;
const REGULAR_FILE: u32 = 0o100_444;

#[unsafe(no_mangle)]
unsafe extern "C" fn fstat(descriptor: c_int, into: *mut Status) -> c_int {
    let status = match files::size_of(descriptor) {
        Some(size) => Status::of(REGULAR_FILE, size),
        None if is_stream(descriptor) => Status::of(CHARACTER_DEVICE, 0),
        None => return fail(EBADF),
    };
    unsafe { into.write(status) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn stat(path: *const c_char, into: *mut Status) -> c_int {
    let status = match unsafe { files::find(path) } {
        Found::Folder => Status::of(DIRECTORY, 0),
        Found::File(size) => Status::of(REGULAR_FILE, size),
        Found::Nothing => return fail(ENOENT),
    };
    unsafe { into.write(status) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn lstat(path: *const c_char, into: *mut Status) -> c_int {
    unsafe { stat(path, into) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fstatat(_: c_int, path: *const c_char, into: *mut Status, _: c_int) -> c_int {
    unsafe { stat(path, into) }
}

// Environment and process.

/// An empty environment: the array holds only its end.
static NO_VARIABLES: [usize; 1] = [0];

#[link(wasm_import_module = "address")]
unsafe extern "C" {
    #[link_name = "__wasilibc_environ"]
    fn address_of_environ() -> *mut *const usize;
}

#[unsafe(no_mangle)]
extern "C" fn __wasilibc_initialize_environ() {
    unsafe { *address_of_environ() = NO_VARIABLES.as_ptr() };
}

#[unsafe(no_mangle)]
extern "C" fn __wasilibc_ensure_environ() {
    __wasilibc_initialize_environ();
}

#[unsafe(no_mangle)]
extern "C" fn getenv(_: *const c_char) -> *const c_char {
    core::ptr::null()
}

// Python keeps `os.environ` itself; what it passes on to libc has no further use.

#[unsafe(no_mangle)]
extern "C" fn setenv(_: *const c_char, _: *const c_char, _: c_int) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn unsetenv(_: *const c_char) -> c_int {
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gethostname(into: *mut u8, size: usize) -> c_int {
    const NAME: &[u8] = b"sandbox\0";
    if size < NAME.len() {
        return fail(EINVAL);
    }
    unsafe { core::ptr::copy_nonoverlapping(NAME.as_ptr(), into, NAME.len()) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn exit(_: c_int) -> ! {
    core::arch::wasm32::unreachable()
}

#[unsafe(no_mangle)]
extern "C" fn _exit(_: c_int) -> ! {
    core::arch::wasm32::unreachable()
}

#[unsafe(no_mangle)]
extern "C" fn _Exit(_: c_int) -> ! {
    core::arch::wasm32::unreachable()
}

#[unsafe(no_mangle)]
extern "C" fn abort() -> ! {
    core::arch::wasm32::unreachable()
}

// Shared libraries: there are none beside those that are linked in.

#[unsafe(no_mangle)]
extern "C" fn dlopen(_: *const c_char, _: c_int) -> *mut c_void {
    core::ptr::null_mut()
}

#[unsafe(no_mangle)]
extern "C" fn dlsym(_: *mut c_void, _: *const c_char) -> *mut c_void {
    core::ptr::null_mut()
}

#[unsafe(no_mangle)]
extern "C" fn dlerror() -> *const c_char {
    c"no shared libraries in the sandbox".as_ptr()
}

// Time and randomness.

const SECOND: i64 = 1_000_000_000;

#[repr(C)]
pub struct TimeSpec {
    seconds: i64,
    nanoseconds: i32,
}

#[repr(C)]
pub struct TimeValue {
    seconds: i64,
    microseconds: i64,
}

impl TimeSpec {
    fn from_nanoseconds(time: i64) -> TimeSpec {
        TimeSpec { seconds: time.div_euclid(SECOND), nanoseconds: time.rem_euclid(SECOND) as i32 }
    }

    fn as_nanoseconds(&self) -> i64 {
        self.seconds.saturating_mul(SECOND).saturating_add(i64::from(self.nanoseconds))
    }
}

#[link(wasm_import_module = "address")]
unsafe extern "C" {
    #[link_name = "_CLOCK_REALTIME"]
    fn address_of_real_time() -> *const c_void;
}

/// Host time at the beginning of the call.
static CALL_BEGAN: AtomicI64 = AtomicI64::new(0);

/// Lets the monotonic clocks begin anew. Their small numbers keep fractions of a second exact in Python's floats.
pub fn begin_call() {
    CALL_BEGAN.store(host::clock(), Ordering::Relaxed);
}

/// What a clock shows. Every clock but that of the date is monotonic and begins with the call, at 1000 s.
fn now(clock: *const c_void) -> i64 {
    const BEGIN: i64 = 1000 * SECOND;
    let now = host::clock();
    if clock == unsafe { address_of_real_time() } {
        return now;
    }
    now.saturating_sub(CALL_BEGAN.load(Ordering::Relaxed)).saturating_add(BEGIN)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: *const c_void, into: *mut TimeSpec) -> c_int {
    unsafe { into.write(TimeSpec::from_nanoseconds(now(clock))) };
    0
}

fn monotonic() -> i64 {
    now(core::ptr::null())
}

/// Processor time, in nanoseconds.
#[unsafe(no_mangle)]
extern "C" fn clock() -> i64 {
    monotonic()
}

/// Processor time of this process and of its children, in hundredths of a second.
#[unsafe(no_mangle)]
unsafe extern "C" fn times(into: *mut [i64; 4]) -> i64 {
    let ticks = monotonic() / (SECOND / 100);
    unsafe { into.write([ticks, 0, 0, 0]) };
    ticks
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_getres(_: *const c_void, into: *mut TimeSpec) -> c_int {
    // Finer steps would vanish in Python's floats, and asyncio adds this to a time to see whether it has come.
    const MICROSECOND: i32 = 1000;
    if !into.is_null() {
        unsafe { into.write(TimeSpec { seconds: 0, nanoseconds: MICROSECOND }) };
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gettimeofday(into: *mut TimeValue, _: *mut c_void) -> c_int {
    let now = TimeSpec::from_nanoseconds(host::clock());
    let microseconds = i64::from(now.nanoseconds / 1000);
    unsafe { into.write(TimeValue { seconds: now.seconds, microseconds }) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn time(into: *mut i64) -> i64 {
    let now = host::clock().div_euclid(SECOND);
    if !into.is_null() {
        unsafe { into.write(now) };
    }
    now
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_nanosleep(
    clock: *const c_void,
    flags: c_int,
    request: *const TimeSpec,
    _: *mut TimeSpec,
) -> c_int {
    const ABSOLUTE: c_int = 1;
    let request = unsafe { (*request).as_nanoseconds() };
    host::sleep(if flags & ABSOLUTE != 0 { request.saturating_sub(now(clock)) } else { request });
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(request: *const TimeSpec, _: *mut TimeSpec) -> c_int {
    host::sleep(unsafe { (*request).as_nanoseconds() });
    0
}

#[unsafe(no_mangle)]
extern "C" fn sleep(seconds: u32) -> u32 {
    host::sleep(i64::from(seconds) * SECOND);
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getentropy(into: *mut u8, length: usize) -> c_int {
    host::fill_random(unsafe { core::slice::from_raw_parts_mut(into, length) });
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wasilibc_random(into: *mut u8, length: usize) -> c_int {
    unsafe { getentropy(into, length) }
}

// Waiting: nothing that could become ready exists, so to wait is to sleep.

/// A wait without an end. The host ends the call.
const FOR_EVER: i64 = i64::MAX;

#[unsafe(no_mangle)]
unsafe extern "C" fn poll(entries: *mut PollEntry, count: usize, milliseconds: c_int) -> c_int {
    host::sleep(match i64::from(milliseconds) {
        ..0 => FOR_EVER,
        milliseconds => milliseconds * 1_000_000,
    });
    for at in 0..count {
        unsafe { (*entries.add(at)).ready = 0 };
    }
    0
}

#[repr(C)]
pub struct PollEntry {
    descriptor: c_int,
    wanted: i16,
    ready: i16,
}

/// Waiting for a lock that this, the only thread, holds.
#[unsafe(no_mangle)]
extern "C" fn pthread_cond_wait(_: *mut c_void, _: *mut c_void) -> c_int {
    host::sleep(FOR_EVER);
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn select(
    count: c_int,
    _: *mut c_void,
    _: *mut c_void,
    _: *mut c_void,
    timeout: *const TimeValue,
) -> c_int {
    if count > 0 {
        return fail(ENOTSUP);
    }
    host::sleep(match unsafe { timeout.as_ref() } {
        None => FOR_EVER,
        Some(time) => time.seconds.saturating_mul(SECOND).saturating_add(time.microseconds.saturating_mul(1000)),
    });
    0
}
