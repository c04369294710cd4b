use crate::project::{Project, Split};
use crate::spend::Ledger;
use crate::store::{RunWriter, StoreError, break_seal, looks, seal_text};
use crate::{Event, Observer};

/// Counts that a run is about to score the test tasks of its project in so many conversations, says so from the second time on, and
/// returns how often that was.
///
/// What the journal holds already was counted when it was done, and what the budget does not cover will not be done. The count is of
/// the project, and not in the journal of a run: another run may count on.
pub(crate) fn count_look(
    run: &RunWriter,
    project: &Project,
    ledger: &Ledger,
    conversations: usize,
    observer: &dyn Observer,
) -> Result<u64, StoreError> {
    let (runs_dir, tasks) = (&project.settings.runs_dir, project.tasks.get(Split::Test));
    if run.is_replay() || run.upcoming()?.is_some() || ledger.cover(conversations).is_err() {
        return looks(runs_dir, tasks);
    }
    let count = break_seal(runs_dir, tasks)?;
    if let Some(message) = seal_text(count) {
        observer.event(Event::Warning { message: &message });
    }
    Ok(count)
}
