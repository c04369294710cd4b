//! What is said of each event. Names and reasons come from models and functions, and are escaped.

use greensand_app::Tally;
use greensand_app::store::{DecisionKind, DecisionRecord, ProposalRecord};

use crate::terminal::{BAD, DIM, GOOD, WARN};
use crate::text;

/// The longest reason in a line; the report has all of it.
const REASON: usize = 300;

/// Returns a share of 1 in per cent.
pub(super) fn percent(score: f64) -> String {
    format!("{:.1} %", score * 100.0)
}

/// Returns how far an evaluation has come, in words.
pub(super) fn tally_words(tally: &Tally) -> String {
    let score = tally.mean().map_or_else(|| "no score yet".into(), |mean| format!("score {}", percent(mean)));
    let missing = if tally.missing > 0 { format!(", {} missing", tally.missing) } else { String::new() };
    format!("{score}  {} of {} solved, {} calls{missing}", tally.solved, tally.done, tally.calls)
}

/// Returns what became of a proposed action.
pub(super) fn proposal_lines(epoch: u32, proposal: &ProposalRecord) -> Vec<String> {
    let function = proposal.function.as_ref().map(|name| format!(" `{}`", text::shortened(name, 80)));
    let function = function.unwrap_or_default();
    let action = text::shortened(&proposal.action, 40);
    let reason = proposal.reason.as_ref().map(|reason| format!(": {}", text::shortened(reason, REASON)));
    let reason = reason.unwrap_or_default();
    let mut lines = vec![match &proposal.gate {
        None => format!("epoch {epoch}: {GOOD}{action}{GOOD:#}{function}{reason}"),
        Some(gate) => {
            let gate = text::shortened(gate, 40);
            format!("epoch {epoch}: {WARN}refused{WARN:#} {action}{function} at gate `{gate}`{reason}")
        }
    }];
    lines.extend(proposal.warnings.iter().map(|warning| warning_line(warning)));
    lines
}

/// Returns how a set was judged.
pub(super) fn decision_line(epoch: u32, decision: &DecisionRecord) -> String {
    let (style, word) = match decision.decision {
        DecisionKind::Baseline => (DIM, "baseline"),
        DecisionKind::Accepted => (GOOD, "accepted"),
        DecisionKind::RolledBack => (BAD, "rolled back"),
        DecisionKind::Undecided => (WARN, "undecided"),
        DecisionKind::Unchanged => (DIM, "unchanged"),
        DecisionKind::NotCompared => (WARN, "not compared"),
    };
    let score = match (decision.score, decision.compared_with) {
        (Some(score), Some(other)) => format!(" {} (before {})", percent(score), percent(other)),
        (Some(score), None) => format!(" {}", percent(score)),
        (None, _) => String::new(),
    };
    format!("epoch {epoch}: {style}{word}{style:#}{score}: {}", text::shortened(&decision.reason, REASON))
}

/// Returns what is said of an endpoint that takes less than before.
pub(super) fn limit_line(endpoint: &str, before: u32, limit: u32) -> String {
    let endpoint = text::shortened(endpoint, 80);
    format!("{WARN}too many requests{WARN:#} for `{endpoint}`: at most {limit} at once from here on, {before} before")
}

/// Returns a warning.
pub(super) fn warning_line(message: &str) -> String {
    format!("{WARN}warning{WARN:#}: {}", text::shortened(message, REASON))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_refused_action_says_where_and_why() {
        let proposal = ProposalRecord {
            action: "add".into(),
            function: Some("f\u{1b}[31m".into()),
            applied: false,
            id: None,
            gate: Some("examples".into()),
            reason: Some("example 1 gives 3,\nnot 4".into()),
            warnings: Vec::new(),
        };
        assert_eq!(
            plain(&proposal_lines(2, &proposal)[0]),
            "epoch 2: refused add `f\\u{1b}[31m` at gate `examples`: example 1 gives 3, not 4"
        );
    }

    #[test]
    fn a_decision_shows_both_scores() {
        let decision = DecisionRecord {
            epoch: 3,
            set: "a".into(),
            decision: DecisionKind::RolledBack,
            score: Some(0.25),
            compared_with: Some(0.5),
            comparison: None,
            reason: "no better".into(),
            registered: "b".into(),
        };
        assert_eq!(plain(&decision_line(3, &decision)), "epoch 3: rolled back 25.0 % (before 50.0 %): no better");
    }

    #[test]
    fn missing_tasks_are_said() {
        let tally = Tally { done: 4, total: 4, solved: 1, missing: 2, calls: 3, score_sum: 1.0 };
        assert_eq!(tally_words(&tally), "score 50.0 %  1 of 4 solved, 3 calls, 2 missing");
    }
}
