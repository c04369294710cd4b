//! Turns each `<language>/template.toml` into a constant that `src/lib.rs` lists, so that digests stand in one place.
//!
//! Invariant: the file of a language is written even if nobody lists it; the list in `src/lib.rs` says what exists.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    name: String,
    aliases: Vec<String>,
    extensions: Vec<String>,
    version: String,
    contract: u32,
    memory_mb: u64,
    guest: Artefact,
    library: Option<Artefact>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Artefact {
    file: String,
    blake3: String,
    size: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let output = env::var("OUT_DIR")?;
    println!("cargo:rerun-if-changed=build.rs");
    for folder in fs::read_dir(&root)? {
        let folder = folder?.path();
        let manifest = folder.join("template.toml");
        if !manifest.is_file() {
            continue;
        }
        println!("cargo:rerun-if-changed={}", manifest.display());
        let template: Template = toml::from_str(&fs::read_to_string(&manifest)?)
            .map_err(|error| format!("read `{}`: {error}", manifest.display()))?;
        let constant = constant(&folder, &template).map_err(|error| format!("{}: {error}", manifest.display()))?;
        fs::write(Path::new(&output).join(format!("{}.rs", template.name)), constant)?;
    }
    Ok(())
}

fn constant(folder: &Path, template: &Template) -> Result<String, Box<dyn Error>> {
    let mut text = String::from("GuestTemplate {\n");
    writeln!(text, "    name: {:?},", template.name)?;
    writeln!(text, "    aliases: &{:?},", template.aliases)?;
    writeln!(text, "    extensions: &{:?},", template.extensions)?;
    writeln!(text, "    version: {:?},", template.version)?;
    writeln!(text, "    contract: {},", template.contract)?;
    writeln!(text, "    default_memory_bytes: {},", template.memory_mb << 20)?;
    writeln!(text, "    guest: {},", artefact(folder, &template.guest)?)?;
    match &template.library {
        Some(library) => writeln!(text, "    library: Some({}),", artefact(folder, library)?)?,
        None => writeln!(text, "    library: None,")?,
    }
    text.push('}');
    Ok(text)
}

fn artefact(folder: &Path, artefact: &Artefact) -> Result<String, Box<dyn Error>> {
    let path = folder.join(&artefact.file);
    println!("cargo:rerun-if-changed={}", path.display());
    let size = fs::metadata(&path).map_err(|error| format!("`{}`: {error}", artefact.file))?.len();
    if size != artefact.size {
        return Err(format!("`{}` has {size} bytes, `size` says {}", artefact.file, artefact.size).into());
    }
    let path = path.to_str().ok_or("the path of the repository is not UTF-8")?;
    Ok(format!("Artefact {{ bytes: include_bytes!({path:?}), blake3: {:?} }}", artefact.blake3))
}
