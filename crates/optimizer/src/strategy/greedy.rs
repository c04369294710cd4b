use super::{Judgement, PairedScores, Rules, StrategyEntry};

/// The paper's rule.
pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "greedy",
    summary: "accepts a candidate whose mean score, on the tasks that both sets have a score for, is strictly higher",
    judge,
};

fn judge(scores: &PairedScores, _rules: &Rules) -> Judgement {
    if scores.mean_difference() > 0.0 {
        return Judgement::Accept(format!("the mean score is higher: {}", scores.describe()));
    }
    let relation = if scores.mean_difference() < 0.0 { "is lower than" } else { "only equals" };
    Judgement::Reject(format!("the mean score {relation} the best set's: {}", scores.describe()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(best: &[Option<f64>], candidate: &[Option<f64>], accepted: bool) {
        let judgement = judge(&PairedScores::of(best, candidate), &Rules { false_accepts: 0.05 });
        assert_eq!(matches!(judgement, Judgement::Accept(_)), accepted, "{best:?} {candidate:?}: {judgement:?}");
    }

    #[test]
    fn the_mean_must_be_strictly_higher() {
        check(&[Some(0.0), Some(1.0)], &[Some(1.0), Some(1.0)], true);
        check(&[Some(0.0), Some(1.0)], &[Some(1.0), Some(0.0)], false);
        check(&[Some(1.0), Some(1.0)], &[Some(1.0), Some(0.0)], false);
    }

    #[test]
    fn another_order_of_the_same_scores_is_a_tie() {
        check(&[Some(0.1), Some(0.2), Some(0.3)], &[Some(0.3), Some(0.2), Some(0.1)], false);
        check(&[Some(0.3), Some(0.2), Some(0.1)], &[Some(0.1), Some(0.2), Some(0.3)], false);
    }

    #[test]
    fn tasks_without_both_scores_do_not_count() {
        check(&[Some(0.0), Some(1.0)], &[Some(0.0), None], false);
        check(&[Some(0.0), None], &[Some(1.0), Some(0.0)], true);
    }
}
