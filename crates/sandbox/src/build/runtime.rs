//! The runtime library of a compiled language: built once per machine and compiler, by the language's own builder.
//!
//! It is ours and what it is built from is pinned, so it is built outside of the jail, with the user's own settings for
//! where packages come from.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use greensand_guest_templates::Recipe;
use greensand_types::ContentId;

use super::toolchain::{Found, fill};
use super::wait::run_within;
use crate::call::readable;

/// How long building it may take, downloads included.
const LONGEST_BUILD: Duration = Duration::from_secs(600);

/// What is shown of what its builder says, in bytes.
const LONGEST_WORDS: usize = 2 << 10;

/// A file that says that a library is whole; it is written last.
const WHOLE: &str = "whole";

/// One build at a time in this process.
static BUILDING: Mutex<()> = Mutex::new(());

/// Returns the folder of what a recipe was built to: a folder in it for each compiler.
fn folder_of(language: &str, recipe: ContentId, cache: &Path) -> PathBuf {
    cache.join(format!("runtime-{language}-{}", recipe.short()))
}

/// Says whether the library of a recipe was built before, by whatever compiler.
pub(super) fn is_built(language: &str, recipe: ContentId, cache: &Path) -> bool {
    let folder = folder_of(language, recipe, cache);
    let is_built = fs::read_dir(&folder).is_ok_and(|built| built.flatten().any(|built| is_whole(&built.path())));
    if is_built {
        touch(&folder);
    }
    is_built
}

/// Says whether the folder of a library holds it.
pub(super) fn is_whole(folder: &Path) -> bool {
    folder.join(WHOLE).is_file()
}

/// Notes that a folder is of use. Only when it is pruned depends on it.
pub(super) fn touch(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.set_modified(SystemTime::now()));
}

/// Returns the folder of the built library, building it if need be.
///
/// # Errors
/// Why it could not be built.
pub(super) fn open(
    language: &str,
    recipe: &Recipe,
    found: &Found,
    [recipe_id, compiler_id]: [ContentId; 2],
    cache: &Path,
    is_stopped: &dyn Fn() -> bool,
) -> Result<PathBuf, String> {
    let of_recipe = folder_of(language, recipe_id, cache);
    let folder = of_recipe.join(compiler_id.short());
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    if is_whole(&folder) {
        touch(&folder);
        return Ok(folder);
    }
    let described = |what: &str, error: &dyn std::fmt::Display| {
        format!("the runtime library of `{language}` cannot be built: {what}: {error}")
    };
    let work = tempfile::Builder::new().prefix("work-").tempdir_in(cache);
    let work = work.map_err(|error| described("make a folder", &error))?;
    write(recipe, work.path()).map_err(|error| described("write its sources", &error))?;
    // What is there already is tried first: then nothing is asked of the network.
    let offline = build(recipe, found, recipe.runtime.offline, work.path(), is_stopped);
    offline
        .or_else(|_| build(recipe, found, recipe.runtime.online, work.path(), is_stopped))
        .map_err(|reason| described("its builder failed", &readable(reason.as_bytes(), LONGEST_WORDS)))?;
    let library = work.path().join(recipe.runtime.output);
    let kept = fs::write(library.join(WHOLE), "").and_then(|()| fs::create_dir_all(&of_recipe));
    kept.map_err(|error| described("keep it", &error))?;
    if !is_whole(&folder) {
        // What is left of one that somebody has emptied.
        let _ = fs::remove_dir_all(&folder);
    }
    match fs::rename(library, &folder) {
        Ok(()) => Ok(folder),
        // Another process was faster.
        Err(_) if is_whole(&folder) => Ok(folder),
        Err(error) => Err(described("keep it", &error)),
    }
}

fn write(recipe: &Recipe, folder: &Path) -> io::Result<()> {
    for (name, text) in recipe.runtime.files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

fn build(
    recipe: &Recipe,
    found: &Found,
    arguments: &[&str],
    work: &Path,
    is_stopped: &dyn Fn() -> bool,
) -> Result<(), String> {
    let values: [(&str, &Path); 2] = [("root", &found.root), ("program", &found.program)];
    let log = work.join("log");
    let in_words = |error: io::Error| error.to_string();
    let mut command = Command::new(fill(recipe.runtime.program, &values));
    // In a folder of ours, so that no project's settings take part in it.
    command.args(arguments).current_dir(work).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(File::create(&log).map_err(in_words)?);
    for (name, value) in recipe.runtime.environment {
        command.env(name, fill(value, &values));
    }
    let status = run_within(&mut command, LONGEST_BUILD, is_stopped).map_err(in_words)?;
    if status.is_some_and(|status| status.success()) {
        return Ok(());
    }
    let words = fs::read(&log).unwrap_or_default();
    let ending = status.map_or_else(|| "it took too long".to_owned(), |status| status.to_string());
    Err(format!("{ending}: {}", String::from_utf8_lossy(&words)))
}
