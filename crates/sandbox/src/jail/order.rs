//! What the host tells its helper, and the exit statuses by which the helper answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::HelperProgram;

/// The exit status of the guard when the program was killed at its deadline.
pub(crate) const OUT_OF_TIME: u8 = 124;

/// The exit status when the walls could not be put up or the program could not be started.
///
/// A program may use it, too; then its own end is taken for a failure of the jail, which decides nothing but the fate
/// of that one run.
pub(crate) const FAILED_BEFORE_START: u8 = 125;

/// The first exit status that stands for a signal.
const SIGNALS: u8 = 128;

/// What the guard does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GuardOrder {
    /// The helper itself, to be started once more.
    pub(crate) helper: HelperProgram,
    /// How long the program may take.
    pub(crate) wall_ms: u64,
    /// What the second process does.
    pub(crate) inside: InsideOrder,
}

/// What the process inside the jail does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InsideOrder {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) work: PathBuf,
    pub(crate) executable: Vec<PathBuf>,
    pub(crate) readable: Vec<PathBuf>,
    pub(crate) memory_bytes: u64,
    pub(crate) processor_seconds: u64,
    pub(crate) is_low_priority: bool,
    /// Whether walls that the kernel does not have may be missing.
    pub(crate) may_lack_walls: bool,
}

/// Returns the exit status that stands for a signal.
pub(crate) fn ended_by_signal(signal: i32) -> u8 {
    SIGNALS.saturating_add(u8::try_from(signal).unwrap_or(0))
}

/// Returns the signal for which an exit status stands.
pub(crate) fn signal_of(status: i32) -> Option<i32> {
    (status >= i32::from(SIGNALS)).then(|| status - i32::from(SIGNALS))
}
