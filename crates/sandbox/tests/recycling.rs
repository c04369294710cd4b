//! Used instances of a large interpreter under hostile functions, each compared with a new one byte by byte.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

use std::path::Path;
use std::time::Duration;

use futures::executor::block_on;
use greensand_sandbox::{InstanceMode, Sandbox, SandboxSettings};
use greensand_types::{CallOutcome, CallStatus, Entry, FunctionRuntime, Invocation, JsonText, SourceText};
use proptest::prelude::*;

/// Functions that leave as much behind as they can. None of them ends its instance.
const LITTERING: &[&str] = &[
    "import builtins\ndef f():\n    builtins.len = lambda x: 7\n    builtins.print = None\n    builtins.open = builtins.__import__ = 1\n    return 1",
    "import sys\ndef f():\n    sys.modules['json'] = sys.modules['math'] = None\n    sys.path.append('x')\n    sys.setrecursionlimit(50)\n    return 1",
    "import sys\ndef f():\n    sys.modules.clear()\n    return 1",
    "import sys, io\ndef f():\n    sys.stdout = sys.stderr = io.StringIO()\n    print('lost')\n    return 1",
    "import math, random\ndef f():\n    math.pi = 3\n    random.seed = random.random = lambda *a: 4\n    return random.random()",
    "kept = []\ndef f():\n    global kept\n    kept += [bytearray(b'\\xff' * 4096) for _ in range(200)]\n    return len(kept)",
    "def f():\n    return sum(bytearray(b'\\xa5' * 3_000_000))",
    "def f():\n    x = [i for i in range(200_000)]\n    return len(x)",
    "def f():\n    def g(n): return 1 + g(n + 1)\n    return g(0)",
    "def f():\n    x = []\n    for _ in range(20_000): x = [x]\n    return repr(x)",
    "def f():\n    raise ValueError('x' * 100_000)",
    "def f():\n    try: raise KeyError(1)\n    except KeyError as error: raise RuntimeError('two') from error",
    "import gc\ndef f():\n    gc.disable()\n    gc.unfreeze()\n    a = []\n    a.append(a)\n    gc.set_threshold(1, 1, 1)\n    return gc.collect() >= 0",
    "import threading\ndef f():\n    try: threading.Thread(target=print).start()\n    except RuntimeError as error: return str(error)",
    "import sys\ndef f(): sys.exit(3)",
    "class A:\n    def __del__(self): print('late', flush=True)\nx = A()\ndef f(): return 1",
    "import atexit, warnings\ndef f():\n    atexit.register(print, 'late')\n    warnings.simplefilter('error')\n    return 1",
    "import time, random\ndef f():\n    time.sleep(0.1)\n    return [time.time(), random.random()]",
    "import decimal, locale\ndef f():\n    decimal.getcontext().prec = 3\n    return str(decimal.Decimal(1) / 3)",
    "import colorsys, statistics, fractions, textwrap\ndef f(): return statistics.mean([1, 2, 4])",
    "def f(): return open('/etc/passwd').read()",
    "import os\ndef f():\n    os.environ['A'] = 'b'\n    os.getcwd = None\n    return len(os.environ)",
    "def f(:",
    "def f(): return {1, 2}",
    "import asyncio\nasync def f():\n    async def g(): await asyncio.sleep(5)\n    asyncio.create_task(g())\n    return 1",
    "import sys\ndef f():\n    sys.settrace(lambda *a: None)\n    sys.setprofile(lambda *a: None)\n    sys.excepthook = None\n    return 1",
    "import sys\nsys._getframe().f_globals.clear()\ndef f(): return 1",
    "import codecs\ndef f():\n    codecs.register(lambda name: None)\n    codecs.register_error('strict', lambda e: ('?', e.end))\n    return '\\udc80'",
    "def f():\n    g = (i for i in range(10))\n    next(g)\n    return type(g).__name__",
    "object.__subclasses__()\ndef f():\n    return len([c for c in object.__subclasses__()]) > 100",
    "import json\ndef f():\n    json.dumps = json.JSONEncoder = None\n    return [1.5, None, 'x']",
];

/// Functions after which the instance is thrown away.
const ENDING: &[&str] = &[
    "import os\ndef f(): os.abort()",
    "def f():\n    x = []\n    while True: x.append(bytearray(1 << 20))",
    "def f():\n    while True: print('x' * 10_000)",
    "def f(): return len(bytearray(40 << 20))",
];

/// A function that looks at what the others change.
const CONTROL: &str = "
import builtins, gc, json, math, os, random, sys, time, warnings
count = 0
def f(x):
    global count
    count += 1
    seen = [count, len('four'), math.pi, random.random(), time.time(), sys.getrecursionlimit(), gc.isenabled()]
    seen += [sorted(sys.modules)[:50], len(sys.modules), sorted(vars(builtins))[:200], dict(os.environ), gc.get_threshold()]
    seen += [len(warnings.filters), sys.gettrace() is None, json.dumps({'a': [1]}), hash('text'), id(x) % 16]
    print('seen', len(seen))
    return [str(part) for part in seen] + [x]
";

fn open(instances: InstanceMode) -> Sandbox {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    Sandbox::open(SandboxSettings { workers: 1, instances, ..SandboxSettings::new(cache) }).unwrap()
}

fn call(sandbox: &Sandbox, text: &str, arguments: &str) -> CallOutcome {
    let language = "python".parse().unwrap();
    let mut limits = sandbox.default_limits(&language).unwrap();
    limits.wall = Duration::from_secs(60);
    let source = SourceText { language, text: text.into(), packages: Vec::new() };
    let arguments = JsonText::parse(arguments).unwrap();
    block_on(sandbox.invoke(Invocation::new(source, Entry::Function("f".into()), arguments, limits))).unwrap()
}

/// What of an outcome may not depend on where its instance came from.
fn parts(outcome: CallOutcome) -> impl PartialEq + std::fmt::Debug {
    (outcome.ending, outcome.stdout, outcome.stderr, outcome.usage.peak_memory_bytes, outcome.usage.output_bytes)
}

#[test]
fn every_littering_function_leaves_an_instance_that_is_as_new() {
    let (used, fresh) = (open(InstanceMode::Verified), open(InstanceMode::Fresh));
    let expected = parts(call(&fresh, CONTROL, "[1]"));
    for text in LITTERING {
        let restored = used.instances().restored;
        for _ in 0..2 {
            assert_eq!(parts(call(&used, text, "[]")), parts(call(&fresh, text, "[]")), "{text}");
            assert_eq!(parts(call(&used, CONTROL, "[1]")), expected, "after {text}");
        }
        assert!(used.instances().restored > restored, "{text}");
    }
    for text in ENDING {
        let outcome = call(&used, text, "[]");
        assert_eq!(outcome.status(), call(&fresh, text, "[]").status(), "{text}");
        assert_eq!(parts(call(&used, CONTROL, "[1]")), expected, "after {text}");
    }
}

#[test]
fn most_calls_use_an_instance_again() {
    let sandbox = open(InstanceMode::Pristine);
    for index in 0..200 {
        let outcome = call(&sandbox, "def f(a, b): return a + b", &format!("[{index}, 1]"));
        assert_eq!(outcome.status(), CallStatus::Ok);
    }
    let used = sandbox.instances();
    assert!(used.made <= 2 && used.restored >= 200, "{used:?}");
}

#[test]
fn one_heavy_call_does_not_make_the_others_pay() {
    let sandbox = open(InstanceMode::Verified);
    let heavy = "def f():\n    x = [bytes([i % 256]) * 4000 for i in range(1500)]\n    return len(x)";
    let made = |sandbox: &Sandbox| sandbox.instances().made;
    assert_eq!(call(&sandbox, heavy, "[]").status(), CallStatus::Ok);
    let before = made(&sandbox);
    for _ in 0..20 {
        assert_eq!(call(&sandbox, "def f(): return 1", "[]").status(), CallStatus::Ok);
    }
    assert!(made(&sandbox) <= before + 1, "given up once at most");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_hostile_functions_leaves_a_trace(
        calls in proptest::collection::vec((0..LITTERING.len() + ENDING.len(), 0..3_u8), 1..16),
    ) {
        let used = open(InstanceMode::Verified);
        let expected = format!("{:?}", parts(call(&open(InstanceMode::Fresh), CONTROL, "[2]")));
        for (index, repeats) in calls {
            let text = LITTERING.iter().chain(ENDING).nth(index).unwrap();
            for _ in 0..=repeats {
                let _ = call(&used, text, "[]");
            }
            prop_assert_eq!(&format!("{:?}", parts(call(&used, CONTROL, "[2]"))), &expected, "after {}", text);
        }
    }
}
