use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

use greensand_guest_templates::{GuestTemplate, TEMPLATES};

use crate::{HelperProgram, InstanceMode, PackageSet};

/// What a [`Sandbox`](crate::Sandbox) is opened with.
///
/// Defaults of [`SandboxSettings::new`]:
/// - every guest language,
/// - no packages,
/// - one worker per core,
/// - instances that are used again where that is possible,
/// - 32 MiB for compiled functions,
/// - functions that were granted it call one another up to 4 deep, and 1,000 times in one call,
/// - room for 64 waiting calls per worker, half of it for any one tenant; who asks for more waits at the door,
/// - all workers for whoever has calls,
/// - no helper, so nothing is compiled: languages that need it are refused,
/// - no program is looked for anywhere,
/// - what compiles untrusted sources has every wall of the jail, or does not run.
#[derive(Debug, Clone)]
pub struct SandboxSettings {
    /// The folder that keeps images between processes. It is made if it is missing, readable by its owner only.
    pub cache_dir: PathBuf,
    /// How many calls run at once, each on a thread of its own; at least one.
    pub workers: usize,
    /// How many calls may wait for a worker before the door makes callers wait; at least one. A tenant of which no call
    /// waits may always add one.
    pub queue_len: usize,
    /// How many calls of one tenant may wait for a worker before its own door makes it wait; at least one.
    pub tenant_queue_len: usize,
    /// How many workers one tenant may hold at once; at least one, and by default any number. Fewer than there are keep a
    /// worker for others, however long its calls are.
    pub tenant_workers: usize,
    /// Where the instance of a call comes from.
    pub instances: InstanceMode,
    /// What may be kept of functions that were compiled, in bytes; with 0 every call compiles its source.
    pub prepared_bytes: u64,
    /// How far functions may call one another.
    pub nesting: NestingLimits,
    /// The guest languages on offer.
    pub languages: Vec<&'static GuestTemplate>,
    /// The packages on offer. A source that asks for packages runs on the image of the first set of its language that has
    /// them all; one that asks for none runs on the image of the language alone.
    pub package_sets: Vec<PackageSet>,
    /// The program that runs compilers in the jail.
    pub helper: Option<HelperProgram>,
    /// The folders in which compilers are looked for, in order.
    pub tool_folders: Vec<PathBuf>,
    /// What happens where the kernel lacks a wall of the jail.
    pub unjailed_builds: UnjailedBuilds,
}

/// What happens to sources that must be compiled where the kernel lacks a wall of the jail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnjailedBuilds {
    /// They are refused, with a sentence that says which wall is missing and how to mend it.
    #[default]
    Refused,
    /// They are compiled without it: an untrusted source then reaches what the missing wall stood before.
    Allowed,
}

/// How far functions may call one another, where they are granted to each other.
///
/// The default: 4 deep, 1,000 calls. Every level takes 33 MiB of address space on every worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NestingLimits {
    /// How many calls may be nested in a call at once; with 0 no function calls another.
    pub depth: u32,
    /// How many calls all calls nested in one call may make together.
    pub calls: u32,
}

impl Default for NestingLimits {
    fn default() -> Self {
        Self { depth: 4, calls: 1000 }
    }
}

impl SandboxSettings {
    /// The defaults, with a folder for the images.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            cache_dir: cache_dir.into(),
            workers,
            queue_len: 64 * workers,
            tenant_queue_len: 32 * workers,
            tenant_workers: usize::MAX,
            instances: InstanceMode::default(),
            prepared_bytes: 32 << 20,
            nesting: NestingLimits::default(),
            languages: TEMPLATES.to_vec(),
            package_sets: Vec::new(),
            helper: None,
            tool_folders: Vec::new(),
            unjailed_builds: UnjailedBuilds::Refused,
        }
    }
}
