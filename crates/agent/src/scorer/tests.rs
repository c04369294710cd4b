//! What holds for every scorer of the list.

use std::time::{Duration, Instant};

use greensand_types::{Task, Verdict};
use serde_json::{Map, Value, json};

use super::{SCORERS, open_scorer};

fn task(question: &str, target: &str) -> Task {
    Task { id: "t".parse().unwrap(), question: question.to_owned(), target: target.to_owned(), metadata: Map::new() }
}

/// Scores one answer with a scorer that is opened for it.
pub(super) fn score(scorer: &str, options: Value, question: &str, target: &str, answer: &str) -> Verdict {
    let options: Map<String, Value> = serde_json::from_value(options).unwrap();
    open_scorer(scorer, &options).unwrap().score(&task(question, target), answer)
}

/// A target that every scorer takes, with a right and a wrong reply.
const TARGET: &str = "97531";

#[test]
fn every_scorer_is_described_opens_without_options_and_tells_right_from_wrong() {
    for entry in SCORERS {
        assert!(!entry.summary.is_empty() && !entry.summary.ends_with('.'), "{}", entry.name);
        assert!(entry.options.iter().all(|option| !option.summary.is_empty()), "{}", entry.name);
        let scorer = open_scorer(entry.name, &Map::new()).unwrap();
        assert_eq!(scorer.check_target(TARGET), Ok(()), "{}", entry.name);
        let right = scorer.score(&task("How many?", TARGET), &format!("There are \\boxed{{{TARGET}}}."));
        assert!(right.is_satisfied && right.score == 1.0, "{}: {}", entry.name, right.feedback);
        assert_eq!(right.answer.as_deref(), Some(TARGET), "{}", entry.name);
        for reply in ["\\boxed{97532}", "I do not know.", "", "[1, 2]", "the number"] {
            let wrong = scorer.score(&task("How many?", TARGET), reply);
            assert!(!wrong.is_satisfied && wrong.score == 0.0, "{}: {reply}", entry.name);
            assert!(!wrong.feedback.is_empty() && !wrong.feedback.contains(TARGET), "{}", wrong.feedback);
        }
    }
}

#[test]
fn unknown_options_are_refused_with_the_nearest_known_one() {
    for entry in SCORERS {
        for option in entry.options {
            let misspelt = format!("{}x", option.name);
            let options = Map::from_iter([(misspelt.clone(), json!(1))]);
            let error = open_scorer(entry.name, &options).err().expect("the option is unknown").to_string();
            let expected = format!("scorer `{}`: unknown option `{misspelt}`", entry.name);
            assert!(error.starts_with(&expected), "{error}");
            assert!(error.ends_with(&format!("did you mean `{}`?", option.name)), "{error}");
        }
    }
}

#[test]
fn malformed_options_are_refused_with_what_they_can_be() {
    for (scorer, option, value, expected) in [
        ("exact", "ignore_case", json!("yes"), "option `ignore_case` must be true or false, found \"yes\""),
        (
            "exact",
            "whitespace",
            json!("none"),
            "option `whitespace` must be \"trim\" or \"collapse\" or \"ignore\", found \"none\"",
        ),
        ("number", "relative", json!(-1), "option `relative` must be a number that is not negative, found -1"),
        ("math", "units", json!(true), "option `units` must be \"optional\" or \"required\", found true"),
        ("regex", "pattern", json!(3), "option `pattern` must be a string, found 3"),
    ] {
        let options = Map::from_iter([(option.to_owned(), value)]);
        let error = open_scorer(scorer, &options).err().expect("the option is malformed").to_string();
        assert_eq!(error, format!("scorer `{scorer}`: {expected}"));
    }
    let options = Map::from_iter([("pattern".to_owned(), json!("(a"))]);
    let error = open_scorer("regex", &options).err().expect("the pattern is malformed").to_string();
    assert!(error.contains("unclosed group"), "{error}");
}

#[test]
fn an_unknown_scorer_is_an_error_that_lists_the_known_ones() {
    let error = open_scorer("maths", &Map::new()).err().expect("there is no such scorer").to_string();
    assert_eq!(
        error,
        "unknown scorer `maths`: the known ones are `exact`, `number`, `math`, `regex`, `json`; did you mean `math`?"
    );
}

#[test]
fn exact_compares_characters() {
    let check = |options: Value, target: &str, reply: &str, expected: bool| {
        let Value::Object(options) = options else { panic!("options are an object") };
        let verdict = open_scorer("exact", &options).unwrap().score(&task("", target), reply);
        assert_eq!(verdict.is_satisfied, expected, "{reply} for {target}");
    };
    check(json!({}), "Paris", " Paris\n", true);
    check(json!({}), "Paris", "The answer is Paris.", true);
    check(json!({}), "Paris", "paris", false);
    check(json!({"ignore_case": true}), "Paris", "PARIS", true);
    check(json!({}), "a  b", "a b", false);
    check(json!({"whitespace": "collapse"}), "a  b", "a b", true);
    check(json!({"whitespace": "ignore"}), "a b", "ab", true);
    check(json!({}), "one\ntwo", "one\ntwo", true);
    check(json!({}), "3", "30", false);
}

#[test]
fn regex_matches_the_answer_as_a_whole_or_searches_the_reply() {
    let check = |options: Value, target: &str, reply: &str, expected: bool| {
        let Value::Object(options) = options else { panic!("options are an object") };
        let verdict = open_scorer("regex", &options).unwrap().score(&task("", target), reply);
        assert_eq!(verdict.is_satisfied, expected, "{reply} for {target}");
    };
    check(json!({}), "a|ab", "ab", true);
    check(json!({}), "a+", "aab", false);
    check(json!({"match": "search"}), "a+b", "xx aab yy", true);
    check(json!({"ignore_case": true}), "yes", "YES", true);
    check(json!({"pattern": "(?i)result: {target}", "match": "search"}), "1.5", "Result: 1.5!", true);
    check(json!({"pattern": "(?i)result: {target}", "match": "search"}), "1.5", "Result: 125!", false);
    check(json!({}), "(", "(", false);
    let scorer = open_scorer("regex", &Map::new()).unwrap();
    assert!(scorer.check_target("(").is_err());
    assert!(scorer.check_target("(a{1000}){1000}").is_err(), "a pattern that explodes is refused");
}

/// Text that looks like answers, to be cut, doubled and mixed.
const SEEDS: [&str; 24] = [
    "\\boxed{\\frac{1}{2}}",
    "\\left( -\\infty, \\frac{3}{4} \\right] \\cup [7,\\infty)",
    "\\begin{pmatrix} 1 & \\phantom -1 \\\\ 2 \\end{pmatrix}",
    "\\sqrt[3]{-8}",
    "3\\text{ cm}^2",
    "x^{-2^{3^{x}}}",
    "1,\\!234.5e10",
    "0.\\overline{3}",
    "50\\%",
    "\\{1,2,\\pm 3\\}",
    "\\sin^{-1} 2x \\cos y",
    "-80\\leq g(x)\\leq 82",
    "{\"a\": [1, {\"b\": 1e999}]}",
    "$\\$5.20$ and 3 1/2",
    "|x|!^!°%",
    "(1,2](3",
    "24_{10}",
    "\\binom{5}{2}",
    "é\u{202e}\0√²",
    "10^{10^{10}}",
    "2^{-99999999999}",
    "(x+y+z+1)^{100}",
    "\\sqrt{99999999999999999999}",
    "1/0 + 0^{-1} + \\frac{0}{0}",
];

#[test]
fn no_text_makes_a_scorer_panic_or_dawdle() {
    let mut state = 20_u64;
    let mut pick = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let mut mixed = || {
        let mut text = String::new();
        for _ in 0..=pick(4) {
            let seed: Vec<char> = SEEDS[pick(SEEDS.len())].chars().collect();
            let (from, to) = (pick(seed.len() + 1), pick(seed.len() + 1));
            text.extend(&seed[from.min(to)..from.max(to)]);
            if pick(3) == 0 {
                text.extend(&seed);
            }
        }
        text
    };
    for entry in SCORERS {
        let scorer = open_scorer(entry.name, &Map::new()).unwrap();
        for _ in 0..1500 {
            let (target, reply) = (mixed(), mixed());
            let start = Instant::now();
            let _ = scorer.check_target(&target);
            let _ = scorer.score(&task(&reply, &target), &reply);
            let _ = scorer.score(&task("", &target), &format!("\\boxed{{{target}}}"));
            assert!(start.elapsed() < Duration::from_secs(10), "{}: {target} and {reply}", entry.name);
        }
    }
}

#[test]
fn huge_and_deep_texts_are_read_in_a_moment() {
    let repeated = |unit: &str| unit.repeat(100_000 / unit.len());
    let texts = [
        "{",
        "(",
        "\\frac{",
        "\\sqrt",
        "\\boxed{",
        "[",
        "{\"a\":",
        "1/",
        "x^",
        "!",
        "-",
        "\\left(",
        "9",
        "1,",
        "\\text{",
        "\\begin{pmatrix}",
        "2^{",
        "|",
        "\\sin ",
        "\\pm 1,",
        "1+x*",
        " ",
        "$",
        "is ",
        "1 ",
        "\\frac11",
        "(x+1)",
        "\\sqrt{9999999967}",
        "a,",
        "x<",
        "1e-20000 ",
        "1e-1000,",
        "2.5x10^{-999} ",
        "+1e-999",
    ];
    for entry in SCORERS {
        let scorer = open_scorer(entry.name, &Map::new()).unwrap();
        for unit in texts {
            let marked = format!("the answer is {}", unit.repeat(400));
            for text in [repeated(unit), unit.repeat(60), unit.repeat(900), marked] {
                let start = Instant::now();
                let _ = scorer.score(&task("", TARGET), &text);
                let _ = scorer.score(&task("", &text), &format!("\\boxed{{{text}}} {text}"));
                let _ = scorer.score(&task("factor", &format!("x{text}")), &text);
                assert!(
                    start.elapsed() < Duration::from_secs(15),
                    "{}: {unit} x {} took {:?}",
                    entry.name,
                    text.len() / unit.len(),
                    start.elapsed()
                );
            }
        }
    }
}
