//! Measuring one set: order, interrupts and faults, and the sets that can be named.

use std::sync::Arc;
use std::time::{Duration, Instant};

use greensand_app::{
    EvalReport, EvaluateError, Event, Interrupt, ModelBackend, ModelError, ModelErrorKind, SetSource, Silent, Split,
    diff_sets, evaluate,
};
use greensand_llm::{ChatReply, ChatRequest, FinishReason};
use greensand_types::{BoxFuture, FunctionSet, TaskId, TokenUsage};

use crate::support::*;

/// Answers every question right, the later in a task set the sooner.
struct Reversed;

impl ModelBackend for Reversed {
    fn label(&self) -> String {
        "reversed".into()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(async move {
            let id = request.task.as_ref().map_or("", TaskId::as_str);
            let mut numbers = id.split('-').filter_map(|part| part.parse::<u64>().ok());
            let (first, second) = (numbers.next().unwrap(), numbers.next().unwrap());
            tokio::time::sleep(Duration::from_millis(40 - 4 * first)).await;
            Ok(ChatReply {
                text: format!("\\boxed{{{}}}", first + second),
                calls: Vec::new(),
                finish: FinishReason::Stop,
                usage: TokenUsage::default(),
            })
        })
    }
}

fn empty() -> Arc<FunctionSet> {
    Arc::new(FunctionSet::empty())
}

#[test]
fn results_are_in_the_order_of_the_tasks_whatever_is_done_first() {
    let folder = Folder::new("", &[ASSISTANT]);
    let (project, mut equipment) = folder.open(&["training.jobs=4"]);
    equipment.assistant = Arc::new(Reversed);
    let report = block_on(evaluate(&project, &equipment, &empty(), Split::Test, &Silent, &Interrupt::new())).unwrap();
    let ids: Vec<_> = report.results.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["test-0-3", "test-2-3", "test-9-9", "test-6-9"]);
    assert_eq!((report.score, report.solved, report.missing), (Some(1.0), 4, 0));
}

#[test]
fn an_interrupt_returns_what_was_measured() {
    let folder = Folder::new("", &[ASSISTANT]);
    let (project, equipment) = folder.open(&["training.jobs=1"]);
    let interrupt = Interrupt::new();
    let observer = Watching(|event: &Event<'_>| {
        if matches!(event, Event::TaskDone { tally, .. } if tally.done == 2) {
            interrupt.raise();
        }
    });
    let report = block_on(evaluate(&project, &equipment, &empty(), Split::Test, &observer, &interrupt)).unwrap();
    assert!(report.interrupted);
    let feedback = |report: &EvalReport| report.results.iter().filter(|task| task.feedback == "not reached").count();
    assert_eq!((report.results.len(), feedback(&report)), (4, 2));
    assert_eq!(report.score, Some(0.5));
}

#[test]
fn an_interrupt_does_not_wait_for_a_slow_model() {
    let slow = "[[rule]]\nreply.text = \"later\"\nreply.latency_ms = 60000\n";
    let folder = Folder::new("", &[slow]);
    let (project, equipment) = folder.open(&[]);
    let interrupt = Interrupt::new();
    let observer = Watching(|_: &Event<'_>| interrupt.raise());
    let started = Instant::now();
    let report = block_on(evaluate(&project, &equipment, &empty(), Split::Test, &observer, &interrupt)).unwrap();
    assert!(report.interrupted && started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_split_without_tasks_is_said() {
    let folder = Folder::new("", &[ASSISTANT]);
    std::fs::write(
        folder.path().join("greensand.toml"),
        "tasks.train = \"tasks/train.jsonl\"\nagent.code_tool = \"none\"\nmodel.backend = \"scripted\"\nmodel.script = \"script.toml\"\n",
    )
    .unwrap();
    let (project, equipment) = folder.open(&[]);
    let error =
        block_on(evaluate(&project, &equipment, &empty(), Split::Test, &Silent, &Interrupt::new())).unwrap_err();
    assert!(matches!(error, EvaluateError::NoTasks(Split::Test)));
    assert!(error.hint().unwrap().contains("test = "));
}

#[test]
fn a_wrong_key_stops_at_once_with_its_hint() {
    let folder = Folder::new("", &["[[rule]]\nfail = \"authentication\"\n"]);
    let (project, equipment) = folder.open(&[]);
    let report = block_on(evaluate(&project, &equipment, &empty(), Split::Test, &Silent, &Interrupt::new())).unwrap();
    assert_eq!((report.score, report.solved, report.usage.requests), (None, 0, 0));
    let error = report.error.unwrap();
    let EvaluateError::Model(greensand_app::SolveError::Model { source, .. }) = &error else { panic!("{error}") };
    assert_eq!(source.kind(), ModelErrorKind::Authentication);
}

#[test]
fn an_evaluation_that_cannot_go_on_keeps_what_was_paid_for() {
    for (fail, max_missing, says) in [
        ("quota_spent", "1", "get reply 1"),
        ("rate_limited", "0", "1 of 4 tasks of test could not be worked on; the first: get reply 1"),
    ] {
        let fails = format!("[[rule]]\nrole = \"assistant\"\ntask = \"test-9-9\"\nfail = \"{fail}\"\n");
        let folder = Folder::new("", &[&fails, ASSISTANT]);
        let max_missing = format!("training.max_missing={max_missing}");
        let (project, equipment) = folder.open(&["training.jobs=1", &max_missing]);
        let report =
            block_on(evaluate(&project, &equipment, &empty(), Split::Test, &Silent, &Interrupt::new())).unwrap();
        // Two have a score, one of them 1; the third has none, and the fourth was not reached.
        assert_eq!((report.score, report.solved, report.missing), (Some(0.5), 1, 1), "{fail}");
        assert_eq!((report.usage.requests, report.usage.prompt_tokens), (2, 20), "{fail}");
        let reached: Vec<_> = report.results.iter().map(|task| (task.reached, task.score)).collect();
        assert_eq!(reached, [(true, Some(1.0)), (true, Some(0.0)), (true, None), (false, None)], "{fail}");
        assert!(!report.interrupted);
        let json = serde_json::to_value(&report).unwrap();
        assert!(json["error"].as_str().unwrap().starts_with(says), "{json}");
    }
}

#[test]
fn sets_are_named_by_run_id_or_folder() {
    let rules = [ASSISTANT, &writes(1, "add_function", "sum"), SILENT_OPTIMIZER];
    let folder = Folder::new("[training]\nepochs = 1\n", &rules);
    let done = folder.train(&[]).unwrap();
    let run = done.folder.path().display().to_string();
    let names = |text: &str| {
        SetSource::parse(text)
            .read()
            .map(|set| set.functions.len())
            .map_err(|error| format!("{error}{}", error.hint().map(|hint| format!(" | {hint}")).unwrap_or_default()))
    };
    let best = done.report.best.clone().unwrap();
    for (text, functions) in [
        ("empty".into(), 0),
        (run.clone(), 1),
        (format!("{run}:best"), 1),
        (format!("{run}:initial"), 0),
        (format!("{run}:{}", &best[..4]), 1),
        (format!("{run}:{best}"), 1),
        (format!("{run}/sets/{}", &best[..12]), 1),
    ] {
        assert_eq!(names(&text), Ok(functions), "{text}");
    }
    let error = names(&format!("{run}:feed")).unwrap_err();
    assert!(error.contains("has no function set `feed` | its sets: "), "{error}");
    let error = names(&format!("{run}:{}f", &best[..20])).unwrap_err();
    assert!(error.contains("has no function set"), "{error}");
    assert!(names(&format!("{run}:")).unwrap_err().contains("has no function set ``"));
    assert!(names("/no/where").unwrap_err().starts_with("there is no run or function set at `/no/where`"));
}

#[test]
fn a_difference_of_sets_shows_sources() {
    let rules =
        [ASSISTANT, &writes(1, "add_function", "wrong"), &writes(2, "revise_function", "sum"), SILENT_OPTIMIZER];
    let folder = Folder::new("[training]\nepochs = 2\n", &rules);
    let done = folder.train(&[]).unwrap();
    let set = |name: &str| done.folder.load_set(name).unwrap();
    let first = done.report.epochs[1].decision.clone().unwrap().set;
    let diff = diff_sets(&set(&first), &set("best"));
    assert_eq!(diff.functions.len(), 1);
    let text = &diff.functions[0].text;
    assert!(text.contains("-add(a, b) = wrong\n+add(a, b) = sum\n"), "{text}");
    assert!(text.contains("--- a/add.py\n+++ b/add.py\n"), "{text}");
    assert_eq!(diff_sets(&set("best"), &set("best")).unchanged, 1);
    assert_eq!(diff_sets(&set("best"), &set("initial")).functions[0].change, greensand_app::Change::Removed);
}

/// Not a benchmark: it fails when something on the way takes turns that should not.
#[test]
fn tasks_really_run_at_the_same_time() {
    let slow = "[[rule]]\nreply.text = '\\boxed{3}'\nreply.latency_ms = 200\n";
    let folder = Folder::new("", &[slow]);
    let (project, equipment) = folder.open(&["training.jobs=4"]);
    let started = Instant::now();
    let report = block_on(evaluate(&project, &equipment, &empty(), Split::Test, &Silent, &Interrupt::new())).unwrap();
    assert_eq!(report.tasks, 4);
    assert!(started.elapsed() < Duration::from_millis(700), "{:?}", started.elapsed());
}

#[test]
fn each_look_at_the_test_tasks_is_counted_and_said() {
    let folder = Folder::new("[training]\nepochs = 1\n", &[ASSISTANT, SILENT_OPTIMIZER]);
    let (project, equipment) = folder.open(&[]);
    let said = std::sync::Mutex::new(Vec::new());
    let observer = Watching(|event: &Event<'_>| {
        if let Event::Warning { message } = event {
            said.lock().unwrap().push((*message).to_owned());
        }
    });
    let look = |split| {
        block_on(evaluate(&project, &equipment, &empty(), split, &observer, &Interrupt::new())).unwrap().test_scored
    };
    assert_eq!((look(Split::Test), look(Split::Validation)), (Some(1), None));
    assert_eq!(said.lock().unwrap().len(), 0, "the first look is what the tasks are for");
    train(&project, &equipment, &observer, &Interrupt::new()).unwrap();
    assert_eq!(look(Split::Test), Some(3));
    let said = said.into_inner().unwrap();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("scored 2 times") && said[1].contains("scored 3 times"), "{said:?}");
}
