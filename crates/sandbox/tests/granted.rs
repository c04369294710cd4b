//! What a call reaches beyond its memory: functions of the host, other learned functions, input files.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use common::{LIMITS, source};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::executor::block_on;
use greensand_sandbox::{GuestTemplate, NestingLimits, Sandbox, SandboxSettings};
use greensand_types::{
    CallOutcome, CallStatus, ClockGrant, Entry, FunctionRuntime, GrantedFunction, Grants, HostFault, HostFunctionError,
    HostGrant, Invocation, JsonText, LearnedGrant, Limits,
};

fn template() -> &'static GuestTemplate {
    static TEMPLATE: LazyLock<&GuestTemplate> = LazyLock::new(|| {
        let guest = wat::parse_str(include_str!("common/caller.wat")).unwrap();
        common::leak(common::template_of(&guest, None))
    });
    *TEMPLATE
}

fn open(workers: usize, nesting: NestingLimits) -> Sandbox {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("caller");
    let settings = SandboxSettings { workers, nesting, languages: vec![template()], ..SandboxSettings::new(cache) };
    Sandbox::open(settings).unwrap()
}

fn sandbox() -> &'static Sandbox {
    static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| open(2, NestingLimits::default()));
    &SANDBOX
}

fn invocation(text: &str, arguments: &str, grants: Grants) -> Invocation {
    let arguments = JsonText::parse(arguments).unwrap();
    Invocation { grants, ..Invocation::new(source(text), Entry::Function("f".into()), arguments, LIMITS) }
}

fn run(text: &str, arguments: &str, grants: Grants) -> CallOutcome {
    block_on(sandbox().invoke(invocation(text, arguments, grants))).unwrap()
}

/// Checks the class of an outcome and a part of its message.
#[track_caller]
fn check(outcome: &CallOutcome, status: CallStatus, message: &str) {
    assert_eq!(outcome.status(), status, "{outcome:?}");
    let found = outcome.failure().map_or("", |failure| &failure.message);
    assert!(found.contains(message), "{found:?} lacks {message:?}");
}

#[track_caller]
fn value(outcome: &CallOutcome) -> &str {
    outcome.value().unwrap_or_else(|| panic!("{outcome:?}")).get()
}

#[track_caller]
fn hex(outcome: &CallOutcome) -> u64 {
    u64::from_str_radix(value(outcome).trim_matches('"'), 16).unwrap()
}

fn grants(functions: impl IntoIterator<Item = (&'static str, GrantedFunction)>) -> Grants {
    let functions = functions.into_iter().map(|(name, function)| (name.parse().unwrap(), function));
    Grants { functions: functions.collect(), ..Grants::default() }
}

/// A host function that returns its arguments.
fn echo() -> HostGrant {
    HostGrant::new(|arguments| async { Ok(arguments) })
}

/// A host function that never answers; the receiver learns when it is dropped.
fn silent() -> (HostGrant, oneshot::Receiver<()>) {
    let (alive, is_dropped) = oneshot::channel::<()>();
    let alive = Arc::new(std::sync::Mutex::new(Some(alive)));
    let grant = HostGrant::new(move |_| {
        let alive = alive.lock().unwrap().take();
        async move {
            let _alive = alive;
            std::future::pending().await
        }
    });
    (grant, is_dropped)
}

fn host(grant: HostGrant) -> GrantedFunction {
    GrantedFunction::Host(grant)
}

fn learned(text: &str) -> GrantedFunction {
    learned_within(text, Limits { wall: Duration::from_secs(60), ..LIMITS })
}

fn learned_within(text: &str, limits: Limits) -> GrantedFunction {
    GrantedFunction::Learned(LearnedGrant { source: source(text), entry: "f".into(), limits })
}

#[test]
fn the_image_of_what_a_module_may_call_is_made_before_its_clock_starts() {
    // A guest that starts for longer than the caller's wall clock.
    let starts = r#"(func (export "gs_init") (local i64) (loop $again
        (local.set 0 (i64.add (local.get 0) (i64.const 1)))
        (br_if $again (i64.lt_u (local.get 0) (i64.const 3000000000)))))"#;
    let guest = include_str!("common/caller.wat").replace(r#"(func (export "gs_init"))"#, starts);
    let slow = common::leak(common::template_of(&wat::parse_str(guest).unwrap(), None));
    let import = r#"(import "greensand" "call" (func $call (param i32 i32 i32 i32) (result i64)))"#;
    let (reply, packed) = common::modules::reply_data(0, 0, "", "1");
    let data = format!(r#"(data (i32.const 8) "other[]") {reply}"#);
    let code = format!(
        "(if (i64.ge_u (call $call (i32.const 8) (i32.const 5) (i32.const 13) (i32.const 2)) (i64.const 0x100000000))
            (then (unreachable))) (i64.const {packed})"
    );
    let caller = common::modules::core_with(import, &data, &code);
    let folder = tempfile::tempdir().unwrap();
    let languages = vec![slow, &common::modules::TEMPLATE];
    let settings = SandboxSettings { languages, ..common::modules::settings(folder.path()) };
    let sandbox = Sandbox::open(settings).unwrap();
    let grants = grants([("other", learned("a"))]);
    let arguments = JsonText::parse("[]").unwrap();
    let call = Invocation::new(common::modules::source(&caller), Entry::Function("f".into()), arguments, LIMITS);
    let begun = Instant::now();
    let outcome = block_on(sandbox.invoke(Invocation { grants, ..call })).unwrap();
    assert_eq!(value(&outcome), "1");
    assert!(begun.elapsed() > LIMITS.wall, "nothing was shown: the image was made within {:?}", begun.elapsed());
}

// Functions of the host -------------------------------------------------------------------------------------------

#[test]
fn a_host_function_takes_and_gives_json() {
    for arguments in ["[]", r#"{"a":[1,{"b":"\u20ac"}]}"#, "[123456789012345678901234567890,1e400]"] {
        assert_eq!(value(&run("cecho", arguments, grants([("echo", host(echo()))]))), arguments);
    }
}

#[test]
fn an_answer_may_come_from_another_thread() {
    let doubled = HostGrant::new(|arguments: JsonText| {
        let (answer, answered) = oneshot::channel();
        thread::spawn(move || answer.send(JsonText::parse(&format!("[{arguments},{arguments}]")).unwrap()));
        async { answered.await.map_err(|_| HostFunctionError::Failed("the thread is gone".into())) }
    });
    assert_eq!(value(&run("cdouble", "[1]", grants([("double", host(doubled))]))), "[[1],[1]]");
}

#[test]
fn a_function_that_is_not_granted_is_denied_by_name() {
    check(&run("cecho", "[]", Grants::default()), CallStatus::Denied, "no function `echo` is granted");
    let others = grants([("one", host(echo())), ("two", learned("a"))]);
    check(
        &run("cecho", "[]", others),
        CallStatus::Denied,
        "`echo` is not granted to functions: no function `echo` is granted; granted: `one`, `two`",
    );
    for name in ["", "a b", &"x".repeat(5000)] {
        assert_eq!(run(&format!("c{name}"), "[]", Grants::default()).status(), CallStatus::Denied, "{name}");
    }
}

#[test]
fn a_failure_of_a_host_function_is_told_to_its_caller() {
    let failing = || HostGrant::new(|_| async { Err(HostFunctionError::Failed("no such city".into())) });
    check(&run("cfail", "[]", grants([("fail", host(failing()))])), CallStatus::Error, "no such city");
    let long = HostGrant::new(|_| async { Err(HostFunctionError::Failed("x".repeat(1 << 20))) });
    let outcome = run("cfail", "[]", grants([("fail", host(long))]));
    check(&outcome, CallStatus::Error, "characters left out");
    assert!(outcome.failure().unwrap().message.len() < 5000);
}

#[test]
fn faults_and_panics_of_a_host_function_are_faults_of_the_host() {
    let fault = HostGrant::new(|_| async {
        Err(HostFunctionError::Fault(HostFault::caused_by("ask the service", std::io::Error::other("no route"))))
    });
    let panicking = HostGrant::new(|arguments: JsonText| async move { panic!("not this: {arguments}") });
    for (grant, message) in [(fault, "ask the service: no route"), (panicking, "`f` panicked: not this: [1]")] {
        let result = block_on(sandbox().invoke(invocation("cf", "[1]", grants([("f", host(grant))]))));
        let text = result.unwrap_err().to_string();
        assert!(text.contains(message), "{text}");
    }
    // The workers live on.
    for _ in 0..4 {
        assert_eq!(value(&run("a", "[2]", Grants::default())), "[2]");
    }
}

#[test]
fn a_host_function_is_called_only_so_often() {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    let counting = HostGrant::new(move |arguments| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok(arguments) }
    });
    let counting = HostGrant { most_calls: 7, ..counting };
    for _ in 0..2 {
        let outcome = run("Ccount", "[]", grants([("count", host(counting.clone()))]));
        check(&outcome, CallStatus::Error, "host function `count` may be called 7 times in one call");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 14);
}

#[test]
fn a_host_function_that_uses_its_own_time_is_a_failure_that_its_caller_survives() {
    let (grant, is_dropped) = silent();
    let grant = HostGrant { wall: Duration::from_millis(20), ..grant };
    let outcome = run("csilent", "[]", grants([("silent", host(grant))]));
    check(&outcome, CallStatus::Error, "host function `silent` used its 20 ms");
    assert!(is_dropped.now_or_never().unwrap().is_err(), "what did not answer is dropped");
}

#[test]
fn a_host_function_that_never_answers_ends_with_the_wall_clock_of_its_caller() {
    let (grant, is_dropped) = silent();
    let grant = HostGrant { wall: Duration::from_secs(3600), ..grant };
    let outcome = run("csilent", "[]", grants([("silent", host(grant))]));
    check(&outcome, CallStatus::Timeout, "used its 500 ms of wall clock");
    assert!(outcome.usage.wall >= LIMITS.wall && outcome.usage.wall < Duration::from_secs(10), "{outcome:?}");
    assert!(is_dropped.now_or_never().unwrap().is_err());
}

#[test]
fn what_goes_in_and_out_is_held_to_the_limits_of_the_call() {
    let long = HostGrant::new(|_| async { Ok(JsonText::parse(&format!("\"{}\"", "x".repeat(999))).unwrap()) });
    let outcome = run("clong", "[]", grants([("long", host(long))]));
    check(&outcome, CallStatus::Error, "the result of host function `long` has 1001 bytes, the limit is 1000");
    let name = format!("b{}", "x".repeat(1001));
    check(&run(&name, "[]", Grants::default()), CallStatus::Error, "have 1001 bytes, the limit is 1000");
    check(&run("becho", "[]", grants([("echo", host(echo()))])), CallStatus::Error, "not well-formed JSON");
    check(&run("b", "[]", Grants::default()), CallStatus::Denied, "no function ``");
}

#[test]
fn a_dropped_future_stops_a_call_that_waits_for_the_host() {
    let (grant, is_dropped) = silent();
    check_abandoned(host(HostGrant { wall: Duration::from_secs(3600), ..grant }));
    assert!(block_on(is_dropped).is_err());
}

/// Abandons a call of an hour once it has begun, and checks that its worker is free again long before that.
#[track_caller]
fn check_abandoned(endless: GrantedFunction) {
    let sandbox = open(1, NestingLimits::default());
    let (started, has_started) = std::sync::mpsc::channel();
    let starting = HostGrant::new(move |arguments| {
        started.send(()).unwrap();
        async { Ok(arguments) }
    });
    let mut call = invocation("tendless", "[]", grants([("started", host(starting)), ("endless", endless)]));
    call.limits.wall = Duration::from_secs(3600);
    let mut future = sandbox.invoke(call);
    assert!(future.as_mut().now_or_never().is_none());
    has_started.recv().unwrap();
    let dropped = Instant::now();
    drop(future);
    assert_eq!(value(&block_on(sandbox.invoke(invocation("a", "[2]", Grants::default()))).unwrap()), "[2]");
    assert!(dropped.elapsed() < Duration::from_secs(20), "{:?}", dropped.elapsed());
}

// A guest that breaks the contract --------------------------------------------------------------------------------

#[test]
fn ranges_outside_of_the_memory_are_errors() {
    let grants = || grants([("echo", host(echo()))]);
    check(&run("xecho", "[]", grants()), CallStatus::Error, "a range outside of its memory to `call`");
    check(&run("Xecho", "[]", grants()), CallStatus::Error, "a range outside of its memory to `take`");
    assert_eq!(value(&run("p", "[1]", grants())), "[1]", "there is nothing to take");
}

// Learned functions -----------------------------------------------------------------------------------------------

#[test]
fn a_learned_function_calls_another_one() {
    let set = || grants([("inner", learned("a")), ("middle", learned("cinner"))]);
    for text in ["cinner", "cmiddle"] {
        assert_eq!(value(&run(text, r#"{"n":[1,2]}"#, set())), r#"{"n":[1,2]}"#);
    }
}

#[test]
fn a_failure_of_a_learned_function_is_told_with_its_class() {
    let quick = |text| learned_within(text, Limits { wall: Duration::from_millis(20), ..LIMITS });
    for (function, status) in [
        (quick("l"), "timeout"),
        (learned("u"), "error"),
        (learned("k"), "error"),
        (learned(&format!("o{}", "x".repeat(101))), "output_limit"),
        (learned("cnobody"), "denied"),
    ] {
        let outcome = run("cinner", "[]", grants([("inner", function)]));
        check(&outcome, CallStatus::Error, &format!("function `inner` ended with `{status}`: "));
    }
    let mut unknown = learned("a");
    if let GrantedFunction::Learned(grant) = &mut unknown {
        grant.source.language = "latin".parse().unwrap();
    }
    let outcome = run("cinner", "[]", grants([("inner", unknown)]));
    check(&outcome, CallStatus::Error, "ended with `invalid`: no guest language is called `latin`");
}

#[test]
fn a_callee_that_outlasts_its_caller_ends_the_caller() {
    let set = || grants([("endless", learned("l")), ("middle", learned("cendless"))]);
    for text in ["cendless", "cmiddle"] {
        let outcome = run(text, "[]", set());
        check(&outcome, CallStatus::Timeout, "used its 500 ms of wall clock");
        assert!(outcome.usage.wall >= LIMITS.wall && outcome.usage.wall < Duration::from_secs(10), "{outcome:?}");
    }
}

#[test]
fn depth_and_number_of_nested_calls_are_bounded() {
    let outcome = run("cself", "[]", grants([("self", learned("cself"))]));
    check(&outcome, CallStatus::Error, "functions may call one another only 4 deep");
    let mut patient = invocation("Cinner", "[]", grants([("inner", learned("a"))]));
    patient.limits.wall = Duration::from_secs(60);
    let outcome = block_on(sandbox().invoke(patient)).unwrap();
    check(&outcome, CallStatus::Error, "functions may call one another only 1000 times in one call");
    let none = open(1, NestingLimits { depth: 0, calls: 1000 });
    let outcome = block_on(none.invoke(invocation("cinner", "[]", grants([("inner", learned("a"))])))).unwrap();
    check(&outcome, CallStatus::Error, "only 0 deep");
}

#[test]
fn every_nested_call_has_a_whole_stack() {
    let set = grants([
        ("one", learned("ctwo")),
        ("two", learned("cthree")),
        ("three", learned("cfour")),
        ("four", learned("k")),
    ]);
    check(
        &run("cone", "[]", set),
        CallStatus::Error,
        "function `four` ended with `error`: the function used up its stack",
    );
}

#[test]
fn a_callee_is_granted_nothing_but_the_learned_functions() {
    let mut set =
        grants([("echo", host(echo())), ("asks", learned("cecho")), ("looks", learned("f")), ("sleeps", learned("s"))]);
    set.clock = ClockGrant::Real;
    set.files.insert("a".parse().unwrap(), *b"1").unwrap();
    let outcome = run("casks", "[]", set.clone());
    check(
        &outcome,
        CallStatus::Error,
        "ended with `denied`: `echo` is not granted to functions: no function `echo` is granted; granted: `asks`, `looks`, `sleeps`",
    );
    assert_eq!(value(&run("clooks", "[]", set.clone())), "[]");
    assert_eq!(value(&run("f", "[]", set.clone())), r#"["a"]"#);
    let mut sleeper = invocation("csleeps", "[]", set);
    sleeper.limits.wall = Duration::from_secs(60);
    let outcome = block_on(sandbox().invoke(sleeper)).unwrap();
    assert_eq!(hex(&outcome), 1_735_689_601_000_000_000, "its clock is virtual");
}

#[test]
fn all_instances_of_a_call_keep_to_its_memory_together() {
    let greedy = || grants([("greedy", learned("M")), ("middle", learned("mgreedy"))]);
    let pages = |text| hex(&run(text, "[]", greedy()));
    let (alone, nested, deeper) = (pages("M"), pages("mgreedy"), pages("mmiddle"));
    assert_eq!(alone * 65_536, LIMITS.memory_bytes);
    // Its caller has the two pages of its start and the MiB that it took.
    assert_eq!(nested, alone - 2 - 16);
    assert_eq!(deeper, alone - 2 * (2 + 16));
    let outcome = run("mgreedy", "[]", greedy());
    assert_eq!(outcome.usage.peak_memory_bytes, LIMITS.memory_bytes, "the peak counts all of them");
}

#[test]
fn what_a_callee_writes_goes_nowhere() {
    let outcome = run("cloud", "[1]", grants([("loud", learned("ohello"))]));
    assert_eq!((value(&outcome), outcome.stdout.text.as_str()), ("[1]", ""));
}

#[test]
fn what_a_callee_sleeps_counts_for_its_caller() {
    let set = || grants([("sleeps", learned("s")), ("middle", learned("csleeps"))]);
    let run_for = |text, wall| {
        let mut call = invocation(text, "[]", set());
        call.limits.wall = Duration::from_millis(wall);
        block_on(sandbox().invoke(call)).unwrap()
    };
    for text in ["Tsleeps", "Tmiddle"] {
        assert_eq!(hex(&run_for(text, 60_000)), 1_735_689_601_000_000_000, "{text}");
        check(&run_for(text, 1000), CallStatus::Timeout, "1000 ms");
    }
}

#[test]
fn nested_randomness_is_seeded_and_differs_by_call() {
    let set = || grants([("random", learned("n")), ("middle", learned("crandom"))]);
    let draw = |text: &str, seed| {
        let mut call = invocation(text, "[]", set());
        call.seed = seed;
        hex(&block_on(sandbox().invoke(call)).unwrap())
    };
    assert_eq!(draw("crandom", 1), draw("crandom", 1));
    let mut drawn = vec![draw("n", 1), draw("crandom", 1), draw("crandom", 2), draw("cmiddle", 1)];
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 4);
}

#[test]
fn a_dropped_future_stops_a_nested_call() {
    check_abandoned(learned_within("l", Limits { wall: Duration::from_secs(3600), ..LIMITS }));
}

// Input files -----------------------------------------------------------------------------------------------------

fn with_files(files: &[(&str, &[u8])]) -> Grants {
    let mut grants = Grants::default();
    for (name, bytes) in files {
        grants.files.insert(name.parse().unwrap(), *bytes).unwrap();
    }
    grants
}

#[test]
fn files_are_read_by_name() {
    let files = || with_files(&[("data/b.json", b"[1, 2, 3]"), ("a", b"\"\xe2\x82\xac\""), ("empty", b"")]);
    assert_eq!(value(&run("f", "[]", files())), r#"["a","data/b.json","empty"]"#);
    assert_eq!(value(&run("f", "[]", Grants::default())), "[]");
    assert_eq!(value(&run("Fdata/b.json", "[]", files())), "[1, 2, 3]");
    assert_eq!(value(&run("Fa", "[]", files())), "\"\u{20ac}\"");
    for (name, size) in [("data/b.json", 9), ("empty", 0), ("data", u64::MAX), ("", u64::MAX), ("nothing", u64::MAX)] {
        assert_eq!(hex(&run(&format!("z{name}"), "[]", files())), size, "{name}");
    }
}

#[test]
fn nothing_is_read_beyond_a_file() {
    assert_eq!(hex(&run("ga", "[]", with_files(&[("a", b"123")]))), 0);
    assert_eq!(hex(&run("gb", "[]", with_files(&[("a", b"123")]))), u64::MAX - 1, "there is no such file, twice");
}
