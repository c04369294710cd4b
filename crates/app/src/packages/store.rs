//! Wheels in the cache folder, each named by its SHA-256 and verified whenever it is put in or read.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use greensand_sandbox::PackageFile;
use sha2::{Digest, Sha256};

use super::error::PackageError;
use super::lock::LockedPackage;
use super::tool::Pip;
use super::wheel;

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

    /// Returns the packages whose wheels are not there.
    pub(super) fn missing<'a>(&self, packages: &'a [LockedPackage]) -> Vec<&'a LockedPackage> {
        packages.iter().filter(|package| !self.place(package).is_file()).collect()
    }

    /// Fetches wheels and keeps them, all or none: each is verified before the first is kept.
    pub(super) fn fetch(&self, packages: &[&LockedPackage], pip: &Pip<'_>) -> Result<(), PackageError> {
        let failed = |source: io::Error| PackageError::Cache { folder: self.folder.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        // Within the store, so that a whole file moves into its place in one step.
        let fetched = tempfile::tempdir_in(&self.folder).map_err(failed)?;
        pip.fetch(packages, fetched.path())?;
        for package in packages {
            let bytes = fs::read(fetched.path().join(&package.file)).map_err(failed)?;
            verify(package, &bytes)?;
            wheel::files(&package.name, &bytes)?;
        }
        for package in packages {
            fs::rename(fetched.path().join(&package.file), self.place(package)).map_err(failed)?;
        }
        Ok(())
    }

    /// Reads the files of a package. A wheel that was changed is removed, so that it is fetched again.
    pub(super) fn files(&self, package: &LockedPackage) -> Result<Vec<PackageFile>, PackageError> {
        let failed = |source: io::Error| PackageError::Cache { folder: self.folder.clone(), source };
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
    let found: String = Sha256::digest(wheel).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == package.sha256 {
        return Ok(());
    }
    Err(PackageError::WrongHash { name: package.name.clone(), expected: package.sha256.clone(), found })
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
        };
        fs::create_dir(&store.folder).unwrap();
        fs::write(store.place(&package), "another wheel").unwrap();
        assert!(store.missing(std::slice::from_ref(&package)).is_empty());
        let error = store.files(&package).unwrap_err();
        assert!(matches!(error, PackageError::WrongHash { .. }), "{error}");
        assert_eq!(store.missing(std::slice::from_ref(&package)), [&package]);
    }
}
