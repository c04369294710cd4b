//! The task sets of a project: *train*, *validation* and *test*, with the checks that concern more than one line.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use greensand_agent::Scorer;
use greensand_types::{ContentId, Task, counted};

use super::divide::divide;
use super::task_file::{PlacedTask, TaskFileError, read_tasks};
use crate::settings::{TaskFiles, TasksSection};

/// A part of the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// What the optimizer sees.
    Train,
    /// What acceptance is decided on.
    Validation,
    /// What is scored at the end only.
    Test,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A word that is no split's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no split `{0}`: use train, validation or test")]
pub struct UnknownSplitError(String);

impl FromStr for Split {
    type Err = UnknownSplitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownSplitError(text.chars().take(40).flat_map(char::escape_debug).collect());
        Self::ALL.into_iter().find(|split| split.as_str() == text).ok_or_else(unknown)
    }
}

/// The tasks of a project. No task is in two splits under one id, and no id occurs twice.
#[derive(Debug, Clone, Default)]
pub struct TaskSets {
    splits: [Vec<Arc<Task>>; 3],
    files: Vec<TaskFileRecord>,
    warnings: Vec<String>,
}

/// A file that tasks came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFileRecord {
    /// The split that it belongs to; none where the tasks of a file are dealt out.
    pub split: Option<Split>,
    /// The file.
    pub path: PathBuf,
    /// The id of its bytes.
    pub digest: ContentId,
    /// How many tasks it holds.
    pub tasks: usize,
}

/// Task sets that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TaskSetError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] TaskFileError),
    /// An id occurs twice.
    #[error(
        "{}:{line}: the id `{id}` is taken by {}:{first_line}: give every task an id of its own",
        file.display(),
        first_file.display()
    )]
    DuplicateId {
        /// The id.
        id: String,
        /// The file of the second one.
        file: PathBuf,
        /// Its line.
        line: usize,
        /// The file of the first one.
        first_file: PathBuf,
        /// Its line.
        first_line: usize,
    },
    /// Two splits have the same task.
    #[error(
        "{}:{line}: the task `{id}` of {split} is also in {first_split} ({}:{first_line}): a score on it would say nothing",
        file.display(),
        first_file.display()
    )]
    InTwoSplits {
        /// The id.
        id: String,
        /// The split of the second one.
        split: Split,
        /// Its file.
        file: PathBuf,
        /// Its line.
        line: usize,
        /// The split of the first one.
        first_split: Split,
        /// Its file.
        first_file: PathBuf,
        /// Its line.
        first_line: usize,
    },
    /// A split that is named has no tasks.
    #[error("the split {split} is empty: {files} has no tasks")]
    EmptySplit {
        /// Which.
        split: Split,
        /// Its files.
        files: String,
    },
    /// The tasks cannot be dealt out as asked.
    #[error("split the tasks of {files}: {reason}")]
    Divide {
        /// The files.
        files: String,
        /// Why not.
        reason: String,
    },
}

impl TaskSets {
    /// Reads the files that the settings name, for a scorer that must be able to compare with every target.
    ///
    /// # Errors
    /// When a file cannot be read, a line is no task, a target can never be met, an id occurs twice, a task is in two
    /// splits, or a split is empty.
    pub fn read(section: &TasksSection, scorer: &dyn Scorer) -> Result<Self, TaskSetError> {
        let mut files = Files { section, records: Vec::new(), warnings: Vec::new() };
        let placed = match &section.files {
            TaskFiles::PerSplit { train, validation, test } => {
                let labels = labels(&[train.as_slice(), validation, test].concat());
                let mut read = |split, paths: &[PathBuf]| files.read(Some(split), paths, &labels);
                [read(Split::Train, train)?, read(Split::Validation, validation)?, read(Split::Test, test)?]
            }
            TaskFiles::Divided { files: paths, split } => {
                let tasks = files.read(None, paths, &labels(paths))?;
                check_ids(&tasks)?;
                divide(tasks, *split).map_err(|reason| TaskSetError::Divide { files: listed(paths), reason })?
            }
        };
        check_splits(section, &placed)?;
        placed.iter().flatten().try_for_each(|placed| check_target(placed, scorer))?;
        let warnings = files.warnings.into_iter().chain(same_questions(&placed)).collect();
        let splits = placed.map(|tasks| tasks.into_iter().map(|placed| Arc::new(placed.task)).collect());
        Ok(Self { splits, files: files.records, warnings })
    }

    /// Returns the tasks of a split in their order; none, where the project has no such split.
    pub fn get(&self, split: Split) -> &[Arc<Task>] {
        &self.splits[split as usize]
    }

    /// Returns the split that acceptance is decided on: validation, or train where there is none.
    pub fn acceptance_split(&self) -> Split {
        if self.get(Split::Validation).is_empty() { Split::Train } else { Split::Validation }
    }

    /// Returns the files that the tasks came from.
    pub fn files(&self) -> &[TaskFileRecord] {
        &self.files
    }

    /// Returns what a person should know of the tasks: what was left out, and questions that several splits share.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// The files as they are read, with what is to be said of them.
struct Files<'a> {
    section: &'a TasksSection,
    records: Vec<TaskFileRecord>,
    warnings: Vec<String>,
}

impl Files<'_> {
    fn read(
        &mut self,
        split: Option<Split>,
        paths: &[PathBuf],
        labels: &HashMap<PathBuf, String>,
    ) -> Result<Vec<PlacedTask>, TaskSetError> {
        let mut tasks = Vec::new();
        for path in paths {
            let bytes = std::fs::read(path).map_err(|source| TaskFileError::Read { path: path.clone(), source })?;
            let label = labels.get(path).map_or("task", String::as_str);
            let read = read_tasks(&bytes, path, label, self.section)?;
            let digest = ContentId::of("file").field(&bytes).finish();
            self.records.push(TaskFileRecord { split, path: path.clone(), digest, tasks: read.tasks.len() });
            if let Some(first) = read.without_target.first() {
                self.warnings.push(format!(
                    "{}:{first}: {} of the file left out for an empty target, of which this is the first",
                    path.display(),
                    counted(read.without_target.len(), "task")
                ));
            }
            tasks.extend(read.tasks);
        }
        Ok(tasks)
    }
}

/// Returns for each file the shortest end of its path, without its last dot part, that no other file has.
fn labels(paths: &[PathBuf]) -> HashMap<PathBuf, String> {
    let label = |path: &Path, parts: usize| {
        let stem = path.with_extension("");
        let names: Vec<_> = stem.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        names[names.len().saturating_sub(parts)..].join("-")
    };
    let longest = paths.iter().map(|path| path.components().count()).max().unwrap_or(1);
    let unique = |parts: usize| {
        let mut seen = HashMap::new();
        paths.iter().all(|path| seen.insert(label(path, parts), path).is_none_or(|other| other == path))
    };
    let parts = (1..=longest).find(|parts| unique(*parts)).unwrap_or(longest);
    paths.iter().map(|path| (path.clone(), label(path, parts))).collect()
}

fn check_ids(tasks: &[PlacedTask]) -> Result<(), TaskSetError> {
    let mut seen: HashMap<&str, &PlacedTask> = HashMap::new();
    for placed in tasks {
        if let Some(first) = seen.insert(placed.task.id.as_str(), placed) {
            return Err(TaskSetError::DuplicateId {
                id: placed.task.id.to_string(),
                file: placed.file.clone(),
                line: placed.line,
                first_file: first.file.clone(),
                first_line: first.line,
            });
        }
    }
    Ok(())
}

fn check_splits(section: &TasksSection, splits: &[Vec<PlacedTask>; 3]) -> Result<(), TaskSetError> {
    let mut seen: HashMap<&str, (Split, &PlacedTask)> = HashMap::new();
    for (split, tasks) in Split::ALL.into_iter().zip(splits) {
        check_ids(tasks)?;
        check_not_empty(section, split, tasks)?;
        for placed in tasks {
            let Some((first_split, first)) = seen.insert(placed.task.id.as_str(), (split, placed)) else { continue };
            if first.task.question != placed.task.question {
                return check_ids(&[first.clone(), placed.clone()]);
            }
            return Err(TaskSetError::InTwoSplits {
                id: placed.task.id.to_string(),
                split,
                file: placed.file.clone(),
                line: placed.line,
                first_split,
                first_file: first.file.clone(),
                first_line: first.line,
            });
        }
    }
    Ok(())
}

fn check_not_empty(section: &TasksSection, split: Split, tasks: &[PlacedTask]) -> Result<(), TaskSetError> {
    let files = match &section.files {
        TaskFiles::PerSplit { train, validation, test } => [train, validation, test][split as usize],
        TaskFiles::Divided { files, .. } if split == Split::Train => files,
        TaskFiles::Divided { .. } => return Ok(()),
    };
    if tasks.is_empty() && !files.is_empty() {
        return Err(TaskSetError::EmptySplit { split, files: listed(files) });
    }
    Ok(())
}

fn check_target(placed: &PlacedTask, scorer: &dyn Scorer) -> Result<(), TaskFileError> {
    scorer.check_target(&placed.task.target).map_err(|error| TaskFileError::Line {
        path: placed.file.clone(),
        line: placed.line,
        reason: error.to_string(),
    })
}

/// Says where two splits ask the same question under different ids.
fn same_questions(splits: &[Vec<PlacedTask>; 3]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (first, second) in
        [(Split::Train, Split::Validation), (Split::Train, Split::Test), (Split::Validation, Split::Test)]
    {
        let questions: HashMap<&str, &PlacedTask> =
            splits[first as usize].iter().map(|placed| (placed.task.question.trim(), placed)).collect();
        let mut shared = splits[second as usize].iter().filter_map(|placed| {
            questions.get(placed.task.question.trim()).map(|other| (other.task.id.as_str(), placed.task.id.as_str()))
        });
        let Some((one, other)) = shared.next() else { continue };
        let questions = counted(1 + shared.count(), "question");
        warnings.push(format!(
            "{first} also asks {questions} of {second}, such as `{other}`, which is `{one}` there: scores on {second} are too high"
        ));
    }
    warnings
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::SplitSection;

    /// Writes files, reads them as the splits that they are named for, and returns what went wrong.
    fn check(files: &[(&str, &str)]) -> Result<TaskSets, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut splits = [Vec::new(), Vec::new(), Vec::new()];
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            let split = Split::ALL.into_iter().find(|split| name.starts_with(split.as_str())).unwrap();
            splits[split as usize].push(path);
        }
        let [train, validation, test] = splits;
        read(TaskFiles::PerSplit { train, validation, test })
            .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    fn read(files: TaskFiles) -> Result<TaskSets, TaskSetError> {
        let section = TasksSection {
            files,
            id_key: "id".into(),
            question_keys: vec!["question".into()],
            target_keys: vec!["target".into(), "answer".into()],
        };
        let scorer = greensand_agent::open_scorer("number", &serde_json::Map::new()).unwrap();
        TaskSets::read(&section, scorer.as_ref())
    }

    fn task(id: &str, question: &str) -> String {
        format!("{{\"id\":\"{id}\",\"question\":\"{question}\",\"target\":\"1\"}}\n")
    }

    #[test]
    fn splits_keep_the_order_of_their_files() {
        let sets =
            check(&[("train.jsonl", &(task("b", "1") + &task("a", "2"))), ("test.jsonl", &task("c", "3"))]).unwrap();
        let ids: Vec<_> = sets.get(Split::Train).iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ids, ["b", "a"]);
        assert_eq!((sets.get(Split::Validation).len(), sets.get(Split::Test).len()), (0, 1));
        let counts: Vec<_> = sets.files().iter().map(|file| (file.split, file.tasks)).collect();
        assert_eq!(counts, [(Some(Split::Train), 2), (Some(Split::Test), 1)]);
    }

    #[test]
    fn derived_ids_tell_files_of_one_name_apart() {
        let line = "{\"question\":\"%\",\"answer\":\"1\"}\n";
        let sets =
            check(&[("train/algebra.jsonl", &line.replace('%', "x")), ("test/algebra.jsonl", &line.replace('%', "y"))])
                .unwrap();
        assert_eq!(sets.get(Split::Train)[0].id.as_str(), "train-algebra-1");
        assert_eq!(sets.get(Split::Test)[0].id.as_str(), "test-algebra-1");
    }

    #[test]
    fn what_concerns_several_lines_names_them() {
        for (files, expected) in [
            (
                &[("train.jsonl", task("a", "1") + &task("a", "2"))][..],
                "train.jsonl:2: the id `a` is taken by train.jsonl:1: give every task an id of its own",
            ),
            (
                &[("train.jsonl", task("a", "1")), ("test.jsonl", task("b", "2") + &task("a", "3"))],
                "test.jsonl:2: the id `a` is taken by train.jsonl:1: give every task an id of its own",
            ),
            (
                &[("train.jsonl", task("a", "1")), ("test.jsonl", task("a", "1"))],
                "test.jsonl:1: the task `a` of test is also in train (train.jsonl:1): a score on it would say nothing",
            ),
            (
                &[("train.jsonl", task("a", "1")), ("validation.jsonl", "\n\n".into())],
                "the split validation is empty: `validation.jsonl` has no tasks",
            ),
            (&[("train.jsonl", String::new())], "the split train is empty: `train.jsonl` has no tasks"),
            (
                &[("train.jsonl", "\n{\"question\":\"q\",\"target\":\"many\"}".into())],
                "train.jsonl:2: the target cannot be scored: ",
            ),
        ] {
            let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
            let error = check(&files).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn tasks_that_are_left_out_are_told() {
        let empty = "{\"question\":\"q\",\"target\":\"\"}\n";
        let sets = check(&[("train.jsonl", &(task("a", "1") + empty + empty))]).unwrap();
        assert_eq!((sets.get(Split::Train).len(), sets.files()[0].tasks), (1, 1));
        let [warning] = sets.warnings() else { panic!("{:?}", sets.warnings()) };
        assert!(warning.contains("train.jsonl:2: 2 tasks of the file left out for an empty target"), "{warning}");
    }

    #[test]
    fn the_same_question_in_two_splits_is_a_warning() {
        let sets = check(&[("train.jsonl", &task("a", "1")), ("test.jsonl", &task("b", "1"))]).unwrap();
        assert_eq!(sets.warnings().len(), 1);
        assert!(sets.warnings()[0].starts_with("train also asks 1 question of test, such as `b`"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error =
            read(TaskFiles::PerSplit { train: vec!["/no/where.jsonl".into()], validation: vec![], test: vec![] });
        assert_eq!(error.unwrap_err().to_string(), "read the task file `/no/where.jsonl`");
    }

    #[test]
    fn one_file_is_dealt_out() {
        use crate::settings::Share;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.jsonl");
        let text: String = (0..20).map(|index| task(&format!("t{index}"), &index.to_string())).collect();
        std::fs::write(&path, text).unwrap();
        let half = Share::Fraction(0.5);
        let split = SplitSection { train: half, validation: Share::Count(4), test: Share::Count(6), seed: 3 };
        let sets = read(TaskFiles::Divided { files: vec![path.clone()], split }).unwrap();
        assert_eq!(Split::ALL.map(|split| sets.get(split).len()), [10, 4, 6]);
        let split = SplitSection { train: Share::Count(0), ..split };
        let error = read(TaskFiles::Divided { files: vec![path], split }).unwrap_err().to_string();
        assert!(error.starts_with("the split train is empty"), "{error}");
    }
}
