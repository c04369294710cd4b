use std::sync::Arc;

use greensand_types::{Task, Verdict};

use super::entry::{Scorer, ScorerEntry, TargetError};
use super::options::{Options, OptionsError};

pub(super) const ENTRY: ScorerEntry = ScorerEntry { name: "math", summary: "", options: &[], open };

struct Math;

fn open(_: &Options<'_>) -> Result<Arc<dyn Scorer>, OptionsError> {
    Ok(Arc::new(Math))
}

impl Scorer for Math {
    fn score(&self, task: &Task, answer: &str) -> Verdict {
        let found = super::final_answer::final_answer(answer).text;
        if found == task.target { Verdict::satisfied(found, "") } else { Verdict::unsatisfied(Some(found.into()), "") }
    }
    fn check_target(&self, _: &str) -> Result<(), TargetError> {
        Ok(())
    }
}
