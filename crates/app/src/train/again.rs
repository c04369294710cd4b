//! Going on with a run that was left, and doing one again: the same for every kind of run.

use super::TrainError;
use super::compare::{self, CompareDone};
use super::eras::Eras;
use super::eval::{self, EvalDone};
use super::r#loop::{self, TrainReport};
use super::noise::{self, NoiseDone};
use super::recorded::RecordedRun;
use crate::store::{Reopening, RunFolder, RunKind};
use crate::{Interrupt, Observer};

/// What a run left, by its kind.
#[derive(Debug)]
pub enum RunDone {
    /// A training.
    Trained(Box<TrainReport>),
    /// An evaluation of a set.
    Evaluated(Box<EvalDone>),
    /// A measurement of noise.
    Noise(NoiseDone),
    /// A comparison of ways.
    Compared(CompareDone),
}

impl RunDone {
    /// Returns the folder of the run.
    pub fn folder(&self) -> &RunFolder {
        match self {
            Self::Trained(done) => &done.folder,
            Self::Evaluated(done) => &done.folder,
            Self::Noise(done) => &done.folder,
            Self::Compared(done) => &done.folder,
        }
    }
}

/// Takes a run up again where it was left, however it was left: nothing that was paid for is asked for again, and what comes out
/// is the same as if it had never been left.
///
/// What the journal holds is taken as done; steps are made again from the replies that are kept, and compared.
///
/// # Errors
/// Those of the work itself, such as [`train`](super::train); and when the run is in use, its files are damaged, or the program
/// or its settings now do something else than the journal says.
pub async fn resume(
    recorded: &RecordedRun,
    eras: &Eras,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<RunDone, TrainError> {
    again(recorded, eras, Reopening::Resume, observer, interrupt).await
}

/// Does everything again that a run did, from what is kept in its folder: no model is asked, and nothing is written.
///
/// # Errors
/// When a line of the journal comes out otherwise; the error names the first such line. A run that was not finished ends in
/// [`StoreError::EndOfRecord`](crate::store::StoreError), after everything that it holds came out alike.
pub async fn replay(
    recorded: &RecordedRun,
    eras: &Eras,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<RunDone, TrainError> {
    again(recorded, eras, Reopening::Replay, observer, interrupt).await
}

async fn again(
    recorded: &RecordedRun,
    eras: &Eras,
    how: Reopening,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<RunDone, TrainError> {
    Ok(match recorded.manifest.kind {
        RunKind::Train => RunDone::Trained(Box::new(r#loop::again(recorded, eras, how, observer, interrupt).await?)),
        RunKind::Eval => RunDone::Evaluated(Box::new(eval::again(recorded, eras, how, observer, interrupt).await?)),
        RunKind::Noise => RunDone::Noise(noise::again(recorded, eras, how, observer, interrupt).await?),
        RunKind::Compare => RunDone::Compared(compare::again(recorded, eras, how, observer, interrupt).await?),
    })
}
