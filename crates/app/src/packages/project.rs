//! The packages of a project: its settings and its lock file.

use std::path::Path;

use super::error::PackageError;
use super::lock::{LOCK_FILE, LockFile};
use super::open::{LockedPackages, PackageRequest, Resolution, language, open_packages};
use super::requirement::{Requirement, normal};
use crate::Environment;
use crate::project::Project;
use crate::settings::FunctionsSection;

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
    let requirements = requirements(functions)?;
    let request = PackageRequest { requirements, lock: project.root.join(LOCK_FILE), resolution: Resolution::Anew };
    let packages = open_packages(&request, cache, environment)?;
    // What may not be asked for cannot be imported either.
    Ok(Some(packages.of(&offered(functions)?)))
}

/// Returns the names of the packages that functions of a project may ask for: those of its list and all that they need, or
/// those of `functions.allowed_packages` alone.
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
    let listed = requirements(functions)?;
    let locked: Vec<String> =
        lock.closure(listed.iter().map(Requirement::name)).into_iter().map(|package| package.name).collect();
    if functions.allowed_packages.is_empty() {
        return Ok(locked);
    }
    let allowed = offered(functions)?;
    match allowed.iter().find(|name| !locked.contains(name)) {
        Some(name) => Err(PackageError::NotLocked { name: name.clone() }),
        None => Ok(allowed),
    }
}

fn requirements(functions: &FunctionsSection) -> Result<Vec<Requirement>, PackageError> {
    Ok(functions.packages.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
}

/// The names of the packages that are importable with all that they need.
fn offered(functions: &FunctionsSection) -> Result<Vec<String>, PackageError> {
    if functions.allowed_packages.is_empty() {
        return Ok(requirements(functions)?.iter().map(|requirement| requirement.name().to_owned()).collect());
    }
    Ok(functions.allowed_packages.iter().map(|name| normal(name)).collect())
}
