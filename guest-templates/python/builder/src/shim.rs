//! Compiles the shim for WebAssembly, the same bytes on every machine with the pinned toolchain.

use std::path::Path;
use std::process::Command;

use wasmtime::error::Context;
use wasmtime::{Result, ensure};

/// The compiler by which the committed artefacts were made.
pub const RUSTC: &str = "1.95.0";
const TARGET: &str = "wasm32-wasip1";

/// Which shim to compile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// The shim of the guest.
    Guest,
    /// One that only compiles Python modules.
    Compiler,
}

/// Compiles the shim in `folder`; build products go to `target`.
pub fn compile(folder: &Path, target: &Path, variant: Variant) -> Result<Vec<u8>> {
    let version = Command::new("rustc").current_dir(folder).arg("--version").output().context("run `rustc`")?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    ensure!(
        version.split(' ').nth(1) == Some(RUSTC),
        "the artefacts are made with rustc {RUSTC}, this is {version:?}; set RUSTUP_TOOLCHAIN={RUSTC}"
    );
    let home = std::env::var_os("CARGO_HOME").map(Into::into).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let flags = [
        format!("--remap-path-prefix={}=/shim", folder.display()),
        format!("--remap-path-prefix={}=/cargo", home.context("find cargo's home")?.display()),
        // The stack comes first in memory, so that running over its end is a trap. A small one makes CPython's own
        // check raise RecursionError before the host's limit on WebAssembly frames is reached.
        "-Clink-arg=-zstack-size=524288".into(),
        "-Clink-arg=--stack-first".into(),
        "-Clink-arg=--export=__heap_base".into(),
        "-Ctarget-feature=+bulk-memory".into(),
    ];
    let target = target.join(if variant == Variant::Guest { "guest" } else { "compiler" });
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder).args(["build", "--quiet", "--release", "--locked", "--target", TARGET]);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")).env_remove("RUSTFLAGS").arg("--target-dir").arg(&target);
    if variant == Variant::Compiler {
        cargo.args(["--features", "compiler"]);
    }
    let status = cargo.status().context("run `cargo`")?;
    ensure!(status.success(), "the shim does not compile; `rustup target add {TARGET}` may be missing");
    let wasm = target.join(TARGET).join("release").join("python_guest_shim.wasm");
    std::fs::read(&wasm).with_context(|| format!("read `{}`", wasm.display()))
}
