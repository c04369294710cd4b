//! The figures that the project promises, measured here: `cargo bench -p greensand-sandbox --bench figures`.
//!
//! Latency of a fresh call (p50, p99), throughput on one and on two workers, dirty memory of a live instance, overshoot
//! of the wall clock, and the time from the start of a process to its first result with a cached image.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and ends where something is wrong")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use futures::executor::block_on;
use futures::future::join_all;
use greensand_sandbox::{ImageOrigin, Sandbox, SandboxSettings};
use greensand_types::{CallStatus, ClockGrant, Entry, FunctionRuntime, Invocation, JsonText, Language, SourceText};

const ADD: &str = "def f(a, b):\n    return a + b\n";
const FIRST_RESULT: &str = "--first-result";

fn main() {
    if env::args().any(|argument| argument == FIRST_RESULT) {
        let sandbox = open(&cache(), 1);
        let outcome = block_on(sandbox.invoke(invocation(&sandbox, ADD, "[1, 2]"))).unwrap();
        assert_eq!(outcome.value().unwrap().get(), "3");
        return;
    }
    // `cargo test --all-targets` builds this too, and must not measure.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    preparation();
    first_result();
    latency();
    throughput();
    dirty_memory();
    overshoot();
}

fn preparation() {
    let folder = env::temp_dir().join(format!("greensand-figures-{}", std::process::id()));
    let started = Instant::now();
    let report = open(&folder, 1).prepare_image(&language(), &|_| {}).unwrap();
    let ImageOrigin::Made { snapshot, compile } = report.origin else { panic!("{report:?}") };
    let whole = started.elapsed();
    println!("image preparation: {whole:.2?} (until the snapshot {snapshot:.2?}, compiling it {compile:.2?})");
    fs::remove_dir_all(folder).unwrap();
    open(&cache(), 1).prepare_image(&language(), &|_| {}).unwrap();
}

fn first_result() {
    let times = (0..30).map(|_| {
        let started = Instant::now();
        let status = Command::new(env::current_exe().unwrap()).arg(FIRST_RESULT).status().unwrap();
        assert!(status.success());
        started.elapsed()
    });
    print_times("process start to first result and exit, cached image", times.collect());
}

fn latency() {
    let sandbox = open(&cache(), 1);
    let call = invocation(&sandbox, ADD, "[1, 2]");
    for (name, call) in [
        ("a + b", call.clone()),
        (
            "empty script",
            Invocation { entry: Entry::Script, source: source(""), arguments: JsonText::parse("[]").unwrap(), ..call },
        ),
    ] {
        let times = (0..3300).map(|_| {
            let started = Instant::now();
            let outcome = block_on(sandbox.invoke(call.clone())).unwrap();
            assert_eq!(outcome.status(), CallStatus::Ok, "{outcome:?}");
            started.elapsed()
        });
        print_times(&format!("fresh call from source, {name}"), times.skip(300).collect());
    }
}

fn throughput() {
    for workers in [1, 2] {
        let sandbox = open(&cache(), workers);
        let call = invocation(&sandbox, ADD, "[1, 2]");
        let batch = |count: usize| join_all((0..count).map(|_| sandbox.invoke(call.clone())));
        block_on(batch(100));
        let started = Instant::now();
        block_on(batch(3000));
        println!("throughput on {workers} worker(s): {:.0} calls/s", 3000.0 / started.elapsed().as_secs_f64());
    }
}

fn dirty_memory() {
    const INSTANCES: usize = 8;
    let sandbox = open(&cache(), INSTANCES);
    let _ = block_on(sandbox.invoke(invocation(&sandbox, ADD, "[1, 2]"))).unwrap();
    let mut sleeper =
        invocation(&sandbox, "import time\ndef f(a, b):\n    c = a + b\n    time.sleep(1)\n    return c\n", "[1, 2]");
    sleeper.grants.clock = ClockGrant::Real;
    let before = private_dirty();
    thread::scope(|scope| {
        let calls = scope.spawn(|| block_on(join_all((0..INSTANCES).map(|_| sandbox.invoke(sleeper.clone())))));
        thread::sleep(Duration::from_millis(500));
        let dirty = (private_dirty() - before) / INSTANCES as u64;
        assert!(calls.join().unwrap().iter().all(|outcome| outcome.as_ref().unwrap().value().is_some()));
        println!("private dirty memory of a live instance: {dirty} KiB");
    });
}

fn overshoot() {
    let sandbox = open(&cache(), 1);
    let bodies = ["while True: pass", "sum(range(10 ** 12))", "import re; re.match('(a+)+$', 'a' * 64 + '!')"];
    let mut times = Vec::new();
    for body in bodies.iter().cycle().take(150) {
        let mut call = invocation(&sandbox, &format!("def f(a, b):\n    {body}\n"), "[1, 2]");
        call.limits.wall = Duration::from_millis(50);
        let started = Instant::now();
        let outcome = block_on(sandbox.invoke(call)).unwrap();
        assert_eq!(outcome.status(), CallStatus::Timeout);
        times.push(started.elapsed() - Duration::from_millis(50));
    }
    print_times("overshoot of a wall clock of 50 ms", times);
}

fn print_times(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{name}: min {:.1?}, p50 {:.1?}, p99 {:.1?}", times[0], at(0.5), at(0.99));
}

fn private_dirty() -> u64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")
}

fn language() -> Language {
    "python".parse().unwrap()
}

fn open(cache: &Path, workers: usize) -> Sandbox {
    Sandbox::open(SandboxSettings { workers, ..SandboxSettings::new(cache) }).unwrap()
}

fn source(text: &str) -> SourceText {
    SourceText { language: language(), text: text.into(), packages: Vec::new() }
}

fn invocation(sandbox: &Sandbox, text: &str, arguments: &str) -> Invocation {
    Invocation::new(
        source(text),
        Entry::Function("f".into()),
        JsonText::parse(arguments).unwrap(),
        sandbox.default_limits(&language()).unwrap(),
    )
}
