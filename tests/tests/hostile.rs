//! The hostile corpus: functions that attack the sandbox, each with the answer of a well-made one.
//!
//! The corpus lies beside the repository, not in it; without it the suite says so and passes. Its own judge decides.
//! Each entry is followed by a control call, and everything runs three ways: in order on one worker, whose one slot
//! is surely reused; out of order on all workers, with a control beside them; and all at once. Meanwhile a port
//! listens that nobody may reach, and a variable of the environment waits that nobody may read. Besides, everything
//! runs in order and shuffled with every instance that is used again compared with a new one, byte by byte.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test ends where something unexpected is found")]

use std::io::ErrorKind;
use std::net::TcpListener;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use futures::StreamExt;
use futures::executor::block_on;
use futures::future::join_all;
use greensand_sandbox::{GuestTemplate, InstanceMode, Sandbox, SandboxSettings, ToolchainStatus};
use greensand_tests::compilers::{compiling, missing};
use greensand_tests::languages::{LANGUAGES, LanguageSources, languages_of};
use greensand_types::{CallOutcome, CallStatus, Entry, FunctionRuntime, Invocation, JsonText, Limits, SourceText};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

/// A variable of the host that no guest may see.
const CANARY: (&str, &str) = ("HOSTILE_CANARY", "hostile-canary-9d41c7");

/// How late an answer may be beyond the wall clock of its call.
const GRACE: Duration = Duration::from_millis(250);

/// How long a build may take before it is ended.
const BUILD_WALL: Duration = Duration::from_secs(8);

#[derive(Deserialize)]
struct Case {
    id: String,
    language: String,
    category: String,
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
    let listener = Listener::open();
    let cases = read_cases(&folder);
    let one = open(1);
    check_in_order(&folder, &cases, &one);
    check_out_of_order(&folder, "out of order", &cases, &open(2));
    check_at_once(&folder, &cases, &open(2));
    listener.check(&one);
}

#[test]
fn instances_that_hostile_functions_had_are_as_new() {
    let Some(folder) = corpus() else {
        eprintln!("skipped: there is no hostile corpus beside the repository");
        return;
    };
    let cases = read_cases(&folder);
    // Whatever differs is a fault of the host, and fails where the answer is unwrapped.
    let sandbox = open_with(1, InstanceMode::Verified);
    let answers: Vec<_> = cases.iter().map(|case| answer(&sandbox, case)).collect();
    judge(&folder, "in order, verified", &answers);
    let answers: Vec<_> = shuffled(&cases).into_iter().map(|case| answer(&sandbox, case)).collect();
    let is_its_own = |answer: &Answer| cases.iter().any(|case| case.id == answer.id && case.after.is_none());
    judge(&folder, "shuffled, verified", &answers.into_iter().filter(is_its_own).collect::<Vec<_>>());
    check_compared("one worker", &sandbox);
    let workers = thread::available_parallelism().map_or(2, NonZero::get).max(2);
    let sandbox = open_with(workers, InstanceMode::Verified);
    check_out_of_order(&folder, "out of order on all workers, verified", &cases, &sandbox);
    check_compared("all workers", &sandbox);
    // Each language by itself, so that none is carried by the others.
    for language in LANGUAGES {
        let cases: Vec<_> = cases.iter().filter(|case| case.language == language.name).collect();
        if cases.is_empty() {
            continue;
        }
        let sandbox = open_with(1, InstanceMode::Verified);
        let is_quick = |case: &&&Case| !case.attacks_build() && case.category != "infinite_loop";
        for case in cases.iter().filter(is_quick) {
            let Invocation { source, limits, .. } = invocation(case);
            let described = block_on(sandbox.describe(source, case.entry.clone(), limits));
            described.unwrap_or_else(|fault| panic!("`{}` was a fault of the host: {fault:?}", case.id));
            let _ = answer(&sandbox, case);
        }
        let (what, used) = (format!("{} functions in `{}`", cases.len(), language.name), sandbox.instances());
        match sandbox.toolchain_status(&language.name.parse().unwrap()) {
            ToolchainStatus::NotNeeded => check_compared(&what, &sandbox),
            // Modules always have new instances. A front takes more memory for each source, and what grew is not used again.
            _ => eprintln!("{what}: {} instances of its front", used.made + used.restored),
        }
    }
}

/// Checks that instances were restored and compared, where the kernel lets them be.
fn check_compared(what: &str, sandbox: &Sandbox) {
    let used = sandbox.instances();
    assert_eq!(used.mode == InstanceMode::Verified, used.fallback.is_none());
    assert!(used.fallback.is_some() || used.restored > 0, "{what}: {used:?}");
    eprintln!("{what}: {} instances made, {} restored and compared", used.made, used.restored);
}

/// Cases that use up their wall clock although they are no loops by name.
const WAITS: [&str; 1] = ["rs-panic-hook"];

fn check_in_order(folder: &Path, cases: &[Case], sandbox: &Sandbox) {
    // Two rounds warm up: every page that calls keep is then there, and every function that can be built is open. What
    // only ends with the build is attacked once.
    for _ in 0..2 {
        cases.iter().filter(|case| case.category != "build_bomb").for_each(|case| drop(answer(sandbox, case)));
    }
    // Each slot of the pool keeps some of its pages, so it takes a while until the last one has been used. A leak never
    // comes to rest.
    let mut resident = 0;
    for _ in 0..60 {
        let ends_soon = |case: &&Case| !["build_bomb", "infinite_loop"].contains(&case.category.as_str());
        cases
            .iter()
            .filter(ends_soon)
            .filter(|case| !WAITS.contains(&case.id.as_str()))
            .for_each(|case| drop(answer(sandbox, case)));
        let now = Footprint::now().resident;
        if now <= resident + resident / 200 {
            break;
        }
        resident = now;
    }
    let before = Footprint::at_rest();
    let answers: Vec<_> = cases.iter().map(|case| answer(sandbox, case)).collect();
    let after = Footprint::at_rest();
    judge(folder, "in order", &answers);
    for answer in &answers {
        let Answer { id, latency, wall, .. } = answer;
        assert!(*latency <= *wall + GRACE, "`{id}` was answered after {latency:?}, its wall clock is {wall:?}");
    }
    // Nothing may stay behind; what was still closing before may be gone after.
    let grown = before.counts().iter().zip(after.counts()).any(|(before, after)| after > *before);
    assert!(!grown, "threads, descriptors, children: {:?}, then {:?}", before.counts(), after.counts());
    assert!(after.resident <= before.resident + before.resident / 10, "{before:?} {after:?}");
    let left: Vec<_> = fs::read_dir("/tmp").unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("hostile-")), "{left:?}");
}

/// Runs everything out of order, four at once, while somebody else calls a function that must always answer.
fn check_out_of_order(folder: &Path, run: &str, cases: &[Case], sandbox: &Sandbox) {
    let is_done = AtomicBool::new(false);
    let (answers, mut controls) = thread::scope(|scope| {
        let control = scope.spawn(|| {
            let mut latencies = Vec::new();
            while !is_done.load(Ordering::Relaxed) {
                let started = Instant::now();
                assert!(is_control_ok(sandbox, &cases[latencies.len() % cases.len()]), "a control call failed");
                latencies.push(started.elapsed());
            }
            latencies
        });
        let calls = shuffled(cases).into_iter().map(|case| async move {
            // What must run directly after another entry still does.
            if let Some(first) = cases.iter().find(|first| case.after.as_ref() == Some(&first.id)) {
                let _ = sandbox.invoke(invocation(first)).await;
            }
            Answer::of(case, sandbox.invoke(invocation(case)).await.unwrap())
        });
        let answers = block_on(futures::stream::iter(calls).buffer_unordered(4).collect::<Vec<_>>());
        is_done.store(true, Ordering::Relaxed);
        (answers, control.join().unwrap())
    });
    judge(folder, run, &answers);
    controls.sort();
    let [middle, last] = [controls[controls.len() / 2], controls[controls.len() - 1]];
    eprintln!("controls beside them: {}, {middle:?} in the middle, {last:?} at most", controls.len());
}

fn check_at_once(folder: &Path, cases: &[Case], sandbox: &Sandbox) {
    let calls = cases.iter().map(|case| sandbox.invoke(invocation(case)));
    let outcomes = block_on(join_all(calls));
    let answers = cases.iter().zip(outcomes).map(|(case, outcome)| {
        let answer = Answer::of(case, outcome.unwrap());
        assert!(answer.latency <= answer.wall + GRACE, "`{}` took {:?}", case.id, answer.latency);
        answer
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
    Answer { latency, is_control_ok: is_control_ok(sandbox, case), ..Answer::of(case, outcome) }
}

/// Calls a function that returns 1, in the language of a case, by somebody else.
fn is_control_ok(sandbox: &Sandbox, case: &Case) -> bool {
    let language = languages_of([&*case.language])[0];
    let control = block_on(sandbox.invoke(invocation_of(sandbox, language, language.one)));
    control.unwrap().value().is_some_and(|value| value.get() == "1")
}

/// Returns the cases in an order that is always the same and has nothing to do with theirs.
fn shuffled(cases: &[Case]) -> Vec<&Case> {
    let mut cases: Vec<_> = cases.iter().collect();
    cases.sort_by_key(|case| case.id.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte)));
    cases
}

impl Case {
    fn attacks_build(&self) -> bool {
        self.category.starts_with("build_")
    }
}

impl Answer {
    fn of(case: &Case, outcome: CallOutcome) -> Self {
        let (latency, wall) = (outcome.usage.wall, limits(case).wall);
        let wall = if case.attacks_build() { wall + BUILD_WALL } else { wall };
        Self { id: case.id.clone(), outcome, latency, wall, is_control_ok: true }
    }
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
    let source = SourceText {
        language: case.language.parse().unwrap(),
        text: case.source.as_str().into(),
        packages: Vec::new(),
    };
    let arguments = JsonText::parse(&format!("[{}]", arguments.join(","))).unwrap();
    let call = Invocation::new(source, Entry::Function(case.entry.clone()), arguments, limits(case));
    Invocation {
        seed: case.limits.get("seed").map_or(0, |seed| seed.as_u64().unwrap()),
        tenant: "hostile".parse().unwrap(),
        ..call
    }
}

/// A call of a function of ours that takes nothing, under the default limits, for somebody who sends nothing hostile.
fn invocation_of(sandbox: &Sandbox, language: &LanguageSources, text: &str) -> Invocation {
    let name = language.name.parse().unwrap();
    let limits = sandbox.default_limits(&name).unwrap();
    let source = SourceText { language: name, text: text.into(), packages: Vec::new() };
    let call = Invocation::new(source, Entry::Function("f".into()), JsonText::parse("[]").unwrap(), limits);
    Invocation { tenant: "control".parse().unwrap(), ..call }
}

fn limits(case: &Case) -> Limits {
    // The interpreter of Python needs more than the others; the corpus says so.
    let memory_bytes = if case.language == "python" { 128 << 20 } else { Limits::DEFAULT.memory_bytes };
    let mut limits = Limits { memory_bytes, build_wall: BUILD_WALL, ..Limits::DEFAULT };
    for (name, value) in &case.limits {
        let value = value.as_u64().unwrap_or_default();
        match name.as_str() {
            // Every call is deterministic; the seed is no limit here.
            "deterministic" | "seed" => {}
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
    open_with(workers, InstanceMode::default())
}

fn open_with(workers: usize, instances: InstanceMode) -> Sandbox {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    let settings = SandboxSettings { workers, instances, ..SandboxSettings::new(cache) };
    Sandbox::open(compiling(env!("CARGO_BIN_EXE_helper"), settings)).unwrap()
}

fn corpus() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases");
    folder.join("hostile.jsonl").is_file().then_some(folder)
}

/// Reads the cases of the languages that exist, and that this machine can run.
fn read_cases(folder: &Path) -> Vec<Case> {
    let text = fs::read_to_string(folder.join("hostile.jsonl")).unwrap();
    let cases = text.lines().map(|line| serde_json::from_str::<Case>(line).unwrap());
    let sandbox = open(1);
    let languages = runnable(&sandbox);
    let cases: Vec<_> = cases.collect();
    for language in LANGUAGES {
        let count = cases.iter().filter(|case| case.language == language.name).count();
        match languages.iter().any(|runs| runs.name == language.name) {
            true => eprintln!("`{}`: {count} hostile functions", language.name),
            false => eprintln!("skipped: the {count} functions in `{}`, which cannot run here", language.name),
        }
    }
    // A language of the corpus that nobody has a row for would be left out in silence.
    assert!(cases.iter().all(|case| LANGUAGES.iter().any(|language| language.name == case.language)));
    let cases = cases.into_iter();
    cases.filter(|case| languages.iter().any(|language| language.name == case.language)).collect()
}

/// Returns the languages whose functions can run here. The first call of each makes its image, or builds.
fn runnable(sandbox: &Sandbox) -> Vec<&'static LanguageSources> {
    let can_run = |language: &&GuestTemplate| language.image().is_some() && missing(sandbox, language).is_none();
    let languages = languages_of(sandbox.languages().filter(can_run).map(|language| language.name));
    for language in &languages {
        let outcome = block_on(sandbox.invoke(invocation_of(sandbox, language, language.one))).unwrap();
        assert_eq!(outcome.status(), CallStatus::Ok, "`{}`: {outcome:?}", language.name);
    }
    languages
}

/// A port of this machine that no function may reach.
struct Listener(TcpListener);

impl Listener {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// Lets a function of each language knock, and looks whether anybody did.
    fn check(&self, sandbox: &Sandbox) {
        let port = self.0.local_addr().unwrap().port().to_string();
        for language in runnable(sandbox) {
            let knock = invocation_of(sandbox, language, &language.knock.replace("PORT", &port));
            let outcome = block_on(sandbox.invoke(knock)).unwrap();
            let is_refused = match outcome.status() {
                CallStatus::Denied | CallStatus::Error => true,
                CallStatus::Ok => outcome.value().is_some_and(|value| value.get() == "false"),
                _ => false,
            };
            assert!(is_refused, "`{}`: {outcome:?}", language.name);
        }
        let nobody = self.0.accept().expect_err("nobody connects");
        assert_eq!(nobody.kind(), ErrorKind::WouldBlock);
        // The port was open all the time: somebody outside the sandbox gets in.
        let _connection = std::net::TcpStream::connect(self.0.local_addr().unwrap()).unwrap();
        self.0.set_nonblocking(false).unwrap();
        assert!(self.0.accept().is_ok());
    }
}

/// What this process holds of the host.
#[derive(Debug)]
struct Footprint {
    threads: usize,
    descriptors: usize,
    children: usize,
    resident: u64,
}

impl Footprint {
    fn now() -> Self {
        let names = |folder: &str| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let threads = names("/proc/self/task");
        // A thread may have ended since it was listed.
        let children = threads.iter().map(|thread| fs::read_to_string(thread.join("children")).unwrap_or_default());
        let children = children.map(|children| children.split_whitespace().count()).sum();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let resident = resident.trim().trim_end_matches(" kB").parse().unwrap();
        Self { threads: threads.len(), descriptors: names("/proc/self/fd").len(), children, resident }
    }

    /// What it holds once nothing is built in the background any more.
    fn at_rest() -> Self {
        let until = Instant::now() + Duration::from_secs(120);
        let mut quiet_since = Instant::now();
        loop {
            let footprint = Self::now();
            if footprint.children > 0 {
                quiet_since = Instant::now();
            }
            // Between two builds there is a moment without a child.
            if quiet_since.elapsed() > Duration::from_secs(1) || Instant::now() > until {
                return footprint;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn counts(&self) -> [usize; 3] {
        [self.threads, self.descriptors, self.children]
    }
}

/// Functions that leave the text of [`SCANNER`] all over their memory.
const FILLERS: &[(&str, &str)] = &[
    ("python", "KEEP = []\ndef f():\n    KEEP.append(('secret-heap-' + '5e1f77') * 200000)\n    return 1\n"),
    ("javascript", "function f() { globalThis.keep = ('secret-heap-' + '5e1f77').repeat(200000); return keep.length }"),
    (
        "rust",
        "pub fn f() -> usize { let v = [\"secret-heap-\", \"5e1f77\"].concat().repeat(200_000); let n = v.len();\n\
              std::mem::forget(std::hint::black_box(v)); n }",
    ),
];

/// Grows its memory as far as it may, reads every byte of it, and counts the places where the text of the fillers lies.
const SCANNER: &str = r#"
pub fn f(plant: bool) -> u32 {
    use core::arch::wasm32::{memory_grow, memory_size};
    while memory_grow::<0>(16) != usize::MAX {}
    let end = memory_size::<0>() << 16;
    let hidden: Vec<u8> = b"rdbsdu,id`q,4d0g66".to_vec();
    let is_match = |at: usize| hidden.iter().enumerate().all(|(index, byte)| {
        unsafe { core::ptr::read_volatile((at + index) as *const u8) == byte ^ 1 }
    });
    if plant {
        for (index, byte) in hidden.iter().enumerate() {
            unsafe { core::ptr::write_volatile((end - 64 + index) as *mut u8, byte ^ 1) }
        }
    }
    (8..end - hidden.len()).filter(|at| is_match(*at)).count() as u32
}
"#;

#[test]
fn no_byte_of_a_call_is_found_in_the_memory_of_the_next() {
    let sandbox = open(1);
    let languages = runnable(&sandbox);
    let Some(rust) = languages.iter().find(|language| language.name == "rust") else {
        eprintln!("skipped: only Rust can read its own memory, and it cannot run here");
        return;
    };
    let scan = |plant: &str| {
        let scanner = invocation_of(&sandbox, rust, SCANNER);
        let limits = Limits { wall: Duration::from_secs(20), ..scanner.limits };
        let outcome =
            block_on(sandbox.invoke(Invocation { arguments: JsonText::parse(plant).unwrap(), limits, ..scanner }));
        let outcome = outcome.unwrap();
        outcome.value().unwrap_or_else(|| panic!("{outcome:?}")).get().to_owned()
    };
    assert_eq!(scan("[true]"), "1", "the scanner does not find what is there");
    for (name, source) in FILLERS {
        let Some(language) = languages.iter().find(|language| language.name == *name) else { continue };
        for _ in 0..3 {
            let outcome = block_on(sandbox.invoke(invocation_of(&sandbox, language, source))).unwrap();
            assert_eq!(outcome.status(), CallStatus::Ok, "{outcome:?}");
            assert_eq!(scan("[false]"), "0", "after `{name}`");
        }
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
