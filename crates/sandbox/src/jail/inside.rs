use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use super::{InsideOrder, descriptors, limits, reach, system_calls};

/// Gives up the rights of this process and becomes the program of an order. Returns only why that failed.
pub(crate) fn become_program(order: &InsideOrder) -> String {
    if let Err(reason) = give_up_rights(order) {
        return reason;
    }
    let mut command = Command::new(&order.program);
    command.args(&order.arguments).env_clear().stdin(Stdio::null());
    // The one variable: temporary files belong to the work folder, and its path stays unknown.
    command.env("TMPDIR", ".");
    let error = command.exec();
    format!("start `{}`: {error}", order.program.display())
}

/// Puts the walls up, the ones first that the others would forbid.
fn give_up_rights(order: &InsideOrder) -> Result<(), String> {
    let describe = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    // The guard kills the group; this is for the guard's own end.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| describe("follow the guard", &error))?;
    descriptors::close_at_exec().map_err(|error| describe("close descriptors", &error))?;
    rustix::process::chdir(&order.work).map_err(|error| describe("enter the work folder", &error))?;
    limits::put_up(order)?;
    drop_capabilities();
    let walls = [("landlock", reach::put_up(order)), ("seccomp", system_calls::put_up())];
    for (name, wall) in walls {
        match wall {
            Ok(()) => {}
            Err(_) if order.may_lack_walls => {}
            Err(reason) => return Err(describe(name, &reason)),
        }
    }
    Ok(())
}

/// Drops what the superuser may do beyond others, for good. Whoever has none has nothing to drop.
///
/// Where the machine does not let the superuser do so, the other walls stand all the same.
fn drop_capabilities() {
    let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
    let _ = rustix::thread::set_capabilities_secure_bits(bits);
    let none = CapabilitySet::empty();
    let _ =
        rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
}
