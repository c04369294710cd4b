//! Numbers as text: as JavaScript writes them, and as JSON that reads back as the same number.

/// The largest integer up to which every integer is a number of its own.
pub const LARGEST_SAFE: f64 = 9_007_199_254_740_991.0;

/// A number as `String(value)` gives it; the sign of zero is kept.
pub fn text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let value = value.abs();
    if value.is_infinite() {
        return format!("{sign}Infinity");
    }
    let (digits, exponent) = shortest(value);
    let count = digits.len() as i32;
    // `point` digits stand before the decimal point.
    let point = exponent + 1;
    let plain = if count <= point && point <= 21 {
        format!("{digits}{}", "0".repeat((point - count) as usize))
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(point as usize);
        format!("{whole}.{fraction}")
    } else if -6 < point && point <= 0 {
        format!("0.{}{digits}", "0".repeat(-point as usize))
    } else {
        scientific(&digits, exponent)
    };
    format!("{sign}{plain}")
}

/// A finite number as JSON. An integer is written as one only where no other number has the same digits; beyond, and
/// for a negative zero, the form is that of a float, so that it is read back as a number and not as a longer integer.
pub fn json(value: f64) -> String {
    if value == 0.0 {
        return if value.is_sign_negative() { "-0.0".into() } else { "0".into() };
    }
    if value.abs() > LARGEST_SAFE && value.fract() == 0.0 {
        let (digits, exponent) = shortest(value.abs());
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}{}", scientific(&digits, exponent));
    }
    text(value)
}

/// The shortest digits that read back as `value`, and the exponent of the first of them.
fn shortest(value: f64) -> (String, i32) {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.replace('.', ""), exponent.parse().unwrap_or_default())
}

fn scientific(digits: &str, exponent: i32) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { "-" } else { "+" };
    format!("{first}{point}{rest}e{sign}{}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_language_does() {
        let cases = [
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (100.0, "100"),
            (1e21, "1e+21"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e-7, "1e-7"),
            (0.000_001, "0.000001"),
            (5e-324, "5e-324"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (-0.0, "-0"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn json_tells_a_number_from_an_integer_with_the_same_digits() {
        assert_eq!(json(9_007_199_254_740_991.0), "9007199254740991");
        assert_eq!(json(9_007_199_254_740_992.0), "9.007199254740992e+15");
        assert_eq!(json(1e20), "1e+20");
        assert_eq!(json(-0.0), "-0.0");
        assert_eq!(json(2.5), "2.5");
    }
}
