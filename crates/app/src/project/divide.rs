use greensand_types::ContentId;

use super::task_file::PlacedTask;
use crate::settings::{Share, SplitSection};

/// Deals tasks out to *train*, *validation* and *test*; what no share takes is left out.
///
/// Who goes where depends on the seed and the ids alone, so that a task that is added moves few others; within a split
/// the tasks keep their order.
pub(super) fn divide(tasks: Vec<PlacedTask>, split: SplitSection) -> Result<[Vec<PlacedTask>; 3], String> {
    let total = tasks.len();
    let counts = counts([split.train, split.validation, split.test], total);
    let wanted: usize = counts.iter().fold(0, |sum, count| sum.saturating_add(*count));
    if wanted > total {
        let [train, validation, test] = counts;
        return Err(format!("the shares ask for {train} + {validation} + {test} tasks, and there are {total}"));
    }
    let mut order: Vec<usize> = (0..total).collect();
    order.sort_by_key(|index| rank(split.seed, &tasks[*index]));
    let mut place = vec![None; total];
    let mut drawn = order.into_iter();
    for (split, count) in counts.into_iter().enumerate() {
        drawn.by_ref().take(count).for_each(|index| place[index] = Some(split));
    }
    let mut splits = [Vec::new(), Vec::new(), Vec::new()];
    for (task, split) in tasks.into_iter().zip(place) {
        if let Some(split) = split {
            splits[split].push(task);
        }
    }
    Ok(splits)
}

fn rank(seed: u64, placed: &PlacedTask) -> ContentId {
    let mut id = ContentId::of("place in a split");
    id.field(&seed.to_le_bytes()).field(placed.task.id.as_str().as_bytes());
    id.finish()
}

/// Turns shares into numbers of tasks.
///
/// The sum of the fractions so far is rounded, not each fraction: fractions that make up a whole then take every task
/// once, where 0.5, 0.25 and 0.25 of 10 would be 5, 3 and 3.
fn counts(shares: [Share; 3], total: usize) -> [usize; 3] {
    let (mut sum, mut dealt) = (0.0, 0);
    shares.map(|share| match share {
        Share::Count(count) => count,
        Share::Fraction(fraction) => {
            sum += fraction;
            let until = rounded(sum, total);
            until - std::mem::replace(&mut dealt, until)
        }
    })
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction from 0 to 3 of a number of tasks"
)]
fn rounded(fraction: f64, total: usize) -> usize {
    (fraction * total as f64).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use greensand_types::Task;

    fn tasks(count: usize) -> Vec<PlacedTask> {
        let task = |index: usize| Task {
            id: format!("t{index}").parse().unwrap(),
            question: String::new(),
            target: String::new(),
            metadata: serde_json::Map::new(),
        };
        (0..count).map(|index| PlacedTask { task: task(index), file: "f".into(), line: index + 1 }).collect()
    }

    fn section(train: Share, validation: Share, test: Share, seed: u64) -> SplitSection {
        SplitSection { train, validation, test, seed }
    }

    fn lines(split: &[PlacedTask]) -> Vec<usize> {
        split.iter().map(|placed| placed.line).collect()
    }

    #[test]
    fn shares_are_counts_or_fractions_and_no_task_is_dealt_twice() {
        let section = section(Share::Fraction(0.5), Share::Count(2), Share::Fraction(0.25), 1);
        let splits = divide(tasks(12), section).unwrap();
        assert_eq!(splits.each_ref().map(Vec::len), [6, 2, 3]);
        let mut all: Vec<usize> = splits.iter().flat_map(|split| lines(split)).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 11);
        assert!(splits.iter().all(|split| lines(split).is_sorted()));
    }

    #[test]
    fn fractions_of_a_whole_deal_out_every_task() {
        for fractions in [[0.5, 0.25, 0.25], [0.7, 0.15, 0.15], [0.6, 0.2, 0.2], [0.1, 0.45, 0.45]] {
            let [train, validation, test] = fractions.map(Share::Fraction);
            for total in 1..=50 {
                let splits = divide(tasks(total), section(train, validation, test, 1)).unwrap();
                assert_eq!(splits.iter().map(Vec::len).sum::<usize>(), total, "{fractions:?}");
                for (split, fraction) in splits.iter().zip(fractions) {
                    let exact = fraction * f64::from(u32::try_from(total).unwrap());
                    let count = f64::from(u32::try_from(split.len()).unwrap());
                    assert!((count - exact).abs() <= 1.0, "{count} for {fraction} of {total}");
                }
            }
        }
    }

    #[test]
    fn the_seed_decides_who_goes_where() {
        let train = |seed| {
            lines(&divide(tasks(40), section(Share::Count(20), Share::Count(0), Share::Count(0), seed)).unwrap()[0])
        };
        assert_eq!(train(1), train(1));
        assert_ne!(train(1), train(2));
    }

    #[test]
    fn shares_beyond_the_tasks_are_refused() {
        let error = divide(tasks(3), section(Share::Count(2), Share::Count(2), Share::Count(0), 0)).unwrap_err();
        assert_eq!(error, "the shares ask for 2 + 2 + 0 tasks, and there are 3");
    }
}
