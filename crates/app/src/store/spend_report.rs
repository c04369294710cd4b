//! What a run has paid, by model and epoch: a fold over its replies, at the prices of its manifest.

use std::collections::BTreeMap;
use std::fmt::Write;

use greensand_llm::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::records::{ReplyRecord, UsageRecord};
use crate::spend::{Money, Prices, RoleSpend, Spender, Spent};

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
    /// The part of the model of embeddings; left out where none is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings_nano_usd: Option<Money>,
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
    /// The model of embeddings; left out where it was not asked.
    #[serde(default, skip_serializing_if = "UsageRecord::is_nothing")]
    pub embeddings: UsageRecord,
    /// What the assistant's model cost, in billionths of a dollar; none where its price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assistant_nano_usd: Option<Money>,
    /// What the optimizer's model cost, in billionths of a dollar; none where its price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer_nano_usd: Option<Money>,
    /// What the model of embeddings cost, in billionths of a dollar; left out where none is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings_nano_usd: Option<Money>,
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
        let spend = self.epoch(record.epoch);
        let usage = if record.is_of(Role::Optimizer) { &mut spend.optimizer } else { &mut spend.assistant };
        usage.add(record.usage);
    }

    /// Adds a request for vectors that the run has paid for.
    pub(super) fn add_embeddings(&mut self, epoch: u32, usage: UsageRecord) {
        self.epoch(epoch).embeddings.add(usage);
    }

    fn epoch(&mut self, epoch: u32) -> &mut EpochSpend {
        self.epochs.entry(epoch).or_insert_with(|| EpochSpend { epoch, ..EpochSpend::default() })
    }

    /// Returns the sums, at prices. What an epoch cost is what it added to the sum, so that the parts make the whole however
    /// each would be rounded.
    pub(super) fn finish(&self, prices: Option<&Prices>) -> SpendReport {
        let mut whole = EpochSpend::default();
        let mut epochs = Vec::new();
        for spend in self.epochs.values() {
            let before = whole;
            whole.assistant.add(spend.assistant);
            whole.optimizer.add(spend.optimizer);
            whole.embeddings.add(spend.embeddings);
            epochs.push(spend.added(&before, &whole, prices));
        }
        let money = |spender| prices.and_then(|prices| whole.priced(spender, prices));
        SpendReport {
            nano_usd: prices.and_then(|_| whole.at(prices).money),
            assistant_nano_usd: money(Spender::Assistant),
            optimizer_nano_usd: money(Spender::Optimizer),
            embeddings_nano_usd: money(Spender::Embeddings),
            epochs,
            prices: prices.cloned(),
        }
    }
}

impl EpochSpend {
    /// Returns the same with its money: what the whole cost after it, less what it cost before.
    fn added(&self, before: &Self, after: &Self, prices: Option<&Prices>) -> Self {
        let part = |spender| {
            let money =
                prices.and_then(|prices| Some(after.priced(spender, prices)?.minus(before.priced(spender, prices)?)));
            Spent { money, ..self.counted_of(spender) }
        };
        let [assistant, optimizer, embeddings] = Spender::ALL.map(part);
        Self {
            assistant_nano_usd: assistant.money,
            optimizer_nano_usd: optimizer.money,
            embeddings_nano_usd: embeddings.money,
            nano_usd: prices.and_then(|_| assistant.plus(optimizer).plus(embeddings).money),
            ..*self
        }
    }

    /// Returns what a model cost, if that is known.
    pub fn money_of(&self, spender: impl Into<Spender>) -> Option<Money> {
        match spender.into() {
            Spender::Assistant => self.assistant_nano_usd,
            Spender::Optimizer => self.optimizer_nano_usd,
            Spender::Embeddings => self.embeddings_nano_usd,
        }
    }

    /// Returns what a model used.
    pub(crate) fn usage_of(&self, spender: Spender) -> UsageRecord {
        match spender {
            Spender::Assistant => self.assistant,
            Spender::Optimizer => self.optimizer,
            Spender::Embeddings => self.embeddings,
        }
    }

    /// Returns what a model cost at prices; nothing for one that is not asked.
    fn priced(&self, spender: Spender, prices: &Prices) -> Option<Money> {
        prices.spenders().find(|asked| *asked == spender).and_then(|_| self.of(spender, prices).money)
    }

    fn of(&self, spender: Spender, prices: &Prices) -> Spent {
        let usage = self.usage_of(spender);
        RoleSpend { calls: usage.requests, usage: usage.into(), ..RoleSpend::default() }.at(prices.of(spender))
    }

    fn at(&self, prices: Option<&Prices>) -> Spent {
        match prices {
            Some(prices) => {
                Spender::ALL.map(|spender| self.of(spender, prices)).into_iter().fold(Spent::NOTHING, Spent::plus)
            }
            None => Spent { money: None, ..self.counted() },
        }
    }

    /// Calls and tokens, without money.
    fn counted(&self) -> Spent {
        let parts = Spender::ALL.map(|spender| self.counted_of(spender));
        Spent { money: None, ..parts.into_iter().fold(Spent::NOTHING, Spent::plus) }
    }

    fn counted_of(&self, spender: Spender) -> Spent {
        let usage = self.usage_of(spender);
        let tokens = usage.prompt_tokens.saturating_add(usage.completion_tokens);
        Spent { calls: usage.requests, tokens, money: None }
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

    /// Returns the part of a model; none where its price is not known.
    pub(crate) fn money_of(&self, spender: Spender) -> Option<Money> {
        match spender {
            Spender::Assistant => self.assistant_nano_usd,
            Spender::Optimizer => self.optimizer_nano_usd,
            Spender::Embeddings => self.embeddings_nano_usd,
        }
    }

    /// Writes it as a section of a text.
    pub(super) fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let Some(prices) = &self.prices else { return Ok(()) };
        writeln!(out, "\nspent {}", self.total())?;
        for epoch in &self.epochs {
            let amount = Spent { money: epoch.nano_usd, ..epoch.counted() };
            let part = |spender| format!("{spender} {}", known(epoch.money_of(spender)));
            let parts: Vec<String> = prices.spenders().map(part).collect();
            writeln!(out, "  {:>3}  {amount} ({})", epoch.epoch, parts.join(", "))?;
        }
        for spender in prices.spenders() {
            let money = known(self.money_of(spender));
            writeln!(out, "  {spender} {money} ({})", super::report_text::shown(&prices.of(spender).describe()))?;
        }
        Ok(())
    }
}

fn known(money: Option<Money>) -> String {
    money.map_or_else(|| "unknown".into(), |money| money.to_string())
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
        builder.finish(Some(&Prices { assistant, optimizer, embeddings: None }))
    }

    #[test]
    fn spend_is_split_by_model_and_epoch_and_says_its_prices() {
        let mut text = String::new();
        spent(RolePrice::Free { reason: "it is of this machine".into() }).write_text(&mut text).unwrap();
        assert_eq!(
            text,
            "\nspent 3 calls, 1210 tokens, $0.00022\n    0  2 calls, 200 tokens, $0.00022 (assistant $0.00022, \
             optimizer $0)\n    1  1 call, 1010 tokens, $0 (assistant $0, optimizer $0)\n  \
             assistant $0.00022 ($1.00 ($0 cached) for a million prompt tokens, $2.00 for a million reply tokens, from the test of \
             2026-01-02)\n  optimizer $0 (free: it is of this machine)\n"
        );
    }

    #[test]
    fn the_parts_of_roles_and_epochs_make_the_whole_however_they_are_rounded() {
        // Half of a billionth for each prompt token, a third for each of a reply.
        let price = Price {
            input: Money::of_nano_dollars(500_000),
            cached_input: Money::ZERO,
            output: Money::of_nano_dollars(333_333),
        };
        let priced = RolePrice::Priced { price, source: "the test".into() };
        let mut builder = SpendBuilder::default();
        for epoch in 0..50 {
            builder.add(&reply("assistant", epoch, 1 + u64::from(epoch)));
            builder.add(&reply("optimizer", epoch, 3));
            builder.add_embeddings(epoch, UsageRecord { requests: 1, prompt_tokens: 1, ..UsageRecord::default() });
        }
        let report = builder.finish(Some(&Prices {
            assistant: priced.clone(),
            optimizer: priced.clone(),
            embeddings: Some(priced),
        }));
        let sum = |part: fn(&EpochSpend) -> Option<Money>| {
            let parts = report.epochs.iter().map(|epoch| part(epoch).unwrap());
            Some(parts.fold(Money::ZERO, Money::plus))
        };
        assert_eq!(sum(|epoch| epoch.assistant_nano_usd), report.assistant_nano_usd);
        assert_eq!(sum(|epoch| epoch.optimizer_nano_usd), report.optimizer_nano_usd);
        assert_eq!(sum(|epoch| epoch.embeddings_nano_usd), report.embeddings_nano_usd);
        assert_eq!(sum(|epoch| epoch.nano_usd), report.nano_usd);
        // 1275 prompt tokens and 500 of replies: 637.5 and 166.67, rounded up once.
        assert_eq!(report.assistant_nano_usd, Some(Money::of_nano_dollars(805)));
    }

    #[test]
    fn vectors_stand_beside_the_models_where_they_are_asked_for() {
        let free = RolePrice::Free { reason: "r".into() };
        let price = Price { input: Money::of_dollars(0.1), ..Price::default() };
        let embeddings = Some(RolePrice::Priced { price, source: "the test".into() });
        let prices = Prices { assistant: free.clone(), optimizer: free, embeddings };
        let mut builder = SpendBuilder::default();
        builder.add(&reply("assistant", 0, 100));
        builder.add_embeddings(0, UsageRecord { requests: 1, prompt_tokens: 1_000, ..UsageRecord::default() });
        let report = builder.finish(Some(&prices));
        assert_eq!(report.total().to_string(), "2 calls, 1110 tokens, $0.0001");
        assert_eq!(report.embeddings_nano_usd, Some(Money::of_nano_dollars(100_000)));
        let mut text = String::new();
        report.write_text(&mut text).unwrap();
        for line in [
            "    0  2 calls, 1110 tokens, $0.0001 (assistant $0, optimizer $0, embeddings $0.0001)",
            "  embeddings $0.0001 ($0.10 ($0 cached) for a million prompt tokens, $0 for a million reply tokens, from the test)",
        ] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
    }

    #[test]
    fn a_price_that_is_not_known_leaves_the_sum_unknown() {
        let report = spent(RolePrice::Unknown { reason: "r".into() });
        assert_eq!((report.nano_usd, report.optimizer_nano_usd), (None, None));
        assert_eq!(report.assistant_nano_usd, Some(Money::of_nano_dollars(220_000)));
        assert_eq!(report.epochs[0].nano_usd, Some(Money::of_nano_dollars(220_000)));
        assert_eq!((report.epochs[0].optimizer_nano_usd, report.epochs[1].nano_usd), (None, None));
        assert_eq!(report.total().to_string(), "3 calls, 1210 tokens, price unknown");
    }
}
