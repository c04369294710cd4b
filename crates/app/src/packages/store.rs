//! Wheels in the cache folder, each named by its SHA-256 and verified whenever it is put in or read.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use greensand_sandbox::PackageFile;
use sha2::{Digest, Sha256};

use super::error::PackageError;
use super::lock::LockedPackage;
use super::tool::Pip;
use super::wheel;

/// How old the folder of an unfinished fetch is when nobody is at work in it any more.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

/// The folder of wheels.
#[derive(Debug, Clone)]
pub(super) struct WheelStore {
    folder: PathBuf,
}

impl WheelStore {
    /// The store within a cache folder; both need not exist.
    pub(super) fn within(cache: &Path) -> Self {
        Self { folder: cache.join("wheels") }
    }

    /// Waits until no other process makes a lock file with this store, and keeps others waiting until the file is dropped.
    pub(super) fn turn(&self) -> Result<File, PackageError> {
        let failed = |source: io::Error| self.failed(source);
        self.make_folder().map_err(failed)?;
        let file = File::create(self.folder.join(".lock")).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    /// Returns the packages whose wheels are not there.
    fn missing<'a>(&self, packages: &'a [LockedPackage]) -> Vec<&'a LockedPackage> {
        packages.iter().filter(|package| !self.place(package).is_file()).collect()
    }

    /// Fetches the wheels that are not there and keeps them, all or none: each is verified before the first is kept.
    pub(super) fn fetch_missing<'a>(
        &self,
        packages: &[LockedPackage],
        pip: impl FnOnce() -> Result<Pip<'a>, PackageError>,
    ) -> Result<(), PackageError> {
        let missing = self.missing(packages);
        if missing.is_empty() {
            return Ok(());
        }
        let failed = |source: io::Error| self.failed(source);
        self.make_folder().map_err(failed)?;
        self.remove_leftovers();
        // Within the store, so that a whole file moves into its place in one step.
        let fetched = tempfile::tempdir_in(&self.folder).map_err(failed)?;
        pip()?.fetch(&missing, fetched.path())?;
        let wheels = digests_in(fetched.path()).map_err(failed)?;
        let mut moves = Vec::new();
        for package in missing {
            let found = wheels.get(&package.sha256).ok_or_else(|| not_pinned(package, fetched.path(), &wheels))?;
            wheel::files(&package.name, &fs::read(found).map_err(failed)?)?;
            moves.push((found, self.place(package)));
        }
        moves.into_iter().try_for_each(|(from, to)| fs::rename(from, to)).map_err(failed)
    }

    fn failed(&self, source: io::Error) -> PackageError {
        PackageError::Cache { folder: self.folder.clone(), source }
    }

    fn make_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)
    }

    /// Removes what a process left that was ended while it fetched.
    fn remove_leftovers(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let is_old = modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > LEFTOVER_AGE));
            if is_old && entry.file_name().as_encoded_bytes().starts_with(b".tmp") {
                // If that fails, the next fetch tries again.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Reads the files of a package. A wheel that was changed is removed, so that it is fetched again.
    pub(super) fn files(&self, package: &LockedPackage) -> Result<Vec<PackageFile>, PackageError> {
        let failed = |source: io::Error| self.failed(source);
        let bytes = fs::read(self.place(package)).map_err(failed)?;
        if let Err(error) = verify(package, &bytes) {
            fs::remove_file(self.place(package)).map_err(failed)?;
            return Err(error);
        }
        wheel::files(&package.name, &bytes)
    }

    fn place(&self, package: &LockedPackage) -> PathBuf {
        self.folder.join(format!("{}.whl", package.sha256))
    }
}

fn verify(package: &LockedPackage, wheel: &[u8]) -> Result<(), PackageError> {
    let found = sha256(wheel);
    if found == package.sha256 {
        return Ok(());
    }
    Err(PackageError::WrongHash { name: package.name.clone(), expected: package.sha256.clone(), found })
}

/// The wheels of a folder by their digests: an index may call a file otherwise than it is called once it is saved.
fn digests_in(folder: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut wheels = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            wheels.insert(sha256(&fs::read(&path)?), path);
        }
    }
    Ok(wheels)
}

/// Words that no wheel is the pinned one.
fn not_pinned(package: &LockedPackage, folder: &Path, wheels: &BTreeMap<String, PathBuf>) -> PackageError {
    let place = folder.join(&package.file);
    let (name, expected) = (package.name.clone(), package.sha256.clone());
    match wheels.iter().find(|(_, path)| **path == place) {
        Some((found, _)) => PackageError::WrongHash { name, expected, found: found.clone() },
        None => {
            let (packages, reason) = (format!("`{name}` {}", package.version), "pip saved no such wheel".into());
            PackageError::NotFetched { packages, reason, offline: false }
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_that_is_not_the_pinned_one_is_refused_and_removed() {
        let cache = tempfile::tempdir().unwrap();
        let store = WheelStore::within(cache.path());
        let package = LockedPackage {
            name: "one".into(),
            version: "1.0".into(),
            file: "one-1.0-py3-none-any.whl".into(),
            sha256: "0".repeat(64),
            needs: Vec::new(),
        };
        fs::create_dir(&store.folder).unwrap();
        fs::write(store.place(&package), "another wheel").unwrap();
        assert!(store.missing(std::slice::from_ref(&package)).is_empty());
        let error = store.files(&package).unwrap_err();
        assert!(matches!(error, PackageError::WrongHash { .. }), "{error}");
        assert_eq!(store.missing(std::slice::from_ref(&package)), [&package]);
    }
}
