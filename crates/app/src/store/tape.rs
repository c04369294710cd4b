//! Answers that were kept, found again by what was asked.
//!
//! Replies of models, vectors of texts and outcomes of calls are appended to a file of their own before anybody uses them. Asked the same
//! again, by the same run after it was killed or in a fork of it, the answer comes from there and costs nothing. Only the
//! places of the answers are in memory.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use greensand_types::ContentId;

use super::StoreError;
use super::journal::{Journal, JournalEvent, JournalReader, Place, Reopening};

/// A file of answers.
#[derive(Debug)]
pub(super) struct Tape {
    path: PathBuf,
    journal: Journal,
    file: File,
    places: Mutex<HashMap<ContentId, Place>>,
}

impl Tape {
    /// Begins a tape; the file must not exist.
    pub(super) fn create(path: &Path, run: &str) -> Result<Self, StoreError> {
        let journal = Journal::create(path, run)?;
        Self::of(path, journal, HashMap::new())
    }

    /// Opens a tape with what it holds; each event is shown to `each`, which returns its key.
    pub(super) fn reopen(
        path: &Path,
        how: Reopening,
        mut each: impl FnMut(&JournalEvent) -> Result<ContentId, String>,
    ) -> Result<Self, StoreError> {
        let mut reader = JournalReader::open(path)?;
        let mut places = HashMap::new();
        while let Some(line) = reader.next_line() {
            let (bytes, event) = line?;
            let key = each(&event).map_err(|reason| StoreError::damaged(path, reason))?;
            // The first is what was used.
            places.entry(key).or_insert(reader.place_of(&bytes));
        }
        Self::of(path, Journal::reopen_at_end(&reader, how)?, places)
    }

    fn of(path: &Path, journal: Journal, places: HashMap<ContentId, Place>) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::read(path))?;
        Ok(Self { path: path.to_owned(), journal, file, places: Mutex::new(places) })
    }

    /// Returns the answer that is kept under a key.
    pub(super) fn get(&self, key: ContentId) -> Result<Option<JournalEvent>, StoreError> {
        let place = self.places.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        let Some(Place { offset, len }) = place else { return Ok(None) };
        let mut line = vec![0; len];
        self.file.read_exact_at(&mut line, offset).map_err(StoreError::read(&self.path))?;
        JournalEvent::parse(&line).map(Some).map_err(|reason| StoreError::damaged(&self.path, reason))
    }

    /// Waits until every answer is on the disk.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.journal.sync()
    }

    /// Keeps answers that came together.
    pub(super) fn put_all(&self, keys: &[ContentId], events: &[JournalEvent]) -> Result<(), StoreError> {
        let new = self.journal.append_all_at(events)?;
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, place) in keys.iter().zip(new) {
            places.entry(*key).or_insert(place);
        }
        Ok(())
    }

    /// Keeps an answer.
    pub(super) fn put(&self, key: ContentId, event: &JournalEvent) -> Result<(), StoreError> {
        let place = self.journal.append_at(event)?;
        self.places.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(place);
        Ok(())
    }
}
