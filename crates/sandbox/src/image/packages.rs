//! The library of an image with packages: that of the language, and what the guest made of the packages' files.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use greensand_types::Limits;

use super::{Image, PackageSet};
use crate::PackageFile;
use crate::call::compile_file;
use crate::engine::{PACKAGE_COMPILERS, THREAD_STACK};
use crate::ticker::Ticker;

/// The name under which the guest finds what packages there are.
const DESCRIPTION: &str = ":packages";

/// What compiling one file may use.
const FILE_LIMITS: Limits = Limits { wall: Duration::from_secs(120), memory_bytes: 1 << 30, ..Limits::DEFAULT };

/// Files of all packages of a set together, and their bytes, above which a set is refused.
const MOST_FILES: usize = 50_000;
const MOST_BYTES: usize = 512 << 20;

type Cause = Box<dyn Error + Send + Sync>;

/// Reads the files of a set and has the guest compile them, several at once; gives modules of a library by name.
///
/// # Errors
/// When files cannot be read, two packages have different files at one place, or the guest takes no packages.
pub(super) fn modules_of(set: &PackageSet, base: &Image) -> Result<Vec<(String, Vec<u8>)>, Cause> {
    let mut files: Vec<PackageFile> = Vec::new();
    let mut places: BTreeMap<String, (&str, blake3::Hash)> = BTreeMap::new();
    let mut described = Vec::new();
    for bundle in &set.packages {
        let read = (bundle.read)().map_err(|error| format!("read package `{}`: {error}", bundle.name))?;
        let paths: Vec<&str> = read.iter().map(|file| file.path.as_str()).collect();
        described.push(serde_json::json!({"name": bundle.name, "version": bundle.version, "files": paths}));
        for file in read {
            let digest = blake3::hash(&file.content);
            match places.get(&file.path) {
                None => {
                    places.insert(file.path.clone(), (&bundle.name, digest));
                    files.push(file);
                }
                // Packages share files such as empty ones; none may take the place of another's.
                Some((_, present)) if *present == digest => {}
                Some((other, _)) => {
                    let (name, path) = (&bundle.name, file.path.escape_debug());
                    return Err(format!("packages `{other}` and `{name}` both have `{path}`, and they differ").into());
                }
            }
        }
    }
    let bytes: usize = files.iter().map(|file| file.content.len()).sum();
    if files.len() > MOST_FILES || bytes > MOST_BYTES {
        let (files, mib) = (files.len(), bytes >> 20);
        return Err(format!("the packages have {files} files of {mib} MiB: that is too much for an image").into());
    }
    let mut modules = vec![(DESCRIPTION.to_owned(), serde_json::to_vec(&described)?)];
    modules.extend(compiled(files, base)?);
    Ok(modules)
}

/// Compiles files on several threads, each file on an instance of its own; in their order.
fn compiled(files: Vec<PackageFile>, base: &Image) -> Result<Vec<(String, Vec<u8>)>, Cause> {
    let ticker = Ticker::start(base.engine())?;
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || -> Result<(), Cause> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(index) else { return Ok(()) };
            let compiled = compile_file(base, &ticker, &FILE_LIMITS, &file.path, &file.content)?;
            let module = (format!("/{}", file.path), compiled.unwrap_or_else(|| file.content.clone()));
            done.lock().map_err(|_| "another thread panicked")?.insert(index, module);
        }
    };
    thread::scope(|scope| -> Result<(), Cause> {
        let mut threads = Vec::new();
        for _ in 0..PACKAGE_COMPILERS {
            threads.push(
                thread::Builder::new().name("gs-compile".into()).stack_size(THREAD_STACK).spawn_scoped(scope, work)?,
            );
        }
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })?;
    Ok(done.into_inner().map_err(|_| "a thread panicked")?.into_values().collect())
}
