//! The journal: what happened in a run, one JSON object on each line, in order, appended and never changed.
//!
//! A line is `{"seq": 3, "event": "decision", "data": {...}}`. The first line names the format. A line is in the hands
//! of the operating system before what it tells is used, so that a process that is killed loses nothing that it acted
//! on; its last line may be torn, and is then left out by readers.
//!
//! Six files have this form: `journal.jsonl`, in the order of epochs and tasks whatever is done at one time;
//! `replies.jsonl`, `embeddings.jsonl` and `outcomes.jsonl`, what models and functions answered, in the order in which they did;
//! `sent.jsonl`, what was about to be sent to an endpoint, so that what was cut off in flight is known; and `sittings.jsonl`, when
//! somebody worked on the run and how that ended.
//!
//! A run that is taken up again does what it did before: while the journal still has lines, [`Journal::append`] compares
//! instead of writing, and a line that differs is a [`StoreError::Diverged`] that names itself.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::StoreError;
use super::records::{
    ConversationRecordLine, DecisionRecord, EmbeddingRecord, EvaluationRecord, GivenBackRecord, InstructionsRecord,
    KeptOutcomeRecord, MissingRecord, ReplyRecord, SentRecord, SittingEndRecord, SittingRecord, StepRecord, StopRecord,
};

/// The number of the form described above. A new kind of event, or a new meaning of a field, raises it.
pub const JOURNAL_FORMAT: u32 = 2;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(tag = "event", content = "data", rename_all = "snake_case")]
pub enum JournalEvent {
    /// The file begins.
    Opened(OpenedRecord),
    /// A set begins to be measured.
    EvaluationStarted(EvaluationRecord),
    /// A task has its verdict.
    Conversation(Box<ConversationRecordLine>),
    /// A task got no score.
    Missing(MissingRecord),
    /// A set has been measured.
    EvaluationDone(EvaluationRecord),
    /// The optimizer made a step.
    Step(StepRecord),
    /// A set was judged.
    Decision(DecisionRecord),
    /// The optimizer's model rewrote the instructions, and that was judged; in a run that compares only.
    Instructions(InstructionsRecord),
    /// The run is over.
    Stopped(StopRecord),
    /// A model replied; in `replies.jsonl` only.
    Reply(Box<ReplyRecord>),
    /// A text has a vector; in `embeddings.jsonl` only.
    Embedding(Box<EmbeddingRecord>),
    /// A function was run, or its source looked at; in `outcomes.jsonl` only.
    Outcome(Box<KeptOutcomeRecord>),
    /// A request is about to be sent; in `sent.jsonl` only.
    Sent(SentRecord),
    /// It cost nothing; in `sent.jsonl` only.
    GivenBack(GivenBackRecord),
    /// Somebody began to work on the run; in `sittings.jsonl` only.
    SittingStarted(SittingRecord),
    /// That work ended; in `sittings.jsonl` only.
    SittingEnded(SittingEndRecord),
}

/// The first line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenedRecord {
    /// The format of the file.
    pub format: u32,
    /// The name of the run.
    pub run: String,
}

impl JournalEvent {
    /// Returns the word for the kind of event.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::EvaluationStarted(_) => "evaluation_started",
            Self::Conversation(_) => "conversation",
            Self::Missing(_) => "missing",
            Self::EvaluationDone(_) => "evaluation_done",
            Self::Step(_) => "step",
            Self::Decision(_) => "decision",
            Self::Instructions(_) => "instructions",
            Self::Stopped(_) => "stopped",
            Self::Reply(_) => "reply",
            Self::Embedding(_) => "embedding",
            Self::Outcome(_) => "outcome",
            Self::Sent(_) => "sent",
            Self::GivenBack(_) => "given_back",
            Self::SittingStarted(_) => "sitting_started",
            Self::SittingEnded(_) => "sitting_ended",
        }
    }

    /// Says whether it is what became of one task in an evaluation.
    fn is_item(&self) -> bool {
        matches!(self, Self::Conversation(_) | Self::Missing(_))
    }

    /// Says whether the line is worth waiting for the disk: what a run hinges on.
    pub(super) fn is_landmark(&self) -> bool {
        matches!(self, Self::Step(_) | Self::Decision(_) | Self::Stopped(_) | Self::SittingEnded(_))
    }

    fn to_line(&self, seq: u64) -> serde_json::Result<Vec<u8>> {
        let name = self.name();
        let mut line = match self {
            Self::Opened(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::EvaluationStarted(data) | Self::EvaluationDone(data) => {
                serde_json::to_vec(&LineOut { seq, event: name, data })
            }
            Self::Conversation(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::Missing(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::Step(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::Decision(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::Instructions(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::Stopped(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::Reply(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::Embedding(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::Outcome(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::Sent(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::GivenBack(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::SittingStarted(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::SittingEnded(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
        }?;
        line.push(b'\n');
        Ok(line)
    }

    /// Reads one line, wherever it stands.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let line: LineIn<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        Self::of_line(&line)
    }

    fn of_line(line: &LineIn<'_>) -> Result<Self, String> {
        fn data<T: for<'de> Deserialize<'de>>(line: &LineIn<'_>) -> Result<T, String> {
            serde_json::from_str(line.data.get()).map_err(|error| format!("event `{}`: {error}", line.event))
        }
        match &*line.event {
            "opened" => data(line).map(Self::Opened),
            "evaluation_started" => data(line).map(Self::EvaluationStarted),
            "conversation" => data(line).map(Self::Conversation),
            "missing" => data(line).map(Self::Missing),
            "evaluation_done" => data(line).map(Self::EvaluationDone),
            "step" => data(line).map(Self::Step),
            "decision" => data(line).map(Self::Decision),
            "instructions" => data(line).map(Self::Instructions),
            "stopped" => data(line).map(Self::Stopped),
            "reply" => data(line).map(Self::Reply),
            "embedding" => data(line).map(Self::Embedding),
            "outcome" => data(line).map(Self::Outcome),
            "sent" => data(line).map(Self::Sent),
            "given_back" => data(line).map(Self::GivenBack),
            "sitting_started" => data(line).map(Self::SittingStarted),
            "sitting_ended" => data(line).map(Self::SittingEnded),
            _ => Err("an event of an unknown kind".into()),
        }
    }
}

#[derive(Serialize)]
struct LineOut<'a, T> {
    seq: u64,
    event: &'a str,
    data: &'a T,
}

#[derive(Deserialize)]
struct LineIn<'a> {
    seq: u64,
    #[serde(borrow)]
    event: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// What is done when a journal that exists already is opened to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reopening {
    /// What it holds is compared, then what is new is appended.
    Resume,
    /// What it holds is compared; nothing is ever written.
    Replay,
}

/// Appends to a journal. Shared by whatever happens at one time; each line is whole.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    tail: Mutex<Tail>,
}

/// Where a line stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) len: usize,
}

#[derive(Debug)]
struct Tail {
    /// None, when nothing may be written.
    file: Option<File>,
    /// What the journal held already and has not been compared yet.
    recorded: Option<Recorded>,
    seq: u64,
    /// The length up to the last whole line that was written, or compared.
    len: u64,
    is_torn: bool,
}

/// The lines of an earlier sitting.
#[derive(Debug)]
struct Recorded {
    reader: JournalReader,
    /// Lines that were looked at and are not compared yet.
    ahead: VecDeque<(Vec<u8>, JournalEvent)>,
}

impl Recorded {
    /// Looks at the line after those that were looked at.
    fn look_further(&mut self) -> Result<Option<&JournalEvent>, StoreError> {
        match self.reader.next_line() {
            None => Ok(None),
            Some(line) => {
                self.ahead.push_back(line?);
                Ok(self.ahead.back().map(|(_, event)| event))
            }
        }
    }

    fn look(&mut self) -> Result<Option<&JournalEvent>, StoreError> {
        if self.ahead.is_empty() {
            self.look_further()?;
        }
        Ok(self.ahead.front().map(|(_, event)| event))
    }
}

impl Journal {
    /// Begins a journal; the file must not exist.
    pub(super) fn create(path: &Path, run: &str) -> Result<Self, StoreError> {
        let file = File::options().write(true).create_new(true).open(path).map_err(StoreError::write(path))?;
        let tail = Mutex::new(Tail { file: Some(file), recorded: None, seq: 0, len: 0, is_torn: false });
        let journal = Self { path: path.to_owned(), tail };
        journal.append(&JournalEvent::Opened(OpenedRecord { format: JOURNAL_FORMAT, run: run.into() }))?;
        Ok(journal)
    }

    /// Opens a journal to go on with it: what it holds is to be appended again, line by line, before anything new.
    pub(super) fn reopen(path: &Path, how: Reopening) -> Result<Self, StoreError> {
        let reader = JournalReader::open(path)?;
        let (seq, len) = (reader.seq, reader.len);
        let recorded = Some(Recorded { reader, ahead: VecDeque::new() });
        let tail = Tail { file: writable(path, how)?, recorded, seq, len, is_torn: false };
        Ok(Self { path: path.to_owned(), tail: Mutex::new(tail) })
    }

    /// Opens a journal behind its last whole line, which the reader has come to.
    pub(super) fn reopen_at_end(reader: &JournalReader, how: Reopening) -> Result<Self, StoreError> {
        let path = reader.path.clone();
        let mut tail =
            Tail { file: writable(&path, how)?, recorded: None, seq: reader.seq, len: reader.len, is_torn: false };
        tail.cut_behind().map_err(StoreError::write(&path))?;
        Ok(Self { path, tail: Mutex::new(tail) })
    }

    /// Appends an event, or compares it with the line that is there. When this returns, the line is with the operating
    /// system, or nothing of it is in the file.
    ///
    /// # Errors
    /// When the disk is full or fails, or the line that is there is another one. What is in the file stays readable.
    pub fn append(&self, event: &JournalEvent) -> Result<(), StoreError> {
        self.append_at(event).map(|_| ())
    }

    pub(super) fn append_at(&self, event: &JournalEvent) -> Result<Place, StoreError> {
        let mut tail = self.tail();
        let seq = tail.seq;
        let line = event.to_line(seq).map_err(|error| StoreError::write(&self.path)(error.into()))?;
        let place = Place { offset: tail.len, len: line.len() };
        if let Some(recorded) = &mut tail.recorded
            && recorded.look()?.is_some()
        {
            let expected = recorded.ahead.pop_front().map(|(line, _)| line).unwrap_or_default();
            if expected != line {
                return Err(diverged(&self.path, seq, &expected, &line));
            }
            tail.seq += 1;
            tail.len += line.len() as u64;
            return Ok(place);
        }
        if tail.file.is_none() {
            return Err(StoreError::EndOfRecord { path: self.path.clone() });
        }
        tail.end_recorded()
            .and_then(|()| tail.write(&line, 1, event.is_landmark()))
            .map_err(StoreError::write(&self.path))?;
        Ok(place)
    }

    /// Appends events to a journal that compares nothing, with one write: of those that came together none is left behind.
    pub(super) fn append_all_at(&self, events: &[JournalEvent]) -> Result<Vec<Place>, StoreError> {
        let mut tail = self.tail();
        if tail.file.is_none() {
            return Err(StoreError::EndOfRecord { path: self.path.clone() });
        }
        let (mut lines, mut places) = (Vec::new(), Vec::new());
        for (seq, event) in (tail.seq..).zip(events) {
            let line = event.to_line(seq).map_err(|error| StoreError::write(&self.path)(error.into()))?;
            places.push(Place { offset: tail.len + lines.len() as u64, len: line.len() });
            lines.extend(line);
        }
        tail.write(&lines, events.len() as u64, false).map_err(StoreError::write(&self.path))?;
        Ok(places)
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.tail().file.as_ref().map_or(Ok(()), |file| file.sync_data()).map_err(StoreError::write(&self.path))
    }

    /// Returns the next line that the journal holds already, if it holds one.
    ///
    /// # Errors
    /// When the line is damaged.
    pub(super) fn upcoming(&self) -> Result<Option<JournalEvent>, StoreError> {
        match &mut self.tail().recorded {
            Some(recorded) => Ok(recorded.look()?.cloned()),
            None => Ok(None),
        }
    }

    /// Returns what the journal holds already of the evaluation that was just begun: its items in order.
    ///
    /// To resume, they are taken as done. An evaluation that was not brought to its end is cut off at its first missing
    /// item, which is then worked on again: a fault that stopped a run is no lasting one. To replay, the items are still to be
    /// appended again.
    pub(super) fn take_items(&self) -> Result<Vec<JournalEvent>, StoreError> {
        let mut tail = self.tail();
        let is_replay = tail.file.is_none();
        let Some(recorded) = &mut tail.recorded else { return Ok(Vec::new()) };
        let mut is_last = recorded.look()?.is_none();
        while recorded.ahead.back().is_some_and(|(_, event)| event.is_item()) {
            is_last = recorded.look_further()?.is_none();
            if is_last {
                break;
            }
        }
        let mut count = recorded.ahead.iter().take_while(|(_, event)| event.is_item()).count();
        if is_replay {
            return Ok(recorded.ahead.iter().take(count).map(|(_, event)| event.clone()).collect());
        }
        if is_last {
            let missing = recorded.ahead.iter().position(|(_, event)| matches!(event, JournalEvent::Missing(_)));
            count = missing.unwrap_or(count);
        }
        let items: Vec<_> = recorded.ahead.drain(..count).collect();
        tail.seq += items.len() as u64;
        tail.len += items.iter().map(|(line, _)| line.len() as u64).sum::<u64>();
        if is_last {
            tail.end_recorded().map_err(StoreError::write(&self.path))?;
        }
        Ok(items.into_iter().map(|(_, event)| event).collect())
    }

    /// A panic elsewhere cannot leave the tail half-changed: each operation on it ends with whole lines.
    fn tail(&self) -> std::sync::MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn writable(path: &Path, how: Reopening) -> Result<Option<File>, StoreError> {
    match how {
        Reopening::Replay => Ok(None),
        Reopening::Resume => File::options().write(true).open(path).map(Some).map_err(StoreError::write(path)),
    }
}

fn diverged(path: &Path, seq: u64, expected: &[u8], found: &[u8]) -> StoreError {
    let same = expected.iter().zip(found).take_while(|(one, other)| one == other).count();
    let shown = |line: &[u8]| {
        let from = same.saturating_sub(60).min(line.len());
        let text = String::from_utf8_lossy(&line[from..line.len().min(same + 60)]);
        text.trim().chars().flat_map(char::escape_debug).collect::<String>()
    };
    let line = usize::try_from(seq).unwrap_or(usize::MAX).saturating_add(1);
    StoreError::Diverged { path: path.to_owned(), line, expected: shown(expected), found: shown(found) }
}

impl Tail {
    /// Leaves what was recorded and not compared: what comes now is new.
    fn end_recorded(&mut self) -> std::io::Result<()> {
        if self.recorded.take().is_some() {
            self.cut_behind()?;
        }
        Ok(())
    }

    /// Cuts the file off behind the last line that counts.
    fn cut_behind(&mut self) -> std::io::Result<()> {
        if let Some(file) = &mut self.file {
            file.set_len(self.len)?;
            file.seek(SeekFrom::Start(self.len))?;
        }
        Ok(())
    }

    /// Writes so many whole lines.
    fn write(&mut self, lines: &[u8], count: u64, is_landmark: bool) -> std::io::Result<()> {
        if self.is_torn {
            return Err(std::io::Error::other("an earlier line could not be written whole"));
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if let Err(error) = file.write_all(lines) {
            // Part of the line may be there. Without it, later lines would be joined to it.
            let repaired = file.set_len(self.len).and_then(|()| file.seek(SeekFrom::Start(self.len)));
            self.is_torn = repaired.is_err();
            return Err(error);
        }
        self.seq += count;
        self.len += lines.len() as u64;
        if is_landmark {
            file.sync_data()?;
        }
        Ok(())
    }
}

/// Reads a journal from its first line to its last whole one.
#[derive(Debug)]
pub struct JournalReader {
    path: PathBuf,
    lines: BufReader<File>,
    seq: u64,
    /// The length of the lines that were read.
    len: u64,
    is_over: bool,
    torn_bytes: usize,
}

impl JournalReader {
    /// Opens a journal and reads its first line.
    ///
    /// # Errors
    /// When it cannot be read, its first line is damaged, or its format is a later one.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::read(path))?;
        let mut reader =
            Self { path: path.to_owned(), lines: BufReader::new(file), seq: 0, len: 0, is_over: false, torn_bytes: 0 };
        match reader.read_line().map(|line| line.map(|(_, event)| event)) {
            Some(Ok(JournalEvent::Opened(opened))) if opened.format <= JOURNAL_FORMAT => Ok(reader),
            Some(Ok(JournalEvent::Opened(opened))) => {
                Err(StoreError::NewerFormat { path: path.to_owned(), found: opened.format, known: JOURNAL_FORMAT })
            }
            Some(Ok(_)) => Err(reader.damaged(1, "the first line does not open a journal".into())),
            Some(Err(error)) => Err(error),
            None => Err(reader.damaged(1, "the file is empty".into())),
        }
    }

    /// Says what was left out at the end: a line that was being written when the process ended. While a process still
    /// writes to the file, a torn line is nothing to tell.
    pub fn note(&self) -> Option<String> {
        (self.torn_bytes > 0).then(|| {
            format!(
                "{}: the last line is torn ({} bytes) and was left out: the process ended while it was written",
                self.path.display(),
                self.torn_bytes
            )
        })
    }

    /// Returns the place of the line that was read last, given its length.
    pub(super) fn place_of(&self, line: &[u8]) -> Place {
        Place { offset: self.len - line.len() as u64, len: line.len() }
    }

    /// Reads the next line, with its bytes.
    pub(super) fn next_line(&mut self) -> Option<Result<(Vec<u8>, JournalEvent), StoreError>> {
        if self.is_over {
            return None;
        }
        let item = self.read_line();
        // Nothing after a damaged line can be trusted.
        self.is_over = !matches!(item, Some(Ok(_)));
        item
    }

    fn read_line(&mut self) -> Option<Result<(Vec<u8>, JournalEvent), StoreError>> {
        let mut bytes = Vec::new();
        match self.lines.read_until(b'\n', &mut bytes) {
            Err(source) => return Some(Err(StoreError::Read { path: self.path.clone(), source })),
            Ok(0) => return None,
            Ok(_) if bytes.last() != Some(&b'\n') => {
                self.torn_bytes = bytes.len();
                return None;
            }
            Ok(_) => {}
        }
        let number = usize::try_from(self.seq).unwrap_or(usize::MAX).saturating_add(1);
        let event = self.parse(&bytes).map_err(|reason| self.damaged(number, reason));
        self.seq += 1;
        self.len += bytes.len() as u64;
        Some(event.map(|event| (bytes, event)))
    }

    fn parse(&self, bytes: &[u8]) -> Result<JournalEvent, String> {
        let line: LineIn<'_> = serde_json::from_slice(bytes).map_err(|error| {
            let reason = error.to_string();
            format!("not a journal line: {}", reason.split(" at line ").next().unwrap_or_default())
        })?;
        if line.seq != self.seq {
            return Err(format!(
                "the line has number {} where {} is due: lines are missing or doubled",
                line.seq, self.seq
            ));
        }
        JournalEvent::of_line(&line)
    }

    fn damaged(&self, line: usize, reason: String) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), line: Some(line), reason }
    }
}

impl Iterator for JournalReader {
    type Item = Result<JournalEvent, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_line()?.map(|(_, event)| event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(reason: &str) -> JournalEvent {
        JournalEvent::Stopped(StopRecord { kind: "patience".into(), reason: reason.into() })
    }

    fn journal(events: &[JournalEvent]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::create(&path, "run").unwrap();
        events.iter().for_each(|event| journal.append(event).unwrap());
        (folder, path)
    }

    fn change(path: &Path, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::write(path, change(text)).unwrap();
    }

    #[test]
    fn what_is_appended_is_read_back() {
        let events = [stopped("one\ntwo"), stopped("\u{2028}")];
        let (_folder, path) = journal(&events);
        let read: Vec<_> = JournalReader::open(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, events);
    }

    #[test]
    fn a_torn_last_line_is_left_out_with_a_note_wherever_it_is_torn() {
        let (_folder, path) = journal(&[stopped("one"), stopped("two")]);
        let whole = std::fs::read_to_string(&path).unwrap();
        let last = whole.trim_end().rfind('\n').unwrap() + 1;
        for end in last + 1..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let mut reader = JournalReader::open(&path).unwrap();
            assert_eq!(reader.by_ref().map(Result::unwrap).collect::<Vec<_>>(), [stopped("one")]);
            assert!(reader.note().unwrap().contains(&format!("the last line is torn ({} bytes)", end - last)));
        }
        std::fs::write(&path, &whole[..last]).unwrap();
        let mut reader = JournalReader::open(&path).unwrap();
        assert_eq!((reader.by_ref().count(), reader.note()), (1, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_said_and_later_lines_are_not_joined_to_a_torn_one() {
        let file = File::options().write(true).open("/dev/full").unwrap();
        let tail = Mutex::new(Tail { file: Some(file), recorded: None, seq: 0, len: 0, is_torn: false });
        let journal = Journal { path: "journal.jsonl".into(), tail };
        let error = journal.append(&stopped("one")).unwrap_err();
        assert!(error.hint().unwrap().contains("the disk is full"), "{error}");
        // The device cannot be cut back to the last whole line, so that nothing more may be written.
        let error = std::error::Error::source(&journal.append(&stopped("two")).unwrap_err()).unwrap().to_string();
        assert_eq!(error, "an earlier line could not be written whole");
    }

    #[test]
    fn a_damaged_earlier_line_names_itself() {
        let (_folder, path) = journal(&[stopped("one"), stopped("two")]);
        change(&path, |text| text.replacen("\"seq\":1,", "\"seq\":1;", 1));
        let error = JournalReader::open(&path).unwrap().find_map(Result::err).unwrap().to_string();
        assert!(error.contains("journal.jsonl:2: not a journal line"), "{error}");
    }

    #[test]
    fn a_missing_line_is_noticed() {
        let (_folder, path) = journal(&[stopped("one"), stopped("two")]);
        change(&path, |text| {
            text.lines().filter(|line| !line.contains("one")).map(|line| format!("{line}\n")).collect()
        });
        let error = JournalReader::open(&path).unwrap().find_map(Result::err).unwrap().to_string();
        assert!(error.contains("the line has number 2 where 1 is due"), "{error}");
    }

    #[test]
    fn a_later_format_is_refused_as_such() {
        let (_folder, path) = journal(&[]);
        change(&path, |text| text.replace("\"format\":2", "\"format\":3"));
        assert!(matches!(JournalReader::open(&path), Err(StoreError::NewerFormat { found: 3, known: 2, .. })));
    }

    #[test]
    fn an_empty_journal_and_one_without_its_first_line_are_refused() {
        let (_folder, path) = journal(&[stopped("one")]);
        change(&path, |_| String::new());
        assert!(JournalReader::open(&path).is_err());
        change(&path, |_| "{\"seq\":0,\"event\":\"fancy\",\"data\":{}}\n".into());
        let error = JournalReader::open(&path).unwrap_err().to_string();
        assert!(error.contains("an event of an unknown kind"), "{error}");
    }
}
