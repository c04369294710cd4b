//! Compiled functions: made once, used for every call that may find them, and never told apart from the source.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

mod common;

use std::path::Path;

use common::{LIMITS, invocation, reply, source, template};
use futures::FutureExt;
use futures::executor::block_on;
use greensand_sandbox::{PreparedUse, Sandbox, SandboxSettings};
use greensand_types::{CallOutcome, CallStatus, FunctionRuntime, Invocation};

fn open(prepared_bytes: u64) -> Sandbox {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("letters");
    let settings = SandboxSettings::new(cache);
    Sandbox::open(SandboxSettings { workers: 1, prepared_bytes, languages: vec![template()], ..settings }).unwrap()
}

fn run(sandbox: &Sandbox, invocation: Invocation) -> CallOutcome {
    block_on(sandbox.invoke(invocation)).unwrap()
}

#[track_caller]
fn check_use(sandbox: &Sandbox, functions: u64, hits: u64, misses: u64) {
    let PreparedUse { functions: kept, hits: had, misses: missed, .. } = sandbox.prepared_functions();
    assert_eq!((kept, had, missed), (functions, hits, misses), "functions, hits, misses");
}

/// A source whose compiled form is another source.
fn compiled_to(form: &str) -> String {
    format!("P{}", reply('r', 0, 0, "", form))
}

#[test]
fn a_function_is_compiled_once_and_runs_from_its_compiled_form() {
    let sandbox = open(1 << 20);
    for arguments in ["[1]", "[2]", "[3]"] {
        let outcome = run(&sandbox, invocation(&compiled_to("a"), arguments));
        assert_eq!(outcome.value().unwrap().get(), arguments);
    }
    check_use(&sandbox, 1, 2, 1);
    assert_eq!(run(&sandbox, invocation("a", "[4]")).value().unwrap().get(), "[4]");
    check_use(&sandbox, 2, 2, 2);
}

#[test]
fn without_room_every_call_runs_from_source() {
    let sandbox = open(0);
    let outcome = run(&sandbox, invocation(&compiled_to("a"), "[1]"));
    assert_eq!(outcome.value().unwrap().get(), "\"000000000000000f\"");
    check_use(&sandbox, 0, 0, 0);
}

#[test]
fn compiling_and_running_have_a_clean_guest_each() {
    let sandbox = open(1 << 20);
    // Both parts count the calls of their guest.
    for _ in 0..3 {
        assert_eq!(run(&sandbox, invocation("c", "[]")).value().unwrap().get(), "\"0000000000000001\"");
    }
    let counted = run(&sandbox, invocation("Pc", "[]"));
    // The compiled form is the hex text of the first count, whose first character is no letter.
    assert_eq!(counted.failure().unwrap().message, "the function ended its instance");
}

#[test]
fn what_the_compiler_says_of_a_source_is_kept() {
    let sandbox = open(1 << 20);
    for (kind, text) in [(2, "line 3, column 1: no"), (3, "there is no `f`")] {
        let broken = format!("P{}", reply('r', kind, 0, text, "trace"));
        let outcomes = [0; 3].map(|_| run(&sandbox, invocation(&broken, "[]")));
        for outcome in outcomes {
            assert_eq!(outcome.status(), CallStatus::Invalid);
            let failure = outcome.failure().unwrap();
            assert_eq!((failure.message.as_str(), failure.trace.as_deref()), (text, Some("trace")));
        }
    }
    check_use(&sandbox, 2, 4, 2);
}

#[test]
fn what_the_compiler_writes_is_written_in_every_call_and_counts() {
    let sandbox = open(1 << 20);
    let whole = [0; 3].map(|_| run(&sandbox, invocation("Pewarning", "[]")));
    for outcome in &whole {
        assert_eq!((outcome.stdout.text.as_str(), outcome.stderr.text.as_str()), ("warning", "warning"));
    }
    check_use(&sandbox, 1, 2, 1);
    let mut small = invocation("Pewarning", "[]");
    small.limits.max_stderr_bytes = 4;
    let outcome = run(&sandbox, small);
    assert_eq!((outcome.status(), outcome.stderr.text.as_str()), (CallStatus::OutputLimit, "warn"));
    assert_eq!(outcome.stdout.text, "warning");
}

#[test]
fn what_limits_and_traps_had_a_hand_in_is_not_kept() {
    let sandbox = open(1 << 20);
    for (text, status) in [
        ("Pl", CallStatus::Timeout),
        ("Pwx", CallStatus::OutputLimit),
        ("Pd", CallStatus::Denied),
        ("Ps", CallStatus::Timeout),
        ("Po", CallStatus::Error),
    ] {
        assert_eq!(run(&sandbox, invocation(text, "[]")).status(), status, "{text}");
    }
    check_use(&sandbox, 0, 0, 5);
    // These fail without an end to the call, which then goes on from its source.
    let grown = format!("Pm{}", &reply('m', 0, 0, "", "a")[1..]);
    let refused = format!("PD{}", &reply('D', 0, 0, "", "a")[1..]);
    for text in ["PM", "Pk", "Pu", "Px", &grown, &refused] {
        let outcome = run(&sandbox, invocation(text, "[]"));
        assert_eq!(outcome.value().map(|value| value.get()), Some("\"000000000000000f\""), "{text}: {outcome:?}");
    }
    check_use(&sandbox, 0, 0, 11);
}

#[test]
fn an_abandoned_preparation_is_not_kept() {
    let sandbox = open(1 << 20);
    let mut endless = invocation("Pl", "[]");
    endless.limits.wall = std::time::Duration::from_secs(3600);
    let mut future = sandbox.invoke(endless);
    assert!(future.as_mut().now_or_never().is_none());
    drop(future);
    assert_eq!(run(&sandbox, invocation("a", "[1]")).status(), CallStatus::Ok);
    let PreparedUse { functions, .. } = sandbox.prepared_functions();
    assert_eq!(functions, 1, "of the second call alone");
}

#[test]
fn neither_seed_nor_grants_reach_the_compiler() {
    let drawn = |seed| {
        let sandbox = open(1 << 20);
        let mut random = invocation("Pn", "[]");
        random.seed = seed;
        let outcome = run(&sandbox, random);
        (outcome.status(), sandbox.prepared_functions().bytes)
    };
    assert_eq!(drawn(1), drawn(2));
    let sandbox = open(1 << 20);
    let mut first = invocation(&compiled_to("n"), "[]");
    first.seed = 1;
    let second = Invocation { seed: 2, ..first.clone() };
    assert_ne!(run(&sandbox, first).value(), run(&sandbox, second).value(), "the function itself gets the seed");
    check_use(&sandbox, 1, 1, 1);
}

#[test]
fn a_call_with_less_memory_than_compiling_took_compiles_again() {
    let sandbox = open(1 << 20);
    assert_eq!(run(&sandbox, invocation("a", "[1]")).status(), CallStatus::Ok);
    let mut small = invocation("a", "[1]");
    small.limits.memory_bytes = 65_536;
    assert_eq!(run(&sandbox, small).status(), CallStatus::Memory);
    check_use(&sandbox, 1, 0, 2);
}

#[test]
fn a_look_at_a_function_prepares_it() {
    let sandbox = open(1 << 20);
    let _ = block_on(sandbox.describe(source("a"), "f".into(), LIMITS)).unwrap();
    check_use(&sandbox, 1, 0, 1);
    assert_eq!(run(&sandbox, invocation("a", "[1]")).status(), CallStatus::Ok);
    check_use(&sandbox, 1, 1, 1);
}
