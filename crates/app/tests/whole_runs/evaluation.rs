//! Measuring one set: order, interrupts and faults, and the sets that can be named.

use std::sync::Arc;
use std::time::{Duration, Instant};

use greensand_app::store::{EvalReport, Reopening, RunFolder, RunKind};
use greensand_app::{
    Environment, Equipment, EvalDone, EvaluateError, Event, Interrupt, ModelBackend, ModelError, ModelErrorKind,
    Observer, Overrides, Project, RunDone, RunStatus, SetSource, Silent, Split, TrainErrorKind, credit, diff_sets,
    evaluate,
};
use greensand_llm::{ChatReply, ChatRequest, FinishReason};
use greensand_types::{BoxFuture, TaskId, TokenUsage};

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

/// Measures the empty set.
fn measured(
    project: &Project,
    equipment: &Equipment,
    split: Split,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> EvalDone {
    block_on(evaluate(project, equipment, &SetSource::Empty, split, observer, interrupt)).unwrap()
}

#[test]
fn results_are_in_the_order_of_the_tasks_whatever_is_done_first() {
    let folder = Folder::new("", &[ASSISTANT]);
    let (project, mut equipment) = folder.open(&["training.jobs=4"]);
    equipment.assistant = Arc::new(Reversed);
    let report = measured(&project, &equipment, Split::Test, &Silent, &Interrupt::new()).report;
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
    let report = measured(&project, &equipment, Split::Test, &observer, &interrupt).report;
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
    let report = measured(&project, &equipment, Split::Test, &observer, &interrupt).report;
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
    let interrupt = Interrupt::new();
    let evaluated = evaluate(&project, &equipment, &SetSource::Empty, Split::Test, &Silent, &interrupt);
    let error = block_on(evaluated).unwrap_err();
    assert!(
        matches!(&error.kind, TrainErrorKind::Evaluate(error) if matches!(**error, EvaluateError::NoTasks(Split::Test)))
    );
    assert!(error.hint().unwrap().contains("test = "));
    assert_eq!(error.run, None, "what cannot begin leaves no folder");
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn a_wrong_key_stops_at_once_with_its_hint() {
    let folder = Folder::new("", &["[[rule]]\nfail = \"authentication\"\n"]);
    let (project, equipment) = folder.open(&[]);
    let done = measured(&project, &equipment, Split::Test, &Silent, &Interrupt::new());
    assert_eq!((done.report.score, done.report.solved, done.report.usage.requests), (None, 0, 0));
    let error = done.error.unwrap();
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
        let report = measured(&project, &equipment, Split::Test, &Silent, &Interrupt::new()).report;
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
    let report = measured(&project, &equipment, Split::Test, &Silent, &Interrupt::new()).report;
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
    let look = |split| measured(&project, &equipment, split, &observer, &Interrupt::new()).report.test_scored;
    assert_eq!((look(Split::Test), look(Split::Validation)), (Some(1), None));
    assert_eq!(said.lock().unwrap().len(), 0, "the first look is what the tasks are for");
    train(&project, &equipment, &observer, &Interrupt::new()).unwrap();
    assert_eq!(look(Split::Test), Some(3));
    let said = said.into_inner().unwrap();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("scored 2 times") && said[1].contains("scored 3 times"), "{said:?}");
}

/// Measures with three trials of each task; returns how many requests that took.
fn thrice(folder: &Folder) -> (EvalDone, usize) {
    let (project, mut equipment) = folder.open(&["training.repeats=3", "training.jobs=2"]);
    let fickle = Fickle::in_place_of_assistant(&mut equipment, "test-0-3", "I do not know.");
    (measured(&project, &equipment, Split::Test, &Silent, &Interrupt::new()), fickle.asked())
}

#[test]
fn each_task_has_as_many_trials_as_the_settings_say_and_the_score_its_interval() {
    let (done, asked) = thrice(&Folder::new("", &[ASSISTANT]));
    let report = done.report;
    // `test-0-3` is solved in two trials of three, the others in none.
    assert_eq!((report.tasks, report.trials, report.solved, report.missing, asked), (4, 3, 2, 0, 12));
    let (score, error) = (report.score.unwrap(), report.standard_error.unwrap());
    assert!((score - 1.0 / 6.0).abs() < 1e-12 && (error - score).abs() < 1e-12, "{report:?}");
    // Wilson's of a share of 1/6 of four tasks: three trials of each are no twelve tasks.
    let [low, high] = report.interval.unwrap();
    assert!((low - 0.0222).abs() < 1e-4 && (high - 0.6377).abs() < 1e-4, "{low} {high}");
    let fickle = &report.results[0];
    assert_eq!((fickle.trials.as_slice(), fickle.solved), ([Some(1.0), Some(0.0), Some(1.0)].as_slice(), false));
    assert!((fickle.score.unwrap() - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(
        fickle.answer.as_deref(),
        Some("I do not know"),
        "the trial that is told is the one that did not solve it"
    );
}

#[test]
fn an_evaluation_that_was_cut_off_goes_on_where_it_was_and_can_be_replayed() {
    let folder = Folder::new("", &[ASSISTANT]);
    let (done, _) = thrice(&folder);
    let (run, mut report) = (done.folder.path(), done.report);
    let kept = |file: &str| std::fs::read_to_string(run.join(file)).unwrap();
    let (journal, found) = (kept("journal.jsonl"), kept("eval.json"));
    for (end, _) in journal.match_indices('\n') {
        std::fs::write(run.join("journal.jsonl"), &journal[..=end]).unwrap();
        std::fs::remove_file(run.join("eval.json")).unwrap();
        for how in [Reopening::Resume, Reopening::Replay] {
            let (recorded, eras) = reopened(run);
            let RunDone::Evaluated(again) = again(&recorded, &eras, how).unwrap() else { panic!() };
            // Where the journal says nothing of a measurement yet, the tasks are looked at once more.
            if how == Reopening::Resume && !journal[..=end].contains("evaluation_started") {
                report.test_scored = report.test_scored.map(|count| count + 1);
            }
            assert_eq!(again.report, report);
        }
        assert_eq!(kept("journal.jsonl"), journal);
        assert_eq!(serde_json::from_str::<EvalReport>(&kept("eval.json")).unwrap(), report);
    }
    assert_eq!(RunFolder::open(run).unwrap().report().unwrap().assistant_usage.requests, 12);
    assert!(found.contains("\"interval\""), "{found}");
}

#[test]
fn an_evaluation_that_a_model_stopped_goes_on_when_the_model_does() {
    let fails = "[[rule]]\nrole = \"assistant\"\ntask = \"test-9-9\"\nfail = \"quota_spent\"\n";
    let folder = Folder::new("", &[fails, ASSISTANT]);
    let (project, equipment) = folder.open(&["training.jobs=1"]);
    let stopped = measured(&project, &equipment, Split::Test, &Silent, &Interrupt::new());
    assert!(stopped.error.is_some() && !stopped.folder.path().join("eval.json").exists());
    std::fs::write(folder.path().join("script.toml"), format!("format = 1\n{ASSISTANT}")).unwrap();
    let (recorded, eras) = reopened(stopped.folder.path());
    let RunDone::Evaluated(done) = again(&recorded, &eras, Reopening::Resume).unwrap() else { panic!() };
    assert!(done.error.is_none());
    assert_eq!((done.report.score, done.report.missing, done.report.tasks), (Some(0.25), 0, 4));
    assert_eq!(done.report.test_scored, stopped.report.test_scored);
}

#[test]
fn an_evaluation_has_a_status_without_epochs_and_no_credit() {
    let folder = Folder::new("", &[ASSISTANT]);
    let (project, equipment) = folder.open(&[]);
    let run = measured(&project, &equipment, Split::Train, &Silent, &Interrupt::new()).folder;
    let status = RunStatus::of(&run).unwrap();
    assert_eq!((status.kind, status.epoch, status.max_epochs), (RunKind::Eval, None, None));
    let (recorded, eras) = reopened(run.path());
    let error = block_on(credit(&recorded, &eras, &Silent, &Interrupt::new())).unwrap_err();
    assert!(error.to_string().ends_with("is one of `greensand eval`, and trained no functions"), "{error}");
}

#[test]
fn tasks_that_the_budget_does_not_cover_were_not_looked_at() {
    let folder = Folder::new("", &[ASSISTANT]);
    let (project, equipment) = folder.open(&["budget.max_calls=3"]);
    let refused = measured(&project, &equipment, Split::Test, &Silent, &Interrupt::new());
    assert!(matches!(refused.error, Some(EvaluateError::BudgetSpent(_))) && refused.report.usage.requests == 0);
    let (recorded, eras) = reopened_with(refused.folder.path(), &["budget.max_calls=100"]);
    let RunDone::Evaluated(done) = again(&recorded, &eras, Reopening::Resume).unwrap() else { panic!() };
    assert_eq!((refused.report.test_scored, done.report.test_scored), (Some(0), Some(1)));
    // Who looks later changes nothing of what is over.
    let (project, equipment) = folder.open(&[]);
    assert_eq!(measured(&project, &equipment, Split::Test, &Silent, &Interrupt::new()).report.test_scored, Some(2));
    let RunDone::Evaluated(after) = again(&recorded, &eras, Reopening::Resume).unwrap() else { panic!() };
    assert_eq!(after.report, done.report);
}

#[test]
fn a_fork_of_an_evaluation_is_held_to_what_it_asks_itself() {
    let folder = Folder::new("", &[ASSISTANT]);
    let (project, equipment) = folder.open(&["training.repeats=2"]);
    let run = measured(&project, &equipment, Split::Train, &Silent, &Interrupt::new()).folder;
    let mut more = Overrides::new();
    more.set("training.repeats=3").unwrap();
    let fork = greensand_app::fork(run.path(), 0, &more, &Environment::of([], run.path())).unwrap();
    // Of twelve conversations eight are kept.
    let (recorded, eras) = reopened_with(fork.path(), &["budget.max_calls=4"]);
    let RunDone::Evaluated(done) = again(&recorded, &eras, Reopening::Resume).unwrap() else { panic!() };
    assert!(done.error.is_none(), "{:?}", done.error);
    assert_eq!((done.report.trials, fork.report().unwrap().assistant_usage.requests), (3, 4));
}
