use std::fs;

use greensand_sandbox::jail::JailStatus;
use rustix::process::Resource;

use super::{Finding, Grade};

/// Reads what the kernel and the shell allow.
pub(super) fn examine() -> Vec<Finding> {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let address_space = rustix::process::getrlimit(Resource::As).current;
    vec![
        platform(std::env::consts::OS, std::env::consts::ARCH),
        kernel(file("/proc/sys/kernel/osrelease").trim()),
        copy_on_write(),
        address_space_limit(address_space),
        overcommit(file("/proc/sys/vm/overcommit_memory").trim()),
        memory(&file("/proc/meminfo")),
        jail(&JailStatus::of_this_machine()),
    ]
}

/// Compilers of untrusted sources run behind walls of the kernel.
fn jail(status: &JailStatus) -> Finding {
    match status.missing() {
        None => Finding::good("jail", "landlock and seccomp stand before compilers of untrusted sources"),
        Some(wall) => Finding::new(
            Grade::Warning,
            "jail",
            format!("{} is missing, which keeps {}: languages that are compiled are refused", wall.name, wall.keeps),
        )
        .remedy(wall.mend),
    }
}

fn platform(system: &str, architecture: &str) -> Finding {
    let detail = format!("{system} on {architecture}");
    match (system, architecture) {
        ("linux", "x86_64") => Finding::good("platform", detail),
        _ => Finding::new(Grade::Warning, "platform", format!("{detail}: only linux on x86_64 is tested")),
    }
}

/// `PAGEMAP_SCAN` came with Linux 6.7; without it an instance is reset more slowly.
fn kernel(release: &str) -> Finding {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (6, 7) => {
            Finding::good("kernel", format!("{release}, which can scan for changed pages"))
        }
        (Some(Ok(_)), Some(Ok(_))) => Finding::new(
            Grade::Warning,
            "kernel",
            format!("{release} cannot scan for changed pages: calls work, and are slower"),
        )
        .remedy("upgrade the kernel to 6.7 or newer"),
        _ => Finding::new(Grade::Warning, "kernel", "its release cannot be read from `/proc/sys/kernel/osrelease`"),
    }
}

/// Images are mapped copy-on-write from a file in memory.
fn copy_on_write() -> Finding {
    match rustix::fs::memfd_create("greensand-doctor", rustix::fs::MemfdFlags::CLOEXEC) {
        Ok(_) => Finding::good("copy-on-write", "images are shared between instances"),
        Err(error) => Finding::new(
            Grade::Warning,
            "copy-on-write",
            format!("`memfd_create` is refused ({error}): every call copies its image"),
        )
        .remedy("allow `memfd_create` in the seccomp profile of the container"),
    }
}

/// The pool of instances reserves far more addresses than it uses memory.
fn address_space_limit(limit: Option<u64>) -> Finding {
    const ENOUGH: u64 = 1 << 40;
    match limit {
        None => Finding::good("address space", "unlimited"),
        Some(bytes) if bytes >= ENOUGH => Finding::good("address space", format!("{} GiB", bytes >> 30)),
        Some(bytes) => Finding::new(
            Grade::Failed,
            "address space",
            format!("limited to {} MiB, but instances need room for addresses (not memory)", bytes >> 20),
        )
        .remedy("ulimit -v unlimited"),
    }
}

fn overcommit(mode: &str) -> Finding {
    match mode {
        "2" => Finding::new(
            Grade::Failed,
            "overcommit",
            "the kernel promises no more memory than it has (mode 2), so that reservations fail",
        )
        .remedy("sudo sysctl vm.overcommit_memory=0"),
        "" => Finding::new(Grade::Note, "overcommit", "its mode cannot be read"),
        mode => Finding::good("overcommit", format!("mode {mode}")),
    }
}

/// Making an image takes about 1 GiB for a moment; calls take little.
fn memory(meminfo: &str) -> Finding {
    const ENOUGH_KIB: u64 = 1 << 20;
    let available = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse::<u64>().ok());
    match available {
        None => Finding::new(Grade::Note, "memory", "how much is free cannot be read from `/proc/meminfo`"),
        Some(kib) if kib >= ENOUGH_KIB => Finding::good("memory", format!("{} MiB are available", kib >> 10)),
        Some(kib) => Finding::new(
            Grade::Warning,
            "memory",
            format!("only {} MiB are available; making an image takes about 1 GiB, once", kib >> 10),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart_by_number() {
        for (release, grade) in [
            ("6.7.0", Grade::Good),
            ("6.18.44-fc-v669", Grade::Good),
            ("10.0-rc1", Grade::Good),
            ("6.6.9", Grade::Warning),
            ("5.15.0-91-generic", Grade::Warning),
            ("", Grade::Warning),
            ("weird", Grade::Warning),
        ] {
            assert_eq!(kernel(release).grade, grade, "{release}");
        }
    }

    #[test]
    fn what_fails_names_the_command_that_mends_it() {
        for finding in [address_space_limit(Some(1 << 30)), overcommit("2")] {
            assert_eq!(finding.grade, Grade::Failed);
            assert!(finding.remedy.is_some(), "{finding:?}");
        }
        assert_eq!(address_space_limit(None).grade, Grade::Good);
        assert_eq!(overcommit("0").grade, Grade::Good);
    }

    #[test]
    fn available_memory_is_read() {
        assert_eq!(memory("MemTotal: 9 kB\nMemAvailable:    2097152 kB\n").grade, Grade::Good);
        assert_eq!(memory("MemAvailable: 1024 kB\n").grade, Grade::Warning);
        assert_eq!(memory("").grade, Grade::Note);
    }
}
