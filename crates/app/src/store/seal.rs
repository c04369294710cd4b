use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use greensand_types::{ContentId, Task};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::files::{read_json, replace_json};

/// The number of the form of `test-seal.json`.
const SEAL_FORMAT: u32 = 1;

/// The file, beside the run folders of a project.
const SEAL: &str = "test-seal.json";

/// How often test tasks were scored, by the id of the tasks.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Seals {
    format: u32,
    scored: BTreeMap<String, u64>,
}

/// Counts that test tasks are scored, and returns how often they have been, this time included.
///
/// The count is kept beside the runs of a project, under what the tasks say and not under their file: a copy of the file is
/// the same tasks. Two processes that count at the same moment may count one.
///
/// # Errors
/// When the file cannot be read or written.
pub(crate) fn break_seal(runs_dir: &Path, tasks: &[Arc<Task>]) -> Result<u64, StoreError> {
    std::fs::create_dir_all(runs_dir).map_err(StoreError::write(runs_dir))?;
    let mut seals = read(runs_dir)?;
    seals.format = SEAL_FORMAT;
    let count = seals.scored.entry(id_of(tasks).to_string()).or_default();
    *count = count.saturating_add(1);
    let count = *count;
    replace_json(&runs_dir.join(SEAL), &seals)?;
    Ok(count)
}

/// Returns how often test tasks have been scored.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn looks(runs_dir: &Path, tasks: &[Arc<Task>]) -> Result<u64, StoreError> {
    Ok(read(runs_dir)?.scored.get(&id_of(tasks).to_string()).copied().unwrap_or_default())
}

fn read(runs_dir: &Path) -> Result<Seals, StoreError> {
    let path = runs_dir.join(SEAL);
    if path.exists() { read_json(&path, SEAL_FORMAT) } else { Ok(Seals::default()) }
}

/// Says what a count means for the number that comes out.
pub(crate) fn seal_text(count: u64) -> Option<String> {
    (count > 1).then(|| {
        format!(
            "these test tasks have now been scored {count} times; whoever chose by an earlier score has no unseen tasks left"
        )
    })
}

fn id_of(tasks: &[Arc<Task>]) -> ContentId {
    let mut id = ContentId::of("test tasks");
    for task in tasks {
        id.field(task.id.as_str().as_bytes()).field(task.question.as_bytes()).field(task.target.as_bytes());
    }
    id.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(target: &str) -> Vec<Arc<Task>> {
        let (id, question) = ("t".parse().unwrap(), "q".to_owned());
        vec![Arc::new(Task { id, question, target: target.into(), metadata: serde_json::Map::new() })]
    }

    #[test]
    fn each_scoring_of_the_same_tasks_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        let counts: Vec<_> = ["1", "1", "2", "1"].map(|target| break_seal(&runs, &tasks(target)).unwrap()).into();
        assert_eq!(counts, [1, 2, 1, 3]);
        assert_eq!(["1", "2", "3"].map(|target| looks(&runs, &tasks(target)).unwrap()), [3, 1, 0]);
        assert_eq!(seal_text(1), None);
        assert!(seal_text(3).unwrap().contains("scored 3 times"));
    }

    #[test]
    fn a_damaged_count_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SEAL), "{").unwrap();
        assert!(break_seal(folder.path(), &tasks("1")).unwrap_err().to_string().contains(SEAL));
    }
}
