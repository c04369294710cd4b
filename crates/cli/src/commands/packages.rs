//! Packages of functions: the flags by which they are asked for, and what is said of them.

use std::path::{Path, PathBuf};

use clap::Args;
use greensand_app::packages::{
    LOCK_FILE, LockChange, LockedPackages, PackageError, PackageRequest, Requirement, Resolution,
    language as packages_language, open_packages, open_project_packages,
};
use greensand_app::{Environment, InstanceMode, Project, Sandbox, SandboxSettings, cache_dir};
use greensand_types::Language;

use super::common;
use crate::failure::Failure;
use crate::terminal::{DIM, Terminal};
use crate::text;

/// Flags that ask for packages.
#[derive(Debug, Args)]
pub(super) struct PackageFlags {
    /// Packages of pure Python that may be imported, such as sympy or 'networkx>=3,<4'; pinned in the lock file
    #[arg(long, value_name = "A,B")]
    packages: Vec<String>,

    /// The lock file of the packages [default: greensand.lock in the current folder]
    #[arg(long, value_name = "PATH")]
    lock: Option<PathBuf>,
}

impl PackageFlags {
    /// Returns what the flags ask for.
    pub(super) fn requirements(&self) -> Result<Vec<Requirement>, Failure> {
        let mut requirements = Vec::new();
        for text in &self.packages {
            requirements.extend(Requirement::parse_list(text)?);
        }
        Ok(requirements)
    }

    /// Refuses packages for functions in a language that has none, before anything is fetched.
    pub(super) fn check_language(&self, language: &Language) -> Result<(), Failure> {
        let asks = !self.packages.is_empty() || self.lock.is_some();
        match asks && *language != packages_language() {
            true => Err(PackageError::NoPackages { language: language.to_string() }.into()),
            false => Ok(()),
        }
    }

    /// Returns the names of the packages that a function is given which names none: those of the flag, or else those of
    /// the lock file.
    pub(super) fn names(&self, packages: Option<&LockedPackages>) -> Result<Vec<String>, Failure> {
        let named: Vec<String> = self.requirements()?.iter().map(|package| package.name().to_owned()).collect();
        Ok(match packages {
            Some(packages) if named.is_empty() => packages.names(),
            Some(_) | None => named,
        })
    }

    /// Makes packages ready: those of the flags, which are added to the lock file, or those of a lock file that is named or
    /// lies in or above the folder of a run. Without all that there are none.
    pub(super) fn open(
        &self,
        nearby: Option<&Path>,
        environment: &Environment,
        terminal: &Terminal,
    ) -> Result<Option<LockedPackages>, Failure> {
        let requirements = self.requirements()?;
        let here = environment.current_dir();
        let lock = match (&self.lock, nearby) {
            (Some(path), _) => here.join(path),
            (None, Some(folder)) => lock_above(&here.join(folder)).unwrap_or_else(|| here.join(LOCK_FILE)),
            (None, None) => here.join(LOCK_FILE),
        };
        let resolution = match requirements.is_empty() {
            true if self.lock.is_none() && nearby.is_none() => return Ok(None),
            true => Resolution::Never,
            false => Resolution::Additional,
        };
        let request = PackageRequest { requirements, lock, resolution };
        let packages = open_packages(&request, &cache_folder(environment)?, environment)?;
        tell(&packages, &request.lock, terminal);
        Ok(Some(packages))
    }
}

/// Opens the sandbox of a project, with its packages.
pub(super) fn open_project_sandbox(
    project: &Project,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<Sandbox, Failure> {
    let packages = open_project_packages(project, &cache_folder(environment)?, environment)?;
    if let Some(packages) = &packages {
        tell(packages, &project.root.join(LOCK_FILE), terminal);
    }
    let instances = project.settings.sandbox.instances;
    common::open_sandbox_as(environment, |settings| SandboxSettings {
        instances,
        package_sets: packages.as_ref().map(LockedPackages::set).into_iter().collect(),
        ..settings
    })
}

/// Opens the sandbox with packages, and with so many workers.
pub(super) fn open_sandbox(
    environment: &Environment,
    packages: Option<&LockedPackages>,
    workers: usize,
    instances: Option<InstanceMode>,
) -> Result<Sandbox, Failure> {
    common::open_sandbox_as(environment, |settings| SandboxSettings {
        workers,
        instances: instances.unwrap_or(settings.instances),
        package_sets: packages.map(LockedPackages::set).into_iter().collect(),
        ..settings
    })
}

fn cache_folder(environment: &Environment) -> Result<PathBuf, Failure> {
    Ok(cache_dir(environment).map_err(greensand_app::SandboxError::from)?)
}

/// The lock file in a folder or in the nearest one above it: a run lies within its project.
fn lock_above(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(LOCK_FILE)).find(|path| path.is_file())
}

fn tell(packages: &LockedPackages, lock: &Path, terminal: &Terminal) {
    if let LockChange::Written(list) = &packages.change {
        let (lock, list) = (common::shown(lock), text::line(list));
        terminal.say(format_args!("{DIM}pinned in {lock}: {list}{DIM:#}"));
    }
}
