//! The lock file: the packages of a list of requirements, pinned by version and hash.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::error::PackageError;
use super::requirement::{Requirement, normal};

/// The name of the lock file, beside the project file.
pub const LOCK_FILE: &str = "greensand.lock";

/// The number of the layout. See the README of this crate.
const FORMAT: u32 = 1;

const HEAD: &str = "# The packages of functions, pinned by greensand. Keep it with the project; do not edit it.\n";

/// What a lock file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    format: u32,
    /// The version of Python for which the packages were chosen.
    pub python: String,
    /// What was asked for, sorted.
    pub requirements: Vec<String>,
    /// What it came to, sorted by name.
    #[serde(default, rename = "package")]
    pub packages: Vec<LockedPackage>,
}

/// One package of a lock file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Its name, as indexes compare names.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The name of its wheel.
    pub file: String,
    /// The SHA-256 of its wheel, in hex digits.
    pub sha256: String,
    /// The packages of this lock file that it depends on, sorted.
    pub needs: Vec<String>,
}

impl LockFile {
    /// A lock file of what was found.
    pub(super) fn new(python: &str, requirements: &[Requirement], mut packages: Vec<LockedPackage>) -> Self {
        packages.sort();
        Self { format: FORMAT, python: python.to_owned(), requirements: sorted(requirements), packages }
    }

    /// Reads a lock file; nothing when there is none.
    ///
    /// # Errors
    /// When it cannot be read, was written by a newer program, or does not hold what a lock file holds.
    pub fn read(path: &Path) -> Result<Option<Self>, PackageError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(PackageError::ReadLock { path: path.to_owned(), source: source.into() }),
        };
        let unreadable =
            |source: toml::de::Error| PackageError::ReadLock { path: path.to_owned(), source: source.into() };
        let Head { format } = toml::from_str(&text).map_err(unreadable)?;
        if format != FORMAT {
            return Err(PackageError::NewerLock { path: path.to_owned(), format, known: FORMAT });
        }
        let lock: Self = toml::from_str(&text).map_err(unreadable)?;
        match lock.fault() {
            Some(fault) => Err(PackageError::ReadLock { path: path.to_owned(), source: fault.into() }),
            None => Ok(Some(lock)),
        }
    }

    /// Writes the file whole.
    pub(super) fn write(&self, path: &Path) -> Result<(), PackageError> {
        let failed = |source: io::Error| PackageError::WriteLock { path: path.to_owned(), source };
        let text = toml::to_string(self).map_err(|error| failed(io::Error::other(error)))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        write!(file, "{HEAD}{text}").map_err(failed)?;
        readable_by_all(file.as_file()).map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// What is wrong with a file that has the right layout: its parts become arguments and file names.
    fn fault(&self) -> Option<String> {
        let is_listed = |name: &String| self.packages.iter().any(|package| package.name == *name);
        let names: BTreeSet<&str> = self.packages.iter().map(|package| package.name.as_str()).collect();
        if names.len() != self.packages.len() {
            return Some("a package stands in it twice".into());
        }
        if let Some(text) = self.requirements.iter().find(|text| text.parse::<Requirement>().is_err()) {
            return Some(format!("`{text}` is no requirement"));
        }
        let missing = |package: &LockedPackage| {
            let need = package.needs.iter().find(|need| !is_listed(need))?;
            Some(format!("package `{}` needs `{need}`, which it does not have", package.name))
        };
        self.packages.iter().find_map(|package| fault_of(package).or_else(|| missing(package)))
    }

    /// Returns these packages and all that they need.
    pub(super) fn closure<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<LockedPackage> {
        let mut wanted: Vec<&str> = names.into_iter().collect();
        let mut found = BTreeSet::new();
        while let Some(name) = wanted.pop() {
            let Some(package) = self.packages.iter().find(|package| package.name == name) else { continue };
            if found.insert(name) {
                wanted.extend(package.needs.iter().map(String::as_str));
            }
        }
        self.packages.iter().filter(|package| found.contains(package.name.as_str())).cloned().collect()
    }

    /// Says whether everything that is required was also asked for when the file was made.
    pub(super) fn covers(&self, python: &str, requirements: &[Requirement]) -> bool {
        let is_covered = |required: &Requirement| {
            let text = required.to_string();
            // A bare name is met by any version.
            self.requirements.contains(&text)
                || text == required.name() && self.packages.iter().any(|package| package.name == required.name())
        };
        self.python == python && requirements.iter().all(is_covered)
    }
}

/// A temporary file is its owner's alone; a lock file is shared with the project.
fn readable_by_all(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

fn sorted(requirements: &[Requirement]) -> Vec<String> {
    let mut texts: Vec<_> = requirements.iter().map(ToString::to_string).collect();
    texts.sort();
    texts.dedup();
    texts
}

/// What is wrong with a package of a lock file, or of a report of pip.
pub(super) fn fault_of(package: &LockedPackage) -> Option<String> {
    let LockedPackage { name, version, file, sha256, needs: _ } = package;
    let pinned = format!("{name}=={version}");
    // As it is written, and one version: it becomes a line of a file that pip reads.
    let is_pinned =
        pinned.parse::<Requirement>().is_ok_and(|read| read.to_string() == pinned) && !version.contains(',');
    if !is_pinned || normal(name) != *name {
        return Some(format!("`{name}` {version} is no package"));
    }
    if sha256.len() != 64 || !sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Some(format!("the SHA-256 of package `{name}` is not 64 hex digits"));
    }
    let is_wheel = file.ends_with(".whl") && !file.contains(['/', '\\', '\0']);
    (!is_wheel).then(|| format!("the file of package `{name}` is no wheel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirements(texts: &[&str]) -> Vec<Requirement> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn lock(texts: &[&str]) -> LockFile {
        let package = |name: &str| LockedPackage {
            name: name.into(),
            version: "1.0".into(),
            file: format!("{name}-1.0-py3-none-any.whl"),
            sha256: "0".repeat(64),
            needs: if name == "one" { vec!["two".into()] } else { Vec::new() },
        };
        LockFile::new("3.14", &requirements(texts), vec![package("two"), package("three"), package("one")])
    }

    #[test]
    fn a_lock_file_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK_FILE);
        assert!(LockFile::read(&path).unwrap().is_none());
        lock(&["one>=1"]).write(&path).unwrap();
        assert_eq!(LockFile::read(&path).unwrap().unwrap(), lock(&["one>=1"]));
    }

    #[test]
    fn a_package_comes_with_what_it_needs_and_with_nothing_else() {
        let names = |asked: &[&str]| {
            let found = lock(&["one"]).closure(asked.iter().copied());
            found.into_iter().map(|package| package.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["one"]), ["one", "two"]);
        assert_eq!(names(&["two", "two"]), ["two"]);
        assert!(names(&["four"]).is_empty() && names(&[]).is_empty());
    }

    #[test]
    fn a_lock_file_covers_what_it_was_made_for_and_any_version_of_what_it_has() {
        let lock = lock(&["one>=1"]);
        assert!(lock.covers("3.14", &requirements(&["one>=1"])) && lock.covers("3.14", &requirements(&["one", "two"])));
        assert!(!lock.covers("3.14", &requirements(&["one>=2"])) && !lock.covers("3.14", &requirements(&["four"])));
        assert!(!lock.covers("3.15", &requirements(&["one"])));
    }

    #[test]
    fn what_is_no_lock_file_is_an_error_that_says_why() {
        let whole = toml::to_string(&lock(&["one"])).unwrap();
        for (text, words) in [
            (whole.replace("format = 1", "format = 2"), "has format 2"),
            (whole.replace("python", "pithon"), "read the lock file"),
            (whole.replace("name = \"one\"", "name = \"../one\""), "read the lock file"),
            (whole.replace(&"0".repeat(64), "0"), "read the lock file"),
            (whole.replace("one-1.0-py3", "../one-1.0-py3"), "read the lock file"),
            (whole.replace("\"1.0\"", "\"1.0 --global-option x\""), "read the lock file"),
            (whole.replace("\"1.0\"", "\"1.0,<3\""), "read the lock file"),
            (whole.replace("name = \"three\"", "name = \"two\""), "read the lock file"),
            (whole.replace("needs = [\"two\"]", "needs = [\"four\"]"), "read the lock file"),
            (whole.replace("requirements = [\"one\"]", "requirements = [\"-r x\"]"), "read the lock file"),
        ] {
            assert_ne!(text, whole);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(LOCK_FILE);
            fs::write(&path, text).unwrap();
            let error = LockFile::read(&path).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
