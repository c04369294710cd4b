//! Making, keeping and opening the image of a language.
//!
//! An image is a guest module after its initialisation: `build` runs `gs_init` once, takes the snapshot and compiles
//! it to native code; `store` keeps that code and the language's library in the cache folder, authenticated with a
//! key of that folder; `native` maps verified code, and holds the crate's only unsafe lines.

mod error;
mod report;

pub use error::ImageError;
pub use report::{ImageKeeping, ImageOrigin, ImageProgress, ImageReport, ImageStage, ImageStatus};
