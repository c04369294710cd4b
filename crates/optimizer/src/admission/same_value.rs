//! Whether two JSON texts say the same value.
//!
//! Whole numbers are compared digit by digit, however long; other numbers with a relative tolerance of 1e-9; objects
//! without regard to the order of their keys. The texts are walked as text, because a parsed number of more than 64 bits
//! has lost digits.

use std::collections::BTreeMap;

use greensand_types::JsonText;
use serde_json::value::RawValue;

const TOLERANCE: f64 = 1e-9;

/// Values that are nested deeper than this are only compared as text: each level costs a look at all below it.
const MAX_DEPTH: usize = 100;

/// Says whether two texts hold the same value.
pub(crate) fn same_value(left: &JsonText, right: &JsonText) -> bool {
    same(left.get(), right.get(), 0)
}

fn same(left: &str, right: &str, depth: usize) -> bool {
    let (left, right) = (left.trim(), right.trim());
    if left == right {
        return true;
    }
    if depth == MAX_DEPTH {
        return false;
    }
    match (left.as_bytes().first(), right.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => same_objects(left, right, depth),
        (Some(b'['), Some(b'[')) => same_lists(left, right, depth),
        (Some(b'"'), Some(b'"')) => same_strings(left, right),
        (Some(b'-' | b'0'..=b'9'), Some(b'-' | b'0'..=b'9')) => same_numbers(left, right),
        _ => false,
    }
}

fn same_objects(left: &str, right: &str, depth: usize) -> bool {
    type Fields<'a> = BTreeMap<String, &'a RawValue>;
    let (Ok(left), Ok(right)) = (serde_json::from_str::<Fields<'_>>(left), serde_json::from_str::<Fields<'_>>(right))
    else {
        return false;
    };
    left.len() == right.len()
        && left.iter().zip(&right).all(|((left_key, left), (right_key, right))| {
            left_key == right_key && same(left.get(), right.get(), depth + 1)
        })
}

fn same_lists(left: &str, right: &str, depth: usize) -> bool {
    let (Ok(left), Ok(right)) =
        (serde_json::from_str::<Vec<&RawValue>>(left), serde_json::from_str::<Vec<&RawValue>>(right))
    else {
        return false;
    };
    left.len() == right.len() && left.iter().zip(&right).all(|(left, right)| same(left.get(), right.get(), depth + 1))
}

fn same_strings(left: &str, right: &str) -> bool {
    match (serde_json::from_str::<String>(left), serde_json::from_str::<String>(right)) {
        (Ok(left), Ok(right)) => left == right,
        // A lone surrogate has no other spelling than its own text.
        _ => false,
    }
}

fn same_numbers(left: &str, right: &str) -> bool {
    if is_whole(left) && is_whole(right) {
        return whole_digits(left) == whole_digits(right);
    }
    let (Ok(left), Ok(right)) = (left.parse::<f64>(), right.parse::<f64>()) else {
        return false;
    };
    // Beyond the range of a double nothing but the same text is the same number.
    left.is_finite() && right.is_finite() && (left - right).abs() <= TOLERANCE * left.abs().max(right.abs())
}

fn is_whole(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

fn whole_digits(number: &str) -> &str {
    if number == "-0" { "0" } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(left: &str, right: &str, expected: bool) {
        let (left, right) = (JsonText::parse(left).unwrap(), JsonText::parse(right).unwrap());
        assert_eq!(same_value(&left, &right), expected, "{left} {right}");
        assert_eq!(same_value(&right, &left), expected, "{right} {left}");
    }

    #[test]
    fn whole_numbers_are_exact() {
        check("123456789012345678901234567890", "123456789012345678901234567890", true);
        check("123456789012345678901234567890", "123456789012345678901234567891", false);
        check("9007199254740993", "9007199254740992", false);
        check("0", "-0", true);
    }

    #[test]
    fn other_numbers_have_a_relative_tolerance() {
        check("0.30000000000000004", "0.3", true);
        check("1e300", "1.0000000001e300", true);
        check("5", "5.0", true);
        check("5", "5.001", false);
        check("0.0", "1e-12", false);
        check("1e999", "2e999", false);
    }

    #[test]
    fn containers_compare_by_what_they_hold() {
        check(r#"{"a": 1, "b": [1, 2.0]}"#, r#"{"b":[1,2],"a":1}"#, true);
        check(r#"{"a": 1}"#, r#"{"a": 1, "b": null}"#, false);
        check("[1, 2]", "[2, 1]", false);
        check("[]", "{}", false);
        check("null", "false", false);
        check(r#""\u0041""#, r#""A""#, true);
        check(r#""1""#, "1", false);
    }

    #[test]
    fn deep_values_need_no_stack() {
        let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(100_000), "]".repeat(100_000));
        check(&deep("1"), &deep("1"), true);
        check(&deep("1"), &deep("2"), false);
    }
}
