//! A run from its beginning to its end: `train`, `show`, `diff`, `eval`, `call RUN`, and Ctrl-C in between.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{command, greensand, quickstart};

/// The only run of a folder.
fn run_in(runs: &Path) -> PathBuf {
    let entries = std::fs::read_dir(runs).expect("the folder of runs can be read").flatten();
    let mut entries = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
    let run = entries.next().expect("there is a run");
    assert!(entries.next().is_none(), "there is more than one run");
    run
}

#[test]
fn a_run_can_be_trained_shown_compared_called_and_measured() {
    let runs = tempfile::tempdir().unwrap();
    let trained = greensand(&[
        "train",
        &quickstart(),
        "--runs",
        runs.path().to_str().unwrap(),
        "--epochs",
        "1",
        "--jobs",
        "4",
        "--json",
    ])
    .code(0)
    .says("epoch 1: accepted");
    let report = trained.last_line()["report"].clone();
    assert_eq!(report["epochs"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(report["epochs"][1]["decision"]["decision"], "accepted");
    let function = report["functions"][0]["name"].as_str().unwrap().to_owned();

    let run = run_in(runs.path());
    let run = run.to_str().unwrap();
    let shown = greensand(&["show", run, "--sources", "--settings"]).code(0).stdout;
    for text in
        ["baseline", "accepted", "refused at gate `examples`", &format!("def {function}("), "training.epochs = 1"]
    {
        assert!(shown.contains(text), "`show` lacks {text}: {shown}");
    }
    assert_eq!(greensand(&["show", run, "--json"]).code(0).json()["epochs"], report["epochs"]);

    let diff = greensand(&["diff", run, "initial", "best"]).code(0).stdout;
    assert!(diff.contains(&format!("function {function} added")), "{diff}");
    assert!(diff.contains(&format!("+def {function}(")), "{diff}");
    greensand(&["diff", run, "initial", "0000"]).code(2).says("has no function set `0000`").says("`best`, `initial`");

    let called = greensand(&["call", run, &function, "--args", "{\"text\": \"One two.\"}", "--json"]).code(0).json();
    assert_eq!(called["status"], "ok", "{called}");
    greensand(&["call", run, "missing"]).code(2).says(&format!("there are: `{function}`"));

    let best = report["epochs"][1]["decision"]["score"].as_f64().unwrap();
    let runs_dir = runs.path().to_str().unwrap();
    let evaluated =
        greensand(&["eval", &quickstart(), "--set", run, "--split", "validation", "--runs", runs_dir, "--json"])
            .code(0);
    let last = evaluated.last_line();
    let evaluated = last["report"].clone();
    assert!((evaluated["score"].as_f64().unwrap() - best).abs() < 1e-9, "{evaluated}");
    let text = greensand(&[
        "eval",
        &quickstart(),
        "--set",
        &format!("{run}:initial"),
        "--split",
        "validation",
        "--runs",
        runs_dir,
    ])
    .code(0);
    assert!(text.stdout.starts_with("validation ") && text.stdout.contains("(95 %: "), "{}", text.stdout);

    // An evaluation is a run: what it found is in its folder, and nothing is left to do in it.
    let evaluation = last["run"].as_str().unwrap();
    let resumed = greensand(&["resume", evaluation, "--json"]).code(0).last_line();
    assert_eq!(resumed["report"], evaluated);
    assert!(greensand(&["replay", evaluation]).code(0).stdout.contains("came out alike"));
    greensand(&["show", evaluation]).code(0);
}

#[test]
fn quiet_says_nothing_but_the_report() {
    let runs = tempfile::tempdir().unwrap();
    let runs = runs.path().to_str().unwrap();
    let answer = greensand(&["train", &quickstart(), "--runs", runs, "--epochs", "1", "--quiet"]).code(0);
    assert_eq!(answer.stderr, "");
    assert!(answer.stdout.contains("best set"), "{}", answer.stdout);
}

#[test]
fn a_model_that_is_asked_for_is_never_a_script() {
    // Nothing listens on the discard port.
    let runs = tempfile::tempdir().unwrap();
    let answer = greensand(&[
        "train",
        &quickstart(),
        "--runs",
        runs.path().to_str().unwrap(),
        "--model",
        "m",
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--set",
        "model.max_retries=0",
        "--set",
        "optimizer.model.max_retries=0",
    ]);
    let answer = answer.code(3);
    assert!(answer.stderr.contains("error: "), "{}", answer.stderr);
}

#[test]
fn ctrl_c_stops_with_a_run_that_can_be_shown() {
    let runs = tempfile::tempdir().unwrap();
    let mut child = command(&[
        "train",
        &quickstart(),
        "--runs",
        runs.path().to_str().unwrap(),
        "--set",
        "model.latency_ms=400",
        "--jobs",
        "2",
    ])
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap()).lines();
    let opened = talk.by_ref().map(Result::unwrap).find(|line| line.starts_with("run folder: "));
    assert!(opened.is_some(), "the run never began");
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let rest: Vec<_> = talk.map(Result::unwrap).collect();
    let mut report = String::new();
    child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{report}\n{rest:?}");
    assert!(rest.iter().any(|line| line.contains("press Ctrl-C again to stop at once")), "{rest:?}");
    assert!(report.contains("interrupted"), "{report}");

    let run = run_in(runs.path());
    let shown = greensand(&["show", run.to_str().unwrap(), "--json"]).code(0).json();
    assert_eq!(shown["stop"]["kind"], "interrupted", "{shown}");
}
