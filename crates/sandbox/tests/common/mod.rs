//! A sandbox over the guest of `guest.wat`, and a short way to call it.

#![allow(dead_code, reason = "every suite uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

pub(crate) mod modules;

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::executor::block_on;
use greensand_guest_templates::{Artefact, GuestKind, GuestTemplate};
use greensand_sandbox::{Sandbox, SandboxSettings};
use greensand_types::{CallOutcome, Entry, FunctionRuntime, Invocation, JsonText, Limits, SourceText};

/// The language of the guest.
pub(crate) const LANGUAGE: &str = "letters";

/// Limits that a wrong answer runs into quickly.
pub(crate) const LIMITS: Limits = Limits {
    wall: Duration::from_millis(500),
    memory_bytes: 4 << 20,
    max_argument_bytes: 1000,
    max_result_bytes: 1000,
    max_stdout_bytes: 100,
    max_stderr_bytes: 100,
    ..Limits::DEFAULT
};

/// A raw reply of the guest, after the letter that gives it.
pub(crate) fn reply(letter: char, kind: u8, flags: u8, message: &str, payload: &str) -> String {
    let length = u8::try_from(message.len()).unwrap();
    assert!(length < 0x80, "the source is text");
    let [kind, flags, length] = [kind, flags, length].map(char::from);
    format!("{letter}{kind}\0\0\0{flags}\0\0\0{length}\0\0\0{message}{payload}")
}

/// A call of the guest under [`LIMITS`].
pub(crate) fn invocation(source: &str, arguments: &str) -> Invocation {
    Invocation::new(
        SourceText { language: LANGUAGE.parse().unwrap(), text: source.into(), packages: Vec::new() },
        Entry::Function("f".into()),
        JsonText::parse(arguments).unwrap(),
        LIMITS,
    )
}

/// Runs a call of the guest in the sandbox that all tests of a suite share.
pub(crate) fn call(source: &str) -> CallOutcome {
    run(invocation(source, "[]"))
}

/// Runs an invocation in the sandbox that all tests of a suite share.
pub(crate) fn run(invocation: Invocation) -> CallOutcome {
    block_on(sandbox().invoke(invocation)).unwrap()
}

/// The sandbox that all tests of a suite share.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: LazyLock<Sandbox> =
        LazyLock::new(|| open(Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/letters")), 2));
    &SANDBOX
}

/// Opens a sandbox with the guest and a cache folder.
pub(crate) fn open(cache: &Path, workers: usize) -> Sandbox {
    let settings = SandboxSettings { workers, languages: vec![template()], ..SandboxSettings::new(cache) };
    Sandbox::open(settings).unwrap()
}

/// The guest, with a library of two modules.
pub(crate) fn template() -> &'static GuestTemplate {
    static TEMPLATE: LazyLock<&GuestTemplate> = LazyLock::new(|| {
        let guest = wat::parse_str(include_str!("guest.wat")).unwrap();
        let mut library = tar::Builder::new(Vec::new());
        for (name, content) in [("one", "[1]"), ("two.half", "[2.5]")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            library.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        leak(template_of(&guest, Some(&library.into_inner().unwrap())))
    });
    *TEMPLATE
}

/// A template of a guest and a library.
pub(crate) fn template_of(guest: &[u8], library: Option<&[u8]>) -> GuestTemplate {
    GuestTemplate {
        name: LANGUAGE,
        aliases: &[],
        extensions: &["letters"],
        version: "test guest",
        contract: 2,
        default_memory_bytes: 8 << 20,
        kind: GuestKind::Interpreter { guest: artefact(guest), library: library.map(artefact) },
    }
}

/// Makes a template live as long as the built-in ones.
pub(crate) fn leak(template: GuestTemplate) -> &'static GuestTemplate {
    Box::leak(Box::new(template))
}

fn artefact(bytes: &[u8]) -> Artefact {
    let bytes = zstd::encode_all(bytes, 1).unwrap();
    let blake3 = blake3::hash(&bytes).to_hex().to_string();
    Artefact { bytes: Vec::leak(bytes), blake3: String::leak(blake3) }
}

/// A source that holds this text.
pub(crate) fn source(text: &str) -> SourceText {
    SourceText { language: LANGUAGE.parse().unwrap(), text: Arc::from(text), packages: Vec::new() }
}
