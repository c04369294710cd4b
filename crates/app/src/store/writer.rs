//! Writing a run folder.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use greensand_llm::{ChatReply, ChatRequest, EmbeddingRequest, Embeddings};
use greensand_types::{ContentId, FunctionSet, ParseContentIdError};

use super::StoreError;
use super::compare::CompareReport;
use super::credit::CreditReport;
use super::embedding;
use super::evaluation::EvalReport;
use super::files::{replace, replace_json};
use super::function_set::write_set;
use super::journal::{Journal, JournalEvent, JournalReader, Reopening};
use super::manifest::{FIRST_RESUMABLE_FORMAT, Manifest};
use super::noise::NoiseReport;
use super::process::ProcessRecord;
use super::records::{
    DecisionKind, GivenBackRecord, KeptOutcomeRecord, ReplyRecord, SentRecord, SittingEndRecord, SittingRecord,
    StopRecord,
};
use super::report::{Report, ReportBuilder};
use super::run_folder::{
    BEST, COMPARE, CREDIT, DAMAGED_SITTINGS, EMBEDDINGS, EVAL, JOURNAL, LOCK, MANIFEST, NOISE, OUTCOMES, PROCESS,
    REPLIES, REPORT, REPORT_TEXT, RunFolder, SENT, SETS, SITTINGS,
};
use super::tape::Tape;

/// A run folder that is being written, or played again. It is locked for as long as this lives.
///
/// Invariant: what the journal names is in the folder before the journal names it.
#[derive(Debug)]
pub struct RunWriter {
    folder: RunFolder,
    journal: Journal,
    replies: Tape,
    /// None for a run that asks for no vectors.
    embeddings: Option<Tape>,
    outcomes: Tape,
    /// None for a replay, which sends nothing.
    sent: Option<Journal>,
    /// None for a replay, which leaves no trace.
    sittings: Option<Journal>,
    report: Mutex<ReportBuilder>,
    failure: Mutex<Option<StoreError>>,
    /// Whether it began with the replies of another run.
    is_fork: bool,
    /// None for a replay of a folder without the file.
    _lock: Option<File>,
}

impl RunWriter {
    /// Makes a new run folder, `PROJECT-DATE-TIME-RANDOM`, with its manifest and empty journals.
    ///
    /// # Errors
    /// When the disk is full, read-only, or not ours to write to.
    pub fn create(runs_dir: &Path, manifest: &Manifest, now: SystemTime) -> Result<Self, StoreError> {
        let run = Self::begin(runs_dir, manifest, now)?;
        run.write_manifest(manifest)?;
        Ok(run)
    }

    /// Makes a new run folder that holds a set from the beginning: what the run is about.
    ///
    /// # Errors
    /// When the disk is full, read-only, or not ours to write to.
    pub fn create_about(
        set: &FunctionSet,
        runs_dir: &Path,
        manifest: &Manifest,
        now: SystemTime,
    ) -> Result<Self, StoreError> {
        let run = Self::begin(runs_dir, manifest, now)?;
        run.save_set(set)?;
        run.write_manifest(&Manifest { about: Some(set.id().to_string()), ..manifest.clone() })?;
        Ok(run)
    }

    /// Makes a new folder with everything but a manifest, without which it is no run folder yet.
    fn begin(runs_dir: &Path, manifest: &Manifest, now: SystemTime) -> Result<Self, StoreError> {
        std::fs::create_dir_all(runs_dir).map_err(StoreError::write(runs_dir))?;
        let folder = RunFolder::at(new_folder(runs_dir, &manifest.project, now)?);
        let (path, name) = (folder.path(), folder.name());
        let lock_path = path.join(LOCK);
        let lock = File::create_new(&lock_path).map_err(StoreError::write(&lock_path))?;
        take(&lock, path)?;
        ProcessRecord::current().write(&path.join(PROCESS))?;
        let journal = Journal::create(&path.join(JOURNAL), &name)?;
        let replies = Tape::create(&path.join(REPLIES), &name)?;
        let embeddings = manifest.asks_for_embeddings().then(|| Tape::create(&path.join(EMBEDDINGS), &name));
        let embeddings = embeddings.transpose()?;
        let outcomes = Tape::create(&path.join(OUTCOMES), &name)?;
        let sent = Some(Journal::create(&path.join(SENT), &name)?);
        let sittings = Some(Journal::create(&path.join(SITTINGS), &name)?);
        let sets = path.join(SETS);
        std::fs::create_dir(&sets).map_err(StoreError::write(&sets))?;
        let report = Mutex::new(ReportBuilder::new());
        Ok(Self {
            folder,
            journal,
            replies,
            embeddings,
            outcomes,
            sent,
            sittings,
            report,
            failure: Mutex::new(None),
            is_fork: manifest.forked_from.is_some(),
            _lock: Some(lock),
        })
    }

    /// Makes a run of the folder. Whatever is to be in it from the beginning is there by now.
    fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        replace_json(&self.folder.path().join(MANIFEST), manifest)
    }

    /// Takes a run up again: what it did before is to be done again, and is compared with its journal.
    ///
    /// Lines that are torn at the end of a file are cut off.
    ///
    /// # Errors
    /// When another process writes to the run, a file of it cannot be read or is damaged, or it was made by a program
    /// that kept too little.
    pub fn reopen(folder: &RunFolder, how: Reopening) -> Result<Self, StoreError> {
        let path = folder.path();
        let manifest = folder.manifest()?;
        if manifest.format < FIRST_RESUMABLE_FORMAT {
            let reason = format!("it was made by greensand {}, which kept no outcomes of calls", manifest.version);
            return Err(StoreError::NotResumable { path: path.to_owned(), reason });
        }
        // Who took the lock away did not stop the process that held it.
        if how == Reopening::Resume && !path.join(LOCK).exists() && is_of_another_process(path) {
            return Err(StoreError::InUse { path: path.to_owned() });
        }
        let lock = open_lock(&path.join(LOCK), how)?;
        lock.as_ref().map_or(Ok(()), |lock| take(lock, path))?;
        if how == Reopening::Resume {
            ProcessRecord::current().write(&path.join(PROCESS))?;
        }
        let mut report = ReportBuilder::new();
        let sittings = reopen_sittings(folder, how, &mut report)?;
        let sent = reopen_sent(folder, how)?;
        let replies = Tape::reopen(&path.join(REPLIES), how, |event| {
            report.add(event);
            let JournalEvent::Reply(record) = event else { return Err("an event that is no reply".into()) };
            reply_key(&record.backend, &record.request)
        })?;
        let embeddings = manifest.asks_for_embeddings().then(|| {
            Tape::reopen(&path.join(EMBEDDINGS), how, |event| {
                report.add(event);
                let JournalEvent::Embedding(record) = event else { return Err("an event that is no vector".into()) };
                record.key()
            })
        });
        let embeddings = embeddings.transpose()?;
        let outcomes = Tape::reopen(&path.join(OUTCOMES), how, |event| {
            let JournalEvent::Outcome(record) = event else { return Err("an event that is no outcome".into()) };
            record.call.parse().map_err(|error: ParseContentIdError| error.to_string())
        })?;
        let journal = Journal::reopen(&path.join(JOURNAL), how)?;
        let (folder, report) = (folder.clone(), Mutex::new(report));
        Ok(Self {
            folder,
            journal,
            replies,
            embeddings,
            outcomes,
            sent,
            sittings,
            report,
            failure: Mutex::new(None),
            is_fork: manifest.forked_from.is_some(),
            _lock: lock,
        })
    }

    /// Makes a new run folder that holds what a run did before the step of an epoch, and all that it paid for. Returns nothing
    /// when the run has not come so far.
    ///
    /// # Errors
    /// When the run cannot be read, or the disk fails.
    pub fn fork(
        from: &RunFolder,
        at: u32,
        runs_dir: &Path,
        manifest: &Manifest,
        now: SystemTime,
    ) -> Result<Option<RunFolder>, StoreError> {
        let Some(events) = events_before(from, at)? else { return Ok(None) };
        // Only now: a fork that cannot be made leaves nothing.
        let run = Self::begin(runs_dir, manifest, now)?;
        for event in JournalReader::open(&from.path().join(REPLIES))? {
            let JournalEvent::Reply(mut record) = event? else { continue };
            let key = reply_key(&record.backend, &record.request).map_err(|reason| from.damaged(REPLIES, reason))?;
            record.paid_by.get_or_insert_with(|| from.name());
            run.replies.put(key, &JournalEvent::Reply(record))?;
        }
        run.take_over_embeddings(from)?;
        for event in JournalReader::open(&from.path().join(OUTCOMES))? {
            let event = event?;
            let JournalEvent::Outcome(record) = &event else { continue };
            let key =
                record.call.parse().map_err(|error: ParseContentIdError| from.damaged(OUTCOMES, error.to_string()))?;
            run.outcomes.put(key, &event)?;
        }
        from.copy_sets(run.folder())?;
        for event in &events {
            run.journal.append(event)?;
            if let JournalEvent::Decision(decision) = event {
                replace(&run.folder.path().join(BEST), format!("{}\n", decision.registered).as_bytes())?;
            }
        }
        run.write_manifest(manifest)?;
        Ok(Some(run.folder))
    }

    /// Copies the vectors of another run, which has paid for them, where this one asks for any.
    fn take_over_embeddings(&self, from: &RunFolder) -> Result<(), StoreError> {
        let Some(tape) = &self.embeddings else { return Ok(()) };
        let mut copied = Ok(());
        from.each_embedding(|mut record| {
            if let Some(payment) = &mut record.paid {
                payment.paid_by.get_or_insert_with(|| from.name());
            }
            let key = record.key().map_err(|reason| from.damaged(EMBEDDINGS, reason));
            let put = || tape.put(key?, &JournalEvent::Embedding(Box::new(record)));
            if copied.is_ok() {
                copied = put();
            }
        })?;
        copied
    }

    /// Says whether it began with the replies of another run.
    pub(crate) fn is_fork(&self) -> bool {
        self.is_fork
    }

    /// Says whether nothing may be written, and nothing may be asked that was not asked before.
    pub fn is_replay(&self) -> bool {
        self.sittings.is_none()
    }

    /// Notes that somebody begins to work on the run.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn begin_sitting(&self, command: &[String], now: SystemTime) -> Result<(), StoreError> {
        let Some(sittings) = &self.sittings else { return Ok(()) };
        let event = JournalEvent::SittingStarted(SittingRecord {
            at: humantime::format_rfc3339_seconds(now).to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            command: command.to_vec(),
        });
        sittings.append(&event)?;
        self.report().add(&event);
        Ok(())
    }

    /// Notes how that work ended.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn end_sitting(&self, stop: StopRecord, now: SystemTime) -> Result<(), StoreError> {
        let Some(sittings) = &self.sittings else { return Ok(()) };
        let at = humantime::format_rfc3339_seconds(now).to_string();
        let event = JournalEvent::SittingEnded(SittingEndRecord { at, stop });
        sittings.append(&event)?;
        self.report().add(&event);
        Ok(())
    }

    /// Keeps what a comparison found.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep_comparison(&self, report: &CompareReport) -> Result<(), StoreError> {
        self.keep_findings(COMPARE, report)
    }

    /// Keeps what a measurement of noise found.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep_noise(&self, report: &NoiseReport) -> Result<(), StoreError> {
        self.keep_findings(NOISE, report)
    }

    /// Keeps what an evaluation found.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep_evaluation(&self, report: &EvalReport) -> Result<(), StoreError> {
        self.keep_findings(EVAL, report)
    }

    fn keep_findings(&self, file: &str, findings: &impl serde::Serialize) -> Result<(), StoreError> {
        if self.is_replay() {
            return Ok(());
        }
        replace_json(&self.folder.path().join(file), findings)
    }

    /// Returns the next line of the journal that is to be done again, if there is one.
    ///
    /// # Errors
    /// When the line is damaged.
    pub fn upcoming(&self) -> Result<Option<JournalEvent>, StoreError> {
        self.journal.upcoming()
    }

    /// Returns what the journal holds of the evaluation that was just begun. To resume, that is done; to replay, it is to be
    /// done again.
    ///
    /// # Errors
    /// When a line is damaged.
    pub fn take_items(&self) -> Result<Vec<JournalEvent>, StoreError> {
        let items = self.journal.take_items()?;
        if !self.is_replay() {
            let mut report = self.report();
            items.iter().for_each(|event| report.add(event));
        }
        Ok(items)
    }

    /// Returns the reply that is kept to a request of a backend, by the digest of the request.
    ///
    /// # Errors
    /// When the file of replies cannot be read.
    pub fn kept_reply(&self, backend: &str, digest: ContentId) -> Result<Option<ChatReply>, StoreError> {
        let key = reply_key_of(backend, digest);
        let Some(JournalEvent::Reply(record)) = self.replies.get(key)? else { return Ok(None) };
        let path = self.folder.path().join(REPLIES);
        let recorded = record.into_reply().map_err(|reason| StoreError::damaged(&path, reason))?;
        Ok(Some(recorded.reply))
    }

    /// Keeps a reply of a backend to a request with this digest.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep_reply(
        &self,
        backend: &str,
        request: &ChatRequest,
        digest: ContentId,
        reply: &ChatReply,
    ) -> Result<(), StoreError> {
        let event = JournalEvent::Reply(Box::new(ReplyRecord::of(backend, request, digest, reply)));
        self.replies.put(reply_key_of(backend, digest), &event)?;
        self.report().add(&event);
        Ok(())
    }

    /// Returns the vector that is kept of a text, as a model gave it.
    ///
    /// # Errors
    /// When the file of vectors cannot be read.
    pub fn kept_vector(&self, backend: &str, text: &str) -> Result<Option<Vec<f32>>, StoreError> {
        let Some(tape) = &self.embeddings else { return Ok(None) };
        let key = embedding::key_of(backend, embedding::id_of_text(text));
        let Some(JournalEvent::Embedding(record)) = tape.get(key)? else { return Ok(None) };
        let path = self.folder.path().join(EMBEDDINGS);
        record.into_vector().map(Some).map_err(|reason| StoreError::damaged(&path, reason))
    }

    /// Keeps the vectors that a model gave.
    ///
    /// # Errors
    /// When the disk fails, or the run was begun without a model of embeddings.
    pub fn keep_vectors(
        &self,
        backend: &str,
        request: &EmbeddingRequest,
        embeddings: &Embeddings,
    ) -> Result<(), StoreError> {
        let Some(tape) = &self.embeddings else {
            return Err(StoreError::Missing { path: self.folder.path().join(EMBEDDINGS) });
        };
        let keys: Vec<ContentId> =
            request.texts.iter().map(|text| embedding::key_of(backend, embedding::id_of_text(text))).collect();
        let lines = embedding::lines_of(backend, request, embeddings);
        tape.put_all(&keys, &lines)?;
        let mut report = self.report();
        lines.iter().for_each(|line| report.add(line));
        Ok(())
    }

    /// Notes that a request is about to be sent.
    ///
    /// # Errors
    /// When the disk fails: nothing may then be sent.
    pub fn note_sent(&self, record: SentRecord) -> Result<(), StoreError> {
        self.sent.as_ref().map_or(Ok(()), |sent| sent.append(&JournalEvent::Sent(record)))
    }

    /// Notes that a request that was sent cost nothing.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn note_given_back(&self, request: ContentId) -> Result<(), StoreError> {
        let record = GivenBackRecord { request: request.to_string() };
        self.sent.as_ref().map_or(Ok(()), |sent| sent.append(&JournalEvent::GivenBack(record)))
    }

    /// Returns what is kept of a call or of a look at a source.
    ///
    /// # Errors
    /// When the file of outcomes cannot be read.
    pub fn kept_outcome(&self, call: ContentId) -> Result<Option<KeptOutcomeRecord>, StoreError> {
        match self.outcomes.get(call)? {
            Some(JournalEvent::Outcome(record)) => Ok(Some(*record)),
            Some(_) | None => Ok(None),
        }
    }

    /// Keeps what came of a call or of a look at a source.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep_outcome(&self, call: ContentId, record: KeptOutcomeRecord) -> Result<(), StoreError> {
        self.outcomes.put(call, &JournalEvent::Outcome(Box::new(record)))
    }

    /// Says that the journal holds what cannot be.
    pub(crate) fn damaged_journal(&self, reason: impl Into<String>) -> StoreError {
        StoreError::damaged(&self.folder.path().join(JOURNAL), reason)
    }

    /// Says that the journal ends, and the run would go on.
    pub(crate) fn end_of_record(&self) -> StoreError {
        StoreError::EndOfRecord { path: self.folder.path().join(JOURNAL) }
    }

    fn report(&self) -> std::sync::MutexGuard<'_, ReportBuilder> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the folder, to read from.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
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
        // What a line rests on is on the disk before the line is forced there.
        if event.is_landmark() {
            self.replies.sync()?;
            self.embeddings.as_ref().map_or(Ok(()), Tape::sync)?;
            self.outcomes.sync()?;
        }
        self.journal.append(event)?;
        self.report().add(event);
        match event {
            JournalEvent::Stopped(_) if self.journal.upcoming()?.is_some() => {
                Err(self.damaged_journal("it goes on behind the end of the run"))
            }
            _ => Ok(()),
        }
    }

    /// Keeps a warning for the report.
    pub fn warn(&self, warning: &str) {
        self.report().warn(warning);
    }

    /// Writes a function set, if it is not there yet.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn save_set(&self, set: &FunctionSet) -> Result<(), StoreError> {
        if self.is_replay() {
            return Ok(());
        }
        write_set(&self.folder.path().join(SETS).join(set.id().short()), set)
    }

    /// Moves the head: says which set is the best. The set must have been written.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn set_best(&self, set: ContentId) -> Result<(), StoreError> {
        if self.is_replay() {
            return Ok(());
        }
        replace(&self.folder.path().join(BEST), format!("{set}\n").as_bytes())
    }

    /// Keeps what the functions of the best set are worth. A replay keeps nothing.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep_credit(&self, credit: &CreditReport) -> Result<(), StoreError> {
        if self.is_replay() {
            return Ok(());
        }
        replace_json(&self.folder.path().join(CREDIT), credit)
    }

    /// Writes the report of a run anew after something was added that is not in its journal.
    ///
    /// # Errors
    /// When the journal cannot be read, or the disk fails.
    pub fn refresh_report(&self) -> Result<(), StoreError> {
        let report = self.folder.report()?;
        replace_json(&self.folder.path().join(REPORT), &report)?;
        replace(&self.folder.path().join(REPORT_TEXT), report.to_text().as_bytes())
    }

    /// Writes the report as JSON and as text, and returns it. A replay only returns it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write_report(&self) -> Result<Report, StoreError> {
        let builder = self.report().clone();
        let mut report = self.folder.finish_report(&builder);
        report.run = self.folder.name();
        if self.is_replay() {
            return Ok(report);
        }
        replace_json(&self.folder.path().join(REPORT), &report)?;
        replace(&self.folder.path().join(REPORT_TEXT), report.to_text().as_bytes())?;
        Ok(report)
    }
}

/// Returns what a run did before the step of an epoch; nothing, if it did not come so far.
fn events_before(from: &RunFolder, at: u32) -> Result<Option<Vec<JournalEvent>>, StoreError> {
    let mut events = Vec::new();
    if at == 0 {
        return Ok(Some(events));
    }
    let mut decided = None;
    for event in from.journal()? {
        let event = event?;
        match &event {
            JournalEvent::Step(step) if step.epoch >= at => break,
            JournalEvent::EvaluationStarted(started) if started.split == super::report::TEST => break,
            JournalEvent::Stopped(_) => break,
            // An epoch that could not be compared is no ground to go on from.
            JournalEvent::Decision(decision) if decision.decision == DecisionKind::NotCompared => break,
            JournalEvent::Decision(decision) => decided = Some(decision.epoch),
            _ => {}
        }
        events.push(event);
    }
    Ok(decided.is_some_and(|last| last + 1 >= at).then_some(events))
}

/// Locks a run.
fn take(lock: &File, path: &Path) -> Result<(), StoreError> {
    match lock.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        // A file system without locks: the name of a new folder is random, so that nobody else has it.
        Err(std::fs::TryLockError::Error(_)) | Ok(()) => Ok(()),
    }
}

/// Says whether the process that worked on a run last lives, and is another one.
fn is_of_another_process(path: &Path) -> bool {
    ProcessRecord::read(&path.join(PROCESS))
        .is_ok_and(|process| process.pid != std::process::id() && process.is_alive())
}

/// Opens the lock of a run. It holds nothing, so that one that is gone is made again, by whoever may write.
fn open_lock(path: &Path, how: Reopening) -> Result<Option<File>, StoreError> {
    match (File::open(path), how) {
        (Ok(lock), _) => Ok(Some(lock)),
        (Err(error), Reopening::Resume) if error.kind() == ErrorKind::NotFound => {
            let opened = File::options().write(true).create(true).truncate(false).open(path);
            opened.map(Some).map_err(StoreError::write(path))
        }
        (Err(error), Reopening::Replay) if error.kind() == ErrorKind::NotFound => Ok(None),
        (Err(error), _) => Err(StoreError::read(path)(error)),
    }
}

/// Opens the sittings. Nothing that a run does rests on them: where they cannot be read they are set aside and begun anew.
fn reopen_sittings(
    folder: &RunFolder,
    how: Reopening,
    report: &mut ReportBuilder,
) -> Result<Option<Journal>, StoreError> {
    if how == Reopening::Replay {
        return Ok(None);
    }
    let path = folder.path().join(SITTINGS);
    let read = JournalReader::open(&path).and_then(|mut reader| {
        let events = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
        Ok((reader, events))
    });
    match read {
        Ok((reader, events)) => {
            events.iter().for_each(|event| report.add(event));
            Journal::reopen_at_end(&reader, how).map(Some)
        }
        Err(StoreError::Damaged { .. }) => {
            let aside = folder.path().join(DAMAGED_SITTINGS);
            std::fs::rename(&path, &aside).map_err(StoreError::write(&aside))?;
            report.warn(format!("when the run was worked on is not known in full: see `{DAMAGED_SITTINGS}`"));
            Journal::create(&path, &folder.name()).map(Some)
        }
        Err(StoreError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Journal::create(&path, &folder.name()).map(Some)
        }
        Err(error) => Err(error),
    }
}

fn reopen_sent(folder: &RunFolder, how: Reopening) -> Result<Option<Journal>, StoreError> {
    let path = folder.path().join(SENT);
    if how == Reopening::Replay {
        return Ok(None);
    }
    // One that holds nothing was begun, and says no more than none.
    if std::fs::metadata(&path).is_ok_and(|file| file.len() == 0) {
        std::fs::remove_file(&path).map_err(StoreError::write(&path))?;
    }
    if !path.exists() {
        return Journal::create(&path, &folder.name()).map(Some);
    }
    let mut reader = JournalReader::open(&path)?;
    for event in reader.by_ref() {
        event?;
    }
    Journal::reopen_at_end(&reader, how).map(Some)
}

/// The key of a reply: who was asked, and what.
fn reply_key_of(backend: &str, request: ContentId) -> ContentId {
    let mut key = ContentId::of("kept reply");
    key.field(backend.as_bytes()).field(request.as_bytes()).finish()
}

fn reply_key(backend: &str, request: &str) -> Result<ContentId, String> {
    let request = request.parse().map_err(|error: ParseContentIdError| error.to_string())?;
    Ok(reply_key_of(backend, request))
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
