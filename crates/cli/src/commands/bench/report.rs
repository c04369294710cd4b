//! What is written of a measurement: for people as a table, for programs as JSON with keys that stay.

use std::fmt::Write;

use serde::{Serialize, Serializer};

use super::machine::Machine;
use crate::terminal::{BAD, BOLD, DIM, GOOD};

/// The version of the JSON report: a key that is removed, or that changes its meaning, makes another number.
const FORMAT: u32 = 1;

/// Everything that one run of `greensand bench` found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    format: u32,
    pub(super) machine: Machine,
    pub(super) measurements: Vec<Measurement>,
    /// What was not measured, and why.
    pub(super) left_out: Vec<String>,
}

/// One number, with what it covers and what was asked.
#[derive(Debug, Serialize)]
pub(super) struct Measurement {
    /// `<language>.<measurement>`, or the measurement alone where no language is meant. Stays.
    pub(super) key: String,
    /// The same for people.
    name: String,
    language: Option<&'static str>,
    pub(super) value: f64,
    unit: &'static str,
    asked: Option<Asked>,
    holds: Option<bool>,
    /// How many calls, starts or builds the number is made of.
    samples: usize,
    covers: &'static str,
}

/// What was asked of a number, in its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Asked {
    AtMost(f64),
    AtLeast(f64),
}

impl Measurement {
    pub(super) fn new(language: Option<&'static str>, key: &str, name: impl Into<String>) -> Self {
        let key = language.map_or_else(|| key.to_owned(), |language| format!("{language}.{key}"));
        let (value, unit, asked, holds, samples, covers) = (f64::NAN, "", None, None, 1, "");
        Self { key, name: name.into(), language, value, unit, asked, holds, samples, covers }
    }

    pub(super) fn value(self, value: f64, unit: &'static str) -> Self {
        Self { value: (value * 1000.0).round() / 1000.0, unit, ..self }
    }

    pub(super) fn samples(self, samples: usize) -> Self {
        Self { samples, ..self }
    }

    pub(super) fn covers(self, covers: &'static str) -> Self {
        Self { covers, ..self }
    }

    pub(super) fn asked(self, asked: impl Into<Option<Asked>>) -> Self {
        let asked = asked.into();
        Self { asked, holds: asked.map(|asked| asked.is_met_by(self.value)), ..self }
    }
}

impl Asked {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("<= {}", rounded(most)),
            Self::AtLeast(least) => format!(">= {}", rounded(least)),
        }
    }
}

impl Serialize for Asked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, value) = match self {
            Self::AtMost(value) => ("at_most", value),
            Self::AtLeast(value) => ("at_least", value),
        };
        serializer.collect_map([(key, value)])
    }
}

impl Report {
    pub(super) fn new(machine: Machine) -> Self {
        Self { format: FORMAT, machine, measurements: Vec::new(), left_out: Vec::new() }
    }

    /// Returns the table, with styles.
    pub(super) fn text(&self) -> String {
        let mut text = self.machine.text();
        let rows = &self.measurements;
        let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let mut language = Some("");
        for row in rows {
            if row.language != language {
                language = row.language;
                let _ = writeln!(text, "\n{BOLD}{}{BOLD:#}", language.unwrap_or("all languages"));
            }
            let Measurement { name, value, unit, covers, samples, .. } = row;
            let _ = write!(text, "  {name:<width$}  {BOLD}{:>9}{BOLD:#} {unit:<8}", rounded(*value));
            let asked = row.asked.map(Asked::text).unwrap_or_default();
            let _ = match row.holds {
                Some(true) => write!(text, "{GOOD}{asked:<9} holds {GOOD:#}"),
                Some(false) => write!(text, "{BAD}{asked:<9} misses{BAD:#}"),
                None => write!(text, "{:<16}", ""),
            };
            let _ = writeln!(text, "  {DIM}{samples} x {covers}{DIM:#}");
        }
        for reason in &self.left_out {
            let _ = writeln!(text, "\nleft out: {reason}");
        }
        text
    }
}

/// Returns a number with as many digits as mean something.
pub(super) fn rounded(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 || (size == size.trunc() && size > 0.0) => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        for (value, expected) in [(12345.6, "12346"), (60.0, "60"), (41.26, "41.3"), (1.7, "1.70"), (0.0, "0.00")] {
            assert_eq!(rounded(value), expected);
        }
    }

    #[test]
    fn a_number_says_whether_it_holds_what_was_asked() {
        let check = |value, asked, expected| {
            let row = Measurement::new(Some("x"), "k", "n").value(value, "us").asked(asked);
            assert_eq!((row.key.as_str(), row.holds), ("x.k", expected));
        };
        check(60.0, Some(Asked::AtMost(60.0)), Some(true));
        check(60.1, Some(Asked::AtMost(60.0)), Some(false));
        check(1.7, Some(Asked::AtLeast(1.7)), Some(true));
        check(1.6, Some(Asked::AtLeast(1.7)), Some(false));
        check(1.6, None, None);
    }

    #[test]
    fn what_was_asked_is_written_with_its_direction() {
        let row = Measurement::new(None, "k", "n").value(1.0, "ms").asked(Asked::AtMost(2.0));
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(json["asked"], serde_json::json!({"at_most": 2.0}));
        assert_eq!(json["key"], "k");
    }
}
