//! Gate `memorised`: the source does not carry answers of training tasks as constants.
//!
//! A constant that equals a target answer counts by how unlikely that is by chance: `7` says nothing, `3628800` or a
//! sentence says all. A text that is a long piece of a question counts too: a table from questions to answers needs them
//! as keys. The gate reads literals, not meaning: answers that are computed from hidden pieces pass it.

use std::collections::BTreeSet;
use std::sync::Arc;

use greensand_types::Task;

use super::form::shown;

/// From this weight on the gate speaks.
const ENOUGH: u32 = 4;

/// A text of a question that is at least so long is hardly in a source by chance.
const QUESTION_PIECE: usize = 24;

/// So many constants are named in the message.
const SHOWN: usize = 5;

/// Returns what to say of a source that carries answers, if it does.
pub(crate) fn find(source: &str, train: &[Arc<Task>]) -> Option<String> {
    let answers = Answers::of(train);
    let mut weight: u32 = 0;
    let mut found = Vec::new();
    for literal in literals(source) {
        let hit = answers.weight_of(&literal);
        if hit > 0 {
            weight = weight.saturating_add(hit);
            found.push(literal.shown());
        }
    }
    if weight < ENOUGH {
        return None;
    }
    Some(format!(
        "the source carries answers of training tasks as constants ({}{}); compute them instead",
        found.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", "),
        if found.len() > SHOWN { ", .." } else { "" }
    ))
}

struct Answers<'a> {
    texts: BTreeSet<String>,
    numbers: BTreeSet<String>,
    tasks: &'a [Arc<Task>],
}

impl<'a> Answers<'a> {
    fn of(tasks: &'a [Arc<Task>]) -> Self {
        Self {
            texts: tasks.iter().map(|task| task.target.trim().to_lowercase()).collect(),
            numbers: tasks.iter().filter_map(|task| number(&task.target)).collect(),
            tasks,
        }
    }

    fn weight_of(&self, literal: &Literal) -> u32 {
        let (text, written) = match literal {
            Literal::Text(text) => (text.trim(), number(text)),
            Literal::Number(number) => ("", Some(number.clone())),
        };
        if let Some(written) = written {
            return if self.numbers.contains(&written) { number_weight(&written) } else { 0 };
        }
        let length = text.chars().count();
        if length >= QUESTION_PIECE && self.tasks.iter().any(|task| task.question.contains(text)) {
            return ENOUGH;
        }
        if self.texts.contains(&text.to_lowercase()) { text_weight(length) } else { 0 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Literal {
    Text(String),
    Number(String),
}

impl Literal {
    fn shown(&self) -> String {
        let (Self::Text(text) | Self::Number(text)) = self;
        format!("`{}`", shown(&text.chars().take(40).collect::<String>()))
    }
}

fn text_weight(characters: usize) -> u32 {
    match characters {
        0..4 => 0,
        4..8 => 1,
        8..12 => 2,
        _ => ENOUGH,
    }
}

/// Zeros at either end say nothing: 1000000 is as common as 1.
fn number_weight(number: &str) -> u32 {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    match digits.trim_matches('0').len() {
        0 | 1 => 0,
        2 | 3 => 1,
        4 => 2,
        _ => ENOUGH,
    }
}

/// Writes a number without separators, sign of plus, and zeros that say nothing.
fn number(text: &str) -> Option<String> {
    let text: String = text.trim().trim_start_matches('$').chars().filter(|c| !matches!(c, ',' | '_' | ' ')).collect();
    let unsigned = text.trim_start_matches(['-', '+']);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_number =
        !(whole.is_empty() && fraction.is_empty()) && format!("{whole}{fraction}").bytes().all(|b| b.is_ascii_digit());
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    is_number.then(|| format!("{}{point}{fraction}", whole.trim_start_matches('0')))
}

/// The quoted texts and the numbers of a source, each once, in any language that quotes with `"`, `'` or a backtick.
fn literals(source: &str) -> BTreeSet<Literal> {
    let mut found = BTreeSet::new();
    let mut rest = source;
    let mut previous = ' ';
    // A mark that does not close once does not close later, in the text or on its line; looking again at each would cost
    // the square of the length.
    let mut unclosed = BTreeSet::new();
    while let Some(first) = rest.chars().next() {
        let is_in_word = previous.is_alphanumeric() || previous == '_';
        let taken = if matches!(first, '"' | '\'' | '`') {
            let mark = mark_of(rest, first);
            let quoted = if unclosed.contains(mark) { None } else { quoted(&rest[mark.len()..], mark) };
            match quoted {
                Some(text) => {
                    found.insert(Literal::Text(text.to_owned()));
                }
                None => {
                    unclosed.insert(mark);
                }
            }
            quoted.map_or(mark.len(), |text| text.len() + 2 * mark.len())
        } else if first.is_ascii_digit() && !is_in_word {
            let taken = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
            found.extend(number(&rest[..taken]).map(Literal::Number));
            taken
        } else {
            first.len_utf8()
        };
        if rest[..taken].contains('\n') {
            unclosed.retain(|mark| spans_lines(mark));
        }
        previous = rest[..taken].chars().next_back().unwrap_or(' ');
        rest = &rest[taken..];
    }
    found
}

/// Returns the quote mark that a text begins with: a triple one, or a simple one.
fn mark_of(rest: &str, quote: char) -> &str {
    let quotes = rest.bytes().take(3).take_while(|byte| char::from(*byte) == quote).count();
    &rest[..if quotes == 3 { 3 } else { 1 }]
}

fn spans_lines(mark: &str) -> bool {
    mark.len() == 3 || mark == "`"
}

/// Returns the text up to the closing mark, if it closes.
fn quoted<'a>(body: &'a str, mark: &str) -> Option<&'a str> {
    let mut is_escaped = false;
    for (at, c) in body.char_indices() {
        if !is_escaped && body[at..].starts_with(mark) {
            return Some(&body[..at]);
        }
        // A simple quote that does not close on its line is an apostrophe in a comment.
        if c == '\n' && !spans_lines(mark) {
            return None;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    None
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
}
