use greensand_types::counted;

use super::money::tokens_text;
use super::{Money, Prices, RolePrice, Spender, Spent};

/// The most that may be spent on all models together. Everything that is given holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
    /// Money.
    pub max_usd: Option<Money>,
    /// Tokens of prompts and replies.
    pub max_tokens: Option<u64>,
    /// Requests that are answered, or cut off in flight.
    pub max_calls: Option<u64>,
    /// Whether somebody said that none of them is wanted, though it costs money.
    pub no_cap: bool,
}

impl Caps {
    /// Says whether nothing is bounded.
    pub fn is_none(&self) -> bool {
        self.max_usd.is_none() && self.max_tokens.is_none() && self.max_calls.is_none()
    }

    /// Returns the caps as a person reads them.
    pub fn describe(&self) -> String {
        let caps = [self.max_usd.map(Cap::Money), self.max_tokens.map(Cap::Tokens), self.max_calls.map(Cap::Calls)];
        let caps: Vec<String> = caps.into_iter().flatten().map(|cap| cap.to_string()).collect();
        if caps.is_empty() { "no cap".into() } else { format!("at most {}", caps.join(", ")) }
    }

    /// Makes sure that somebody may spend at all.
    ///
    /// # Errors
    /// When it costs money and nothing bounds how much, or money is bounded and nobody knows what it costs.
    pub fn allow(&self, spender: impl Into<Spender>, prices: &Prices) -> Result<(), Uncapped> {
        let spender = spender.into();
        let price = prices.of(spender);
        match price {
            RolePrice::Unknown { reason } if self.max_usd.is_some() => {
                Err(Uncapped::UnknownPrice { spender, reason: reason.clone() })
            }
            price if price.costs_money() && self.is_none() && !self.no_cap => {
                Err(Uncapped::NoCap { spender, price: price.describe() })
            }
            RolePrice::Free { .. } | RolePrice::Priced { .. } | RolePrice::Unknown { .. } => Ok(()),
        }
    }

    /// Returns the first cap that an amount goes beyond.
    pub(super) fn exceeded_by(&self, spent: Spent) -> Option<Cap> {
        if let Some(most) = self.max_calls.filter(|most| spent.calls > *most) {
            return Some(Cap::Calls(most));
        }
        if let Some(most) = self.max_tokens.filter(|most| spent.tokens > *most) {
            return Some(Cap::Tokens(most));
        }
        let money = spent.money.unwrap_or(Money::ZERO);
        self.max_usd.filter(|most| money > *most).map(Cap::Money)
    }
}

/// One of the caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// `budget.max_calls`
    Calls(u64),
    /// `budget.max_tokens`
    Tokens(u64),
    /// `budget.max_usd`
    Money(Money),
}

impl Cap {
    /// Returns the flag that sets it.
    pub fn flag(&self) -> &'static str {
        match self {
            Self::Calls(_) => "--max-calls",
            Self::Tokens(_) => "--max-tokens",
            Self::Money(_) => "--max-usd",
        }
    }

    /// Returns what an amount has of what this cap counts.
    fn part_of(&self, spent: Spent) -> String {
        match self {
            Self::Calls(_) => Self::Calls(spent.calls).to_string(),
            Self::Tokens(_) => Self::Tokens(spent.tokens).to_string(),
            Self::Money(_) => Self::Money(spent.money.unwrap_or(Money::ZERO)).to_string(),
        }
    }

    /// Returns what is left beside an amount.
    fn left_of(&self, spent: Spent) -> String {
        match self {
            Self::Calls(most) => Self::Calls(most.saturating_sub(spent.calls)).to_string(),
            Self::Tokens(most) => Self::Tokens(most.saturating_sub(spent.tokens)).to_string(),
            Self::Money(most) => Self::Money(most.minus(spent.money.unwrap_or(Money::ZERO))).to_string(),
        }
    }

    /// Returns the value of the flag that would leave room for an amount, and as much again as the cap was.
    fn raised_for(&self, total: Spent) -> String {
        match self {
            Self::Calls(most) => most.saturating_mul(2).max(total.calls).to_string(),
            Self::Tokens(most) => most.saturating_mul(2).max(total.tokens).to_string(),
            Self::Money(most) => {
                let wanted = most.plus(*most).max(total.money.unwrap_or(Money::ZERO)).nano_dollars();
                // Whole cents, upwards.
                let cents = wanted.div_ceil(10_000_000).max(1);
                format!("{}.{:02}", cents / 100, cents % 100)
            }
        }
    }
}

impl std::fmt::Display for Cap {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Calls(calls) => formatter.write_str(&counted(usize::try_from(*calls).unwrap_or(usize::MAX), "call")),
            Self::Tokens(tokens) => formatter.write_str(&tokens_text(*tokens)),
            Self::Money(money) => money.fmt(formatter),
        }
    }
}

/// A request, or an evaluation, that the budget does not cover. It was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSpent {
    /// The cap that stands in the way.
    pub cap: Cap,
    /// What was spent before.
    pub spent: Spent,
    /// What would be spent by what was not sent, as estimated.
    pub needed: Spent,
    /// How many tasks were to be worked on; none, if it was one request.
    pub tasks: Option<usize>,
}

impl BudgetSpent {
    /// Returns the flag with a value that would let the work go on, such as `--max-calls 80`.
    pub fn raised_flag(&self) -> String {
        format!("{} {}", self.cap.flag(), self.cap.raised_for(self.spent.plus(self.needed)))
    }
}

impl std::fmt::Display for BudgetSpent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cap, spent, needed, tasks } = self;
        let left = cap.left_of(*spent);
        match tasks {
            Some(tasks) => {
                let tasks = counted(*tasks, "conversation");
                let needed = cap.part_of(*needed);
                write!(
                    formatter,
                    "the budget does not cover the next evaluation: {tasks} need about {needed}, and {left} of {cap} "
                )?;
                write!(
                    formatter,
                    "{} left; nothing of this evaluation was sent (spent so far: {spent})",
                    is_or_are(&left)
                )
            }
            None => {
                write!(formatter, "the budget is spent: {} of at most {cap}", cap.part_of(*spent))?;
                match cap {
                    Cap::Calls(_) => {}
                    Cap::Tokens(_) | Cap::Money(_) => {
                        write!(formatter, "; the next request may take {}", cap.part_of(*needed))?;
                    }
                }
                write!(formatter, " (spent in all: {spent})")
            }
        }
    }
}

impl std::error::Error for BudgetSpent {}

fn is_or_are(amount: &str) -> &'static str {
    if amount.ends_with('s') { "are" } else { "is" }
}

/// Work that may cost money without end, and is not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Uncapped {
    /// No cap is set.
    #[error("the model of the {spender} costs money, and nothing says how much may be spent ({price})")]
    NoCap {
        /// Whose.
        spender: Spender,
        /// What is known of the price.
        price: String,
    },
    /// Money is capped, and a price is not known.
    #[error("`budget.max_usd` cannot be kept: the price of the model of the {spender} is not known ({reason})")]
    UnknownPrice {
        /// Whose.
        spender: Spender,
        /// What was looked for.
        reason: String,
    },
}

impl Uncapped {
    /// Returns what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoCap { .. } => "set a cap with `--max-usd 5`, `--max-tokens N` or `--max-calls N`, or under `[budget]` in the \
                                   project file; `--no-cap` goes without; `greensand estimate PROJECT` says what it will take"
                .into(),
            Self::UnknownPrice { spender, .. } => {
                let keys = match spender {
                    Spender::Assistant | Spender::Optimizer => "`input_price` and `output_price`",
                    Spender::Embeddings => "`input_price`",
                };
                let section = spender.section();
                format!(
                    "set {keys} (dollars for a million tokens) under `[{section}]` in the project file, or bound the work with \
                     `--max-tokens` or `--max-calls` instead"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use greensand_llm::Role;

    use super::*;

    fn prices(price: &RolePrice) -> Prices {
        Prices { assistant: price.clone(), optimizer: RolePrice::Free { reason: "r".into() }, embeddings: None }
    }

    #[test]
    fn what_costs_money_needs_a_cap_or_the_word_that_none_is_wanted() {
        let unknown = RolePrice::Unknown { reason: "r".into() };
        let dear = super::super::Price { output: Money::of_dollars(1.0), ..Default::default() };
        let dear = RolePrice::Priced { price: dear, source: "s".into() };
        let zero = RolePrice::Priced { price: Default::default(), source: "s".into() };
        let calls = Caps { max_calls: Some(1), ..Caps::default() };
        let money = Caps { max_usd: Some(Money::ZERO), ..Caps::default() };
        let no_cap = Caps { no_cap: true, ..Caps::default() };
        let check = |caps: Caps, price: &RolePrice| caps.allow(Role::Assistant, &prices(price)).is_ok();
        for (price, without, with_money) in [(&unknown, false, false), (&dear, false, true), (&zero, true, true)] {
            assert_eq!(check(Caps::default(), price), without, "{price:?}");
            assert_eq!(check(money, price), with_money, "{price:?}");
            assert!(check(calls, price) && check(no_cap, price), "{price:?}");
        }
        assert!(Caps::default().allow(Role::Optimizer, &prices(&unknown)).is_ok(), "each role is for itself");
    }

    #[test]
    fn a_spent_budget_says_what_is_left_and_how_to_go_on() {
        let spent = Spent { calls: 30, tokens: 12_000, money: Some(Money::of_dollars(0.02)) };
        let needed = Spent { calls: 96, tokens: 40_000, money: Some(Money::of_dollars(0.06)) };
        let batch = BudgetSpent { cap: Cap::Calls(40), spent, needed, tasks: Some(32) };
        assert_eq!(
            batch.to_string(),
            "the budget does not cover the next evaluation: 32 conversations need about 96 calls, and 10 calls of 40 calls are left; \
             nothing of this evaluation was sent (spent so far: 30 calls, 12.0 k tokens, $0.02)"
        );
        assert_eq!(batch.raised_flag(), "--max-calls 126");
        let one = BudgetSpent { cap: Cap::Money(Money::of_dollars(0.025)), spent, needed, tasks: None };
        assert_eq!(
            one.to_string(),
            "the budget is spent: $0.02 of at most $0.025; the next request may take $0.06 (spent in all: 30 calls, 12.0 k \
             tokens, $0.02)"
        );
        assert_eq!(one.raised_flag(), "--max-usd 0.08");
    }
}
