//! Endpoints that are of no use, through the binary: exit code, what is said, and a run folder that can be shown.

#![expect(clippy::unwrap_used, reason = "a suite that cannot set itself up has failed")]

#[path = "../../../tests/src/chat_server.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is public where it stands, and this suite uses its part")]
mod chat_server;
mod common;

use std::path::Path;

use chat_server::{ChatServer, Scenario};
use common::{Answer, command, greensand, quickstart, run};

const KEY: &str = "sk-test-9d02b7c41e";

/// Runs a command on the quickstart with a server as its endpoint.
fn against(server: &ChatServer, arguments: &[&str], more: &[&str]) -> Answer {
    let base_url = server.base_url();
    let (quickstart, endpoint) = (quickstart(), ["--model", "m", "--base-url", &base_url, "--jobs", "1"]);
    let mut command = command(&[&[arguments[0], &quickstart], &arguments[1..], &endpoint, more].concat());
    command.env("OPENAI_API_KEY", KEY);
    run(command, b"")
}

/// Checks that the only run of a folder can be shown, has no score, and does not hold the key.
fn check_run(runs: &Path, stop_kind: &str) {
    let run = std::fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let shown = greensand(&["show", run.to_str().unwrap(), "--json"]).code(0).json();
    assert_eq!(shown["stop"]["kind"], stop_kind, "{shown}");
    assert_eq!((&shown["epochs"], &shown["test"]), (&serde_json::json!([]), &serde_json::Value::Null), "{shown}");
    for file in ["manifest.json", "journal.jsonl", "replies.jsonl", "report.json", "report.txt"] {
        let text = std::fs::read_to_string(run.join(file)).unwrap();
        assert!(!text.contains(KEY), "the key stands in {file}");
    }
}

/// Trains and measures against a server that gives one answer to everything; both must end as the model's failure.
fn check(answer: Scenario, retries: &str, stop_kind: &str, says: &[&str]) {
    let server = ChatServer::start(move |_| answer.clone());
    let runs = tempfile::tempdir().unwrap();
    let set_retries = format!("model.max_retries={retries}");
    let train = ["train", "--runs", runs.path().to_str().unwrap()];
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = elsewhere.path().to_str().unwrap();
    let eval = ["eval", "--set", "empty", "--split", "validation", "--runs", elsewhere];
    let trained = against(&server, &train, &["--set", &set_retries]);
    let measured = against(&server, &eval, &["--setting", &set_retries]);
    for answer in [trained, measured] {
        let answer = says.iter().fold(answer.code(3), |answer, text| answer.says(text));
        assert!(!answer.stdout.contains(KEY) && !answer.stderr.contains(KEY), "{answer:?}");
    }
    check_run(runs.path(), stop_kind);
}

#[test]
fn an_endpoint_that_always_fails_is_the_models_failure() {
    let answer = Scenario::error(500, &format!("no route for Bearer {KEY}"));
    check(
        answer,
        "1",
        "too_much_missing",
        &["error: ", "could not be worked on", "(status 500) (after 2 attempts)", "hint: "],
    );
}

#[test]
fn a_key_that_is_refused_is_the_models_failure() {
    let answer = Scenario::error(401, &format!("Incorrect API key provided: {KEY}"));
    check(
        answer,
        "4",
        "failed",
        &[
            "error: ",
            "refused the key of `OPENAI_API_KEY` (status 401)",
            "hint: check the environment variable `OPENAI_API_KEY`",
        ],
    );
}

#[test]
fn a_model_that_is_not_there_is_the_models_failure() {
    let answer = Scenario::error(404, "The model `m` does not exist");
    check(answer, "4", "failed", &["error: ", "has no model `m` (status 404)", "hint: check `model`"]);
}

#[test]
fn an_evaluation_prints_what_it_paid_for_before_the_model_failed() {
    let refused = Scenario::error(401, "Incorrect API key provided");
    let [one, two, three] = [(); 3].map(|()| Scenario::text("\\boxed{21}"));
    let server = ChatServer::play([one, two, three, refused]);
    let runs = tempfile::tempdir().unwrap();
    let runs = runs.path().to_str().unwrap();
    let eval = ["eval", "--set", "empty", "--split", "validation", "--runs", runs, "--json"];
    let answer = against(&server, &eval, &[]).code(3).says("refused the key of `OPENAI_API_KEY` (status 401)");
    let report = answer.last_line()["report"].clone();
    let results = report["results"].as_array().unwrap();
    let scored = |task: &&serde_json::Value| task["score"].is_number();
    let reached = results.iter().filter(|task| task["reached"] == true).count();
    assert_eq!((results.iter().filter(scored).count(), reached), (3, 4), "{report}");
    // The mean of three, and nothing of those that have no score.
    let mean = f64::from(u32::try_from(report["solved"].as_u64().unwrap()).unwrap()) / 3.0;
    assert!((report["score"].as_f64().unwrap() - mean).abs() < 1e-9 && mean > 0.0, "{report}");
    assert!(report["error"].as_str().unwrap().contains("status 401"), "{report}");
}

#[test]
fn a_storm_of_refusals_is_told_as_what_it_does_to_the_limit() {
    let refused = || Scenario::error(429, "slow down").header("retry-after", "0");
    let texts = std::iter::repeat_with(|| Scenario::text("\\boxed{21}")).take(40);
    let server = ChatServer::play((0..6).map(|_| refused()).chain(texts));
    let runs = tempfile::tempdir().unwrap();
    let runs = runs.path().to_str().unwrap();
    let eval = ["eval", "--set", "empty", "--split", "validation", "--runs", runs, "--json"];
    let answer = against(&server, &eval, &["--setting", "model.max_retries=8"]).code(0);
    let lines = answer.json_lines();
    let changes: Vec<_> = lines.iter().filter(|line| line["event"] == "limit_changed").collect();
    let limits: Vec<_> =
        changes.iter().map(|line| [&line["before"], &line["limit"]].map(|limit| limit.as_u64())).collect();
    let steps = [[32, 22], [22, 15], [15, 10], [10, 7], [7, 4], [4, 2]];
    assert_eq!(limits[..6], steps.map(|step| step.map(Some)), "one after the other, each was asked again: {limits:?}");
    let endpoint = server.base_url();
    for change in &changes[..6] {
        assert!(endpoint.starts_with(change["endpoint"].as_str().unwrap()), "{change}");
        assert!(change["cause"] == "rate_limited" && change["at_ms"].is_u64(), "{change}");
    }
    // A person reads of each halving.
    assert_eq!(answer.stderr.matches("too many requests for `http://").count(), 4, "{}", answer.stderr);
    assert!(answer.stderr.contains("at most 22 at once from here on, 32 before"), "{}", answer.stderr);
}
