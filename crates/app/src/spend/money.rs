use std::fmt;
use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An amount of money in billionths of a dollar: a whole number, so that sums come out the same in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Money {
    nano_dollars: u64,
}

impl Money {
    /// No money.
    pub const ZERO: Self = Self { nano_dollars: 0 };

    /// Makes an amount of billionths of a dollar.
    pub const fn of_nano_dollars(nano_dollars: u64) -> Self {
        Self { nano_dollars }
    }

    /// Makes an amount of a number that a person wrote, rounded to a billionth. What is negative is nothing.
    pub fn of_dollars(dollars: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "such a cast saturates, as is meant"
        )]
        let nano_dollars = (dollars * 1e9).round() as u64;
        Self { nano_dollars }
    }

    /// Returns the billionths of a dollar.
    pub const fn nano_dollars(self) -> u64 {
        self.nano_dollars
    }

    /// Returns the sum, or the largest amount.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { nano_dollars: self.nano_dollars.saturating_add(other.nano_dollars) }
    }

    /// Returns what is left after another amount, at least nothing.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { nano_dollars: self.nano_dollars.saturating_sub(other.nano_dollars) }
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = self.plus(other);
    }
}

/// As a person reads it: `$12.34`, and below a dollar as many digits as say something: `$0.0123`.
impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dollars = self.nano_dollars / 1_000_000_000;
        let rest = self.nano_dollars % 1_000_000_000;
        if self.nano_dollars == 0 {
            return formatter.write_str("$0");
        }
        if dollars > 0 {
            let cents = u128::from(self.nano_dollars).saturating_add(5_000_000) / 10_000_000;
            return write!(formatter, "${}.{:02}", cents / 100, cents % 100);
        }
        // Three digits that are not leading zeros, and at least cents.
        let digits = format!("{rest:09}");
        let first = digits.find(|digit| digit != '0').unwrap_or(0);
        let kept = (first + 3).clamp(2, 9);
        let unit = 10_u64.pow(u32::try_from(9 - kept).unwrap_or(0));
        let rounded = (rest + unit / 2) / unit;
        let whole = 10_u64.pow(u32::try_from(kept).unwrap_or(0));
        let digits = format!("{:0kept$}", rounded % whole);
        let shown = digits.trim_end_matches('0');
        write!(formatter, "${}.{shown:0<2}", rounded / whole)
    }
}

/// Returns a number of tokens as a person reads it, such as `1.2 M tokens`.
pub fn tokens_text(tokens: u64) -> String {
    let short = |unit: u64| {
        let tenths = u128::from(tokens).saturating_mul(10).saturating_add(u128::from(unit) / 2) / u128::from(unit);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match tokens {
        0..10_000 => greensand_types::counted(usize::try_from(tokens).unwrap_or(usize::MAX), "token"),
        10_000..999_950 => format!("{} k tokens", short(1_000)),
        999_950..999_950_000 => format!("{} M tokens", short(1_000_000)),
        999_950_000.. => format!("{} G tokens", short(1_000_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_with_the_digits_that_say_something() {
        for (nano, text) in [
            (0, "$0"),
            (1, "$0.000000001"),
            (12_345_678, "$0.0123"),
            (100_000_000, "$0.10"),
            (120_000_000, "$0.12"),
            (999_900_000, "$1.00"),
            (999_400_000, "$0.999"),
            (1_000_000_000, "$1.00"),
            (12_345_678_901, "$12.35"),
            (u64::MAX, "$18446744073.71"),
        ] {
            assert_eq!(Money::of_nano_dollars(nano).to_string(), text, "{nano}");
        }
    }

    #[test]
    fn what_a_person_writes_is_exact_to_the_billionth() {
        for (dollars, nano) in
            [(0.1, 100_000_000), (0.3, 300_000_000), (2.5, 2_500_000_000), (-1.0, 0), (1e30, u64::MAX)]
        {
            assert_eq!(Money::of_dollars(dollars).nano_dollars(), nano);
        }
    }

    #[test]
    fn tokens_are_shown_in_thousands_and_millions() {
        for (tokens, text) in [
            (0, "0 tokens"),
            (1, "1 token"),
            (9_999, "9999 tokens"),
            (12_345, "12.3 k tokens"),
            (999_949, "999.9 k tokens"),
            (999_950, "1.0 M tokens"),
            (1_234_567, "1.2 M tokens"),
            (7_000_000_000, "7.0 G tokens"),
        ] {
            assert_eq!(tokens_text(tokens), text);
        }
    }
}
