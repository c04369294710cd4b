use greensand_types::TokenUsage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{host_of, is_local};
use super::price_table::{PriceTable, PriceTableError};
use super::{Money, Spender};
use crate::settings::{ModelSection, Settings};

/// What a million tokens cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// Of the prompt.
    #[serde(rename = "input_nano_usd_per_million")]
    pub input: Money,
    /// Of the prompt, where the endpoint had them in its cache.
    #[serde(rename = "cached_input_nano_usd_per_million")]
    pub cached_input: Money,
    /// Of the reply, hidden reasoning included.
    #[serde(rename = "output_nano_usd_per_million")]
    pub output: Money,
}

impl Price {
    /// Returns what tokens cost, rounded up to a billionth of a dollar.
    pub fn cost(&self, usage: &TokenUsage) -> Money {
        let cached = usage.cached_tokens.min(usage.prompt_tokens);
        let of = |tokens: u64, price: Money| u128::from(tokens) * u128::from(price.nano_dollars());
        let sum = of(usage.prompt_tokens - cached, self.input)
            .saturating_add(of(cached, self.cached_input))
            .saturating_add(of(usage.completion_tokens, self.output));
        Money::of_nano_dollars(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }

    /// Says whether nothing costs anything.
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }
}

/// What is known of the price of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum RolePrice {
    /// It costs nothing.
    Free {
        /// Why.
        reason: String,
    },
    /// It costs so much.
    Priced {
        /// How much.
        #[serde(flatten)]
        price: Price,
        /// From where that is known.
        source: String,
    },
    /// It costs something, and nobody has said how much.
    Unknown {
        /// What was looked for.
        reason: String,
    },
}

impl RolePrice {
    /// Returns what tokens cost, if that is known.
    pub fn cost(&self, usage: &TokenUsage) -> Option<Money> {
        match self {
            Self::Free { .. } => Some(Money::ZERO),
            Self::Priced { price, .. } => Some(price.cost(usage)),
            Self::Unknown { .. } => None,
        }
    }

    /// Says whether a request costs money, as far as anybody knows.
    pub fn costs_money(&self) -> bool {
        match self {
            Self::Free { .. } => false,
            Self::Priced { price, .. } => !price.is_free(),
            Self::Unknown { .. } => true,
        }
    }

    /// Tells a person about it.
    pub fn describe(&self) -> String {
        match self {
            Self::Free { reason } => format!("free: {reason}"),
            Self::Priced { price: Price { input, cached_input, output }, source } => {
                let cached = if cached_input == input { String::new() } else { format!(" ({cached_input} cached)") };
                format!(
                    "{input}{cached} for a million prompt tokens, {output} for a million reply tokens, from {source}"
                )
            }
            Self::Unknown { reason } => format!("price unknown: {reason}"),
        }
    }
}

/// What the models cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prices {
    /// The model that solves tasks.
    pub assistant: RolePrice,
    /// The model that changes functions.
    pub optimizer: RolePrice,
    /// The model of embeddings; none where none is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<RolePrice>,
}

/// The price of a model that is not asked.
static NOT_ASKED: RolePrice = RolePrice::Free { reason: String::new() };

impl Prices {
    /// Returns the price of a model.
    pub fn of(&self, spender: impl Into<Spender>) -> &RolePrice {
        match spender.into() {
            Spender::Assistant => &self.assistant,
            Spender::Optimizer => &self.optimizer,
            Spender::Embeddings => self.embeddings.as_ref().unwrap_or(&NOT_ASKED),
        }
    }

    /// Returns who spends: both models, and that of embeddings where one is asked.
    pub fn spenders(&self) -> impl Iterator<Item = Spender> {
        let asks_embeddings = self.embeddings.is_some();
        Spender::ALL.into_iter().filter(move |spender| asks_embeddings || *spender != Spender::Embeddings)
    }
}

/// Finds out what the models of a project cost. Nothing is asked over the network.
///
/// A price in the settings wins, then one of the file that `budget.prices` names. Without either, scripts, replays and
/// endpoints of this machine or its network are free, and the packaged table is asked about the others.
///
/// # Errors
/// When the file of prices cannot be used.
pub(crate) fn find_prices(settings: &Settings) -> Result<Prices, PriceTableError> {
    let file = settings.budget.prices.as_deref().map(PriceTable::read).transpose()?;
    let packaged = PriceTable::packaged();
    Ok(Prices {
        assistant: find_price(&settings.assistant, Spender::Assistant, file.as_ref(), &packaged),
        optimizer: find_price(&settings.optimizer, Spender::Optimizer, file.as_ref(), &packaged),
        embeddings: settings
            .embeddings
            .as_ref()
            .map(|section| find_price(&section.model, Spender::Embeddings, file.as_ref(), &packaged)),
    })
}

fn find_price(section: &ModelSection, spender: Spender, file: Option<&PriceTable>, packaged: &PriceTable) -> RolePrice {
    if let Some(price) = section.price {
        let name = spender.section();
        return RolePrice::Priced {
            price,
            source: match spender {
                Spender::Assistant | Spender::Optimizer => {
                    format!("the settings `{name}.input_price` and `{name}.output_price`")
                }
                Spender::Embeddings => format!("the setting `{name}.input_price`"),
            },
        };
    }
    if section.backend != "openai_compatible" {
        return RolePrice::Free { reason: format!("backend `{}` asks no endpoint", section.backend) };
    }
    let (host, model) = (host_of(&section.base_url), section.model.as_deref().unwrap_or_default());
    let priced = |table: &PriceTable| {
        table.find(host, model).map(|price| RolePrice::Priced { price, source: table.source.clone() })
    };
    if let Some(price) = file.and_then(priced) {
        return price;
    }
    if is_local(host) {
        return RolePrice::Free { reason: format!("`{host}` is of this machine or its network") };
    }
    if model.is_empty() {
        return RolePrice::Unknown { reason: "no model is named; pass `--model NAME`".into() };
    }
    priced(packaged).unwrap_or_else(|| {
        let mut elsewhere = packaged.hosts_of(model);
        elsewhere.dedup();
        let known = match elsewhere.as_slice() {
            [] => String::new(),
            hosts => format!(" (only at `{}`)", hosts.join("`, `")),
        };
        RolePrice::Unknown { reason: format!("no table has one for model `{model}` at `{host}`{known}") }
    })
}

/// Says which endpoints a cap on money does not bound, because they are counted as free of charge; nothing, where there is no
/// such cap or no such endpoint.
pub(crate) fn free_though_capped(settings: &Settings) -> Option<String> {
    settings.budget.caps.max_usd?;
    // Without its file of prices nothing is asked anyway.
    let prices = find_prices(settings).ok()?;
    let sections = [(Spender::Assistant, &settings.assistant), (Spender::Optimizer, &settings.optimizer)];
    let embeddings = settings.embeddings.as_ref().map(|section| (Spender::Embeddings, &section.model));
    let is_free = |(spender, section): &(Spender, &ModelSection)| {
        section.backend == "openai_compatible" && matches!(prices.of(*spender), RolePrice::Free { .. })
    };
    let mut free = sections.into_iter().chain(embeddings).filter(is_free);
    let (spender, section) = free.next()?;
    let others = free.filter(|(_, other)| other.base_url != section.base_url);
    let hosts: Vec<_> = std::iter::once(section)
        .chain(others.map(|(_, other)| other))
        .map(|section| host_of(&section.base_url))
        .collect();
    let name = spender.section();
    let keys = match spender {
        Spender::Assistant | Spender::Optimizer => format!("`{name}.input_price` and `{name}.output_price`"),
        Spender::Embeddings => format!("`{name}.input_price`"),
    };
    Some(format!(
        "what is asked at `{}` is counted as free of charge, so that `--max-usd` does not bound it; a file that `budget.prices` names, or \
         {keys}, can price it",
        hosts.join("` and `")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Environment;
    use crate::settings::{Overrides, ProjectSource, resolve};

    fn prices(text: &str) -> Prices {
        let text = format!("tasks.train = \"t\"\n{text}");
        let source = ProjectSource { root: "p".into(), file: "p/greensand.toml".into(), text };
        find_prices(&resolve(&source, &Overrides::new(), &Environment::of([], "/here")).unwrap()).unwrap()
    }

    fn check(text: &str, assistant: &str, optimizer: &str) {
        let prices = prices(text);
        assert_eq!(prices.assistant.describe(), assistant);
        assert_eq!(prices.optimizer.describe(), optimizer);
    }

    const MINI: &str = "$0.40 ($0.10 cached) for a million prompt tokens, $1.60 for a million reply tokens, from the packaged table of 2026-11-23";

    #[test]
    fn a_well_known_model_is_priced_by_the_packaged_table() {
        check("model.model = \"gpt-4.1-mini\"", MINI, MINI);
    }

    #[test]
    fn a_price_that_nobody_knows_is_said_and_never_zero() {
        let unknown = "price unknown: no table has one for model `gpt-9` at `api.openai.com`";
        check("model.model = \"gpt-9\"", unknown, unknown);
        let elsewhere =
            "price unknown: no table has one for model `gpt-4.1-mini` at `gw.example` (only at `api.openai.com`)";
        check("model.model = \"gpt-4.1-mini\"\nmodel.base_url = \"https://gw.example/v1\"", elsewhere, elsewhere);
        assert_eq!(prices("model.model = \"gpt-9\"").assistant.cost(&TokenUsage::default()), None);
    }

    #[test]
    fn local_endpoints_and_scripts_are_free_unless_priced() {
        let free = "free: `localhost` is of this machine or its network";
        let local = "model.model = \"gpt-4.1-mini\"\nmodel.base_url = \"http://localhost:8000/v1\"";
        check(local, free, free);
        let script = "free: backend `scripted` asks no endpoint";
        check("model.backend = \"scripted\"", script, script);
        let priced = "$1.00 for a million prompt tokens, $2.00 for a million reply tokens, from the settings";
        let priced = prices(&format!("{local}\nmodel.input_price = 1\nmodel.output_price = 2")).assistant.describe()
            == format!("{priced} `model.input_price` and `model.output_price`");
        assert!(priced);
    }

    #[test]
    fn a_cap_on_money_that_bounds_nothing_is_said() {
        let said = |text: &str| {
            let text = format!("tasks.train = \"t\"\nmodel.model = \"m\"\n{text}");
            let source = ProjectSource { root: "p".into(), file: "p/greensand.toml".into(), text };
            free_though_capped(&resolve(&source, &Overrides::new(), &Environment::of([], "/here")).unwrap())
        };
        let local = "model.base_url = \"http://127.0.0.1:8000/v1\"\n";
        let capped = said(&format!("{local}budget.max_usd = 5")).unwrap();
        assert!(capped.starts_with("what is asked at `127.0.0.1` is counted as free of charge"), "{capped}");
        for silent in [
            format!("{local}budget.max_calls = 5"),
            format!("{local}budget.max_usd = 5\nmodel.input_price = 1\nmodel.output_price = 1"),
            "budget.max_usd = 5".into(),
            "budget.max_usd = 5\nmodel.backend = \"scripted\"".into(),
        ] {
            assert_eq!(said(&silent), None, "{silent}");
        }
        let remote = "budget.max_usd = 5\noptimizer.model.base_url = \"http://localhost:1/v1\"";
        assert!(said(remote).unwrap().contains("`optimizer.model.input_price`"));
        let embeddings =
            "budget.max_usd = 5\nembeddings.model = \"e\"\nembeddings.base_url = \"http://localhost:2/v1\"";
        assert!(said(embeddings).unwrap().ends_with("names, or `embeddings.input_price`, can price it"));
    }

    /// The price of one model says nothing of another.
    #[test]
    fn the_optimizer_has_the_price_of_the_assistant_only_with_its_model() {
        let price = "model.model = \"a\"\nmodel.input_price = 1\nmodel.output_price = 2\n";
        assert!(matches!(prices(price).optimizer, RolePrice::Priced { .. }));
        for other in ["model = \"b\"", "base_url = \"https://gw.example/v1\""] {
            let optimizer = prices(&format!("{price}optimizer.model.{other}")).optimizer;
            assert!(matches!(optimizer, RolePrice::Unknown { .. }), "{optimizer:?}");
        }
    }

    #[test]
    fn cached_tokens_have_their_own_price_and_sums_are_rounded_up() {
        let price = Price {
            input: Money::of_dollars(1.0),
            cached_input: Money::of_dollars(0.1),
            output: Money::of_nano_dollars(1),
        };
        let usage = TokenUsage { prompt_tokens: 1_000, cached_tokens: 600, ..TokenUsage::default() };
        assert_eq!(price.cost(&usage), Money::of_nano_dollars(400_000 + 60_000));
        assert_eq!(price.cost(&TokenUsage { completion_tokens: 1, ..usage }), Money::of_nano_dollars(460_001));
        let most = TokenUsage { prompt_tokens: u64::MAX, completion_tokens: u64::MAX, ..usage };
        let dear = Price { input: Money::of_nano_dollars(u64::MAX), output: Money::of_nano_dollars(u64::MAX), ..price };
        assert_eq!(dear.cost(&most), Money::of_nano_dollars(u64::MAX));
    }
}
