use std::sync::Arc;

use greensand_types::{Action, FunctionRuntime, HostFault, Language, Limits, Task, ValidatedFunction};

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
    /// Whether a function may call the others of its set. Default no.
    pub may_call_each_other: bool,
    /// The bounds of each example's call; nothing for the default of the language.
    pub limits: Option<Limits>,
    /// The seed of each example's call. Default 0.
    pub seed: u64,
}

impl AdmissionSettings {
    /// No packages, no reserved names, no calls between functions, a warning for memorised answers, the language's own limits, seed 0.
    pub fn new(language: Language) -> Self {
        Self {
            language,
            allowed_packages: Vec::new(),
            reserved_names: Vec::new(),
            memorised: MemorisedAnswers::default(),
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

/// What admission works with.
#[derive(Clone, Copy)]
pub struct AdmissionContext<'a> {
    /// What compiles and runs the draft.
    pub runtime: &'a dyn FunctionRuntime,
    /// What is allowed.
    pub settings: &'a AdmissionSettings,
    /// The training tasks whose answers a source must not carry; none when a set is read back.
    pub train: &'a [Arc<Task>],
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
