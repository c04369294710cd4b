//! Where things are kept, as far as no setting says so.

use std::path::PathBuf;

use greensand_sandbox::{GuestTemplate, InstanceMode, OpenSandboxError, Sandbox, SandboxSettings, UnjailedBuilds};
use greensand_types::Language;

use crate::environment::{CACHE_VARIABLE, UNJAILED_VARIABLE};
use crate::{Environment, Settings};

/// The variable of the setting `sandbox.instances`; commands without a project obey it, too.
const INSTANCES_VARIABLE: &str = "GREENSAND_SANDBOX_INSTANCES";

/// No folder could be found for the cache.
#[derive(Debug, thiserror::Error)]
#[error("there is no home folder to keep the cache in: set {CACHE_VARIABLE} to a folder")]
pub struct NoCacheDirError;

/// The sandbox could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// There is no place for its images.
    #[error(transparent)]
    NoCacheDir(#[from] NoCacheDirError),
    /// The environment asks for instances that there are not.
    #[error("variable `{INSTANCES_VARIABLE}` must be one of pristine, verified, fresh, found `{}`", .0.escape_debug())]
    UnknownInstances(String),
    /// It refuses to open.
    #[error(transparent)]
    Open(#[from] OpenSandboxError),
}

/// Returns the cache folder: `GREENSAND_CACHE`, or `greensand` in the user's cache folder (`XDG_CACHE_HOME`, or
/// `.cache` in the home folder). It need not exist; the sandbox makes it, for its owner only.
///
/// # Errors
/// When neither variable is set and there is no home folder.
pub fn cache_dir(environment: &Environment) -> Result<PathBuf, NoCacheDirError> {
    if let Some(folder) = environment.get(CACHE_VARIABLE) {
        return Ok(environment.current_dir().join(folder));
    }
    // A relative XDG folder is to be ignored, as its specification says.
    if let Some(folder) = environment.get("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute()) {
        return Ok(folder.join("greensand"));
    }
    let home = environment.get("HOME").ok_or(NoCacheDirError)?;
    Ok(PathBuf::from(home).join(".cache").join("greensand"))
}

/// Opens the sandbox with its images in the cache folder.
///
/// # Errors
/// When there is no place for the cache, or the engine cannot start.
pub fn open_sandbox(environment: &Environment) -> Result<Sandbox, SandboxError> {
    Ok(Sandbox::open(sandbox_settings(environment)?)?)
}

/// Opens the sandbox of a project; otherwise like [`open_sandbox`].
///
/// # Errors
/// When there is no place for the cache, or the engine cannot start.
pub fn open_project_sandbox(environment: &Environment, settings: &Settings) -> Result<Sandbox, SandboxError> {
    let instances = settings.sandbox.instances;
    open_sandbox_as(environment, |settings| SandboxSettings { instances, ..settings })
}

/// Opens the sandbox with so many workers; otherwise like [`open_sandbox`].
///
/// # Errors
/// When there is no place for the cache, or the engine cannot start.
pub fn open_sandbox_with(environment: &Environment, workers: usize) -> Result<Sandbox, SandboxError> {
    Ok(Sandbox::open(SandboxSettings { workers, ..sandbox_settings(environment)? })?)
}

/// Opens the sandbox with settings that differ from those of [`open_sandbox`].
///
/// # Errors
/// When there is no place for the cache, or the engine cannot start.
pub fn open_sandbox_as(
    environment: &Environment,
    change: impl FnOnce(SandboxSettings) -> SandboxSettings,
) -> Result<Sandbox, SandboxError> {
    Ok(Sandbox::open(change(sandbox_settings(environment)?))?)
}

fn sandbox_settings(environment: &Environment) -> Result<SandboxSettings, SandboxError> {
    let unjailed_builds = match environment.get(UNJAILED_VARIABLE) {
        Some("1") => UnjailedBuilds::Allowed,
        Some(_) | None => UnjailedBuilds::Refused,
    };
    let instances = match environment.get(INSTANCES_VARIABLE) {
        Some(word) => InstanceMode::of(word).ok_or_else(|| SandboxError::UnknownInstances(word.to_owned()))?,
        None => InstanceMode::default(),
    };
    Ok(SandboxSettings {
        instances,
        helper: environment.helper().cloned(),
        tool_folders: tool_folders(environment),
        unjailed_builds,
        ..SandboxSettings::new(cache_dir(environment)?)
    })
}

/// Returns where a person's compilers may be: the folders of `PATH`, and the one that an installer of compilers uses
/// even where a shell does not know of it yet.
fn tool_folders(environment: &Environment) -> Vec<PathBuf> {
    let path = environment.get("PATH").unwrap_or_default();
    let in_home = |home: &str| PathBuf::from(home).join(".cargo/bin");
    let of_installer = match environment.get("CARGO_HOME") {
        Some(folder) => Some(PathBuf::from(folder).join("bin")),
        None => environment.get("HOME").map(in_home),
    };
    // A relative folder would depend on where the program was started.
    std::env::split_paths(path).chain(of_installer).filter(|folder| folder.is_absolute()).collect()
}

/// Returns the guest of a language.
pub(crate) fn guest(language: &Language) -> Option<&'static GuestTemplate> {
    guest_languages().into_iter().find(|guest| guest.name == language.as_str())
}

/// Returns every guest language.
pub fn guest_languages() -> Vec<&'static GuestTemplate> {
    SandboxSettings::new(PathBuf::new()).languages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_the_instances_is_that_of_the_setting() {
        let check = |word: &str| {
            let environment = Environment::of([(INSTANCES_VARIABLE, word), ("HOME", "/home/x")], "/work");
            sandbox_settings(&environment).map(|settings| settings.instances).map_err(|error| error.to_string())
        };
        assert_eq!(check("fresh"), Ok(InstanceMode::Fresh));
        assert_eq!(check("verified"), Ok(InstanceMode::Verified));
        assert_eq!(check(""), Ok(InstanceMode::Pristine));
        let error = "variable `GREENSAND_SANDBOX_INSTANCES` must be one of pristine, verified, fresh, found `new`";
        assert_eq!(check("new"), Err(error.into()));
        let upper = crate::settings::INSTANCES.replace('.', "_").to_uppercase();
        assert_eq!(INSTANCES_VARIABLE, format!("GREENSAND_{upper}"));
    }

    #[test]
    fn builds_without_a_wall_are_allowed_in_one_word_only() {
        let check = |word: &str| {
            let environment = Environment::of([(UNJAILED_VARIABLE, word), ("HOME", "/home/x")], "/work");
            sandbox_settings(&environment).unwrap().unjailed_builds
        };
        assert_eq!(check("1"), UnjailedBuilds::Allowed);
        for word in ["", "0", "true", "yes", "11"] {
            assert_eq!(check(word), UnjailedBuilds::Refused, "{word}");
        }
    }

    #[test]
    fn the_variable_goes_before_the_convention() {
        let check = |variables: &[(&str, &str)]| {
            cache_dir(&Environment::of(variables.iter().copied(), "/work")).unwrap().display().to_string()
        };
        assert_eq!(check(&[("GREENSAND_CACHE", "here"), ("HOME", "/home/x")]), "/work/here");
        assert_eq!(check(&[("XDG_CACHE_HOME", "/cache"), ("HOME", "/home/x")]), "/cache/greensand");
        assert_eq!(check(&[("XDG_CACHE_HOME", "relative"), ("HOME", "/home/x")]), "/home/x/.cache/greensand");
        assert_eq!(check(&[("GREENSAND_CACHE", ""), ("HOME", "/home/x")]), "/home/x/.cache/greensand");
    }
}
