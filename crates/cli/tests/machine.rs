//! What programs rely on: events as lines of JSON, failures among them, and exit codes.

#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

mod common;

use std::process::Command;

use common::{Answer, greensand, quickstart};
use serde_json::Value;

fn train(runs: &tempfile::TempDir, more: &[&str]) -> Answer {
    let (project, runs) = (quickstart(), runs.path().to_str().unwrap().to_owned());
    let all: Vec<&str> = ["train", &project, "--runs", &runs].iter().chain(more).copied().collect();
    greensand(&all)
}

/// The settings that make a run fail at its first request: nothing listens on the discard port.
const NO_MODEL: &[&str] = &[
    "--model",
    "m",
    "--base-url",
    "http://127.0.0.1:9/v1",
    "--set",
    "model.max_retries=0",
    "--set",
    "optimizer.model.max_retries=0",
];

fn names(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["event"].as_str().expect("each line names its event")).collect()
}

#[test]
fn a_program_reads_each_event_as_it_happens_and_the_report_last() {
    let runs = tempfile::tempdir().unwrap();
    let answer = train(&runs, &["--epochs", "1", "--json", "--quiet"]).code(0);
    assert_eq!(answer.stderr, "");
    let lines = answer.json_lines();
    let names = names(&lines);
    assert_eq!((lines[0]["event"].as_str(), lines[0]["format"].as_u64()), (Some("opened"), Some(1)));
    let landmarks: Vec<_> = names
        .iter()
        .filter(|name| !["task_done", "preparing_image", "image_ready", "opened", "proposed"].contains(name))
        .filter(|name| **name != "spent_so_far")
        .collect();
    assert_eq!(
        landmarks[..7],
        [
            &"run_opened",
            &"epoch_started",
            &"evaluation_started",
            &"evaluation_done",
            &"decided",
            &"evaluation_started",
            &"evaluation_done"
        ]
    );
    assert!(names.iter().filter(|name| **name == "task_done").count() >= 24);
    assert!(names.contains(&"proposed"));
    let last = lines.last().unwrap();
    assert_eq!((last["event"].as_str(), last["exit_code"].as_u64()), (Some("finished"), Some(0)));
    let run = last["run"].as_str().unwrap();
    assert_eq!(lines.iter().find(|line| line["event"] == "run_opened").unwrap()["run"], last["run"]);
    assert_eq!(greensand(&["show", run, "--json"]).code(0).json(), last["report"]);
}

#[test]
fn a_failure_is_a_last_line_with_what_to_do() {
    let runs = tempfile::tempdir().unwrap();
    let answer = train(&runs, &[NO_MODEL, &["--json"]].concat()).code(3);
    let lines = answer.json_lines();
    assert_eq!(lines[0]["event"], "opened");
    let last = lines.last().unwrap();
    assert_eq!((last["event"].as_str(), last["kind"].as_str()), (Some("failed"), Some("model")), "{last}");
    assert_eq!(last["exit_code"], 3);
    for member in ["error", "hint", "run"] {
        assert!(last[member].as_str().is_some_and(|text| !text.is_empty()), "no `{member}`: {last}");
    }
}

#[test]
fn a_replay_and_a_fork_tell_a_program_what_came_out() {
    let runs = tempfile::tempdir().unwrap();
    let run = train(&runs, &["--epochs", "1", "--json"]).code(0).last_line()["run"].as_str().unwrap().to_owned();
    let lines = greensand(&["replay", &run, "--json", "--quiet"]).code(0).json_lines();
    let names = names(&lines);
    assert_eq!((names[0], lines[0]["command"].as_str()), ("opened", Some("replay")));
    assert!(names.contains(&"decided") && names.contains(&"task_done"), "{names:?}");
    let last = lines.last().unwrap();
    assert_eq!((&last["event"], &last["run"]), (&"finished".into(), &run.as_str().into()), "{last}");
    assert_eq!(last["report"], serde_json::json!({"same": true, "is_whole": true}));

    let lines = greensand(&["fork", &run, "--at", "1", "--set", "training.patience=2", "--json"]).code(0).json_lines();
    assert_eq!((lines.len(), lines[0]["command"].as_str()), (2, Some("fork")), "{lines:?}");
    let (fork, report) = (lines[1]["run"].as_str().unwrap(), &lines[1]["report"]);
    assert_eq!((report["at"].as_u64(), run.ends_with(report["run"].as_str().unwrap())), (Some(1), true), "{report}");
    let answer = greensand(&["replay", fork, "--json"]).code(0).last_line();
    assert_eq!(answer["report"], serde_json::json!({"same": true, "is_whole": false}));

    let journal = std::path::Path::new(&run).join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replacen("the initial set was measured", "something else", 1)).unwrap();
    let last = greensand(&["replay", &run, "--json"]).code(1).last_line();
    assert_eq!((&last["event"], &last["kind"], &last["run"]), (&"failed".into(), &"no".into(), &run.as_str().into()));
    assert!(last.to_string().contains("the run goes another way here"), "{last}");
}

#[test]
fn no_failure_leaves_a_program_without_an_answer() {
    for (arguments, kind) in [
        (&["train", "missing", "--json"][..], "asked"),
        (&["train", "--epoch", "1", "--json"], "asked"),
        (&["eval", ".", "--set", "empty", "--split", "tset", "--json"], "asked"),
        (&["show", "missing", "--json"], "asked"),
        (&["replay", "missing", "--json"], "asked"),
        (&["fork", "missing", "--at", "1", "--json"], "asked"),
        (&["report", "missing", "--json"], "asked"),
        (&["call", "missing.py", "f", "--json"], "asked"),
        (&["trian", "--json"], "asked"),
    ] {
        let answer = greensand(arguments).code(2);
        assert!(answer.stderr.starts_with("error: "), "{arguments:?}: {}", answer.stderr);
        let last = answer.last_line();
        assert_eq!((last["event"].as_str(), last["kind"].as_str()), (Some("failed"), Some(kind)), "{arguments:?}");
        assert_eq!(last["exit_code"], 2, "{arguments:?}");
        let error = last["error"].as_str().unwrap();
        assert!(!error.contains('\u{1b}') && !error.starts_with("error"), "{last}");
    }
}

#[test]
fn each_exit_code_means_one_thing() {
    let runs = tempfile::tempdir().unwrap();
    let no = repository_file("examples/quickstart/make_tasks.py");
    train(&runs, &["--epochs", "1"]).code(0);
    greensand(&["call", &no, "no_such_function"]).code(1);
    greensand(&["train", "missing"]).code(2);
    train(&runs, NO_MODEL).code(3);
    let spent = train(&runs, &["--max-calls", "5", "--json"]).code(4).last_line();
    assert_eq!((&spent["kind"], &spent["exit_code"]), (&"budget".into(), &4.into()), "{spent}");
    let status = greensand(&["status", spent["run"].as_str().unwrap(), "--json"]).code(0).json();
    assert_eq!(status["stop"]["kind"], "budget_spent", "{status}");
}

/// A process that runs out of open files fails at many places; wherever that is, the program that reads it is told.
#[test]
#[cfg(target_os = "linux")]
fn a_failure_of_the_host_is_answered_too_and_has_its_own_code() {
    let runs = tempfile::tempdir().unwrap();
    // So that the image is there.
    train(&runs, &["--epochs", "1"]).code(0);
    let mut codes = Vec::new();
    for files in 4..=14 {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -n {files}; exec \"$@\"");
        shell.args(["-c", &script, "sh"]);
        let (project, runs) = (quickstart(), runs.path().to_str().unwrap().to_owned());
        let inner = common::command(&["train", &project, "--runs", &runs, "--json"]);
        shell.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                shell.env(name, value);
            }
        }
        let answer = common::run(shell, b"");
        let code = answer.code.unwrap();
        let last = answer.last_line();
        assert_eq!((last["event"].as_str(), last["exit_code"].as_i64()), (Some("failed"), Some(i64::from(code))));
        codes.push(code);
    }
    assert!(codes.contains(&70), "{codes:?}");
}

fn repository_file(path: &str) -> String {
    common::repository().join(path).display().to_string()
}
