//! What the reference class of the method got wrong and the sandbox and the scorers must not: the numbers are those of the list
//! that the project keeps. The others of the list are in `crates/optimizer/tests/defects.rs`.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

use std::net::TcpListener;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::join_all;
use greensand_agent::{AgentSettings, open_scorer, outcome_text};
use greensand_sandbox::{Sandbox, SandboxSettings};
use greensand_types::{
    CallOutcome, CallStatus, Entry, FunctionRuntime, Invocation, JsonText, Limits, SourceText, Task,
};

/// The images of all suites are kept in one folder of the build.
static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    Sandbox::open(SandboxSettings::new(cache)).unwrap()
});

fn invocation(source: &str, arguments: &str, limits: Limits) -> Invocation {
    let source = SourceText { language: "python".parse().unwrap(), text: source.into(), packages: Vec::new() };
    Invocation::new(source, Entry::Function("f".into()), JsonText::parse(arguments).unwrap(), limits)
}

fn call(source: &str, arguments: &str) -> CallOutcome {
    block_on(SANDBOX.invoke(invocation(source, arguments, Limits::DEFAULT))).unwrap()
}

#[track_caller]
fn value(outcome: &CallOutcome) -> &str {
    outcome.value().unwrap_or_else(|| panic!("{outcome:?}")).get()
}

#[test]
fn defect_15_code_sees_and_reaches_nothing_of_the_caller() {
    assert!(std::env::var_os("PATH").is_some(), "the caller has an environment to be seen");
    assert_eq!(value(&call("import os\ndef f():\n    return os.environ.get('PATH')\n", "[]")), "null");
    let written = std::env::temp_dir().join(format!("greensand-defect-15-{}", std::process::id()));
    let writes = format!("def f():\n    open({:?}, 'w').write('here')\n", written.display().to_string());
    assert_ne!(call(&writes, "[]").status(), CallStatus::Ok);
    assert!(!written.exists());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let connects = "import socket\ndef f(port):\n    socket.create_connection(('127.0.0.1', port), 1).send(b'x')\n";
    assert_ne!(call(connects, &format!("[{port}]")).status(), CallStatus::Ok);
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody came");
    // What the caller keeps in its own interpreter or process is not there: each call begins in an instance of its own.
    assert_eq!(value(&call("import sys\ndef f():\n    return sys.platform\n", "[]")), "\"wasi\"");
}

#[test]
fn defect_16_an_endless_loop_ends_at_its_limit_and_holds_up_nobody() {
    value(&call("def f():\n    return 1\n", "[]"));
    let limits = Limits { wall: Duration::from_millis(300), ..Limits::DEFAULT };
    let begun = Instant::now();
    let outcome =
        block_on(SANDBOX.invoke(invocation("def f():\n    while True:\n        pass\n", "[]", limits))).unwrap();
    assert_eq!(outcome.status(), CallStatus::Timeout);
    // The bound is far above what `greensand bench` measures, for machines that do other things as well.
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(value(&call("def f():\n    return 1\n", "[]")), "1");
}

#[test]
fn defect_17_equal_calls_at_one_time_share_nothing() {
    let source = "count = 0\ndef f(x):\n    global count\n    count += 1\n    print(x)\n    return [x, count]\n";
    let calls = (0..16).map(|_| SANDBOX.invoke(invocation(source, "[7]", Limits::DEFAULT)));
    let outcomes = block_on(join_all(calls));
    assert_eq!(outcomes.len(), 16);
    for outcome in outcomes {
        let outcome = outcome.unwrap();
        assert_eq!((value(&outcome), outcome.stdout.text.as_str()), ("[7,1]", "7\n"));
    }
}

#[test]
fn defect_18_the_model_reads_the_value_first_and_never_noise_in_its_place() {
    let bounds = AgentSettings::default().answer_bounds;
    let source = "def f(x):\n    print('Collecting pandas')\n    print({'value': 'of no account'})\n    return x + 1\n";
    let text = outcome_text(&call(source, "[41]"), &bounds);
    assert_eq!(text, "value: 42\nstdout:\nCollecting pandas\n{'value': 'of no account'}");
    // What JSON cannot say is an error of the call that says so, and breaks nothing else.
    let text = outcome_text(&call("def f():\n    return float('nan')\n", "[]"), &bounds);
    assert!(text.starts_with("invalid: ") && text.to_lowercase().contains("nan"), "{text}");
    assert!(JsonText::parse("[NaN]").is_err(), "no arguments hold one");
}

#[test]
fn defect_21_a_half_is_a_half_however_it_is_written() {
    let scorer = open_scorer("math", &serde_json::Map::new()).unwrap();
    for (target, answer) in [("1/2", r"\frac{1}{2}"), (r"\frac{1}{2}", "1/2"), ("0.5", r"\frac12")] {
        let task = Task {
            id: "half".parse().unwrap(),
            question: "What is a half?".into(),
            target: target.into(),
            metadata: serde_json::Map::new(),
        };
        assert!(scorer.score(&task, &format!("It is $\\boxed{{{answer}}}$.")).is_satisfied, "{target} {answer}");
    }
}
