//! Images with packages: what a package is to a function, what it cannot be, and that nothing of a call stays in one.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use greensand_sandbox::{ImageError, InstanceMode, PackageBundle, PackageFile, PackageSet, Sandbox, SandboxSettings};
use greensand_types::{CallOutcome, Entry, FunctionRuntime, Invocation, JsonText, Language, SourceText};

/// The package that the functions below use, and one that it needs.
const COUNTER: &[(&str, &str)] = &[
    (
        "counter/__init__.py",
        "import base_of_counter\ncalls = []\ndef count(x):\n    calls.append(x)\n    return len(calls)\n",
    ),
    ("counter/words.txt", "one two"),
    ("counter/late.py", "loaded = 'late'\n"),
    ("shared.txt", "the same"),
];
const BASE: &[(&str, &str)] = &[("base_of_counter.py", "table = {'a': 1}\n"), ("shared.txt", "the same")];

fn language() -> Language {
    "python".parse().unwrap()
}

fn bundle(name: &str, files: &'static [(&'static str, &'static str)]) -> PackageBundle {
    let read = move || {
        let file = |(path, content): &(&str, &str)| PackageFile { path: (*path).into(), content: (*content).into() };
        Ok(files.iter().map(file).collect())
    };
    // Whoever makes bundles has a digest of what is in them; here the content is its own.
    PackageBundle { name: name.into(), version: "1.0".into(), digest: format!("{files:?}"), read: Arc::new(read) }
}

fn open(instances: InstanceMode, packages: Vec<PackageBundle>) -> Sandbox {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    let package_sets = vec![PackageSet { language: language(), packages }];
    Sandbox::open(SandboxSettings { workers: 1, instances, package_sets, ..SandboxSettings::new(cache) }).unwrap()
}

fn counter(instances: InstanceMode) -> Sandbox {
    open(instances, vec![bundle("counter", COUNTER), bundle("base", BASE)])
}

fn call(sandbox: &Sandbox, text: &str) -> CallOutcome {
    let mut limits = sandbox.default_limits(&language()).unwrap();
    limits.wall = Duration::from_secs(60);
    let source = SourceText { language: language(), text: text.into(), packages: vec!["counter".into()] };
    let arguments = JsonText::parse("[]").unwrap();
    block_on(sandbox.invoke(Invocation::new(source, Entry::Function("f".into()), arguments, limits))).unwrap()
}

#[track_caller]
fn check(sandbox: &Sandbox, text: &str, value: &str) {
    let outcome = call(sandbox, text);
    assert_eq!(outcome.value().map(JsonText::get), Some(value), "{text}\n{outcome:?}");
}

/// Checks that a set has no image, and why.
#[track_caller]
fn check_refused(packages: Vec<PackageBundle>, words: &[&str]) {
    let name = packages[0].name.clone();
    let error = open(InstanceMode::Pristine, packages).prepare_packages(&language(), &[name], &|_| {}).unwrap_err();
    assert!(matches!(error, ImageError::Packages { .. }), "{error:?}");
    let text = format!("{error}: {}", error.source().unwrap());
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn what_a_call_leaves_in_a_package_is_gone_for_the_next() {
    let littering = "import counter, base_of_counter\ndef f():\n    base_of_counter.table.clear()\n    counter.extra = 1\n    counter.count = None\n    return 1";
    let control = "import counter, base_of_counter\ndef f():\n    return [counter.count(5), base_of_counter.table, hasattr(counter, 'extra')]";
    for instances in InstanceMode::ALL {
        let sandbox = counter(instances);
        for _ in 0..5 {
            check(&sandbox, control, r#"[1,{"a":1},false]"#);
            check(&sandbox, littering, "1");
        }
        check(&sandbox, control, r#"[1,{"a":1},false]"#);
    }
}

#[test]
fn files_and_modules_that_were_not_imported_with_the_image_are_there() {
    let sandbox = counter(InstanceMode::Pristine);
    check(&sandbox, "def f():\n    import counter.late\n    return counter.late.loaded", "\"late\"");
    check(
        &sandbox,
        "from importlib import resources\ndef f(): return resources.files('counter').joinpath('words.txt').read_text()",
        "\"one two\"",
    );
}

#[test]
fn packages_may_share_a_file_but_not_disagree_on_one() {
    const OTHER: &[(&str, &str)] = &[("base_of_counter.py", "table = 'mine'\n")];
    check_refused(
        vec![bundle("base", BASE), bundle("other", OTHER)],
        &["packages `base` and `other` both have `base_of_counter.py`"],
    );
}

#[test]
fn a_package_that_fails_is_named_with_its_trace() {
    const BROKEN: &[(&str, &str)] = &[("broken.py", "import a_module_that_is_missing\n")];
    check_refused(vec![bundle("broken", BROKEN)], &["`broken`", "a_module_that_is_missing"]);
}
