//! The packages of a project: its settings and its lock file.

use std::path::Path;

use super::error::PackageError;
use super::lock::{LOCK_FILE, LockFile};
use super::open::{LockedPackages, PackageRequest, Resolution, language, open_packages};
use super::requirement::{Requirement, normal};
use crate::Environment;
use crate::project::Project;

/// Makes the packages of a project ready; nothing when it has none. It blocks.
///
/// # Errors
/// When packages cannot be resolved or fetched, have native code, or are not what the lock file says.
pub fn open_project_packages(
    project: &Project,
    cache: &Path,
    environment: &Environment,
) -> Result<Option<LockedPackages>, PackageError> {
    let functions = &project.settings.functions;
    if functions.packages.is_empty() {
        return Ok(None);
    }
    if functions.language != language() {
        return Err(PackageError::NoPackages { language: functions.language.to_string() });
    }
    let requirements = functions.packages.iter().map(|text| text.parse::<Requirement>()).collect::<Result<_, _>>()?;
    let request = PackageRequest { requirements, lock: project.root.join(LOCK_FILE), resolution: Resolution::Exact };
    open_packages(&request, cache, environment).map(Some)
}

/// Returns the names of the packages that functions of a project may import: those of its lock file, or fewer.
pub(crate) fn allowed_packages(project: &Project) -> Result<Vec<String>, PackageError> {
    let functions = &project.settings.functions;
    if functions.packages.is_empty() {
        return match functions.allowed_packages.first() {
            Some(name) => Err(PackageError::NotLocked { name: name.clone() }),
            None => Ok(Vec::new()),
        };
    }
    let path = project.root.join(LOCK_FILE);
    let Some(lock) = LockFile::read(&path)? else { return Err(PackageError::NoLock { path }) };
    let locked: Vec<String> = lock.packages.into_iter().map(|package| package.name).collect();
    if functions.allowed_packages.is_empty() {
        return Ok(locked);
    }
    let allowed: Vec<String> = functions.allowed_packages.iter().map(|name| normal(name)).collect();
    match allowed.iter().find(|name| !locked.contains(name)) {
        Some(name) => Err(PackageError::NotLocked { name: name.clone() }),
        None => Ok(allowed),
    }
}
