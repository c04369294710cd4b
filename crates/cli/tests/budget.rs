//! Caps, through the binary: whole training runs against a server over a socket, which counts what it was asked.

#![expect(clippy::unwrap_used, reason = "a suite that cannot set itself up has failed")]

#[path = "../../../tests/src/chat_server.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is public where it stands, and this suite uses its part")]
mod chat_server;
mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use chat_server::{ChatServer, RecordedRequest, Scenario};
use common::{Answer, command, run};
use serde_json::json;
use tempfile::TempDir;

/// What the server says that each reply has used.
const TOKENS: usize = 10 + 5;
/// At these prices a reply costs 10 * 10 + 5 * 20 = 200 millionths of a dollar.
const PRICED: &str = "[model]\ninput_price = 10\noutput_price = 20\nmax_tokens = 50\n";

const SOURCE: &str = "def twice(number):\n    return 2 * number\n";

/// The agent is to double numbers, and says zero as long as it has no function for it.
fn answer(request: &RecordedRequest) -> Scenario {
    let turn = request.messages().iter().filter(|message| message["role"] == "assistant").count();
    match request.question().strip_prefix("Twice ") {
        Some(number) if request.last_role() == "user" && request.tool_names().iter().any(|tool| tool == "twice") => {
            Scenario::calls([("twice", json!({ "number": number.parse::<u64>().unwrap() }).to_string().as_str())])
        }
        Some(_) if request.last_role() == "tool" => {
            let value = request.last_text().strip_prefix("value: ").unwrap_or("").lines().next().unwrap_or("");
            Scenario::text(&format!("\\boxed{{{value}}}"))
        }
        Some(_) => Scenario::text("\\boxed{0}"),
        None if turn == 0 && !request.question().contains("def twice") => {
            let definition = json!({
                "name": "twice", "description": "Doubles a number.", "source": SOURCE,
                "parameters": { "type": "object", "properties": { "number": { "type": "integer" } }, "required": ["number"] },
                "examples": [{ "arguments": { "number": 4 }, "result": 8 }],
            });
            Scenario::calls([("add_function", definition.to_string().as_str())])
        }
        None => Scenario::text("TERMINATE"),
    }
}

/// Six tasks to train on and four to decide on.
fn project(more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    let tasks = |numbers: std::ops::Range<u32>| {
        let line =
            |number| json!({ "id": format!("n{number}"), "question": format!("Twice {number}"), "target": 2 * number });
        numbers.map(|number| line(number).to_string() + "\n").collect::<String>()
    };
    write("train.jsonl", tasks(10..16));
    write("validation.jsonl", tasks(30..34));
    let settings = "[tasks]\ntrain = \"train.jsonl\"\nvalidation = \"validation.jsonl\"\n[agent]\ncode_tool = \"none\"\n\
                    [scorer]\nname = \"number\"\n[training]\nepochs = 3\npatience = 2\njobs = 4\n";
    write("greensand.toml", format!("{settings}{more}"));
    folder
}

fn greensand(arguments: &[&str]) -> Answer {
    run(command(arguments), b"")
}

fn train(project: &TempDir, server: &ChatServer, more: &[&str]) -> Answer {
    let (path, base_url) = (project.path().to_str().unwrap(), server.base_url());
    greensand(
        &[&["train", path, "--backend", "openai_compatible", "--model", "m", "--base-url", &base_url], more].concat(),
    )
}

/// The only run of a project.
fn run_of(project: &TempDir) -> PathBuf {
    fs::read_dir(project.path().join("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir())
        .unwrap()
}

/// What a run did: its journal without the name of the run and the times of calls.
fn journal(run: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let mut events: Vec<serde_json::Value> =
        text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    for event in &mut events {
        let calls = event["data"].get_mut("calls").and_then(serde_json::Value::as_array_mut);
        calls.into_iter().flatten().for_each(|call| call["outcome"]["wall_us"] = 0.into());
    }
    events
}

/// What a run without a cap asks: 4 tasks, 6 tasks and a step, 4 tasks with a call each, 6 of them, and two steps that change
/// nothing.
fn whole_run() -> (usize, Vec<serde_json::Value>) {
    let (server, project) = (ChatServer::start(answer), project(""));
    train(&project, &server, &[]).code(0);
    (server.requests().len(), journal(&run_of(&project)))
}

/// Trains with a cap, and goes on with higher ones until the run is over.
fn check(settings: &str, flag: &str, caps: impl IntoIterator<Item = (String, usize)>) {
    let (all, whole_journal) = whole_run();
    let (server, project) = (ChatServer::start(answer), project(settings));
    for (index, (cap, most)) in caps.into_iter().enumerate() {
        let answer = match index {
            0 => train(&project, &server, &[flag, &cap]),
            _ => greensand(&["resume", run_of(&project).to_str().unwrap(), flag, &cap]),
        };
        let asked = server.requests().len();
        assert!(asked <= most.min(all), "{asked} requests with {flag} {cap}");
        if answer.code == Some(0) {
            assert_eq!(asked, all, "none is asked twice");
            assert!(journal(&run_of(&project)) == whole_journal, "the run went as one without a cap");
            return;
        }
        let answer = answer.code(4).says("error: the budget").says("greensand resume").says(flag);
        let report = fs::read_to_string(run_of(&project).join("report.json")).unwrap();
        assert!(report.contains("budget_spent"), "{report} {answer:?}");
    }
    panic!("the run is not over: {} requests of {all}", server.requests().len());
}

#[test]
fn with_a_cap_of_calls_the_next_one_is_never_sent_and_a_higher_cap_goes_on() {
    check("", "--max-calls", (3..60).step_by(5).map(|calls| (calls.to_string(), calls)));
}

#[test]
fn what_was_in_flight_when_a_run_was_killed_counts_after_it() {
    const CAP: usize = 16;
    let server = ChatServer::start(|request| answer(request).after(Duration::from_millis(200)));
    let (project, base_url, cap) = (project(""), server.base_url(), CAP.to_string());
    let path = project.path().to_str().unwrap().to_owned();
    let train = ["train", &path, "--backend", "openai_compatible", "--model", "m", "--base-url", &base_url];
    // Killed as soon as something new is in flight, again and again.
    let killed = |arguments: &[&str]| {
        let before = server.requests().len();
        let mut child = command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while server.requests().len() == before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    };
    killed(&[&train, &["--max-calls", &cap][..]].concat());
    let run = run_of(&project);
    let resume = ["resume", run.to_str().unwrap(), "--max-calls", &cap];
    (0..4).for_each(|_| killed(&resume));
    greensand(&resume).code(4).says("error: the budget");
    let asked = server.requests().len();
    assert!((6..=CAP).contains(&asked), "{asked} requests under a cap of {CAP}");
}

#[test]
fn a_cap_of_tokens_bounds_the_requests() {
    check(
        "[model]\nmax_tokens = 50\n",
        "--max-tokens",
        (1..80).map(|part| {
            let tokens = part * 400;
            (tokens.to_string(), tokens / TOKENS)
        }),
    );
}

#[test]
fn a_cap_of_money_bounds_the_requests() {
    check(
        PRICED,
        "--max-usd",
        (1..80).map(|part| {
            let micro_dollars = part * 6_000;
            (format!("0.{micro_dollars:06}"), micro_dollars / 200)
        }),
    );
}

#[test]
fn the_optimizer_is_bound_by_the_same_cap() {
    let (server, project) = (ChatServer::start(answer), project(""));
    // Four to decide on and six to train on: the eleventh would be the optimizer's.
    train(&project, &server, &["--max-calls", "10"]).code(4).says("the budget is spent: 10 calls of at most 10 calls");
    assert_eq!(server.requests().len(), 10);
    assert!(server.requests().iter().all(|request| request.question().starts_with("Twice ")));
}

#[test]
fn an_evaluation_that_the_budget_does_not_cover_is_not_begun() {
    let (server, project) = (ChatServer::start(answer), project(""));
    let says = "the budget does not cover the next evaluation: 6 conversations need about 6 calls, and 5 calls of 9 calls are left; \
                nothing of this evaluation was sent";
    train(&project, &server, &["--max-calls", "9"]).code(4).says(says);
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn what_costs_money_is_not_begun_without_a_cap() {
    let server = ChatServer::start(answer);
    let priced = project(PRICED);
    train(&priced, &server, &[]).code(2).says("nothing says how much may be spent").says("--max-usd");
    let eval = |more: &[&str]| {
        let (path, base_url) = (priced.path().to_str().unwrap(), server.base_url());
        let arguments = ["eval", path, "--set", "empty", "--split", "train", "--model", "m", "--base-url", &base_url];
        greensand(&[&arguments, more].concat())
    };
    eval(&[]).code(2).says("nothing says how much may be spent");
    assert_eq!(server.requests().len(), 0);
    assert!(!priced.path().join("runs").exists(), "no run was begun");
    eval(&["--no-cap"]).code(0);
    eval(&["--max-usd", "0.0001"]).code(4).says("the budget is spent");
    assert_eq!(server.requests().len(), 6);
    // On this machine and without a price, nothing costs money.
    train(&project(""), &server, &["--epochs", "1"]).code(0);
}

#[test]
fn a_hosted_model_without_a_known_price_needs_one_for_a_cap_of_money() {
    let project = project("");
    let hosted = |more: &[&str]| {
        let arguments =
            ["train", project.path().to_str().unwrap(), "--model", "m", "--base-url", "https://model.invalid/v1"];
        greensand(&[&arguments, more].concat())
    };
    let unknown = "no table has one for model `m` at `model.invalid`";
    hosted(&[]).code(2).says(unknown).says("--no-cap");
    hosted(&["--max-usd", "1"]).code(2).says(unknown).says("set `input_price` and `output_price`");
    hosted(&["--max-usd", "one"]).code(2).says("`budget.max_usd` must be a number");
}
