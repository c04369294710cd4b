//! Runs the cases of `cases.jsonl` and `cases-granted.jsonl`: one rule of the guest per line, with a function that shows it.
//!
//! A case is a request as [`Image::answer`] takes it, with the `rule` that it shows and what to `expect`; a field that
//! `expect` leaves out must be empty or 0. Every case but a script runs from source and from the compiled form.

use std::path::Path;

use serde_json::{Value, json};
use wasmtime::error::Context;
use wasmtime::{Result, ensure};

use crate::attempt::Image;
use crate::guest;

const FILES: [&str; 2] = ["cases.jsonl", "cases-granted.jsonl"];
const COMPARED: [&str; 7] = ["kind", "flags", "message", "payload", "stdout", "stderr", "refused"];

pub fn run(folder: &Path) -> Result<()> {
    let mut cases: Vec<Value> = Vec::new();
    for path in FILES.map(|name| folder.join(name)) {
        let text = std::fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
        for line in text.lines() {
            cases.push(serde_json::from_str(line)?);
        }
    }
    let image = Image::make(folder)?;
    let failures = guest::on_large_stack(|| Ok(cases.iter().map(|case| check(&image, case)).sum::<usize>()))?;
    ensure!(failures == 0, "{failures} of {} cases fail", cases.len());
    eprintln!("{} cases hold", cases.len());
    Ok(())
}

/// Runs one case in both forms; gives how many differ from what is expected.
fn check(image: &Image, case: &Value) -> usize {
    let mut request = case.clone();
    request["entry"] = json!(if case["export"] == "gs_run" { "" } else { "f" });
    request["wall_ms"] = json!(60_000);
    let mut failures = 0;
    for compiled in [false, true] {
        // A script has no compiled form, and source that does not compile has none either.
        if compiled && (case["export"] == "gs_run" || case["expect"]["kind"] == 2) {
            continue;
        }
        request["compiled"] = json!(compiled);
        let answer = image.answer(&request);
        let differs = |field: &&str| present(&answer[*field]) != present(&case["expect"][*field]);
        let differences: Vec<&str> = COMPARED.into_iter().filter(differs).collect();
        if !differences.is_empty() {
            failures += 1;
            eprintln!("{}: {} differ: {answer:#}", case["rule"], differences.join(", "));
        }
    }
    failures
}

/// A field's value unless it says nothing.
fn present(value: &Value) -> Option<&Value> {
    let is_empty = match value {
        Value::Null => true,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Object(_) => false,
    };
    (!is_empty).then_some(value)
}
