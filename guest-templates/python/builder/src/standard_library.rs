//! The standard library as the guest asks for it: one compiled module per name.
//!
//! The sources are compiled by the guest's own CPython, in a sandboxed instance, so no other Python is needed. A
//! stored module is one byte (1 for a package) followed by its marshalled code.

use std::io::Read;
use std::sync::Arc;

use wasmtime::Module;
use wasmtime::error::Context;
use wasmtime::{Result, ensure};

use crate::guest::{self, Guest, Limits, Modules, Optimise, Request};

/// Parts that make no sense in the sandbox, or that describe the machine where CPython was built.
const LEFT_OUT: [&str; 18] = [
    "__phello__",
    "_aix_support",
    "_android_support",
    "_apple_support",
    "_ios_support",
    "_osx_support",
    "_sysconfigdata__wasi_wasm32-wasi",
    "antigravity",
    "config-3",
    "ctypes",
    "curses",
    "ensurepip",
    "idlelib",
    "pydoc_data",
    "test",
    "tkinter",
    "turtledemo",
    "venv",
];

/// Modules that stand in for those left out, where others need one: name and source.
const STAND_INS: [(&str, &str); 1] = [("_sysconfigdata__wasi_wasm32-wasi", "build_time_vars = {}\n")];

/// A module as source text.
struct Source {
    name: String,
    file_name: String,
    text: Vec<u8>,
}

/// Compiles every module in `archive` with the interpreter in `compiler`, a linked module.
pub fn compile(archive: &[u8], compiler: &[u8]) -> Result<Modules> {
    let mut sources = sources(archive)?;
    sources.sort_by(|left, right| left.name.cmp(&right.name));
    let engine = guest::engine(Optimise::Not)?;
    let module = Module::new(&engine, compiler)?;
    let linker = guest::linker(&engine, &module)?;
    let limits = Limits { memory: usize::MAX, ..Limits::default() };
    let mut modules = Modules::new();
    guest::on_large_stack(|| {
        let mut guest = Guest::new(&engine, &linker, &module, Arc::default(), limits)?;
        guest.init()?;
        for source in sources {
            let request = Request { code: &source.text, entry: &source.file_name, ..Request::default() };
            let reply = guest.request("gs_compile", &request).with_context(|| format!("compile `{}`", source.name))?;
            ensure!(reply.kind == 0, "`{}` does not compile: {}", source.name, reply.message);
            modules.insert(source.name, reply.payload);
        }
        Ok(())
    })?;
    Ok(modules)
}

fn sources(archive: &[u8]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        let Some(stem) = path.strip_suffix(".py") else { continue };
        let name = stem.strip_suffix("/__init__").unwrap_or(stem).replace('/', ".");
        let top = name.split('.').next().unwrap_or(&name);
        if LEFT_OUT.contains(&top)
            || name.split('.').any(|part| part == "test" || part == "tests" || part == "idle_test")
        {
            continue;
        }
        let mut text = Vec::new();
        entry.read_to_end(&mut text)?;
        // A few modules of the library are not in UTF-8 or are not meant to compile.
        if std::str::from_utf8(&text).is_ok() {
            sources.push(Source { name, file_name: format!("<stdlib>/{path}"), text });
        }
    }
    for (name, text) in STAND_INS {
        let file_name = format!("<stdlib>/{name}.py");
        sources.push(Source { name: name.into(), file_name, text: text.into() });
    }
    Ok(sources)
}

/// Packs the modules, the same bytes each time.
pub fn pack(modules: &Modules) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in modules {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, name, &content[..])?;
    }
    Ok(archive.into_inner()?)
}

/// Reads a packed library.
pub fn unpack(archive: &[u8]) -> Result<Modules> {
    let mut modules = Modules::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        modules.insert(name, content);
    }
    Ok(modules)
}
