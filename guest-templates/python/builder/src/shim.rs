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

/// Compiles the shim in `folder`; the module is left in `target` too.
///
/// The compiler is run without cargo, which would let the folder's path decide the names, and so the order, of functions.
pub fn compile(folder: &Path, target: &Path, variant: Variant) -> Result<Vec<u8>> {
    let version = Command::new("rustc").current_dir(folder).arg("--version").output().context("run `rustc`")?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    ensure!(
        version.split(' ').nth(1) == Some(RUSTC),
        "the artefacts are made with rustc {RUSTC}, this is {version:?}; set RUSTUP_TOOLCHAIN={RUSTC}"
    );
    std::fs::create_dir_all(target).with_context(|| format!("make `{}`", target.display()))?;
    let wasm = target.join(if variant == Variant::Guest { "guest.wasm" } else { "compiler.wasm" });
    let mut rustc = Command::new("rustc");
    rustc.current_dir(folder).args(["--crate-name", "shim", "--crate-type", "cdylib", "--edition", "2024"]);
    rustc.args(["--target", TARGET, "src/lib.rs", "-o"]).arg(&wasm);
    rustc.args(["-Copt-level=3", "-Ccodegen-units=1", "-Clto=fat", "-Cpanic=abort", "-Cstrip=symbols"]);
    rustc.args(["-Ctarget-feature=+bulk-memory", "-Clink-arg=--export=__heap_base"]);
    // The stack comes first in memory, so that running over its end is a trap. A small one makes CPython's own
    // check raise RecursionError before the host's limit on WebAssembly frames is reached.
    rustc.args(["-Clink-arg=--stack-first", "-Clink-arg=-zstack-size=524288"]);
    let prefix = format!("--remap-path-prefix={}=/shim", folder.display());
    rustc.arg(prefix).env_remove("RUSTFLAGS");
    if variant == Variant::Compiler {
        rustc.args(["--cfg", "feature=\"compiler\""]);
    }
    let status = rustc.status().context("run `rustc`")?;
    ensure!(status.success(), "the shim does not compile; `rustup target add {TARGET}` may be missing");
    std::fs::read(&wasm).with_context(|| format!("read `{}`", wasm.display()))
}
