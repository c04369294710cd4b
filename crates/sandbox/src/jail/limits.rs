//! The limits that the kernel keeps for a jailed program and everything that it starts.

use std::{fs, io};

use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};

use super::InsideOrder;

/// The largest file that a jailed program may write, in bytes.
const LARGEST_FILE: u64 = 256 << 20;

/// How many descriptors each of its processes may have open.
const OPEN_FILES: u64 = 256;

/// How many tasks may come on top of those of the whole machine: a bound for a flood, with room for what others start
/// meanwhile, since the kernel counts all that belong to the user.
const FURTHER_TASKS: u64 = 1024;

/// Puts the limits up.
///
/// # Errors
/// When the kernel refuses one, named in the error.
pub(super) fn put_up(order: &InsideOrder) -> Result<(), String> {
    let limits = [
        (Resource::As, order.memory_bytes, "address space"),
        (Resource::Cpu, order.processor_seconds, "processor time"),
        (Resource::Fsize, LARGEST_FILE, "size of files"),
        (Resource::Nofile, OPEN_FILES, "open files"),
        (Resource::Core, 0, "core dumps"),
        (Resource::Nproc, tasks_of_the_machine() + FURTHER_TASKS, "processes"),
    ];
    for (resource, limit, what) in limits {
        lower(resource, limit).map_err(|error| format!("limit the {what}: {error}"))?;
    }
    if order.is_low_priority {
        // A pleasantry towards others, not a wall.
        let _ = setpriority_process(None, 19);
    }
    Ok(())
}

/// Lowers a limit; one that is lower already stays.
fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let before = rustix::process::getrlimit(resource);
    let lower = |old: Option<u64>| Some(old.map_or(limit, |old| old.min(limit)));
    let limits = Rlimit { current: lower(before.current), maximum: lower(before.maximum) };
    Ok(setrlimit(resource, limits)?)
}

/// Returns how many tasks the machine has, of whomever: the kernel counts those of the user, which are not more.
fn tasks_of_the_machine() -> u64 {
    const MANY: u64 = 4096;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let tasks = load.split_whitespace().nth(3).and_then(|field| field.split_once('/'));
    tasks.and_then(|(_, total)| total.parse().ok()).unwrap_or(MANY)
}
