use statrs::distribution::{Binomial, DiscreteCDF};

use super::{Judgement, PairedScores, Rules, StrategyEntry};

/// Accepts what is better by more than chance explains.
pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "significant",
    summary: "accepts a candidate whose mean paired difference exceeds k standard errors (Student's t at \
              `training.false_accepts`); what is better by less buys more trials up to `training.max_trials`",
    judge,
};

/// The k standard errors of the paired differences, with k from Student's t at the level of the rules. Where few tasks differ,
/// the errors are no guide: how the differing tasks are divided must be rare enough by chance, too.
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
    if chance_of_so_many(scores) > rules.false_accepts {
        return Judgement::Indecisive(format!("too few tasks differ to tell it from chance: {text}"));
    }
    match difference > k * error {
        true => Judgement::Accept(format!("the difference exceeds {k:.2} standard errors: {text}")),
        false => Judgement::Indecisive(format!("the difference is within {k:.2} standard errors: {text}")),
    }
}

/// How likely chance alone gives the candidate so many of the tasks that differ. Where all differences are of one size, as with
/// tasks that are solved or not, that is the exact sign test; where they are of many sizes, only that no more than all can fall to it
/// is certain, which has a probability of 2^-m for m tasks.
fn chance_of_so_many(scores: &PairedScores) -> f64 {
    let sizes = || scores.pairs().iter().map(|(best, candidate)| (candidate - best).abs()).filter(|size| *size > 0.0);
    let (least, most) = sizes().fold((f64::MAX, 0.0_f64), |(least, most), size| (least.min(size), most.max(size)));
    let differing = scores.gained() + scores.lost();
    let least_gained = if most - least < 1e-9 { scores.gained() } else { differing };
    match Binomial::new(0.5, differing as u64) {
        Ok(chance) if least_gained > 0 => chance.sf(least_gained as u64 - 1),
        Ok(_) | Err(_) => 1.0,
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
        // Seven of nine fall so by chance with a probability of 0.0898, whatever the errors say.
        check(&pairs(7, 2, 15), "indecisive");
        check(&pairs(6, 1, 17), "indecisive");
        check(&pairs(7, 1, 16), "accept");
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
