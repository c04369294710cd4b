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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::project::open_project;
    use crate::settings::Overrides;

    /// Checks what functions can import, and what they may ask for, with these settings and a lock file of two packages
    /// and what one of them needs.
    fn check(settings: &str, expected: Result<(&[&str], &[&str]), &str>) {
        let folder = tempfile::tempdir().unwrap();
        let (root, wheels) = (folder.path(), folder.path().join("cache/wheels"));
        fs::create_dir_all(&wheels).unwrap();
        fs::write(root.join("tasks.jsonl"), "{\"question\": \"1 + 1?\", \"target\": \"2\"}\n").unwrap();
        let project = format!("[tasks]\ntrain = \"tasks.jsonl\"\n[functions]\n{settings}\n");
        fs::write(root.join("greensand.toml"), project).unwrap();
        let mut lock = "format = 1\npython = \"3.14\"\nrequirements = [\"networkx\", \"sympy\"]\n".to_owned();
        for (name, needs) in [("mpmath", ""), ("networkx", ""), ("sympy", "\"mpmath\"")] {
            let sha256 = name.len().to_string().repeat(64);
            fs::write(wheels.join(format!("{sha256}.whl")), "").unwrap();
            lock += &format!("[[package]]\nname = \"{name}\"\nversion = \"1.0\"\nfile = \"{name}-1.0-none-any.whl\"\n");
            lock += &format!("sha256 = \"{sha256}\"\nneeds = [{needs}]\n");
        }
        fs::write(root.join(LOCK_FILE), lock).unwrap();
        // Without a PATH there is no pip: what the lock file has is all that there is.
        let environment = Environment::of([("HOME", "/home/x")], root);
        let project = open_project(root, &Overrides::new(), &environment).unwrap();
        let names = open_project_packages(&project, &root.join("cache"), &environment)
            .and_then(|packages| Ok((packages.unwrap().names(), allowed_packages(&project)?)));
        match (names, expected) {
            (Ok((importable, allowed)), Ok(expected)) => {
                assert_eq!(
                    (importable.as_slice(), allowed.as_slice()),
                    (&texts(expected.0)[..], &texts(expected.1)[..])
                );
            }
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_may_not_be_asked_for_cannot_be_imported_either() {
        let both = "packages = [\"sympy\", \"networkx\"]\nallowed_packages = ";
        check(&format!("{both}[\"networkx\"]"), Ok((&["networkx"], &["networkx"])));
        check(&format!("{both}[\"SymPy\"]"), Ok((&["mpmath", "sympy"], &["sympy"])));
        check(&format!("{both}[]"), Ok((&["mpmath", "networkx", "sympy"], &["mpmath", "networkx", "sympy"])));
    }

    #[test]
    fn a_project_has_what_its_own_list_comes_to_whatever_else_is_in_the_lock_file() {
        check("packages = [\"networkx\"]", Ok((&["networkx"], &["networkx"])));
        check("packages = [\"networkx\"]\nallowed_packages = [\"sympy\"]", Err("has `sympy`, which is not among"));
        check("packages = [\"pandas\"]", Err("no tool was found"));
    }
}
