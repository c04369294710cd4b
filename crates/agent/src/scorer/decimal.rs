//! Decimal numbers as exact fractions.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow};

/// The largest exponent that is read, of either sign; beyond it a text is no number.
///
/// A few characters ask for that many digits, and reducing a fraction takes the square of them.
const MAX_EXPONENT: u64 = 1_000;

/// The most digits that are read.
const MAX_DIGITS: usize = 10_000;

/// Reads digits with an optional point and exponent: `12`, `.5`, `1.50`, `2e-3`. No sign before the digits.
pub(super) fn parse_decimal(text: &str) -> Option<BigRational> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || digits.len() > MAX_DIGITS || exponent.unsigned_abs() > MAX_EXPONENT {
        return None;
    }
    let exponent = exponent - i64::try_from(fraction.len()).ok()?;
    let digits: BigInt = digits.parse().ok()?;
    let power = Pow::pow(BigInt::from(10), exponent.unsigned_abs());
    Some(if exponent < 0 { BigRational::new(digits, power) } else { BigRational::new(digits * power, BigInt::one()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(i64, i64)>) {
        let expected = expected.map(|(numerator, denominator)| BigRational::new(numerator.into(), denominator.into()));
        assert_eq!(parse_decimal(text), expected, "{text}");
    }

    #[test]
    fn decimals_are_exact() {
        check("0.1", Some((1, 10)));
        check(".50", Some((1, 2)));
        check("12.", Some((12, 1)));
        check("1.5e3", Some((1500, 1)));
        check("25e-2", Some((1, 4)));
        assert_eq!(parse_decimal("1e1000"), parse_decimal(&format!("1{}", "0".repeat(1000))));
    }

    #[test]
    fn what_is_no_decimal_or_too_large_is_nothing() {
        for text in
            ["", ".", "e5", "1e", "1e99999999999999999999", "1e1000000", "1e1001", "1e-1001", "-1", "1_0", "٣", "1.2.3"]
        {
            check(text, None);
        }
        check(&"9".repeat(20_000), None);
    }
}
