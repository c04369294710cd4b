//! Gate `memorised`: the source does not carry answers of training tasks as constants.
//!
//! A constant that equals a target answer counts by how unlikely that is by chance: `7` says nothing, `3628800` or a
//! sentence says all. It counts in every spelling, cut into pieces that stand one after the other, backwards, as a list of
//! character codes, and, at half its weight, within a longer text (a docstring may show one example). A text that is
//! a long piece of a question counts too: a table from questions to answers needs them as keys.
//!
//! What does not count: answers that several tasks share (they are names of classes), days, months and other common words,
//! well-known numbers, and pieces that many questions have.
//!
//! The gate reads constants, not meaning: answers that are computed from hidden pieces (products, base64) pass it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use greensand_types::Task;

use super::form::shown;
use super::literals::{Literal, literals, number};

/// From this weight on the gate speaks.
const ENOUGH: u32 = 4;

/// A text of a question that is at least so long is hardly in a source by chance.
const QUESTION_PIECE: usize = 24;

/// A piece that more questions than this have is how such questions are put.
const QUESTIONS: usize = 2;

/// So many texts that stand one after the other are read as one.
const PIECES: usize = 8;

/// So many constants are named in the message.
const SHOWN: usize = 5;

/// Words that stand in sources for reasons of their own.
const COMMON_WORDS: [&str; 38] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "true",
    "false",
    "none",
    "null",
    "yes",
    "no",
    "undefined",
    "unknown",
    "invalid",
    "impossible",
    "infinity",
    "north",
    "south",
    "east",
    "west",
    "no solution",
    "not possible",
    "all real numbers",
    "empty set",
];

/// Numbers that stand in sources for reasons of their own: of time, of moduli, of physics. So do powers of two.
const COMMON_NUMBERS: [&str; 22] = [
    "1440",
    "3600",
    "10080",
    "86400",
    "604800",
    "525600",
    "31536000",
    "31622400",
    "365.25",
    "365.2425",
    "2147483647",
    "4294967295",
    "9223372036854775807",
    "18446744073709551615",
    "1000000007",
    "998244353",
    "273.15",
    "299792458",
    "9.80665",
    "3.14159",
    "3.1415926535",
    "2.71828",
];

/// Returns what to say of a source that carries answers, if it does.
pub(crate) fn find(source: &str, train: &[Arc<Task>]) -> Option<String> {
    let answers = Answers::of(train);
    let mut found = BTreeMap::new();
    let literals = literals(source);
    for literal in &literals {
        answers.look_at(literal, &mut found);
    }
    answers.look_at_pieces(&literals, &mut found);
    answers.look_at_codes(&literals, &mut found);
    if found.values().sum::<u32>() < ENOUGH {
        return None;
    }
    let named: Vec<String> = found.keys().take(SHOWN).map(|constant| format!("`{constant}`")).collect();
    Some(format!(
        "the source carries answers of training tasks as constants ({}{}); compute them instead",
        named.join(", "),
        if found.len() > SHOWN { ", .." } else { "" }
    ))
}

/// What counts, by what it is, each once.
type Found = BTreeMap<String, u32>;

struct Answers<'a> {
    /// The answers that are no numbers, with their weights.
    texts: BTreeMap<String, u32>,
    numbers: BTreeMap<String, u32>,
    tasks: &'a [Arc<Task>],
}

impl<'a> Answers<'a> {
    fn of(tasks: &'a [Arc<Task>]) -> Self {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for task in tasks {
            *counts.entry(normal(&task.target)).or_default() += 1;
        }
        let (mut texts, mut numbers) = (BTreeMap::new(), BTreeMap::new());
        for (text, count) in counts {
            match number(&text) {
                Some(number) => {
                    let weight = number_weight(&number);
                    numbers.insert(number, if count > 1 { weight / 2 } else { weight });
                }
                None if count > 1 || COMMON_WORDS.contains(&text.as_str()) => {}
                None => {
                    let weight = text_weight(text.chars().count());
                    texts.insert(text, weight);
                }
            }
        }
        Self { texts, numbers, tasks }
    }

    fn weight_of_text(&self, text: &str) -> u32 {
        let text = normal(text);
        let weight = match number(&text) {
            Some(number) => self.numbers.get(&number),
            None => self.texts.get(&text),
        };
        weight.copied().unwrap_or(0)
    }

    fn look_at(&self, literal: &Literal, found: &mut Found) {
        match literal {
            Literal::Number(number) => note(found, number, self.numbers.get(number).copied().unwrap_or(0)),
            Literal::Text(text) => {
                note(found, text, self.weight_of_text(text));
                note(found, text, self.weight_of_text(&text.chars().rev().collect::<String>()));
                note(found, text, self.weight_of_question(text));
                self.look_inside(text, found);
            }
        }
    }

    /// A piece of a question counts where few questions have it.
    fn weight_of_question(&self, text: &str) -> u32 {
        let piece = text.trim();
        if piece.chars().count() < QUESTION_PIECE {
            return 0;
        }
        let having = self.tasks.iter().filter(|task| task.question.contains(piece)).take(QUESTIONS + 1).count();
        if (1..=QUESTIONS).contains(&having) { ENOUGH } else { 0 }
    }

    /// Looks for answers within a longer text: numbers, and what stands between separators.
    fn look_inside(&self, text: &str, found: &mut Found) {
        const SEPARATORS: [char; 15] = [';', '|', ':', '=', '\n', '\t', '"', '\'', '(', ')', '[', ']', '{', '}', '>'];
        let parts = text.split(SEPARATORS);
        let words = text.split(|c: char| matches!(c, ' ' | ',') || SEPARATORS.contains(&c));
        let numbers = text.split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',' | '_')));
        let seen: BTreeSet<&str> = parts.chain(words).chain(numbers).filter(|part| !part.is_empty()).collect();
        for part in seen {
            if part.len() < text.len() {
                let part = part.trim_matches([' ', ',', '.']);
                note(found, part, self.weight_of_text(part) / 2);
            }
        }
    }

    /// Looks at texts that stand one after the other, whatever joins them.
    fn look_at_pieces(&self, literals: &[Literal], found: &mut Found) {
        let texts = literals.split(|literal| matches!(literal, Literal::Number(_)));
        for run in texts.filter(|run| run.len() > 1) {
            for first in 0..run.len() {
                let mut joined = String::new();
                for (index, literal) in run[first..].iter().take(PIECES).enumerate() {
                    let (Literal::Text(text) | Literal::Number(text)) = literal;
                    joined.push_str(text);
                    // Longer than every answer; the pieces of a long text would cost the square of it.
                    if joined.len() > 4096 {
                        break;
                    }
                    if index > 0 {
                        note(found, &joined, self.weight_of_text(&joined));
                    }
                }
            }
        }
    }

    /// Looks at numbers that stand one after the other and spell a text.
    fn look_at_codes(&self, literals: &[Literal], found: &mut Found) {
        let code = |literal: &Literal| match literal {
            Literal::Number(number) => number.parse::<u32>().ok().and_then(char::from_u32).filter(|c| !c.is_control()),
            Literal::Text(_) => None,
        };
        let mut spelt = String::new();
        for literal in literals.iter().map(code).chain([None]) {
            match literal {
                Some(c) => spelt.push(c),
                None => {
                    note(found, &spelt, self.weight_of_text(&spelt));
                    spelt.clear();
                }
            }
        }
    }
}

/// Keeps the largest weight of a constant.
fn note(found: &mut Found, constant: &str, weight: u32) {
    if weight > 0 {
        let kept = found.entry(shown(&constant.chars().take(40).collect::<String>())).or_default();
        *kept = weight.max(*kept);
    }
}

/// Writes an answer in small letters and with single spaces.
fn normal(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn text_weight(characters: usize) -> u32 {
    match characters {
        0..4 => 0,
        4..8 => 1,
        8..12 => 2,
        _ => ENOUGH,
    }
}

/// Zeros at either end say nothing: 1000000 is as common as 1. Years are half as rare as other numbers of their length.
fn number_weight(number: &str) -> u32 {
    let is_power_of_two = number.parse::<u128>().is_ok_and(u128::is_power_of_two);
    if is_power_of_two || COMMON_NUMBERS.contains(&number) {
        return 0;
    }
    let is_year = number.parse::<u32>().is_ok_and(|year| (1800..2100).contains(&year));
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    match digits.trim_matches('0').len() {
        0 | 1 => 0,
        2 | 3 => 1,
        4 if is_year => 1,
        4 => 2,
        _ => ENOUGH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(pairs: &[(&str, &str)]) -> Vec<Arc<Task>> {
        let task = |(index, (question, target)): (usize, &(&str, &str))| {
            Arc::new(Task {
                id: format!("t{index}").parse().unwrap(),
                question: (*question).into(),
                target: (*target).into(),
                metadata: serde_json::Map::new(),
            })
        };
        pairs.iter().enumerate().map(task).collect()
    }

    #[track_caller]
    fn check(source: &str, pairs: &[(&str, &str)], is_found: bool) {
        let found = find(source, &train(pairs));
        assert_eq!(found.is_some(), is_found, "{source}: {found:?}");
    }

    #[test]
    fn a_table_of_answers_is_found() {
        check("def f(q): return {'a': 3628800}[q]", &[("10!?", "3628800")], true);
        check("def f(q): return '3,628,800'", &[("10!?", "3628800")], true);
        check("A = [37, 82, 91, 46]", &[("", "37"), ("", "82"), ("", "91"), ("", "46")], true);
        check("def f(): return \"Wednesday, the 3rd\"", &[("", "wednesday, the 3rd")], true);
        check("T = {'How many days are there between': 1}", &[("How many days are there between A and B?", "9")], true);
    }

    #[test]
    fn common_constants_are_no_alarm() {
        check(
            "def f(y): return y % 4 == 0 and y % 100 != 0 or y % 400 == 0",
            &[("", "4"), ("", "100"), ("", "400")],
            false,
        );
        check("D = 24 * 60 * 60\nreturn 86400", &[("", "24"), ("", "60"), ("", "86400")], false);
        check("def f(x): return x * 1000000", &[("", "1000000")], false);
        check("def f(): return 'yes' if x else 'no'", &[("", "yes"), ("", "no")], false);
        check("x1234567 = f(a12345678)", &[("", "1234567"), ("", "12345678")], false);
    }

    #[test]
    fn odd_quotes_end_no_search() {
        check("# don't\nx = 3628800", &[("", "3628800")], true);
        check("s = 'it\\'s'; x = 3628800 # 'open", &[("", "3628800")], true);
        check("\"\"\"doc 'a \"\"\"\nx = 3628800", &[("", "3628800")], true);
        check("é'", &[("", "3628800")], false);
        check("# don't\nx = '3628800'", &[("", "3628800")], true);
    }

    /// The largest source that gate `form` lets through. It took the square of that once.
    #[test]
    fn quotes_that_never_close_are_looked_for_once() {
        let begun = std::time::Instant::now();
        check(&"'\\".repeat(32 << 10), &[("", "3628800")], false);
        assert!(begun.elapsed() < std::time::Duration::from_secs(4), "{:?}", begun.elapsed());
    }

    const FACTORIAL: [(&str, &str); 1] = [("10!?", "3628800")];
    const SENTENCE: [(&str, &str); 1] = [("?", "Wednesday, the 3rd")];

    #[test]
    fn an_answer_is_found_in_every_disguise() {
        for source in [
            "x = 0x375F00",
            "x = 3_628_800",
            "x = 3.6288e6",
            "x = 36288000e-1",
            "let x = 3628800u64;",
            "x = 3628800n",
            "x = int('36' + '28800')",
            "x = int('36' '288' '00')",
            "x = int(''.join(['36', '28', '800']))",
            "x = int('0088263'[::-1])",
            "x = int('\\x33628800')",
            "x = [51, 54, 50, 56, 56, 48, 48]",
        ] {
            check(source, &FACTORIAL, true);
        }
        for source in [
            "x = 'WEDNESDAY,  the\\n3rd'",
            "x = 'Wednes' + 'day, ' + \"the 3rd\"",
            "x = 'dr3 eht ,yadsendeW'",
            "x = '\\u0057ednesday, the 3rd'",
        ] {
            check(source, &SENTENCE, true);
        }
    }

    #[test]
    fn tables_are_found_in_lists_dicts_and_texts() {
        let sums = [("a", "48213"), ("b", "90127"), ("c", "55031")];
        for source in [
            "T = {'a': 48213, 'b': 90127}",
            "T = ['48213', '90127']",
            "const T = new Map([['a', 48213]]);",
            "\"\"\"a=48213;b=90127;c=55031\"\"\"\ndef f(k): ...",
            "T = '48213,90127'.split(',')",
            "T = json.loads('{\"a\": 48213, \"b\": 90127}')",
        ] {
            check(source, &sums, true);
        }
    }

    #[test]
    fn what_stands_in_honest_sources_is_no_alarm() {
        let sums = [("a", "48213"), ("b", "90127"), ("c", "1"), ("d", "true"), ("e", "7")];
        check("def f(a):\n    \"\"\"Adds; f(1) gives 48213.\"\"\"\n    return a", &sums, false);
        check("# f(1) is 48213, f(2) is 90127\nx = 1", &sums, false);
        check("def f(a): return a + 1 if a > 7 else True or 'true'", &sums, false);
        let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"].map(|day| ("", day));
        check("D = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']", &days, false);
        let times = [("", "86400"), ("", "65536"), ("", "1000000007"), ("", "1024"), ("", "2000"), ("", "1970")];
        check("x = a % 1000000007 + 86400 * 65536 - 1024 if y > 2000 else 1970", &times, false);
        let classes = [("a", "isosceles"), ("b", "isosceles"), ("c", "equilateral"), ("d", "equilateral")];
        check("return 'isosceles' if a == b else 'equilateral'", &classes, false);
        let questions = [
            ("How many days are there between A and B?", "12"),
            ("How many days are there between C and D?", "13"),
            ("How many days are there between E and F?", "14"),
        ];
        check("P = 'How many days are there between'", &questions, false);
        check("P = 'How many days are there between A and'", &questions, true);
    }

    /// The largest source that gate `form` lets through, of nothing but constants, against many tasks.
    #[test]
    fn a_source_of_constants_takes_no_time() {
        let targets: Vec<(String, String)> =
            (0..1000).map(|n| (format!("question {n}"), format!("{}", n * 7919 + 1))).collect();
        let pairs: Vec<(&str, &str)> =
            targets.iter().map(|(question, target)| (question.as_str(), target.as_str())).collect();
        let source: String = (0..9_000).map(|n| format!("'{}',", n % 97)).collect();
        let begun = std::time::Instant::now();
        let _ = find(&source, &train(&pairs));
        assert!(begun.elapsed() < std::time::Duration::from_secs(4), "{:?}", begun.elapsed());
    }

    /// Sources come from models: whatever stands in them, the reader comes to their end.
    #[test]
    fn no_source_stops_the_reader() {
        let alphabet: Vec<char> = "\"'`\\{}xuUneE0917.+-_#/ \n\u{e9}\u{5929}\u{1f600}".chars().collect();
        let train = train(&FACTORIAL);
        let mut state: u64 = 1;
        for length in 0..4000 {
            let mut source = String::new();
            for _ in 0..length % 90 {
                // Knuth's numbers: the same sources in every run.
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                source.push(alphabet[(state >> 33) as usize % alphabet.len()]);
            }
            let _ = find(&source, &train);
        }
    }
}
