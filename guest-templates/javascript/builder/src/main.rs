//! Builds the JavaScript and the TypeScript guest from their pinned crates, and checks that the committed ones are what
//! the build gives.
//!
//!     cargo run --release                       rebuild the artefacts of both folders
//!     cargo run --release -- --check            rebuild and compare byte for byte
//!
//! The way: [`shim`] has cargo compile the shim and the engine, [`check`] holds the module against what the host relies on,
//! [`template`] writes the digests.

mod check;
mod shim;
mod template;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::shim::Language;

const GUEST: &str = "guest.wasm.zst";
const ZSTD_LEVEL: i32 = 19;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::parent).context("find the guests")?;
    let then = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => write,
        ["--check"] => compare,
        _ => bail!("usage: [--check]"),
    };
    for language in Language::ALL {
        let wasm = shim::compile(root, language)?;
        check::module(&wasm).with_context(|| format!("check the guest of {}", language.name()))?;
        eprintln!("{}: {} bytes of WebAssembly", language.name(), wasm.len());
        let guest = zstd::encode_all(&wasm[..], ZSTD_LEVEL)?;
        let template = template::text(language, &guest);
        let folder = root.join(language.name());
        then(&folder, GUEST, &guest)?;
        then(&folder, template::FILE, template.as_bytes())?;
    }
    Ok(())
}

fn write(folder: &Path, name: &str, content: &[u8]) -> Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, content).with_context(|| format!("write `{}`", path.display()))?;
    eprintln!("{}: {} bytes, blake3 {}", path.display(), content.len(), blake3::hash(content).to_hex());
    Ok(())
}

fn compare(folder: &Path, name: &str, content: &[u8]) -> Result<()> {
    let path = folder.join(name);
    let committed = std::fs::read(&path).with_context(|| format!("read `{}`", path.display()))?;
    ensure!(committed == content, "`{}` is not what the build gives", path.display());
    eprintln!("{}: as committed", path.display());
    Ok(())
}
