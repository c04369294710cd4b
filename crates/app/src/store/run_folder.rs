//! Reading a run folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use greensand_llm::{RecordedReply, Role};
use greensand_types::{FunctionDraft, TokenUsage};
use serde::de::DeserializeOwned;

use super::StoreError;
use super::compare::{COMPARE_FORMAT, CompareReport};
use super::credit::{CREDIT_FORMAT, CreditReport};
use super::evaluation::{EVAL_FORMAT, EvalReport};
use super::files::{read_json, read_text};
use super::function_set::{StoredSet, load_set};
use super::journal::{JournalEvent, JournalReader};
use super::manifest::{MANIFEST_FORMAT, Manifest};
use super::noise::{NOISE_FORMAT, NoiseReport};
use super::process::ProcessRecord;
use super::records::{DecisionKind, EmbeddingRecord, ReplyRecord, SentRecord};
use super::report::{Report, ReportBuilder};
use crate::causes::with_causes;
use crate::spend::Spender;

/// The files of a run folder.
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const JOURNAL: &str = "journal.jsonl";
pub(super) const REPLIES: &str = "replies.jsonl";
pub(super) const EMBEDDINGS: &str = "embeddings.jsonl";
pub(super) const OUTCOMES: &str = "outcomes.jsonl";
pub(super) const SITTINGS: &str = "sittings.jsonl";
/// Sittings that could not be read, set aside.
pub(super) const DAMAGED_SITTINGS: &str = "sittings.damaged.jsonl";
pub(super) const SENT: &str = "sent.jsonl";
pub(super) const EVAL: &str = "eval.json";
pub(super) const NOISE: &str = "noise.json";
pub(super) const COMPARE: &str = "compare.json";
pub(super) const SETS: &str = "sets";
pub(super) const BEST: &str = "best";
pub(super) const CREDIT: &str = "credit.json";
pub(super) const REPORT: &str = "report.json";
pub(super) const REPORT_TEXT: &str = "report.txt";
pub(super) const LOCK: &str = "lock";
pub(super) const PROCESS: &str = "process.json";
const EVENTS: &str = "events.jsonl";
const TALK: &str = "talk.txt";

/// A run folder that is there to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

/// What a run has spent, as far as its ledger asks.
#[derive(Debug)]
pub(crate) struct Spending {
    /// The replies that it has paid for, in the order in which they came.
    pub(crate) paid: Vec<PaidReply>,
    /// The requests that were sent and came to no end: their replies may have been made and billed, and never came here.
    pub(crate) cut_off: Vec<SentRecord>,
}

/// An answer of a model that a run has paid for, as far as its ledger asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PaidReply {
    pub(crate) spender: Spender,
    pub(crate) epoch: u32,
    pub(crate) turn: u32,
    pub(crate) usage: TokenUsage,
}

/// A run, in short.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSummary {
    /// The folder.
    pub folder: RunFolder,
    /// What it was started with.
    pub manifest: Manifest,
}

impl RunFolder {
    /// Opens a run folder.
    ///
    /// # Errors
    /// When there is no manifest in it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.is_dir() {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        if !path.join(MANIFEST).is_file() {
            return Err(StoreError::NoRun { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Names a folder that is to become a run folder.
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns the runs of a folder, the oldest first. What is no run, or cannot be read, is passed over.
    ///
    /// # Errors
    /// When the folder cannot be read; one that does not exist has no runs.
    pub fn list(runs_dir: &Path) -> Result<Vec<RunSummary>, StoreError> {
        let entries = match std::fs::read_dir(runs_dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(StoreError::read(runs_dir))?,
        };
        let mut runs = Vec::new();
        for entry in entries {
            let path = entry.map_err(StoreError::read(runs_dir))?.path();
            let Ok(folder) = Self::open(&path) else { continue };
            if let Ok(manifest) = folder.manifest() {
                runs.push(RunSummary { folder, manifest });
            }
        }
        runs.sort_by(|one, other| {
            (&one.manifest.started, &one.folder.path).cmp(&(&other.manifest.started, &other.folder.path))
        });
        Ok(runs)
    }

    /// Returns the runs of a folder, the oldest first, also those whose manifest cannot be read.
    pub(crate) fn list_all(runs_dir: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(runs_dir).into_iter().flatten().flatten();
        let mut runs: Vec<(String, Self)> = entries
            .filter_map(|entry| {
                let folder = Self::open(&entry.path()).ok()?;
                Some((folder.begun(), folder))
            })
            .collect();
        runs.sort_by(|(one, folder), (other, other_folder)| (one, &folder.path).cmp(&(other, &other_folder.path)));
        runs.into_iter().map(|(_, folder)| folder).collect()
    }

    /// When the run was begun: as its manifest says, or by the file itself.
    fn begun(&self) -> String {
        let of_file = || std::fs::metadata(self.path.join(MANIFEST)).and_then(|file| file.modified());
        match self.manifest() {
            Ok(manifest) => manifest.started,
            Err(_) => {
                of_file().map_or_else(|_| String::new(), |time| humantime::format_rfc3339_seconds(time).to_string())
            }
        }
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the name of the run, which is that of its folder.
    pub fn name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Says whether a process writes to the run now.
    pub fn is_in_use(&self) -> bool {
        std::fs::File::open(self.path.join(LOCK))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
    }

    /// Returns which process works on the run, or was the last to do so, as far as its file says so.
    pub fn process(&self) -> Option<ProcessRecord> {
        ProcessRecord::read(&self.path.join(PROCESS)).ok()
    }

    /// Says whether anybody has worked on the run, as far as its sittings can be read.
    pub fn was_begun(&self) -> bool {
        let sittings = JournalReader::open(&self.path.join(SITTINGS));
        sittings.map_or(true, |mut sittings| sittings.next().is_some())
    }

    /// Returns where the events of a detached process go.
    pub fn events_path(&self) -> PathBuf {
        self.path.join(EVENTS)
    }

    /// Returns where the talk of a detached process goes.
    pub fn talk_path(&self) -> PathBuf {
        self.path.join(TALK)
    }

    /// Reads the manifest.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or has a later format.
    pub fn manifest(&self) -> Result<Manifest, StoreError> {
        read_json(&self.path.join(MANIFEST), MANIFEST_FORMAT)
    }

    /// Reads the journal, event by event.
    ///
    /// # Errors
    /// When it cannot be opened or has a later format. A damaged line is an error when it is reached.
    pub fn journal(&self) -> Result<JournalReader, StoreError> {
        JournalReader::open(&self.path.join(JOURNAL))
    }

    /// Returns the last epoch that was decided on; nothing, if not even the initial set was, or nothing is to be decided.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn last_epoch(&self) -> Result<Option<u32>, StoreError> {
        let mut last = None;
        for event in self.journal()? {
            match event? {
                JournalEvent::Decision(decision) if decision.decision != DecisionKind::NotCompared => {
                    last = last.max(Some(decision.epoch));
                }
                _ => {}
            }
        }
        Ok(last)
    }

    /// Makes the report from the journal, with what was left out of it as a warning.
    ///
    /// # Errors
    /// When the journal cannot be read. Without its replies or its best set, a run still has a report.
    pub fn report(&self) -> Result<Report, StoreError> {
        // Asked first: a line that is torn while its writer lives will be whole in a moment.
        let is_being_written = self.is_in_use();
        let mut builder = ReportBuilder::new();
        let mut journal = self.journal()?;
        for event in journal.by_ref() {
            builder.add(&event?);
        }
        let mut notes = Vec::from_iter(journal.note());
        // Runs of the first format have no sittings.
        if let Ok(sittings) = JournalReader::open(&self.path.join(SITTINGS)) {
            sittings.map_while(Result::ok).for_each(|event| builder.add(&event));
        }
        match self.add_replies(&mut builder) {
            Ok(note) => notes.extend(note),
            Err(error) => builder.warn(format!("what the replies cost is not known in full: {}", with_causes(&error))),
        }
        let mut report = self.finish_report(&builder);
        report.run = self.name();
        if !is_being_written {
            report.warnings.append(&mut notes);
        }
        // What was said while the run was on and stands in no event.
        let written: Result<Report, _> = read_json(&self.path.join(REPORT), super::report::REPORT_FORMAT);
        for warning in written.map(|report| report.warnings).unwrap_or_default() {
            if !report.warnings.contains(&warning) {
                report.warnings.push(warning);
            }
        }
        Ok(report)
    }

    /// Adds the replies up to a damaged one. Their file opens with a line of its own, which says nothing new.
    fn add_replies(&self, builder: &mut ReportBuilder) -> Result<Option<String>, StoreError> {
        let mut replies = JournalReader::open(&self.path.join(REPLIES))?;
        for event in replies.by_ref() {
            builder.add(&event?);
        }
        let note = self.each_embedding(|record| builder.add_embedding(&record))?;
        Ok(replies.note().or(note))
    }

    /// Closes a report with the functions of the best set, or with a warning where they cannot be read.
    pub(super) fn finish_report(&self, builder: &ReportBuilder) -> Report {
        let mut report = self.finish_with_functions(builder);
        let prices = self.manifest().ok().and_then(|manifest| manifest.prices);
        report.spend = builder.spend(prices.as_ref());
        report
    }

    fn finish_with_functions(&self, builder: &ReportBuilder) -> Report {
        let functions = match builder.best().map(|best| self.load_set(best)).transpose() {
            Ok(best) => best.map(|set| set.functions).unwrap_or_default(),
            Err(error) => {
                let mut report = builder.finish(&[], []);
                report.warnings.push(format!("the functions of the best set are left out: {}", with_causes(&error)));
                return report;
            }
        };
        // A set that cannot be read takes only its own conversations out of the evidence.
        let members = builder.sets().into_iter().filter_map(|set| {
            let stored = self.load_set(&set.to_string()).ok()?;
            let named = |draft: &FunctionDraft| (draft.signature.name().to_string(), draft.content_id());
            Some((set, stored.functions.iter().map(named).collect()))
        });
        let mut report = builder.finish(&functions, members);
        self.add_credit(&mut report);
        report
    }

    /// Adds what the functions are worth, where that was measured of the set that is best.
    fn add_credit(&self, report: &mut Report) {
        let path = self.path.join(CREDIT);
        if !path.is_file() {
            return;
        }
        match read_json::<CreditReport>(&path, CREDIT_FORMAT) {
            Ok(credit) if Some(&credit.set) == report.best.as_ref() => report.credit = Some(credit),
            Ok(_) => {}
            Err(error) => report.warnings.push(format!("the credit of functions is left out: {}", with_causes(&error))),
        }
    }

    /// Reads what a comparison of ways found; nothing in a run that has not come to it, or does something else.
    ///
    /// # Errors
    /// When it is there and cannot be read, is damaged, or has a later format.
    pub fn comparison(&self) -> Result<Option<CompareReport>, StoreError> {
        self.finding(COMPARE, COMPARE_FORMAT)
    }

    /// Reads what a measurement of noise found; nothing in a run that has not come to it, or does something else.
    ///
    /// # Errors
    /// When it is there and cannot be read, is damaged, or has a later format.
    pub fn noise(&self) -> Result<Option<NoiseReport>, StoreError> {
        self.finding(NOISE, NOISE_FORMAT)
    }

    fn finding<T: DeserializeOwned>(&self, file: &str, format: u32) -> Result<Option<T>, StoreError> {
        let path = self.path.join(file);
        if path.is_file() { read_json(&path, format).map(Some) } else { Ok(None) }
    }

    /// Reads the replies of a role in the order in which they came, for the `replay` backend.
    ///
    /// # Errors
    /// When they cannot be read, or a line is damaged.
    pub fn replies(&self, role: Role) -> Result<Vec<RecordedReply>, StoreError> {
        let path = self.path.join(REPLIES);
        let mut replies = Vec::new();
        for event in JournalReader::open(&path)? {
            let JournalEvent::Reply(record) = event? else { continue };
            if record.is_of(role) {
                let record: ReplyRecord = *record;
                replies.push(record.into_reply().map_err(|reason| StoreError::damaged(&path, reason))?);
            }
        }
        Ok(replies)
    }

    /// Returns what the run has spent: not what it took over from the run that it was forked from.
    ///
    /// # Errors
    /// When what was sent or the replies cannot be read, or a line is damaged.
    pub(crate) fn spending(&self) -> Result<Spending, StoreError> {
        let mut open = self.sent()?;
        let mut paid = Vec::new();
        for event in JournalReader::open(&self.path.join(REPLIES))? {
            let JournalEvent::Reply(record) = event? else { continue };
            drop(open.get_mut(&record.request).and_then(Vec::pop));
            if record.paid_by.is_some() {
                continue;
            }
            let spender = if record.is_of(Role::Optimizer) { Spender::Optimizer } else { Spender::Assistant };
            paid.push(PaidReply { spender, epoch: record.epoch, turn: record.turn, usage: record.usage.into() });
        }
        self.each_embedding(|record| {
            // What another run has paid for was never sent by this one.
            let Some(payment) = record.paid.filter(|payment| payment.paid_by.is_none()) else { return };
            drop(open.get_mut(&payment.request).and_then(Vec::pop));
            let usage = payment.usage.into();
            paid.push(PaidReply { spender: Spender::Embeddings, epoch: record.epoch, turn: 0, usage });
        })?;
        Ok(Spending { paid, cut_off: open.into_values().flatten().collect() })
    }

    /// Looks at the vectors that are kept, in the order in which they came. A run that asks for none has no file of them.
    pub(super) fn each_embedding(&self, mut look: impl FnMut(EmbeddingRecord)) -> Result<Option<String>, StoreError> {
        let path = self.path.join(EMBEDDINGS);
        if !path.exists() {
            return Ok(None);
        }
        let mut lines = JournalReader::open(&path)?;
        for event in lines.by_ref() {
            match event? {
                JournalEvent::Embedding(record) => look(*record),
                _ => return Err(self.damaged(EMBEDDINGS, "an event that is no vector")),
            }
        }
        Ok(lines.note())
    }

    /// Returns what was sent, by request, without what cost nothing.
    fn sent(&self) -> Result<BTreeMap<String, Vec<SentRecord>>, StoreError> {
        let mut open = BTreeMap::<String, Vec<SentRecord>>::new();
        let path = self.path.join(SENT);
        if !path.exists() {
            return Ok(open);
        }
        for event in JournalReader::open(&path)? {
            match event? {
                JournalEvent::Sent(record) => open.entry(record.request.clone()).or_default().push(record),
                JournalEvent::GivenBack(record) => drop(open.get_mut(&record.request).and_then(Vec::pop)),
                _ => return Err(self.damaged(SENT, "an event that is none of sending")),
            }
        }
        Ok(open)
    }

    /// Returns the short ids of the sets, in the order of their names.
    ///
    /// # Errors
    /// When the folder of sets cannot be read.
    pub fn sets(&self) -> Result<Vec<String>, StoreError> {
        let folder = self.path.join(SETS);
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(StoreError::read(&folder))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(StoreError::read(&folder))?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Reads a set: `best`, `initial`, an id, or the beginning of one.
    ///
    /// # Errors
    /// When there is none or more than one such set, or it cannot be read.
    pub fn load_set(&self, wanted: &str) -> Result<StoredSet, StoreError> {
        let id = match wanted {
            "best" => self.best()?,
            "initial" => self.initial()?,
            id => id.to_owned(),
        };
        let known = self.sets()?;
        let matching: Vec<&String> = known
            .iter()
            .filter(|name| !id.is_empty() && (name.starts_with(&id) || id.starts_with(name.as_str())))
            .collect();
        match matching.as_slice() {
            [name] => {
                let set = load_set(&self.path.join(SETS).join(name))?;
                // A longer id than the folder's name must agree in the rest, too.
                if id.len() > name.len() && !set.id.is_some_and(|found| found.to_string().starts_with(&id)) {
                    return Err(self.no_set(wanted, known));
                }
                Ok(set)
            }
            [] => Err(self.no_set(wanted, known)),
            several => Err(StoreError::AmbiguousSet {
                run: self.path.clone(),
                wanted: wanted.into(),
                candidates: several.iter().map(|name| (*name).clone()).collect(),
            }),
        }
    }

    pub(super) fn damaged(&self, file: &str, reason: impl Into<String>) -> StoreError {
        StoreError::damaged(&self.path.join(file), reason)
    }

    /// Returns what an evaluation found, if it is over.
    pub(crate) fn evaluation(&self) -> Option<EvalReport> {
        read_json(&self.path.join(EVAL), EVAL_FORMAT).ok()
    }

    /// Says that the manifest holds what cannot be.
    pub(crate) fn damaged_manifest(&self, reason: impl Into<String>) -> StoreError {
        self.damaged(MANIFEST, reason)
    }

    /// Copies every function set to another run.
    pub(super) fn copy_sets(&self, to: &Self) -> Result<(), StoreError> {
        for name in self.sets()? {
            let (from, to) = (self.path.join(SETS).join(&name), to.path.join(SETS).join(&name));
            std::fs::create_dir(&to).map_err(StoreError::write(&to))?;
            for entry in std::fs::read_dir(&from).map_err(StoreError::read(&from))? {
                let file = entry.map_err(StoreError::read(&from))?;
                let target = to.join(file.file_name());
                std::fs::copy(file.path(), &target).map_err(StoreError::write(&target))?;
            }
        }
        Ok(())
    }

    fn no_set(&self, wanted: &str, known: Vec<String>) -> StoreError {
        let wanted = wanted.chars().take(80).flat_map(char::escape_debug).collect();
        StoreError::NoSet { run: self.path.clone(), wanted, known }
    }

    fn best(&self) -> Result<String, StoreError> {
        let path = self.path.join(BEST);
        match path.is_file() {
            true => Ok(read_text(&path)?.trim().to_owned()),
            false => Err(self.no_set(BEST, self.sets()?)),
        }
    }

    fn initial(&self) -> Result<String, StoreError> {
        for event in self.journal()? {
            if let JournalEvent::EvaluationStarted(record) = event? {
                return Ok(record.set);
            }
        }
        Err(self.no_set("initial", self.sets()?))
    }
}
