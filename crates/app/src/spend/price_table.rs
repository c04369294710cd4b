//! The file of prices: the one that is compiled in, and those that people write.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Money;
use super::prices::Price;

/// The number of the form of a file of prices.
const PRICES_FORMAT: u32 = 1;

/// The table that is compiled in.
const PACKAGED: &str = include_str!("../../prices.toml");

/// A file of prices that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PriceTableError {
    /// It cannot be read.
    #[error("read the prices in `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not of the form.
    #[error("prices in `{}`: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Prices by host and model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PriceTable {
    /// What messages call it, with the day it was written.
    pub(super) source: String,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    host: Option<String>,
    model: String,
    price: Price,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    written: String,
    #[serde(default)]
    price: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    host: Option<String>,
    models: Vec<String>,
    input: f64,
    cached_input: Option<f64>,
    output: f64,
}

impl PriceTable {
    /// Returns the table that is compiled in.
    pub(super) fn packaged() -> Self {
        Self::parse(PACKAGED, "the packaged table").expect("the packaged table of prices is well-formed")
    }

    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, PriceTableError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| PriceTableError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &format!("`{}`", path.display()))
            .map_err(|reason| PriceTableError::Malformed { path: path.to_owned(), reason })
    }

    fn parse(text: &str, name: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        if file.format != PRICES_FORMAT {
            return Err(format!("format {} is unknown: this program reads format {PRICES_FORMAT}", file.format));
        }
        let mut entries: Vec<Entry> = Vec::new();
        for row in file.price {
            let of = |dollars: f64| match (0.0..=1e6).contains(&dollars) {
                true => Ok(Money::of_dollars(dollars)),
                false => {
                    Err(format!("a price of {dollars} dollars for a million tokens of `{}`", row.models.join("`, `")))
                }
            };
            let price = Price {
                input: of(row.input)?,
                cached_input: of(row.cached_input.unwrap_or(row.input))?,
                output: of(row.output)?,
            };
            for model in row.models {
                let host = row.host.as_ref().map(|host| host.to_ascii_lowercase());
                if entries.iter().any(|entry| entry.host == host && entry.model == model) {
                    return Err(format!("`{model}` has two prices"));
                }
                if model.trim_end_matches('*').is_empty() {
                    return Err("a name of a model is empty".into());
                }
                entries.push(Entry { host, model, price });
            }
        }
        Ok(Self { source: format!("{name} of {}", file.written), entries })
    }

    /// Finds the price of a model at a host: a whole name before a beginning, of beginnings the longest, and an entry for the
    /// host before one for every host.
    pub(super) fn find(&self, host: &str, model: &str) -> Option<Price> {
        let host = host.to_ascii_lowercase();
        let fits = self.entries.iter().filter(|entry| entry.host.as_ref().is_none_or(|known| *known == host));
        let ranked = fits.filter_map(|entry| Some(((rank(&entry.model, model)?, entry.host.is_some()), entry.price)));
        ranked.max_by_key(|(rank, _)| *rank).map(|(_, price)| price)
    }

    /// Returns the hosts that a model has a price at.
    pub(super) fn hosts_of(&self, model: &str) -> Vec<&str> {
        let fits = self.entries.iter().filter(|entry| rank(&entry.model, model).is_some());
        fits.filter_map(|entry| entry.host.as_deref()).collect()
    }
}

/// Says how well a name of the table fits a model: whole names best, then the longest beginning.
fn rank(known: &str, model: &str) -> Option<usize> {
    match known.strip_suffix('*') {
        None => (known == model).then_some(usize::MAX),
        Some(beginning) => model.starts_with(beginning).then_some(beginning.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"
        format = 1
        written = "2026-01-02"
        [[price]]
        models = ["m", "m-*"]
        input = 1.0
        output = 2.0
        [[price]]
        models = ["m-mini*"]
        host = "API.example"
        input = 3.0
        cached_input = 0.3
        output = 4.0
        [[price]]
        models = ["m-mini"]
        input = 5.0
        output = 6.0
    "#;

    fn check(host: &str, model: &str, input: Option<f64>) {
        let table = PriceTable::parse(TABLE, "t").unwrap();
        assert_eq!(table.find(host, model).map(|price| price.input), input.map(Money::of_dollars), "{host} {model}");
    }

    #[test]
    fn whole_names_win_over_beginnings_and_longer_beginnings_over_shorter() {
        check("h", "m", Some(1.0));
        check("h", "m-2026", Some(1.0));
        check("h", "m-mini", Some(5.0));
        check("h", "m-mini-2026", Some(1.0));
        check("api.example", "m-mini-2026", Some(3.0));
        check("api.example", "m-mini", Some(5.0));
        check("h", "mm", None);
        check("h", "", None);
    }

    #[test]
    fn without_a_price_of_its_own_what_was_cached_costs_the_same() {
        let price = PriceTable::parse(TABLE, "t").unwrap().find("h", "m").unwrap();
        assert_eq!(price.cached_input, price.input);
    }

    #[test]
    fn the_packaged_table_knows_well_known_models_at_their_hosts_only() {
        let table = PriceTable::packaged();
        let mini = table.find("api.openai.com", "gpt-4.1-mini").unwrap();
        assert_eq!(table.find("api.openai.com", "gpt-4.1-mini-2025-04-14"), Some(mini));
        assert_ne!(table.find("api.openai.com", "gpt-4.1"), Some(mini));
        assert_eq!(table.find("api.openai.com", "gpt-4.1-mega"), None);
        assert_eq!(table.find("elsewhere.example", "gpt-4.1-mini"), None);
        assert_eq!(table.hosts_of("gpt-4.1-mini"), ["api.openai.com"]);
        assert!(table.entries.iter().all(|entry| entry.host.is_some()), "a packaged price is never for any host");
    }

    #[test]
    fn a_file_that_is_not_of_the_form_says_what_is_wrong() {
        let row = |text: &str| format!("format = 1\nwritten = \"d\"\n[[price]]\nmodels = [\"m\"]\n{text}");
        for (text, says) in [
            (row("input = 1.0"), "output"),
            (row("input = -1.0\noutput = 1.0"), "a price of -1 dollars"),
            (row("input = nan\noutput = 1.0"), "a price of NaN"),
            (row("input = 1.0\noutput = 1.0\nouput = 1.0"), "ouput"),
            ("format = 2\nwritten = \"d\"".into(), "format 2 is unknown"),
            (row("input = 1.0\noutput = 1.0\n[[price]]\nmodels = [\"m\"]\ninput = 2.0\noutput = 2.0"), "two prices"),
            ("format = 1\nwritten = \"d\"\n[[price]]\nmodels = [\"*\"]\ninput = 1.0\noutput = 1.0".into(), "empty"),
        ] {
            let reason = PriceTable::parse(&text, "t").unwrap_err();
            assert!(reason.contains(says), "{reason}");
        }
    }
}
