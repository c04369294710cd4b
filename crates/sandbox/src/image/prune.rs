//! Keeps the cache folder within its size: what was unused the longest goes first.
//!
//! Entries say which files they need; a file that no entry needs is garbage, unless it is so young that its entry may
//! still be on its way. Whoever has an entry open keeps the files open, too, so nothing is pulled from under anybody.
//! What builds and writers leave behind when they are killed goes as well, and runtime libraries that nobody builds with.
//!
//! To look at every entry takes as long as there are entries, so it is not done for each that is written ([`Written`]).

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::ImageStore;
use super::store::look_at_sealed;

/// What a folder may hold, and for how long it holds what nobody needs.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// What the entries may need together, in bytes.
    bytes: u64,
    entries: usize,
    /// How old a file without an entry must be to be garbage.
    grace: Duration,
    /// How old the folder of a build must be to be that of a process that is gone.
    work: Duration,
    /// For how long a runtime library may be unused.
    runtime: Duration,
}

const BOUNDS: Bounds = Bounds {
    bytes: 4 << 30,
    entries: 10_000,
    grace: Duration::from_secs(3600),
    work: Duration::from_secs(24 * 3600),
    runtime: Duration::from_secs(30 * 24 * 3600),
};

/// What one process writes at most before it looks at the whole folder, in bytes and in entries.
const MOST_UNSEEN_BYTES: u64 = 64 << 20;
const MOST_UNSEEN_ENTRIES: u64 = 256;

/// One in so many writes looks all the same: most processes end long before they have written so much.
const ONE_IN: u8 = 64;

/// What a process has written to a folder since it last looked at all of it.
#[derive(Debug, Default)]
pub(super) struct Written {
    bytes: AtomicU64,
    entries: AtomicU64,
}

impl Written {
    /// Adds an entry, and says whether it is time to look; `chance` is any number.
    fn is_due(&self, bytes: u64, chance: u8) -> bool {
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let entries = self.entries.fetch_add(1, Ordering::Relaxed) + 1;
        let is_due = bytes >= MOST_UNSEEN_BYTES || entries >= MOST_UNSEEN_ENTRIES || chance.is_multiple_of(ONE_IN);
        if is_due {
            self.bytes.store(0, Ordering::Relaxed);
            self.entries.store(0, Ordering::Relaxed);
        }
        is_due
    }
}

/// What entries of every kind have in common.
#[derive(Deserialize)]
struct AnyEntry {
    code: AnyPiece,
    library: Option<AnyPiece>,
}

#[derive(Deserialize)]
struct AnyPiece {
    file: String,
    bytes: u64,
}

impl ImageStore {
    /// Notes that an entry was written, and removes what is above the size of the folder when it is time to look.
    pub(super) fn prune_if_due(&self, bytes: u64) {
        let mut chance = [0];
        // Without randomness it is looked now.
        let _ = getrandom::fill(&mut chance);
        if self.written.is_due(bytes, chance[0]) {
            self.prune();
        }
    }

    /// Removes what is above the size of the folder. What cannot be removed stays.
    pub(super) fn prune(&self) {
        self.prune_to(BOUNDS);
    }

    fn prune_to(&self, bounds: Bounds) {
        let Ok(key) = &self.key else { return };
        let mut files = listing(&self.folder);
        files.sort();
        let (mut needed, mut total, mut count) = (HashSet::new(), 0_u64, 0);
        for (_, path) in files.iter().rev().filter(|(_, path)| is_entry(path)) {
            let Some(entry) = look_at_sealed::<AnyEntry>(path, key).ok().flatten() else { continue };
            let pieces = [Some(&entry.code), entry.library.as_ref()];
            total = pieces.into_iter().flatten().fold(total, |total, piece| total.saturating_add(piece.bytes));
            count += 1;
            if total > bounds.bytes || count > bounds.entries {
                let _ = fs::remove_file(path);
            } else {
                needed.extend(pieces.into_iter().flatten().map(|piece| piece.file.clone()));
            }
        }
        for (modified, path) in &files {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if is_piece(path) && !needed.contains(name) && is_older(*modified, bounds.grace)
                || name.starts_with(".tmp") && is_older(*modified, bounds.work)
            {
                let _ = fs::remove_file(path);
            } else if name.starts_with("work-") && is_older(*modified, bounds.work) {
                let _ = fs::remove_dir_all(path);
            } else if name.starts_with("runtime-") {
                prune_runtime(*modified, path, bounds.runtime);
            }
        }
    }
}

/// Removes the libraries of one recipe that were unused for so long, and what is left of the recipe then.
fn prune_runtime(modified: SystemTime, folder: &Path, unused: Duration) {
    let mut of_compilers = listing(folder);
    of_compilers.retain(|(used, path)| {
        let is_old = is_older(*used, unused);
        if is_old {
            let _ = fs::remove_dir_all(path).or_else(|_| fs::remove_file(path));
        }
        !is_old
    });
    if of_compilers.is_empty() && is_older(modified, unused) {
        let _ = fs::remove_dir(folder);
    }
}

/// Returns what lies in a folder, with the time of its last use.
fn listing(folder: &Path) -> Vec<(SystemTime, PathBuf)> {
    let Ok(listing) = fs::read_dir(folder) else { return Vec::new() };
    let files = listing.filter_map(|file| {
        let file = file.ok()?;
        Some((file.metadata().ok()?.modified().ok()?, file.path()))
    });
    files.collect()
}

fn is_older(modified: SystemTime, age: Duration) -> bool {
    modified.elapsed().is_ok_and(|since| since >= age)
}

fn is_entry(path: &Path) -> bool {
    has_ending(path, &["built", "image", "module"])
}

fn is_piece(path: &Path) -> bool {
    has_ending(path, &["code", "library"])
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|found| endings.iter().any(|ending| found == *ending))
}

#[cfg(test)]
mod tests {
    use super::super::code::CodeKey;
    use super::super::make::NativeCode;
    use super::*;

    fn key(number: u8) -> CodeKey {
        CodeKey::new(&[0; 32], "test", &[number])
    }

    fn bounds(bytes: u64, grace: Duration) -> Bounds {
        Bounds { bytes, grace, ..BOUNDS }
    }

    /// A store that holds three codes of 100 bytes.
    fn store(folder: &Path) -> ImageStore {
        let store = ImageStore::open(folder).unwrap();
        for number in 1..=3 {
            store.keep_code(key(number), &NativeCode::from_helper(vec![number; 100])).unwrap();
        }
        store
    }

    fn held(store: &ImageStore) -> Vec<u8> {
        (1..=3).filter(|number| store.find_code(key(*number)).is_some()).collect()
    }

    fn pieces(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().filter(|file| is_piece(&file.as_ref().unwrap().path())).count()
    }

    #[test]
    fn what_was_unused_the_longest_goes_first_and_takes_its_files_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        store.prune_to(bounds(300, Duration::ZERO));
        assert_eq!(held(&store), [1, 2, 3]);
        // Used in this order: 2, 3, 1.
        for (number, age) in [(2, 300), (3, 200), (1, 100)] {
            let entry = fs::File::open(store.code_path(key(number))).unwrap();
            entry.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        store.prune_to(bounds(250, Duration::ZERO));
        assert_eq!((held(&store), pieces(folder.path())), (vec![1, 3], 2));
    }

    #[test]
    fn a_young_file_without_an_entry_may_be_on_its_way() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        fs::write(folder.path().join("aa.code"), "x").unwrap();
        store.prune_to(bounds(1000, Duration::from_secs(60)));
        assert_eq!(pieces(folder.path()), 4);
        store.prune_to(bounds(1000, Duration::ZERO));
        assert_eq!((held(&store), pieces(folder.path())), (vec![1, 2, 3], 3));
    }

    #[test]
    fn entries_of_others_name_nothing_that_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let outside = folder.path().join("outside");
        fs::write(&outside, "stays").unwrap();
        fs::write(folder.path().join("forged.module"), "00\n{\"code\":{\"file\":\"outside\",\"bytes\":1}}").unwrap();
        store.prune_to(bounds(0, Duration::ZERO));
        assert_eq!((held(&store), outside.exists()), (Vec::new(), true));
    }

    #[test]
    fn entries_are_bounded_by_number_and_looking_is_no_use_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let times = || (1..=3).map(|number| fs::metadata(store.code_path(key(number))).unwrap().modified().unwrap());
        for (number, age) in [(2, 300), (3, 200), (1, 100)] {
            let entry = fs::File::open(store.code_path(key(number))).unwrap();
            entry.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        let before: Vec<_> = times().collect();
        store.prune_to(bounds(1000, Duration::ZERO));
        assert_eq!(times().collect::<Vec<_>>(), before);
        store.prune_to(Bounds { entries: 2, ..bounds(1000, Duration::ZERO) });
        assert_eq!(held(&store), [1, 3]);
    }

    #[test]
    fn one_write_does_not_look_at_the_whole_folder() {
        let written = Written::default();
        let due = (1..=1000).filter(|_| written.is_due(10_000, 1)).count();
        assert_eq!(due, 3, "256 entries each");
        let written = Written::default();
        assert!(!written.is_due(MOST_UNSEEN_BYTES - 1, 1) && written.is_due(1, 1) && !written.is_due(1, 1));
        assert!(written.is_due(1, 0) && written.is_due(1, ONE_IN));
    }

    #[test]
    fn what_killed_processes_and_former_compilers_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let old = SystemTime::now() - Duration::from_secs(40 * 24 * 3600);
        let age = |path: &Path| fs::File::open(path).unwrap().set_modified(old).unwrap();
        let make = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("large"), "x").unwrap();
            path
        };
        let gone: Vec<_> = ["work-old", "runtime-x-former/compiler", "runtime-x-used/former"].map(make).into();
        let stays: Vec<_> = ["work-new", "runtime-x-used/latest"].map(make).into();
        // As former hosts kept it: without a folder for the compiler.
        let flat = make("runtime-y-former");
        age(&flat.join("large"));
        fs::write(folder.path().join(".tmpOLD"), "x").unwrap();
        age(&folder.path().join(".tmpOLD"));
        gone.iter().for_each(|path| age(path));
        [gone[1].parent().unwrap(), &flat].iter().for_each(|path| age(path));
        store.prune();
        store.prune();
        assert!(gone.iter().all(|path| !path.exists()) && stays.iter().all(|path| path.join("large").exists()));
        assert!(!folder.path().join(".tmpOLD").exists() && held(&store) == [1, 2, 3]);
    }
}
