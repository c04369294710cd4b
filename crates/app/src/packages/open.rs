use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use greensand_sandbox::{PackageBundle, PackageSet};
use greensand_types::Language;

use super::LANGUAGE;
use super::error::PackageError;
use super::lock::{LockFile, LockedPackage};
use super::requirement::Requirement;
use super::store::WheelStore;
use super::tool::Pip;
use crate::{Environment, paths};

/// What packages are asked for.
#[derive(Debug, Clone)]
pub struct PackageRequest {
    /// The packages.
    pub requirements: Vec<Requirement>,
    /// The lock file; it need not exist.
    pub lock: PathBuf,
    /// When that file is used as it is.
    pub resolution: Resolution,
}

/// When a lock file is used as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// When it is that of exactly the list: the list of a project.
    Exact,
    /// When it has everything that is asked for; otherwise what is asked for is added to it.
    Additional,
    /// Always: nothing is resolved, and what it does not have is not there.
    Never,
}

/// What became of the lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockChange {
    /// It was used as it is.
    None,
    /// It was written, for the first time or anew; the packages with their versions, in words.
    Written(String),
}

/// Packages that are pinned and in the cache.
#[derive(Debug, Clone)]
pub struct LockedPackages {
    lock: LockFile,
    store: WheelStore,
    /// What became of the lock file.
    pub change: LockChange,
}

/// Makes packages ready: resolves and fetches what the lock file and the cache do not have. It blocks.
///
/// # Errors
/// When packages cannot be resolved or fetched, have native code, or are not what the lock file says; then neither the
/// lock file nor the cache has changed.
pub fn open_packages(
    request: &PackageRequest,
    cache: &Path,
    environment: &Environment,
) -> Result<LockedPackages, PackageError> {
    let python = python_version();
    let present = LockFile::read(&request.lock)?;
    let store = WheelStore::within(cache);
    let fits = present.as_ref().is_some_and(|lock| match request.resolution {
        Resolution::Exact => lock.is_of(&python, &request.requirements),
        Resolution::Additional => lock.covers(&python, &request.requirements),
        Resolution::Never => true,
    });
    if let (true, Some(lock)) = (fits, &present) {
        let missing = store.missing(&lock.packages);
        if !missing.is_empty() {
            store.fetch(&missing, &Pip::find(environment, &lock.python)?)?;
        }
        return Ok(LockedPackages { lock: lock.clone(), store, change: LockChange::None });
    }
    if request.resolution == Resolution::Never {
        return Err(PackageError::NoLock { path: request.lock.clone() });
    }
    let wanted = wanted(request, present.as_ref())?;
    let pip = Pip::find(environment, &python)?;
    let pinned = present.map(|lock| lock.packages).unwrap_or_default();
    let lock = LockFile::new(&python, &wanted, pip.resolve(&wanted, &pinned)?);
    let missing = store.missing(&lock.packages);
    if !missing.is_empty() {
        store.fetch(&missing, &pip)?;
    }
    lock.write(&request.lock)?;
    let change = LockChange::Written(in_words(&lock.packages));
    Ok(LockedPackages { lock, store, change })
}

/// What is to be resolved: what is asked for, and with it what the lock file already has if that is added to.
fn wanted(request: &PackageRequest, present: Option<&LockFile>) -> Result<Vec<Requirement>, PackageError> {
    let mut wanted = request.requirements.clone();
    if let (Resolution::Additional, Some(lock)) = (request.resolution, present) {
        for earlier in &lock.requirements {
            let earlier: Requirement = earlier.parse()?;
            if wanted.iter().all(|requirement| requirement.name() != earlier.name()) {
                wanted.push(earlier);
            }
        }
    }
    wanted.sort();
    wanted.dedup();
    Ok(wanted)
}

fn in_words(packages: &[LockedPackage]) -> String {
    let packages: Vec<_> = packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect();
    packages.join(", ")
}

/// The version of the guest's Python without its patch: `3.14`.
fn python_version() -> String {
    let guest = paths::guests().into_iter().find(|guest| guest.name == LANGUAGE);
    let version = guest.and_then(|guest| guest.version.split(' ').nth(1)).unwrap_or_default();
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

impl LockedPackages {
    /// Returns the names of all packages, dependencies too.
    pub fn names(&self) -> Vec<String> {
        self.lock.packages.iter().map(|package| package.name.clone()).collect()
    }

    /// Returns the language of the packages.
    pub fn language(&self) -> Language {
        language()
    }

    /// Returns the packages as the sandbox takes them.
    pub fn set(&self) -> PackageSet {
        let packages = self.lock.packages.iter().map(|package| self.bundle(package)).collect();
        PackageSet { language: language(), packages }
    }

    fn bundle(&self, package: &LockedPackage) -> PackageBundle {
        let (store, locked) = (self.store.clone(), package.clone());
        PackageBundle {
            name: package.name.clone(),
            version: package.version.clone(),
            digest: package.sha256.clone(),
            read: Arc::new(move || store.files(&locked).map_err(io::Error::other)),
        }
    }
}

/// The language of packages.
pub(super) fn language() -> Language {
    LANGUAGE.parse().expect("the name of a guest language is well formed")
}
