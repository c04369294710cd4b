//! Packages beyond a language's own library, as the sandbox sees them: names, digests and files.
//!
//! A [`PackageSet`] is what functions of one language may use together. It becomes an image of its own: every file is
//! offered to the guest to be compiled, once and inside the sandbox, and the guest imports the packages before its
//! snapshot is taken. What a file means is the guest's matter, where packages come from is the application's.

use std::fmt;
use std::io;
use std::sync::Arc;

use greensand_types::Language;

/// Packages that functions of one language may use together, with everything that they depend on.
#[derive(Debug, Clone)]
pub struct PackageSet {
    /// The language.
    pub language: Language,
    /// The packages.
    pub packages: Vec<PackageBundle>,
}

/// One package in one version.
#[derive(Clone)]
pub struct PackageBundle {
    /// Its name, as a [`SourceText`](greensand_types::SourceText) asks for it.
    pub name: String,
    /// Its version, for people and for the guest.
    pub version: String,
    /// The digest of its content: bundles of equal digests are taken for equal, and their image is made once.
    pub digest: String,
    /// Reads its files. Called only while an image is made.
    pub read: ReadFiles,
}

/// Reads the files of a package.
pub type ReadFiles = Arc<dyn Fn() -> io::Result<Vec<PackageFile>> + Send + Sync>;

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFile {
    /// Where it lies in the package: plain parts with `/` between them.
    pub path: String,
    /// What it holds.
    pub content: Vec<u8>,
}

impl PackageSet {
    /// Says whether the set has a package.
    pub fn has(&self, package: &str) -> bool {
        self.packages.iter().any(|bundle| bundle.name == package)
    }

    /// Returns the names of the packages, for messages.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.packages.iter().map(|bundle| format!("`{}`", bundle.name)).collect();
        names.join(", ")
    }
}

impl fmt::Debug for PackageBundle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PackageBundle({} {}, {})", self.name, self.version, self.digest)
    }
}
