//! Functions that use a large package, as models write them (`data/sympy`): each returns in the sandbox what it returns
//! outside of it, and none leaves anything behind for the next.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test ends where something unexpected is found")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use futures::executor::block_on;
use futures::future::join_all;
use greensand_app::Environment;
use greensand_app::packages::{LockedPackages, PackageError, PackageRequest, Resolution, open_packages};
use greensand_sandbox::{InstanceMode, Recycling, Sandbox, SandboxSettings};
use greensand_types::{CallOutcome, Entry, FunctionRuntime, Invocation, JsonText, SourceText};

/// One function of the data.
struct Function {
    name: String,
    source: String,
    arguments: JsonText,
    expected: JsonText,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sympy")
}

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")
}

fn functions() -> Vec<Function> {
    let text = fs::read_to_string(data().join("functions.py")).unwrap();
    text.split("\n#: ").skip(1).map(function).collect()
}

fn function(block: &str) -> Function {
    let (head, source) = block.split_once('\n').unwrap();
    let (arguments, expected) = head.split_once(" -> ").unwrap();
    let definition = source.lines().find_map(|line| line.strip_prefix("def ")).unwrap();
    Function {
        name: definition.split('(').next().unwrap().to_owned(),
        source: source.to_owned(),
        arguments: JsonText::parse(arguments).unwrap(),
        expected: JsonText::parse(expected).unwrap(),
    }
}

/// The packages of the lock file; nothing where they are neither in the cache nor can be fetched.
fn packages() -> Option<&'static LockedPackages> {
    static PACKAGES: LazyLock<Option<LockedPackages>> = LazyLock::new(|| {
        let lock = data().join("greensand.lock");
        let request = PackageRequest { requirements: Vec::new(), lock, resolution: Resolution::Never };
        match open_packages(&request, &cache(), &Environment::current().unwrap()) {
            Ok(packages) => Some(packages),
            Err(error @ (PackageError::NoTool | PackageError::TooSlow { .. } | PackageError::NotFetched { .. })) => {
                eprintln!("skipped: sympy is not in the cache and cannot be fetched: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    });
    PACKAGES.as_ref()
}

fn open(packages: &LockedPackages, instances: InstanceMode) -> Sandbox {
    let package_sets = vec![packages.set()];
    let sandbox =
        Sandbox::open(SandboxSettings { workers: 2, instances, package_sets, ..SandboxSettings::new(cache()) });
    let sandbox = sandbox.unwrap();
    let report = sandbox.prepare_packages(&packages.language(), &packages.names(), &|_| {}).unwrap();
    assert!(matches!(report.recycling, Recycling::Possible { .. }), "{report:?}");
    sandbox
}

fn invocation(sandbox: &Sandbox, text: &str, entry: &str, arguments: &JsonText) -> Invocation {
    let language = "python".parse().unwrap();
    let mut limits = sandbox.default_limits(&language).unwrap();
    // A busy machine does not decide; memory is as users have it.
    limits.wall = Duration::from_secs(60);
    let source = SourceText { language, text: text.into(), packages: vec!["sympy".into()] };
    Invocation::new(source, Entry::Function(entry.to_owned()), arguments.clone(), limits)
}

/// Runs functions all at once, and returns those that are not as expected, in words.
fn differing(sandbox: &Sandbox, functions: &[Function]) -> Vec<String> {
    let calls = functions
        .iter()
        .map(|function| sandbox.invoke(invocation(sandbox, &function.source, &function.name, &function.arguments)));
    let outcomes = block_on(join_all(calls));
    let differs = |(function, outcome): (&Function, CallOutcome)| {
        let is_right = outcome.value().is_some_and(|value| is_same(value, &function.expected));
        (!is_right).then(|| format!("{}: {outcome:?}, expected {:?}", function.name, function.expected))
    };
    functions.iter().zip(outcomes.into_iter().map(Result::unwrap)).filter_map(differs).collect()
}

fn is_same(left: &JsonText, right: &JsonText) -> bool {
    let read = |text: &JsonText| serde_json::from_str::<serde_json::Value>(text.get()).unwrap();
    read(left) == read(right)
}

#[test]
fn every_function_returns_in_the_sandbox_what_it_returns_outside() {
    let functions = functions();
    assert!(functions.len() >= 200);
    let Some(packages) = packages() else { return };
    let sandbox = open(packages, InstanceMode::Pristine);
    let wrong = differing(&sandbox, &functions);
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), functions.len(), wrong.join("\n"));
    let used = sandbox.instances();
    assert!(used.fallback.is_some() || used.restored > used.made, "{used:?}");
}

/// Functions that change the package itself, and its caches.
const LITTERING: [&str; 6] = [
    "import sympy\ndef f():\n    sympy.pi = sympy.S.Half = 3\n    sympy.solve = sympy.sympify = None\n    return 1",
    "import sympy\ndef f():\n    from sympy.core.cache import clear_cache\n    clear_cache()\n    return 1",
    "import sympy\ndef f():\n    sympy.Symbol.__add__ = lambda a, b: 7\n    sympy.Integer.__eq__ = lambda a, b: True\n    return 1",
    "import sympy, mpmath\ndef f():\n    mpmath.mp.dps = 3\n    sympy.init_printing()\n    return 1",
    "import sys\ndef f():\n    for name in [n for n in sys.modules if n.startswith('sympy')]: del sys.modules[name]\n    return 1",
    "import sympy\ndef f():\n    sympy.sieve.extend(100_000)\n    x = sympy.Symbol('x')\n    return str(sympy.integrate(sympy.exp(x)*sympy.sin(x), x))",
];

const CONTROL: &str = "
import sys, sympy, mpmath
from sympy.ntheory.generate import sieve
def f():
    x = sympy.Symbol('x')
    seen = [sympy.solve(x**2 - 2, x), sympy.pi.evalf(20), x + 1, sympy.Integer(1) == 2, mpmath.mp.dps, str(mpmath.mpf(1) / 3)]
    return [str(part) for part in seen] + [len(sieve._list), len([n for n in sys.modules if n.startswith('sympy')])]
";

#[test]
fn a_package_that_one_call_changed_is_as_new_for_the_next() {
    let Some(packages) = packages() else { return };
    let none = JsonText::parse("[]").unwrap();
    let run = |sandbox: &Sandbox, text: &str| {
        block_on(sandbox.invoke(invocation(sandbox, text, "f", &none)))
            .unwrap()
            .value()
            .map(|value| value.get().to_owned())
    };
    let expected = run(&open(packages, InstanceMode::Fresh), CONTROL);
    assert!(expected.is_some());
    for instances in [InstanceMode::Pristine, InstanceMode::Verified] {
        let sandbox = open(packages, instances);
        for text in LITTERING {
            assert!(run(&sandbox, text).is_some(), "{text}");
            assert_eq!(run(&sandbox, CONTROL), expected, "after {text}");
        }
    }
}

#[test]
fn some_functions_leave_instances_that_equal_new_ones_byte_by_byte() {
    let Some(packages) = packages() else { return };
    let some: Vec<Function> = functions().into_iter().step_by(9).collect();
    let wrong = differing(&open(packages, InstanceMode::Verified), &some);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
