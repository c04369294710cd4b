//! The network that the guest sees: none. Making a socket or resolving a name is refused.

use core::ffi::{c_char, c_int, c_void};

use crate::host::Capability;
use crate::libc::{EBADF, fail, refuse};

/// "See `errno`", which holds `EACCES`: Python raises `PermissionError`.
const EAI_SYSTEM: c_int = -11;

#[unsafe(no_mangle)]
extern "C" fn socket(_: c_int, _: c_int, _: c_int) -> c_int {
    refuse(Capability::Network)
}

#[unsafe(no_mangle)]
extern "C" fn getaddrinfo(_: *const c_char, _: *const c_char, _: *const c_void, _: *mut c_void) -> c_int {
    refuse(Capability::Network);
    EAI_SYSTEM
}

#[unsafe(no_mangle)]
extern "C" fn getnameinfo(_: *const c_void, _: u32, _: *mut c_char, _: u32, _: *mut c_char, _: u32, _: c_int) -> c_int {
    refuse(Capability::Network);
    EAI_SYSTEM
}

#[unsafe(no_mangle)]
extern "C" fn gethostbyname(_: *const c_char) -> *const c_void {
    refuse(Capability::Network);
    core::ptr::null()
}

#[unsafe(no_mangle)]
extern "C" fn gethostbyaddr(_: *const c_void, _: u32, _: c_int) -> *const c_void {
    refuse(Capability::Network);
    core::ptr::null()
}

macro_rules! socket_functions {
    ($($name:ident($($argument:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name(_: c_int $(, _: $argument)*) -> c_int {
            fail(EBADF)
        }
    )*};
}

socket_functions! {
    accept(*mut c_void, *mut u32);
    accept4(*mut c_void, *mut u32, c_int);
    bind(*const c_void, u32);
    connect(*const c_void, u32);
    getpeername(*mut c_void, *mut u32);
    getsockname(*mut c_void, *mut u32);
    getsockopt(c_int, c_int, *mut c_void, *mut u32);
    listen(c_int);
    recv(*mut c_void, usize, c_int);
    recvfrom(*mut c_void, usize, c_int, *mut c_void, *mut u32);
    send(*const c_void, usize, c_int);
    sendto(*const c_void, usize, c_int, *const c_void, u32);
    setsockopt(c_int, c_int, *const c_void, u32);
    shutdown(c_int);
}
