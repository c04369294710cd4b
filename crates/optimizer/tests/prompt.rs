//! What the optimizer model reads. The wording is reviewed like code: `BLESS=1 cargo test -p greensand-optimizer --test
//! prompt` rewrites the snapshots, and the difference is read.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod support;

use std::path::Path;
use std::sync::Arc;

use greensand_llm::ChatRequest;
use greensand_optimizer::{ActionProtocol, EvidenceBook, FailedSet, StepInput, StepSettings, propose};
use greensand_types::{CallStatus, ConversationRecord, FunctionSet, Message};
use serde_json::json;
use support::{
    Model, Toy, block_on, failed, raised, record, record_with_call, returned, set, settings, text, times, without,
};

fn asked(
    best: &Arc<FunctionSet>,
    records: &[ConversationRecord],
    failures: &[FailedSet],
    settings: &StepSettings,
) -> ChatRequest {
    let model = Model::says([text("TERMINATE")]);
    let evidence = book(best, records);
    let input = StepInput { best, records, evidence: &evidence, failures, success_rate: 0.625, epoch: 2 };
    let _ = block_on(propose(input, &model, &Toy::default(), settings)).unwrap();
    model.requests().remove(0)
}

fn book(set: &FunctionSet, records: &[ConversationRecord]) -> EvidenceBook {
    let mut book = EvidenceBook::new();
    book.note_all(set, 1, records);
    book
}

fn prompt(request: &ChatRequest) -> String {
    let part = |message: &Message| match message {
        Message::System { text } => format!("=== system\n{text}"),
        Message::User { text } => format!("=== user\n{text}"),
        other => panic!("{other:?}"),
    };
    request.messages.iter().map(part).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check_snapshot(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{name} differs from its snapshot; look at it with BLESS=1\n{found}");
}

fn story() -> (Arc<FunctionSet>, Vec<ConversationRecord>, Vec<FailedSet>) {
    let best = set(&[times("double", 2), times("triple", 3)]);
    let records = vec![
        record("t1", &best, true),
        record_with_call("t2", &best, "double", returned(&json!(12)), false),
        record_with_call("t3", &best, "double", raised("a must be positive"), false),
        record_with_call("t4", &best, "run_toy", returned(&json!(null)), true),
    ];
    let worse = set(&[times("double", 4), times("triple", 3), times("quintuple", 5)]);
    (Arc::clone(&best), records, vec![failed(&without(&best, "triple"), 1, 0.25), failed(&worse, 2, 0.375)])
}

#[test]
fn the_prompt_is_as_reviewed() {
    let (best, records, failures) = story();
    check_snapshot("prompt_with_tools.md", &prompt(&asked(&best, &records, &failures, &settings())));
    let first = Arc::new(FunctionSet::empty());
    let by_text = StepSettings { protocol: ActionProtocol::Text, ..settings() };
    check_snapshot("prompt_by_text.md", &prompt(&asked(&first, &[record("t1", &first, false)], &[], &by_text)));
}

#[test]
fn the_tools_are_as_reviewed() {
    let first = Arc::new(FunctionSet::empty());
    let request = asked(&first, &[], &[], &settings());
    let tools: Vec<_> = request
        .tools
        .iter()
        .map(|tool| json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters}))
        .collect();
    for tool in &request.tools {
        assert!(jsonschema::draft202012::meta::is_valid(&tool.parameters), "{}", tool.name);
    }
    check_snapshot("tools.json", &format!("{}\n", serde_json::to_string_pretty(&tools).unwrap()));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (best, records, failures) = story();
    let write = || asked(&best, &records, &failures, &settings());
    assert_eq!(write(), write());
    let mut slower = records.clone();
    if let greensand_types::CallAnswer::Ran(outcome) = &mut slower[1].calls[0].answer {
        outcome.usage.wall = std::time::Duration::from_secs(1);
    }
    assert_eq!(asked(&best, &slower, &failures, &settings()), write(), "how long a call took is in no prompt");
}

#[test]
fn the_prompt_keeps_to_its_budget_and_says_what_it_left_out() {
    let best = set(&[times("double", 2)]);
    let records: Vec<ConversationRecord> = (0..400)
        .map(|index| {
            let long = format!("{}{index}", "x".repeat(5000));
            record_with_call(&format!("t{index}"), &best, "double", raised(&long), index % 4 == 0)
        })
        .collect();
    for budget in [4_000, 24_000] {
        let settings = StepSettings { prompt_token_budget: budget, ..settings() };
        let prompt = prompt(&asked(&best, &records, &[], &settings));
        assert!(prompt.chars().count() <= budget * 4 + 400, "{} characters", prompt.chars().count());
        assert!(prompt.contains("characters left out ..]"), "{prompt}");
        assert!(prompt.contains("solved conversations are left out to keep this short"), "{prompt}");
        let first_solved = prompt.find(": solved").unwrap_or(prompt.len());
        assert!(prompt.find("NOT SOLVED").unwrap() < first_solved, "the unsolved ones come first");
        assert_eq!(first_solved < prompt.len(), budget == 24_000, "where there is room, some solved ones are shown");
    }
}

#[test]
fn many_failures_and_long_sources_do_not_break_the_budget() {
    let source = |name: &str| format!("{}\ndef {name}(a): a * 2", "# long\n".repeat(9000));
    let long = |name: &str, factor: i64| {
        let mut definition = times(name, factor);
        definition["source"] = json!(source(name).replace("* 2", &format!("* {factor}")));
        definition
    };
    let best = set(&[long("a2", 2), long("a3", 3), long("a4", 4)]);
    let worse = set(&[long("a2", 5)]);
    let failures: Vec<FailedSet> = (0..100).map(|epoch| failed(&worse, epoch, f64::from(epoch) / 100.0)).collect();
    let prompt = prompt(&asked(&best, &[record("t1", &best, false)], &failures, &settings()));
    assert!(prompt.chars().count() <= 24_000 * 4 + 400, "{} characters", prompt.chars().count());
    assert!(prompt.contains("with lower scores are left out here") && prompt.contains("Epoch 99: 99.0 %"));
    assert!(prompt.contains("## Task `t1`: NOT SOLVED"));
}

#[test]
fn long_descriptions_and_schemas_do_not_break_the_budget() {
    let long = |factor: i64| {
        let mut definition = times(&format!("times_{factor}"), factor);
        definition["description"] = json!(format!("{factor} times a. {}", "d".repeat(3900)));
        definition["parameters"]["properties"]["a"]["description"] = json!("p".repeat(15_000));
        definition
    };
    let best = set(&(2..22).map(long).collect::<Vec<_>>());
    let worse = set(&[long(30)]);
    let failures = [failed(&worse, 1, 0.25)];
    let prompt = prompt(&asked(&best, &[record("t1", &best, false)], &failures, &settings()));
    assert!(prompt.chars().count() <= 24_000 * 4 + 400, "{} characters", prompt.chars().count());
    for factor in 2..22 {
        assert!(prompt.contains(&format!("{factor} times a. ddd")), "every function is described");
        assert!(prompt.contains(&format!("def times_{factor}(a): a * {factor}")), "a short source stays whole");
    }
    assert!(prompt.contains("characters left out ..] ddd") && prompt.contains("## Task `t1`: NOT SOLVED"));
}

#[test]
fn evidence_counts_calls_by_how_they_ended_and_tasks_once() {
    let (best, mut records, _) = story();
    let again = records[1].calls[0].clone();
    records[1].calls.push(again);
    records[1].verdict = support::verdict(true);
    let evidence = book(&best, &records).on(&best);
    let double = &evidence[0];
    assert_eq!((double.name.as_str(), double.calls, double.successes, double.refused), ("double", 3, 2, 0));
    assert_eq!(double.errors.iter().collect::<Vec<_>>(), [(&CallStatus::Error, &1)]);
    assert_eq!((double.tasks_used, double.tasks_solved, double.examples), (2, 1, 1));
    assert_eq!((evidence[1].calls, evidence[1].mean_wall), (0, None));
    assert!(double.signature_tokens > 10);
}

#[test]
fn what_might_go_is_said_with_its_numbers() {
    let best = set(&[times("double", 2), times("triple", 3), times("quintuple", 5)]);
    let other = set(&[times("triple", 3)]);
    let mut book = EvidenceBook::new();
    let with: Vec<_> = (0..6)
        .map(|task| record_with_call(&format!("t{task}"), &best, "double", returned(&json!(12)), task == 0))
        .collect();
    let without: Vec<_> = (0..6).map(|task| record(&format!("t{task}"), &other, true)).collect();
    for epoch in 0..3 {
        book.note_all(&best, epoch, &with);
    }
    book.note_all(&other, 3, &without);
    book.note_all(&other, 3, &[record_with_call("t0", &other, "triple", returned(&json!(18)), true)]);
    let model = Model::says([text("TERMINATE")]);
    let input = StepInput { best: &best, records: &with, evidence: &book, failures: &[], success_rate: 0.2, epoch: 4 };
    let _ = block_on(propose(input, &model, &Toy::default(), &settings())).unwrap();
    let prompt = prompt(&model.requests()[0]);
    let from = prompt.find("What all conversations").unwrap();
    let to = prompt.find("# Conversations about").unwrap();
    check_snapshot("evidence.md", &prompt[from..to]);
    let never = StepSettings { retire_after: 0, ..settings() };
    let model = Model::says([text("TERMINATE")]);
    let _ = block_on(propose(input, &model, &Toy::default(), &never)).unwrap();
    let prompt = self::prompt(&model.requests()[0]);
    assert!(!prompt.contains("not called in") && prompt.contains("conversations that call it solve"));
}

#[test]
fn five_hundred_functions_keep_to_the_budget_and_are_all_listed() {
    let definitions: Vec<_> = (2..502).map(|factor| times(&format!("times_{factor}"), factor)).collect();
    let best = set(&definitions);
    let records = [
        record_with_call("t1", &best, "times_300", raised("no"), false),
        record_with_call("t2", &best, "times_4", returned(&json!(1)), true),
    ];
    let begun = std::time::Instant::now();
    let text = prompt(&asked(&best, &records, &[], &settings()));
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(text.chars().count() <= 24_000 * 4 + 400, "{} characters", text.chars().count());
    for factor in 2..502 {
        assert!(text.contains(&format!("- `times_{factor}(a)`: Gives the times_{factor}.")), "{text}");
    }
    for shown in
        ["def times_300(a): a * 300", "def times_4(a): a * 4", "| `times_300` | 1 |", "## Task `t1`: NOT SOLVED"]
    {
        assert!(text.contains(shown), "{shown}");
    }
    assert!(text.contains("functions that are called less are left out here"));
    assert!(!text.contains("Each task is offered"));
    let small = StepSettings { prompt_token_budget: 4_000, offered_functions: 24, ..settings() };
    let text = prompt(&asked(&best, &records, &[], &small));
    assert!(text.chars().count() <= 4_000 * 4 + 400, "{} characters", text.chars().count());
    assert!(text.contains("Each task is offered 24 of them"));
    assert!(text.contains("def times_300(a)") && text.contains("## Task `t1`: NOT SOLVED"));
}
