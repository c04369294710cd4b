//! Runs in the background: started, looked at, stopped, killed, and taken up again.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Answer, greensand, quickstart};
use serde_json::Value;

/// A run that takes many seconds, so that it is under way whenever it is looked at.
const SLOW: &[&str] = &["--set", "model.latency_ms=400", "--jobs", "2"];

fn train(runs: &Path, more: &[&str]) -> Answer {
    let (project, runs) = (quickstart(), runs.to_str().unwrap().to_owned());
    greensand(&[&["train", &project, "--runs", &runs, "--detach"], more].concat())
}

fn status(run: &str) -> Value {
    greensand(&["status", run, "--json"]).code(0).json()
}

/// Looks at a run until it is in a state.
#[track_caller]
fn wait_for(run: &str, state: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let status = status(run);
        if status["state"] == state {
            return status;
        }
        assert!(Instant::now() < deadline, "never {state}: {status}");
    }
}

/// Reads the events of a run whose process comes to its end; the last one is written when the run is closed already.
#[track_caller]
fn events_to_the_end(run: &str) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let text = std::fs::read_to_string(Path::new(run).join("events.jsonl")).unwrap();
        let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if events.last().is_some_and(|last| last["event"] == "finished") {
            return events;
        }
        assert!(Instant::now() < deadline, "no end: {text}");
    }
}

fn kill(pid: u64) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_run_goes_on_by_itself_until_it_is_finished() {
    let runs = tempfile::tempdir().unwrap();
    let answer = train(runs.path(), &["--epochs", "1"]).code(0).says("it goes on in the background");
    let run = answer.stdout.trim().to_owned();
    let finished = wait_for(&run, "finished");
    assert_eq!((&finished["stop"]["kind"], &finished["epoch"]), (&"max_epochs".into(), &1.into()), "{finished}");
    assert!(finished["best_score"].as_f64() > finished["initial_score"].as_f64(), "{finished}");
    let events = events_to_the_end(&run);
    assert_eq!(events[0]["event"], "opened");
    assert!(std::fs::read_to_string(Path::new(&run).join("talk.txt")).unwrap().contains("epoch 1: accepted"));
    let left = std::fs::read_dir(runs.path()).unwrap().map(|entry| entry.unwrap().path());
    let left: Vec<PathBuf> = left.filter(|path| path.is_dir()).collect();
    assert_eq!(left, [PathBuf::from(&run)], "no folder lies beside the run");
    greensand(&["stop", &run]).code(0).says("nobody worked on it");
}

#[test]
fn a_start_that_fails_fails_here_and_leaves_nothing() {
    let runs = tempfile::tempdir().unwrap();
    let answer = train(runs.path(), &["--set", "functions.initial=missing", "--json"]).code(2);
    let failed = answer.last_line();
    assert_eq!((&failed["event"], &failed["kind"]), (&"failed".into(), &"asked".into()), "{failed}");
    assert!(answer.stderr.contains("missing"), "{}", answer.stderr);
    assert_eq!(std::fs::read_dir(runs.path()).unwrap().count(), 0);
}

#[test]
fn a_run_is_stopped_and_taken_up_again_in_the_background() {
    let runs = tempfile::tempdir().unwrap();
    let started = train(runs.path(), &[SLOW, &["--json", "--epochs", "1"]].concat()).code(0).json();
    let run = started["run"].as_str().unwrap().to_owned();
    let running = status(&run);
    assert_eq!((&running["state"], &running["pid"]), (&"running".into(), &started["pid"]), "{running}");
    greensand(&["resume", &run]).code(2).says("is in use by another process");
    let text = greensand(&["status", &run]).code(0).stdout;
    assert!(text.contains("running") && text.contains(&format!("next: greensand stop {run}")), "{text}");

    let stopped = greensand(&["stop", &run, "--json"]).code(0).json();
    assert_eq!((&stopped["state"], &stopped["pid"]), (&"interrupted".into(), &Value::Null), "{stopped}");
    assert_eq!(events_to_the_end(&run).last().unwrap()["ending"], "interrupted");
    let text = greensand(&["status", &run]).code(0).stdout;
    assert!(text.contains(&format!("next: greensand resume {run}")), "{text}");

    // What changes no result may be set anew.
    let again = greensand(&["resume", &run, "--detach", "--jobs", "16"]).code(0);
    assert_eq!(again.stdout.trim(), run);
    wait_for(&run, "finished");
    assert_eq!(events_to_the_end(&run).last().unwrap()["ending"], "finished");
}

#[test]
fn a_run_that_was_killed_is_crashed_and_its_number_is_never_signalled() {
    let runs = tempfile::tempdir().unwrap();
    let run = train(runs.path(), SLOW).code(0).stdout.trim().to_owned();
    kill(wait_for(&run, "running")["pid"].as_u64().unwrap());
    let crashed = wait_for(&run, "crashed");
    assert_eq!((&crashed["pid"], &crashed["stop"]), (&Value::Null, &Value::Null), "{crashed}");

    // Somebody else has the number now, and the lock is held: that process stays.
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    let file = Path::new(&run).join("process.json");
    let mut process: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    process["pid"] = other.id().into();
    std::fs::write(&file, process.to_string()).unwrap();
    let lock = std::fs::File::open(Path::new(&run).join("lock")).unwrap();
    lock.lock().unwrap();
    greensand(&["stop", &run]).code(1).says("is not the one that works on the run");
    for text in ["{\"format\":1,\"pid\":-1,\"started\":\"x\"}", "{", "{\"format\":9}", ""] {
        std::fs::write(&file, text).unwrap();
        greensand(&["stop", &run]).code(1).says("nothing says which");
    }
    assert!(other.try_wait().unwrap().is_none(), "another process was signalled");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_run_that_its_budget_stopped_says_what_cap_lets_it_go_on() {
    let runs = tempfile::tempdir().unwrap();
    let project = quickstart();
    let folder = runs.path().to_str().unwrap();
    let spent = greensand(&["train", &project, "--runs", folder, "--max-calls", "60", "--json"]).code(4).last_line();
    let run = spent["run"].as_str().unwrap();
    let stopped = status(run);
    assert_eq!((&stopped["state"], &stopped["stop"]["kind"]), (&"stopped".into(), &"budget_spent".into()), "{stopped}");
    let text = greensand(&["status", run]).code(0).stdout;
    for said in
        ["stopped: budget", "a higher cap, such as `--max-calls 120`", "next: greensand resume ", " --max-calls N"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    greensand(&["resume", run, "--max-calls", "9999"]).code(0);
    let text = greensand(&["status", run]).code(0).stdout;
    assert!(text.contains("it is over (patience)") && text.contains("nothing is left to resume"), "{text}");
}

#[test]
fn a_damaged_run_is_listed_as_such_and_hides_no_other() {
    let runs = tempfile::tempdir().unwrap();
    let (project, folder) = (quickstart(), runs.path().to_str().unwrap());
    let train = || greensand(&["train", &project, "--runs", folder, "--epochs", "1", "--json"]).code(0).last_line();
    let [first, second, third] = [(); 3].map(|()| train()["run"].as_str().unwrap().to_owned());
    std::fs::write(Path::new(&first).join("journal.jsonl"), "\0").unwrap();
    std::fs::write(Path::new(&second).join("manifest.json"), "{").unwrap();
    let listed = greensand(&["status", folder, "--json"]).code(0).json();
    let state =
        |run: &str| listed.as_array().unwrap().iter().find(|status| status["run"] == run).unwrap()["state"].clone();
    assert_eq!([&first, &second, &third].map(|run| state(run)), ["damaged", "damaged", "finished"]);
    let listed = greensand(&["status", folder]).code(0).stdout;
    assert!(listed.lines().count() == 3 && listed.contains("manifest.json:1"), "{listed}");
    for damaged in [&first, &second] {
        greensand(&["status", damaged]).code(2).says("hint: put `");
        assert_eq!(greensand(&["status", damaged, "--json"]).code(2).last_line()["event"], "failed");
    }
}

#[test]
fn the_runs_of_a_folder_are_listed_the_last_one_last() {
    let runs = tempfile::tempdir().unwrap();
    greensand(&["status", runs.path().to_str().unwrap()]).code(2).says("name a run, a project, or a folder of runs");
    greensand(&["status", "missing"]).code(2).says("there is no run or function set at `missing`");
    let first = train(runs.path(), &["--epochs", "1"]).code(0).stdout.trim().to_owned();
    wait_for(&first, "finished");
    let fork = greensand(&["fork", &first, "--at", "1", "--set", "training.patience=2"]).code(0).stdout;
    let fork = fork.lines().next().unwrap();
    assert_eq!(status(fork)["state"], "waiting");
    std::fs::remove_dir_all(fork).unwrap();
    let listed = greensand(&["status", runs.path().to_str().unwrap()]).code(0).stdout;
    assert!(listed.starts_with("finished") && listed.contains(&first), "{listed}");
    let listed = greensand(&["status", runs.path().to_str().unwrap(), "--json"]).code(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
}
