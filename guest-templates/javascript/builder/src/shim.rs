//! Compiles the shim with the engine, the same bytes on every machine with the pinned tools.
//!
//! Cargo fetches the crates by the shim's lock file, whose digests say what they are. The engine's C code is compiled by
//! clang against the headers and the C library that its crate carries; no SDK is needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The compilers by which the committed artefacts were made.
const RUSTC: &str = "1.95.0";
const CLANG: &str = "14.0.6";
const TARGET: &str = "wasm32-unknown-unknown";

/// Instructions that every engine of the last years has. `__FILE__` would put the path of the build into the module.
const CFLAGS: &str =
    "-msign-ext -mnontrapping-fptoint -mbulk-memory -Wno-builtin-macro-redefined -D__FILE__=\"quickjs\"";

/// A language that the shim can be compiled for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Language {
    JavaScript,
    TypeScript,
}

impl Language {
    pub const ALL: [Language; 2] = [Language::JavaScript, Language::TypeScript];

    /// The name, which is the folder's too.
    pub fn name(self) -> &'static str {
        match self {
            Language::JavaScript => "javascript",
            Language::TypeScript => "typescript",
        }
    }

    /// Bytes of stack in the module's memory. Oxc's parser needs more of it for each level of nesting than the engine.
    fn stack(self) -> u32 {
        match self {
            Language::JavaScript => 2 << 20,
            Language::TypeScript => 8 << 20,
        }
    }
}

/// Compiles the shim for a language; `root` is the folder of all guests.
pub fn compile(root: &Path, language: Language) -> Result<Vec<u8>> {
    let shim = root.join("javascript").join("shim");
    check_version("rustc", &shim, RUSTC)?;
    check_version("clang", &shim, CLANG)?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("javascript/builder/target"), PathBuf::from);
    let target = target.join(format!("{}-shim", language.name()));
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&shim).args(["build", "--release", "--locked", "--lib", "--target", TARGET, "--target-dir"]);
    cargo.arg(&target);
    if language == Language::TypeScript {
        cargo.args(["--features", "typescript"]);
    }
    // The stack comes first in memory, so that running over its end is a trap; the engine's own limit comes before.
    let stack = format!("-Clink-arg=-zstack-size={}", language.stack());
    let mut flags = vec!["-Clink-arg=--stack-first".to_owned(), stack];
    flags.extend(remapped(&shim)?);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).env_remove("RUSTFLAGS");
    cargo.env("CC_wasm32_unknown_unknown", "clang").env("AR_wasm32_unknown_unknown", "llvm-ar");
    cargo.env("CFLAGS_wasm32_unknown_unknown", CFLAGS);
    let status = cargo.status().context("run `cargo`")?;
    ensure!(
        status.success(),
        "the shim does not compile; `rustup target add {TARGET}`, clang or llvm-ar may be missing"
    );
    let wasm = target.join(TARGET).join("release").join("javascript_guest_shim.wasm");
    std::fs::read(&wasm).with_context(|| format!("read `{}`", wasm.display()))
}

fn check_version(tool: &str, folder: &Path, wanted: &str) -> Result<()> {
    let version = Command::new(tool).current_dir(folder).arg("--version").output();
    let version = version.with_context(|| format!("run `{tool}`"))?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    ensure!(version.contains(wanted), "the artefacts are made with {tool} {wanted}, this is {version:?}");
    Ok(())
}

/// Flags that take the paths of this machine out of panic messages.
fn remapped(shim: &Path) -> Result<Vec<String>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("find cargo's home")?;
    let mut flags = vec![format!("--remap-path-prefix={}=/shim", shim.display())];
    let registries = home.join("registry").join("src");
    for registry in std::fs::read_dir(&registries).into_iter().flatten() {
        flags.push(format!("--remap-path-prefix={}=/crates", registry?.path().display()));
    }
    Ok(flags)
}
