//! What is granted to a function, seen from each language: host functions, learned functions of every other language, input
//! files.
//!
//! `crates/sandbox/tests/granted.rs` checks what the host makes of a call; here the languages make them.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test ends where something unexpected is found")]

use std::path::Path;
use std::time::Duration;

use futures::executor::block_on;
use greensand_sandbox::{Sandbox, SandboxSettings};
use greensand_tests::compilers::{compiling, missing};
use greensand_types::{
    CallOutcome, CallStatus, Entry, FunctionRuntime, GrantedFunction, Grants, HostFunctionError, HostGrant, Invocation,
    JsonText, LearnedGrant, Limits, SourceText,
};

/// How a language does what all of them can do. Each entry is `f`.
struct Row {
    language: &'static str,
    /// Takes `x`, and returns what the granted function `other` makes of it and 1, with a field `by` of its own.
    calls: &'static str,
    /// Takes `x` and `y`, and returns their sum and their list: as a learned function.
    called: &'static str,
    /// Calls `other`, and returns the message of its failure.
    catches: &'static str,
    /// Calls `other`, and lets its failure be the own one.
    passes_on: &'static str,
    /// Takes the name of a file, and returns its text, the names of all files and whether `absent.txt` is there.
    reads: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        language: "python",
        calls: "import greensand\ndef f(x):\n    return {'by': 'python', 'got': greensand.call('other', x, 1)}\n",
        called: "def f(x, y):\n    return {'sum': x + y, 'list': [x, y]}\n",
        catches: "import greensand\ndef f():\n    try:\n        greensand.call('other')\n    except greensand.CallError as error:\n        return str(error)\n",
        passes_on: "import greensand\ndef f():\n    return greensand.call('other')\n",
        reads: "import os\ndef f(name):\n    return [open(name).read(), sorted(os.listdir('/')), os.path.exists('absent.txt')]\n",
    },
    Row {
        language: "javascript",
        calls: "function f(x) { return { by: 'javascript', got: greensand.call('other', x, 1) } }",
        called: "function f(x, y) { return { sum: x + y, list: [x, y] } }",
        catches: "function f() { try { greensand.call('other') } catch (error) { return error.message } }",
        passes_on: "function f() { return greensand.call('other') }",
        reads: "function f(name) { return [greensand.readText(name), greensand.files(), greensand.files().includes('absent.txt')] }",
    },
    Row {
        language: "typescript",
        calls: "declare const greensand: any; export function f(x: number) { return { by: 'typescript', got: greensand.call('other', x, 1) as object } }",
        called: "export const f = (x: number, y: number): { sum: number; list: number[] } => ({ sum: x + y, list: [x, y] });",
        catches: "declare const greensand: any; export function f() { try { greensand.call('other') } catch (error) { return (error as Error).message } }",
        passes_on: "declare const greensand: any; export function f() { return greensand.call('other') }",
        reads: "declare const greensand: any; export function f(name: string) { return [new TextDecoder().decode(greensand.readFile(name)), greensand.files(), false] }",
    },
    Row {
        language: "rust",
        calls: "use std::collections::BTreeMap;\nuse serde_json::{Value, json};\n\
                pub fn f(x: i64) -> Result<Value, greensand::CallError> {\n\
                    let got: BTreeMap<String, Value> = greensand::call(\"other\", (x, 1))?;\n\
                    Ok(json!({\"by\": \"rust\", \"got\": got}))\n}\n",
        called: "use serde_json::{Value, json};\npub fn f(x: i64, y: i64) -> Value { json!({\"sum\": x + y, \"list\": [x, y]}) }\n",
        catches: "pub fn f() -> Option<String> { greensand::call::<i32>(\"other\", ()).err().map(|error| error.to_string()) }\n",
        passes_on: "pub fn f() -> Result<i32, greensand::CallError> { greensand::call(\"other\", ()) }\n",
        reads: "pub fn f(name: &str) -> (String, Vec<String>, bool) {\n\
                    let text = greensand::read_file(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());\n\
                    (text.unwrap_or_default(), greensand::file_names(), greensand::read_file(\"absent.txt\").is_some())\n}\n",
    },
];

#[test]
fn a_function_of_each_language_calls_one_of_each_other() {
    let sandbox = open();
    for caller in runnable(&sandbox) {
        for called in runnable(&sandbox) {
            let grants = grants(learned(&sandbox, called.language, called.called));
            let outcome = call(&sandbox, caller.language, caller.calls, "[20]", grants);
            let expected = format!(r#"{{"by":"{}","got":{{"list":[20,1],"sum":21}}}}"#, caller.language);
            assert_eq!(sorted(&outcome), expected, "{} calls {}", caller.language, called.language);
        }
    }
}

#[test]
fn a_function_of_each_language_calls_one_of_the_host() {
    let sandbox = open();
    for caller in runnable(&sandbox) {
        let host = HostGrant::new(|arguments: JsonText| async move {
            assert_eq!(arguments.get(), "[20,1]");
            Ok(JsonText::parse(r#"{"sum":21,"list":[20,1]}"#).unwrap())
        });
        let outcome = call(&sandbox, caller.language, caller.calls, "[20]", grants(GrantedFunction::Host(host)));
        let expected = format!(r#"{{"by":"{}","got":{{"list":[20,1],"sum":21}}}}"#, caller.language);
        assert_eq!(sorted(&outcome), expected, "{}", caller.language);
    }
}

#[test]
fn a_failure_of_what_is_called_is_told_in_every_language() {
    let sandbox = open();
    let failing = || {
        let failed = || Err(HostFunctionError::Failed("there is no such city: Ur".into()));
        grants(GrantedFunction::Host(HostGrant::new(move |_| async move { failed() })))
    };
    for row in runnable(&sandbox) {
        let caught = call(&sandbox, row.language, row.catches, "[]", failing());
        let text = caught.value().unwrap_or_else(|| panic!("{}: {caught:?}", row.language)).get().to_owned();
        assert!(text.contains("there is no such city: Ur"), "{}: {text}", row.language);
        let passed = call(&sandbox, row.language, row.passes_on, "[]", failing());
        assert_eq!(passed.status(), CallStatus::Error, "{}: {passed:?}", row.language);
        assert!(passed.failure().unwrap().message.contains("there is no such city: Ur"), "{passed:?}");
    }
}

#[test]
fn what_is_not_granted_is_denied_in_every_language() {
    let sandbox = open();
    for row in runnable(&sandbox) {
        let outcome = call(&sandbox, row.language, row.passes_on, "[]", Grants::default());
        assert_eq!(outcome.status(), CallStatus::Denied, "{}: {outcome:?}", row.language);
        assert!(outcome.failure().unwrap().message.contains("`other`"), "{outcome:?}");
    }
}

#[test]
fn granted_files_are_read_in_every_language() {
    let sandbox = open();
    let text = "grün\n".repeat(50_000);
    for row in runnable(&sandbox) {
        let mut grants = Grants::default();
        grants.files.insert("notes.txt".parse().unwrap(), text.as_bytes()).unwrap();
        grants.files.insert("empty".parse().unwrap(), *b"").unwrap();
        let outcome = call(&sandbox, row.language, row.reads, "[\"notes.txt\"]", grants);
        let value = outcome.value().unwrap_or_else(|| panic!("{}: {outcome:?}", row.language));
        let found: (String, Vec<String>, bool) = serde_json::from_str(value.get()).unwrap();
        assert_eq!(found, (text.clone(), vec!["empty".to_owned(), "notes.txt".to_owned()], false), "{}", row.language);
    }
}

fn grants(other: GrantedFunction) -> Grants {
    Grants { functions: [("other".parse().unwrap(), other)].into_iter().collect(), ..Grants::default() }
}

fn learned(sandbox: &Sandbox, language: &str, text: &str) -> GrantedFunction {
    let limits = limits(sandbox, language);
    GrantedFunction::Learned(LearnedGrant { source: source(language, text), entry: "f".into(), limits })
}

fn call(sandbox: &Sandbox, language: &str, text: &str, arguments: &str, grants: Grants) -> CallOutcome {
    let arguments = JsonText::parse(arguments).unwrap();
    // The instances of a call keep to one limit of memory together.
    let limits = Limits { memory_bytes: 256 << 20, ..limits(sandbox, language) };
    let invocation = Invocation::new(source(language, text), Entry::Function("f".into()), arguments, limits);
    block_on(sandbox.invoke(Invocation { grants, ..invocation })).unwrap()
}

fn limits(sandbox: &Sandbox, language: &str) -> Limits {
    Limits { wall: Duration::from_secs(30), ..sandbox.default_limits(&language.parse().unwrap()).unwrap() }
}

fn source(language: &str, text: &str) -> SourceText {
    SourceText { language: language.parse().unwrap(), text: text.into(), packages: Vec::new() }
}

/// Returns the value with the keys of objects in order.
fn sorted(outcome: &CallOutcome) -> String {
    let value = outcome.value().unwrap_or_else(|| panic!("{outcome:?}"));
    let mut value: serde_json::Value = serde_json::from_str(value.get()).unwrap();
    value.sort_all_objects();
    value.to_string()
}

/// Returns the rows of the languages that can run here, each of which must have one.
fn runnable(sandbox: &Sandbox) -> Vec<&'static Row> {
    let mut rows = Vec::new();
    for template in sandbox.languages().filter(|template| template.image().is_some()) {
        match missing(sandbox, template) {
            None => rows.push(ROWS.iter().find(|row| row.language == template.name).expect("every language has a row")),
            Some(reason) => eprintln!("skipped: `{}` cannot run here: {reason}", template.name),
        }
    }
    rows
}

fn open() -> Sandbox {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    Sandbox::open(compiling(env!("CARGO_BIN_EXE_helper"), SandboxSettings::new(cache))).unwrap()
}
