use super::{PairedScores, STRATEGIES};

/// What a strategy says of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Judgement {
    /// The candidate is better than the best set, for this reason.
    Accept(String),
    /// It is not, for this reason.
    Reject(String),
    /// More trials could tell, for this reason.
    Indecisive(String),
}

/// What a judgement goes by beside the scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// How often a candidate that is no better may be accepted by chance, 0 to 1. Of a judgement that is one of several looks at
    /// the same candidate, this is the part of that look.
    pub false_accepts: f64,
}

/// An acceptance strategy as lists, help and settings know it.
#[derive(Debug, Clone, Copy)]
pub struct StrategyEntry {
    /// The name in settings.
    pub name: &'static str,
    /// One sentence that says when it accepts.
    pub summary: &'static str,
    /// Judges a candidate by the paired scores. There is at least one pair.
    pub judge: fn(&PairedScores, &Rules) -> Judgement,
}

/// A name that no strategy has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no acceptance strategy `{name}`; did you mean `{nearest}`? known: {known}")]
pub struct UnknownStrategyError {
    name: String,
    nearest: &'static str,
    known: String,
}

/// Returns the strategy of a name.
///
/// # Errors
/// When there is none; the error names the nearest.
pub fn find_strategy(name: &str) -> Result<&'static StrategyEntry, UnknownStrategyError> {
    STRATEGIES.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = STRATEGIES.iter().map(|entry| entry.name).collect();
        UnknownStrategyError {
            name: name.chars().take(80).collect(),
            nearest: crate::nearest::nearest(name, STRATEGIES.iter().map(|entry| entry.name)).unwrap_or(""),
            known: names.join(", "),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_is_found_by_its_name_and_accepts_only_what_is_better() {
        let better = PairedScores::of(&[Some(0.0); 64], &[Some(1.0); 64]);
        let equal = PairedScores::of(&[Some(0.5); 64], &[Some(0.5); 64]);
        let worse = PairedScores::of(&[Some(1.0); 64], &[Some(0.0); 64]);
        for entry in STRATEGIES {
            assert_eq!(find_strategy(entry.name).unwrap().name, entry.name);
            assert!(!entry.summary.is_empty(), "{}", entry.name);
            let judge = |scores| (entry.judge)(scores, &Rules { false_accepts: 0.05 });
            assert!(matches!(judge(&better), Judgement::Accept(_)), "{}", entry.name);
            assert!(matches!(judge(&equal), Judgement::Reject(_)), "{}: a tie is no improvement", entry.name);
            assert!(matches!(judge(&worse), Judgement::Reject(_)), "{}", entry.name);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let error = find_strategy("gredy").unwrap_err().to_string();
        assert!(error.contains("did you mean `greedy`"), "{error}");
    }
}
