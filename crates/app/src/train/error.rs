use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use greensand_llm::ModelError;
use greensand_optimizer::{AdmitError, TrainingError};

use crate::evaluate::EvaluateError;
use crate::sets::SetError;
use crate::spend::Uncapped;
use crate::store::{RunKind, StoreError};

/// A training run that could not go on. What it had until then is in its folder.
#[derive(Debug)]
pub struct TrainError {
    /// What went wrong.
    pub kind: TrainErrorKind,
    /// The folder of the run, if it had come to have one.
    pub run: Option<PathBuf>,
}

/// What stops a training run.
#[derive(Debug, thiserror::Error)]
pub enum TrainErrorKind {
    /// The initial set cannot be used.
    #[error("load the initial functions")]
    Initial(#[source] Box<SetError>),
    /// The best set cannot be used.
    #[error("load the best set of the run")]
    Best(#[source] Box<SetError>),
    /// The run folder cannot be written.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// A set could not be measured.
    #[error("measure a function set")]
    Evaluate(#[source] Box<EvaluateError>),
    /// The optimizer's model gave no reply: to a step that has nothing to show without it, or in a way that every other
    /// request would share.
    #[error("get a reply of the optimizer's model")]
    Optimizer(#[source] ModelError),
    /// The host failed while a draft was examined.
    #[error("examine a draft")]
    Host(#[source] AdmitError),
    /// It would cost money, and nothing bounds how much. Nothing was sent.
    #[error(transparent)]
    Uncapped(#[from] Uncapped),
    /// What is asked of it, only a training has.
    #[error("run `{}` is one of `greensand {}`, and trained no functions", run.display(), kind.as_str())]
    NotTrained {
        /// The run.
        run: PathBuf,
        /// What it does.
        kind: RunKind,
    },
    /// The loop and the training disagree.
    #[error("keep the order of the training")]
    OutOfOrder(#[from] TrainingError),
}

impl fmt::Display for TrainError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(formatter)
    }
}

/// The kind speaks for the error, so that no cause is told twice.
impl Error for TrainError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

impl From<EvaluateError> for TrainErrorKind {
    fn from(error: EvaluateError) -> Self {
        Self::Evaluate(Box::new(error))
    }
}

impl From<StoreError> for TrainErrorKind {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl TrainError {
    /// Returns the folder of the run, if it had come to have one.
    pub fn run(&self) -> Option<&Path> {
        self.run.as_deref()
    }

    /// Says whether the run can be taken up again as it is.
    pub fn can_go_on(&self) -> bool {
        match &self.kind {
            TrainErrorKind::Store(error) => error.leaves_a_run(),
            TrainErrorKind::Evaluate(error) => match &**error {
                EvaluateError::Store(error) => error.leaves_a_run(),
                EvaluateError::NoTasks(_)
                | EvaluateError::Interrupted
                | EvaluateError::Model(_)
                | EvaluateError::Embeddings { .. }
                | EvaluateError::TooMuchMissing(_)
                | EvaluateError::BudgetSpent(_)
                | EvaluateError::Uncapped(_) => true,
            },
            TrainErrorKind::Initial(error) | TrainErrorKind::Best(error) => match &**error {
                SetError::Store(error) => error.leaves_a_run(),
                SetError::Refused { .. } | SetError::Changed { .. } => false,
                SetError::Host { .. } => true,
            },
            TrainErrorKind::NotTrained { .. } => false,
            TrainErrorKind::Optimizer(_)
            | TrainErrorKind::Host(_)
            | TrainErrorKind::Uncapped(_)
            | TrainErrorKind::OutOfOrder(_) => true,
        }
    }

    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        self.kind.hint()
    }
}

impl TrainErrorKind {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Initial(error) | Self::Best(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Evaluate(error) => error.hint(),
            Self::Optimizer(error) => error.hint().map(str::to_owned),
            Self::Host(_) => Some("`greensand doctor` examines this machine".into()),
            Self::Uncapped(uncapped) => Some(uncapped.hint()),
            Self::NotTrained { .. } => Some("name the folder of a training".into()),
            Self::OutOfOrder(_) => None,
        }
    }
}
