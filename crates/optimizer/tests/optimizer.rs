//! The three verbs: record, step, reset.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod support;

use std::sync::Arc;

use greensand_llm::ChatReply;
use greensand_optimizer::{
    Decision, Optimizer, OptimizerError, OptimizerSettings, RecordError, StopReason, TrainingSettings,
};
use greensand_types::{FunctionSet, Registration};
use support::{Model, Toy, block_on, call, conversation, settings, task, text, times};

fn optimizer(replies: impl IntoIterator<Item = Option<ChatReply>>) -> Optimizer {
    let settings = OptimizerSettings { training: TrainingSettings::default(), step: settings() };
    let runtime = Arc::new(Toy::default());
    Optimizer::new(settings, Arc::new(FunctionSet::empty()), Arc::new(Model::with(replies)), runtime)
}

fn evaluate(optimizer: &mut Optimizer, verdicts: &[bool]) {
    for (index, is_satisfied) in verdicts.iter().enumerate() {
        let task = task(&format!("t{index}"), "?", "42");
        let history = conversation(&task, optimizer.registration().set(), "42");
        optimizer.record_one_conversation(history, Some(*is_satisfied)).unwrap();
    }
}

fn names(registration: &Registration) -> Vec<String> {
    registration.register_for_llm().map(|signature| signature.name().to_string()).collect()
}

fn add(name: &str, factor: i64) -> [Option<ChatReply>; 2] {
    [Some(call("add_function", times(name, factor))), Some(text("TERMINATE"))]
}

#[test]
fn a_run_accepts_rolls_back_and_stops() {
    let mut replies: Vec<Option<ChatReply>> = Vec::new();
    replies.extend(add("double", 2));
    replies.extend(add("harmful", 3));
    replies.extend((0..2).map(|_| Some(text("TERMINATE"))));
    let mut optimizer = optimizer(replies);

    evaluate(&mut optimizer, &[false, false]);
    let registration = block_on(optimizer.step()).unwrap();
    assert_eq!(
        (names(&registration), optimizer.last_decision()),
        (vec!["double".to_owned()], Some(&Decision::Baseline { score: 0.0 }))
    );

    evaluate(&mut optimizer, &[true, false]);
    let registration = block_on(optimizer.step()).unwrap();
    assert_eq!(names(&registration), ["double", "harmful"]);
    let decision = optimizer.last_decision();
    assert!(matches!(decision, Some(Decision::Accepted { score: 0.5, previous: 0.0, .. })), "{decision:?}");

    evaluate(&mut optimizer, &[false, false]);
    let registration = block_on(optimizer.step()).unwrap();
    assert_eq!(names(&registration), ["double"], "the roll-back reaches both roles");
    assert!(registration.register_for_executor("harmful").is_none());
    assert_eq!(optimizer.last_decision(), Some(&Decision::Unchanged));
    assert_eq!(optimizer.training().failures().len(), 1);

    let registration = block_on(optimizer.step()).unwrap();
    assert_eq!(optimizer.stop_reason(), Some(StopReason::Patience { fruitless: 3 }));
    assert_eq!(registration.set_id(), optimizer.best().id());
    assert_eq!(names(&block_on(optimizer.step()).unwrap()), ["double"], "a finished run stays where it is");
}

#[test]
fn a_step_without_records_is_an_error() {
    let mut optimizer = optimizer([]);
    assert!(matches!(block_on(optimizer.step()), Err(OptimizerError::NoRecords { .. })));
}

#[test]
fn a_missing_verdict_is_asked_for_where_there_is_somebody_and_is_otherwise_an_error() {
    let question = task("t", "?", "42");
    let history = || conversation(&question, &FunctionSet::empty(), "42");
    let mut alone = optimizer([]);
    let error = alone.record_one_conversation(history(), None).unwrap_err();
    assert_eq!(error, RecordError::MissingVerdict("t".parse().unwrap()));
    let mut attended = optimizer([]).asking(Box::new(|history| Some(history.task().target == "42")));
    assert_eq!(attended.record_one_conversation(history(), None), Ok(()));
    let mut nobody = optimizer([]).asking(Box::new(|_| None));
    assert!(nobody.record_one_conversation(history(), None).is_err());
}

#[test]
fn a_conversation_under_another_set_or_about_another_task_is_refused() {
    let mut optimizer = optimizer(add("double", 2));
    let other = support::set(&[times("triple", 3)]);
    let history = conversation(&task("t0", "?", "42"), &other, "42");
    assert!(matches!(optimizer.record_one_conversation(history, Some(true)), Err(RecordError::OtherSet { .. })));
    evaluate(&mut optimizer, &[false]);
    let registration = block_on(optimizer.step()).unwrap();
    let history = conversation(&task("new", "?", "42"), registration.set(), "42");
    assert!(matches!(optimizer.record_one_conversation(history, Some(true)), Err(RecordError::UnknownTask(_))));
}

#[test]
fn what_is_no_score_is_refused_and_does_no_harm() {
    let mut optimizer = optimizer(add("double", 2));
    for score in [f64::NAN, f64::INFINITY, -0.5, 1e308] {
        let mut record = support::record("odd", optimizer.registration().set(), false);
        record.verdict.score = score;
        assert!(matches!(optimizer.record(record), Err(RecordError::NotAScore { .. })), "{score}");
    }
    evaluate(&mut optimizer, &[true, false]);
    assert_eq!(names(&block_on(optimizer.step()).unwrap()), ["double"]);
    assert_eq!(optimizer.last_decision(), Some(&Decision::Baseline { score: 0.5 }));
}

#[test]
fn several_conversations_about_one_task_count_as_their_mean() {
    let mut optimizer = optimizer(add("double", 2));
    evaluate(&mut optimizer, &[true, false]);
    evaluate(&mut optimizer, &[false, false]);
    let _ = block_on(optimizer.step()).unwrap();
    assert_eq!(optimizer.last_decision(), Some(&Decision::Baseline { score: 0.25 }));
}

#[test]
fn a_failed_step_can_be_made_again() {
    let mut replies = vec![None];
    replies.extend(add("double", 2));
    let mut optimizer = optimizer(replies);
    evaluate(&mut optimizer, &[true, false]);
    assert!(matches!(block_on(optimizer.step()), Err(OptimizerError::Step(_))));
    assert_eq!(names(&block_on(optimizer.step()).unwrap()), ["double"]);
}

#[test]
fn reset_forgets_everything() {
    let mut optimizer = optimizer(add("double", 2));
    evaluate(&mut optimizer, &[false]);
    let _ = block_on(optimizer.step()).unwrap();
    optimizer.reset_optimizer();
    assert!(optimizer.registration().set().is_empty() && optimizer.last_report().is_none());
    assert_eq!(optimizer.training().best_score(), None);
    assert!(matches!(block_on(optimizer.step()), Err(OptimizerError::NoRecords { .. })));
}
