//! What each function of a best set is worth, measured through the run that made it.

use std::path::Path;
use std::sync::Arc;

use greensand_app::store::{CreditReport, FunctionCredit, Reopening, RunFolder};
use greensand_app::{
    Environment, Eras, EvaluateError, Event, Interrupt, ModelBackend, Observer, Overrides, RecordedRun, Silent,
    TrainError, TrainErrorKind, credit,
};
use greensand_llm::Role;
use greensand_types::FunctionRuntime;

use crate::support::*;

/// Writes `add`, and with it a function that nobody calls, and then has nothing to say.
fn story(settings: &str) -> Folder {
    let other = writes(1, "add_function", "sum").replace("name = \"add\"", "name = \"other\"");
    let other = other[other.find("[[rule.reply.calls]]").unwrap()..]
        // The source and the shape of another function, or it would be refused as a duplicate.
        .replace("source = \"add(a, b) =", "source = \"other(a, b) = total =")
        .replace("type = \"integer\"", "type = \"number\"");
    let rules = [ASSISTANT, &writes(1, "add_function", "sum"), &other, SILENT_OPTIMIZER];
    Folder::new(&format!("[training]\npatience = 2\n{settings}"), &rules)
}

/// Measures the credit of a run, and returns how many replies that took.
fn measure(run: &Path, observer: &dyn Observer, interrupt: &Interrupt) -> (Result<CreditReport, TrainError>, usize) {
    measure_with(run, &Overrides::new(), observer, interrupt)
}

fn measure_with(
    run: &Path,
    overrides: &Overrides,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> (Result<CreditReport, TrainError>, usize) {
    let environment = Environment::of([], run);
    let recorded = RecordedRun::open(run, overrides, &environment).unwrap();
    let runtime: Arc<dyn FunctionRuntime> = Arc::new(TableRuntime);
    let mut equipment = recorded.equipment(&runtime, &environment).unwrap().last().clone();
    let assistant = Listening::to(&equipment.assistant);
    equipment.assistant = Arc::clone(&assistant) as Arc<dyn ModelBackend>;
    let measured = block_on(credit(&recorded, &Eras::one(equipment), observer, interrupt));
    let asked = assistant.requests.lock().unwrap().len();
    (measured, asked)
}

fn numbers(function: &FunctionCredit) -> (&str, Option<f64>, Option<f64>, &str, usize, usize) {
    let FunctionCredit { name, effect, standard_error, verdict, gained, lost, .. } = function;
    (name, *effect, *standard_error, verdict, *gained, *lost)
}

/// `add` solves three of four validation tasks that guessing does not; nobody calls `other`.
#[track_caller]
fn check(report: &CreditReport) {
    let found: Vec<_> = report.functions.iter().map(numbers).collect();
    let expected = [("add", Some(0.75), Some(0.25), "helps", 3, 0), ("other", Some(0.0), Some(0.0), "unclear", 0, 0)];
    assert_eq!(found, expected);
    assert_eq!((report.split.as_str(), report.tasks, report.score), ("validation", 4, Some(1.0)));
    assert_eq!(report.functions.iter().map(|function| function.calls).collect::<Vec<_>>(), [4, 0]);
}

#[test]
fn each_function_is_measured_by_leaving_it_out_and_what_was_asked_before_is_free() {
    let folder = story("");
    let done = folder.train(&[]).unwrap();
    let run = done.folder.path();
    assert_eq!(done.report.credit, None);
    let (report, asked) = measure(run, &Silent, &Interrupt::new());
    check(&report.unwrap());
    assert_eq!(
        asked,
        4 + 8,
        "a guess for each task without `add`, two replies for each without `other`, none for the rest"
    );
    let shown = RunFolder::open(run).unwrap().report().unwrap();
    check(shown.credit.as_ref().unwrap());
    let text = std::fs::read_to_string(run.join("report.txt")).unwrap();
    assert!(
        text.contains("add +75.0 \u{b1} 25.0 points: helps (better on 3, worse on 0 of 4 tasks; 4 calls;"),
        "{text}"
    );
    let (report, asked) = measure(run, &Silent, &Interrupt::new());
    check(&report.unwrap());
    assert_eq!(asked, 0, "begun again, nothing is asked twice");
}

#[test]
fn a_task_that_was_not_offered_the_function_costs_nothing() {
    let folder = story("[functions]\nactive = 1\n");
    let done = folder.train(&[]).unwrap();
    let (report, asked) = measure(done.folder.path(), &Silent, &Interrupt::new());
    check(&report.unwrap());
    assert_eq!(asked, 4, "`other` was offered to no task: without it, every request is one that was asked before");
}

#[test]
fn an_interrupted_credit_goes_on_where_it_was() {
    let folder = story("");
    let done = folder.train(&[]).unwrap();
    let interrupt = Interrupt::new();
    let observer = Watching(|event: &Event<'_>| {
        if matches!(event, Event::CreditStarted { number: 2, of: 2, .. }) {
            interrupt.raise();
        }
    });
    let (report, first) = measure(done.folder.path(), &observer, &interrupt);
    assert!(report.is_err());
    assert_eq!(RunFolder::open(done.folder.path()).unwrap().report().unwrap().credit, None);
    let (report, second) = measure(done.folder.path(), &Silent, &Interrupt::new());
    check(&report.unwrap());
    assert_eq!((first, second), (4, 8));
}

#[test]
fn a_run_that_is_told_to_ends_with_credit_and_replays_with_it() {
    let folder = story("credit = \"end\"\n");
    let done = folder.train(&[]).unwrap();
    check(done.report.credit.as_ref().unwrap());
    let (report, asked) = measure(done.folder.path(), &Silent, &Interrupt::new());
    assert_eq!((report.unwrap(), asked), (done.report.credit.unwrap(), 0));
    let (recorded, eras) = reopened(done.folder.path());
    let again = trained(again(&recorded, &eras, Reopening::Replay).unwrap());
    check(again.report.credit.as_ref().unwrap());
}

#[test]
fn the_credit_of_another_set_is_not_shown() {
    let folder = story("");
    let done = folder.train(&[]).unwrap();
    let (report, _) = measure(done.folder.path(), &Silent, &Interrupt::new());
    let path = done.folder.path().join("credit.json");
    let other = CreditReport { set: "0".repeat(64), ..report.unwrap() };
    std::fs::write(&path, serde_json::to_string(&other).unwrap()).unwrap();
    let report = RunFolder::open(done.folder.path()).unwrap().report().unwrap();
    assert!(report.credit.is_none() && report.warnings.is_empty(), "{:?}", report.warnings);
    std::fs::write(&path, "{").unwrap();
    let report = RunFolder::open(done.folder.path()).unwrap().report().unwrap();
    assert!(report.warnings.iter().any(|warning| warning.contains("credit of functions is left out")));
}

#[test]
fn credit_keeps_to_the_cap_of_its_run_and_goes_on_with_a_higher_one() {
    let folder = story("");
    let done = folder.train(&[]).unwrap();
    let spent = done.report.assistant_usage.requests + done.report.optimizer_usage.requests;
    let before = done.folder.replies(Role::Assistant).unwrap().len();
    let paid = || done.folder.replies(Role::Assistant).unwrap().len() - before;
    let mut overrides = Overrides::new();
    overrides.set(&format!("budget.max_calls={}", spent + 5)).unwrap();
    let (report, _) = measure_with(done.folder.path(), &overrides, &Silent, &Interrupt::new());
    let error = report.unwrap_err();
    let TrainErrorKind::Evaluate(kind) = &error.kind else { panic!("{error:?}") };
    assert!(matches!(**kind, EvaluateError::BudgetSpent(_)), "{error:?}");
    assert_eq!(paid(), 5, "not one more than the cap");
    let (report, _) = measure(done.folder.path(), &Silent, &Interrupt::new());
    check(&report.unwrap());
    assert_eq!(paid(), 12, "what was paid for is not paid again");
}
