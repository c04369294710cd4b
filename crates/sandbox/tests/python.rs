//! Python through the sandbox: what the language promises, its limits, determinism and isolation.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::join_all;
use greensand_sandbox::{Recycling, Sandbox, SandboxSettings};
use greensand_types::{
    CallOutcome, CallStatus, DescribeOutcome, Encoding, Entry, FunctionRuntime, GrantedFunction, Grants, HostGrant,
    Invocation, JsonText, LearnedGrant, Limits, ParameterKind, SourceText,
};

fn sandbox() -> &'static Sandbox {
    static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
        Sandbox::open(SandboxSettings { workers: 2, ..SandboxSettings::new(cache) }).unwrap()
    });
    &SANDBOX
}

fn limits() -> Limits {
    sandbox().default_limits(&"python".parse().unwrap()).unwrap()
}

fn source(text: &str) -> SourceText {
    SourceText { language: "python".parse().unwrap(), text: text.into(), packages: Vec::new() }
}

fn invocation(text: &str, arguments: &str) -> Invocation {
    Invocation::new(source(text), Entry::Function("f".into()), JsonText::parse(arguments).unwrap(), limits())
}

fn run(invocation: Invocation) -> CallOutcome {
    block_on(sandbox().invoke(invocation)).unwrap()
}

fn call(text: &str, arguments: &str) -> CallOutcome {
    run(invocation(text, arguments))
}

/// Checks the value that a function returns.
#[track_caller]
fn check(text: &str, arguments: &str, value: &str) {
    let outcome = call(text, arguments);
    assert_eq!(outcome.value().map(JsonText::get), Some(value), "{text}\n{outcome:?}");
}

/// Checks the class and a part of the message of a function that returns nothing.
#[track_caller]
fn check_failure(text: &str, arguments: &str, status: CallStatus, message: &str) {
    check_failed(&call(text, arguments), status, message);
}

#[track_caller]
fn check_failed(outcome: &CallOutcome, status: CallStatus, message: &str) {
    assert_eq!(outcome.status(), status, "{outcome:?}");
    let found = &outcome.failure().unwrap().message;
    assert!(found.contains(message), "{found:?} lacks {message:?}");
}

#[test]
fn values_go_in_and_out_as_json() {
    check("def f(a, b): return a + b", "[1, 2]", "3");
    check("def f(a, b): return a - b", r#"{"b": 1, "a": 5}"#, "4");
    check("def f(x): return x", r#"[{"a": [1.5, true, null, "€"]}]"#, r#"{"a":[1.5,true,null,"€"]}"#);
    check("def f(*a, k=1, **r): return [list(a), k, r]", "[1, 2]", "[[1,2],1,{}]");
    check("async def f(): return 7", "[]", "7");
    check("def f(): return (1, 2)", "[]", "[1,2]");
}

#[test]
fn numbers_keep_every_digit() {
    check(
        "def f(n): return n * n",
        "[123456789012345678901234567890]",
        "15241578753238836750495351562536198787501905199875019052100",
    );
    check("def f(x): return x", "[0.1]", "0.1");
    check("def f(): return -0.0", "[]", "-0.0");
    check("def f(): return 10 ** 5000 % 10 ** 4999 + 1", "[]", "1");
}

#[test]
fn the_standard_library_is_there() {
    check("import math\ndef f(): return math.factorial(20)", "[]", "2432902008176640000");
    check("import re, json, datetime, fractions\ndef f(): return str(fractions.Fraction(1, 3) + 1)", "[]", "\"4/3\"");
    check("def f():\n    import colorsys, statistics\n    return statistics.mean([1, 2, 3])", "[]", "2");
}

#[test]
fn a_raised_error_has_the_lines_of_its_source() {
    let outcome = call("def g(x):\n    return 1 // x\ndef f(x):\n    return g(x)\n", "[0]");
    check_failed(&outcome, CallStatus::Error, "ZeroDivisionError");
    let trace = outcome.failure().unwrap().trace.clone().unwrap();
    assert!(trace.contains("line 2") && trace.contains("line 4") && trace.contains("1 // x"), "{trace}");
    assert!(!trace.contains('/') || !trace.contains("work"), "{trace}");
}

#[test]
fn broken_sources_entries_arguments_and_results_are_invalid() {
    use CallStatus::Invalid;
    check_failure("def f(:\n", "[]", Invalid, "line 1");
    check_failure("", "[]", Invalid, "f");
    check_failure("def g(): return 1", "[]", Invalid, "f");
    check_failure("f = 3", "[]", Invalid, "f");
    check_failure("def f(a): return a", "[]", Invalid, "a");
    check_failure("def f(a): return a", "[1, 2]", Invalid, "");
    check_failure("def f(a): return a", r#"{"b": 1}"#, Invalid, "b");
    check_failure("def f(): return {'a': [1, {1, 2}]}", "[]", Invalid, "set");
    check_failure("def f(): return float('nan')", "[]", Invalid, "");
}

#[test]
fn a_type_error_of_the_body_is_an_error() {
    check_failure("def f(a): return a + 'x'", "[1]", CallStatus::Error, "TypeError");
    check_failure(
        "def f(a):\n    raise TypeError(\"f() missing 1 required positional argument: 'a'\")",
        "[1]",
        CallStatus::Error,
        "missing",
    );
}

#[test]
fn what_json_cannot_hold_is_tagged_on_request() {
    let mut tagged = invocation("import fractions\ndef f(): return [fractions.Fraction(1, 3)]", "[]");
    tagged.encoding = Encoding::Tagged;
    let outcome = run(tagged);
    let expected = r#"[{"$type":"fractions.Fraction","$text":"1/3"}]"#;
    assert_eq!(outcome.value().map(JsonText::get), Some(expected), "{outcome:?}");
}

#[test]
fn a_script_gives_its_last_expression() {
    let run_script = |text: &str| {
        let mut script = invocation(text, "[]");
        script.entry = Entry::Script;
        run(script)
    };
    let outcome = run_script("x = 20\nprint('hello')\nx + 22\n");
    assert_eq!(outcome.value().map(JsonText::get), Some("42"), "{outcome:?}");
    assert_eq!(outcome.stdout.text, "hello\n");
    assert_eq!(run_script("x = 1").value().map(JsonText::get), Some("null"));
    check_failed(&run_script("1 / 0"), CallStatus::Error, "ZeroDivisionError");
}

#[test]
fn output_is_kept_apart_from_the_result() {
    let outcome =
        call("import sys\ndef f():\n    print('out €')\n    print('err', file=sys.stderr)\n    return 1", "[]");
    assert_eq!(outcome.value().map(JsonText::get), Some("1"));
    assert_eq!((outcome.stdout.text.as_str(), outcome.stderr.text.as_str()), ("out €\n", "err\n"));
}

#[test]
fn output_before_a_limit_is_kept() {
    let mut endless = invocation("def f():\n    print('before')\n    while True: pass", "[]");
    endless.limits.wall = Duration::from_millis(200);
    let outcome = run(endless);
    check_failed(&outcome, CallStatus::Timeout, "200 ms");
    assert_eq!(outcome.stdout.text, "before\n");
    let outcome = call("def f():\n    while True: print('x' * 1000)", "[]");
    check_failed(&outcome, CallStatus::OutputLimit, "standard output");
    assert_eq!(outcome.stdout.text.len(), 64 << 10);
    assert!(outcome.stdout.is_truncated);
}

#[test]
fn nothing_outlasts_the_wall_clock() {
    for body in [
        "while True: pass",
        "10 ** 10 ** 8",
        "sum(range(10 ** 12))",
        "import re; re.match('(a+)+$', 'a' * 64 + '!')",
        "import time; time.sleep(10 ** 6)",
        "while True:\n        try: raise ValueError\n        except BaseException: pass",
    ] {
        let mut endless = invocation(&format!("def f():\n    {body}\n"), "[]");
        endless.limits.wall = Duration::from_millis(100);
        let started = Instant::now();
        let outcome = run(endless);
        check_failed(&outcome, CallStatus::Timeout, "100 ms");
        assert!(started.elapsed() < Duration::from_secs(20), "{body}: {:?}", outcome.usage.wall);
    }
}

#[test]
fn memory_has_an_end() {
    check_failure(
        "def f():\n    x = []\n    while True: x.append(bytearray(1 << 20))",
        "[]",
        CallStatus::Memory,
        "128 MiB",
    );
    // The first two are more than the address space holds.
    check_failure("def f(): return [0] * 10 ** 9", "[]", CallStatus::Memory, "128 MiB");
    check_failure("def f(): return 'x' * (2 ** 31 - 100)", "[]", CallStatus::Memory, "128 MiB");
    check_failure("f = bytes", "[1000000000]", CallStatus::Memory, "128 MiB");
    check_failure("def f(): raise MemoryError", "[]", CallStatus::Error, "MemoryError");
    // CPython itself trips over these two.
    check_failure("def f():\n    s = ''\n    while True: s += 'x' * (1 << 20)", "[]", CallStatus::Memory, "128 MiB");
    let mut nested = invocation("def f():\n    x = []\n    while True: x = [x, x]", "[]");
    nested.limits.wall = Duration::from_secs(60);
    check_failed(&run(nested), CallStatus::Memory, "128 MiB");
    check("def f():\n    try: x = bytearray(1 << 30)\n    except MemoryError: return 'caught'", "[]", "\"caught\"");
    check_failure("def f(): raise MemoryError('mine')", "[]", CallStatus::Error, "MemoryError");
}

#[test]
fn recursion_has_an_end() {
    check_failure("def f(): return f()", "[]", CallStatus::Error, "RecursionError");
    let deep =
        "import sys\ndef f():\n    sys.setrecursionlimit(10 ** 9)\n    def g(n): return g(n + 1)\n    return g(0)";
    // Filling the whole stack takes a while on a busy machine.
    let mut deep = invocation(deep, "[]");
    deep.limits.wall = Duration::from_secs(60);
    // A million frames need more memory than there is.
    check_failed(&run(deep), CallStatus::Memory, "128 MiB");
    let freed = "def f():\n    x = []\n    for _ in range(10 ** 6): x = [x]\n    del x";
    check_failure(freed, "[]", CallStatus::Error, "used up its stack");
}

#[test]
fn an_exit_is_never_a_success() {
    for text in
        ["import sys\ndef f(): sys.exit(0)", "import os\ndef f(): os._exit(0)", "raise SystemExit\ndef f(): pass"]
    {
        let outcome = call(text, "[]");
        assert_eq!(outcome.status(), CallStatus::Error, "{text}\n{outcome:?}");
    }
}

#[test]
fn nothing_of_the_host_is_granted() {
    check_failure("def f(): return open('/etc/passwd').read()", "[]", CallStatus::Denied, "filesystem");
    check_failure(
        "import socket\ndef f(): return socket.create_connection(('127.0.0.1', 80))",
        "[]",
        CallStatus::Denied,
        "network",
    );
    check("import os\ndef f(): return len(os.environ)", "[]", "0");
    check("def f():\n    try: open('/x', 'w')\n    except OSError: return 1", "[]", "1");
}

#[test]
fn the_same_call_has_the_same_outcome() {
    let text = "import random, time, os, uuid\ndef f(): return [random.random(), time.time(), os.urandom(4).hex(), str(uuid.uuid4()), hash('a'), list({'a', 'b', 'c'})]";
    let draw = |seed| run(Invocation { seed, ..invocation(text, "[]") });
    let (first, second) = (draw(1), draw(1));
    assert_eq!(first.status(), CallStatus::Ok, "{first:?}");
    assert_eq!((first.ending, first.stdout, first.stderr), (second.ending.clone(), second.stdout, second.stderr));
    assert_ne!(draw(2).ending, second.ending);
}

#[test]
fn nothing_of_a_call_survives_it() {
    let text = "import builtins, sys, math\nn = 0\ndef f():\n    global n\n    n += 1\n    seen = [n, hasattr(builtins, 'x'), hasattr(math, 'x'), 'y' in sys.modules]\n    builtins.x = math.x = sys.modules['y'] = 1\n    return seen";
    for _ in 0..5 {
        check(text, "[]", "[1,false,false,false]");
    }
    let calls = (0..50).map(|index| sandbox().invoke(invocation("def f(x): return x", &format!("[{index}]"))));
    for (index, outcome) in block_on(join_all(calls)).into_iter().enumerate() {
        assert_eq!(outcome.unwrap().value().unwrap().get(), index.to_string());
    }
}

#[test]
fn a_source_is_compiled_without_running() {
    let compile = |text: &str| block_on(sandbox().compile(source(text), limits())).unwrap();
    assert_eq!(compile("1 / 0").value().map(JsonText::get), Some("null"));
    check_failed(&compile("x = = 1"), CallStatus::Invalid, "line 1");
}

#[test]
fn an_entry_is_described_as_its_source_defines_it() {
    let describe = |text: &str| block_on(sandbox().describe(source(text), "f".into(), limits())).unwrap();
    let described = describe("def f(a, /, b, c=1, *args, d, **rest):\n    '''Adds.\n    More.'''\n");
    let DescribeOutcome::Described(description) = described else { panic!("{described:?}") };
    let parameters: Vec<_> =
        description.parameters.iter().map(|found| (found.name.as_str(), found.kind, found.is_required)).collect();
    use ParameterKind::{NamedOnly, NamedRest, Positional, PositionalOnly, Rest};
    let expected = [
        ("a", PositionalOnly, true),
        ("b", Positional, true),
        ("c", Positional, false),
        ("args", Rest, false),
        ("d", NamedOnly, true),
        ("rest", NamedRest, false),
    ];
    assert_eq!(parameters, expected);
    assert_eq!(description.documentation, "Adds.");
    let DescribeOutcome::Failed(outcome) = describe("def g(): pass") else { panic!() };
    assert_eq!(outcome.status(), CallStatus::Invalid);
}

#[test]
fn its_image_can_be_used_again() {
    let report = sandbox().prepare_image(&"python".parse().unwrap(), &|_| {}).unwrap();
    assert!(matches!(report.recycling, Recycling::Possible { globals: 1.. }), "{report:?}");
}

#[test]
fn a_message_carries_no_control_character() {
    let outcome = call("E = type('A\\x1b[2J', (Exception,), {})\ndef f(): raise E('\\x00')", "[]");
    assert_eq!(outcome.status(), CallStatus::Error);
    let failure = outcome.failure().unwrap();
    let text = format!("{}{}", failure.message, failure.trace.clone().unwrap_or_default());
    assert!(!text.contains(['\u{1b}', '\0']), "{text:?}");
}

fn learned(text: &str) -> GrantedFunction {
    GrantedFunction::Learned(LearnedGrant { source: source(text), entry: "f".into(), limits: limits() })
}

#[test]
fn functions_call_one_another_and_the_host() {
    let caller = "import greensand\ndef f(n): return greensand.call('inner', n) + greensand.call('host', n, 2)[1]";
    let named = |functions: Vec<(&str, GrantedFunction)>| Grants {
        functions: functions.into_iter().map(|(name, function)| (name.parse().unwrap(), function)).collect(),
        ..Grants::default()
    };
    let host = HostGrant::new(|arguments| async { Ok(arguments) });
    let grants = |inner| named(vec![("host", GrantedFunction::Host(host.clone())), ("inner", learned(inner))]);
    let granted = |inner| run(Invocation { grants: grants(inner), ..invocation(caller, "[40]") });
    assert_eq!(granted("def f(n): return n * 10").value().map(JsonText::get), Some("402"));
    check_failed(
        &granted("def f(n): raise ValueError('odd')"),
        CallStatus::Error,
        "`inner` ended with `error`: ValueError: odd",
    );
    check_failed(&granted("def f(n): return {n}"), CallStatus::Error, "`inner` ended with `invalid`: ");
    let ungranted = "import greensand\ndef f(n): return greensand.call('host', n)";
    check_failed(&granted(ungranted), CallStatus::Error, "`inner` ended with `denied`: ");
    check_failure(ungranted, "[1]", CallStatus::Denied, "no function `host` is granted");
}
