//! Functions that turn against their guest from the inside: whatever they redefine, replace, forge or overwrite, the
//! outcome is the truth about the call.
//!
//! One table per language, a line per attempt: what is tried, the function, and what a truthful outcome is. A function may
//! change the fate of its own call, by returning or raising what it likes; it may not earn a class that it does not have
//! (`denied` where nothing was refused, `memory` where none was), nor have a value shown that it did not return, nor cost
//! anybody else anything. Everything runs on one worker whose instance is compared with a new one after each call, and a
//! control follows each attempt.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test ends where something unexpected is found")]

mod javascript;
mod python;
mod rust;
mod typescript;

use std::path::Path;
use std::time::Duration;

use futures::executor::block_on;
use greensand_sandbox::{InstanceMode, Sandbox, SandboxSettings};
use greensand_tests::compilers::{compiling, missing};
use greensand_tests::languages::languages_of;
use greensand_types::{
    CallOutcome, CallStatus, Encoding, Entry, FunctionRuntime, Invocation, JsonText, Limits, SourceText,
};

/// How long a function may run that is expected to use it up.
const SHORT_WALL: Duration = Duration::from_millis(500);

/// How long any other may run, on a machine that has other things to do.
const LONG_WALL: Duration = Duration::from_secs(20);

/// How late an outcome may be on a machine that has other things to do.
const GRACE: Duration = Duration::from_secs(3);

/// A function that tampers, and what a truthful outcome is.
struct Attempt {
    what: &'static str,
    source: String,
    arguments: &'static str,
    encoding: Encoding,
    expected: Expected,
}

enum Expected {
    /// The function returned this.
    Value(&'static str),
    /// It ended in this class, with a message that holds this.
    Failure(CallStatus, &'static str),
}

/// A function without arguments that returns something.
fn returns(what: &'static str, source: impl Into<String>, value: &'static str) -> Attempt {
    let (source, expected) = (source.into(), Expected::Value(value));
    Attempt { what, source, arguments: "[]", encoding: Encoding::Strict, expected }
}

/// A function without arguments that ends otherwise.
fn ends(what: &'static str, source: impl Into<String>, status: CallStatus, message: &'static str) -> Attempt {
    Attempt { expected: Expected::Failure(status, message), ..returns(what, source, "") }
}

impl Attempt {
    fn with(self, arguments: &'static str) -> Self {
        Self { arguments, ..self }
    }

    fn tagged(self) -> Self {
        Self { encoding: Encoding::Tagged, ..self }
    }

    fn wall(&self) -> Duration {
        match self.expected {
            Expected::Failure(CallStatus::Timeout, _) => SHORT_WALL,
            Expected::Failure(..) | Expected::Value(_) => LONG_WALL,
        }
    }
}

/// Makes each attempt, and tells all that did not end as they should.
fn check(language: &str, attempts: Vec<Attempt>) {
    let sandbox = open();
    let template = sandbox.languages().find(|template| template.name == language).unwrap();
    if let Some(reason) = missing(&sandbox, template) {
        eprintln!("skipped: `{language}` cannot run here: {reason}");
        return;
    }
    let lies: Vec<_> = attempts.iter().filter_map(|attempt| lie(&sandbox, language, attempt)).collect();
    assert!(lies.is_empty(), "{} of {} outcomes are not the truth:\n{}", lies.len(), attempts.len(), lies.join("\n"));
}

/// Makes an attempt; says how its outcome, or that of the control, is not as it should be.
fn lie(sandbox: &Sandbox, language: &str, attempt: &Attempt) -> Option<String> {
    // The source is made ready first: only the call is held to its wall clock.
    let _ready = block_on(sandbox.compile(source(language, &attempt.source), Limits::DEFAULT)).unwrap();
    let outcome = call(sandbox, language, attempt);
    let is_true = match attempt.expected {
        Expected::Value(value) => outcome.value().is_some_and(|found| found.get() == value),
        Expected::Failure(status, message) => {
            outcome.status() == status && outcome.failure().is_some_and(|failure| failure.message.contains(message))
        }
    };
    if !is_true {
        return Some(format!("{}: {outcome:?}", attempt.what));
    }
    if outcome.usage.wall > attempt.wall() + GRACE {
        return Some(format!("{}: it took {:?}", attempt.what, outcome.usage.wall));
    }
    let control = languages_of([language])[0].one;
    let control = call(sandbox, language, &returns("control", control, "1"));
    let is_one = control.value().is_some_and(|value| value.get() == "1");
    (!is_one).then(|| format!("after {}: {control:?}", attempt.what))
}

fn call(sandbox: &Sandbox, language: &str, attempt: &Attempt) -> CallOutcome {
    let limits = Limits { wall: attempt.wall(), ..sandbox.default_limits(&language.parse().unwrap()).unwrap() };
    let arguments = JsonText::parse(attempt.arguments).unwrap();
    let entry = Entry::Function("f".into());
    let invocation = Invocation::new(source(language, &attempt.source), entry, arguments, limits);
    let outcome = block_on(sandbox.invoke(Invocation { encoding: attempt.encoding, ..invocation }));
    outcome.unwrap_or_else(|fault| panic!("{} was a fault of the host: {fault:?}", attempt.what))
}

fn source(language: &str, text: &str) -> SourceText {
    SourceText { language: language.parse().unwrap(), text: text.into(), packages: Vec::new() }
}

fn open() -> Sandbox {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    let settings = SandboxSettings { workers: 1, instances: InstanceMode::Verified, ..SandboxSettings::new(cache) };
    Sandbox::open(compiling(env!("CARGO_BIN_EXE_helper"), settings)).unwrap()
}
