//! What an estimate says, held against what the training then took.

#![expect(clippy::unwrap_used, reason = "a suite that cannot set itself up has failed")]

mod common;

use common::{greensand, quickstart};
use serde_json::Value;

fn estimate(runs: &str, more: &[&str]) -> Value {
    let runs = format!("project.runs={runs}");
    greensand(&[&["estimate", &quickstart(), "--json", "--set", &runs], more].concat()).code(0).json()
}

/// Adds up a number of the phases of a role.
fn sum(estimate: &Value, role: &str, case: &str, number: &str) -> u64 {
    let phases = estimate["phases"].as_array().unwrap().iter().filter(|phase| phase["role"] == role);
    phases.map(|phase| phase[case][number].as_u64().unwrap()).sum()
}

fn check(estimate: &Value, report: &Value, factor: f64) {
    for role in ["assistant", "optimizer"] {
        let usage = &report[format!("{role}_usage")];
        let actual = usage["requests"].as_u64().unwrap();
        assert!(sum(estimate, role, "worst", "calls") >= actual, "{role}: {estimate}");
        for (number, tokens) in [("prompt_tokens", "prompt_tokens"), ("completion_tokens", "completion_tokens")] {
            assert!(sum(estimate, role, "worst", number) >= usage[tokens].as_u64().unwrap(), "{role}: {estimate}");
        }
        let expected = u32::try_from(sum(estimate, role, "expected", "calls")).unwrap();
        let ratio = f64::from(expected) / f64::from(u32::try_from(actual).unwrap());
        assert!(
            (1.0 / factor..=factor).contains(&ratio),
            "{role}: {expected} calls were expected, and it took {actual}"
        );
    }
}

#[test]
fn the_worst_case_holds_and_what_is_expected_is_of_the_right_size() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().to_str().unwrap();
    let before = estimate(runs, &[]);
    assert!(before["basis"].as_str().unwrap().starts_with("no earlier run of the project was found"), "{before}");
    greensand(&["train", &quickstart(), "--runs", runs]).code(0);
    let run = std::fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let report = std::fs::read_to_string(run.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    check(&before, &report, 3.0);
    // The second time it knows.
    let after = estimate(runs, &[]);
    assert!(after["basis"].as_str().unwrap().contains("the means of `quickstart-"), "{after}");
    check(&after, &report, 1.1);
}

#[test]
fn money_is_estimated_where_a_price_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().to_str().unwrap();
    let total = |more: &[&str]| estimate(runs, more)["total"].clone();
    assert_eq!(total(&[])["worst"]["nano_usd"], 0, "a script is free");
    let known = total(&["--model", "gpt-4.1-mini"]);
    let (tokens, dollars) =
        (known["expected"]["prompt_tokens"].as_u64().unwrap(), known["expected"]["nano_usd"].as_u64());
    // 0.4 dollars for a million tokens of prompts are 400 billionths for one; replies cost more.
    assert!(dollars.unwrap() > tokens * 400, "{known}");
    assert_eq!(total(&["--model", "gpt-9"])["expected"]["nano_usd"], Value::Null);
    let text = greensand(&["estimate", &quickstart(), "--model", "gpt-9", "--max-calls", "7"]).code(0).stdout;
    for part in ["unknown", "price unknown: no table has one for model `gpt-9`", "budget: at most 7 calls", "steps"] {
        assert!(text.contains(part), "{text}");
    }
}
