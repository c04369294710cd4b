//! The figures that the project promises, measured here: `cargo bench -p greensand-sandbox --bench figures`.
//!
//! Latency of a call (p50, p99) and throughput on one and on two workers, each with fresh and restored instances, from
//! source and prepared; dirty memory of a live instance, overshoot of the wall clock, and the time from the start of a
//! process to its first result with a cached image. `-- --calls-only` leaves out what is not a call.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and ends where something is wrong")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use futures::StreamExt;
use futures::executor::block_on;
use futures::future::join_all;
use greensand_sandbox::{ImageOrigin, InstanceMode, Sandbox, SandboxSettings};
use greensand_types::{CallStatus, ClockGrant, Entry, FunctionRuntime, Invocation, JsonText, Language, SourceText};

const ADD: &str = "def f(a, b):\n    return a + b\n";

const TEN_LINES: &str = "
import math
def f(a, b):
    total = 0
    for index in range(10):
        if index % 2:
            total += math.gcd(a, index)
        else:
            total -= b
    words = [str(total)] * 3
    return {'total': total, 'words': ' '.join(words)}
";

/// The flag by which the benchmark starts itself, to be measured from its start.
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
    if env::args().any(|argument| argument == "--calls-only") {
        latency();
        return throughput();
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

/// The ways of a call: how its instance comes about, and what may be kept of its compiled source.
const WAYS: [(&str, InstanceMode, u64); 4] = [
    ("fresh, from source", InstanceMode::Fresh, 0),
    ("fresh, prepared", InstanceMode::Fresh, 1 << 20),
    ("pristine, from source", InstanceMode::Pristine, 0),
    ("pristine, prepared", InstanceMode::Pristine, 1 << 20),
];

/// The functions of each language that are measured.
const FUNCTIONS: [(&str, &str, &str); 3] = [
    ("python", "a + b", ADD),
    ("python", "ten lines", TEN_LINES),
    ("javascript", "a + b", "function f(a, b) {\n  return a + b;\n}\n"),
];

fn latency() {
    for (way, instances, prepared_bytes) in WAYS {
        let sandbox = open_with(&cache(), 1, instances, prepared_bytes);
        for (language, name, text) in FUNCTIONS {
            let call = invocation_in(&sandbox, language, text, "[12, 30]");
            let times = (0..5500).map(|_| {
                let started = Instant::now();
                let outcome = block_on(sandbox.invoke(call.clone())).unwrap();
                assert_eq!(outcome.status(), CallStatus::Ok, "{outcome:?}");
                started.elapsed()
            });
            print_times(&format!("{language} {name}, {way}"), times.skip(500).collect());
        }
        println!("    {:?}", sandbox.instances());
    }
}

fn throughput() {
    for (way, instances, prepared_bytes) in WAYS {
        let rates = [1, 2].map(|workers| {
            let sandbox = open_with(&cache(), workers, instances, prepared_bytes);
            let call = invocation(&sandbox, ADD, "[1, 2]");
            let batch = |count: usize| {
                // As many wait as a worker takes while the caller sleeps; more would only measure the queue.
                let calls = futures::stream::iter((0..count).map(|_| sandbox.invoke(call.clone())));
                let outcomes = block_on(calls.buffer_unordered(16 * workers).collect::<Vec<_>>());
                assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap().value().is_some()));
            };
            batch(500);
            let mut rates: Vec<_> = (0..5)
                .map(|_| {
                    let started = Instant::now();
                    batch(2000 * workers);
                    2000.0 * workers as f64 / started.elapsed().as_secs_f64()
                })
                .collect();
            rates.sort_by(f64::total_cmp);
            rates[2]
        });
        let [one, two] = rates;
        println!("a + b, {way}: {one:.0} calls/s on one worker, {two:.0} on two: {:.2} times", two / one);
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

fn open_with(cache: &Path, workers: usize, instances: InstanceMode, prepared_bytes: u64) -> Sandbox {
    let settings = SandboxSettings { workers, instances, prepared_bytes, ..SandboxSettings::new(cache) };
    Sandbox::open(settings).unwrap()
}

fn invocation(sandbox: &Sandbox, text: &str, arguments: &str) -> Invocation {
    invocation_in(sandbox, language().as_str(), text, arguments)
}

fn invocation_in(sandbox: &Sandbox, language: &str, text: &str, arguments: &str) -> Invocation {
    let language: Language = language.parse().unwrap();
    let limits = sandbox.default_limits(&language).unwrap();
    let source = SourceText { language, text: text.into(), packages: Vec::new() };
    Invocation::new(source, Entry::Function("f".into()), JsonText::parse(arguments).unwrap(), limits)
}
