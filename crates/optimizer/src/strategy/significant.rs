use super::{Judgement, PairedScores, Rules, StrategyEntry};

/// Accepts what is better by more than chance explains.
pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "significant",
    summary: "accepts a candidate whose mean paired difference exceeds k standard errors (Student's t at \
              `training.false_accepts`); what is better by less buys more trials up to `training.max_trials`",
    judge,
};

/// The k standard errors of the paired differences, with k from Student's t at the level of the rules. Where few tasks differ at
/// all, the errors are no guide: even if every one of m differing tasks fell to the candidate by chance, that would happen with a
/// probability of 2^-m, so m must be large enough for the level, too.
fn judge(scores: &PairedScores, rules: &Rules) -> Judgement {
    let difference = scores.mean_difference();
    let text = scores.describe();
    if difference <= 0.0 {
        let relation = if difference < 0.0 { "lower than" } else { "equal to" };
        return Judgement::Reject(format!("the mean is {relation} the best set's: {text}"));
    }
    let sample = scores.differences();
    let Some((error, k)) = sample.and_then(|sample| sample.standard_error().zip(sample.critical(rules.false_accepts)))
    else {
        return Judgement::Indecisive(format!("one task says nothing of the error: {text}"));
    };
    let differing = scores.gained() + scores.lost();
    if 0.5_f64.powi(i32::try_from(differing).unwrap_or(i32::MAX)) > rules.false_accepts {
        return Judgement::Indecisive(format!("too few tasks differ to tell it from chance: {text}"));
    }
    match difference > k * error {
        true => Judgement::Accept(format!("the difference exceeds {k:.2} standard errors: {text}")),
        false => Judgement::Indecisive(format!("the difference is within {k:.2} standard errors: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules { false_accepts: 0.05 }
    }

    #[track_caller]
    fn check(pairs: &[(f64, f64)], expected: &str) {
        let (best, candidate): (Vec<_>, Vec<_>) = pairs.iter().map(|(one, other)| (Some(*one), Some(*other))).unzip();
        let judgement = judge(&PairedScores::of(&best, &candidate), &rules());
        let word = match &judgement {
            Judgement::Accept(_) => "accept",
            Judgement::Reject(_) => "reject",
            Judgement::Indecisive(_) => "indecisive",
        };
        assert_eq!(word, expected, "{pairs:?}: {judgement:?}");
    }

    fn pairs(gained: usize, lost: usize, equal: usize) -> Vec<(f64, f64)> {
        let parts = [((0.0, 1.0), gained), ((1.0, 0.0), lost), ((1.0, 1.0), equal)];
        parts.into_iter().flat_map(|(pair, count)| std::iter::repeat_n(pair, count)).collect()
    }

    #[test]
    fn a_difference_must_exceed_its_errors() {
        check(&pairs(6, 0, 18), "accept");
        check(&pairs(5, 0, 5), "accept");
        check(&pairs(9, 2, 13), "accept");
        check(&pairs(6, 4, 14), "indecisive");
        check(&pairs(4, 4, 16), "reject");
        check(&pairs(3, 4, 17), "reject");
    }

    #[test]
    fn few_differing_tasks_are_no_evidence_however_alike_they_are() {
        check(&pairs(1, 0, 0), "indecisive");
        check(&pairs(2, 0, 0), "indecisive");
        check(&pairs(4, 0, 0), "indecisive");
        check(&pairs(5, 0, 0), "accept");
        check(&pairs(4, 0, 1000), "indecisive");
    }
}
