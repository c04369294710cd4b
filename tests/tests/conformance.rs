//! Every guest language, held to its own rules in the sandbox of the product.
//!
//! A folder of `guest-templates/` may hold `cases.jsonl`: one rule of the guest per line, with a function that shows it
//! and the reply that the guest must give (`ABI.md` names the kinds); and `functions.jsonl`: functions of the kind that
//! models write, in the same form, of which there must be a good number. Here the same functions run as users run them,
//! and the reply must have become the outcome that the contract says. The examples of each folder must be callable.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test ends where something unexpected is found")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use greensand_sandbox::{GuestTemplate, InstanceMode, Recycling, Sandbox, SandboxSettings};
use greensand_tests::compilers::{compiling, missing};
use greensand_types::{
    CallOutcome, CallStatus, DescribeOutcome, Encoding, Entry, FunctionRuntime, Invocation, JsonText, Limits,
    SourceText,
};
use serde::Deserialize;

/// The name that the functions of the cases have.
const ENTRY: &str = "f";

/// The files of cases in a folder.
const FILES: [&str; 2] = ["cases.jsonl", "functions.jsonl"];

/// How many different functions a `functions.jsonl` holds at the least.
const FEWEST_FUNCTIONS: usize = 120;

#[derive(Deserialize)]
struct Case {
    rule: String,
    source: String,
    #[serde(default)]
    arguments: Option<String>,
    #[serde(default)]
    tagged: bool,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    export: Option<String>,
    expect: Reply,
}

/// What the guest must reply; what is left out is empty.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Reply {
    kind: u32,
    flags: u32,
    message: String,
    payload: String,
    stdout: String,
    stderr: String,
    refused: Vec<String>,
}

#[test]
fn every_guest_keeps_its_rules_in_the_sandbox() {
    check_rules(&open());
}

#[test]
fn every_guest_keeps_its_rules_in_instances_that_are_compared_after_each_call() {
    let sandbox = Sandbox::open(SandboxSettings { instances: InstanceMode::Verified, ..settings() }).unwrap();
    for template in sandbox.languages().filter(|template| template.image().is_some()) {
        let report = sandbox.prepare_image(&template.name.parse().unwrap(), &|_| {}).unwrap();
        assert!(matches!(report.recycling, Recycling::Possible { .. }), "{report:?}");
    }
    check_rules(&sandbox);
    let used = sandbox.instances();
    assert!(used.fallback.is_some() || used.restored > used.made, "{used:?}");
}

fn check_rules(sandbox: &Sandbox) {
    for folder in folders(sandbox) {
        let cases = cases(&folder);
        // Compiled functions take a moment each to build, so two threads share the cases.
        let half = |cases: &[Case]| cases.iter().filter_map(|case| differs(sandbox, &folder, case)).collect::<Vec<_>>();
        let (first, second) = cases.split_at(cases.len() / 2);
        let broken = thread::scope(|scope| {
            let first = scope.spawn(|| half(first));
            let second = half(second);
            [first.join().unwrap(), second].concat()
        });
        assert!(broken.is_empty(), "{} of {} rules do not hold:\n{}", broken.len(), cases.len(), broken.join("\n"));
    }
}

#[test]
fn a_compiled_form_gives_the_outcome_of_its_source() {
    let prepared = open();
    let from_source = Sandbox::open(SandboxSettings { prepared_bytes: 0, ..settings() }).unwrap();
    for folder in folders(&prepared) {
        for case in cases(&folder) {
            let Some(expected) = answer(&from_source, &folder, &case) else { continue };
            // The first call makes the compiled form, or finds the one of the same source; the second finds it.
            for _ in 0..2 {
                let outcome = answer(&prepared, &folder, &case).unwrap();
                let parts = |outcome: &CallOutcome| {
                    (outcome.ending.clone(), outcome.stdout.clone(), outcome.stderr.clone(), outcome.usage.output_bytes)
                };
                assert_eq!(parts(&outcome), parts(&expected), "{}", case.rule);
            }
        }
    }
    assert!(prepared.prepared_functions().hits > 0);
    assert_eq!(from_source.prepared_functions().functions, 0);
}

#[test]
fn the_functions_that_models_write_are_many_and_different() {
    let languages = fs::read_dir(templates()).unwrap().map(|entry| entry.unwrap().path());
    let with_functions: Vec<_> = languages.filter(|folder| folder.join("functions.jsonl").is_file()).collect();
    assert!(with_functions.len() >= 2, "{with_functions:?}");
    for folder in with_functions {
        let cases = read_cases(&folder, "functions.jsonl");
        // The same function may be called in several ways: it is one function.
        let sources: HashSet<_> = cases.iter().map(|case| &case.source).collect();
        let names: HashSet<_> = cases.iter().map(|case| &case.rule).collect();
        let called: HashSet<_> = cases.iter().map(|case| (&case.source, &case.arguments)).collect();
        eprintln!("{}: {} functions in {} calls", folder.display(), sources.len(), cases.len());
        assert!(sources.len() >= FEWEST_FUNCTIONS, "{}: {} functions", folder.display(), sources.len());
        assert_eq!(names.len(), sources.len(), "{}: a name stands for one function", folder.display());
        assert_eq!(called.len(), cases.len(), "{}: a call is there twice", folder.display());
        for case in cases {
            // A function that is written to work: it returns, or raises an error that it says.
            assert!(matches!(case.expect.kind, 0 | 1), "{}", case.rule);
        }
    }
}

#[test]
fn every_example_defines_the_function_that_it_is_named_after() {
    let sandbox = open();
    for folder in folders(&sandbox) {
        let examples: Vec<_> =
            fs::read_dir(folder.join("examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!examples.is_empty(), "{} has no examples", folder.display());
        for path in examples {
            let entry = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let source = source(&folder, &fs::read_to_string(&path).unwrap());
            match block_on(sandbox.describe(source, entry, limits())).unwrap() {
                DescribeOutcome::Described(function) => assert!(!function.parameters.is_empty(), "{}", path.display()),
                DescribeOutcome::Failed(outcome) => panic!("{}: {outcome:?}", path.display()),
            }
        }
    }
}

/// Says how a case differs from what it expects, if it does.
fn differs(sandbox: &Sandbox, folder: &Path, case: &Case) -> Option<String> {
    let outcome = answer(sandbox, folder, case)?;
    let is_as_expected = outcome.status() == status(&case.expect)
        && outcome.stdout.text == case.expect.stdout
        && outcome.stderr.text == case.expect.stderr
        && says_what_it_should(&outcome, &case.expect);
    (!is_as_expected).then(|| format!("{}: {outcome:?}", case.rule))
}

/// Runs a case as users run it; nothing if they cannot.
fn answer(sandbox: &Sandbox, folder: &Path, case: &Case) -> Option<CallOutcome> {
    let entry = match case.export.as_deref() {
        None => Entry::Function(ENTRY.into()),
        Some("gs_run") => Entry::Script,
        // The shape of a description is checked by the sandbox's own suite.
        Some(_) => return None,
    };
    let arguments = JsonText::parse(case.arguments.as_deref().unwrap_or("[]")).unwrap();
    let outcome = sandbox.invoke(Invocation {
        encoding: if case.tagged { Encoding::Tagged } else { Encoding::Strict },
        seed: case.seed,
        ..Invocation::new(source(folder, &case.source), entry, arguments, limits())
    });
    Some(block_on(outcome).unwrap())
}

/// Returns the class that a reply must become when no limit was hit.
fn status(reply: &Reply) -> CallStatus {
    match reply.kind {
        0 => CallStatus::Ok,
        // The host knows of both: it refused the growth, and it was told of the capability.
        1 if reply.flags & 1 != 0 => CallStatus::Memory,
        1 if reply.flags & 2 != 0 && !reply.refused.is_empty() => CallStatus::Denied,
        1 | 7 => CallStatus::Error,
        2..=5 => CallStatus::Invalid,
        6 => CallStatus::OutputLimit,
        kind => panic!("`{kind}` is no kind of reply"),
    }
}

fn says_what_it_should(outcome: &CallOutcome, reply: &Reply) -> bool {
    match outcome.failure() {
        None => outcome.value().is_some_and(|value| value.get() == reply.payload),
        // The sentence about a limit is the host's own.
        Some(_) if matches!(outcome.status(), CallStatus::OutputLimit | CallStatus::Memory) => true,
        Some(failure) => {
            let trace = failure.trace.as_deref().unwrap_or_default();
            failure.message.ends_with(&reply.message) && trace == reply.payload
        }
    }
}

fn source(folder: &Path, text: &str) -> SourceText {
    let language = folder.file_name().unwrap().to_str().unwrap().parse().unwrap();
    SourceText { language, text: text.into(), packages: Vec::new() }
}

fn limits() -> Limits {
    Limits { memory_bytes: 128 << 20, wall: Duration::from_secs(60), ..Limits::DEFAULT }
}

fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-templates")
}

/// Reads all cases of a language.
fn cases(folder: &Path) -> Vec<Case> {
    let files = FILES.iter().filter(|file| folder.join(file).is_file());
    files.flat_map(|file| read_cases(folder, file)).collect()
}

fn read_cases(folder: &Path, file: &str) -> Vec<Case> {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{file}: {error}: {line}")))
        .collect()
}

fn folders(sandbox: &Sandbox) -> Vec<PathBuf> {
    let root = templates();
    // A language whose sources are modules has no guest to hold to anything.
    let can_run = |language: &&'static GuestTemplate| match missing(sandbox, language) {
        _ if language.image().is_none() => false,
        None => true,
        Some(reason) => {
            eprintln!("skipped: the rules of `{}`, which cannot run here: {reason}", language.name);
            false
        }
    };
    sandbox.languages().filter(can_run).map(|language| root.join(language.name)).collect()
}

fn open() -> Sandbox {
    Sandbox::open(settings()).unwrap()
}

fn settings() -> SandboxSettings {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    compiling(env!("CARGO_BIN_EXE_helper"), SandboxSettings::new(cache))
}
