use std::path::PathBuf;
use std::time::Duration;

use greensand_types::Language;

use crate::slot::Recycling;

/// A step of making an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageStage {
    /// The guest's artefacts are checked and decompressed.
    Unpack,
    /// Packages are read, and their files compiled by the guest; only for an image with packages.
    Packages,
    /// The guest is compiled quickly, to be run once.
    CompileForStart,
    /// The guest initialises itself.
    Start,
    /// Its memory becomes a new module.
    Snapshot,
    /// The new module is compiled to the native code that calls run.
    Compile,
    /// Code and library are written to the cache.
    Keep,
}

impl ImageStage {
    /// Every stage, in order.
    pub const ALL: [Self; 7] =
        [Self::Unpack, Self::Packages, Self::CompileForStart, Self::Start, Self::Snapshot, Self::Compile, Self::Keep];

    /// Returns what happens in the stage, for a progress bar.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unpack => "unpacking the guest",
            Self::Packages => "compiling its packages",
            Self::CompileForStart => "compiling it for its start",
            Self::Start => "starting it",
            Self::Snapshot => "taking the snapshot",
            Self::Compile => "compiling the snapshot",
            Self::Keep => "keeping it in the cache",
        }
    }

    /// Returns the share of the whole work that is done when the stage begins, as measured on a large interpreter.
    pub(super) fn share_before(self) -> f32 {
        match self {
            Self::Unpack => 0.0,
            Self::Packages => 0.02,
            Self::CompileForStart => 0.03,
            Self::Start => 0.35,
            Self::Snapshot => 0.42,
            Self::Compile => 0.45,
            Self::Keep => 0.97,
        }
    }
}

/// How far the making of an image has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageProgress {
    /// The stage that begins.
    pub stage: ImageStage,
    /// The share of the whole work that is done, 0 to 1.
    pub fraction: f32,
}

impl ImageProgress {
    pub(super) fn at(stage: ImageStage) -> Self {
        Self { stage, fraction: stage.share_before() }
    }
}

/// Where an image came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageOrigin {
    /// This sandbox had it open.
    Open,
    /// It was mapped from the cache.
    Cache,
    /// It was made now.
    Made {
        /// Until the snapshot was taken.
        snapshot: Duration,
        /// Compiling the snapshot.
        compile: Duration,
    },
}

/// Whether the next process finds an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageKeeping {
    /// It is in the cache.
    Kept {
        /// Native code and library on disk, in bytes.
        bytes: u64,
    },
    /// It is in memory only, and the next process must make it again.
    InMemory {
        /// Why it could not be kept.
        reason: String,
    },
}

/// What is said of an image that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReport {
    /// The language.
    pub language: Language,
    /// Where it came from.
    pub origin: ImageOrigin,
    /// Whether the next process finds it.
    pub keeping: ImageKeeping,
    /// Whether its instances can be used again.
    pub recycling: Recycling,
}

/// What the cache holds of a language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageStatus {
    /// There is no such guest language.
    UnknownLanguage,
    /// Nothing; the first call makes the image.
    Missing,
    /// An image that fits this engine and is authentic.
    Cached {
        /// The entry.
        path: PathBuf,
        /// Native code and library on disk, in bytes.
        bytes: u64,
    },
    /// Something that cannot be used; the first call makes the image anew.
    Invalid {
        /// The entry, or the cache folder.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
}
