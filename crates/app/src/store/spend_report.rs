//! What a run has paid, by model and epoch: a fold over its replies, at the prices of its manifest.

use std::collections::BTreeMap;
use std::fmt::Write;

use greensand_llm::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::records::{ReplyRecord, UsageRecord};
use super::report::add;
use crate::spend::{Money, Prices, RoleSpend, Spent};

/// What a run has paid. What it took over from the run that it was forked from is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpendReport {
    /// Money in billionths of a dollar; none where a price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nano_usd: Option<Money>,
    /// The part of the assistant's model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assistant_nano_usd: Option<Money>,
    /// The part of the optimizer's model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer_nano_usd: Option<Money>,
    /// By epoch, in their order.
    pub epochs: Vec<EpochSpend>,
    /// What the models cost, and from where that is known; none for runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
}

/// What an epoch has paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EpochSpend {
    /// Which.
    pub epoch: u32,
    /// The assistant's model.
    pub assistant: UsageRecord,
    /// The optimizer's model.
    pub optimizer: UsageRecord,
    /// Money in billionths of a dollar; none where a price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nano_usd: Option<Money>,
}

/// Adds replies up.
#[derive(Debug, Clone, Default)]
pub(super) struct SpendBuilder {
    epochs: BTreeMap<u32, EpochSpend>,
}

impl SpendBuilder {
    /// Adds a reply that the run has paid for.
    pub(super) fn add(&mut self, record: &ReplyRecord) {
        let epoch = record.epoch;
        let spend = self.epochs.entry(epoch).or_insert_with(|| EpochSpend { epoch, ..EpochSpend::default() });
        let usage = if record.is_of(Role::Optimizer) { &mut spend.optimizer } else { &mut spend.assistant };
        add(usage, record.usage);
    }

    /// Returns the sums, at prices.
    pub(super) fn finish(&self, prices: Option<&Prices>) -> SpendReport {
        let mut whole = EpochSpend::default();
        let mut epochs = Vec::new();
        for spend in self.epochs.values() {
            add(&mut whole.assistant, spend.assistant);
            add(&mut whole.optimizer, spend.optimizer);
            epochs.push(EpochSpend { nano_usd: spend.at(prices).money, ..*spend });
        }
        let money = |role| prices.and_then(|prices| whole.of(role, prices).money);
        SpendReport {
            nano_usd: prices.and_then(|_| whole.at(prices).money),
            assistant_nano_usd: money(Role::Assistant),
            optimizer_nano_usd: money(Role::Optimizer),
            epochs,
            prices: prices.cloned(),
        }
    }
}

impl EpochSpend {
    fn of(&self, role: Role, prices: &Prices) -> Spent {
        let usage = match role {
            Role::Assistant => self.assistant,
            Role::Optimizer => self.optimizer,
        };
        RoleSpend { calls: usage.requests, usage: usage.into(), ..RoleSpend::default() }.at(prices.of(role))
    }

    fn at(&self, prices: Option<&Prices>) -> Spent {
        match prices {
            Some(prices) => self.of(Role::Assistant, prices).plus(self.of(Role::Optimizer, prices)),
            None => Spent { money: None, ..self.counted() },
        }
    }

    /// Calls and tokens, without money.
    fn counted(&self) -> Spent {
        let tokens =
            [self.assistant, self.optimizer].map(|usage| usage.prompt_tokens.saturating_add(usage.completion_tokens));
        Spent {
            calls: self.assistant.requests.saturating_add(self.optimizer.requests),
            tokens: tokens[0].saturating_add(tokens[1]),
            money: None,
        }
    }
}

impl SpendReport {
    /// Returns what was spent in all.
    pub fn total(&self) -> Spent {
        let counted = self.epochs.iter().map(EpochSpend::counted);
        let sum = counted.fold(Spent::NOTHING, |sum, epoch| Spent {
            calls: sum.calls.saturating_add(epoch.calls),
            tokens: sum.tokens.saturating_add(epoch.tokens),
            money: None,
        });
        Spent { money: self.nano_usd, ..sum }
    }

    /// Writes it as a section of a text.
    pub(super) fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let Some(prices) = &self.prices else { return Ok(()) };
        writeln!(out, "\nspent {}", self.total())?;
        for epoch in &self.epochs {
            let amount = Spent { money: epoch.nano_usd, ..epoch.counted() };
            writeln!(out, "  {:>3}  {amount}", epoch.epoch)?;
        }
        let parts = [(Role::Assistant, self.assistant_nano_usd), (Role::Optimizer, self.optimizer_nano_usd)];
        for (role, money) in parts {
            let money = money.map_or_else(|| "unknown".into(), |money| money.to_string());
            writeln!(out, "  {role} {money} ({})", super::report_text::shown(&prices.of(role).describe()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spend::{Price, RolePrice};

    fn reply(role: &str, epoch: u32, prompt_tokens: u64) -> ReplyRecord {
        let usage = UsageRecord { requests: 1, prompt_tokens, completion_tokens: 10, ..UsageRecord::default() };
        ReplyRecord { role: role.into(), epoch, usage, ..ReplyRecord::default() }
    }

    fn spent(optimizer: RolePrice) -> SpendReport {
        let price = Price { input: Money::of_dollars(1.0), cached_input: Money::ZERO, output: Money::of_dollars(2.0) };
        let assistant = RolePrice::Priced { price, source: "the test of 2026-01-02".into() };
        let mut builder = SpendBuilder::default();
        for record in [reply("assistant", 0, 100), reply("assistant", 0, 80), reply("optimizer", 1, 1_000)] {
            builder.add(&record);
        }
        builder.finish(Some(&Prices { assistant, optimizer }))
    }

    #[test]
    fn spend_is_split_by_model_and_epoch_and_says_its_prices() {
        let mut text = String::new();
        spent(RolePrice::Free { reason: "it is of this machine".into() }).write_text(&mut text).unwrap();
        assert_eq!(
            text,
            "\nspent 3 calls, 1210 tokens, $0.00022\n    0  2 calls, 200 tokens, $0.00022\n    1  1 call, 1010 tokens, $0\n  \
             assistant $0.00022 ($1.00 ($0 cached) for a million prompt tokens, $2.00 for a million reply tokens, from the test of \
             2026-01-02)\n  optimizer $0 (free: it is of this machine)\n"
        );
    }

    #[test]
    fn a_price_that_is_not_known_leaves_the_sum_unknown() {
        let report = spent(RolePrice::Unknown { reason: "r".into() });
        assert_eq!((report.nano_usd, report.optimizer_nano_usd), (None, None));
        assert_eq!(report.assistant_nano_usd, Some(Money::of_nano_dollars(220_000)));
        assert_eq!(report.epochs[0].nano_usd, Some(Money::of_nano_dollars(220_000)));
        assert_eq!(report.total().to_string(), "3 calls, 1210 tokens, price unknown");
    }
}
