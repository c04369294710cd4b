//! Builds the front of the Rust guest and keeps it in the folder above, or checks that what is kept is what it builds.
//!
//!     cargo run --release             # build, compress, write `front.wasm.zst` and its digest in `template.toml`
//!     cargo run --release -- --check  # build, and compare
//!
//! The compiler is the one of `rust-toolchain.toml` at the root of the repository, the dependencies are those of
//! `front/Cargo.lock`: so the bytes are the same on every machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, bail, ensure};

const ARTEFACT: &str = "front.wasm.zst";
const TEMPLATE: &str = "template.toml";
const BUILT: &str = "wasm32-unknown-unknown/release/front.wasm";

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the builder stands in the folder")?;
    let module = build(&root.join("front"))?;
    let artefact = zstd::encode_all(module.as_slice(), 19)?;
    let template = fs::read_to_string(root.join(TEMPLATE))?;
    let updated = with_digest(&template, &artefact)?;
    match env::args().nth(1).as_deref() {
        None => {
            fs::write(root.join(ARTEFACT), &artefact)?;
            fs::write(root.join(TEMPLATE), updated)?;
            println!("kept {} bytes, {} compressed", module.len(), artefact.len());
        }
        Some("--check") => {
            ensure!(fs::read(root.join(ARTEFACT))? == artefact, "`{ARTEFACT}` is not what is built from `front/`");
            ensure!(template == updated, "`{TEMPLATE}` does not name the digest of `{ARTEFACT}`");
            println!("`{ARTEFACT}` is what is built from `front/`");
        }
        Some(other) => bail!("`{other}` is no command: give `--check` or nothing"),
    }
    Ok(())
}

/// Builds the module, with nothing in it that names a place of this machine.
fn build(front: &Path) -> anyhow::Result<Vec<u8>> {
    let target = tempfile_folder()?;
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let mut flags = vec!["-C".to_owned(), "link-arg=-zstack-size=8388608".to_owned()];
    for (from, to) in [(Some(front.to_owned()), "/front"), (home, "/cargo"), (Some(target.clone()), "/target")] {
        let Some(from) = from else { continue };
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "--target", "wasm32-unknown-unknown"])
        .current_dir(front)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .status()
        .context("start cargo")?;
    ensure!(status.success(), "the front does not build");
    let module = fs::read(target.join(BUILT))?;
    fs::remove_dir_all(target)?;
    Ok(module)
}

fn tempfile_folder() -> anyhow::Result<PathBuf> {
    let folder = env::temp_dir().join(format!("greensand-front-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Returns the template with digest and size of the artefact in its section `[front]`.
fn with_digest(template: &str, artefact: &[u8]) -> anyhow::Result<String> {
    let mut text = String::new();
    let (mut is_front, mut written) = (false, 0);
    for line in template.lines() {
        is_front = if line.starts_with('[') { line == "[front]" } else { is_front };
        let line = match line.split_once(" = ") {
            Some(("blake3", _)) if is_front => format!("blake3 = \"{}\"", blake3::hash(artefact).to_hex()),
            Some(("size", _)) if is_front => format!("size = {}", artefact.len()),
            _ => {
                text += line;
                text += "\n";
                continue;
            }
        };
        text += &line;
        text += "\n";
        written += 1;
    }
    ensure!(written == 2, "`{TEMPLATE}` has no section `[front]` with `blake3` and `size`");
    Ok(text)
}
