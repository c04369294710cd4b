//! A project in JavaScript whose functions call each other: while it is trained, and from its run afterwards.

mod common;

use std::fs;

use common::greensand;

const PROJECT: &str = r#"
[project]
name = "sums"

[tasks]
train = "train.jsonl"
validation = "validation.jsonl"

[model]
backend = "scripted"
script = "script.toml"

[agent]
code_tool = "none"

[scorer]
name = "exact"

[functions]
language = "javascript"
may_call_each_other = true

[limits]
max_result_bytes = 3

[training]
epochs = 1
"#;

const SCRIPT: &str = r#"
format = 1

[[rule]]
role = "assistant"
last = '(?m)^value: (\d+)$'
[rule.reply]
text = 'The answer is \boxed{${last.1}}.'

[[rule]]
role = "assistant"
turn = 0
functions = ["sum_of_squares"]
question = 'squares up to (\d+)'
[[rule.reply.calls]]
name = "sum_of_squares"
arguments = { n = "${json:1}" }

[[rule]]
role = "assistant"
[rule.reply]
text = 'I guess \boxed{1}.'

[[rule]]
role = "optimizer"
turn = 0
[[rule.reply.calls]]
name = "add_function"
[rule.reply.calls.arguments]
name = "square"
description = "the square of a number"
parameters = { type = "object", properties = { n = { type = "integer" } }, required = ["n"] }
packages = []
language = "javascript"
source = "function square(n) { return n * n }"
examples = [{ arguments = { n = 3 }, result = 9 }]
[[rule.reply.calls]]
name = "add_function"
[rule.reply.calls.arguments]
name = "sum_of_squares"
description = "the sum of the squares up to a number"
parameters = { type = "object", properties = { n = { type = "integer" } }, required = ["n"] }
packages = []
language = "javascript"
source = "function sum_of_squares(n) { let s = 0; for (let i = 1; i <= n; i++) s += greensand.call('square', i); return s }"
examples = [{ arguments = { n = 3 }, result = 14 }]

[[rule]]
role = "optimizer"
[rule.reply]
text = "TERMINATE"
"#;

#[test]
fn functions_that_may_call_each_other_do_so_from_their_run_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let task = |n: u64| {
        let sum: u64 = (1..=n).map(|i| i * i).sum();
        format!("{{\"id\": \"{n}\", \"question\": \"the sum of the squares up to {n}\", \"target\": \"{sum}\"}}\n")
    };
    let (train, validation): (String, String) = ((2..6).map(task).collect(), (6..10).map(task).collect());
    let files = [
        ("greensand.toml", PROJECT),
        ("script.toml", SCRIPT),
        ("train.jsonl", &train),
        ("validation.jsonl", &validation),
    ];
    for (name, text) in files {
        fs::write(path(name), text).unwrap();
    }
    let report = greensand(&["train", &path("."), "--runs", &path("runs"), "--json"]).code(0);
    let report = report.last_line()["report"].clone();
    assert_eq!(report["epochs"][1]["decision"]["score"], 1.0, "{report}");

    let run =
        fs::read_dir(path("runs")).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let run = run.to_str().unwrap();
    assert_eq!(greensand(&["call", run, "sum_of_squares", "--args", "[10]"]).code(0).stdout.trim(), "385");
    // With the limits that it had there.
    greensand(&["call", run, "sum_of_squares", "--args", "[20]"]).code(1).says("output_limit");
    greensand(&["call", run, "sum_of_squares", "--args", "[20]", "--limit", "max_result_bytes=4"]).code(0);
    // What may not call is told so.
    let alone =
        greensand(&["train", &path("."), "--runs", &path("others"), "--set", "functions.may_call_each_other=false"]);
    assert!(alone.code(0).stderr.contains("refused add `sum_of_squares` at gate `examples`"));
}
