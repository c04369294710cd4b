//! Making, keeping and opening the image of a language.
//!
//! An image is a guest module after its initialisation: `make` runs `gs_init` once, takes the snapshot and compiles
//! it to native code; `store` keeps that code and the language's [`Library`] in the cache folder, authenticated with
//! a key of that folder; `native` maps verified code, and holds the unsafe lines for that. [`Images`] has one
//! slot per language and one per set of packages, filled at first use; `packages` has the guest of a language compile
//! the files of a set. `code` keeps the native code of modules in the same folder by the same rules, and `prune` keeps the
//! folder within its size.

mod code;
mod error;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod hex;
mod images;
mod library;
mod make;
mod native;
mod packages;
mod prune;
mod report;
mod store;

use crate::PackageSet;
pub(crate) use code::CodeKey;
pub use error::ImageError;
pub(crate) use images::{Image, Images};
pub(crate) use library::Library;
pub(crate) use make::NativeCode;
pub(crate) use native::{load, load_component, map, read_component};
pub use report::{ImageKeeping, ImageOrigin, ImageProgress, ImageReport, ImageStage, ImageStatus};
pub(crate) use store::ImageStore;
pub use store::UnsafeCacheError;
