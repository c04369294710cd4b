//! What the reference class of the method got wrong, each as a test that ours does not.
//!
//! The numbers are those of the list that the project keeps. Five of them are not this crate's to show: 15 (code ran in the
//! caller's interpreter), 16 (a limit that was not kept), 17 (equal calls shared a file), 18 (the model read prints instead of
//! the value) and 21 (`1/2` against `\frac{1}{2}`) are in `tests/tests/defects.rs` of the workspace.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod support;

use std::sync::Arc;

use greensand_llm::ChatReply;
use greensand_optimizer::{
    Decision, Optimizer, OptimizerError, OptimizerSettings, RecordError, StepSettings, StopReason, TrainingSettings,
    propose,
};
use greensand_types::{
    Encoding, Entry, FunctionRuntime, FunctionSet, Gate, Invocation, JsonText, Limits, Proposal, Registration,
    SourceText, StepEnd, StepReport,
};
use serde_json::{Value, json};
use support::{
    Model, Toy, block_on, call, calls, conversation, definition, raised, record, record_with_call, set, settings,
    step_input, task, text, times,
};

fn optimizer_from(initial: Arc<FunctionSet>, replies: Vec<Option<ChatReply>>) -> Optimizer {
    let training = TrainingSettings { patience: 2, ..TrainingSettings::default() };
    let settings = OptimizerSettings { training, step: settings() };
    Optimizer::new(settings, initial, Arc::new(Model::with(replies)), Arc::new(Toy::default()))
}

fn optimizer(replies: Vec<Option<ChatReply>>) -> Optimizer {
    optimizer_from(Arc::new(FunctionSet::empty()), replies)
}

fn evaluate(optimizer: &mut Optimizer, verdicts: &[bool]) {
    for (index, is_satisfied) in verdicts.iter().enumerate() {
        let task = task(&format!("t{index}"), "?", "42");
        let history = conversation(&task, optimizer.registration().set(), "42");
        optimizer.record_one_conversation(history, Some(*is_satisfied)).unwrap();
    }
}

/// Evaluates what is registered and makes a step.
fn epoch(optimizer: &mut Optimizer, verdicts: &[bool]) -> Registration {
    evaluate(optimizer, verdicts);
    block_on(optimizer.step()).unwrap()
}

fn names(registration: &Registration) -> Vec<String> {
    registration.register_for_llm().map(|signature| signature.name().to_string()).collect()
}

fn add(name: &str, factor: i64) -> Option<ChatReply> {
    Some(ChatReply { text: "TERMINATE".into(), ..call("add_function", times(name, factor)) })
}

fn remove(name: &str) -> Option<ChatReply> {
    let arguments = json!({"name": name, "reason": "it does harm"});
    Some(ChatReply { text: "TERMINATE".into(), ..call("remove_function", arguments) })
}

fn step(replies: Vec<ChatReply>, settings: &StepSettings) -> (StepReport, Model) {
    let model = Model::says(replies);
    let best = Arc::new(FunctionSet::empty());
    let records = [record("t1", &best, false)];
    let input = step_input(&best, &records);
    let report = block_on(propose(input, &model, &Toy::default(), settings)).unwrap();
    (report, model)
}

/// What a function of a registration gives for `{"a": 10}`.
fn run(registration: &Registration, name: &str) -> String {
    let draft = registration.register_for_executor(name).unwrap().draft();
    let invocation = Invocation {
        encoding: Encoding::Tagged,
        ..Invocation::new(
            SourceText { language: draft.language.clone(), text: draft.source.clone(), packages: Vec::new() },
            Entry::Function(name.to_owned()),
            JsonText::parse(r#"{"a": 10}"#).unwrap(),
            Limits::DEFAULT,
        )
    };
    block_on(Toy::default().invoke(invocation)).unwrap().value().unwrap().to_string()
}

#[test]
fn defect_01_with_two_functions_each_name_runs_its_own() {
    let both = calls(&[("add_function", times("double", 2)), ("add_function", times("triple", 3))]);
    let mut optimizer = optimizer(vec![Some(ChatReply { text: "TERMINATE".into(), ..both })]);
    let registration = epoch(&mut optimizer, &[false]);
    assert_eq!((run(&registration, "double"), run(&registration, "triple")), ("20".into(), "30".into()));
}

#[test]
fn defect_02_a_removed_function_is_in_neither_view() {
    let initial = set(&[times("double", 2), times("triple", 3)]);
    let mut optimizer = optimizer_from(initial, vec![remove("double")]);
    let registration = epoch(&mut optimizer, &[false]);
    assert_eq!(names(&registration), ["triple"]);
    assert!(registration.register_for_executor("double").is_none());
}

#[test]
fn defect_03_a_roll_back_reaches_both_roles() {
    let mut optimizer = optimizer(vec![add("harmful", 2), Some(text("TERMINATE"))]);
    let registration = epoch(&mut optimizer, &[true, false]);
    assert_eq!(names(&registration), ["harmful"]);
    let registration = epoch(&mut optimizer, &[false, false]);
    assert_eq!(names(&registration), [""; 0]);
    assert!(registration.register_for_executor("harmful").is_none());
    assert_eq!(registration.set_id(), optimizer.best().id());
}

#[test]
fn defect_04_an_update_that_leaves_no_function_is_an_update_like_any_other() {
    let mut optimizer = optimizer_from(set(&[times("double", 2)]), vec![remove("double"), Some(text("TERMINATE"))]);
    let registration = epoch(&mut optimizer, &[false]);
    assert!(registration.set().is_empty());
    let registration = epoch(&mut optimizer, &[true]);
    assert!(registration.set().is_empty() && optimizer.best().is_empty());
}

#[test]
fn defect_05_the_result_is_the_best_set_and_it_has_been_measured() {
    let mut optimizer = optimizer(vec![add("double", 2), add("triple", 3), add("quad", 4)]);
    let _ = epoch(&mut optimizer, &[false, false]);
    let last = epoch(&mut optimizer, &[true, false]);
    assert_eq!(names(&last), ["double", "triple"], "the last candidate is registered to be measured");
    assert_eq!(names(&Registration::of(Arc::clone(optimizer.best()))), ["double"], "and is not the result");
    assert_eq!(optimizer.training().best_score(), Some(0.5));
}

#[test]
fn defect_06_a_tie_is_no_progress_and_keeps_the_failure_record() {
    let mut optimizer = optimizer(vec![add("double", 2), add("triple", 3), Some(text("TERMINATE"))]);
    let _ = epoch(&mut optimizer, &[true, false]);
    let _ = epoch(&mut optimizer, &[false, false]);
    evaluate(&mut optimizer, &[true, false]);
    let _ = block_on(optimizer.step()).unwrap();
    assert_eq!(optimizer.training().failures().len(), 2);
    assert!(optimizer.best().is_empty());
}

#[test]
fn defect_07_patience_stops_the_run_and_terminate_ends_the_step() {
    let mut optimizer = optimizer((0..9).map(|_| Some(text("TERMINATE"))).collect());
    let _ = epoch(&mut optimizer, &[false]);
    let _ = block_on(optimizer.step()).unwrap();
    assert_eq!(optimizer.stop_reason(), Some(StopReason::Patience { fruitless: 2 }));
    let (report, model) = step(vec![text("TERMINATE")], &settings());
    assert_eq!((report.end, model.requests().len()), (StepEnd::Terminated, 1));
}

#[test]
fn defect_08_no_retry_repeats_a_request_and_each_says_what_was_wrong() {
    let wrong = || call("add_function", definition("f", &["a"], "def f(a): a +", &[(json!({"a": 1}), json!(2))]));
    let (_, model) = step(vec![wrong(), wrong(), wrong()], &settings());
    let requests = model.requests();
    assert!(requests.windows(2).all(|pair| pair[0].messages != pair[1].messages));
    assert!(model.told_after(0).contains("cannot compute `a +`"), "{}", model.told_after(0));
}

#[test]
fn defect_09_records_are_owned_and_stay_what_they_were() {
    let shared = task("t0", "?", "42");
    let mut optimizer = optimizer(vec![Some(text("TERMINATE"))]);
    let mut history = conversation(&shared, optimizer.registration().set(), "first words");
    optimizer.record_one_conversation(history.clone(), Some(false)).unwrap();
    history.say(greensand_types::Message::User { text: "later words".into() }).unwrap();
    let model = Model::says([text("TERMINATE")]);
    let best = Arc::new(FunctionSet::empty());
    let records = [
        conversation(&shared, &best, "first words").close(support::verdict(false)),
        conversation(&task("t1", "?", "42"), &best, "second words").close(support::verdict(false)),
    ];
    let input = step_input(&best, &records);
    let _ = block_on(propose(input, &model, &Toy::default(), &settings())).unwrap();
    let seen = format!("{:?}", model.requests()[0].messages);
    assert!(seen.contains("first words") && seen.contains("second words") && !seen.contains("later words"));
}

#[test]
fn defect_10_a_missing_verdict_never_waits_for_a_keyboard() {
    let mut optimizer = optimizer(Vec::new());
    let history = conversation(&task("t0", "?", "42"), optimizer.registration().set(), "42");
    let error = optimizer.record_one_conversation(history, None).unwrap_err();
    assert!(matches!(error, RecordError::MissingVerdict(_)) && error.to_string().contains("`is_satisfied`"));
}

#[test]
fn defect_11_nothing_that_cannot_work_is_admitted() {
    let changed = |field: &str, value: Value| {
        let mut definition = times("double", 2);
        definition[field] = value;
        definition
    };
    let example = [(json!({"a": 1}), json!(2))];
    let cases = [
        ("a name with a space", "add_function", changed("name", json!("sum squares")), Gate::Form),
        ("a body without its definition", "add_function", changed("source", json!("a * 2")), Gate::Compile),
        ("a definition of another name", "add_function", changed("source", json!("def d(a): a * 2")), Gate::Signature),
        (
            "a type that is none",
            "add_function",
            changed("parameters", json!({"properties": {"a": {"type": "float"}}})),
            Gate::Signature,
        ),
        ("a schema as text", "add_function", changed("parameters", json!("{}")), Gate::Form),
        ("other parameters", "add_function", definition("f", &["x"], "def f(a): a * 2", &example), Gate::Signature),
        ("an invented action", "improve_function", times("double", 2), Gate::Form),
        ("an unknown name revised", "revise_function", times("triple", 3), Gate::Existence),
        (
            "code that was never run",
            "add_function",
            changed("source", json!("def double(a): raise no")),
            Gate::Examples,
        ),
    ];
    for (what, action, arguments, gate) in cases {
        let (report, _) = step(vec![call(action, arguments), text("TERMINATE")], &settings());
        let [Proposal::Refused(rejection)] = report.proposals.as_slice() else {
            panic!("{what}: {:?}", report.proposals)
        };
        assert_eq!(rejection.gate, gate, "{what}: {}", rejection.reason);
        assert!(report.is_unchanged(), "{what}");
    }
    let twice =
        vec![call("add_function", times("double", 2)), call("add_function", times("double", 3)), text("TERMINATE")];
    let (report, _) = step(twice, &settings());
    assert!(matches!(&report.proposals[1], Proposal::Refused(rejection) if rejection.gate == Gate::Existence));
}

#[test]
fn defect_12_calls_of_one_reply_are_checked_against_what_the_one_before_left() {
    let reply = calls(&[
        ("add_function", times("double", 2)),
        ("remove_function", json!({"name": "double", "reason": "on second thought"})),
        ("add_function", times("double", 4)),
    ]);
    let (report, _) = step(vec![reply], &settings());
    assert!(
        report.proposals.iter().all(|proposal| matches!(proposal, Proposal::Applied { .. })),
        "{:?}",
        report.proposals
    );
    assert_eq!(&*report.candidate.get("double").unwrap().draft().source, "def double(a): a * 4");
}

#[test]
fn defect_13_a_failed_request_loses_nothing_and_the_next_step_works() {
    let mut optimizer = optimizer(vec![None, add("double", 2)]);
    evaluate(&mut optimizer, &[true, false]);
    assert!(matches!(block_on(optimizer.step()), Err(OptimizerError::Step(_))));
    assert_eq!(optimizer.last_decision(), Some(&Decision::Baseline { score: 0.5 }));
    assert_eq!(names(&block_on(optimizer.step()).unwrap()), ["double"]);
    assert!(matches!(block_on(optimizer.step()), Err(OptimizerError::NoRecords { .. })), "no division by zero");
}

#[test]
fn defect_14_a_package_is_a_name_on_a_list_and_never_a_program() {
    let attempts = [
        "six\"]); __import__(\"os\").system(\"id\") #",
        "six, toolz",
        "-r requirements.txt",
        "https://example.org/x.whl",
        "six",
    ];
    for package in attempts {
        let mut definition = times("double", 2);
        definition["packages"] = json!([package]);
        let (report, _) = step(vec![call("add_function", definition), text("TERMINATE")], &settings());
        assert!(
            matches!(&report.proposals[0], Proposal::Refused(rejection) if rejection.gate == Gate::Packages),
            "{package}"
        );
    }
}

#[test]
fn defect_19_prompts_are_bounded_and_usage_is_reported() {
    let best = set(&[times("double", 2)]);
    let size_for = |tasks: usize| {
        let records: Vec<_> = (0..tasks)
            .map(|index| record_with_call(&format!("t{index}"), &best, "double", raised(&"e".repeat(3000)), false))
            .collect();
        let model = Model::says([text("TERMINATE")]);
        let input = step_input(&best, &records);
        let report = block_on(propose(input, &model, &Toy::default(), &settings())).unwrap();
        assert_eq!((report.usage.requests, report.usage.prompt_tokens, report.usage.completion_tokens), (1, 100, 10));
        format!("{:?}", model.requests()[0].messages).len()
    };
    let (few, many) = (size_for(200), size_for(2000));
    assert!(many < few + few / 10 && many < 24_000 * 5, "{few} bytes for 200 tasks, {many} for 2000");
}

#[test]
fn defect_20_a_model_that_does_not_answer_is_an_error_and_nobody_else_is_asked() {
    // That a backend or model without a name is refused is shown by `greensand-llm`; here, that a step has no second one.
    let model = Model::with([None, Some(text("TERMINATE"))]);
    let best = Arc::new(FunctionSet::empty());
    let input = step_input(&best, &[]);
    let error = block_on(propose(input, &model, &Toy::default(), &settings())).unwrap_err();
    assert_eq!((error.kind.to_string().as_str(), model.requests().len()), ("too many requests", 1));
}
