//! Modules of one's own: what the contract says of them, and what becomes of those that lie, loop, flood or wander.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::modules::{LIMITS, call, call_with, check, core, core_with, invoke, reply_data, settings};
use greensand_sandbox::{Sandbox, SandboxSettings};
use greensand_types::{CallOutcome, CallStatus, DescribeOutcome, Entry, FunctionRuntime, Invocation, JsonText, Limits};

/// The value of an outcome.
#[track_caller]
fn value(outcome: &CallOutcome) -> &str {
    outcome.value().unwrap_or_else(|| panic!("{outcome:?}")).get()
}

/// A core module that replies with this kind, these flags, this message and this payload.
fn replies(kind: u32, flags: u32, message: &str, payload: &str) -> Vec<u8> {
    let (data, packed) = reply_data(kind, flags, message, payload);
    core(&data, &format!("(i64.const {packed})"))
}

/// A core module whose entry runs this and then returns `null`.
fn runs(imports: &str, code: &str) -> Vec<u8> {
    let (data, packed) = reply_data(0, 0, "", "null");
    core_with(imports, &data, &format!("{code} (i64.const {packed})"))
}

#[test]
fn a_module_answers() {
    assert_eq!(value(&call(&replies(0, 0, "", "[1,2]"))), "[1,2]");
}

#[test]
fn arguments_and_entry_reach_a_module() {
    // The request is a header of 32 bytes, then the entry, then the arguments: a part of it is the reply.
    let echo = |skip: usize, cut: usize| {
        let code = format!(
            "(local.set $length (i32.sub (local.get $length) (i32.const {})))
            (memory.copy (i32.const 112) (i32.add (local.get $request) (i32.const {skip})) (local.get $length))
            (i64.or (i64.const 429496729600) (i64.extend_i32_u (i32.add (local.get $length) (i32.const 12))))",
            skip + cut
        );
        core("", &code)
    };
    assert_eq!(value(&invoke(&echo(33, 0), "f", r#"[1,"\u20ac€"]"#, LIMITS)), r#"[1,"\u20ac€"]"#);
    assert_eq!(value(&invoke(&echo(32, 2), "[7]", "[]", LIMITS)), "[7]");
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
        (u32::MAX, Error),
    ] {
        assert_eq!(call(&replies(kind, 3, "", "1")).status(), status, "kind {kind}");
    }
}

#[test]
fn every_lie_of_a_reply_is_the_end_of_its_own_call() {
    for packed in
        [0, -1, i64::MAX, i64::MIN, 100 << 32, (100 << 32) | 11, (0xffff_ffff << 32) | 12, (131_071 << 32) | 12]
    {
        let outcome = call(&core("", &format!("(i64.const {packed})")));
        check(&outcome, CallStatus::Error, "its reply is malformed");
    }
    // A message longer than the reply, and one of the longest length.
    for length in [6_u32, 0x7fff_ffff, u32::MAX] {
        let header: String =
            [1_u32, 0, length].iter().flat_map(|field| field.to_le_bytes()).fold(String::new(), |mut text, byte| {
                let _ = write!(text, "\\{byte:02x}");
                text
            });
        let data = format!(r#"(data (i32.const 100) "{header}hello")"#);
        check(&call(&core(&data, &format!("(i64.const {})", (100_i64 << 32) | 17))), CallStatus::Error, "malformed");
    }
    check(&call(&replies(0, 0, "", "{]")), CallStatus::Invalid, "not well-formed JSON");
    check(&call(&replies(0, 0, "", "")), CallStatus::Invalid, "not well-formed JSON");
}

#[test]
fn claims_of_memory_and_refusal_count_only_beside_the_flags_of_the_host() {
    check(&call(&replies(1, 3, "MemoryError", "")), CallStatus::Error, "MemoryError");
    let (data, packed) = reply_data(1, 3, "no", "");
    let grows = core(&data, &format!("(drop (memory.grow (i32.const 60000))) (i64.const {packed})"));
    check(&call(&grows), CallStatus::Memory, "4 MiB");
    let opens =
        r#"(import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))"#;
    let denied = core_with(
        opens,
        &data,
        &format!("(drop (call $unlink (i32.const 3) (i32.const 0) (i32.const 0))) (i64.const {packed})"),
    );
    check(&call(&denied), CallStatus::Denied, "`filesystem` is not granted");
}

#[test]
fn loops_end_with_the_clock_wherever_they_are() {
    let (data, packed) = reply_data(0, 0, "", "null");
    let reply = format!("(i64.const {packed})");
    let invoke = format!(r#"(func (export "gs_invoke") (param i32 i32) (result i64) {reply})"#);
    let memory = r#"(memory (export "memory") 2)"#;
    let alloc = r#"(func (export "gs_alloc") (param i32) (result i32) (i32.const 4096))"#;
    let module = |parts: &[&str]| wat::parse_str(format!("(module {memory} {data} {})", parts.join(" "))).unwrap();
    for wasm in [
        runs("", "(loop $again (br $again))"),
        module(&["(func $start (loop $again (br $again))) (start $start)", alloc, &invoke]),
        module(&[r#"(func (export "_initialize") (loop $again (br $again)))"#, alloc, &invoke]),
        module(&[
            r#"(func (export "gs_alloc") (param i32) (result i32) (loop $again (br $again)) (i32.const 9))"#,
            &invoke,
        ]),
        runs("", "(loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $again))"),
    ] {
        let begun = Instant::now();
        check(&call(&wasm), CallStatus::Timeout, "wall clock");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}

#[test]
fn traps_are_errors_in_words() {
    for (code, words) in [
        ("(unreachable)", "ended its instance"),
        ("(drop (i32.load (i32.const -1)))", "outside of its memory"),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "impossible integer operation"),
        ("(call $deep)", "used up its stack"),
    ] {
        let wasm = core_with("", "(func $deep (call $deep))", &format!("{code} (i64.const 0)"));
        check(&call(&wasm), CallStatus::Error, words);
    }
    let (data, _) = reply_data(0, 0, "", "null");
    let out_of_bounds = core(&format!(r#"{data} (data (i32.const 131071) "ab")"#), "(i64.const 0)");
    check(&call(&out_of_bounds), CallStatus::Error, "outside of its memory");
}

#[test]
fn floods_of_memory_and_tables_are_refused_and_told() {
    let grow = "(loop $again (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 1))))) (unreachable)";
    check(&call(&core("", grow)), CallStatus::Memory, "4 MiB");
    let table = "(table $table 1 funcref)";
    let grow = "(loop $again (br_if $again (i32.ne (i32.const -1) (table.grow $table (ref.null func) (i32.const 1000))))) (unreachable)";
    let outcome = call(&core(table, &format!("{grow} (i64.const 0)")));
    assert!(matches!(outcome.status(), CallStatus::Memory | CallStatus::Error), "{outcome:?}");
    assert!(outcome.usage.peak_memory_bytes <= LIMITS.memory_bytes);
}

#[test]
fn a_memory_above_the_limit_of_the_call_is_invalid() {
    let (data, packed) = reply_data(0, 0, "", "null");
    let big = wat::parse_str(format!(
        r#"(module (memory (export "memory") 65) {data}
            (func (export "gs_alloc") (param i32) (result i32) (i32.const 4096))
            (func (export "gs_invoke") (param i32 i32) (result i64) (i64.const {packed})))"#
    ));
    let big = big.unwrap();
    check(&call(&big), CallStatus::Invalid, "starts with 4259840 bytes, the limit is 4194304");
    assert_eq!(value(&call_with(&big, Limits { memory_bytes: 8 << 20, ..LIMITS })), "null");
}

#[test]
fn wild_ranges_end_the_call_at_every_import() {
    for (import, ty, arguments) in [
        ("greensand.write", "i32 i32 i32", "(i32.const 1) (i32.const -16) (i32.const 32)"),
        ("greensand.random", "i32 i32", "(i32.const 131000) (i32.const 1000)"),
        ("greensand.refused", "i32 i32", "(i32.const -1) (i32.const 1000)"),
        ("wasi_snapshot_preview1.random_get", "i32 i32", "(i32.const -1) (i32.const -1)"),
        (
            "wasi_snapshot_preview1.fd_write",
            "i32 i32 i32 i32",
            "(i32.const 1) (i32.const -4) (i32.const 9) (i32.const 0)",
        ),
        (
            "wasi_snapshot_preview1.fd_write",
            "i32 i32 i32 i32",
            "(i32.const 1) (i32.const 0) (i32.const -1) (i32.const -9)",
        ),
        (
            "wasi_snapshot_preview1.fd_read",
            "i32 i32 i32 i32",
            "(i32.const 0) (i32.const 0) (i32.const 1) (i32.const -2)",
        ),
        ("wasi_snapshot_preview1.clock_time_get", "i32 i64 i32", "(i32.const 0) (i64.const 0) (i32.const -7)"),
        (
            "wasi_snapshot_preview1.poll_oneoff",
            "i32 i32 i32 i32",
            "(i32.const -9) (i32.const 0) (i32.const 3) (i32.const 0)",
        ),
        ("wasi_snapshot_preview1.environ_sizes_get", "i32 i32", "(i32.const -1) (i32.const 0)"),
        ("wasi_snapshot_preview1.fd_filestat_get", "i32 i32", "(i32.const 1) (i32.const 131070)"),
    ] {
        let (module, name) = import.split_once('.').unwrap();
        let returns = if module == "greensand" { ("", "") } else { ("(result i32)", "drop") };
        let imports = format!(r#"(import "{module}" "{name}" (func $it (param {ty}) {}))"#, returns.0);
        let wasm = runs(&imports, &format!("{arguments} call $it {}", returns.1));
        let outcome = call(&wasm);
        check(&outcome, CallStatus::Error, "outside of its memory");
    }
}

#[test]
fn the_limits_of_one_build_decide_nothing_for_another() {
    let wasm = replies(0, 0, "", "\"limits\"");
    let hurried = Limits { build_wall: Duration::from_millis(1), ..LIMITS };
    check(&call_with(&wasm, hurried), CallStatus::Invalid, "took more than 0.001 s");
    check(&call_with(&wasm, hurried), CallStatus::Invalid, "took more than 0.001 s");
    for build_memory_bytes in [0, 1, 1 << 20, 8 << 20] {
        let starved = call_with(&wasm, Limits { build_memory_bytes, ..LIMITS });
        assert_eq!(starved.status(), CallStatus::Invalid, "{build_memory_bytes}: {starved:?}");
    }
    assert_eq!(value(&call(&wasm)), "\"limits\"");
    // What is open needs no build.
    assert_eq!(value(&call_with(&wasm, hurried)), "\"limits\"");
}

#[test]
fn who_asks_for_what_others_compile_holds_nobody_up() {
    // Two ask for what takes long to compile, and there are two openers.
    let slow = module_that_is_slow_to_compile();
    let waits: Vec<_> = (0..2)
        .map(|_| {
            let slow = slow.clone();
            std::thread::spawn(move || call(&slow))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    let begun = Instant::now();
    assert_eq!(value(&call(&replies(0, 0, "", "\"quick\""))), "\"quick\"");
    let took = begun.elapsed();
    let are_busy = waits.iter().all(|wait| !wait.is_finished());
    let slow: Vec<_> = waits.into_iter().map(|wait| wait.join().unwrap().ending).collect();
    assert_eq!(slow[0], slow[1]);
    assert!(are_busy, "nothing was shown: the slow module was compiled before the quick one, within {took:?}");
}

/// A module of which the compiler takes some seconds: most that a function may have of locals and conditions.
fn module_that_is_slow_to_compile() -> Vec<u8> {
    let locals = "(local i32)".repeat(3_000);
    let mut body = String::from("(loop $again ");
    for local in 2..3_000 {
        let _ =
            write!(body, "(if (local.get 0) (then (local.set {local} (i32.add (local.get {local}) (i32.const 1)))))");
    }
    body.push_str("(br_if $again (local.get 2))) (i64.const 0)");
    core("", &format!("{locals} {body}"))
}

#[test]
fn imports_that_are_not_granted_are_refused_before_anything_runs() {
    for (import, message) in [
        (
            r#"(import "env" "host_system" (func (param i32 i32) (result i32)))"#,
            "imports `env.host_system`, which is not granted",
        ),
        (
            r#"(import "wasi_snapshot_preview1" "fd_wrote" (func (param i32) (result i32)))"#,
            "`wasi_snapshot_preview1.fd_wrote`",
        ),
        (
            r#"(import "wasi_unstable" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#,
            "`wasi_unstable.fd_write`",
        ),
        (
            r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i64) (result i32)))"#,
            "as (i32, i64) -> (i32), but that is (i32, i32, i32, i32) -> (i32)",
        ),
        (r#"(import "greensand" "write" (global i32))"#, "as no function"),
        (r#"(import "env" "memory" (memory 1))"#, "`env.memory`"),
    ] {
        check(&call(&runs(import, "")), CallStatus::Invalid, message);
    }
}

#[test]
fn what_is_no_module_of_the_contract_says_why() {
    let text = |wat: &str| wat::parse_str(wat).unwrap();
    let memory = r#"(memory (export "memory") 1)"#;
    let alloc = r#"(func (export "gs_alloc") (param i32) (result i32) (i32.const 8))"#;
    for (wasm, message) in [
        (b"hello".to_vec(), "is not WebAssembly"),
        (b"".to_vec(), "is not WebAssembly"),
        (b"\0asm\x01\0\0\0\xff".to_vec(), "is not WebAssembly"),
        (replies(0, 0, "", "1")[..40].to_vec(), "is not WebAssembly"),
        (text("(module)"), "no export `memory`"),
        (text(&format!("(module {memory})")), "no export `gs_alloc`; the contract wants (i32) -> (i32)"),
        (text(&format!("(module {memory} {alloc})")), "no export `gs_invoke`"),
        (
            text(&format!(
                r#"(module {memory} {alloc} (func (export "gs_invoke") (param i32) (result i64) (i64.const 0)))"#
            )),
            "exports `gs_invoke` as (i32) -> (i64), the contract wants (i32, i32) -> (i64)",
        ),
        (text(&format!(r#"(module {memory} (global (export "gs_alloc") i32 (i32.const 1)))"#)), "as no function"),
        (text(r#"(module (func (export "memory")))"#), "no export `memory`"),
        (text("(component)"), "`call`"),
        (text(&format!("(module {memory} (memory 1))")), "2 memories, the limit is 1"),
    ] {
        check(&call(&wasm), CallStatus::Invalid, message);
    }
    let outcome = common::modules::call_source("not base64!");
    check(&outcome, CallStatus::Invalid, "no base64");
}

#[test]
fn an_invalid_body_is_refused_by_the_compiler() {
    let mut wasm = replies(0, 0, "", "1");
    // The last constant of the entry becomes another instruction.
    let at = wasm.iter().rposition(|byte| *byte == 0x42).unwrap();
    wasm[at] = 0x6a;
    let outcome = call(&wasm);
    assert_eq!(outcome.status(), CallStatus::Invalid, "{outcome:?}");
}

#[test]
fn output_goes_through_wasi_into_the_call_and_ends_it_above_the_limit() {
    let imports = r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))"#;
    let data = r#"(data (i32.const 200) "\10\01\00\00\03\00\00\00\13\01\00\00\02\00\00\00") (data (i32.const 272) "helloabc")"#;
    let (reply, packed) = reply_data(0, 0, "", "null");
    let write = "(drop (call $write (i32.const 1) (i32.const 200) (i32.const 2) (i32.const 300)))";
    let outcome = call(&core_with(imports, &format!("{data}{reply}"), &format!("{write} (i64.const {packed})")));
    assert_eq!((value(&outcome), outcome.stdout.text.as_str()), ("null", "hello"));
    let flood = format!("(loop $again {write} (br $again)) (i64.const 0)");
    let outcome = call(&core_with(imports, &format!("{data}{reply}"), &flood));
    check(&outcome, CallStatus::OutputLimit, "standard output");
    assert_eq!(outcome.stdout.text.len() as u64, LIMITS.max_stdout_bytes);
    assert!(outcome.stdout.is_truncated);
}

#[test]
fn an_exit_is_an_error_whatever_its_status() {
    let exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
    for status in [0, 1, -1] {
        let outcome = call(&runs(exit, &format!("(call $exit (i32.const {status}))")));
        check(&outcome, CallStatus::Error, &format!("with status {status}"));
    }
}

#[test]
fn a_sleep_takes_no_time_and_counts() {
    let poll = r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#;
    // One wait for the clock: 60 s from now, with a limit of 2 s; the second has a limit that lets it through.
    let wait = r#"(data (i32.const 200) "\07\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\58\47\f8\0d")"#;
    let (reply, packed) = reply_data(0, 0, "", "null");
    let code = format!(
        "(if (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 400)) (then (unreachable))) (if (i32.ne (i32.const 1) (i32.load (i32.const 400))) (then (unreachable))) (i64.const {packed})"
    );
    let sleeps = core_with(poll, &format!("{wait}{reply}"), &code);
    let begun = Instant::now();
    check(&call(&sleeps), CallStatus::Timeout, "wall clock");
    assert_eq!(value(&call_with(&sleeps, Limits { wall: Duration::from_secs(100), ..LIMITS })), "null");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn the_same_call_has_the_same_randomness() {
    let random = r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
    let code = "(drop (call $random (i32.const 500) (i32.const 8))) (i64.store (i32.const 112) (i64.or (i64.const 0x3030303030303031) (i64.and (i64.const 0x0707070707070707) (i64.load (i32.const 500))))) (i64.const 429496729620)";
    let wasm = core_with(random, "", code);
    let first = call(&wasm);
    assert_eq!(value(&first), value(&call(&wasm)));
    assert_eq!(value(&first).len(), 8);
}

#[test]
fn a_module_is_described_by_its_own_word_or_as_taking_anything() {
    let sandbox = common::modules::sandbox();
    let describe = |wasm: &[u8]| {
        futures::executor::block_on(sandbox.describe(common::modules::source(wasm), "f".into(), LIMITS)).unwrap()
    };
    let DescribeOutcome::Described(description) = describe(&replies(0, 0, "", "1")) else { panic!() };
    assert_eq!(description.parameters.len(), 1);
    let (data, packed) =
        reply_data(0, 0, "", r#"{"parameters": [{"name": "a", "kind": "positional", "required": true}], "doc": "d"}"#);
    let wasm = core(
        &format!(r#"{data} (func (export "gs_describe") (param i32 i32) (result i64) (i64.const {packed}))"#),
        "(i64.const 0)",
    );
    let DescribeOutcome::Described(description) = describe(&wasm) else { panic!() };
    assert_eq!((description.parameters[0].name.as_str(), description.documentation.as_str()), ("a", "d"));
}

/// The files of a folder with an ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

fn call_in(cache: &Path, settings: SandboxSettings, wasm: &[u8]) -> CallOutcome {
    let sandbox = Sandbox::open(SandboxSettings { cache_dir: cache.to_owned(), ..settings }).unwrap();
    let arguments = JsonText::parse("[]").unwrap();
    let invocation = Invocation::new(common::modules::source(wasm), Entry::Function("f".into()), arguments, LIMITS);
    futures::executor::block_on(sandbox.invoke(invocation)).unwrap()
}

/// Compiles a module, changes the cache, and checks that the module is compiled anew rather than mapped.
#[track_caller]
fn check_compiled_anew(change: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let wasm = replies(0, 0, "", "1");
    assert_eq!(value(&call_in(cache, settings(cache), &wasm)), "1");
    change(cache);
    // Without a compiler there is only what the cache holds.
    let without = SandboxSettings { helper: None, ..settings(cache) };
    check(&call_in(cache, without.clone(), &wasm), CallStatus::Invalid, "set `helper`");
    assert_eq!(value(&call_in(cache, settings(cache), &wasm)), "1");
    assert_eq!(value(&call_in(cache, without, &wasm)), "1");
}

#[test]
fn code_is_kept_and_found_without_a_compiler() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let wasm = replies(0, 0, "", "1");
    assert_eq!(value(&call_in(cache, settings(cache), &wasm)), "1");
    let without = SandboxSettings { helper: None, ..settings(cache) };
    assert_eq!(value(&call_in(cache, without, &wasm)), "1");
    // Nothing is left of the work of the compiler.
    assert_eq!((files(cache, "module").len(), files(cache, "code").len()), (1, 1));
    assert!(fs::read_dir(cache).unwrap().all(|entry| !entry.unwrap().path().is_dir()));
}

#[test]
fn code_that_was_changed_truncated_or_forged_is_compiled_anew() {
    check_compiled_anew(|cache| {
        let path = &files(cache, "code")[0];
        let mut code = fs::read(path).unwrap();
        let middle = code.len() / 2;
        code[middle] ^= 1;
        fs::write(path, code).unwrap();
    });
    check_compiled_anew(|cache| fs::write(&files(cache, "code")[0], "short").unwrap());
    check_compiled_anew(|cache| fs::remove_file(&files(cache, "code")[0]).unwrap());
    check_compiled_anew(|cache| fs::write(&files(cache, "module")[0], "{}").unwrap());
    check_compiled_anew(|cache| fs::write(cache.join("key"), [7; 32]).unwrap());
}

#[test]
fn code_of_another_folder_or_module_is_not_mapped() {
    let foreign = tempfile::tempdir().unwrap();
    let _ = call_in(foreign.path(), settings(foreign.path()), &replies(0, 0, "", "1"));
    check_compiled_anew(|cache| {
        for ending in ["module", "code"] {
            for path in files(cache, ending).into_iter().chain(files(foreign.path(), ending)) {
                let foreign = foreign.path().join(path.file_name().unwrap());
                fs::copy(foreign, cache.join(path.file_name().unwrap())).unwrap();
            }
        }
    });
    check_compiled_anew(|cache| {
        let own = files(cache, "module").remove(0);
        let _ = call_in(cache, settings(cache), &replies(0, 0, "", "2"));
        let other = files(cache, "module").into_iter().find(|path| *path != own).unwrap();
        fs::copy(other, own).unwrap();
    });
}
