//! Packages of functions: found by pip, pinned in a lock file, kept as wheels in the cache folder, given to the sandbox.
//!
//! [`open_packages`] is the way through: a list of [`Requirement`]s and a lock file become a
//! [`LockedPackages`], which is what the sandbox is opened with and what admission allows. A lock file that fits
//! the list is used as it is; wheels that are in the cache are not fetched again; so nothing but files is touched once both
//! are there. Otherwise pip is run as a child, in a Python of the machine or of uv (`tool`): only this crate does so, only while
//! something is prepared, only for wheels of pure Python, and as a program that starts no other (`guard.py`), so that no build
//! code of a package runs on the host. What
//! it fetched is checked against the lock file before it is kept (`store`), and read with bounds (`wheel`).
//!
//! Nothing of a package runs outside the sandbox.

mod error;
mod lock;
mod open;
mod project;
mod requirement;
mod store;
mod tool;
mod wheel;

pub use error::PackageError;
pub use lock::{LOCK_FILE, LockFile, LockedPackage};
pub use open::{LockChange, LockedPackages, PackageRequest, Resolution, language, open_packages};
pub(crate) use project::allowed_packages;
pub use project::open_project_packages;
pub use requirement::{Requirement, RequirementError, normal};

/// The language whose packages these are.
const LANGUAGE: &str = "python";
