use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

use greensand_guest_templates::{GuestTemplate, TEMPLATES};

/// What a [`Sandbox`](crate::Sandbox) is opened with.
///
/// Defaults of [`SandboxSettings::new`]:
/// - every guest language,
/// - one worker per core,
/// - 32 MiB for compiled functions,
/// - room for 64 waiting calls per worker; who asks for more waits at the door.
#[derive(Debug, Clone)]
pub struct SandboxSettings {
    /// The folder that keeps images between processes. It is made if it is missing, readable by its owner only.
    pub cache_dir: PathBuf,
    /// How many calls run at once, each on a thread of its own; at least one.
    pub workers: usize,
    /// How many calls may wait for a worker before the door makes callers wait; at least one.
    pub queue_len: usize,
    /// What may be kept of functions that were compiled, in bytes; with 0 every call compiles its source.
    pub prepared_bytes: u64,
    /// The guest languages on offer.
    pub languages: Vec<&'static GuestTemplate>,
}

impl SandboxSettings {
    /// The defaults, with a folder for the images.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            cache_dir: cache_dir.into(),
            workers,
            queue_len: 64 * workers,
            prepared_bytes: 32 << 20,
            languages: TEMPLATES.to_vec(),
        }
    }
}
