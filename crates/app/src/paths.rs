//! Where things are kept, as far as no setting says so.

use std::path::PathBuf;

use greensand_sandbox::{GuestTemplate, OpenSandboxError, Sandbox, SandboxSettings, UnjailedBuilds};
use greensand_types::Language;

use crate::Environment;
use crate::environment::{CACHE_VARIABLE, UNJAILED_VARIABLE};

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

fn sandbox_settings(environment: &Environment) -> Result<SandboxSettings, NoCacheDirError> {
    let unjailed_builds = match environment.get(UNJAILED_VARIABLE) {
        Some("1") => UnjailedBuilds::Allowed,
        Some(_) | None => UnjailedBuilds::Refused,
    };
    Ok(SandboxSettings {
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
    guests().into_iter().find(|guest| guest.name == language.as_str())
}

/// Returns every guest language.
pub(crate) fn guests() -> Vec<&'static GuestTemplate> {
    SandboxSettings::new(PathBuf::new()).languages
}

#[cfg(test)]
mod tests {
    use super::*;

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
