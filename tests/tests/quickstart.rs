//! The quickstart trains as its README says, and always the same way.
//!
//! The model is the script of `examples/quickstart`; everything else is what `greensand train` runs: the real sandbox,
//! admission, scorers and run folder, on a copy of the project in a temporary folder.

#![expect(clippy::unwrap_used, reason = "a quickstart that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use greensand_app::store::{DecisionKind, EpochReport, ProposalRecord, Report, RunFolder};
use greensand_app::{
    Environment, Equipment, Interrupt, LoadedSet, Overrides, RecordedRun, RunEnding, Sandbox, SetSource, Silent,
    credit, open_project, open_sandbox, prepare, train,
};
use greensand_types::{Entry, FunctionRuntime, Invocation, JsonText, SourceText};
use serde_json::Value;
use tempfile::TempDir;

/// A finished run of the quickstart; its folder lives as long as this.
struct Trained {
    _project: TempDir,
    folder: RunFolder,
    report: Report,
    ending: RunEnding,
}

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| open_sandbox(&environment(Path::new("."))).unwrap());
static TRAINED: LazyLock<Trained> = LazyLock::new(|| train_with_jobs(8));

/// The images of all suites are kept in one folder of the build.
fn environment(current_dir: &Path) -> Environment {
    Environment::of([("GREENSAND_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/images"))], current_dir)
}

fn quickstart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/quickstart")
}

fn train_with_jobs(jobs: u32) -> Trained {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("tasks")).unwrap();
    for file in ["greensand.toml", "script.toml", "tasks/train.jsonl", "tasks/validation.jsonl", "tasks/test.jsonl"] {
        fs::copy(quickstart().join(file), copy.path().join(file)).unwrap();
    }
    let environment = environment(copy.path());
    let mut overrides = Overrides::new();
    overrides.flag("--jobs", "training.jobs", jobs.to_string());
    let project = open_project(copy.path(), &overrides, &environment).unwrap();
    prepare(&SANDBOX, &project.settings, &Silent).unwrap();
    let equipment = Equipment::open(&project, Arc::new(SANDBOX.clone()), &environment).unwrap();
    let run = block_on(train(&project, &equipment, &Silent, &Interrupt::new())).unwrap();
    Trained { _project: copy, folder: run.folder, report: run.report, ending: run.ending }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

fn epoch(number: u32) -> &'static EpochReport {
    TRAINED.report.epochs.iter().find(|epoch| epoch.epoch == number).unwrap()
}

fn proposals(number: u32) -> &'static [ProposalRecord] {
    &epoch(number).step.as_ref().unwrap().proposals
}

fn solved_on_validation(epoch: &EpochReport) -> Option<usize> {
    epoch.scores.iter().find(|score| score.split == "validation").map(|score| score.solved)
}

/// Checks the proposals of an epoch: action, function, and the gate that refused it.
fn check(number: u32, expected: &[(&str, &str, Option<&str>)]) {
    let found: Vec<_> = proposals(number)
        .iter()
        .map(|proposal| {
            assert_eq!(proposal.applied, proposal.gate.is_none(), "{proposal:?}");
            (proposal.action.as_str(), proposal.function.as_deref().unwrap_or_default(), proposal.gate.as_deref())
        })
        .collect();
    assert_eq!(found, expected, "epoch {number}");
}

#[test]
fn a_refused_draft_goes_back_with_its_reason_and_is_corrected() {
    check(1, &[("add", "text_statistics", Some("examples")), ("add", "text_statistics", None)]);
    // The rule of the correction answers only a request that ends with the refusal: it went back.
    let reason = proposals(1)[0].reason.as_deref().unwrap();
    assert!(reason.contains("\"different_words\"") && reason.contains("steady,"), "{reason}");
    check(
        4,
        &[
            ("add", "prime_remainder", None),
            ("add", "savings_balance", Some("signature")),
            ("add", "savings_balance", None),
        ],
    );
    let reason = proposals(4)[1].reason.as_deref().unwrap();
    assert!(reason.contains("yearly_percent"), "{reason}");
}

#[test]
fn functions_are_added_and_revised_while_the_score_rises() {
    check(2, &[("add", "working_days", None), ("add", "totient_sum", None)]);
    check(3, &[("revise", "working_days", None)]);
    let solved: Vec<_> = (0..=4).map(|number| solved_on_validation(epoch(number)).unwrap()).collect();
    assert!(solved.is_sorted_by(|earlier, later| earlier < later), "{solved:?}");
    for number in 1..=4 {
        assert_eq!(epoch(number).decision.as_ref().unwrap().decision, DecisionKind::Accepted, "epoch {number}");
    }
}

#[test]
fn a_harmful_change_passes_its_examples_and_is_rolled_back() {
    check(5, &[("revise", "savings_balance", None)]);
    let (best, harmed) = (epoch(4).decision.as_ref().unwrap(), epoch(5).decision.as_ref().unwrap());
    assert_eq!(harmed.decision, DecisionKind::RolledBack);
    assert!(harmed.score < best.score, "{harmed:?}");
    assert_eq!(harmed.registered, best.set, "both roles have the best set again");
    assert_eq!(TRAINED.report.best.as_ref(), Some(&best.set));

    let kept = TRAINED.report.functions.iter().find(|function| function.name == "savings_balance").unwrap();
    assert_eq!(kept.since_epoch, Some(4));
    assert_ne!(Some(&kept.id), proposals(5)[0].id.as_ref());
    for record in journal(&TRAINED).iter().filter(|line| line["event"] == "conversation") {
        let is_later = record["data"]["epoch"].as_u64() > Some(5);
        assert!(!is_later || record["data"]["set"] != harmed.set.as_str(), "the harmful set came back: {record}");
    }
}

#[test]
fn a_function_that_changes_no_score_is_rolled_back_as_a_tie() {
    check(6, &[("add", "is_leap_year", None)]);
    let tie = epoch(6).decision.as_ref().unwrap();
    assert_eq!(tie.decision, DecisionKind::RolledBack);
    assert_eq!(tie.score, tie.compared_with);
}

#[test]
fn training_stops_early_when_its_patience_is_spent() {
    assert_eq!(TRAINED.ending, RunEnding::Finished);
    let stop = TRAINED.report.stop.as_ref().unwrap();
    assert_eq!(stop.kind, "patience");
    assert!(stop.reason.contains('3'), "{}", stop.reason);
    check(7, &[]);
    assert_eq!(epoch(7).decision.as_ref().unwrap().decision, DecisionKind::Unchanged);
    assert_eq!(TRAINED.report.epochs.len(), 8, "the initial measurement and seven of ten epochs");
}

#[test]
fn the_test_score_rose_and_no_task_went_unmeasured() {
    let test = TRAINED.report.test.as_ref().unwrap();
    let (initial, best) = (test.initial.as_ref().unwrap(), test.best.as_ref().unwrap());
    assert!(initial.solved > 0 && best.score > initial.score && best.solved < best.tasks, "{test:?}");
    assert_eq!((initial.calls, initial.missing, best.missing), (0, 0, 0));
    assert!(best.calls > 20, "answers come from functions: {best:?}");
    assert_eq!(TRAINED.report.warnings, Vec::<String>::new());
}

#[test]
fn the_readme_tells_the_numbers_of_the_run() {
    let readme = fs::read_to_string(quickstart().join("README.md")).unwrap();
    for epoch in &TRAINED.report.epochs {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {} |", epoch.epoch)));
        let cells: Vec<_> = row.unwrap().split('|').map(str::trim).collect();
        let told = cells[3].split(' ').next().and_then(|count| count.parse().ok());
        assert_eq!(told, solved_on_validation(epoch), "epoch {}", epoch.epoch);
    }
    let test = TRAINED.report.test.as_ref().unwrap();
    let (initial, best) = (test.initial.as_ref().unwrap(), test.best.as_ref().unwrap());
    let told =
        format!("{} of the {} test tasks, where the empty set solved {}", best.solved, best.tasks, initial.solved);
    assert!(readme.split_whitespace().collect::<Vec<_>>().join(" ").contains(&told), "README.md does not say: {told}");
}

#[test]
fn a_learned_function_is_read_back_admitted_and_called() {
    let environment = environment(Path::new("."));
    let project = open_project(&quickstart(), &Overrides::new(), &environment).unwrap();
    let equipment = Equipment::open(&project, Arc::new(SANDBOX.clone()), &environment).unwrap();
    let source = SetSource::Run { folder: TRAINED.folder.path().into(), set: "best".into() };
    let LoadedSet { set, .. } = block_on(source.load(&*SANDBOX, equipment.admission())).unwrap();
    let function = set.get("totient_sum").unwrap().draft();
    let outcome = block_on(SANDBOX.invoke(Invocation::new(
        SourceText { language: function.language.clone(), text: Arc::clone(&function.source), packages: vec![] },
        Entry::Function(function.signature.name().to_string()),
        JsonText::parse("{\"first\": 1, \"last\": 100}").unwrap(),
        SANDBOX.default_limits(&function.language).unwrap(),
    )));
    assert_eq!(outcome.unwrap().value().map(JsonText::get), Some("3044"));
}

#[test]
fn another_run_and_another_number_of_jobs_give_the_same() {
    for jobs in [8, 1] {
        let again = train_with_jobs(jobs);
        // The mean time of a function's calls is the one time in a report.
        let alike = |report: &Report| {
            let mut report = Report { run: String::new(), ..report.clone() };
            report.functions.iter_mut().for_each(|function| function.mean_wall_us = None);
            report
        };
        assert_eq!(alike(&again.report), alike(&TRAINED.report), "jobs {jobs}");
        assert_eq!(timeless(journal(&again)), timeless(journal(&TRAINED)), "jobs {jobs}");
        assert_eq!(files(&again.folder.path().join("sets")), files(&TRAINED.folder.path().join("sets")), "jobs {jobs}");
    }
}

#[test]
fn the_committed_tasks_are_what_their_script_makes() {
    let python = Command::new("python3").args(["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).status();
    if !python.is_ok_and(|status| status.success()) {
        println!("skipped: there is no python3 of version 3.11 or later");
        return;
    }
    let check = Command::new("python3").arg("-B").arg(quickstart().join("make_tasks.py")).arg("--check").output();
    let check = check.unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

fn journal(trained: &Trained) -> Vec<Value> {
    let text = fs::read_to_string(trained.folder.path().join("journal.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Drops what two runs that went alike do not share: the name of the run, and how long calls took.
fn timeless(mut lines: Vec<Value>) -> Vec<Value> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| !["run", "wall_us"].contains(&name.as_str()));
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    lines.iter_mut().for_each(strip);
    lines
}

/// Returns every file under a folder, by its path from there.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut files, mut open) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
            } else {
                files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    assert!(!files.is_empty(), "no files in {}", root.display());
    files
}

#[test]
fn the_harmful_revision_of_epoch_5_answers_solved_calls_otherwise_and_says_so() {
    let [proposal] = proposals(5) else { panic!("{:?}", proposals(5)) };
    assert_eq!((proposal.action.as_str(), proposal.function.as_deref()), ("revise", Some("savings_balance")));
    let [warning] = proposal.warnings.as_slice() else { panic!("{:?}", proposal.warnings) };
    assert!(warning.contains("it answers calls otherwise that solved training tasks"), "{warning}");
    assert!(warning.contains("gave \"915.29\"; it now gives \"915.32\""), "{warning}");
}

#[test]
fn each_function_is_worth_the_tasks_that_nothing_else_solves() {
    let done = train_with_jobs(8);
    let environment = environment(done.folder.path());
    let recorded = RecordedRun::open(done.folder.path(), &Overrides::new(), &environment).unwrap();
    let runtime: Arc<dyn FunctionRuntime> = Arc::new(SANDBOX.clone());
    let eras = recorded.equipment(&runtime, &environment).unwrap();
    let report = block_on(credit(&recorded, &eras, &Silent, &Interrupt::new())).unwrap();
    assert_eq!(report.functions.len(), 5);
    assert_eq!(report.score, solved_on_validation(epoch(4)).map(|solved| solved as f64 / 24.0));
    for function in &report.functions {
        let effect = function.effect.unwrap();
        // On tasks that are solved or not, the effect is the tasks that are gained, less those that are lost.
        let tasks = (effect * 24.0).round();
        assert!(tasks >= 1.0 && function.lost == 0, "{function:?}");
        assert!((tasks - function.gained as f64).abs() < 1e-9, "{function:?}");
        // Of a share p of zeros and ones the standard error of the mean is sqrt(p (1 - p) / (n - 1)).
        let expected = (effect * (1.0 - effect) / 23.0).sqrt();
        assert!((function.standard_error.unwrap() - expected).abs() < 1e-9, "{function:?}");
    }
}
