//! Numbers in prose: what is written differently but is the same number is the same.
//!
//! The number is that of the final answer: alone, with a sign, a currency, thousands separators, as a fraction or a
//! mixed number (`1 1/2`), in scientific notation (`1.2e5`, `1.2 x 10^5`), with a percent sign or a unit. It is kept as an
//! exact fraction, so that integers of any size and decimals of any length compare exactly; a tolerance is asked for.
//! `50%` is `0.5`, and is `50` only for a target that is itself written in percent.
//!
//! Where a final answer holds several numbers, the first counts if the answer was marked (`\boxed{}`, "the answer is"),
//! and otherwise the last.

use std::sync::{Arc, LazyLock};

use greensand_types::{Task, Verdict};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, Zero};
use regex::{Captures, Regex};

use super::decimal::parse_decimal;
use super::entry::{Scorer, ScorerEntry, TargetError};
use super::final_answer::{Place, final_answer};
use super::options::{OptionEntry, Options, OptionsError, quoted};

pub(super) const ENTRY: ScorerEntry = ScorerEntry {
    name: "number",
    summary: "the number in the final answer is the target, exactly or within a tolerance",
    options: &[
        OptionEntry {
            name: "relative",
            summary: "the largest difference as a fraction of the target, such as 0.01; 0 by default",
        },
        OptionEntry { name: "absolute", summary: "the largest difference that is allowed in any case; 0 by default" },
        OptionEntry {
            name: "unit",
            summary: "\"match\" (a unit that the answer gives must be that of the target if it has one, the default) \
                      or \"ignore\"",
        },
    ],
    open,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnitRule {
    Match,
    Ignore,
}

/// Compares numbers.
struct Number {
    relative: BigRational,
    absolute: BigRational,
    unit_rule: UnitRule,
}

fn open(options: &Options<'_>) -> Result<Arc<dyn Scorer>, OptionsError> {
    Ok(Arc::new(Number {
        relative: options.tolerance("relative")?,
        absolute: options.tolerance("absolute")?,
        unit_rule: options.choice("unit", &[("match", UnitRule::Match), ("ignore", UnitRule::Ignore)])?,
    }))
}

impl Scorer for Number {
    fn score(&self, task: &Task, answer: &str) -> Verdict {
        let Some(target) = first_quantity(&task.target) else {
            return Verdict::unsatisfied(None, "the target of this task holds no number");
        };
        let found = final_answer(answer);
        let number = match found.place {
            Place::Box | Place::Marker => first_quantity(found.text),
            Place::LastLine => last_quantity(found.text),
        };
        let Some(number) = number else {
            let feedback = format!("there is no number in the final answer `{}`", quoted(found.text));
            return Verdict::unsatisfied(Some(found.text.to_owned()), feedback);
        };
        match self.difference(&number, &target) {
            None => Verdict::satisfied(number.text, "the number is right"),
            Some(why) => {
                let feedback = format!("found the number `{}`, {why}", quoted(&number.text));
                Verdict::unsatisfied(Some(number.text), feedback)
            }
        }
    }

    fn check_target(&self, target: &str) -> Result<(), TargetError> {
        match numbers(&plain(beginning(target))).filter_map(|captures| read(&captures)).take(2).count() {
            1 => Ok(()),
            0 => Err(TargetError("it holds no number".to_owned())),
            _ => Err(TargetError("it holds more than one number".to_owned())),
        }
    }
}

impl Number {
    /// Returns why a number is not the target, as the end of a sentence that does not tell the target.
    fn difference(&self, number: &Quantity, target: &Quantity) -> Option<&'static str> {
        if self.unit_rule == UnitRule::Match && !units_agree(&number.unit, &target.unit) {
            return Some("which has another unit than was expected");
        }
        let number_value = number.value();
        let target_value = target.value();
        let difference = (number_value - &target_value).abs();
        let allowed = (&self.relative * target_value.abs()).max(self.absolute.clone());
        if difference <= allowed {
            return None;
        }
        let is_exact = self.relative.is_zero() && self.absolute.is_zero();
        Some(if is_exact { "which is not the expected one" } else { "which is outside of the tolerance" })
    }
}

/// A number as it stands in a text.
#[derive(Debug, Clone, PartialEq)]
struct Quantity {
    text: String,
    number: BigRational,
    is_percent: bool,
    unit: String,
}

impl Quantity {
    fn value(&self) -> BigRational {
        if self.is_percent { &self.number / BigInt::from(100) } else { self.number.clone() }
    }
}

fn units_agree(found: &str, expected: &str) -> bool {
    let rest = found.strip_prefix(expected);
    found.is_empty() || expected.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

static QUANTITY: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?x)
        (?P<sign>[-+])? \s? (?P<currency>[$€£¥₹])? \s? (?P<inner_sign>[-+])?
        (?:
            (?: (?P<whole>\d+) \s+ )? (?P<numerator>\d+) \s? / \s? (?P<denominator>\d+)
          | (?P<grouped>\d{1,3}(?:,\d{3})+(?:\.\d+)?)
          | (?P<decimal>\d+(?:\.\d+)?|\.\d+)
        )
        (?: [eE](?P<exponent>[-+]?\d{1,6})\b | \s?[x*]\s?10\s?\^\s?\{?(?P<power>[-+]?\d{1,6})\}? )?
        \s? (?P<percent>%|percent\b)?
        (?P<unit>[\x20]?[\pL°$€£¥]+(?:[/·][\pL°]+|\^-?\d+|\x20[\pL°]+)*)?";
    Regex::new(pattern).expect("the pattern is a regular expression")
});

/// The most of a text that is searched for its number, in bytes.
const MAX_SEARCHED: usize = 4096;

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_SEARCHED)]
}

fn end(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(MAX_SEARCHED))..]
}

fn first_quantity(text: &str) -> Option<Quantity> {
    numbers(&plain(beginning(text))).find_map(|captures| read(&captures))
}

fn last_quantity(text: &str) -> Option<Quantity> {
    let text = plain(end(text));
    let numbers: Vec<Captures<'_>> = numbers(&text).collect();
    numbers.iter().rev().find_map(read)
}

/// Finds what is written like a number in a plain text. Reading one may cost more than its text is long: only those
/// that count are read.
fn numbers(text: &str) -> impl Iterator<Item = Captures<'_>> {
    QUANTITY.captures_iter(text).filter(move |captures| {
        let whole = captures.get_match();
        let start = whole.end() - whole.as_str().trim_start().len();
        !text[..start].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '^' | '.'))
    })
}

fn read(captures: &Captures<'_>) -> Option<Quantity> {
    let text = |name: &str| captures.name(name).map(|found| found.as_str());
    let mut number = match (text("numerator"), text("denominator")) {
        (Some(numerator), Some(denominator)) => {
            let denominator: BigInt = denominator.parse().ok()?;
            if denominator.is_zero() {
                return None;
            }
            parse_decimal(text("whole").unwrap_or("0"))? + BigRational::new(numerator.parse().ok()?, denominator)
        }
        _ => parse_decimal(&text("grouped").or(text("decimal"))?.replace(',', ""))?,
    };
    if let Some(exponent) = text("exponent").or(text("power")) {
        let (sign, digits) = exponent.strip_prefix('-').map_or(("", exponent), |digits| ("-", digits));
        number *= parse_decimal(&format!("1e{sign}{}", digits.trim_start_matches('+')))?;
    }
    let is_negative = (text("sign") == Some("-")) != (text("inner_sign") == Some("-"));
    let currency = text("currency").unwrap_or_default();
    let unit = text("unit").unwrap_or_default().trim();
    Some(Quantity {
        text: captures.get(0)?.as_str().trim().to_owned(),
        number: if is_negative { -number } else { number },
        is_percent: text("percent").is_some(),
        unit: if currency.is_empty() { unit } else { currency }.to_owned(),
    })
}

/// Writes a text the plain way: no LaTeX around numbers, one kind of minus and of times.
fn plain(text: &str) -> String {
    static FRACTION: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"(?P<whole>\d?)\s*\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}";
        Regex::new(pattern).expect("the pattern is a regular expression")
    });
    let text = FRACTION.replace_all(text, "$whole $2/$3 ");
    let replacements = [
        ("\\%", "%"),
        ("\\$", "$"),
        ("{,}", ","),
        (",\\!", ","),
        ("\\,", ""),
        ("\\!", ""),
        ("\\ ", " "),
        ("\\times", "x"),
        ("\\cdot", "x"),
        ("\\text{", " "),
        ("\\mathrm{", " "),
        ("\\mbox{", " "),
        ("^{\\circ}", " °"),
        ("^\\circ", " °"),
        ("^{", "^"),
        ("\u{2212}", "-"),
        ("\u{2013}", "-"),
        ("×", "x"),
        ("·", "x"),
        ("\u{a0}", " "),
        ("\u{202f}", " "),
        ("**", ""),
        ("}", " "),
        ("\\(", " "),
        ("\\)", " "),
    ];
    replacements.iter().fold(text.into_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::super::{open_scorer, tests};
    use super::*;

    fn score(options: Value, target: &str, answer: &str) -> Verdict {
        tests::score("number", options, "", target, answer)
    }

    fn check(target: &str, right: &[&str], wrong: &[&str]) {
        for answer in right {
            assert!(score(json!({}), target, answer).is_satisfied, "{answer} is {target}");
        }
        for answer in wrong {
            assert!(!score(json!({}), target, answer).is_satisfied, "{answer} is not {target}");
        }
    }

    #[test]
    fn spellings_of_one_number_agree() {
        check(
            "1234.5",
            &["1,234.5", "$1,234.50", "1.2345e3", "1.2345 x 10^3", "2469/2", "+1234.5", "\\boxed{1{,}234.5}"],
            &["1234", "12345", "-1234.5", "1,2345", "1234.51"],
        );
        check("-5", &["-5", "\u{2212}5", "- 5", "-$5", "$-5", "The answer is -5."], &["5", "+5", "3-5=2"]);
        check(
            "1.5",
            &["1 1/2", "3/2", "\\boxed{1\\frac{1}{2}}", "\\boxed{\\frac{3}{2}}", ".15e1", "150%"],
            &["11/2", "1/2"],
        );
    }

    #[test]
    fn percent_is_a_hundredth() {
        check("0.5", &["50%", "50 percent", "50\\%"], &["50", "0.5%"]);
        check("50%", &["50%", "0.5", "1/2"], &["50", "5%"]);
        check("50", &["50"], &["50%"]);
    }

    #[test]
    fn units_may_be_missing_but_not_others() {
        check(
            "12 km",
            &["12 km", "12", "12km", "12 km in total", "\\boxed{12 \\text{ km}}"],
            &["12 m", "12 kmh", "$12"],
        );
        check("12", &["12 km", "12 cm^2"], &["12k 13"]);
        assert!(score(json!({"unit": "ignore"}), "12 km", "12 m").is_satisfied);
    }

    #[test]
    fn large_integers_and_long_decimals_are_exact() {
        check(
            "123456789012345678901234567890",
            &["123,456,789,012,345,678,901,234,567,890"],
            &["123456789012345678901234567891"],
        );
        check("0.1234567890123456789", &["0.12345678901234567890"], &["0.1234567890123456788"]);
    }

    #[test]
    fn tolerances_are_inclusive_and_of_the_target() {
        let within = |answer| score(json!({"relative": 0.25}), "100", answer).is_satisfied;
        assert!(within("125") && within("75") && !within("125.0001") && !within("74.9"));
        let within = |answer| score(json!({"absolute": 0.5}), "-1", answer).is_satisfied;
        assert!(within("-1.5") && within("-0.5") && !within("-1.51"));
    }

    #[test]
    fn the_first_number_counts_where_the_answer_is_marked_and_else_the_last() {
        check(
            "42",
            &["The answer is 42 out of 50.", "6 times 7 is 42", "a\nb 1 2\nso 42"],
            &["The answer is 41, not 42.", "42 and then 43", "no number", "x42"],
        );
    }

    #[test]
    fn feedback_never_tells_the_target() {
        let verdict = score(json!({}), "97531", "\\boxed{12}");
        assert!(!verdict.feedback.contains("97531"), "{}", verdict.feedback);
        assert!(verdict.feedback.contains("`12`"), "{}", verdict.feedback);
    }

    #[test]
    fn a_target_without_exactly_one_number_is_told_before_it_is_paid_for() {
        let scorer = open_scorer("number", &Map::new()).unwrap();
        assert!(scorer.check_target("12 km").is_ok());
        for bad in ["", "twelve", "1 or 2", "1/0"] {
            assert!(scorer.check_target(bad).is_err(), "{bad}");
        }
    }
}
