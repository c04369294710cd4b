//! The numbers of stored forms: what a reader does with newer ones, with older ones, and with fields that it does not know.

use std::path::{Path, PathBuf};

use greensand_app::events::EVENTS_FORMAT;
use greensand_app::page::{PAGE_FORMAT, ReportPage};
use greensand_app::store::{
    COMPARE_FORMAT, CREDIT_FORMAT, EVAL_FORMAT, JOURNAL_FORMAT, MANIFEST_FORMAT, NOISE_FORMAT, PROCESS_FORMAT,
    REPORT_FORMAT, Reopening, RunFolder, RunWriter, StoreError,
};
use greensand_app::{RunState, RunStatus, STATUS_FORMAT};
use serde_json::Value;

use crate::support::{ASSISTANT, Folder, SILENT_OPTIMIZER, writes};

fn trained() -> (Folder, RunFolder) {
    let rules = writes(1, "add_function", "sum");
    let folder = Folder::new("[training]\nepochs = 2", &[ASSISTANT, &rules, SILENT_OPTIMIZER]);
    let run = folder.train(&[]).unwrap().folder;
    (folder, run)
}

/// Changes each JSON value of a file: its lines, or the whole.
fn change(path: &Path, mut change: impl FnMut(&mut Value)) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut changed = |text: &str| {
        let mut value: Value = serde_json::from_str(text).unwrap();
        change(&mut value);
        value.to_string() + "\n"
    };
    let is_lines = path.extension().is_some_and(|extension| extension == "jsonl");
    let text = if is_lines { text.lines().map(changed).collect() } else { changed(&text) };
    std::fs::write(path, text).unwrap();
}

fn set_format(path: &Path, format: u32) {
    change(path, |value| {
        for number in ["/format", "/data/format"] {
            if let Some(number) = value.pointer_mut(number) {
                *number = format.into();
            }
        }
    });
}

fn file(run: &RunFolder, name: &str) -> PathBuf {
    run.path().join(name)
}

#[test]
fn a_newer_number_is_an_error_that_says_so() {
    let (_folder, run) = trained();
    let is_newer = |error: StoreError| matches!(error, StoreError::NewerFormat { found: 99, .. });
    set_format(&file(&run, "replies.jsonl"), 99);
    let report = run.report().unwrap();
    assert!(report.warnings.iter().any(|warning| warning.contains("has format 99")), "{:?}", report.warnings);
    set_format(&file(&run, "journal.jsonl"), 99);
    assert!(is_newer(run.report().unwrap_err()));
    set_format(&file(&run, "manifest.json"), 99);
    assert!(is_newer(run.manifest().unwrap_err()));
    assert!(is_newer(RunWriter::reopen(&run, Reopening::Replay).unwrap_err()));
    set_format(&file(&run, "process.json"), 99);
    assert_eq!(run.process(), None);
}

#[test]
fn fields_of_later_programs_are_passed_over() {
    let (_folder, run) = trained();
    let (report, manifest) = (run.report().unwrap(), run.manifest().unwrap());
    for name in ["manifest.json", "journal.jsonl", "replies.jsonl", "outcomes.jsonl", "sittings.jsonl"] {
        change(&file(&run, name), |value| {
            value["later"] = serde_json::json!([1, {"a": null}]);
            if let Some(data) = value.get_mut("data") {
                data["later"] = "x".into();
            }
        });
    }
    assert_eq!((run.report().unwrap(), run.manifest().unwrap()), (report, manifest));
}

#[test]
fn a_run_of_the_first_format_is_read_and_not_taken_up_again() {
    let (_folder, run) = trained();
    let before = run.report().unwrap();
    for name in ["outcomes.jsonl", "sittings.jsonl", "process.json"] {
        std::fs::remove_file(file(&run, name)).unwrap();
    }
    let without = |value: &mut Value, names: &[&str]| {
        let value = if value["data"].is_object() { &mut value["data"] } else { value };
        names.iter().for_each(|name| drop(value.as_object_mut().unwrap().remove(*name)));
    };
    change(&file(&run, "manifest.json"), |value| without(value, &["kind", "file", "directory"]));
    change(&file(&run, "replies.jsonl"), |value| without(value, &["repeat", "backend", "paid_by"]));
    for name in ["manifest.json", "journal.jsonl", "replies.jsonl"] {
        set_format(&file(&run, name), 1);
    }
    assert_eq!(run.report().unwrap(), before);
    assert_eq!(ReportPage::of(&run).unwrap().report, before);
    assert_eq!(RunStatus::of(&run).unwrap().state, RunState::Finished);
    assert!(run.load_set("best").is_ok());
    let refused = RunWriter::reopen(&run, Reopening::Resume).unwrap_err();
    assert!(matches!(refused, StoreError::NotResumable { .. }), "{refused}");
}

#[test]
fn the_description_of_the_formats_names_the_numbers_of_today() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let says = |files: &str, number: u32| {
        let row = text.lines().find(|line| line.starts_with(&format!("| {files} |"))).expect(files);
        let said = row.split('|').nth(3).unwrap().trim();
        assert_eq!(said, number.to_string(), "{row}");
    };
    says("`manifest.json`", MANIFEST_FORMAT);
    let findings =
        "`report.json`, `credit.json`, `eval.json`, `noise.json`, `compare.json`, `process.json`, `test-seal.json`";
    for number in [REPORT_FORMAT, CREDIT_FORMAT, EVAL_FORMAT, NOISE_FORMAT, COMPARE_FORMAT, PROCESS_FORMAT] {
        says(findings, number);
    }
    says(
        "`journal.jsonl`, `replies.jsonl`, `embeddings.jsonl`, `outcomes.jsonl`, `sent.jsonl`, `sittings.jsonl`",
        JOURNAL_FORMAT,
    );
    for number in [EVENTS_FORMAT, STATUS_FORMAT, PAGE_FORMAT] {
        says("`events.jsonl`, `status --json`, `report --json`", number);
    }
}
