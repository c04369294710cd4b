//! The rules of the training loop, as tables of results and what they lead to.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod support;

use std::sync::Arc;

use greensand_optimizer::{Decision, Measurement, Next, StopReason, Training, TrainingError, TrainingSettings};
use greensand_types::{FunctionSet, StepEnd, StepReport, TokenUsage};
use support::{set, times, without};

fn begin(max_epochs: u32, patience: u32) -> Training {
    let settings = TrainingSettings { max_epochs, patience, ..TrainingSettings::default() };
    Training::new(settings, Arc::new(FunctionSet::empty()))
}

/// Two sets that differ from the empty one and from each other.
fn candidates() -> [Arc<FunctionSet>; 2] {
    let both = set(&[times("double", 2), times("triple", 3)]);
    [without(&both, "triple"), without(&both, "double")]
}

fn report(training: &Training, candidate: &Arc<FunctionSet>) -> StepReport {
    StepReport {
        parent: training.best().id(),
        candidate: Arc::clone(candidate),
        proposals: Vec::new(),
        end: StepEnd::Terminated,
        usage: TokenUsage::default(),
    }
}

fn measure(training: &mut Training, scores: &[Option<f64>]) -> Result<Decision, TrainingError> {
    let Next::Evaluate { set, .. } = training.next() else { panic!("{:?}", training.next()) };
    let decided = training.measured(Measurement::once(set.id(), scores.to_vec()))?;
    Ok(decided.expect("one trial of each task decides"))
}

fn score(training: &mut Training, scores: &[f64]) -> Decision {
    measure(training, &scores.iter().copied().map(Some).collect::<Vec<_>>()).unwrap()
}

fn epoch(training: &mut Training, candidate: &Arc<FunctionSet>, scores: &[f64]) -> Decision {
    assert!(matches!(training.next(), Next::Propose { .. }), "{:?}", training.next());
    let report = report(training, candidate);
    match training.proposed(&report).unwrap() {
        Some(decision) => decision,
        None => score(training, scores),
    }
}

#[test]
fn the_initial_set_is_measured_before_anything_is_compared() {
    let mut training = begin(10, 3);
    assert!(matches!(training.next(), Next::Evaluate { epoch: 0, set, trials } if set.is_empty() && trials == (0..1)));
    assert_eq!(training.best_score(), None);
    assert_eq!(score(&mut training, &[0.0, 1.0]), Decision::Baseline { score: 0.5 });
    assert_eq!(training.next(), Next::Propose { epoch: 1 });
    assert_eq!(training.best_score(), Some(0.5));
}

#[test]
fn a_better_candidate_becomes_best_and_clears_what_failed() {
    let [worse, better] = candidates();
    let mut training = begin(10, 3);
    let _ = score(&mut training, &[0.0, 1.0]);
    assert!(matches!(epoch(&mut training, &worse, &[0.0, 0.0]), Decision::RolledBack { score: 0.0, best: 0.5, .. }));
    assert_eq!((training.failures().len(), training.fruitless()), (1, 1));
    let decision = epoch(&mut training, &better, &[1.0, 1.0]);
    assert!(matches!(decision, Decision::Accepted { score: 1.0, previous: 0.5, .. }), "{decision:?}");
    assert_eq!((training.failures().len(), training.fruitless()), (0, 0));
    assert_eq!(training.best().id(), better.id());
}

#[test]
fn a_tie_is_rolled_back_and_keeps_what_failed() {
    let [first, second] = candidates();
    let mut training = begin(10, 3);
    let _ = score(&mut training, &[0.0, 1.0]);
    let _ = epoch(&mut training, &first, &[0.0, 0.0]);
    assert!(matches!(epoch(&mut training, &second, &[1.0, 0.0]), Decision::RolledBack { .. }));
    assert_eq!((training.failures().len(), training.fruitless()), (2, 2));
    assert!(training.best().is_empty());
}

#[test]
fn what_failed_stands_in_ascending_order_of_score() {
    let [first, second] = candidates();
    let mut training = begin(10, 9);
    let _ = score(&mut training, &[1.0, 1.0, 1.0, 1.0]);
    let _ = epoch(&mut training, &first, &[1.0, 1.0, 0.0, 0.0]);
    let _ = epoch(&mut training, &second, &[1.0, 0.0, 0.0, 0.0]);
    let _ = epoch(&mut training, &first, &[1.0, 1.0, 1.0, 0.0]);
    let _ = epoch(&mut training, &second, &[0.0, 1.0, 1.0, 0.0]);
    let order: Vec<(f64, u32)> = training.failures().iter().map(|failure| (failure.score, failure.epoch)).collect();
    assert_eq!(order, [(0.25, 2), (0.5, 1), (0.5, 4), (0.75, 3)]);
}

#[test]
fn an_unchanged_candidate_costs_an_epoch_and_no_evaluation() {
    let mut training = begin(10, 3);
    let _ = score(&mut training, &[0.0]);
    let unchanged = Arc::clone(training.best());
    assert_eq!(epoch(&mut training, &unchanged, &[]), Decision::Unchanged);
    assert_eq!(training.next(), Next::Propose { epoch: 2 });
    assert_eq!((training.fruitless(), training.failures().len()), (1, 0));
}

#[test]
fn patience_counts_fruitless_epochs_in_a_row_and_not_one_more() {
    let [first, second] = candidates();
    let mut training = begin(10, 2);
    let _ = score(&mut training, &[0.0, 0.0]);
    let _ = epoch(&mut training, &first, &[0.0, 0.0]);
    let _ = epoch(&mut training, &second, &[1.0, 0.0]);
    let unchanged = Arc::clone(training.best());
    let _ = epoch(&mut training, &unchanged, &[]);
    assert!(matches!(training.next(), Next::Propose { epoch: 4 }), "an accepted set starts the count anew");
    let _ = epoch(&mut training, &first, &[0.0, 0.0]);
    let Next::Finished(reason) = training.next() else { panic!("{:?}", training.next()) };
    assert_eq!(reason, StopReason::Patience { fruitless: 2 });
    assert_eq!(reason.to_string(), "early stop: 2 epochs in a row brought no improvement");
    assert_eq!(training.best().id(), second.id(), "the result is the best set, not the last one");
}

#[test]
fn max_epochs_bounds_epochs_and_not_improvements() {
    let [first, second] = candidates();
    let mut training = begin(2, 9);
    let _ = score(&mut training, &[0.0, 0.0]);
    let _ = epoch(&mut training, &first, &[1.0, 0.0]);
    let _ = epoch(&mut training, &second, &[0.0, 0.0]);
    assert_eq!(training.next(), Next::Finished(StopReason::MaxEpochs { epochs: 2 }));
    assert_eq!(training.best().id(), first.id());
}

#[test]
fn no_epochs_or_no_patience_only_measures_the_initial_set() {
    for (max_epochs, patience) in [(0, 3), (10, 0)] {
        let mut training = begin(max_epochs, patience);
        assert_eq!(score(&mut training, &[1.0]), Decision::Baseline { score: 1.0 });
        assert!(matches!(training.next(), Next::Finished(_)));
    }
}

#[test]
fn missing_data_is_not_a_zero() {
    let [candidate, _] = candidates();
    let mut training = begin(10, 3);
    let present = |value: f64| Some(value);
    let mut baseline = vec![present(1.0); 9];
    baseline.push(None);
    assert_eq!(measure(&mut training, &baseline), Ok(Decision::Baseline { score: 1.0 }));
    let report = report(&training, &candidate);
    let _ = training.proposed(&report).unwrap();
    let mut scores = vec![present(1.0); 9];
    scores[0] = None;
    scores.push(present(1.0));
    let decision = measure(&mut training, &scores).unwrap();
    assert!(
        matches!(decision, Decision::RolledBack { score: 1.0, best: 1.0, .. }),
        "one missing score on either side leaves eight equal pairs: {decision:?}"
    );
}

#[test]
fn too_much_missing_data_stops_the_run_with_its_reason() {
    let [candidate, _] = candidates();
    let mut training = begin(10, 3);
    let _ = score(&mut training, &[1.0, 1.0, 0.0]);
    let report = report(&training, &candidate);
    let _ = training.proposed(&report).unwrap();
    let decision = measure(&mut training, &[Some(1.0), None, Some(1.0)]).unwrap();
    assert_eq!(decision, Decision::NotCompared { missing: 1, tasks: 3 });
    let Next::Finished(reason) = training.next() else { panic!("{:?}", training.next()) };
    assert_eq!(reason, StopReason::TooMuchMissing { epoch: 1, missing: 1, tasks: 3 });
    assert!(training.best().is_empty() && training.failures().is_empty(), "nothing was compared");
}

#[test]
fn a_baseline_without_any_score_stops_the_run() {
    let mut training = begin(10, 3);
    assert_eq!(measure(&mut training, &[None, None]), Ok(Decision::NotCompared { missing: 2, tasks: 2 }));
    assert!(matches!(training.next(), Next::Finished(StopReason::TooMuchMissing { epoch: 0, .. })));
    assert_eq!(training.best_score(), None);
}

#[test]
fn results_that_nobody_asked_for_are_errors_and_change_nothing() {
    let [candidate, other] = candidates();
    let mut training = begin(10, 3);
    let before_baseline = report(&training, &candidate);
    assert!(matches!(training.proposed(&before_baseline), Err(TrainingError::OutOfTurn { .. })));
    let wrong = Measurement::once(candidate.id(), [Some(1.0)]);
    assert!(matches!(training.measured(wrong), Err(TrainingError::WrongSet { .. })));
    assert_eq!(measure(&mut training, &[]), Err(TrainingError::NoTasks));
    assert!(matches!(measure(&mut training, &[Some(f64::NAN)]), Err(TrainingError::NotAScore { index: 0, .. })));
    let _ = score(&mut training, &[0.0, 1.0]);
    let late = Measurement::once(training.best().id(), [Some(1.0); 2]);
    assert!(matches!(training.measured(late), Err(TrainingError::OutOfTurn { .. })));
    let foreign = StepReport { parent: other.id(), ..report(&training, &candidate) };
    assert!(matches!(training.proposed(&foreign), Err(TrainingError::WrongSet { .. })));
    let good = report(&training, &candidate);
    assert_eq!(training.proposed(&good), Ok(None));
    assert_eq!(measure(&mut training, &[Some(1.0)]), Err(TrainingError::TaskCount { found: 1, expected: 2 }));
    assert!(matches!(training.next(), Next::Evaluate { epoch: 1, .. }), "the right result is still awaited");
}

#[test]
fn the_same_results_lead_to_the_same_state() {
    let [first, second] = candidates();
    let run = || {
        let mut training = begin(10, 3);
        let decisions = [
            score(&mut training, &[0.0, 1.0]),
            epoch(&mut training, &first, &[0.0, 0.0]),
            epoch(&mut training, &second, &[1.0, 1.0]),
        ];
        (decisions, training.next(), training.best().id(), training.failures().to_vec())
    };
    assert_eq!(run(), run());
}
