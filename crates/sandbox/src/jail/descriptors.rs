//! Leaving no descriptor open but the standard three.

use std::io;

/// Has every descriptor but the standard three closed when this process becomes another program.
///
/// Ours are made that way; this is for those that were inherited from whoever started the host.
#[expect(unsafe_code, reason = "the standard library cannot name descriptors that it did not open")]
pub(super) fn close_at_exec() -> io::Result<()> {
    // SAFETY: with CLOSE_RANGE_CLOEXEC the call closes nothing and touches no memory of this process: it sets a flag on
    // descriptors, which takes effect only when the process image, and with it every owner of a descriptor, is gone.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
