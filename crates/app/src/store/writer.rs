//! Writing a run folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use greensand_types::{ContentId, FunctionSet};

use super::StoreError;
use super::files::{replace, replace_json};
use super::function_set::write_set;
use super::journal::{Journal, JournalEvent};
use super::manifest::Manifest;
use super::records::ReplyRecord;
use super::report::{Report, ReportBuilder};
use super::run_folder::{BEST, JOURNAL, LOCK, MANIFEST, REPLIES, REPORT, REPORT_TEXT, RunFolder, SETS};

/// A run folder that is being written. It is locked for as long as this lives.
///
/// Invariant: what the journal names is in the folder before the journal names it.
#[derive(Debug)]
pub struct RunWriter {
    folder: RunFolder,
    journal: Journal,
    replies: Journal,
    report: Mutex<ReportBuilder>,
    failure: Mutex<Option<StoreError>>,
    _lock: File,
}

impl RunWriter {
    /// Makes a new run folder, `PROJECT-DATE-TIME-RANDOM`, with its manifest and empty journals.
    ///
    /// # Errors
    /// When the disk is full, read-only, or not ours to write to.
    pub fn create(runs_dir: &Path, manifest: &Manifest, now: SystemTime) -> Result<Self, StoreError> {
        std::fs::create_dir_all(runs_dir).map_err(StoreError::write(runs_dir))?;
        let path = new_folder(runs_dir, &manifest.project, now)?;
        let folder_name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let lock_path = path.join(LOCK);
        let lock = File::create_new(&lock_path).map_err(StoreError::write(&lock_path))?;
        match lock.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => return Err(StoreError::InUse { path }),
            // A file system without locks: the folder is new and its name is random, so that nobody else has it.
            Err(std::fs::TryLockError::Error(_)) | Ok(()) => {}
        }
        let journal = Journal::create(&path.join(JOURNAL), &folder_name)?;
        let replies = Journal::create(&path.join(REPLIES), &folder_name)?;
        let sets = path.join(SETS);
        std::fs::create_dir(&sets).map_err(StoreError::write(&sets))?;
        // Last: a folder with a manifest is a run folder.
        replace_json(&path.join(MANIFEST), manifest)?;
        let folder = RunFolder::open(&path)?;
        let report = Mutex::new(ReportBuilder::new());
        Ok(Self { folder, journal, replies, report, failure: Mutex::new(None), _lock: lock })
    }

    /// Returns the folder, to read from.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Appends a reply to the journal of replies.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn append_reply(&self, reply: ReplyRecord) -> Result<(), StoreError> {
        let event = JournalEvent::Reply(Box::new(reply));
        self.replies.append(&event)?;
        self.report.lock().unwrap_or_else(PoisonError::into_inner).add(&event);
        Ok(())
    }

    /// Keeps an error of the disk that happened where only another kind of error can be returned.
    pub(crate) fn fail(&self, error: StoreError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Returns such an error, once.
    pub(crate) fn take_failure(&self) -> Option<StoreError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Appends an event to the journal.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn append(&self, event: &JournalEvent) -> Result<(), StoreError> {
        self.journal.append(event)?;
        self.report.lock().unwrap_or_else(PoisonError::into_inner).add(event);
        Ok(())
    }

    /// Keeps a warning for the report.
    pub fn warn(&self, warning: &str) {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).warn(warning);
    }

    /// Writes a function set, if it is not there yet.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn save_set(&self, set: &FunctionSet) -> Result<(), StoreError> {
        write_set(&self.folder.path().join(SETS).join(set.id().short()), set)
    }

    /// Moves the head: says which set is the best. The set must have been written.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn set_best(&self, set: ContentId) -> Result<(), StoreError> {
        replace(&self.folder.path().join(BEST), format!("{set}\n").as_bytes())
    }

    /// Writes the report as JSON and as text, and returns it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write_report(&self) -> Result<Report, StoreError> {
        let builder = self.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut report = self.folder.finish_report(&builder);
        report.run = self.folder.name();
        replace_json(&self.folder.path().join(REPORT), &report)?;
        replace(&self.folder.path().join(REPORT_TEXT), report.to_text().as_bytes())?;
        Ok(report)
    }
}

/// Makes a folder that nobody else has, also when several runs begin in the same second.
fn new_folder(runs_dir: &Path, project: &str, now: SystemTime) -> Result<PathBuf, StoreError> {
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
    let name: String = project.chars().take(40).map(kept).collect();
    let name = name.trim_matches(['-', '.']);
    let name = if name.is_empty() { "run" } else { name };
    let time = humantime::format_rfc3339_seconds(now).to_string().replace(['-', ':', 'Z'], "").replace('T', "-");
    loop {
        let mut random = [0; 3];
        getrandom::fill(&mut random).map_err(|error| StoreError::Write {
            path: runs_dir.to_owned(),
            source: std::io::Error::other(error.to_string()),
        })?;
        let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = runs_dir.join(format!("{name}-{time}-{random}"));
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(StoreError::Write { path, source }),
        }
    }
}
