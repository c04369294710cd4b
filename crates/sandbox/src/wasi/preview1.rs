//! `wasi_snapshot_preview1` for a core module: three streams, a clock, randomness, an exit.
//!
//! Descriptors 0, 1 and 2 always exist and no other ever does, so there is no table of descriptors to go wrong:
//! closing or renumbering one is without effect. Whatever needs another descriptor answers that it is a bad one.

use wasmtime::{Caller, FuncType, Linker, Val, ValType};

use crate::call::{CallState, PIECE, Stop, Stream, random, with_range};

/// The module name of the imports.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// Answers of the interface: the few that are ever given.
mod errno {
    pub(super) const SUCCESS: i32 = 0;
    pub(super) const BADF: i32 = 8;
    pub(super) const INVAL: i32 = 28;
    pub(super) const NOTSUP: i32 = 58;
    pub(super) const SPIPE: i32 = 70;
}

/// How many items of a list that the guest gives are looked at between two looks at the clock.
const ITEMS: u32 = 1024;

/// The resolution that clocks claim, in nanoseconds.
const RESOLUTION: u64 = 1000;

/// Functions that answer the same whatever they are asked: name, parameters (`i` for 32 bits, `l` for 64), answer,
/// and the capability that was asked for.
const CLOSED: &[(&str, &str, i32, Option<&str>)] = &[
    ("fd_advise", "illi", errno::BADF, None),
    ("fd_allocate", "ill", errno::BADF, None),
    ("fd_datasync", "i", errno::BADF, None),
    ("fd_fdstat_set_flags", "ii", errno::BADF, None),
    ("fd_fdstat_set_rights", "ill", errno::BADF, None),
    ("fd_filestat_set_size", "il", errno::BADF, None),
    ("fd_filestat_set_times", "illi", errno::BADF, None),
    ("fd_pread", "iiili", errno::BADF, None),
    ("fd_prestat_get", "ii", errno::BADF, None),
    ("fd_prestat_dir_name", "iii", errno::BADF, None),
    ("fd_pwrite", "iiili", errno::BADF, None),
    ("fd_readdir", "iiili", errno::BADF, None),
    ("fd_renumber", "ii", errno::NOTSUP, None),
    ("fd_sync", "i", errno::BADF, None),
    ("path_create_directory", "iii", errno::BADF, Some("filesystem")),
    ("path_filestat_get", "iiiii", errno::BADF, Some("filesystem")),
    ("path_filestat_set_times", "iiiilli", errno::BADF, Some("filesystem")),
    ("path_link", "iiiiiii", errno::BADF, Some("filesystem")),
    ("path_open", "iiiiillii", errno::BADF, Some("filesystem")),
    ("path_readlink", "iiiiii", errno::BADF, Some("filesystem")),
    ("path_remove_directory", "iii", errno::BADF, Some("filesystem")),
    ("path_rename", "iiiiii", errno::BADF, Some("filesystem")),
    ("path_symlink", "iiiii", errno::BADF, Some("filesystem")),
    ("path_unlink_file", "iii", errno::BADF, Some("filesystem")),
    ("proc_raise", "i", errno::NOTSUP, Some("process")),
    ("sched_yield", "", errno::SUCCESS, None),
    ("sock_accept", "iii", errno::BADF, Some("network")),
    ("sock_recv", "iiiiii", errno::BADF, Some("network")),
    ("sock_send", "iiiii", errno::BADF, Some("network")),
    ("sock_shutdown", "ii", errno::BADF, Some("network")),
];

type Guest<'a> = Caller<'a, CallState>;

/// Adds the interface to a linker.
///
/// # Errors
/// Never with a fresh linker.
pub(crate) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    for &(name, parameters, answer, capability) in CLOSED {
        let parameters = parameters.chars().map(|letter| if letter == 'l' { ValType::I64 } else { ValType::I32 });
        let ty = FuncType::new(linker.engine(), parameters, [ValType::I32]);
        linker.func_new(MODULE, name, ty, move |mut caller, _, results| {
            if let Some(capability) = capability {
                caller.data_mut().note_refused(capability);
            }
            results[0] = Val::I32(answer);
            Ok(())
        })?;
    }
    linker.func_wrap(MODULE, "args_get", |_: i32, _: i32| errno::SUCCESS)?;
    linker.func_wrap(MODULE, "args_sizes_get", no_sizes)?;
    linker.func_wrap(MODULE, "environ_get", |_: i32, _: i32| errno::SUCCESS)?;
    linker.func_wrap(MODULE, "environ_sizes_get", no_sizes)?;
    linker.func_wrap(MODULE, "clock_res_get", clock_res_get)?;
    linker.func_wrap(MODULE, "clock_time_get", clock_time_get)?;
    linker.func_wrap(
        MODULE,
        "fd_close",
        |descriptor: u32| if descriptor <= 2 { errno::SUCCESS } else { errno::BADF },
    )?;
    linker.func_wrap(MODULE, "fd_fdstat_get", fd_fdstat_get)?;
    linker.func_wrap(MODULE, "fd_filestat_get", fd_filestat_get)?;
    linker.func_wrap(MODULE, "fd_read", fd_read)?;
    linker.func_wrap(MODULE, "fd_seek", |descriptor: u32, _: i64, _: i32, _: i32| not_seekable(descriptor))?;
    linker.func_wrap(MODULE, "fd_tell", |descriptor: u32, _: i32| not_seekable(descriptor))?;
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(MODULE, "poll_oneoff", poll_oneoff)?;
    linker.func_wrap(MODULE, "proc_exit", |mut guest: Guest<'_>, status: i32| -> wasmtime::Result<()> {
        Err(guest.data_mut().end(Stop::Exited(status)))
    })?;
    linker.func_wrap(MODULE, "random_get", |guest: Guest<'_>, pointer: u32, length: u32| {
        random(guest, pointer, length).map(|()| errno::SUCCESS)
    })?;
    Ok(())
}

fn no_sizes(mut guest: Guest<'_>, count: u32, bytes: u32) -> wasmtime::Result<i32> {
    put(&mut guest, "args_sizes_get", count, &[0; 4])?;
    put(&mut guest, "args_sizes_get", bytes, &[0; 4])?;
    Ok(errno::SUCCESS)
}

fn not_seekable(descriptor: u32) -> i32 {
    if descriptor <= 2 { errno::SPIPE } else { errno::BADF }
}

/// Says whether a number names a clock: real time, monotonic, or the time of process or thread, which are all one.
fn is_clock(clock: u32) -> bool {
    clock <= 3
}

fn clock_res_get(mut guest: Guest<'_>, clock: u32, into: u32) -> wasmtime::Result<i32> {
    if !is_clock(clock) {
        return Ok(errno::INVAL);
    }
    put(&mut guest, "clock_res_get", into, &RESOLUTION.to_le_bytes())?;
    Ok(errno::SUCCESS)
}

fn clock_time_get(mut guest: Guest<'_>, clock: u32, _precision: i64, into: u32) -> wasmtime::Result<i32> {
    if !is_clock(clock) {
        return Ok(errno::INVAL);
    }
    let now = guest.data().now();
    put(&mut guest, "clock_time_get", into, &now.to_le_bytes())?;
    Ok(errno::SUCCESS)
}

/// A character device, as the interface numbers the types of files.
const CHARACTER_DEVICE: u8 = 2;

fn fd_fdstat_get(mut guest: Guest<'_>, descriptor: u32, into: u32) -> wasmtime::Result<i32> {
    const READ: u64 = 1 << 1;
    const WRITE: u64 = 1 << 6;
    let rights = match descriptor {
        0 => READ,
        1 | 2 => WRITE,
        _ => return Ok(errno::BADF),
    };
    let mut status = [0; 24];
    status[0] = CHARACTER_DEVICE;
    status[8..16].copy_from_slice(&rights.to_le_bytes());
    put(&mut guest, "fd_fdstat_get", into, &status)?;
    Ok(errno::SUCCESS)
}

fn fd_filestat_get(mut guest: Guest<'_>, descriptor: u32, into: u32) -> wasmtime::Result<i32> {
    if descriptor > 2 {
        return Ok(errno::BADF);
    }
    let mut status = [0; 64];
    status[16] = CHARACTER_DEVICE;
    put(&mut guest, "fd_filestat_get", into, &status)?;
    Ok(errno::SUCCESS)
}

/// Standard input is at its end; nothing else can be read.
fn fd_read(mut guest: Guest<'_>, descriptor: u32, _: i32, _: i32, read: u32) -> wasmtime::Result<i32> {
    if descriptor != 0 {
        return Ok(errno::BADF);
    }
    put(&mut guest, "fd_read", read, &[0; 4])?;
    Ok(errno::SUCCESS)
}

fn fd_write(mut guest: Guest<'_>, descriptor: u32, pieces: u32, count: u32, written: u32) -> wasmtime::Result<i32> {
    let stream = match descriptor {
        1 => Stream::Stdout,
        2 => Stream::Stderr,
        _ => return Ok(errno::BADF),
    };
    let mut total = 0_u32;
    for index in 0..count {
        look_at_clock(&mut guest, index)?;
        let piece: [u8; 8] = take(&mut guest, "fd_write", item(pieces, index, 8))?;
        let (pointer, length) = (number(&piece, 0), number(&piece, 4));
        let wrote = with_range(&mut guest, "fd_write", pointer, length, |bytes, state| {
            // More than is kept ends the call, so nothing beyond a piece is ever copied in vain.
            bytes.chunks(PIECE).try_for_each(|bytes| state.write(stream, bytes))
        });
        wrote?;
        total = total.saturating_add(length);
    }
    put(&mut guest, "fd_write", written, &total.to_le_bytes())?;
    Ok(errno::SUCCESS)
}

/// What a guest waits for, in `poll_oneoff`.
#[derive(Debug, Clone, Copy)]
struct Wait {
    user_data: [u8; 8],
    what: Awaited,
}

#[derive(Debug, Clone, Copy)]
enum Awaited {
    /// The clock, until this many nanoseconds since 1970.
    Clock(i64),
    /// A descriptor, to read (1) or write (2): always ready, if only to fail.
    Descriptor { kind: u8, descriptor: u32 },
    /// Something that does not exist.
    Unknown(u8),
}

const WAIT_BYTES: u32 = 48;
const EVENT_BYTES: u32 = 32;

fn poll_oneoff(mut guest: Guest<'_>, waits: u32, events: u32, count: u32, ready: u32) -> wasmtime::Result<i32> {
    if count == 0 {
        return Ok(errno::INVAL);
    }
    let mut earliest = i64::MAX;
    for index in 0..count {
        look_at_clock(&mut guest, index)?;
        earliest = earliest.min(match wait_at(&mut guest, waits, index)?.what {
            Awaited::Clock(until) => until,
            Awaited::Descriptor { .. } | Awaited::Unknown(_) => 0,
        });
    }
    let left = earliest.saturating_sub(guest.data().now());
    if left > 0 {
        let slept = guest.data_mut().sleep(left);
        slept.map_err(|stop| guest.data_mut().end(stop))?;
    }
    // A relative wait was read against the clock before the sleep: what is due then is due now.
    let mut written = 0;
    for index in 0..count {
        look_at_clock(&mut guest, index)?;
        let wait = wait_at_time(&mut guest, waits, index, left.max(0))?;
        if let Some(event) = event_of(&wait, earliest.max(guest.data().now())) {
            put(&mut guest, "poll_oneoff", item(events, written, EVENT_BYTES), &event)?;
            written += 1;
        }
    }
    put(&mut guest, "poll_oneoff", ready, &written.to_le_bytes())?;
    Ok(errno::SUCCESS)
}

fn wait_at(guest: &mut Guest<'_>, waits: u32, index: u32) -> wasmtime::Result<Wait> {
    wait_at_time(guest, waits, index, 0)
}

/// Reads a wait as it was `ago` nanoseconds before now.
fn wait_at_time(guest: &mut Guest<'_>, waits: u32, index: u32, ago: i64) -> wasmtime::Result<Wait> {
    let bytes: [u8; WAIT_BYTES as usize] = take(guest, "poll_oneoff", item(waits, index, WAIT_BYTES))?;
    let user_data = std::array::from_fn(|index| bytes[index]);
    let what = match bytes[8] {
        0 if is_clock(number(&bytes, 16)) => {
            let time = u64::from_le_bytes(std::array::from_fn(|index| bytes[24 + index]));
            let time = i64::try_from(time).unwrap_or(i64::MAX);
            let is_absolute = bytes[40] & 1 != 0;
            let start = if is_absolute { 0 } else { guest.data().now().saturating_sub(ago) };
            Awaited::Clock(start.saturating_add(time))
        }
        kind @ (1 | 2) => Awaited::Descriptor { kind, descriptor: number(&bytes, 16) },
        kind => Awaited::Unknown(kind),
    };
    Ok(Wait { user_data, what })
}

fn event_of(wait: &Wait, now: i64) -> Option<[u8; EVENT_BYTES as usize]> {
    let (kind, error) = match wait.what {
        Awaited::Clock(until) if until > now => return None,
        Awaited::Clock(_) => (0, errno::SUCCESS),
        Awaited::Descriptor { kind, descriptor } => (kind, if descriptor <= 2 { errno::SUCCESS } else { errno::BADF }),
        Awaited::Unknown(kind) => (kind, errno::INVAL),
    };
    let mut event = [0; EVENT_BYTES as usize];
    event[..8].copy_from_slice(&wait.user_data);
    event[8] = u8::try_from(error).unwrap_or(u8::MAX);
    event[10] = kind;
    // One byte can be written; a read finds the end.
    event[16] = u8::from(kind == 2);
    Some(event)
}

/// Returns where an item of a list lies. A list that wraps around has its end outside of the memory.
fn item(list: u32, index: u32, size: u32) -> u32 {
    u32::try_from(u64::from(list) + u64::from(index) * u64::from(size)).unwrap_or(u32::MAX)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}

fn look_at_clock(guest: &mut Guest<'_>, index: u32) -> wasmtime::Result<()> {
    if index % ITEMS == ITEMS - 1 { guest.data_mut().check_clock() } else { Ok(()) }
}

fn take<const LENGTH: usize>(
    guest: &mut Guest<'_>,
    import: &'static str,
    pointer: u32,
) -> wasmtime::Result<[u8; LENGTH]> {
    let length = u32::try_from(LENGTH).unwrap_or(u32::MAX);
    with_range(guest, import, pointer, length, |bytes, _| Ok(std::array::from_fn(|index| bytes[index])))
}

fn put(guest: &mut Guest<'_>, import: &'static str, pointer: u32, bytes: &[u8]) -> wasmtime::Result<()> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    with_range(guest, import, pointer, length, |place, _| {
        place.copy_from_slice(bytes);
        Ok(())
    })
}
