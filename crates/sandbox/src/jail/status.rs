use std::fs;

use super::{reach, version};

/// A wall of the jail that a kernel may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wall {
    /// Its name.
    pub name: &'static str,
    /// What stands behind it.
    pub keeps: &'static str,
    /// Whether it can be put up here.
    pub stands: bool,
    /// What to do where it does not.
    pub mend: &'static str,
}

/// The walls that this machine has for the programs that work on untrusted sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JailStatus {
    /// Every wall that a kernel may lack.
    pub walls: [Wall; 2],
}

impl JailStatus {
    /// Asks the kernel. It changes nothing.
    pub fn of_this_machine() -> Self {
        let landlock = Wall {
            name: "landlock",
            keeps: "files of the machine",
            stands: reach::nothing().is_ok(),
            mend: "boot Linux 6.2 or newer with `landlock` in the list of `lsm=` (`cat /sys/kernel/security/lsm` shows it)",
        };
        let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
        let seccomp = Wall {
            name: "seccomp",
            keeps: "sockets, other processes, and the rarer parts of the kernel",
            stands: actions.split_whitespace().any(|action| action == "errno"),
            mend: "boot a kernel with `CONFIG_SECCOMP_FILTER`",
        };
        Self { walls: [landlock, seccomp] }
    }

    /// Returns the version of landlock that the kernel has, as far as this host knows versions.
    pub fn landlock_version() -> Option<u32> {
        version::landlock_version()
    }

    /// Returns the first wall that is missing.
    pub fn missing(&self) -> Option<&Wall> {
        self.walls.iter().find(|wall| !wall.stands)
    }
}
