use crate::project::{Project, Split};
use crate::store::{RunWriter, StoreError, break_seal, seal_text};
use crate::{Event, Observer};

/// Counts that the test tasks of a project are scored, says so from the second time on, and returns how often that was.
///
/// It is said, and not kept in the report of a run: the count is of the project, and another run may count on.
pub(crate) fn count_look(project: &Project, observer: &dyn Observer) -> Result<u64, StoreError> {
    let count = break_seal(&project.settings.runs_dir, project.tasks.get(Split::Test))?;
    if let Some(message) = seal_text(count) {
        observer.event(Event::Warning { message: &message });
    }
    Ok(count)
}

/// The same for a run: what its journal holds already was counted when it was done.
pub(crate) fn count_look_of(run: &RunWriter, project: &Project, observer: &dyn Observer) -> Result<(), StoreError> {
    if !run.is_replay() && run.upcoming()?.is_none() {
        count_look(project, observer)?;
    }
    Ok(())
}
