//! The guest contract from the host's side: what each reply, trap and limit becomes, whatever the guest claims.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

mod common;

use std::time::{Duration, Instant};

use common::{LIMITS, call, invocation, reply, run, sandbox, source};
use futures::FutureExt;
use futures::executor::block_on;
use greensand_types::{
    CallOutcome, CallStatus, ClockGrant, DescribeOutcome, EntropyGrant, Entry, FunctionRuntime, Grants, JsonText,
    Limits, ParameterKind,
};

/// Checks the class of an outcome and a part of its message.
#[track_caller]
fn check(outcome: &CallOutcome, status: CallStatus, message: &str) {
    assert_eq!(outcome.status(), status, "{outcome:?}");
    let found = outcome.failure().map_or("", |failure| &failure.message);
    assert!(found.contains(message), "{found:?} lacks {message:?}");
    assert!(!found.contains("wasm") && !found.contains("0x"), "{found:?}");
}

/// The text of a returned value.
#[track_caller]
fn value(outcome: &CallOutcome) -> &str {
    outcome.value().unwrap_or_else(|| panic!("{outcome:?}")).get()
}

#[test]
fn arguments_reach_the_guest_and_come_back() {
    for arguments in ["[]", r#"{"a":[1,{"b":"\u20ac"}]}"#, "[123456789012345678901234567890,1e400]"] {
        assert_eq!(value(&run(invocation("a", arguments))), arguments);
    }
}

#[test]
fn each_kind_of_reply_has_its_class() {
    use CallStatus::{Error, Invalid, Ok, OutputLimit};
    for (kind, status) in [
        (0, Ok),
        (1, Error),
        (2, Invalid),
        (3, Invalid),
        (4, Invalid),
        (5, Invalid),
        (6, OutputLimit),
        (7, Error),
        (8, Error),
        (127, Error),
    ] {
        let outcome = call(&reply('r', kind, 0, "", "1"));
        assert_eq!(outcome.status(), status, "kind {kind}: {outcome:?}");
    }
}

#[test]
fn message_and_trace_are_kept() {
    let outcome = call(&reply('r', 1, 0, "ValueError: x", "line 1\nline 2"));
    check(&outcome, CallStatus::Error, "ValueError: x");
    assert_eq!(outcome.failure().unwrap().trace.as_deref(), Some("line 1\nline 2"));
}

#[test]
fn control_characters_of_a_message_are_escaped() {
    let outcome = call(&reply('r', 1, 0, "a\x1b[2Jb", "c\x1b[2Jd\u{202e}"));
    assert!(!format!("{:?}", outcome).contains("\u{1b}"));
    let failure = outcome.failure().unwrap();
    assert_eq!(failure.message, "a\\u{1b}[2Jb");
    assert_eq!(failure.trace.as_deref(), Some("c\\u{1b}[2Jd\\u{202e}"));
}

#[test]
fn long_messages_and_traces_are_cut_in_the_middle() {
    let trace = format!("first {} last", "x".repeat(100_000));
    let outcome = call(&reply('r', 1, 0, "m", &trace));
    let trace = outcome.failure().unwrap().trace.clone().unwrap();
    assert!(trace.len() <= 16 << 10 && trace.starts_with("first") && trace.ends_with("last"));
}

#[test]
fn replies_that_lie_about_their_place_are_errors() {
    for letter in ["x", "y", "z", "r", "rabc"] {
        check(&call(letter), CallStatus::Error, "reply is malformed");
    }
    let mut longer_message = reply('r', 1, 0, "abc", "").replace('\u{3}', "\u{4}");
    check(&call(&longer_message), CallStatus::Error, "reply is malformed");
    longer_message.push('d');
    check(&call(&longer_message), CallStatus::Error, "abcd");
}

#[test]
fn a_result_that_is_not_json_is_invalid() {
    for payload in ["", "NaN", "[1,]", "1 2", "{'a': 1}"] {
        check(&call(&reply('r', 0, 0, "", payload)), CallStatus::Invalid, "not well-formed JSON");
    }
}

#[test]
fn a_result_above_its_limit_is_an_output_limit() {
    let result = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    check(&call(&reply('r', 0, 0, "", &result(1001))), CallStatus::OutputLimit, "larger than 1000 bytes");
    assert_eq!(value(&call(&reply('r', 0, 0, "", &result(1000)))).len(), 1000);
}

#[test]
fn claims_of_memory_and_refusal_count_only_beside_the_flags_of_the_host() {
    let claims = 3;
    check(&call(&reply('r', 1, claims, "MemoryError", "")), CallStatus::Error, "MemoryError");
    check(&call(&reply('m', 1, 0, "ValueError", "")), CallStatus::Error, "ValueError");
    check(&call(&reply('D', 1, 0, "ValueError", "")), CallStatus::Error, "ValueError");
    let memory = call(&reply('m', 1, claims, "MemoryError", "trace"));
    check(&memory, CallStatus::Memory, "needed more than its 4 MiB of memory");
    assert_eq!(memory.failure().unwrap().trace.as_deref(), Some("trace"));
    let denied = call(&reply('D', 1, claims, "PermissionError", ""));
    check(&denied, CallStatus::Denied, "`network` is not granted to functions: PermissionError");
}

#[test]
fn memory_is_counted_and_refused() {
    let outcome = call(&reply('m', 0, 0, "", "1"));
    assert_eq!(value(&outcome), "1", "a guest that lives on after a refused growth is fine");
    let peak = outcome.usage.peak_memory_bytes;
    assert!(peak <= LIMITS.memory_bytes && peak > LIMITS.memory_bytes - (2 << 20), "{peak}");
    check(&call("M"), CallStatus::Memory, "4 MiB");
}

#[test]
fn a_limit_below_what_the_guest_needs_to_start_is_a_memory_limit() {
    let mut below = invocation("a", "[]");
    below.limits.memory_bytes = 65_536;
    check(&run(below), CallStatus::Memory, "65536 bytes");
}

#[test]
fn a_source_without_room_is_a_memory_limit() {
    check(&call(&format!("r{}", " ".repeat(8 << 20))), CallStatus::Memory, "4 MiB");
}

#[test]
fn loops_end_with_the_wall_clock() {
    let started = Instant::now();
    let outcome = call("l");
    check(&outcome, CallStatus::Timeout, "used its 500 ms of wall clock");
    assert!(outcome.usage.wall >= LIMITS.wall);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn work_of_the_host_ends_with_the_wall_clock() {
    let mut fill = invocation("N", "[]");
    fill.limits = Limits { memory_bytes: 1 << 30, wall: Duration::from_millis(100), ..LIMITS };
    let outcome = run(fill);
    check(&outcome, CallStatus::Timeout, "100 ms");
    assert!(outcome.usage.wall < Duration::from_secs(5), "{:?}", outcome.usage.wall);
}

#[test]
fn sleeping_counts_at_once_and_takes_no_time() {
    let started = Instant::now();
    let mut sleeper = invocation("s", "[]");
    sleeper.limits.wall = Duration::from_secs(600);
    check(&run(sleeper), CallStatus::Timeout, "600000 ms");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn the_virtual_clock_moves_by_what_is_slept() {
    let mut sleeper = invocation("S", "[]");
    sleeper.limits.wall = Duration::from_secs(60);
    let time = i64::from_str_radix(value(&run(sleeper)).trim_matches('"'), 16).unwrap();
    assert_eq!(time, 1_735_689_601_000_000_000);
}

#[test]
fn a_granted_clock_is_real() {
    let mut sleeper = invocation("S", "[]");
    sleeper.grants = Grants { clock: ClockGrant::Real, ..Grants::default() };
    sleeper.limits.wall = Duration::from_secs(60);
    let started = Instant::now();
    let outcome = run(sleeper);
    assert!(started.elapsed() >= Duration::from_secs(1));
    let time = i64::from_str_radix(value(&outcome).trim_matches('"'), 16).unwrap();
    assert_ne!(time, 1_735_689_601_000_000_000);
}

#[test]
fn the_seed_decides_the_randomness() {
    let draw = |seed, entropy| {
        let mut call = invocation("n", "[]");
        call.seed = seed;
        call.grants.entropy = entropy;
        value(&run(call)).to_owned()
    };
    assert_eq!(draw(1, EntropyGrant::Seeded), draw(1, EntropyGrant::Seeded));
    assert_ne!(draw(1, EntropyGrant::Seeded), draw(2, EntropyGrant::Seeded));
    assert_ne!(draw(1, EntropyGrant::Real), draw(1, EntropyGrant::Real));
}

#[test]
fn output_is_kept_apart_and_whole() {
    let outcome = run(invocation("ehello \u{20ac}", "[1]"));
    assert_eq!(value(&outcome), "[1]");
    for kept in [&outcome.stdout, &outcome.stderr] {
        assert_eq!((kept.text.as_str(), kept.is_truncated), ("hello \u{20ac}", false));
    }
    assert_eq!(outcome.usage.output_bytes, 3 + 9 + 9);
}

#[test]
fn a_flood_of_output_ends_the_call_and_keeps_what_came_before() {
    let outcome = call("wabc\u{20ac}");
    check(&outcome, CallStatus::OutputLimit, "more than 100 bytes to standard output");
    assert_eq!(outcome.stdout.text, format!("{}abc", "abc\u{20ac}".repeat(16)));
    assert!(outcome.stdout.is_truncated && !outcome.stderr.is_truncated);
    let outcome = call("Wabcd");
    check(&outcome, CallStatus::OutputLimit, "more than 100 bytes to standard error");
    assert_eq!(outcome.stderr.text, "abcd".repeat(25));
}

#[test]
fn an_import_that_is_not_offered_is_denied() {
    check(&call("d"), CallStatus::Denied, "`env.open`, which is not granted");
}

#[test]
fn traps_are_errors_in_plain_words() {
    for (letter, message) in [
        ("k", "used up its stack"),
        ("u", "ended its instance"),
        ("v", "impossible integer operation"),
        ("i", "called something that is no function"),
        ("o", "a range outside of its memory to `write`"),
    ] {
        check(&call(letter), CallStatus::Error, message);
    }
}

#[test]
fn every_call_has_a_fresh_instance() {
    for _ in 0..20 {
        assert_eq!(value(&call("c")), "\"0000000000000001\"");
    }
}

#[test]
fn an_instance_after_a_failure_is_fresh_too() {
    for letter in ["k", "u", "l", "M", "wx", "d"] {
        assert_ne!(call(letter).status(), CallStatus::Ok);
        assert_eq!(value(&call("c")), "\"0000000000000001\"", "after {letter}");
    }
}

#[test]
fn the_start_of_the_guest_is_in_its_image() {
    assert_eq!(value(&call("C")), "\"0000000000000007\"");
    let time = i64::from_str_radix(value(&call("t")).trim_matches('"'), 16).unwrap();
    assert_eq!(time, 1_735_689_600_000_000_000, "the clock stands still while the image is made");
    assert_ne!(value(&call("q")), "\"0000000000000000\"");
}

#[test]
fn the_library_is_read_by_name() {
    assert_eq!(value(&call("Lone")), "[1]");
    assert_eq!(value(&call("Ltwo.half")), "[2.5]");
    for name in ["", "three", &"x".repeat(5000)] {
        assert_eq!(value(&call(&format!("L{name}"))), "\"ffffffffffffffff\"");
    }
}

#[test]
fn arguments_are_checked_before_there_is_an_instance() {
    for arguments in ["1", "null", "\"text\"", "true"] {
        check(&run(invocation("a", arguments)), CallStatus::Invalid, "JSON object (by name) or array (by position)");
    }
    let long = format!("[\"{}\"]", "x".repeat(1000));
    check(&run(invocation("a", &long)), CallStatus::Invalid, "the arguments have 1004 bytes, the limit is 1000");
    let mut script = invocation("a", "[1]");
    script.entry = Entry::Script;
    check(&run(script), CallStatus::Invalid, "a script takes no arguments");
}

#[test]
fn unknown_languages_and_packages_are_invalid() {
    let mut unknown = invocation("a", "[]");
    unknown.source.language = "latin".parse().unwrap();
    check(&run(unknown), CallStatus::Invalid, "no guest language is called `latin`; known: `letters`");
    let mut package = invocation("a", "[]");
    package.source.packages = vec!["numpy".into()];
    check(&run(package), CallStatus::Invalid, "package `numpy` is not available");
}

#[test]
fn a_source_that_compiles_answers_null() {
    let outcome = block_on(sandbox().compile(source(&reply('r', 0, 0, "", "anything at all")), LIMITS)).unwrap();
    assert_eq!(value(&outcome), "null");
    let outcome =
        block_on(sandbox().compile(source(&format!("P{}", reply('r', 2, 0, "line 1: no", ""))), LIMITS)).unwrap();
    check(&outcome, CallStatus::Invalid, "line 1: no");
}

#[test]
fn an_entry_is_described() {
    let describe = |text: &str| block_on(sandbox().describe(source(text), "f".into(), LIMITS)).unwrap();
    let parameters = r#"{"parameters": [{"name": "a", "kind": "rest", "required": false}], "doc": "d"}"#;
    let DescribeOutcome::Described(description) = describe(&reply('r', 0, 0, "", parameters)) else { panic!() };
    assert_eq!(description.parameters[0].kind, ParameterKind::Rest);
    assert_eq!(description.documentation, "d");
    for (text, status) in [(reply('r', 3, 0, "no `f`", ""), CallStatus::Invalid), ("l".into(), CallStatus::Timeout)] {
        let DescribeOutcome::Failed(outcome) = describe(&text) else { panic!() };
        assert_eq!(outcome.status(), status);
    }
}

#[test]
fn a_dropped_future_stops_its_guest() {
    let sandbox = common::open(&std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("letters"), 1);
    let _ = block_on(sandbox.invoke(invocation("a", "[]"))).unwrap();
    let mut endless = invocation("l", "[]");
    endless.limits.wall = Duration::from_secs(3600);
    let mut future = sandbox.invoke(endless);
    assert!(future.as_mut().now_or_never().is_none());
    drop(future);
    // The only worker is free again, long before the hour is over.
    let arguments = JsonText::parse("[2]").unwrap();
    let after = block_on(sandbox.invoke(common::invocation("a", arguments.get()))).unwrap();
    assert_eq!(value(&after), "[2]");
}

#[test]
fn many_calls_at_once_keep_apart() {
    let calls = (0..200).map(|index| sandbox().invoke(invocation("a", &format!("[{index}]"))));
    let outcomes = block_on(futures::future::join_all(calls));
    for (index, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(value(&outcome.unwrap()), format!("[{index}]"));
    }
}
