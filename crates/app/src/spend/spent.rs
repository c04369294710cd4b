use greensand_types::{TokenUsage, counted};

use super::money::tokens_text;
use super::{Money, RolePrice};

/// What was spent on one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoleSpend {
    /// Requests that were answered, or cut off in flight.
    pub calls: u64,
    /// Those of them that were cut off: nobody knows what they cost, and they count at their estimate.
    pub cut_off: u64,
    /// The tokens of all of them.
    pub usage: TokenUsage,
}

impl RoleSpend {
    /// Adds a call that was answered.
    pub(crate) fn add_answered(&mut self, usage: TokenUsage) {
        self.calls = self.calls.saturating_add(1);
        self.usage += usage;
    }

    /// Adds a call that was cut off, at its estimate.
    pub(super) fn add_cut_off(&mut self, estimate: TokenUsage) {
        self.cut_off = self.cut_off.saturating_add(1);
        self.add_answered(estimate);
    }

    /// Returns this in common terms, by the price of the role; no money where the price is not known.
    pub(crate) fn at(&self, price: &RolePrice) -> Spent {
        Spent { calls: self.calls, tokens: self.usage.total_tokens(), money: price.cost(&self.usage) }
    }
}

/// An amount of what the caps count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Calls.
    pub calls: u64,
    /// Tokens of prompts and replies.
    pub tokens: u64,
    /// Money; none where a price is not known.
    pub money: Option<Money>,
}

impl Spent {
    /// Nothing.
    pub const NOTHING: Self = Self { calls: 0, tokens: 0, money: Some(Money::ZERO) };

    /// Returns the sum. Where the money of a part is not known, that of the sum is not, unless the part is nothing.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let money = match (self.money, other.money) {
            (Some(one), Some(two)) => Some(one.plus(two)),
            (None, _) if self.calls == 0 => other.money,
            (_, None) if other.calls == 0 => self.money,
            (None, _) | (_, None) => None,
        };
        Self { calls: self.calls.saturating_add(other.calls), tokens: self.tokens.saturating_add(other.tokens), money }
    }
}

/// As a person reads it: `40 calls, 12.3 k tokens, $0.0123`.
impl std::fmt::Display for Spent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let calls = counted(usize::try_from(self.calls).unwrap_or(usize::MAX), "call");
        write!(formatter, "{calls}, {}, ", tokens_text(self.tokens))?;
        match self.money {
            Some(money) => money.fmt(formatter),
            None => formatter.write_str("price unknown"),
        }
    }
}
