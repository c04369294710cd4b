//! Comparisons that chance has a part in: several trials of each task, indecisive ones, and how often `significant` errs.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod support;

use std::sync::Arc;

use greensand_optimizer::{Decision, Measurement, Next, Training, TrainingError, TrainingSettings, find_strategy};
use greensand_types::{FunctionSet, StepEnd, StepReport, TokenUsage};
use support::{set, times};

fn settings(repeats: u32, max_trials: u32) -> TrainingSettings {
    let acceptance = find_strategy("significant").unwrap();
    TrainingSettings { acceptance, repeats, max_trials, max_epochs: 1, ..TrainingSettings::default() }
}

fn begin(settings: TrainingSettings) -> Training {
    Training::new(settings, Arc::new(FunctionSet::empty()))
}

fn propose(training: &mut Training) {
    let report = StepReport {
        parent: training.best().id(),
        candidate: set(&[times("double", 2)]),
        proposals: Vec::new(),
        end: StepEnd::Terminated,
        usage: TokenUsage::default(),
    };
    assert_eq!(training.proposed(&report), Ok(None));
}

/// Measures whatever is asked for with scores by task and trial, until something is decided.
fn measure(training: &mut Training, mut score: impl FnMut(bool, usize, u32) -> f64, tasks: usize) -> Decision {
    loop {
        let Next::Evaluate { set, trials, .. } = training.next() else { panic!("{:?}", training.next()) };
        let is_best = set.id() == training.best().id();
        let trials_of = |task| trials.clone().map(|trial| Some(score(is_best, task, trial))).collect();
        let scores = (0..tasks).map(trials_of).collect();
        if let Some(decision) = training.measured(Measurement { set: set.id(), scores }).unwrap() {
            return decision;
        }
    }
}

#[test]
fn an_indecisive_comparison_takes_more_trials_of_both_sets_up_to_the_cap() {
    let mut training = begin(settings(2, 5));
    let mut asked = Vec::new();
    let baseline = measure(&mut training, |_, _, _| 0.5, 4);
    assert_eq!(baseline, Decision::Baseline { score: 0.5 });
    propose(&mut training);
    // Better on two tasks of four: never enough.
    let mut step = |training: &mut Training| {
        let Next::Evaluate { set, trials, epoch: 1 } = training.next() else { panic!("{:?}", training.next()) };
        let is_best = set.id() == training.best().id();
        asked.push((is_best, trials.clone()));
        let score = |task| if !is_best && task < 2 { 1.0 } else { 0.5 };
        let scores = (0..4).map(|task| vec![Some(score(task)); trials.len()]).collect();
        training.measured(Measurement { set: set.id(), scores }).unwrap()
    };
    assert!(matches!(step(&mut training), Some(Decision::Undecided { .. })));
    assert_eq!(step(&mut training), None, "the candidate still has fewer trials");
    assert!(matches!(step(&mut training), Some(Decision::Undecided { .. })));
    assert_eq!(step(&mut training), None);
    let Some(Decision::RolledBack { reason, comparison, .. }) = step(&mut training) else { panic!() };
    assert!(reason.starts_with("indecisive after 5 trials of each task: too few tasks differ"), "{reason}");
    assert_eq!((comparison.trials, comparison.tasks, comparison.gained, comparison.lost), (5, 4, 2, 0));
    assert_eq!(asked, [(false, 0..2), (true, 2..4), (false, 2..4), (true, 4..5), (false, 4..5)]);
}

#[test]
fn a_measurement_of_other_trials_is_refused() {
    let mut training = begin(settings(2, 2));
    let wrong = Measurement::once(training.best().id(), [Some(1.0)]);
    assert_eq!(training.measured(wrong), Err(TrainingError::TrialCount { index: 0, found: 1, expected: 2 }));
    assert!(matches!(training.next(), Next::Evaluate { epoch: 0, trials, .. } if trials == (0..2)));
}

#[test]
fn a_task_with_one_missing_trial_has_the_mean_of_the_others() {
    let mut training = begin(settings(2, 2));
    let scores = vec![vec![Some(1.0), None], vec![None, None], vec![Some(0.0), Some(1.0)], vec![Some(0.0); 2]];
    let measurement = Measurement { set: training.best().id(), scores };
    let settings = TrainingSettings { max_missing: 0.5, ..settings(2, 2) };
    training.change_settings(settings);
    training.measured(measurement).unwrap();
    assert_eq!(training.best_scores(), [Some(1.0), None, Some(0.5), Some(0.0)]);
}

/// A generator that is good enough for coins.
struct Coins(u64);

impl Coins {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
    }
}

/// How often a candidate is accepted that solves each task with a probability that is higher by `effect`.
fn accepted(tasks: usize, repeats: u32, max_trials: u32, effect: f64) -> f64 {
    const RUNS: u32 = 1500;
    let mut coins = Coins(u64::from(repeats) * 1000 + tasks as u64);
    let mut accepted = 0;
    for _ in 0..RUNS {
        // Easy, hard and even tasks.
        let chances: Vec<f64> = (0..tasks).map(|_| coins.uniform()).collect();
        let mut training = begin(settings(repeats, max_trials));
        let mut score = |is_best: bool, task: usize, _| {
            let chance = chances[task] + if is_best { 0.0 } else { effect };
            f64::from(u8::from(coins.uniform() < chance))
        };
        let _ = measure(&mut training, &mut score, tasks);
        propose(&mut training);
        let decision = loop {
            match measure(&mut training, &mut score, tasks) {
                Decision::Undecided { .. } => {}
                decision => break decision,
            }
        };
        accepted += u32::from(matches!(decision, Decision::Accepted { .. }));
    }
    f64::from(accepted) / f64::from(RUNS)
}

#[test]
fn without_an_effect_it_accepts_no_more_often_than_it_says() {
    // 0.05, and three standard errors of 1500 runs.
    let most = 0.05 + 3.0 * (0.05_f64 * 0.95 / 1500.0).sqrt();
    for (tasks, repeats, max_trials) in
        [(6, 1, 1), (12, 1, 4), (24, 1, 1), (24, 1, 5), (24, 3, 9), (80, 1, 1), (80, 2, 6)]
    {
        let rate = accepted(tasks, repeats, max_trials, 0.0);
        assert!(rate <= most, "{rate} of {tasks} tasks, {repeats} to {max_trials} trials");
    }
}

#[test]
fn a_best_set_with_many_trials_is_compared_by_as_many_as_the_candidate_has() {
    // Easy tasks: against a mean of many draws, single draws are small gains with rare great losses.
    const RUNS: u32 = 1500;
    let mut coins = Coins(11);
    let (mut met, mut accepted) = (0_u32, 0_u32);
    for _ in 0..RUNS {
        let mut training = begin(TrainingSettings { max_epochs: 4, patience: 9, ..settings(1, 10) });
        let mut score = |_: bool, _: usize, _: u32| f64::from(u8::from(coins.uniform() < 0.9));
        let _ = measure(&mut training, &mut score, 20);
        let mut best_has_all = false;
        while let Next::Propose { .. } = training.next() {
            propose(&mut training);
            let decision = loop {
                match measure(&mut training, &mut score, 20) {
                    Decision::Undecided { .. } => {}
                    decision => break decision,
                }
            };
            let is_accepted = matches!(decision, Decision::Accepted { .. });
            if best_has_all {
                met += 1;
                accepted += u32::from(is_accepted);
            }
            // An indecisive one has bought all trials of both; an accepted one begins with its own.
            best_has_all = match decision {
                Decision::RolledBack { comparison, .. } => best_has_all || comparison.trials == 10,
                _ => false,
            };
            if is_accepted {
                break;
            }
        }
    }
    let rate = f64::from(accepted) / f64::from(met.max(1));
    assert!(met > 300 && rate <= 0.05 + 3.0 * (0.05_f64 * 0.95 / f64::from(met)).sqrt(), "{rate} of {met}");
}

#[test]
fn with_an_effect_it_accepts_and_more_trials_find_more() {
    assert!(accepted(80, 1, 1, 0.4) > 0.9);
    let (few, many) = (accepted(24, 1, 1, 0.2), accepted(24, 1, 8, 0.2));
    assert!(many > few + 0.1, "{few} {many}");
}
