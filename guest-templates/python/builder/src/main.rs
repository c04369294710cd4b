//! Builds the Python guest from its pinned origin, checks that the committed one is what the build gives, and tries
//! functions in it.
//!
//!     cargo run --release                       rebuild the artefacts of the folder above
//!     cargo run --release -- --check            rebuild elsewhere and compare byte for byte
//!     cargo run --release -- --test             run the cases in `cases.jsonl`
//!     cargo run --release -- --try FILE ENTRY [ARGUMENTS]
//!
//! The way: [`origin`] finds the shared libraries, [`shim`] compiles the shim, [`link`] makes one module of them,
//! [`standard_library`] compiles the library inside it, [`template`] writes the digests. [`guest`] is a small host;
//! [`attempt`] and [`cases`] run functions in it.

mod attempt;
mod cases;
mod guest;
mod library;
mod link;
mod origin;
mod shim;
mod standard_library;
mod template;

use std::path::{Path, PathBuf};

use wasmtime::error::Context;
use wasmtime::{Result, bail, ensure};

use crate::library::Library;
use crate::link::FunctionNames;
use crate::origin::Origin;
use crate::shim::Variant;

const GUEST: &str = "guest.wasm.zst";
const LIBRARY: &str = "library.tar.zst";
const ZSTD_LEVEL: i32 = 19;

fn main() -> Result<()> {
    let mut origin = None;
    let mut rest: Vec<String> = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--origin" => origin = Some(PathBuf::from(arguments.next().context("read the folder after `--origin`")?)),
            _ => rest.push(argument),
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("find the guest's folder")?;
    let build = || build(folder, origin.clone());
    match rest.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => build()?.write(folder),
        ["--check"] => build()?.compare(folder),
        ["--test"] => cases::run(folder),
        ["--try", ref what @ ..] => attempt::run(folder, what),
        _ => bail!("usage: [--origin FOLDER] [--check | --test | --try FILE ENTRY [ARGUMENTS]]"),
    }
}

/// The files that a build makes.
struct Artefacts {
    guest: Vec<u8>,
    library: Vec<u8>,
    template: String,
}

impl Artefacts {
    fn files(&self) -> [(&'static str, &[u8]); 3] {
        [(GUEST, &self.guest), (LIBRARY, &self.library), (template::FILE, self.template.as_bytes())]
    }

    fn write(&self, folder: &Path) -> Result<()> {
        for (name, content) in self.files() {
            let path = folder.join(name);
            std::fs::write(&path, content).with_context(|| format!("write `{}`", path.display()))?;
            eprintln!("{name}: {} bytes, blake3 {}", content.len(), blake3::hash(content).to_hex());
        }
        Ok(())
    }

    fn compare(&self, folder: &Path) -> Result<()> {
        for (name, content) in self.files() {
            let path = folder.join(name);
            let committed = std::fs::read(&path).with_context(|| format!("read `{}`", path.display()))?;
            ensure!(committed == content, "`{name}` is not what the build gives");
            eprintln!("{name}: as committed");
        }
        Ok(())
    }
}

fn build(folder: &Path, origin: Option<PathBuf>) -> Result<Artefacts> {
    let origin = match origin {
        Some(folder) => Origin::at(folder),
        None => Origin::find()?,
    };
    let libraries: Vec<(&str, Vec<u8>)> =
        origin::LIBRARIES.iter().map(|file| Ok((file.name, origin.read(file)?))).collect::<Result<_>>()?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| folder.join("builder").join("target"), PathBuf::from);
    let linked = |variant| -> Result<Vec<u8>> {
        let shim = shim::compile(&folder.join("shim"), &target.join("python-shim"), variant)?;
        let mut parsed = vec![Library::parse("shim", &shim)?];
        for (name, wasm) in &libraries {
            parsed.push(Library::parse(name, wasm)?);
        }
        link::link(&parsed, names())
    };
    eprintln!("compiling and linking the shim");
    let compiler = linked(Variant::Compiler)?;
    let guest = linked(Variant::Guest)?;
    eprintln!("compiling the standard library");
    let modules = standard_library::compile(&origin.read(&origin::STANDARD_LIBRARY)?, &compiler)?;
    let library = standard_library::pack(&modules)?;
    eprintln!("compressing {} bytes of guest and {} bytes of library", guest.len(), library.len());
    let guest = zstd::encode_all(&guest[..], ZSTD_LEVEL)?;
    let library = zstd::encode_all(&library[..], ZSTD_LEVEL)?;
    let template = template::text(&guest, &library);
    Ok(Artefacts { guest, library, template })
}

/// `GUEST_NAMES=1` keeps the names of functions, to find out where a trap comes from.
fn names() -> FunctionNames {
    if std::env::var_os("GUEST_NAMES").is_some() { FunctionNames::Kept } else { FunctionNames::Dropped }
}
