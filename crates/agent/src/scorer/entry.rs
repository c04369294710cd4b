use std::sync::Arc;

use greensand_types::{Task, Verdict};
use serde_json::{Map, Value};

use super::options::{OptionEntry, Options, OptionsError, nearest, quoted};
use super::{exact, json, math, number, regex};

/// Judges answers.
pub trait Scorer: Send + Sync {
    /// Judges the text of the last reply. Never fails: what cannot be read is a wrong answer.
    fn score(&self, task: &Task, answer: &str) -> Verdict;

    /// Says whether the target can be compared with at all, so that a bad task set is told before it is paid for.
    ///
    /// # Errors
    /// When no answer could ever be right.
    fn check_target(&self, target: &str) -> Result<(), TargetError>;
}

/// A target that no answer can meet, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the target cannot be scored: {0}")]
pub struct TargetError(pub String);

/// One scorer of the list.
#[derive(Clone, Copy)]
pub struct ScorerEntry {
    /// Its name in settings.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The options that it takes.
    pub options: &'static [OptionEntry],
    pub(super) open: fn(&Options<'_>) -> Result<Arc<dyn Scorer>, OptionsError>,
}

/// Every scorer.
pub static SCORERS: &[ScorerEntry] = &[exact::ENTRY, number::ENTRY, math::ENTRY, regex::ENTRY, json::ENTRY];

/// A scorer that could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenScorerError {
    /// No scorer has the name.
    #[error("unknown scorer `{name}`: the known ones are {known}{}", suggestion(.nearest))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The known names, as a list for people.
        known: String,
        /// The known name that is most like it, if one is.
        nearest: Option<&'static str>,
    },
    /// An option is unknown or has a value that it cannot have.
    #[error("scorer `{scorer}`: {source}")]
    Options {
        /// The scorer.
        scorer: &'static str,
        /// Which option, and why.
        source: OptionsError,
    },
}

fn suggestion(nearest: &Option<&'static str>) -> String {
    nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}

/// Makes a scorer from its name and its options.
///
/// # Errors
/// When no scorer has the name, or when an option is unknown or malformed; the error names the nearest known one.
pub fn open_scorer(name: &str, options: &Map<String, Value>) -> Result<Arc<dyn Scorer>, OpenScorerError> {
    let entry = SCORERS.iter().find(|entry| entry.name == name).ok_or_else(|| OpenScorerError::Unknown {
        name: quoted(name),
        known: SCORERS.iter().map(|entry| format!("`{}`", entry.name)).collect::<Vec<_>>().join(", "),
        nearest: nearest(name, SCORERS.iter().map(|entry| entry.name)),
    })?;
    Options::read(options, entry.options)
        .and_then(|options| (entry.open)(&options))
        .map_err(|source| OpenScorerError::Options { scorer: entry.name, source })
}
