//! One file of tasks: a JSON object on each line.
//!
//! An id, a question and a target are taken from the members that the settings name; what else the object has becomes
//! metadata. A text is taken as it is; a number or another value becomes its JSON text, with every digit. A task
//! without an id is called after its file and line. A task whose target is an empty text can be solved by nobody; public
//! task sets have such lines, so that they are left out and told, not refused.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use greensand_types::{Task, TaskId};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::settings::TasksSection;

/// A task with the line that it stands on.
#[derive(Debug, Clone)]
pub(super) struct PlacedTask {
    pub(super) task: Task,
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

/// What a file holds.
#[derive(Debug, Clone, Default)]
pub(super) struct TaskLines {
    pub(super) tasks: Vec<PlacedTask>,
    /// The lines that were left out: their target is empty.
    pub(super) without_target: Vec<usize>,
}

/// A file of tasks that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TaskFileError {
    /// It could not be read.
    #[error("read the task file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line is no task.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads the tasks of a text; blank lines are passed over.
///
/// `label` is what tasks without an id are called after.
pub(super) fn read_tasks(
    bytes: &[u8],
    path: &Path,
    label: &str,
    section: &TasksSection,
) -> Result<TaskLines, TaskFileError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = TaskLines::default();
    for (index, line_bytes) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = index + 1;
        let at = |reason: String| TaskFileError::Line { path: path.to_owned(), line, reason };
        let text = std::str::from_utf8(line_bytes)
            .map_err(|error| at(format!("not UTF-8 text (byte {} of the line)", error.valid_up_to() + 1)))?;
        if text.trim().is_empty() {
            continue;
        }
        let task = read_task(text, || format!("{label}-{line}"), section).map_err(at)?;
        if task.target.trim().is_empty() {
            lines.without_target.push(line);
            continue;
        }
        lines.tasks.push(PlacedTask { task, file: path.to_owned(), line });
    }
    Ok(lines)
}

fn read_task(text: &str, derived_id: impl FnOnce() -> String, section: &TasksSection) -> Result<Task, String> {
    let Members(mut members) = serde_json::from_str(text).map_err(not_an_object)?;
    let id = match take(&mut members, std::slice::from_ref(&section.id_key)) {
        None => derived_id(),
        Some((key, value)) => text_of(&value).ok_or_else(|| format!("`{key}` must be a text or a number"))?,
    };
    let id: TaskId = id.parse().map_err(|error| format!("`{}`: {error}", section.id_key))?;
    let mut required = |keys: &[String], what: &str| -> Result<String, String> {
        let names = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" or ");
        let Some((key, value)) = take(&mut members, keys) else {
            return Err(format!("the task has no {what}: give it a member {names}"));
        };
        text_of(&value).ok_or_else(|| format!("the {what} in `{key}` is `null`: write it there"))
    };
    let question = required(&section.question_keys, "question")?;
    if question.trim().is_empty() {
        return Err("the question is empty: write it there".into());
    }
    let target = required(&section.target_keys, "target")?;
    let metadata = members
        .into_iter()
        .map(|(key, value)| match serde_json::from_str(value.get()) {
            Ok(value) => Ok((key, value)),
            Err(error) => Err(format!("member `{}` cannot be kept as metadata: {error}", shown(&key))),
        })
        .collect::<Result<_, _>>()?;
    Ok(Task { id, question, target, metadata })
}

/// Takes the first of some members that a task has; the others stay.
fn take(members: &mut Vec<(String, Box<RawValue>)>, keys: &[String]) -> Option<(String, Box<RawValue>)> {
    let index = keys.iter().find_map(|key| members.iter().position(|(name, _)| name == key))?;
    Some(members.remove(index))
}

/// Returns a text as it is, any other value but `null` as its JSON text.
fn text_of(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(value.get()).ok(),
        Some(b'n') => None,
        _ => Some(value.get().to_owned()),
    }
}

fn not_an_object(error: serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => {
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default();
            format!(
                "{reason}: each line must be one JSON object, such as {{\"question\": \"2 + 3?\", \"target\": \"5\"}}"
            )
        }
        _ => format!("not JSON (column {}): each line must be one JSON object and nothing else", error.column()),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

/// The members of an object in their order, each once, with values as they were written.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Box<RawValue>)> = Vec::new();
                let mut known = HashSet::new();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if !known.insert(key.clone()) {
                        return Err(serde::de::Error::custom(format!("member `{}` occurs twice", shown(&key))));
                    }
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::TaskFiles;

    fn section() -> TasksSection {
        TasksSection {
            files: TaskFiles::PerSplit { train: Vec::new(), validation: Vec::new(), test: Vec::new() },
            id_key: "id".into(),
            question_keys: vec!["question".into()],
            target_keys: vec!["target".into(), "answer".into()],
        }
    }

    fn check(bytes: &[u8]) -> Result<Vec<PlacedTask>, String> {
        let lines = read_tasks(bytes, Path::new("t.jsonl"), "t", &section()).map_err(|error| error.to_string())?;
        assert!(lines.without_target.is_empty());
        Ok(lines.tasks)
    }

    #[test]
    fn a_line_becomes_a_task() {
        let tasks = check(b"{\"question\":\"q\",\"answer\":\"a\",\"level\":\"Level 5\"}\n\n").unwrap();
        assert_eq!(tasks.len(), 1);
        let task = &tasks[0].task;
        assert_eq!((task.id.as_str(), &*task.question, &*task.target), ("t-1", "q", "a"));
        assert_eq!(task.metadata["level"], "Level 5");
    }

    #[test]
    fn targets_keep_every_digit() {
        let tasks = check(b"{\"id\":7,\"question\":\"q\",\"target\":123456789012345678901234567890.10}").unwrap();
        assert_eq!(tasks[0].task.target, "123456789012345678901234567890.10");
        assert_eq!(tasks[0].task.id.as_str(), "7");
    }

    #[test]
    fn target_goes_before_answer_which_becomes_metadata() {
        let tasks = check(b"{\"question\":\"q\",\"answer\":\"work\",\"target\":\"5\"}").unwrap();
        assert_eq!((&*tasks[0].task.target, tasks[0].task.metadata.len()), ("5", 1));
    }

    #[test]
    fn a_task_with_an_empty_target_is_left_out_and_counted() {
        let text = "{\"question\":\"q\",\"target\":\"\"}\n{\"question\":\"r\",\"target\":\"1\"}\n{\"question\":\"s\",\"target\":\" \"}";
        let lines = read_tasks(text.as_bytes(), Path::new("t.jsonl"), "t", &section()).unwrap();
        assert_eq!(lines.without_target, [1, 3]);
        assert_eq!(lines.tasks.iter().map(|placed| placed.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_no_matter() {
        let tasks = check(b"\xef\xbb\xbf{\"question\":\"q\",\"target\":\"a\"}\r\n\r\n").unwrap();
        assert_eq!(tasks.len(), 1);
    }

    #[test]
    fn bad_lines_are_named() {
        for (bytes, expected) in [
            (
                &b"\n{\"question\":"[..],
                "t.jsonl:2: not JSON (column 12): each line must be one JSON object and nothing else",
            ),
            (b"{\"question\":\"q\"}", "t.jsonl:1: the task has no target: give it a member `target` or `answer`"),
            (b"{\"target\":\"a\"}", "t.jsonl:1: the task has no question: give it a member `question`"),
            (b"{\"question\":\"q\",\"target\":null}", "t.jsonl:1: the target in `target` is `null`: write it there"),
            (b"{\"question\":\" \",\"target\":\"a\"}", "t.jsonl:1: the question is empty: write it there"),
            (b"\xff", "t.jsonl:1: not UTF-8 text (byte 1 of the line)"),
            (
                b"{\"id\":\"\",\"question\":\"q\",\"target\":\"a\"}",
                "t.jsonl:1: `id`: a task id has 1 to 200 characters and no control characters",
            ),
        ] {
            assert_eq!(check(bytes).unwrap_err(), expected);
        }
    }

    #[test]
    fn what_is_no_object_or_says_a_thing_twice_is_refused() {
        for bytes in [&b"[1]"[..], b"5", b"{\"question\":\"q\",\"question\":\"r\",\"target\":\"a\"}"] {
            assert!(check(bytes).unwrap_err().contains("each line must be one JSON object"), "{bytes:?}");
        }
    }

    #[test]
    fn a_line_of_very_many_members_is_read_in_no_time() {
        let members: String = (0..60_000).map(|index| format!(",\"m{index}\":0")).collect();
        let line = format!("{{\"question\":\"q\",\"target\":\"a\"{members}}}");
        let started = std::time::Instant::now();
        assert_eq!(check(line.as_bytes()).unwrap()[0].task.metadata.len(), 60_000);
        // Each member against each other would take many times as long.
        assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let deep =
            format!("{{\"question\":\"q\",\"target\":\"a\",\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(check(deep.as_bytes()).unwrap_err().contains("member `x`"));
    }
}
