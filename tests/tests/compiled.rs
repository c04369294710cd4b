//! Functions of compiled languages: what is built when, what is kept, what is refused, and what nothing survives.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test ends where something unexpected is found")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use futures::FutureExt;
use futures::executor::block_on;
use greensand_sandbox::{Sandbox, SandboxSettings};
use greensand_tests::compilers::{compiling, missing};
use greensand_types::{
    CallOutcome, CallStatus, DescribeOutcome, Entry, Failure, FunctionRuntime, Invocation, JsonText, Limits, SourceText,
};

/// Opens a sandbox with the one compiled language, or says why it cannot be run here.
fn open(cache: &Path) -> Option<Sandbox> {
    let sandbox = Sandbox::open(settings(cache)).unwrap();
    let template = sandbox.languages().find(|template| template.name == "rust").unwrap();
    let Some(reason) = missing(&sandbox, template) else { return Some(sandbox) };
    eprintln!("skipped: {reason}");
    None
}

fn settings(cache: &Path) -> SandboxSettings {
    compiling(env!("CARGO_BIN_EXE_helper"), SandboxSettings { workers: 2, ..SandboxSettings::new(cache) })
}

fn images() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")
}

fn source(text: &str) -> SourceText {
    SourceText { language: "rust".parse().unwrap(), text: text.into(), packages: Vec::new() }
}

fn invocation(text: &str, arguments: &str) -> Invocation {
    let arguments = JsonText::parse(arguments).unwrap();
    Invocation::new(source(text), Entry::Function("f".into()), arguments, Limits::DEFAULT)
}

fn call(sandbox: &Sandbox, text: &str, arguments: &str) -> CallOutcome {
    block_on(sandbox.invoke(invocation(text, arguments))).unwrap()
}

fn check_invalid(sandbox: &Sandbox, text: &str, message: &str) -> Failure {
    let outcome = call(sandbox, text, "[]");
    assert_eq!(outcome.status(), CallStatus::Invalid, "{outcome:?}");
    let failure = outcome.failure().unwrap().clone();
    assert!(failure.message.contains(message), "{failure:?}");
    failure
}

/// Returns what of the cache folder is left of builds.
fn work_folders(cache: &Path) -> usize {
    let is_work = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("work-");
    fs::read_dir(cache).unwrap().filter(|entry| is_work(entry.as_ref().unwrap())).count()
}

#[test]
fn what_does_not_compile_is_told_with_the_line_of_the_user() {
    let Some(sandbox) = open(&images()) else { return };
    let text = "pub fn f() -> i32 {\n    let x: i32 = \"a\";\n    x\n}\n";
    let failure = check_invalid(&sandbox, text, "error[E0308]: mismatched types (line 2, column 18)");
    let trace = failure.trace.unwrap();
    assert!(trace.contains("let x: i32 = \"a\";"), "{trace}");
    check_invalid(&sandbox, "pub struct P;\npub fn f() -> P { P }\n", "`P` cannot be the type of a result");
}

#[test]
fn nothing_of_the_machine_is_in_a_diagnostic() {
    let Some(sandbox) = open(&images()) else { return };
    for text in [
        "#[path = \"/etc/passwd\"]\nmod stolen;\npub fn f() {}",
        "pub fn f() -> &'static str { include_str!(\"/etc/hostname\") }",
        "pub fn f() -> &'static [u8] { include_bytes!(\"/proc/self/environ\") }",
        "pub fn f() -> &'static str { env!(\"HOME\") }",
        "extern crate there_is_no_such_crate;\npub fn f() {}",
        "#[link(name = \"there_is_no_such_library\")]\nunsafe extern \"C\" { fn g(); }\npub fn f() { unsafe { g() } }",
    ] {
        let said = format!("{:?}", check_invalid(&sandbox, text, "error"));
        for word in ["root:", env!("CARGO_TARGET_TMPDIR"), "/.rustup/", "/.cargo/", "/work-"] {
            assert!(!said.contains(word), "`{word}` in {said}");
        }
    }
}

#[test]
fn a_build_is_held_to_its_limits() {
    let Some(sandbox) = open(&images()) else { return };
    let spin = "#![allow(long_running_const_eval)]\nconst fn spin() -> u64 { let mut n = 0u64; loop { n = n.wrapping_add(1); \
                if n == u64::MAX { return n; } } }\npub const N: u64 = spin();\npub fn f() -> u64 { N }";
    // The runtime library and the image are made first.
    let ready = call(&sandbox, "pub fn f() {}", "[]");
    assert_eq!(ready.status(), CallStatus::Ok, "{ready:?}");
    let mut slow = invocation(spin, "[]");
    slow.limits.build_wall = Duration::from_millis(1500);
    let started = Instant::now();
    let outcome = block_on(sandbox.invoke(slow)).unwrap();
    assert_eq!(outcome.status(), CallStatus::Invalid, "{outcome:?}");
    assert!(outcome.failure().unwrap().message.contains("1.5 s"), "{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let large =
        "pub static A: [u32; 400_000_000] = { let mut a = [1; 400_000_000]; a[3] = 2; a };\npub fn f() -> u32 { A[3] }";
    let outcome = call(&sandbox, large, "[]");
    assert_eq!(outcome.status(), CallStatus::Invalid, "{outcome:?}");
}

#[test]
fn a_build_for_which_nobody_waits_ends_and_leaves_nothing() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let Some(sandbox) = open(folder.path()) else { return };
    let spin = "#![allow(long_running_const_eval)]\nconst fn spin() -> u64 { let mut n = 0u64; loop { n = n.wrapping_add(1); \
                if n == u64::MAX { return n; } } }\npub const N: u64 = spin() + 1;\npub fn f() -> u64 { N }";
    // The runtime library and the image are made first.
    let ready = call(&sandbox, "pub fn f() {}", "[]");
    assert_eq!(ready.status(), CallStatus::Ok, "{ready:?}");
    let mut future = Box::pin(sandbox.invoke(invocation(spin, "[]")));
    let until = Instant::now() + Duration::from_secs(30);
    while work_folders(folder.path()) == 0 {
        assert!(future.as_mut().now_or_never().is_none() && Instant::now() < until, "the build never began");
        thread::sleep(Duration::from_millis(5));
    }
    drop(future);
    while work_folders(folder.path()) > 0 {
        assert!(Instant::now() < until, "the build goes on");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_was_built_is_found_by_the_next_sandbox() {
    let Some(sandbox) = open(&images()) else { return };
    let text = format!("pub fn f(a: i64) -> i64 {{ a + {} }}", std::process::id());
    let answer = |sandbox: &Sandbox| call(sandbox, &text, "[1]").value().map(|value| value.get().to_owned());
    let expected = Some((std::process::id() + 1).to_string());
    assert_eq!(answer(&sandbox), expected);
    drop(sandbox);
    // No helper: it could build nothing.
    let sandbox = Sandbox::open(SandboxSettings { helper: None, ..settings(&images()) }).unwrap();
    assert_eq!(answer(&sandbox), expected);
    check_invalid(&sandbox, &format!("pub fn f() -> u32 {{ {} }}", std::process::id()), "no helper program is set");
}

#[test]
fn what_was_built_before_needs_no_compiler_and_once_thoroughly_no_front_either() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let Some(sandbox) = open(folder.path()) else { return };
    let text = "pub fn f(a: i64) -> i64 { a + 1 }";
    let answer = |sandbox: &Sandbox| {
        let outcome = call(sandbox, text, "[1]");
        assert_eq!(outcome.value().map(|value| value.get()), Some("2"), "{outcome:?}");
    };
    let without = || {
        let nothing = SandboxSettings { helper: None, tool_folders: Vec::new(), ..settings(folder.path()) };
        let sandbox = Sandbox::open(nothing).unwrap();
        sandbox.prepare_image(&"rust".parse().unwrap(), &|_| {}).unwrap();
        sandbox
    };
    answer(&sandbox);
    let once = without();
    answer(&once);
    assert_eq!(once.instances().made + once.instances().restored, 1, "the front reads what is to be improved");
    // Called again, it is built thoroughly in the background.
    answer(&sandbox);
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let thoroughly = without();
        answer(&thoroughly);
        if thoroughly.instances().made == 0 {
            break;
        }
        assert!(Instant::now() < until, "it was never built thoroughly");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_limits_of_one_build_decide_nothing_for_another() {
    let Some(sandbox) = open(&images()) else { return };
    let text = format!("pub fn f() -> u64 {{ {}_1 }}", std::process::id());
    let limited = |build_wall, build_memory_bytes| {
        let limits = Limits { build_wall, build_memory_bytes, ..Limits::DEFAULT };
        block_on(sandbox.invoke(Invocation { limits, ..invocation(&text, "[]") })).unwrap()
    };
    let hurried = limited(Duration::from_millis(1), 1 << 30);
    assert!(hurried.failure().unwrap().message.contains("took more than 0.001 s"), "{hurried:?}");
    for memory in [1, 1 << 20, 8 << 20, 64 << 20] {
        let starved = limited(Duration::from_secs(20), memory);
        assert_eq!(starved.status(), CallStatus::Invalid, "{memory}: {starved:?}");
    }
    assert_eq!(call(&sandbox, &text, "[]").status(), CallStatus::Ok);
}

#[test]
fn a_compiler_that_is_gone_is_no_fault_of_the_source() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let Some(sandbox) = open(folder.path()) else { return };
    assert_eq!(call(&sandbox, "pub fn f() {}", "[]").status(), CallStatus::Ok);
    let is_runtime = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("runtime-rust-");
    let runtime = fs::read_dir(folder.path()).unwrap().map(Result::unwrap).find(is_runtime).unwrap().path();
    let hidden = folder.path().join("hidden");
    fs::rename(&runtime, &hidden).unwrap();
    let text = "pub fn f() -> u32 { 5 }";
    let fault = block_on(sandbox.invoke(invocation(text, "[]"))).unwrap_err();
    assert!(format!("{fault:?}").contains("there is no whole library in"), "{fault:?}");
    // It is looked for again, and nothing is remembered of the source.
    fs::rename(&hidden, &runtime).unwrap();
    assert_eq!(call(&sandbox, text, "[]").value().unwrap().get(), "5");
    // One that was emptied is built again.
    for library in fs::read_dir(&runtime).unwrap().map(|library| library.unwrap().path()) {
        fs::remove_dir_all(&library).unwrap();
        fs::create_dir(&library).unwrap();
    }
    let text = "pub fn f() -> u32 { 6 }";
    block_on(sandbox.invoke(invocation(text, "[]"))).unwrap_err();
    assert_eq!(call(&sandbox, text, "[]").value().unwrap().get(), "6");
    let linked = "unsafe extern \"C\" { fn nowhere(); }\npub fn f() { unsafe { nowhere() } }";
    assert_eq!(call(&sandbox, linked, "[]").status(), CallStatus::Invalid);
}

#[test]
fn who_waits_for_a_compiler_to_be_found_holds_nobody_up() {
    let Some(sandbox) = open(&images()) else { return };
    let kept = "pub fn f() -> u32 { 41 }";
    assert_eq!(call(&sandbox, kept, "[]").value().unwrap().get(), "41");
    drop(sandbox);
    // A compiler that does not answer, as a proxy does that fetches it first.
    let tools = tempfile::tempdir().unwrap();
    let tool = tools.path().join("rustc");
    fs::write(&tool, "#!/bin/sh\necho > \"$0.started\"\nexec sleep 100\n").unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o700)).unwrap();
    let tool_folders = vec![tools.path().to_owned()];
    let sandbox = Sandbox::open(SandboxSettings { tool_folders, ..settings(&images()) }).unwrap();
    let texts = (0..3).map(|number| format!("pub fn f() -> u64 {{ {}_{number}_2 }}", std::process::id()));
    let mut waiting: Vec<_> = texts.map(|text| Box::pin(sandbox.invoke(invocation(&text, "[]")))).collect();
    let until = Instant::now() + Duration::from_secs(60);
    let mut rounds_since_start = 0;
    while rounds_since_start < 20 {
        assert!(waiting.iter_mut().all(|call| call.as_mut().now_or_never().is_none()) && Instant::now() < until);
        rounds_since_start += u32::from(tools.path().join("rustc.started").exists());
        thread::sleep(Duration::from_millis(10));
    }
    let begun = Instant::now();
    assert_eq!(call(&sandbox, kept, "[]").value().unwrap().get(), "41");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(waiting.iter_mut().all(|call| call.as_mut().now_or_never().is_none()));
}

#[test]
fn a_machine_without_the_compiler_is_told_what_to_do() {
    let sandbox = Sandbox::open(SandboxSettings { tool_folders: Vec::new(), ..settings(&images()) }).unwrap();
    let text = format!("pub fn f() -> u64 {{ {}_0 }}", std::process::id());
    let failure = check_invalid(&sandbox, &text, "there is no `rustc` on this machine");
    assert!(failure.message.contains("to mend it: install Rust"), "{failure:?}");
}

#[test]
fn a_source_is_described_and_checked_without_a_call() {
    let Some(sandbox) = open(&images()) else { return };
    let text = "/// Adds.\n/// More.\npub fn f(a: i64, (x, y): (i32, i32), b: Option<u8>) -> i64 { a }";
    let described = block_on(sandbox.describe(source(text), "f".into(), Limits::DEFAULT)).unwrap();
    let DescribeOutcome::Described(function) = described else { panic!("{described:?}") };
    let parameters: Vec<_> =
        function.parameters.iter().map(|parameter| (parameter.name.as_str(), parameter.is_required)).collect();
    assert_eq!(parameters, [("a", true), ("argument_2", true), ("b", false)]);
    assert_eq!(function.documentation, "Adds.");
    let compile = |text: &str| block_on(sandbox.compile(source(text), Limits::DEFAULT)).unwrap().status();
    assert_eq!(compile("fn g() {}"), CallStatus::Ok);
    assert_eq!(compile("fn g() { h() }"), CallStatus::Invalid);
    let wrong = block_on(sandbox.describe(source("pub fn f() { h() }"), "f".into(), Limits::DEFAULT)).unwrap();
    assert!(matches!(wrong, DescribeOutcome::Failed(_)), "{wrong:?}");
}
