//! Modules of one's own, made by hand.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use futures::executor::block_on;
use greensand_guest_templates::{GuestKind, GuestTemplate};
use greensand_sandbox::jail::JailStatus;
use greensand_sandbox::{HelperProgram, Sandbox, SandboxSettings, UnjailedBuilds};
use greensand_types::{CallOutcome, CallStatus, Entry, FunctionRuntime, Invocation, JsonText, Limits, SourceText};

/// The language of the modules.
pub(crate) static TEMPLATE: GuestTemplate = GuestTemplate {
    name: "binary",
    aliases: &[],
    extensions: &["bin"],
    version: "test",
    contract: 2,
    default_memory_bytes: 4 << 20,
    kind: GuestKind::Module,
};

/// Small limits: 2 s, 4 MiB, 1000 bytes of everything.
pub(crate) const LIMITS: Limits = Limits {
    wall: Duration::from_millis(500),
    memory_bytes: 4 << 20,
    max_argument_bytes: 1000,
    max_result_bytes: 1000,
    max_stdout_bytes: 1000,
    max_stderr_bytes: 1000,
    ..Limits::DEFAULT
};

/// The sandbox of this test program.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: LazyLock<(tempfile::TempDir, Sandbox)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::open(settings(folder.path())).unwrap();
        (folder, sandbox)
    });
    &SANDBOX.1
}

/// Settings of a sandbox that runs modules.
pub(crate) fn settings(cache: &std::path::Path) -> SandboxSettings {
    let helper =
        HelperProgram { program: env!("CARGO_BIN_EXE_greensand-sandbox-helper").into(), arguments: Vec::new() };
    let lacks_a_wall = JailStatus::of_this_machine().missing().is_some();
    let unjailed_builds = if lacks_a_wall { UnjailedBuilds::Allowed } else { UnjailedBuilds::Refused };
    SandboxSettings {
        workers: 2,
        languages: vec![&TEMPLATE],
        helper: Some(helper),
        unjailed_builds,
        ..SandboxSettings::new(cache)
    }
}

/// A source that is a module.
pub(crate) fn source(wasm: &[u8]) -> SourceText {
    source_of(&base64::engine::general_purpose::STANDARD.encode(wasm))
}

fn source_of(text: &str) -> SourceText {
    SourceText { language: TEMPLATE.name.parse().unwrap(), text: Arc::from(text), packages: Vec::new() }
}

/// Calls a source that need not be a module.
pub(crate) fn call_source(text: &str) -> CallOutcome {
    let arguments = JsonText::parse("[]").unwrap();
    let invocation = Invocation::new(source_of(text), Entry::Function("f".into()), arguments, LIMITS);
    block_on(sandbox().invoke(invocation)).unwrap()
}

/// Calls an entry of a module.
pub(crate) fn invoke(wasm: &[u8], entry: &str, arguments: &str, limits: Limits) -> CallOutcome {
    let arguments = JsonText::parse(arguments).unwrap();
    let invocation = Invocation::new(source(wasm), Entry::Function(entry.into()), arguments, limits);
    block_on(sandbox().invoke(invocation)).unwrap()
}

/// Calls a module with other limits.
pub(crate) fn call_with(wasm: &[u8], limits: Limits) -> CallOutcome {
    invoke(wasm, "f", "[]", limits)
}

/// Calls a module.
pub(crate) fn call(wasm: &[u8]) -> CallOutcome {
    call_with(wasm, LIMITS)
}

/// Checks the class of an outcome and a part of its message.
#[track_caller]
pub(crate) fn check(outcome: &CallOutcome, status: CallStatus, message: &str) {
    assert_eq!(outcome.status(), status, "{outcome:?}");
    let found = outcome.failure().map_or("", |failure| &failure.message);
    assert!(found.contains(message), "{found:?} lacks {message:?}");
}

/// A core module with two pages of memory that does this in its entry; `$request` and `$length` are its parameters.
pub(crate) fn core(fields: &str, code: &str) -> Vec<u8> {
    core_with("", fields, code)
}

/// A core module with imports.
pub(crate) fn core_with(imports: &str, fields: &str, code: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {imports}
            (memory (export "memory") 2)
            {fields}
            (func (export "gs_alloc") (param i32) (result i32) (i32.const 4096))
            (func (export "gs_invoke") (param $request i32) (param $length i32) (result i64) {code}))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A data segment with a reply at 100, and its packed place.
pub(crate) fn reply_data(kind: u32, flags: u32, message: &str, payload: &str) -> (String, i64) {
    let length = u32::try_from(message.len()).unwrap();
    let header = [kind, flags, length].into_iter().flat_map(u32::to_le_bytes);
    let mut text = String::new();
    for byte in header.chain(message.bytes()).chain(payload.bytes()) {
        write!(text, "\\{byte:02x}").unwrap();
    }
    let packed = (100 << 32) | i64::try_from(12 + message.len() + payload.len()).unwrap();
    (format!(r#"(data (i32.const 100) "{text}")"#), packed)
}
