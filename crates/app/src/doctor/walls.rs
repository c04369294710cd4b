//! Which walls stand on this machine between an untrusted function and everything else.
//!
//! A [`Wall`] is what `SECURITY.md` speaks of: some are promised, and a machine without one of those should run no
//! functions of others; the rest makes an attack harder, or its end less bad, and belongs to whoever owns the machine.
//! Everything is read from the kernel's own words, and parsed by functions of their input alone.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use greensand_sandbox::jail::JailStatus;
use greensand_sandbox::{ImageStatus, Sandbox, scans_changed_pages};
use rustix::process::Resource;

use super::{Grade, cache};
use crate::Environment;
use crate::environment::UNJAILED_VARIABLE;

/// Something that stands between a function and the rest of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wall {
    /// Its name.
    pub name: String,
    /// Whether Greensand promises what it keeps.
    pub promise: Promise,
    /// How it stands.
    pub standing: Standing,
    /// What was found.
    pub found: String,
    /// What it keeps, or what its absence means.
    pub meaning: &'static str,
    /// What mends it: a command, where there is one.
    pub remedy: Option<String>,
}

/// Whether a wall is part of what Greensand promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Without it the promise does not hold.
    Promised,
    /// It makes an attack harder, and the promise holds without it.
    Beyond,
}

/// How a wall stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Whole.
    Stands,
    /// Not whole, or not everywhere.
    Partly,
    /// Not there.
    Missing,
    /// It cannot be told.
    Unknown,
}

impl Standing {
    /// Returns the word for it, as it stands in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stands => "stands",
            Self::Partly => "partly",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

impl Wall {
    fn new(name: impl Into<String>, standing: Standing, found: impl Into<String>, meaning: &'static str) -> Self {
        let (name, found) = (name.into(), found.into());
        Self { name, promise: Promise::Beyond, standing, found, meaning, remedy: None }
    }

    fn promised(self) -> Self {
        Self { promise: Promise::Promised, ..self }
    }

    /// Names what mends the wall, where it does not stand.
    fn mended_by(self, remedy: impl Into<String>) -> Self {
        let remedy = (self.standing != Standing::Stands).then(|| remedy.into());
        Self { remedy, ..self }
    }

    /// Says whether a promise does not hold on this machine.
    pub fn breaks_promise(&self) -> bool {
        self.promise == Promise::Promised && self.standing == Standing::Missing
    }
}

/// Looks at every wall. What an open sandbox has reserved is looked at, too; one that refuses to open has reserved nothing.
pub fn examine_walls(cache_dir: &Path, sandbox: Option<&Sandbox>, environment: &Environment) -> Vec<Wall> {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut walls = vec![guard_regions(&file("/proc/self/maps")), folder(cache_dir), key(cache_dir)];
    walls.extend(sandbox.into_iter().flat_map(images));
    walls.extend(jail(&JailStatus::of_this_machine()));
    walls.push(unjailed_builds(environment.get(UNJAILED_VARIABLE)));
    walls.extend([
        kernel(file("/proc/sys/kernel/osrelease").trim()),
        changed_pages(scans_changed_pages()),
        processor(&vulnerabilities()),
        threads_of_a_core(file("/sys/devices/system/cpu/smt/active").trim()),
        shared_pages(file("/sys/kernel/mm/ksm/run").trim()),
        core_dumps(rustix::process::getrlimit(Resource::Core).current),
        swap(&file("/proc/swaps")),
        user(rustix::process::geteuid().is_root()),
        debuggers(file("/proc/sys/kernel/yama/ptrace_scope").trim()),
        user_namespaces(file("/proc/sys/user/max_user_namespaces").trim()),
    ]);
    walls
}

// What is promised ------------------------------------------------------------------------------------------------

/// Every memory lies in a reservation without access that is as large as an address of the guest can reach.
fn guard_regions(maps: &str) -> Wall {
    const NEEDED: u64 = 4 << 30;
    let without_access = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let size = u64::from_str_radix(to, 16).ok()?.checked_sub(u64::from_str_radix(from, 16).ok()?)?;
        rest.starts_with("---p").then_some(size)
    });
    let reserved: u64 = without_access.sum();
    let standing = if reserved >= NEEDED { Standing::Stands } else { Standing::Missing };
    let found = format!("{} GiB of addresses are reserved without access", reserved >> 30);
    Wall::new("guard regions", standing, found, "a guest that addresses beyond its memory meets a hole, no neighbour")
        .promised()
        .mended_by("ulimit -v unlimited")
}

fn folder(path: &Path) -> Wall {
    let finding = cache::ownership(path);
    let standing = match finding.grade {
        Grade::Good | Grade::Note => Standing::Stands,
        Grade::Warning => Standing::Partly,
        Grade::Failed => Standing::Missing,
    };
    let meaning = "native code is mapped from there: who may write to it runs code as you";
    Wall { remedy: finding.remedy, ..Wall::new("cache folder", standing, finding.detail, meaning).promised() }
}

/// The key lies in the folder; whoever reads it can forge entries.
fn key(folder: &Path) -> Wall {
    let path = folder.join("key");
    let meaning = "entries of the cache are sealed with it, so that a foreign one is made anew and never mapped";
    let wall = |standing, found: String| Wall::new("cache key", standing, found, meaning).promised();
    match fs::metadata(&path) {
        Ok(metadata) if metadata.mode() & 0o077 == 0 => wall(Standing::Stands, "readable by you only".into()),
        Ok(metadata) => wall(Standing::Missing, format!("others can read it (mode {:o})", metadata.mode() & 0o777))
            .mended_by(format!("rm {}", path.display())),
        Err(error) => wall(Standing::Unknown, format!("`{}` cannot be read: {error}", path.display()))
            .mended_by("export GREENSAND_CACHE=DIR, with a folder that you can write to"),
    }
}

fn images(sandbox: &Sandbox) -> impl Iterator<Item = Wall> {
    let meaning = "the seal and the digest of an entry are checked before its code is mapped";
    sandbox.languages().filter(|template| template.image().is_some()).map(move |template| {
        let (standing, found) = match template.name.parse().map(|language| sandbox.image_status(&language)) {
            Ok(ImageStatus::Cached { .. }) => (Standing::Stands, "seal and digest hold".to_owned()),
            Ok(ImageStatus::Missing) => (Standing::Stands, "nothing is kept yet".to_owned()),
            Ok(ImageStatus::Invalid { reason, .. }) => (Standing::Partly, format!("is not used: {reason}")),
            Ok(ImageStatus::UnknownLanguage) | Err(_) => (Standing::Unknown, "is not known".to_owned()),
        };
        Wall::new(format!("cache entry {}", template.name), standing, found, meaning)
            .promised()
            .mended_by("greensand bench --quick, which makes it anew")
    })
}

fn jail(status: &JailStatus) -> impl Iterator<Item = Wall> {
    let version = JailStatus::landlock_version();
    status.walls.into_iter().map(move |wall| {
        let standing = if wall.stands { Standing::Stands } else { Standing::Missing };
        let found = match (wall.name, version, wall.stands) {
            ("landlock", Some(version), _) => format!("version {version}; keeps {}", wall.keeps),
            (_, _, true) => format!("keeps {}", wall.keeps),
            (_, _, false) => format!("the kernel has none; nothing else keeps {}", wall.keeps),
        };
        let meaning = "compilers of untrusted sources run behind it; without it they are not run";
        Wall::new(format!("build jail: {}", wall.name), standing, found, meaning).promised().mended_by(wall.mend)
    })
}

fn unjailed_builds(variable: Option<&str>) -> Wall {
    let (standing, found) = match variable {
        Some("1") => (Standing::Missing, "sources are compiled also without the walls above"),
        Some(_) | None => (Standing::Stands, "without the walls above nothing is compiled"),
    };
    Wall::new("unjailed builds", standing, found, "a source that is compiled unjailed reaches what you reach")
        .promised()
        .mended_by(format!("unset {UNJAILED_VARIABLE}"))
}

// What is beyond the promise --------------------------------------------------------------------------------------

fn kernel(release: &str) -> Wall {
    let standing = if release.is_empty() { Standing::Unknown } else { Standing::Stands };
    let meaning = "a hole in the kernel is a hole in every wall here: keep it patched";
    Wall::new("kernel", standing, if release.is_empty() { "cannot be read" } else { release }, meaning)
        .mended_by("mount /proc")
}

fn changed_pages(scans: bool) -> Wall {
    let (standing, found) = match scans {
        true => (Standing::Stands, "the kernel tells which pages a call has changed"),
        false => (Standing::Missing, "the kernel does not tell them: every call has a fresh instance, and is slower"),
    };
    Wall::new("changed pages", standing, found, "an instance is used again only when every page of it was put back")
        .mended_by("boot Linux 6.7 or newer")
}

/// Returns what the kernel says of each hole of the processor that it knows, by name.
fn vulnerabilities() -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir("/sys/devices/system/cpu/vulnerabilities") else { return Vec::new() };
    let said = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path()).ok()?;
        Some((entry.file_name().to_string_lossy().into_owned(), text.trim().to_owned()))
    };
    let mut said: Vec<_> = entries.flatten().filter_map(said).collect();
    said.sort();
    said
}

fn processor(said: &[(String, String)]) -> Wall {
    let open: Vec<_> =
        said.iter().filter(|(_, text)| text.starts_with("Vulnerable")).map(|(name, _)| name.as_str()).collect();
    let (standing, found) = match (said.len(), open.as_slice()) {
        (0, _) => (Standing::Unknown, "the kernel does not say".to_owned()),
        (all, []) => (Standing::Stands, format!("none of the {all} that the kernel knows is open")),
        (all, open) => (
            Standing::Partly,
            format!("{} of the {all} that the kernel knows are open: {}", open.len(), open.join(", ")),
        ),
    };
    let meaning = "holes of the processor let one tenant learn of another: this is not promised, whatever stands here";
    Wall::new("processor holes", standing, found, meaning).mended_by(
        "update microcode and kernel; keep tenants that must not learn of each other on machines of their own",
    )
}

fn threads_of_a_core(active: &str) -> Wall {
    let (standing, found) = match active {
        "0" => (Standing::Stands, "a core runs one thread at a time"),
        "1" => (Standing::Partly, "two threads share a core, its caches and its timing"),
        _ => (Standing::Unknown, "the kernel does not say"),
    };
    Wall::new("threads of a core", standing, found, "calls of different tenants may run on one core at the same time")
        .mended_by("echo off | sudo tee /sys/devices/system/cpu/smt/control")
}

fn shared_pages(run: &str) -> Wall {
    let (standing, found) = match run {
        "1" => (Standing::Partly, "the kernel looks for equal pages and shares them"),
        _ => (Standing::Stands, "the kernel shares no equal pages"),
    };
    Wall::new("page sharing", standing, found, "who finds out that a page is shared learns what others hold")
        .mended_by("echo 0 | sudo tee /sys/kernel/mm/ksm/run")
}

fn core_dumps(limit: Option<u64>) -> Wall {
    let (standing, found) = match limit {
        Some(0) => (Standing::Stands, "off"),
        Some(_) | None => (Standing::Partly, "a crash would write the memory of every call to a file"),
    };
    Wall::new("core dumps", standing, found, "what calls work on stays in memory").mended_by("ulimit -c 0")
}

fn swap(swaps: &str) -> Wall {
    let (standing, found) = match swaps.lines().skip(1).count() {
        _ if swaps.is_empty() => (Standing::Unknown, "the kernel does not say"),
        0 => (Standing::Stands, "off"),
        _ => (Standing::Partly, "memory of calls may be written to a disk"),
    };
    Wall::new("swap", standing, found, "what calls work on stays in memory").mended_by("sudo swapoff -a")
}

fn user(is_root: bool) -> Wall {
    let (standing, found) = match is_root {
        true => (Standing::Partly, "root: whoever gets out of the sandbox owns the machine"),
        false => (Standing::Stands, "not root"),
    };
    Wall::new("user", standing, found, "whoever gets out of the sandbox is this user, and no more")
        .mended_by("run greensand as a user that owns nothing else")
}

fn debuggers(scope: &str) -> Wall {
    let (standing, found) = match scope {
        "1" | "2" | "3" => (Standing::Stands, "other processes of this user cannot attach"),
        "0" => (Standing::Partly, "every process of this user can attach to greensand"),
        _ => (Standing::Unknown, "this kernel has no rule of its own"),
    };
    Wall::new("debuggers", standing, found, "another program of this user that is broken into reaches no call")
        .mended_by("sudo sysctl kernel.yama.ptrace_scope=1")
}

fn user_namespaces(most: &str) -> Wall {
    let (standing, found) = match most.parse::<u64>() {
        Ok(0) => (Standing::Missing, "not to be had here"),
        Ok(_) => (Standing::Stands, "to be had: the process can be put into one of its own"),
        Err(_) => (Standing::Unknown, "the kernel does not say"),
    };
    Wall::new("user namespaces", standing, found, "an optional wall around the whole process; greensand puts up none")
        .mended_by("run greensand in a container or a virtual machine of its own")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn check(wall: &Wall, standing: Standing, breaks: bool) {
        assert_eq!((wall.standing, wall.breaks_promise()), (standing, breaks), "{wall:?}");
        assert_eq!(wall.remedy.is_some(), standing != Standing::Stands, "{wall:?}");
    }

    #[test]
    fn reservations_are_counted_and_mappings_with_access_are_not() {
        check(&guard_regions("7f0000000000-7f0100000000 ---p 00000000 00:00 0\n"), Standing::Stands, false);
        check(&guard_regions("7f0000000000-7f0100000000 rw-p 00000000 00:00 0\nnonsense\n"), Standing::Missing, true);
        check(&guard_regions("7f0100000000-7f0000000000 ---p 00000000 00:00 0\n"), Standing::Missing, true);
    }

    #[test]
    fn a_key_that_others_read_breaks_the_promise() {
        let folder = tempfile::tempdir().unwrap();
        check(&key(folder.path()), Standing::Unknown, false);
        for (mode, standing) in [(0o600, Standing::Stands), (0o640, Standing::Missing), (0o604, Standing::Missing)] {
            fs::write(folder.path().join("key"), "k").unwrap();
            fs::set_permissions(folder.path().join("key"), fs::Permissions::from_mode(mode)).unwrap();
            check(&key(folder.path()), standing, standing == Standing::Missing);
        }
    }

    #[test]
    fn a_folder_that_others_write_to_breaks_the_promise() {
        let cache = tempfile::tempdir().unwrap();
        for (mode, standing) in [(0o700, Standing::Stands), (0o777, Standing::Missing)] {
            fs::set_permissions(cache.path(), fs::Permissions::from_mode(mode)).unwrap();
            check(&folder(cache.path()), standing, standing == Standing::Missing);
        }
    }

    #[test]
    fn builds_without_walls_break_the_promise() {
        check(&unjailed_builds(None), Standing::Stands, false);
        check(&unjailed_builds(Some("0")), Standing::Stands, false);
        check(&unjailed_builds(Some("1")), Standing::Missing, true);
        let mut status = JailStatus::of_this_machine();
        status.walls[1].stands = false;
        assert_eq!(jail(&status).filter(Wall::breaks_promise).count(), 1);
    }

    #[test]
    fn open_holes_of_the_processor_are_named() {
        let said = |texts: &[(&str, &str)]| -> Vec<_> {
            texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        check(&processor(&[]), Standing::Unknown, false);
        check(&processor(&said(&[("a", "Not affected"), ("b", "Mitigation: x")])), Standing::Stands, false);
        let wall = processor(&said(&[("a", "Not affected"), ("b", "Vulnerable: no microcode")]));
        check(&wall, Standing::Partly, false);
        assert!(wall.found.ends_with(": b"), "{}", wall.found);
    }

    #[test]
    fn what_the_kernel_says_is_read() {
        check(&swap("Filename Type Size Used Priority\n"), Standing::Stands, false);
        check(&swap("Filename Type Size Used Priority\n/dev/x partition 1 0 -2\n"), Standing::Partly, false);
        check(&core_dumps(Some(0)), Standing::Stands, false);
        check(&core_dumps(None), Standing::Partly, false);
        check(&threads_of_a_core("1"), Standing::Partly, false);
        check(&shared_pages("1"), Standing::Partly, false);
        check(&debuggers(""), Standing::Unknown, false);
        check(&user_namespaces("0"), Standing::Missing, false);
        check(&changed_pages(false), Standing::Missing, false);
        check(&user(true), Standing::Partly, false);
    }
}
