//! The `math` scorer on real targets: the MATH data set that lies beside the workspace while it is developed.
//!
//! Every target must be right against itself and against its usual other spellings, and two targets that mean different
//! things must not be taken for each other. Where the data is absent the tests say so and pass.
//!
//! Of the five million pairs of targets the tests compare those that look alike and a sample of the others; with
//! `GREENSAND_EVERY_PAIR=1` they compare all, which takes minutes in a release build.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use greensand_agent::{Scorer, open_scorer};
use greensand_types::Task;
use regex::Regex;
use serde_json::{Map, Value, json};

/// Returns question and answer of every line, or nothing where the data is absent.
fn read_tasks() -> Option<Vec<(String, String)>> {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/math");
    if !root.is_dir() {
        return None;
    }
    let mut tasks = Vec::new();
    for split in ["train", "test"] {
        let folder = std::fs::read_dir(root.join(split)).expect("the split is a folder");
        let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("the folder can be listed").path()).collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).expect("the file can be read");
            for line in text.lines() {
                let row: Value = serde_json::from_str(line).expect("the line is JSON");
                let answer = match &row["answer"] {
                    Value::String(text) => text.clone(),
                    number => number.to_string(),
                };
                tasks.push((row["question"].as_str().expect("a question is text").to_owned(), answer));
            }
        }
    }
    Some(tasks)
}

fn scorer(options: Value) -> Arc<dyn Scorer> {
    let Value::Object(options) = options else { panic!("options are an object") };
    open_scorer("math", &options).expect("the options are known")
}

fn task(question: &str, target: &str) -> Task {
    Task {
        id: "math".parse().expect("the id is one"),
        question: question.to_owned(),
        target: target.to_owned(),
        metadata: Map::new(),
    }
}

fn boxed(answer: &str) -> String {
    format!("So this is it: $\\boxed{{{answer}}}$.")
}

/// Returns other spellings of an answer that anyone would accept.
fn spellings(answer: &str) -> Vec<String> {
    let one_line = answer.trim().replace('\n', " ");
    let mut spellings = vec![
        boxed(answer),
        boxed(&format!("${}$", answer.trim())),
        boxed(&format!(" {} ", answer.trim())),
        format!("Let us see.\n{one_line}"),
        format!("Let us see.\n{}.", one_line.trim_end_matches('.')),
        format!("Let us see.\n${one_line}$"),
        format!("The answer is ${one_line}$."),
        format!("Final answer: {one_line}"),
        format!("Thus\n\\[\n{one_line}\n\\]"),
        boxed(&answer.replace("\\frac", "\\dfrac").replace("\\ddfrac", "\\dfrac").replace("\\tdfrac", "\\dfrac")),
        boxed(&answer.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")),
        boxed(&answer.replace('+', " + ").replace('=', " = ").replace("  ", " ")),
        boxed(&answer.replace("\\left", "").replace("\\right", "").replace('(', "\\left(").replace(')', "\\right)")),
        boxed(&answer.replace("\\left", "").replace("\\right", "")),
        boxed(&answer.replace("\\cup", " \\cup ").replace("\\cdot", "\\times").replace("\\!", "")),
        boxed(&answer.replace("\\text{", "\\mathrm{").replace("\\mbox{", "\\text{")),
    ];
    let braced = Regex::new(r"\^([0-9a-z])").expect("a pattern").replace_all(answer, "^{$1}").into_owned();
    spellings.push(boxed(&braced));
    let bare_root = Regex::new(r"\\sqrt([0-9])").expect("a pattern").replace_all(answer, "\\sqrt{$1}").into_owned();
    spellings.push(boxed(&bare_root));
    let fraction = Regex::new(r"^(-?)\\[dt]?frac\{(\d+)\}\{(\d+)\}$").expect("a pattern");
    if let Some(parts) = fraction.captures(answer) {
        spellings.push(boxed(&format!("{}{}/{}", &parts[1], &parts[2], &parts[3])));
        spellings.push(boxed(&format!("\\frac{{{}{}}}{{{}}}", &parts[1], &parts[2], &parts[3])));
        spellings.push(format!("{}{}/{}", &parts[1], &parts[2], &parts[3]));
        let (top, bottom): (u64, u64) = (parts[2].parse().expect("digits"), parts[3].parse().expect("digits"));
        if (1_000_000u64 * top).is_multiple_of(bottom) && top < 1_000_000_000 {
            let millionths = 1_000_000 * top / bottom;
            let decimal = format!("{}{}.{:06}", &parts[1], millionths / 1_000_000, millionths % 1_000_000);
            spellings.push(boxed(decimal.trim_end_matches('0').trim_end_matches('.')));
        }
    }
    if let Ok(integer) = answer.parse::<i64>() {
        spellings.push(boxed(&format!("{integer}.0")));
        let digits = integer.unsigned_abs().to_string();
        let groups: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
        let sign = if integer < 0 { "-" } else { "" };
        for separator in [",", "{,}", ",\\!", "\\,"] {
            spellings.push(boxed(&format!("{sign}{}", groups.join(separator))));
        }
    }
    spellings
}

/// What the tests say where there is no data.
const SKIPPED: &str = "skipped: there is no data in ../shared/data/math";

#[test]
fn every_target_is_right_in_every_usual_spelling() {
    let Some(tasks) = read_tasks() else {
        println!("{SKIPPED}");
        return;
    };
    assert!(tasks.len() > 10_000, "the data is whole: {}", tasks.len());
    let scorer = scorer(json!({}));
    let (mut wrong, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let (mut count, mut without_target) = (0, 0);
    for (question, answer) in &tasks {
        let task = task(question, answer);
        if answer.trim().is_empty() {
            assert!(scorer.check_target(answer).is_err());
            without_target += 1;
            continue;
        }
        let replies = if seen.insert(answer) { spellings(answer) } else { vec![boxed(answer)] };
        for reply in replies {
            count += 1;
            let verdict = scorer.score(&task, &reply);
            if !verdict.is_satisfied {
                wrong.insert(format!("{answer}  |  {}  |  {}", reply.replace('\n', "⏎"), verdict.feedback));
            }
        }
    }
    println!("{count} replies to {} tasks are right; {without_target} tasks have no target", tasks.len());
    assert!(without_target < 10, "{without_target} tasks have no target");
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{} replies are refused:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn targets_are_taken_for_each_other_only_where_they_are_the_same() {
    let Some(tasks) = read_tasks() else {
        println!("{SKIPPED}");
        return;
    };
    let distinct: BTreeSet<String> = tasks.into_iter().map(|(_, answer)| answer).collect();
    let targets: Vec<String> = distinct.into_iter().filter(|target| !target.trim().is_empty()).collect();
    let scorer = scorer(json!({"units": "required"}));
    let pairs =
        if std::env::var_os("GREENSAND_EVERY_PAIR").is_some() { every_pair(&targets) } else { likely_pairs(&targets) };
    assert!(pairs.len() > 20_000, "{}", pairs.len());
    let equal = |pairs: &[(usize, usize)]| {
        let is_equal = |(one, other): &&(usize, usize)| {
            scorer.score(&task("", &targets[*one]), &boxed(&targets[*other])).is_satisfied
        };
        pairs.iter().filter(is_equal).copied().collect::<Vec<_>>()
    };
    let found: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let halves = pairs.chunks(pairs.len().div_ceil(2)).map(|half| scope.spawn(|| equal(half))).collect::<Vec<_>>();
        halves.into_iter().flat_map(|half| half.join().expect("no scorer panics")).collect()
    });
    let is_wrong = |(one, other): &&(usize, usize)| !are_surely_the_same(&targets[*one], &targets[*other]);
    let wrong: Vec<String> = found
        .iter()
        .filter(is_wrong)
        .map(|(one, other)| format!("{}  is not  {}", targets[*one], targets[*other]))
        .collect();
    println!("{} pairs compared, {} of them the same", pairs.len(), found.len());
    assert!(found.len() > 50, "the data has many targets in two spellings: {}", found.len());
    assert!(wrong.is_empty(), "{} pairs are taken for each other:\n{}", wrong.len(), wrong.join("\n"));
}

/// Returns every pair but those of two plain numbers, which say little about formulas.
fn every_pair(targets: &[String]) -> Vec<(usize, usize)> {
    let is_plain: Vec<bool> = targets.iter().map(|target| target.parse::<f64>().is_ok()).collect();
    let pairs = (0..targets.len()).flat_map(|one| (one + 1..targets.len()).map(move |other| (one, other)));
    pairs.filter(|(one, other)| !(is_plain[*one] && is_plain[*other])).collect()
}

/// Returns the pairs that differ in digits only, as far as there are not too many of a kind, those with the same
/// digits, and a sample of the rest.
fn likely_pairs(targets: &[String]) -> Vec<(usize, usize)> {
    let mut kinds: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let pattern = Regex::new(r"\d+").expect("a pattern");
    for (index, target) in targets.iter().enumerate() {
        let digits: String = target.chars().filter(char::is_ascii_digit).collect();
        kinds.entry(pattern.replace_all(target, "9").replace(' ', "")).or_default().push(index);
        kinds.entry(format!("digits {digits}")).or_default().push(index);
    }
    let mut pairs: BTreeSet<(usize, usize)> = BTreeSet::new();
    for alike in kinds.values() {
        for (place, one) in alike.iter().enumerate() {
            pairs.extend(alike[place + 1..].iter().take(15).map(|other| (*one, *other)));
        }
    }
    pairs.extend(every_pair(targets).into_iter().step_by(251));
    pairs.into_iter().collect()
}

/// Says whether two targets are the same by means that have nothing in common with the scorer: as text once spelling is
/// taken off, as one name and its value, or as numbers that a small reader of fractions and roots works out.
fn are_surely_the_same(one: &str, other: &str) -> bool {
    let (one, other) = (without_spelling(one), without_spelling(other));
    let value = |text: &str| text.split_once('=').map_or(text, |(_, value)| value).to_owned();
    let sorted = |text: &str| {
        let mut terms: Vec<&str> = text.split([',', '+']).collect();
        terms.sort_unstable();
        terms.join(",")
    };
    let (one, other) = (value(&one), value(&other));
    let numbers = (simple_number(&one), simple_number(&other));
    one == other
        || sorted(&one) == sorted(&other)
        || sorted(&one.replace('-', "+-")).trim_matches(',') == sorted(&other.replace('-', "+-")).trim_matches(',')
        || matches!(numbers, (Some(one), Some(other)) if (one - other).abs() <= 1e-9 * one.abs())
}

fn without_spelling(target: &str) -> String {
    let dropped = Regex::new(r",\\!|\\left|\\right|\\[,!;: ]|\\(text|mbox|textnormal|mathbf)\b|[\s$]|\{,\}|[.,]$")
        .expect("a pattern");
    let text = dropped.replace_all(target.trim(), "").replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac");
    let text = text.replace("{(", "{").replace(")}", "}").replace("{degrees}", "^\\circ").replace("four", "4");
    let group = Regex::new(r"\{([A-Za-z0-9]|\\circ|\d+)\}").expect("a pattern");
    let one_sided = Regex::new(r"^\{?([^{}]*)\}?$").expect("a pattern");
    let text = one_sided.replace(&text, "$1").into_owned();
    if text.contains("frac") { text } else { group.replace_all(&text, "$1").into_owned() }
}

/// Works out signs, integers, decimals, mixed numbers, fractions, single roots, percent, degrees and multiples of pi.
fn simple_number(text: &str) -> Option<f64> {
    if let Some(rest) = text.strip_prefix('-') {
        return simple_number(rest).map(|value| -value);
    }
    if let Some(rest) = text.strip_suffix("\\%") {
        return simple_number(rest).map(|value| value / 100.0);
    }
    if let Some(rest) = text.strip_suffix("^\\circ").or(text.strip_suffix("^{\\circ}")) {
        return simple_number(rest).map(f64::to_radians);
    }
    if let Some(rest) = text.strip_suffix("\\pi") {
        return if rest.is_empty() {
            Some(std::f64::consts::PI)
        } else {
            simple_number(rest).map(|value| value * std::f64::consts::PI)
        };
    }
    if let Some(rest) = text.strip_prefix("\\sqrt") {
        return rest.trim_matches(['{', '}']).parse::<f64>().ok().map(f64::sqrt);
    }
    if let Some((top, bottom)) = text.split_once('/') {
        return Some(simple_number(top)? / simple_number(bottom)?);
    }
    let fraction = Regex::new(r"^(\d*)\\frac(?:\{([^{}]+|\\sqrt\{\d+\})\}|(\d))(?:\{([^{}]+|\\sqrt\{\d+\})\}|(\d))$")
        .expect("a pattern");
    if let Some(parts) = fraction.captures(text) {
        let whole = if parts[1].is_empty() { 0.0 } else { parts[1].parse::<f64>().ok()? };
        let top = simple_number(parts.get(2).or(parts.get(3))?.as_str())?;
        let bottom = simple_number(parts.get(4).or(parts.get(5))?.as_str())?;
        return Some(whole + top / bottom);
    }
    text.parse().ok()
}

#[test]
fn the_judge_of_pairs_tells_what_is_the_same() {
    for (one, other) in [
        ("\\frac{1}{\\sqrt{2}}", "\\frac{\\sqrt{2}}{2}"),
        ("2\\frac14", "2.25"),
        ("x=\\frac{3}{2}", "\\tfrac32"),
        ("-2, 2", "2,-2"),
        ("30^\\circ.", "\\frac{\\pi}{6}"),
        ("\\text{(E)},", "E"),
    ] {
        assert!(are_surely_the_same(one, other), "{one} is {other}");
    }
    for (one, other) in
        [("3", "30"), ("(1,2)", "(1,2]"), ("x^2", "x^3"), ("\\frac{1}{23}", "\\frac{12}{3}"), ("50\\%", "50")]
    {
        assert!(!are_surely_the_same(one, other), "{one} is not {other}");
    }
}
