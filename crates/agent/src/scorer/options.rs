use num_rational::BigRational;
use num_traits::{Signed, Zero};
use serde_json::{Map, Value};

/// One option of a scorer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionEntry {
    /// Its name.
    pub name: &'static str,
    /// What it means, with its values and its default.
    pub summary: &'static str,
}

/// An option that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// The scorer has no such option.
    #[error("unknown option `{key}`{}{}", list(.known), did_you_mean(.nearest))]
    Unknown {
        /// The name that was given.
        key: String,
        /// The options that there are.
        known: Vec<&'static str>,
        /// The one that is most like it, if one is.
        nearest: Option<&'static str>,
    },
    /// The value is not one that the option can have.
    #[error("option `{key}` must be {expected}, found {found}")]
    Malformed {
        /// The option.
        key: &'static str,
        /// What it can be.
        expected: String,
        /// What was given.
        found: String,
    },
}

fn list(known: &[&str]) -> String {
    if known.is_empty() {
        return ": it takes none".to_owned();
    }
    format!(": the known ones are {}", known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
}

fn did_you_mean(nearest: &Option<&'static str>) -> String {
    nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}

/// Options whose names are known to be right.
pub(super) struct Options<'a>(&'a Map<String, Value>);

impl<'a> Options<'a> {
    pub(super) fn read(options: &'a Map<String, Value>, entries: &[OptionEntry]) -> Result<Self, OptionsError> {
        let names = entries.iter().map(|entry| entry.name);
        match options.keys().find(|key| !names.clone().any(|name| name == *key)) {
            None => Ok(Self(options)),
            Some(key) => Err(OptionsError::Unknown {
                key: quoted(key),
                known: names.clone().collect(),
                nearest: nearest(key, names),
            }),
        }
    }

    pub(super) fn flag(&self, key: &'static str, default: bool) -> Result<bool, OptionsError> {
        match self.0.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(malformed(key, "true or false", other)),
        }
    }

    pub(super) fn text(&self, key: &'static str) -> Result<Option<&'a str>, OptionsError> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(malformed(key, "a string", other)),
        }
    }

    /// Reads one of several words; the first is the default.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Result<T, OptionsError> {
        let Some(value) = self.0.get(key) else { return Ok(choices[0].1) };
        let chosen = choices.iter().find(|(word, _)| value == word);
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            malformed(key, &words.join(" or "), value)
        })
    }

    /// Reads a number that is not negative; 0 by default.
    pub(super) fn tolerance(&self, key: &'static str) -> Result<BigRational, OptionsError> {
        let Some(value) = self.0.get(key) else { return Ok(BigRational::zero()) };
        let number = value.as_f64().and_then(BigRational::from_float).filter(|number| !number.is_negative());
        number.ok_or_else(|| malformed(key, "a number that is not negative", value))
    }
}

fn malformed(key: &'static str, expected: &str, found: &Value) -> OptionsError {
    OptionsError::Malformed { key, expected: expected.to_owned(), found: quoted(&found.to_string()) }
}

/// Makes text from outside fit for a message.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Returns the known name that is most like a name, unless none is.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let (distance, nearest) = known.map(|known| (strsim::damerau_levenshtein(name, known), known)).min()?;
    (distance <= 1 + nearest.len() / 3).then_some(nearest)
}
