//! How far the scores of an unchanged set differ, through the folder of a run.

use greensand_app::page::ReportPage;
use greensand_app::store::{Reopening, RunFolder, RunKind};
use greensand_app::{Interrupt, NoiseDone, RunDone, SetSource, Silent, TrainError, noise};

use crate::support::*;

fn measure(folder: &Folder, settings: &[&str]) -> (Result<NoiseDone, TrainError>, usize) {
    let (project, mut equipment) = folder.open(settings);
    let right = "The answer is \\boxed{6}.";
    let fickle = Fickle::in_place_of_assistant(&mut equipment, "validation-3-3", right);
    let done = block_on(noise(&project, &equipment, &SetSource::Empty, &Silent, &Interrupt::new()));
    (done, fickle.asked())
}

#[test]
fn an_unchanged_set_is_measured_in_two_draws_and_what_differs_is_chance() {
    let folder = Folder::new("", &[ASSISTANT]);
    let (done, asked) = measure(&folder, &[]);
    let NoiseDone { folder: run, report } = done.unwrap();
    assert_eq!((report.first, report.second, report.difference), (0.25, 0.5, 0.25));
    assert_eq!((report.tasks, report.missing, report.repeats, asked), (4, 0, 1, 8));
    let [changed] = report.changed.as_slice() else { panic!("{:?}", report.changed) };
    assert_eq!((changed.task.as_str(), changed.first, changed.second), ("validation-3-3", 0.0, 1.0));
    assert!((report.standard_error.unwrap() - 0.25).abs() < 1e-9);
    // Four tasks could all fall the same way by chance more often than once in twenty.
    assert!(report.smallest_effects.is_empty() && report.least_tasks == 5, "{report:?}");
    assert!(report.to_text().contains("4 tasks can show no improvement: 5 must get better"), "{}", report.to_text());
    assert!(report.to_text().contains("difference +25.0 ± 25.0 points; 1 tasks changed"), "{}", report.to_text());
    assert_eq!(run.manifest().unwrap().kind, RunKind::Noise);
    assert_eq!(run.report().unwrap().stop.unwrap().kind, "measured");
    assert!(run.path().join("noise.json").is_file());
    let html = ReportPage::of(&run).unwrap().to_html();
    for said in ["The same set, measured twice on 4 tasks", "+25.0 points ± 25.0", "validation-3-3"] {
        assert!(html.contains(said), "the page lacks {said}");
    }
}

#[test]
fn trials_are_shared_between_the_two_measurements() {
    let folder = Folder::new("", &[ASSISTANT]);
    let (done, asked) = measure(&folder, &["training.repeats=2"]);
    let report = done.unwrap().report;
    assert_eq!((report.level, report.acceptance.as_str()), (0.05, "greedy"));
    // Of two trials in each half, one solves the fickle task.
    assert_eq!((report.first, report.second, report.changed.len(), asked), (0.375, 0.375, 0, 16));
}

#[test]
fn a_measurement_that_was_cut_off_goes_on_where_it_was_and_can_be_replayed() {
    let folder = Folder::new("", &[ASSISTANT]);
    let (done, _) = measure(&folder, &[]);
    let NoiseDone { folder: run, report } = done.unwrap();
    let journal = run.path().join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    for end in ends {
        std::fs::write(&journal, &text[..end]).unwrap();
        for how in [Reopening::Resume, Reopening::Replay] {
            let (recorded, eras) = reopened(run.path());
            let RunDone::Noise(again) = again(&recorded, &eras, how).unwrap() else { panic!() };
            assert_eq!(again.report, report);
            assert_eq!(std::fs::read_to_string(&journal).unwrap(), text);
        }
    }
    assert_eq!(RunFolder::open(run.path()).unwrap().report().unwrap().assistant_usage.requests, 8);
}
