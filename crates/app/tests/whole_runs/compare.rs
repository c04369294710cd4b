//! Four ways to use the same model, through the folder of a run.

use std::sync::{Arc, Mutex};

use greensand_app::page::ReportPage;
use greensand_app::store::{ArmReport, CompareReport, EvaluationRecord, JournalEvent, Reopening, RunKind};
use greensand_app::{
    CompareDone, Equipment, Interrupt, ModelBackend, ModelError, Project, RunDone, Silent, TrainError, compare,
};
use greensand_llm::{ChatReply, ChatRequest, FinishReason, Role};
use greensand_types::{BoxFuture, Message, TokenUsage};

use crate::support::*;

/// A model that heeds instructions, that guesses now one thing, now another, and that writes a function when it is asked for
/// functions and better instructions when it is asked for instructions.
struct Versatile {
    backend: Arc<dyn ModelBackend>,
    asked: Mutex<Vec<ChatRequest>>,
}

impl Versatile {
    fn own_reply(request: &ChatRequest) -> Option<String> {
        let system = match &request.messages[0] {
            Message::System { text } => text.as_str(),
            _ => return None,
        };
        if request.role == Role::Optimizer {
            let rewritten = "```instructions\nSmall sums are 6.\n```";
            return system.starts_with("You improve the instructions").then(|| rewritten.to_owned());
        }
        let task = request.task.as_ref().unwrap().as_str();
        if system.contains("Small sums are 6.") && matches!(task, "validation-3-3" | "test-2-3") {
            return Some(format!("\\boxed{{{}}}", if task == "test-2-3" { 5 } else { 6 }));
        }
        // Most draws know this one, though not the first.
        (request.functions.is_empty() && task == "test-9-9" && request.repeat > 0).then(|| "\\boxed{18}".to_owned())
    }
}

impl ModelBackend for Versatile {
    fn label(&self) -> String {
        self.backend.label()
    }

    fn identity(&self) -> String {
        self.backend.identity()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        self.asked.lock().unwrap().push(request.clone());
        match Self::own_reply(request) {
            None => self.backend.chat(request),
            Some(text) => {
                let usage = TokenUsage { requests: 1, ..TokenUsage::default() };
                let reply = ChatReply { text, calls: Vec::new(), finish: FinishReason::Stop, usage };
                Box::pin(async move { Ok(reply) })
            }
        }
    }
}

fn folder() -> Folder {
    Folder::new("[training]\npatience = 1\n", &[ASSISTANT, &writes(1, "add_function", "wrong"), SILENT_OPTIMIZER])
}

fn versatile(equipment: &mut Equipment) -> Arc<Versatile> {
    let model = Arc::new(Versatile { backend: Arc::clone(&equipment.assistant), asked: Mutex::default() });
    equipment.assistant = Arc::clone(&model) as Arc<dyn ModelBackend>;
    equipment.optimizer = Arc::clone(&model) as Arc<dyn ModelBackend>;
    model
}

fn compared(folder: &Folder) -> (Project, CompareDone, Vec<ChatRequest>) {
    let (project, mut equipment) = folder.open(&[]);
    let model = versatile(&mut equipment);
    let done = block_on(compare(&project, &equipment, &Silent, &Interrupt::new())).unwrap();
    let asked = std::mem::take(&mut *model.asked.lock().unwrap());
    (project, done, asked)
}

fn arm<'a>(report: &'a CompareReport, name: &str) -> &'a ArmReport {
    report.arms.iter().find(|arm| arm.name == name).unwrap()
}

#[test]
fn each_way_does_its_best_and_all_are_compared_on_unseen_tasks() {
    let folder = folder();
    let (_, CompareDone { folder: run, report }, asked) = compared(&folder);
    assert_eq!((report.split.as_str(), report.is_held_out, report.tasks), ("test", true, 4));
    let scores: Vec<_> = report.arms.iter().map(|arm| (arm.name.as_str(), arm.score.unwrap())).collect();
    let expected = [("no_functions", 0.25), ("self_consistency", 0.5), ("prompt_only", 0.5), ("functions", 0.5)];
    assert_eq!(scores, expected);
    let learned = arm(&report, "functions").to_no_functions.clone().unwrap();
    assert_eq!((learned.difference, learned.tasks, learned.gained, learned.lost), (0.25, 4, 1, 0));
    assert_eq!(arm(&report, "no_functions").to_no_functions, None);
    // No way may learn for more replies than the functions took, but for what was under way.
    let functions = arm(&report, "functions");
    assert_eq!(report.budget_replies, functions.learning_replies);
    let draws = arm(&report, "self_consistency").using_replies / 4;
    assert!(draws > 1 && (draws - 1) * 4 <= report.budget_replies, "{draws}");
    assert!(arm(&report, "prompt_only").learning_replies <= report.budget_replies + 8, "{report:?}");
    let rewritten: Vec<_> = events(&run)
        .into_iter()
        .filter_map(|event| if let JournalEvent::Instructions(record) = event { Some(record.accepted) } else { None })
        .collect();
    assert!(rewritten[0], "{rewritten:?}");
    // The targets of validation and test are in no request.
    let says = |request: &ChatRequest, words: &str| format!("{:?}", request.messages).contains(words);
    assert!(!asked.iter().any(|request| request.role == Role::Optimizer && says(request, "What is 9 + 9?")));
    assert_eq!(run.manifest().unwrap().kind, RunKind::Compare);
    let text = report.to_text();
    assert!(text.contains("self_consistency") && text.contains("+25.0 points"), "{text}");
    let html = ReportPage::of(&run).unwrap().to_html();
    for said in ["against the model alone", "self consistency", "+25.0 points", "Small sums are 6."] {
        assert!(html.contains(said), "the page lacks {said}");
    }
}

#[test]
fn the_report_of_a_comparison_tells_of_its_training_and_not_of_what_was_measured_after_it() {
    let folder = folder();
    let (_, CompareDone { folder: run, .. }, _) = compared(&folder);
    let report = run.report().unwrap();
    let solved = |record: Option<EvaluationRecord>| record.unwrap().solved;
    let test = report.test.unwrap();
    // The model alone solves one of them, a vote or other instructions with the same set two.
    assert_eq!((solved(test.initial), solved(test.best)), (1, 2));
    for epoch in report.epochs {
        let splits: Vec<_> = epoch.scores.iter().map(|record| (&record.split, &record.set)).collect();
        let once: std::collections::BTreeSet<_> = splits.iter().collect();
        assert_eq!(splits.len(), once.len(), "epoch {}: {splits:?}", epoch.epoch);
    }
}

fn compared_again(run: &std::path::Path, how: Reopening) -> (Result<CompareDone, TrainError>, usize) {
    let (recorded, eras) = reopened(run);
    let mut equipment = eras.first().clone();
    let model = versatile(&mut equipment);
    let done = again(&recorded, &greensand_app::Eras::one(equipment), how);
    let asked = model.asked.lock().unwrap().len();
    let compared = |done| match done {
        RunDone::Compared(done) => done,
        RunDone::Trained(_) | RunDone::Evaluated(_) | RunDone::Noise(_) => panic!("it was no comparison: {done:?}"),
    };
    (done.map(compared), asked)
}

#[test]
fn a_comparison_that_was_cut_off_after_any_line_comes_to_the_same_end_and_pays_nothing_twice() {
    let folder = folder();
    let (_, CompareDone { folder: run, report }, _) = compared(&folder);
    let journal = run.path().join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let (replayed, asked) = compared_again(run.path(), Reopening::Replay);
    assert_eq!((replayed.unwrap().report, asked), (report.clone(), 0));
    for (end, _) in text.match_indices('\n') {
        std::fs::write(&journal, &text[..=end]).unwrap();
        let (done, asked) = compared_again(run.path(), Reopening::Resume);
        assert_eq!((done.unwrap().report, asked), (report.clone(), 0));
        assert_eq!(std::fs::read_to_string(&journal).unwrap(), text);
    }
}

#[test]
fn without_a_test_split_it_says_that_learning_is_flattered() {
    let folder = folder();
    std::fs::write(folder.path().join("tasks/test.jsonl"), "").ok();
    let text = std::fs::read_to_string(folder.path().join("greensand.toml")).unwrap();
    let text: String =
        text.lines().filter(|line| !line.starts_with("test =")).map(|line| format!("{line}\n")).collect();
    std::fs::write(folder.path().join("greensand.toml"), text).unwrap();
    let (_, CompareDone { report, .. }, _) = compared(&folder);
    assert_eq!((report.split.as_str(), report.is_held_out), ("validation", false));
    assert!(report.to_text().contains("is flattered"), "{}", report.to_text());
}
