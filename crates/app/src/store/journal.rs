//! The journal: what happened in a run, one JSON object on each line, in order, appended and never changed.
//!
//! A line is `{"seq": 3, "event": "decision", "data": {...}}`. The first line names the format. A line is in the hands
//! of the operating system before what it tells is used, so that a process that is killed loses nothing that it acted
//! on; its last line may be torn, and is then left out by readers.
//!
//! Two files have this form: `journal.jsonl`, in the order of epochs and tasks whatever is done at one time, and
//! `replies.jsonl`, the replies of models in the order in which they came.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::StoreError;
use super::records::{
    ConversationRecordLine, DecisionRecord, EvaluationRecord, MissingRecord, ReplyRecord, StepRecord, StopRecord,
};

/// The number of the form described above. A new kind of event, or a new meaning of a field, raises it.
pub const JOURNAL_FORMAT: u32 = 1;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
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
    /// The run is over.
    Stopped(StopRecord),
    /// A model replied; in `replies.jsonl` only.
    Reply(Box<ReplyRecord>),
}

/// The first line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
            Self::Stopped(_) => "stopped",
            Self::Reply(_) => "reply",
        }
    }

    /// Says whether the line is worth waiting for the disk: what a run hinges on.
    fn is_landmark(&self) -> bool {
        matches!(self, Self::Decision(_) | Self::Stopped(_))
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
            Self::Stopped(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
            Self::Reply(data) => serde_json::to_vec(&LineOut { seq, event: name, data }),
        }?;
        line.push(b'\n');
        Ok(line)
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
            "stopped" => data(line).map(Self::Stopped),
            "reply" => data(line).map(Self::Reply),
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

/// Appends to a journal. Shared by whatever happens at one time; each line is whole.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    tail: Mutex<Tail>,
}

#[derive(Debug)]
struct Tail {
    file: File,
    seq: u64,
    /// The length up to the last whole line.
    len: u64,
    is_torn: bool,
}

impl Journal {
    /// Begins a journal; the file must not exist.
    pub(super) fn create(path: &Path, run: &str) -> Result<Self, StoreError> {
        let file = File::options().write(true).create_new(true).open(path).map_err(StoreError::write(path))?;
        let tail = Mutex::new(Tail { file, seq: 0, len: 0, is_torn: false });
        let journal = Self { path: path.to_owned(), tail };
        journal.append(&JournalEvent::Opened(OpenedRecord { format: JOURNAL_FORMAT, run: run.into() }))?;
        Ok(journal)
    }

    /// Appends an event. When this returns, the line is with the operating system, or nothing of it is in the file.
    ///
    /// # Errors
    /// When the disk is full or fails. What is in the file stays readable.
    pub fn append(&self, event: &JournalEvent) -> Result<(), StoreError> {
        // A panic elsewhere cannot leave the tail half-changed: each line below ends with a whole one or none.
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.append(event).map_err(StoreError::write(&self.path))
    }
}

impl Tail {
    fn append(&mut self, event: &JournalEvent) -> std::io::Result<()> {
        if self.is_torn {
            return Err(std::io::Error::other("an earlier line could not be written whole"));
        }
        let line = event.to_line(self.seq)?;
        if let Err(error) = self.file.write_all(&line) {
            // Part of the line may be there. Without it, later lines would be joined to it.
            let repaired = self.file.set_len(self.len).and_then(|()| self.file.seek(SeekFrom::Start(self.len)));
            self.is_torn = repaired.is_err();
            return Err(error);
        }
        self.seq += 1;
        self.len += line.len() as u64;
        if event.is_landmark() {
            self.file.sync_data()?;
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
            Self { path: path.to_owned(), lines: BufReader::new(file), seq: 0, is_over: false, torn_bytes: 0 };
        match reader.read_line() {
            Some(Ok(JournalEvent::Opened(opened))) if opened.format <= JOURNAL_FORMAT => Ok(reader),
            Some(Ok(JournalEvent::Opened(opened))) => {
                Err(StoreError::NewerFormat { path: path.to_owned(), found: opened.format, known: JOURNAL_FORMAT })
            }
            Some(Ok(_)) => Err(reader.damaged(1, "the first line does not open a journal".into())),
            Some(Err(error)) => Err(error),
            None => Err(reader.damaged(1, "the journal is empty".into())),
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

    fn read_line(&mut self) -> Option<Result<JournalEvent, StoreError>> {
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
        Some(self.parse(&bytes).map_err(|reason| self.damaged(number, reason))).inspect(|_| self.seq += 1)
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
        if self.is_over {
            return None;
        }
        let item = self.read_line();
        // Nothing after a damaged line can be trusted.
        self.is_over = !matches!(item, Some(Ok(_)));
        item
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
        let tail = Mutex::new(Tail { file, seq: 0, len: 0, is_torn: false });
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
        change(&path, |text| text.replace("\"format\":1", "\"format\":2"));
        assert!(matches!(JournalReader::open(&path), Err(StoreError::NewerFormat { found: 2, known: 1, .. })));
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
