//! Keeps the cache folder within its size: what was unused the longest goes first.
//!
//! Entries say which files they need; a file that no entry needs is garbage, unless it is so young that its entry may
//! still be on its way. Whoever has an entry open keeps the files open, too, so nothing is pulled from under anybody.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::ImageStore;
use super::store::read_sealed;

/// What the entries of a folder may need together, in bytes.
const MOST_BYTES: u64 = 4 << 30;

/// How old a file without an entry must be to be garbage.
const GRACE: Duration = Duration::from_secs(3600);

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
    /// Removes what is above the size of the folder. What cannot be removed stays.
    pub(super) fn prune(&self) {
        self.prune_to(MOST_BYTES, GRACE);
    }

    fn prune_to(&self, most_bytes: u64, grace: Duration) {
        let Ok(key) = &self.key else { return };
        let Ok(listing) = fs::read_dir(&self.folder) else { return };
        let mut files: Vec<(SystemTime, PathBuf)> = listing
            .filter_map(|file| {
                let file = file.ok()?;
                Some((file.metadata().ok()?.modified().ok()?, file.path()))
            })
            .collect();
        files.sort();
        let (mut needed, mut total) = (HashSet::new(), 0_u64);
        for (modified, path) in files.iter().rev().filter(|(_, path)| is_entry(path)) {
            let entry = read_sealed::<AnyEntry>(path, key).ok().flatten();
            // Reading it is no use of it.
            let _ = fs::File::open(path).and_then(|file| file.set_modified(*modified));
            let Some(entry) = entry else { continue };
            let pieces = [Some(&entry.code), entry.library.as_ref()];
            total = pieces.into_iter().flatten().fold(total, |total, piece| total.saturating_add(piece.bytes));
            if total > most_bytes {
                let _ = fs::remove_file(path);
            } else {
                needed.extend(pieces.into_iter().flatten().map(|piece| piece.file.clone()));
            }
        }
        let is_old = |modified: SystemTime| modified.elapsed().is_ok_and(|age| age >= grace);
        for (modified, path) in files.iter().filter(|(_, path)| is_piece(path)) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !needed.contains(name) && is_old(*modified) {
                let _ = fs::remove_file(path);
            }
        }
    }
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
        store.prune_to(300, Duration::ZERO);
        assert_eq!(held(&store), [1, 2, 3]);
        // Used in this order: 2, 3, 1.
        for (number, age) in [(2, 300), (3, 200), (1, 100)] {
            let entry = fs::File::open(store.code_path(key(number))).unwrap();
            entry.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        store.prune_to(250, Duration::ZERO);
        assert_eq!((held(&store), pieces(folder.path())), (vec![1, 3], 2));
    }

    #[test]
    fn a_young_file_without_an_entry_may_be_on_its_way() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        fs::write(folder.path().join("aa.code"), "x").unwrap();
        store.prune_to(1000, Duration::from_secs(60));
        assert_eq!(pieces(folder.path()), 4);
        store.prune_to(1000, Duration::ZERO);
        assert_eq!((held(&store), pieces(folder.path())), (vec![1, 2, 3], 3));
    }

    #[test]
    fn entries_of_others_name_nothing_that_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let outside = folder.path().join("outside");
        fs::write(&outside, "stays").unwrap();
        fs::write(folder.path().join("forged.module"), "00\n{\"code\":{\"file\":\"outside\",\"bytes\":1}}").unwrap();
        store.prune_to(0, Duration::ZERO);
        assert_eq!((held(&store), outside.exists()), (Vec::new(), true));
    }
}
