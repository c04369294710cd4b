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
    /// When it has everything that is asked for; otherwise it is made anew for what is asked for: the list of a project.
    Anew,
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
    /// Those of the lock file that functions may import.
    packages: Vec<LockedPackage>,
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
    let store = WheelStore::within(cache);
    if let Some(lock) = fitting(request)? {
        return with_wheels(lock, store, environment, LockChange::None);
    }
    // Two processes that add to one lock file take turns, and the second finds what the first has written.
    let _turn = store.turn()?;
    if let Some(lock) = fitting(request)? {
        return with_wheels(lock, store, environment, LockChange::None);
    }
    let present = LockFile::read(&request.lock)?;
    let wanted = wanted(request, present.as_ref())?;
    let python = python_version();
    let pip = Pip::find(environment, &python)?;
    let lock = LockFile::new(&python, &wanted, pip.resolve(&wanted, &pins(present, &wanted))?);
    store.fetch_missing(&lock.packages, || Ok(pip))?;
    lock.write(&request.lock)?;
    let change = LockChange::Written(in_words(&lock.packages));
    with_wheels(lock, store, environment, change)
}

/// Returns the lock file if nothing has to be resolved.
fn fitting(request: &PackageRequest) -> Result<Option<LockFile>, PackageError> {
    let (python, path) = (python_version(), || request.lock.clone());
    let lock = LockFile::read(&request.lock)?;
    match (request.resolution, lock) {
        (Resolution::Anew | Resolution::Additional, lock) => {
            Ok(lock.filter(|lock| lock.covers(&python, &request.requirements)))
        }
        (Resolution::Never, None) => Err(PackageError::NoLock { path: path() }),
        (Resolution::Never, Some(lock)) if lock.python != python => {
            let source = format!("it is for Python {}, functions run on Python {python}", lock.python).into();
            Err(PackageError::ReadLock { path: path(), source })
        }
        (Resolution::Never, lock @ Some(_)) => Ok(lock),
    }
}

/// Fetches the wheels of a lock file that the cache does not have.
fn with_wheels(
    lock: LockFile,
    store: WheelStore,
    environment: &Environment,
    change: LockChange,
) -> Result<LockedPackages, PackageError> {
    store.fetch_missing(&lock.packages, || Pip::find(environment, &lock.python))?;
    Ok(LockedPackages { packages: lock.packages.clone(), lock, store, change })
}

/// The pins that a resolution begins with: all but those of packages that are asked for in other words than before.
fn pins(present: Option<LockFile>, wanted: &[Requirement]) -> Vec<LockedPackage> {
    let Some(mut lock) = present else { return Vec::new() };
    let is_new = |requirement: &&Requirement| !lock.requirements.contains(&requirement.to_string());
    let moved: Vec<&str> = wanted.iter().filter(is_new).map(Requirement::name).collect();
    lock.packages.retain(|package| !moved.contains(&package.name.as_str()));
    lock.packages
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
    let guest = paths::guest_languages().into_iter().find(|guest| guest.name == LANGUAGE);
    let version = guest.and_then(|guest| guest.version.split(' ').nth(1)).unwrap_or_default();
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

impl LockedPackages {
    /// Leaves these packages and what they need; the others cannot be imported then.
    #[must_use]
    pub(super) fn of(mut self, names: &[String]) -> Self {
        self.packages = self.lock.closure(names.iter().map(String::as_str));
        self
    }

    /// Returns the names of all packages, dependencies too.
    pub fn names(&self) -> Vec<String> {
        self.packages.iter().map(|package| package.name.clone()).collect()
    }

    /// Returns the language of the packages.
    pub fn language(&self) -> Language {
        language()
    }

    /// Returns the packages as the sandbox takes them.
    pub fn set(&self) -> PackageSet {
        let packages = self.packages.iter().map(|package| self.bundle(package)).collect();
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

/// Returns the language whose functions may have packages.
pub fn language() -> Language {
    LANGUAGE.parse().expect("the name of a guest language is well formed")
}
