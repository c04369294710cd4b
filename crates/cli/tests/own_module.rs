//! The module that `examples/module` shows, built as its page says and called.

#![allow(clippy::print_stdout, reason = "a suite that is skipped says so")]

mod common;

use std::path::Path;
use std::process::Command;

use common::greensand;

const MEAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/module/mean.rs");

/// Builds the example as its page says; nothing where the compiler or its target is not there.
fn build(folder: &Path) -> Option<String> {
    let module = folder.join("mean.wasm");
    let arguments = "--edition 2024 --crate-type cdylib --target wasm32-wasip1 -O -C strip=symbols";
    let mut compiler = Command::new("rustc");
    compiler.args(arguments.split(' ')).arg("-o").arg(&module).arg(MEAN).current_dir(folder);
    let built = compiler.output().ok()?;
    let said = String::from_utf8_lossy(&built.stderr);
    let has_target = !said.contains("may not be installed");
    assert!(built.status.success() || !has_target, "{said}");
    has_target.then(|| module.to_str().expect("a path of the test is text").to_owned())
}

#[test]
fn the_example_of_a_module_is_what_its_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let Some(module) = build(folder.path()) else {
        println!("skipped: there is no `rustc` with the target wasm32-wasip1");
        return;
    };
    let answer = greensand(&["call", &module, "mean", "--args", "[1, 2, 6]"]).code(0).says("3 numbers");
    assert_eq!(answer.stdout.trim(), "3.0");
    greensand(&["call", &module, "median", "--args", "[]"]).code(1).says("invalid");
}

#[test]
fn a_module_in_text_is_told_to_become_a_binary() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.wasm");
    std::fs::write(&path, "\n(module (func))").unwrap();
    greensand(&["call", path.to_str().unwrap(), "f"]).code(2).says("is WebAssembly in text").says("wasm-tools parse");
}
