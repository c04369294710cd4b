//! The hostile corpus: functions that attack the sandbox, each with the answer of a well-made one.
//!
//! The corpus lies beside the repository, not in it; without it the suite says so and passes. Its own judge decides.
//! Each entry is followed by a control call, and everything runs three ways: in order on one worker, whose one slot
//! is surely reused; out of order on two; and all at once.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test ends where something unexpected is found")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use futures::executor::block_on;
use futures::future::join_all;
use greensand_sandbox::{Sandbox, SandboxSettings};
use greensand_types::{
    CallOutcome, CallStatus, Encoding, Entry, FunctionRuntime, Grants, Invocation, JsonText, Limits, SourceText, Tenant,
};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

/// A variable of the host that no guest may see.
const CANARY: (&str, &str) = ("HOSTILE_CANARY", "hostile-canary-9d41c7");

/// How late an answer may be beyond the wall clock of its call.
const GRACE: Duration = Duration::from_millis(250);

#[derive(Deserialize)]
struct Case {
    id: String,
    language: String,
    entry: String,
    source: String,
    args: Vec<Box<RawValue>>,
    args_gen: Option<GeneratedArgument>,
    after: Option<String>,
    #[serde(default)]
    limits: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum GeneratedArgument {
    String { bytes: usize },
    NestedList { depth: usize },
}

/// What became of a case.
struct Answer {
    id: String,
    outcome: CallOutcome,
    latency: Duration,
    wall: Duration,
    is_control_ok: bool,
}

#[test]
fn hostile_functions_get_the_answers_of_a_well_made_sandbox() {
    let Some(folder) = corpus() else {
        eprintln!("skipped: there is no hostile corpus beside the repository");
        return;
    };
    if env::var_os(CANARY.0).is_none() {
        // The variable has to be there from the start of the process: so the test runs itself once more.
        let name = "hostile_functions_get_the_answers_of_a_well_made_sandbox";
        let mut again = Command::new(env::current_exe().unwrap());
        let status = again.args(["--exact", name, "--nocapture"]).env(CANARY.0, CANARY.1).status().unwrap();
        assert!(status.success());
        return;
    }
    let cases = read_cases(&folder);
    let one = open(1);
    check_in_order(&folder, &cases, &one);
    check_out_of_order(&folder, &cases, &open(2));
    check_at_once(&folder, &cases, &open(2));
}

fn check_in_order(folder: &Path, cases: &[Case], sandbox: &Sandbox) {
    // Two rounds warm up: every page that calls keep is then there.
    for _ in 0..2 {
        cases.iter().for_each(|case| drop(answer(sandbox, case)));
    }
    let before = Footprint::now();
    let answers: Vec<_> = cases.iter().map(|case| answer(sandbox, case)).collect();
    let after = Footprint::now();
    judge(folder, "in order", &answers);
    for answer in &answers {
        let Answer { id, latency, wall, .. } = answer;
        assert!(*latency <= *wall + GRACE, "`{id}` was answered after {latency:?}, its wall clock is {wall:?}");
    }
    assert_eq!((before.threads, before.descriptors), (after.threads, after.descriptors));
    assert!(after.resident <= before.resident + before.resident / 10, "{before:?} {after:?}");
    let left: Vec<_> = fs::read_dir("/tmp").unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("hostile-")), "{left:?}");
}

fn check_out_of_order(folder: &Path, cases: &[Case], sandbox: &Sandbox) {
    let mut answers = Vec::new();
    for case in cases.iter().rev() {
        // What must run directly after another entry still does.
        if let Some(first) = cases.iter().find(|first| case.after.as_ref() == Some(&first.id)) {
            drop(answer(sandbox, first));
        }
        answers.push(answer(sandbox, case));
    }
    judge(folder, "out of order", &answers);
}

fn check_at_once(folder: &Path, cases: &[Case], sandbox: &Sandbox) {
    let calls = cases.iter().map(|case| sandbox.invoke(invocation(case)));
    let outcomes = block_on(join_all(calls));
    let answers = cases.iter().zip(outcomes).map(|(case, outcome)| {
        let (outcome, wall) = (outcome.unwrap(), limits(case).wall);
        let latency = outcome.usage.wall;
        assert!(latency <= wall + GRACE, "`{}` took {latency:?}", case.id);
        Answer { id: case.id.clone(), outcome, latency, wall, is_control_ok: true }
    });
    let answers: Vec<_> = answers.collect();
    judge(folder, "at once", &answers);
}

/// Runs a case and then a control call.
fn answer(sandbox: &Sandbox, case: &Case) -> Answer {
    let started = Instant::now();
    let outcome = block_on(sandbox.invoke(invocation(case)));
    let latency = started.elapsed();
    let outcome = outcome.unwrap_or_else(|fault| panic!("`{}` was a fault of the host: {fault:?}", case.id));
    let control = block_on(sandbox.invoke(Invocation {
        source: SourceText { text: "def f():\n    return 1\n".into(), ..invocation(case).source },
        entry: Entry::Function("f".into()),
        arguments: JsonText::parse("[]").unwrap(),
        ..invocation(case)
    }));
    let is_control_ok = control.unwrap().value().is_some_and(|value| value.get() == "1");
    Answer { id: case.id.clone(), outcome, latency, wall: limits(case).wall, is_control_ok }
}

/// Lets the corpus judge answers.
fn judge(folder: &Path, run: &str, answers: &[Answer]) {
    let lines: String = answers.iter().map(|answer| format!("{}\n", line(answer))).collect();
    let corpus = fs::read_to_string(folder.join("hostile.jsonl")).unwrap();
    let ours: Vec<_> = answers.iter().map(|answer| answer.id.as_str()).collect();
    let only_ours = |line: &&str| {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        ours.contains(&case["id"].as_str().unwrap())
    };
    // The judge looks at every entry of the corpus beside it: so it gets a copy with the languages that we have.
    let copy = tempfile::tempdir().unwrap();
    let judge = copy.path().join("check.py");
    fs::copy(folder.join("check.py"), &judge).unwrap();
    let corpus: Vec<_> = corpus.lines().filter(only_ours).collect();
    fs::write(copy.path().join("hostile.jsonl"), corpus.join("\n")).unwrap();
    let file = copy.path().join("answers.jsonl");
    fs::write(&file, &lines).unwrap();
    let output = Command::new("python3").arg(&judge).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{run}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{run}: {}", said.trim());
}

fn line(answer: &Answer) -> String {
    let Answer { id, outcome, is_control_ok, .. } = answer;
    let failure = outcome.failure().map(|failure| json!({"message": failure.message, "trace": failure.trace}));
    let rest = json!({
        "id": id,
        "status": outcome.status().as_str(),
        "error": failure,
        "stdout": outcome.stdout.text,
        "stderr": outcome.stderr.text,
        "truncated": outcome.stdout.is_truncated || outcome.stderr.is_truncated,
        "control_ok": is_control_ok,
    });
    // The value is spliced in as it is, so that its digits and its depth stay those of the guest.
    let rest = rest.to_string();
    match outcome.value() {
        Some(value) => format!("{},\"value\":{}}}", rest.strip_suffix('}').unwrap(), value.get()),
        None => rest,
    }
}

fn invocation(case: &Case) -> Invocation {
    let generated = case.args_gen.as_ref().map(|argument| match argument {
        GeneratedArgument::String { bytes } => json!("a".repeat(*bytes)).to_string(),
        GeneratedArgument::NestedList { depth } => "[".repeat(*depth) + &"]".repeat(*depth),
    });
    let arguments: Vec<_> = case.args.iter().map(|argument| argument.get().to_owned()).chain(generated).collect();
    Invocation {
        source: SourceText {
            language: case.language.parse().unwrap(),
            text: case.source.as_str().into(),
            packages: Vec::new(),
        },
        entry: Entry::Function(case.entry.clone()),
        arguments: JsonText::parse(&format!("[{}]", arguments.join(","))).unwrap(),
        limits: limits(case),
        grants: Grants::default(),
        encoding: Encoding::Strict,
        seed: 0,
        tenant: Tenant::default(),
    }
}

fn limits(case: &Case) -> Limits {
    let mut limits = Limits { memory_bytes: 128 << 20, ..Limits::DEFAULT };
    for (name, value) in &case.limits {
        let value = value.as_u64().unwrap();
        match name.as_str() {
            "wall_ms" => limits.wall = Duration::from_millis(value),
            "memory_mb" => limits.memory_bytes = value << 20,
            "max_arg_bytes" => limits.max_argument_bytes = value,
            "max_result_bytes" => limits.max_result_bytes = value,
            "max_stdout_bytes" => limits.max_stdout_bytes = value,
            "max_stderr_bytes" => limits.max_stderr_bytes = value,
            name => panic!("`{}` asks for the limit `{name}`", case.id),
        }
    }
    limits
}

fn open(workers: usize) -> Sandbox {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    Sandbox::open(SandboxSettings { workers, ..SandboxSettings::new(cache) }).unwrap()
}

fn corpus() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases");
    folder.join("hostile.jsonl").is_file().then_some(folder)
}

/// Reads the cases of the languages that exist.
fn read_cases(folder: &Path) -> Vec<Case> {
    let text = fs::read_to_string(folder.join("hostile.jsonl")).unwrap();
    let cases = text.lines().map(|line| serde_json::from_str::<Case>(line).unwrap());
    let sandbox = open(1);
    cases.filter(|case| sandbox.languages().any(|language| language.name == case.language)).collect()
}

/// What this process holds of the host.
#[derive(Debug)]
struct Footprint {
    threads: usize,
    descriptors: usize,
    resident: u64,
}

impl Footprint {
    fn now() -> Self {
        let count = |folder: &str| fs::read_dir(folder).unwrap().count();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let resident = resident.trim().trim_end_matches(" kB").parse().unwrap();
        Self { threads: count("/proc/self/task"), descriptors: count("/proc/self/fd"), resident }
    }
}

#[test]
fn an_answer_is_written_with_its_value_as_it_is() {
    let outcome = CallOutcome {
        ending: greensand_types::CallEnding::Returned(JsonText::parse("[-0.0,1e5,{\"a\":{}}]").unwrap()),
        ..CallOutcome::invalid("")
    };
    assert_eq!(outcome.status(), CallStatus::Ok);
    let wall = Duration::ZERO;
    let answer = Answer { id: "x".into(), outcome, latency: wall, wall, is_control_ok: true };
    let text = line(&answer);
    assert!(text.ends_with("\"value\":[-0.0,1e5,{\"a\":{}}]}"), "{text}");
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
}
