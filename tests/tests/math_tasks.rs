//! The MATH files load as task sets, as they are: `question` and `answer`, no ids, and files of one name in each split.

#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use greensand_app::{Environment, Overrides, Split, open_project};

/// The files of a split, or nothing where the data does not lie beside the workspace.
fn files(split: &str) -> Option<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?.join("shared/data/math").join(split);
    let mut files: Vec<_> = std::fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files)
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).unwrap().lines().count()
}

/// Counts the lines with a target; a few have an empty one, and can be solved by nobody.
fn targets(files: &[PathBuf]) -> usize {
    let has_target = |line: &&str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["answer"].as_str() != Some("")
    };
    files.iter().map(|file| std::fs::read_to_string(file).unwrap().lines().filter(has_target).count()).sum()
}

#[test]
fn every_line_with_a_target_is_a_task_with_an_id_of_its_own() {
    let (Some(train), Some(test)) = (files("train"), files("test")) else {
        println!("skipped: the MATH files do not lie beside the workspace");
        return;
    };
    let list = |files: &[PathBuf]| serde_json::to_string(files).unwrap();
    let settings = format!("[tasks]\ntrain = {}\ntest = {}\n[scorer]\nname = \"math\"\n", list(&train), list(&test));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("greensand.toml"), settings).unwrap();
    let environment = Environment::of([], folder.path());
    let project = open_project(folder.path(), &Overrides::new(), &environment).unwrap();

    let (train_tasks, test_tasks) = (project.tasks.get(Split::Train), project.tasks.get(Split::Test));
    assert_eq!((train_tasks.len(), test_tasks.len()), (targets(&train), targets(&test)));
    assert!(!train_tasks.is_empty() && !test_tasks.is_empty());
    let ids: BTreeSet<_> = train_tasks.iter().chain(test_tasks).map(|task| &task.id).collect();
    assert_eq!(ids.len(), train_tasks.len() + test_tasks.len());
    let told = project.tasks.warnings().iter().filter(|warning| warning.contains("for an empty target"));
    assert_eq!(told.count() > 0, targets(&train) < train.iter().map(|file| lines(file)).sum::<usize>());
    assert!(train_tasks.iter().all(|task| task.metadata.contains_key("level")));
    assert!(train_tasks.iter().any(|task| task.id.as_str() == "train-algebra-1"));
}
