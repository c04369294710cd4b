//! Components: what the world promises, and what becomes of those that lie, flood, hoard handles or wander.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

mod common;

use std::time::{Duration, Instant};

use common::modules::{LIMITS, call, call_with, check, invoke, sandbox, source};
use futures::executor::block_on;
use greensand_types::{
    CallOutcome, CallStatus, Entry, FunctionRuntime, GrantedFunction, Grants, HostFunctionError, HostGrant, InputFiles,
    Invocation, JsonText, Limits,
};

/// The value of an outcome.
#[track_caller]
fn value(outcome: &CallOutcome) -> &str {
    outcome.value().unwrap_or_else(|| panic!("{outcome:?}")).get()
}

/// A component: what it imports, the core functions made of that, the names by which the core module imports them, and
/// the body of `call`. The body returns the place of a result: 0 or 1 at its first byte, then what it carries.
struct Parts<'a> {
    imports: &'a str,
    lowered: &'a str,
    instance: &'a str,
    core_imports: &'a str,
    core_fields: &'a str,
    code: &'a str,
}

const NOTHING: Parts<'_> =
    Parts { imports: "", lowered: "", instance: "", core_imports: "", core_fields: "", code: "" };

fn component(parts: &Parts<'_>) -> Vec<u8> {
    let Parts { imports, lowered, instance, core_imports, core_fields, code } = parts;
    let text = format!(
        r#"(component
            {imports}
            (core module $libc
              (memory (export "memory") 2)
              (global $next (mut i32) (i32.const 65536))
              (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
                (local $start i32)
                (local.set $start (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $start) (local.get $size)))
                (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
                  (then (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16)))))
                    (then (unreachable)))))
                (local.get $start)))
            (core instance $libc (instantiate $libc))
            (alias core export $libc "memory" (core memory $memory))
            (alias core export $libc "realloc" (core func $realloc))
            {lowered}
            (core module $main
              (import "libc" "memory" (memory 1))
              {core_imports}
              {core_fields}
              (func (export "call") (param $entry i32) (param $entry_length i32) (param $arguments i32) (param $length i32)
                (result i32)
                {code}))
            (core instance $main (instantiate $main (with "libc" (instance $libc)) {instance}))
            (type $kind (enum "raised" "out-of-memory" "refused" "bad-entry" "bad-arguments" "bad-result"))
            (import "greensand:function/types@1.0.0" (instance $types
              (type $kind (enum "raised" "out-of-memory" "refused" "bad-entry" "bad-arguments" "bad-result"))
              (export "failure-kind" (type $kind2 (eq $kind)))
              (type $failure (record (field "kind" $kind2) (field "message" string) (field "trace" string)))
              (export "failure" (type (eq $failure)))))
            (alias export $types "failure" (type $failure0))
            (import "failure" (type $failure (eq $failure0)))
            (type $call (func (param "entry" string) (param "arguments" string) (result (result string (error $failure)))))
            (func $call (type $call)
              (canon lift (core func $main "call") (memory $memory) (realloc $realloc) string-encoding=utf8))
            (export "call" (func $call)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Returns the arguments as the result.
const ECHO: &str = "(i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (local.get $arguments))
    (i32.store (i32.const 24) (local.get $length)) (i32.const 16)";

/// Fails with this kind and the entry as the message.
fn fails(kind: u32) -> String {
    format!(
        "(i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const {kind}))
        (i32.store (i32.const 24) (local.get $entry)) (i32.store (i32.const 28) (local.get $entry_length))
        (i32.store (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (i32.const 0)) (i32.const 16)"
    )
}

fn runs(code: &str) -> Vec<u8> {
    component(&Parts { code, ..NOTHING })
}

#[test]
fn a_component_answers() {
    let outcome = invoke(&runs(ECHO), "f", r#"{"a":["€",1e400]}"#, LIMITS);
    assert_eq!(value(&outcome), r#"{"a":["€",1e400]}"#);
}

#[test]
fn each_kind_of_failure_has_its_class() {
    use CallStatus::{Error, Invalid};
    for (kind, status) in [(0, Error), (1, Error), (2, Error), (3, Invalid), (4, Invalid), (5, Invalid)] {
        check(&invoke(&runs(&fails(kind)), "in words", "[]", LIMITS), status, "in words");
    }
    check(&call(&runs(&fails(6))), CallStatus::Error, "broke its contract");
}

#[test]
fn lies_about_the_place_of_a_result_are_errors() {
    for (result, words) in [
        ("(i32.const -16)", "broke its contract"),
        ("(i32.store (i32.const 16) (i32.const 7)) (i32.const 16)", "broke its contract"),
        ("(i32.const 17)", "broke its contract"),
        (
            "(i32.store (i32.const 20) (i32.const 60000)) (i32.store (i32.const 24) (i32.const -1)) (i32.const 16)",
            "broke its contract",
        ),
        (
            "(i32.store8 (i32.const 99) (i32.const 255)) (i32.store (i32.const 20) (i32.const 99)) (i32.store (i32.const 24) (i32.const 1)) (i32.const 16)",
            "broke its contract",
        ),
        ("(unreachable)", "ended its instance"),
    ] {
        check(&call(&runs(result)), CallStatus::Error, words);
    }
    let no_json = "(i32.store8 (i32.const 99) (i32.const 65)) (i32.store (i32.const 20) (i32.const 99)) (i32.store (i32.const 24) (i32.const 1)) (i32.const 16)";
    check(&call(&runs(no_json)), CallStatus::Invalid, "not well-formed JSON");
}

#[test]
fn loops_end_with_the_clock() {
    let starts = component(&Parts { core_fields: "(func $s (loop $l (br $l))) (start $s)", code: ECHO, ..NOTHING });
    for wasm in [runs("(loop $l (br $l)) (i32.const 0)"), starts] {
        check(&call(&wasm), CallStatus::Timeout, "wall clock");
    }
}

#[test]
fn large_results_are_an_output_limit_and_huge_ones_never_reach_the_host() {
    let result = |bytes: u32| {
        format!(
            "(drop (memory.grow (i32.const {}))) (memory.fill (i32.const 100) (i32.const 49) (i32.const {bytes}))
            (i32.store (i32.const 20) (i32.const 100)) (i32.store (i32.const 24) (i32.const {bytes})) (i32.const 16)",
            bytes / 65536 + 1
        )
    };
    check(&call(&runs(&result(1001))), CallStatus::OutputLimit, "larger than 1000 bytes");
    assert_eq!(value(&call(&runs(&result(1000)))).len(), 1000);
    let limits = Limits { memory_bytes: 200 << 20, wall: Duration::from_secs(20), ..LIMITS };
    check(&call_with(&runs(&result(2 << 20)), limits), CallStatus::OutputLimit, "larger than 1000 bytes");
    let huge = call_with(&runs(&result(100 << 20)), limits);
    check(&huge, CallStatus::Error, "too much data");
}

#[test]
fn memories_of_all_parts_count_together() {
    let wasm = component(&Parts { core_fields: "(memory $own 40)", code: "(unreachable)", ..NOTHING });
    // Two memories in one core module need a proposal that is off.
    assert_eq!(call(&wasm).status(), CallStatus::Invalid);
    let grow = "(loop $l (br_if $l (i32.ne (i32.const -1) (memory.grow (i32.const 1))))) (unreachable)";
    let outcome = call(&runs(grow));
    check(&outcome, CallStatus::Memory, "4 MiB");
    assert!(outcome.usage.peak_memory_bytes <= LIMITS.memory_bytes);
}

#[test]
fn what_a_component_lived_through_is_not_what_ended_it() {
    // It is refused memory, goes on, and then breaks its contract.
    let code = "(drop (memory.grow (i32.const 60000))) (i32.const 17)";
    check(&call(&runs(code)), CallStatus::Error, "broke its contract");
}

/// A component that imports this function of the host and does this.
fn with_host(exported: &str, lowered: &str, signature: &str, code: &str) -> Vec<u8> {
    component(&Parts {
        imports: &format!(
            r#"(import "greensand:function/host@1.0.0" (instance $host
                (type $f (variant (case "failed" string) (case "not-granted" string)))
                (export "call-failure" (type $failed (eq $f)))
                (export "{exported}" {signature})))"#
        ),
        lowered: &format!(
            r#"(core func $asked (canon lower (func $host "{exported}") (memory $memory) (realloc $realloc)))"#
        ),
        instance: r#"(with "host" (instance (export "asked" (func $asked))))"#,
        core_imports: &format!(r#"(import "host" "asked" (func $asked {lowered}))"#),
        core_fields: "",
        code,
    })
}

/// Calls the entry `f` with these arguments and grants.
fn call_granted(wasm: &[u8], entry: &str, arguments: &str, grants: Grants) -> CallOutcome {
    let arguments = JsonText::parse(arguments).unwrap();
    let invocation = Invocation::new(source(wasm), Entry::Function(entry.into()), arguments, LIMITS);
    block_on(sandbox().invoke(Invocation { grants, ..invocation })).unwrap()
}

#[test]
fn a_component_calls_what_it_is_granted_and_is_told_of_the_rest() {
    // The entry is the name of the function; its answer lies at 16, as the result of this component would.
    let calls = with_host(
        "call",
        "(param i32 i32 i32 i32 i32)",
        r#"(func (param "name" string) (param "arguments" string) (result (result string (error $failed))))"#,
        "(call $asked (local.get $entry) (local.get $entry_length) (local.get $arguments) (local.get $length) (i32.const 40))
        ;; A failure is passed on as this component's own: the text of the answer is the message.
        (if (i32.load8_u (i32.const 40)) (then
          (i32.store (i32.const 16) (i32.const 1))
          (i32.store (i32.const 20) (i32.mul (i32.const 2) (i32.load8_u (i32.const 44))))
          (i32.store (i32.const 24) (i32.load (i32.const 48))) (i32.store (i32.const 28) (i32.load (i32.const 52)))
          (i32.store (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (i32.const 0)) (return (i32.const 16))))
        (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.load (i32.const 44)))
        (i32.store (i32.const 24) (i32.load (i32.const 48))) (i32.const 16)",
    );
    let echo = HostGrant::new(|arguments| async { Ok(arguments) });
    let fails = HostGrant::new(|_| async { Err(HostFunctionError::Failed("it rains".into())) });
    let functions = [("echo", echo), ("fails", fails)];
    let functions = functions.map(|(name, grant)| (name.parse().unwrap(), GrantedFunction::Host(grant)));
    let grants = Grants { functions: functions.into_iter().collect(), ..Grants::default() };
    assert_eq!(value(&call_granted(&calls, "echo", r#"{"a":[1,"€"]}"#, grants.clone())), r#"{"a":[1,"€"]}"#);
    check(&call_granted(&calls, "fails", "[]", grants.clone()), CallStatus::Error, "it rains");
    check(&call_granted(&calls, "other", "[]", grants), CallStatus::Denied, "`other` is not granted");
    check(&call_granted(&calls, "echo", "[]", Grants::default()), CallStatus::Denied, "`echo` is not granted");
}

#[test]
fn a_component_reads_what_it_is_granted_and_no_more() {
    // Reads 4 bytes at 2 of the file that the entry names, and returns them.
    let reads = with_host(
        "read-file",
        "(param i32 i32 i64 i32 i32)",
        r#"(func (param "name" string) (param "offset" u64) (param "length" u32) (result (list u8)))"#,
        "(call $asked (local.get $entry) (local.get $entry_length) (i64.const 2) (i32.const 4) (i32.const 40))
        (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.load (i32.const 40)))
        (i32.store (i32.const 24) (i32.load (i32.const 44))) (i32.const 16)",
    );
    let mut files = InputFiles::default();
    files.insert("data/numbers".parse().unwrap(), b"ab12345".as_slice()).unwrap();
    let grants = Grants { files, ..Grants::default() };
    assert_eq!(value(&call_granted(&reads, "data/numbers", "[]", grants.clone())), "1234");
    check(&call_granted(&reads, "data/other", "[]", grants), CallStatus::Invalid, "not well-formed JSON");
    check(&call_granted(&reads, "data/numbers", "[]", Grants::default()), CallStatus::Invalid, "not well-formed JSON");
}

/// The interfaces of output, as far as a flood needs them.
const STREAMS: &str = r#"
    (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
    (alias export $error "error" (type $error))
    (import "wasi:io/streams@0.2.0" (instance $streams
      (export "output-stream" (type $output (sub resource)))
      (alias outer 1 $error (type $e))
      (export "error" (type $e2 (eq $e)))
      (type $stream-error (variant (case "last-operation-failed" (own $e2)) (case "closed")))
      (export "stream-error" (type $stream-error2 (eq $stream-error)))
      (export "[method]output-stream.blocking-write-and-flush"
        (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error2)))))))
    (alias export $streams "output-stream" (type $output))
    (import "wasi:cli/stdout@0.2.0" (instance $stdout
      (alias outer 1 $output (type $o))
      (export "output-stream" (type $o2 (eq $o)))
      (export "get-stdout" (func (result (own $o2))))))"#;

const STREAMS_LOWERED: &str = r#"
    (core func $get (canon lower (func $stdout "get-stdout")))
    (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory)))"#;

const STREAMS_INSTANCE: &str = r#"(with "wasi" (instance (export "get" (func $get)) (export "write" (func $write))))"#;

const STREAMS_CORE: &str = r#"(import "wasi" "get" (func $get (result i32)))
    (import "wasi" "write" (func $write (param i32 i32 i32 i32)))"#;

fn with_streams(code: &str) -> Vec<u8> {
    component(&Parts {
        imports: STREAMS,
        lowered: STREAMS_LOWERED,
        instance: STREAMS_INSTANCE,
        core_imports: STREAMS_CORE,
        core_fields: "",
        code,
    })
}

#[test]
fn output_goes_into_the_call_and_ends_it_above_the_limit() {
    let write = "(memory.fill (i32.const 200) (i32.const 120) (i32.const 100)) (call $write (call $get) (i32.const 200) (i32.const 100) (i32.const 8))";
    let outcome = call(&with_streams(&format!("{write} {ECHO}")));
    assert_eq!((value(&outcome), outcome.stdout.text.as_str()), ("[]", "x".repeat(100).as_str()));
    let outcome = call(&with_streams(&format!("(loop $l {write} (br $l)) (i32.const 0)")));
    check(&outcome, CallStatus::OutputLimit, "standard output");
    assert_eq!(outcome.stdout.text.len() as u64, LIMITS.max_stdout_bytes);
}

#[test]
fn a_hoard_of_handles_ends_the_call_and_not_the_host() {
    let outcome = call(&with_streams("(loop $l (drop (call $get)) (br $l)) (i32.const 0)"));
    check(&outcome, CallStatus::Error, "broke its contract");
}

/// The clock and what waits for it.
const CLOCK: &str = r#"
    (import "wasi:io/poll@0.2.0" (instance $poll
      (export "pollable" (type $pollable (sub resource)))
      (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
      (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
      (alias outer 1 $pollable (type $p))
      (export "pollable" (type $p2 (eq $p)))
      (export "now" (func (result u64)))
      (export "subscribe-duration" (func (param "when" u64) (result (own $p2))))))"#;

const CLOCK_LOWERED: &str = r#"
    (core func $now (canon lower (func $clock "now")))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $poll (canon lower (func $poll "poll") (memory $memory) (realloc $realloc)))"#;

const CLOCK_INSTANCE: &str = r#"(with "wasi" (instance (export "now" (func $now))
    (export "subscribe" (func $subscribe)) (export "block" (func $block)) (export "poll" (func $poll))))"#;

const CLOCK_CORE: &str = r#"(import "wasi" "now" (func $now (result i64)))
    (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "wasi" "block" (func $block (param i32)))
    (import "wasi" "poll" (func $poll (param i32 i32 i32)))"#;

fn with_clock(code: &str) -> Vec<u8> {
    component(&Parts {
        imports: CLOCK,
        lowered: CLOCK_LOWERED,
        instance: CLOCK_INSTANCE,
        core_imports: CLOCK_CORE,
        core_fields: "(global $begun (mut i64) (i64.const 0))",
        code,
    })
}

#[test]
fn a_sleep_takes_no_time_and_counts() {
    let minute = "(call $block (call $subscribe (i64.const 60000000000)))";
    let slept = format!(
        "(global.set $begun (call $now)) {minute}
        (if (i64.ne (i64.sub (call $now) (global.get $begun)) (i64.const 60000000000)) (then (unreachable))) {ECHO}"
    );
    let begun = Instant::now();
    check(&call(&with_clock(&slept)), CallStatus::Timeout, "wall clock");
    let long = Limits { wall: Duration::from_secs(100), ..LIMITS };
    assert_eq!(value(&call_with(&with_clock(&slept), long)), "[]");
    // The earliest of two: 60 s and an hour.
    let first = format!(
        "(i32.store (i32.const 200) (call $subscribe (i64.const 3600000000000)))
        (i32.store (i32.const 204) (call $subscribe (i64.const 60000000000)))
        (call $poll (i32.const 200) (i32.const 2) (i32.const 8))
        (if (i32.ne (i32.load (i32.const 12)) (i32.const 1)) (then (unreachable)))
        (if (i32.ne (i32.load (i32.load (i32.const 8))) (i32.const 1)) (then (unreachable))) {ECHO}"
    );
    assert_eq!(value(&call_with(&with_clock(&first), long)), "[]");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn a_hoard_of_waits_and_a_wait_for_nothing_end_the_call() {
    let hoard = "(loop $l (drop (call $subscribe (i64.const 1))) (br $l)) (i32.const 0)";
    check(&call(&with_clock(hoard)), CallStatus::Error, "broke its contract");
    let nothing = "(call $poll (i32.const 200) (i32.const 0) (i32.const 8)) (i32.const 0)";
    check(&call(&with_clock(nothing)), CallStatus::Error, "broke its contract");
    let never = "(call $block (call $subscribe (i64.const -1))) (i32.const 0)";
    check(&call(&with_clock(never)), CallStatus::Timeout, "wall clock");
    let forged = "(call $block (i32.const 77)) (i32.const 0)";
    check(&call(&with_clock(forged)), CallStatus::Error, "");
    let long_list = "(call $poll (i32.const 0) (i32.const 100000000) (i32.const 8)) (i32.const 0)";
    check(&call(&with_clock(long_list)), CallStatus::Error, "broke its contract");
}

#[test]
fn an_exit_is_an_error_whatever_its_status() {
    let wasm = component(&Parts {
        imports: r#"(import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))"#,
        lowered: r#"(core func $exit (canon lower (func $exit "exit")))"#,
        instance: r#"(with "wasi" (instance (export "exit" (func $exit))))"#,
        core_imports: r#"(import "wasi" "exit" (func $exit (param i32)))"#,
        core_fields: "",
        code: "(call $exit (i32.const 0)) (i32.const 0)",
    });
    check(&call(&wasm), CallStatus::Error, "with status 0");
}

#[test]
fn randomness_is_seeded_and_bounded() {
    let with_random = |code: &str| {
        component(&Parts {
            imports: r#"(import "wasi:random/random@0.2.0" (instance $random
                (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))"#,
            lowered: r#"(core func $random (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))"#,
            instance: r#"(with "wasi" (instance (export "random" (func $random))))"#,
            core_imports: r#"(import "wasi" "random" (func $random (param i64 i32)))"#,
            core_fields: "",
            code,
        })
    };
    // The first random byte as a number of three digits.
    let byte = "(call $random (i64.const 1) (i32.const 8))
        (i32.store (i32.const 100) (i32.add (i32.const 0x303031) (i32.and (i32.const 0x070700) (i32.mul (i32.const 0x10100)
          (i32.load8_u (i32.load (i32.const 8)))))))
        (i32.store (i32.const 20) (i32.const 100)) (i32.store (i32.const 24) (i32.const 3)) (i32.const 16)";
    let first = call(&with_random(byte));
    assert_eq!(value(&first), value(&call(&with_random(byte))));
    let flood = "(call $random (i64.const -1) (i32.const 8)) (i32.const 0)";
    check(&call(&with_random(flood)), CallStatus::Error, "random bytes at once");
}

#[test]
fn what_is_not_granted_is_refused() {
    let host = |code: &str| {
        component(&Parts {
            imports: r#"(import "greensand:function/host@1.0.0" (instance $host
                (export "refused" (func (param "capability" string)))))"#,
            lowered: r#"(core func $refused (canon lower (func $host "refused") (memory $memory)))"#,
            instance: r#"(with "host" (instance (export "refused" (func $refused))))"#,
            core_imports: r#"(import "host" "refused" (func $refused (param i32 i32)))"#,
            core_fields: "",
            code,
        })
    };
    let told = host(&format!("(call $refused (local.get $entry) (local.get $entry_length)) {}", fails(2)));
    check(&invoke(&told, "network", "[]", LIMITS), CallStatus::Denied, "`network` is not granted");
    for (import, words) in [
        (r#"(import "wasi:http/types@0.2.0" (instance))"#, "imports `wasi:http/types@0.2.0`"),
        (r#"(import "wasi:cli/stdout@0.3.0" (instance))"#, "imports `wasi:cli/stdout@0.3.0`"),
        (r#"(import "evil" (func))"#, "imports `evil`"),
        (r#"(import "greensand:function/host@1.0.0" (instance (export "spawn" (func))))"#, "spawn"),
    ] {
        check(&call(&component(&Parts { imports: import, code: ECHO, ..NOTHING })), CallStatus::Invalid, words);
    }
}

#[test]
fn components_of_another_world_say_so() {
    let text = |wat: &str| wat::parse_str(wat).unwrap();
    check(&call(&text("(component)")), CallStatus::Invalid, "`call`");
    let other = r#"(component (core module $m (func (export "call"))) (core instance $i (instantiate $m))
        (func (export "call") (canon lift (core func $i "call"))))"#;
    check(&call(&text(other)), CallStatus::Invalid, "call");
    let own_resource = r#"(component (type (export "r") (resource (rep i32))))"#;
    check(&call(&text(own_resource)), CallStatus::Invalid, "resource types of its own");
}
