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
    kind: Kind,
    guest: Option<Artefact>,
    library: Option<Artefact>,
    front: Option<Artefact>,
    recipe: Option<Recipe>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Interpreter,
    Compiled,
    Module,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Artefact {
    file: String,
    blake3: String,
    size: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    tool: String,
    root: Vec<String>,
    program: String,
    version: Vec<String>,
    requirements: Vec<Requirement>,
    install: String,
    executable: Vec<String>,
    readable: Vec<String>,
    arguments: Vec<String>,
    quick: Vec<String>,
    thorough: Vec<String>,
    output: String,
    error_mark: String,
    place_mark: String,
    runtime: Runtime,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    path: String,
    what: String,
    mend: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Runtime {
    folder: String,
    files: Vec<String>,
    program: String,
    environment: Vec<(String, String)>,
    offline: Vec<String>,
    online: Vec<String>,
    output: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let output = env::var("OUT_DIR")?;
    println!("cargo:rerun-if-changed=build.rs");
    // A folder has its own time stamp, which changes with what is listed in it: so a new language is noticed.
    println!("cargo:rerun-if-changed={root}");
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
    writeln!(text, "    kind: {},", kind(folder, template)?)?;
    text.push('}');
    Ok(text)
}

fn kind(folder: &Path, template: &Template) -> Result<String, Box<dyn Error>> {
    let Template { guest, library, front, recipe, .. } = template;
    match (&template.kind, guest, library, front, recipe) {
        (Kind::Interpreter, Some(guest), library, None, None) => {
            let library = match library {
                Some(library) => format!("Some({})", artefact(folder, library)?),
                None => "None".to_owned(),
            };
            Ok(format!("GuestKind::Interpreter {{ guest: {}, library: {library} }}", artefact(folder, guest)?))
        }
        (Kind::Compiled, None, None, Some(front), Some(recipe)) => {
            let front = artefact(folder, front)?;
            Ok(format!("GuestKind::Compiled {{ front: {front}, recipe: &{} }}", constant_recipe(folder, recipe)?))
        }
        (Kind::Module, None, None, None, None) => Ok("GuestKind::Module".to_owned()),
        (Kind::Interpreter, ..) => Err("an interpreter has a `guest`, perhaps a `library`, and nothing else".into()),
        (Kind::Compiled, ..) => Err("a compiled language has a `front` and a `recipe`, and nothing else".into()),
        (Kind::Module, ..) => Err("a language of modules has no artefacts".into()),
    }
}

fn constant_recipe(folder: &Path, recipe: &Recipe) -> Result<String, Box<dyn Error>> {
    let mut text = String::from("Recipe {\n");
    for (name, value) in [
        ("tool", &recipe.tool),
        ("program", &recipe.program),
        ("install", &recipe.install),
        ("output", &recipe.output),
        ("error_mark", &recipe.error_mark),
        ("place_mark", &recipe.place_mark),
    ] {
        writeln!(text, "    {name}: {value:?},")?;
    }
    for (name, values) in [
        ("root", &recipe.root),
        ("version", &recipe.version),
        ("executable", &recipe.executable),
        ("readable", &recipe.readable),
        ("arguments", &recipe.arguments),
        ("quick", &recipe.quick),
        ("thorough", &recipe.thorough),
    ] {
        writeln!(text, "    {name}: &{values:?},")?;
    }
    text.push_str("    requirements: &[");
    for Requirement { path, what, mend } in &recipe.requirements {
        write!(text, "Requirement {{ path: {path:?}, what: {what:?}, mend: {mend:?} }}, ")?;
    }
    writeln!(text, "],\n    runtime: {},", constant_runtime(folder, &recipe.runtime)?)?;
    text.push('}');
    Ok(text)
}

fn constant_runtime(folder: &Path, runtime: &Runtime) -> Result<String, Box<dyn Error>> {
    let mut text = String::from("Runtime { files: &[");
    for file in &runtime.files {
        let path = folder.join(&runtime.folder).join(file);
        println!("cargo:rerun-if-changed={}", path.display());
        let path = path.to_str().ok_or("the path of the repository is not UTF-8")?;
        write!(text, "({file:?}, include_str!({path:?})), ")?;
    }
    let Runtime { program, environment, offline, online, output, .. } = runtime;
    write!(
        text,
        "], program: {program:?}, environment: &{environment:?}, offline: &{offline:?}, online: &{online:?}, output: {output:?} }}"
    )?;
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
