//! The constants of a source, in any language that quotes with `"`, `\'` or a backtick.
//!
//! It is not a parser: it knows quotes, escapes, numbers, and comments that no language of ours takes for code. What it cannot
//! tell apart it reads as a constant.

use std::collections::BTreeSet;

/// A constant, in the order in which they stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Literal {
    /// A quoted text, with its escapes resolved.
    Text(String),
    /// A number, as [`number`] writes it.
    Number(String),
}

/// Writes a number without separators, signs, suffixes of a type, and zeros that say nothing; in whatever base it was written.
pub(super) fn number(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches(['$', '\u{20ac}', '\u{a3}']).trim_end_matches('%');
    let text: String = text.chars().filter(|c| !matches!(c, ',' | '_' | ' ')).collect();
    let unsigned = text.trim_start_matches(['-', '+']).to_ascii_lowercase();
    for (prefix, base) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return u128::from_str_radix(digits, base).ok().map(|value| plain(&value.to_string(), ""));
        }
    }
    let decimal = without_suffix(&unsigned);
    if let Some((mantissa, exponent)) = decimal.split_once('e') {
        return shifted(mantissa, exponent.trim_start_matches('+').parse().ok()?);
    }
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    is_digits(whole, fraction).then(|| plain(whole, fraction))
}

/// What says the type of a number behind its digits.
const SUFFIXES: [&str; 17] = [
    "u128", "i128", "usize", "isize", "u64", "i64", "f64", "u32", "i32", "f32", "u16", "i16", "u8", "i8", "n", "j", "l",
];

/// Cuts off what says the type of a number.
fn without_suffix(text: &str) -> &str {
    let cut = SUFFIXES.iter().find_map(|suffix| text.strip_suffix(suffix));
    cut.filter(|digits| digits.ends_with(|c: char| c.is_ascii_digit())).unwrap_or(text)
}

/// Writes `mantissa` times ten to the `exponent`.
fn shifted(mantissa: &str, exponent: i32) -> Option<String> {
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !is_digits(whole, fraction) || exponent.abs() > 40 {
        return None;
    }
    let shift = exponent.unsigned_abs() as usize;
    let zeros = "0".repeat(shift);
    Some(if exponent >= 0 {
        let digits = format!("{fraction}{zeros}");
        plain(&format!("{whole}{}", &digits[..shift]), &digits[shift..])
    } else {
        let digits = format!("{zeros}{whole}");
        let at = digits.len() - shift;
        plain(&digits[..at], &format!("{}{fraction}", &digits[at..]))
    })
}

fn is_digits(whole: &str, fraction: &str) -> bool {
    !(whole.is_empty() && fraction.is_empty())
        && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
}

fn plain(whole: &str, fraction: &str) -> String {
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction}", whole.trim_start_matches('0'))
}

/// Returns the quoted texts and the numbers of a source.
pub(super) fn literals(source: &str) -> Vec<Literal> {
    let mut found = Vec::new();
    let mut rest = source;
    let mut previous = '\n';
    let mut is_at_start = true;
    // A mark that does not close once does not close later, in the text or on its line; looking again at each would cost
    // the square of the length.
    let mut unclosed = BTreeSet::new();
    while let Some(first) = rest.chars().next() {
        is_at_start = previous == '\n' || (is_at_start && previous.is_whitespace());
        let is_in_word = previous.is_alphanumeric() || previous == '_';
        let taken = if matches!(first, '"' | '\'' | '`') {
            let mark = mark_of(rest, first);
            let quoted = if unclosed.contains(mark) { None } else { quoted(&rest[mark.len()..], mark) };
            match quoted {
                Some(text) => {
                    found.push(Literal::Text(unescaped(text)));
                }
                None => {
                    unclosed.insert(mark);
                }
            }
            quoted.map_or(mark.len(), |text| text.len() + 2 * mark.len())
        } else if let Some(comment) = comment(rest, is_at_start) {
            comment
        } else if first.is_ascii_digit() && !is_in_word {
            let taken = number_length(rest);
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

/// Returns the length of the number that a text begins with, with the sign of its exponent.
fn number_length(rest: &str) -> usize {
    let run =
        |text: &str| text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(text.len());
    let taken = run(rest);
    let (mantissa, tail) = rest.split_at(taken);
    let exponent = tail.strip_prefix(['-', '+']).filter(|tail| tail.starts_with(|c: char| c.is_ascii_digit()));
    match exponent {
        Some(digits) if mantissa.ends_with(['e', 'E']) && !mantissa.starts_with("0x") => taken + 1 + run(digits),
        Some(_) | None => taken,
    }
}

/// Returns the length of the comment that a text begins with, if it does: `# ..`, and `// ..` at the start of a line, since
/// `//` divides in some languages, and `#x` is code in others.
fn comment(rest: &str, is_at_start: bool) -> Option<usize> {
    let is_comment = rest.starts_with("# ") || rest.starts_with("#\n") || (is_at_start && rest.starts_with("//"));
    is_comment.then(|| rest.find('\n').unwrap_or(rest.len()))
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

/// Resolves the escapes that the languages share; what is none stays as it stands.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (character, length) = escape_of(escape);
        out.extend(character);
        rest = &escape[length..];
    }
    out.push_str(rest);
    out
}

/// Returns the character of an escape, behind its backslash, and its length.
fn escape_of(escape: &str) -> (Option<char>, usize) {
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
    let fixed = |length: usize| hex(escape.get(1..1 + length)?).map(|character| (Some(character), 1 + length));
    let braced = || {
        let digits = escape.get(1..)?.strip_prefix('{')?.split_once('}')?.0;
        hex(digits).map(|character| (Some(character), digits.len() + 3))
    };
    let first = escape.chars().next();
    let found = match first {
        Some('x') => fixed(2),
        Some('u') => braced().or_else(|| fixed(4)),
        Some('U') => fixed(8),
        Some('n') => Some((Some('\n'), 1)),
        Some('t') => Some((Some('\t'), 1)),
        // A line that goes on below.
        Some('\n') => Some((None, 1)),
        Some(mark @ ('\\' | '"' | '\'' | '`')) => Some((Some(mark), 1)),
        Some(_) | None => None,
    };
    found.unwrap_or((Some('\\'), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_in_every_spelling() {
        for (written, expected) in [
            ("3628800", "3628800"),
            ("3_628_800", "3628800"),
            ("3,628,800", "3628800"),
            ("+003628800.00", "3628800"),
            ("$3,628,800", "3628800"),
            ("0x375F00", "3628800"),
            ("0b101", "5"),
            ("0o17", "15"),
            ("3.6288e6", "3628800"),
            ("36288E+2", "3628800"),
            ("36288000e-1", "3628800"),
            ("5e-3", ".005"),
            ("3628800u64", "3628800"),
            ("3628800usize", "3628800"),
            ("3628800n", "3628800"),
            ("0.50", ".5"),
            ("45%", "45"),
        ] {
            assert_eq!(number(written).as_deref(), Some(expected), "{written}");
        }
        for written in ["", "-", ".", "e5", "0x", "1e999", "12a", "1.2.3", "u64", "n"] {
            assert_eq!(number(written), None, "{written}");
        }
    }

    #[track_caller]
    fn check(source: &str, expected: &[&str]) {
        let found: Vec<String> = literals(source)
            .into_iter()
            .map(|literal| match literal {
                Literal::Text(text) => format!("{text:?}"),
                Literal::Number(number) => number,
            })
            .collect();
        assert_eq!(found, expected, "{source}");
    }

    #[test]
    fn constants_are_read_in_their_order() {
        check("f('a', 12, \"b\")", &["\"a\"", "12", "\"b\""]);
        check("'\\x57ed' + '\\u{6e}es' + \"d\\u0061y\"", &["\"Wed\"", "\"nes\"", "\"day\""]);
        check("'\\\\frac{1}{2}' '\\d+'", &["\"\\\\frac{1}{2}\"", "\"\\\\d+\""]);
        check("'\\x' '\\u{' '\\u12", &["\"\\\\x\"", "\"\\\\u{\""]);
    }

    #[test]
    fn comments_are_no_constants() {
        check("# 10! is 3628800\nx = 1 # not 2\n", &["1"]);
        check("  // 10! is 3628800\nx = 1", &["1"]);
        check("x = 7 // 2", &["7", "2"]);
        check("#[rate(5)]", &["5"]);
        check("x = '# 5'", &["\"# 5\""]);
    }
}
