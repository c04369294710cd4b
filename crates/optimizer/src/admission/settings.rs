use std::sync::Arc;

use greensand_types::{
    Action, ConversationRecord, FunctionRuntime, HostFault, Language, Limits, Task, ValidatedFunction,
};

/// What admission allows.
#[derive(Debug, Clone)]
pub struct AdmissionSettings {
    /// The language of a function that does not name one.
    pub language: Language,
    /// Packages that a function may import; names are compared as package indexes do. Default none.
    pub allowed_packages: Vec<String>,
    /// Names that a function must not have, because the assistant has other tools of these names. Default none.
    pub reserved_names: Vec<String>,
    /// What to do about a source that carries answers of training tasks. Default [`MemorisedAnswers::Warn`].
    pub memorised: MemorisedAnswers,
    /// What to do about a revision that answers recorded calls otherwise. Default [`ReplayedCalls::Warn`].
    pub replay: ReplayedCalls,
    /// Whether a function may call the others of its set. Default no.
    pub may_call_each_other: bool,
    /// The bounds of each example's call; nothing for the default of the language.
    pub limits: Option<Limits>,
    /// The seed of each example's call. Default 0.
    pub seed: u64,
}

impl AdmissionSettings {
    /// No packages, no reserved names, no calls between functions, warnings for memorised answers and for changed answers to
    /// recorded calls, the language's own limits, seed 0.
    pub fn new(language: Language) -> Self {
        Self {
            language,
            allowed_packages: Vec::new(),
            reserved_names: Vec::new(),
            memorised: MemorisedAnswers::default(),
            replay: ReplayedCalls::default(),
            may_call_each_other: false,
            limits: None,
            seed: 0,
        }
    }
}

/// What to do about a source that carries answers of training tasks as constants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MemorisedAnswers {
    /// Admit it with a warning.
    #[default]
    Warn,
    /// Refuse it.
    Refuse,
}

/// What to do about a revision that answers the recorded calls of solved tasks otherwise than they were answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReplayedCalls {
    /// Run none of them.
    Off,
    /// Admit it with a warning.
    ///
    /// It is the default because a solved task does not prove each value that it was given: the assistant may have solved it
    /// in spite of one, and a revision that mends the value must not be kept out. The measurement that follows decides.
    #[default]
    Warn,
    /// Refuse it.
    Refuse,
}

/// What admission works with.
#[derive(Clone, Copy)]
pub struct AdmissionContext<'a> {
    /// What compiles and runs the draft.
    pub runtime: &'a dyn FunctionRuntime,
    /// What is allowed.
    pub settings: &'a AdmissionSettings,
    /// The training tasks whose answers a source must not carry; none when a set is read back.
    pub train: &'a [Arc<Task>],
    /// The conversations about training tasks whose calls a revision is to answer again; none when a set is read back.
    pub records: &'a [ConversationRecord],
}

/// An action that passed every gate.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Admitted {
    /// The action, ready for [`FunctionSet::apply`](greensand_types::FunctionSet::apply).
    pub action: Action<ValidatedFunction>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// A fault of ours while a draft was examined.
#[derive(Debug, thiserror::Error)]
#[error("examine function `{function}`")]
pub struct AdmitError {
    /// The function that was examined.
    pub function: String,
    /// The fault.
    #[source]
    pub source: HostFault,
}
