use std::sync::Arc;

use crate::{Action, ContentId, FunctionSet, TokenUsage, ValidatedFunction};

/// The checks of admission, in their order: the first that fails refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// The reply parses, the action exists, the fields have the right types, the name is an identifier.
    Form,
    /// An added name is new; a revised or removed one exists.
    Existence,
    /// The parameters are a JSON Schema object and agree with the definition.
    Signature,
    /// The packages are allowed and available.
    Packages,
    /// The source compiles in the sandbox.
    Compile,
    /// It does not repeat a function of the set.
    Duplicate,
    /// Every example runs in the sandbox and gives its result.
    Examples,
    /// The source does not carry answers of training tasks.
    Memorised,
    /// A revision answers the recorded calls of solved tasks as they were answered.
    Replay,
}

impl Gate {
    /// Every gate, in order.
    pub const ALL: [Self; 9] = [
        Self::Form,
        Self::Existence,
        Self::Signature,
        Self::Packages,
        Self::Compile,
        Self::Duplicate,
        Self::Examples,
        Self::Memorised,
        Self::Replay,
    ];

    /// Returns the word for the gate, as it stands in journals and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Existence => "existence",
            Self::Signature => "signature",
            Self::Packages => "packages",
            Self::Compile => "compile",
            Self::Duplicate => "duplicate",
            Self::Examples => "examples",
            Self::Memorised => "memorised",
            Self::Replay => "replay",
        }
    }
}

/// A refused action, with a reason that the model can act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The gate that refused.
    pub gate: Gate,
    /// The verb of the action as the model wrote it.
    pub action: String,
    /// The function as the model named it.
    pub function: Option<String>,
    /// Why, and what to do about it.
    pub reason: String,
}

/// What became of one proposed action.
#[derive(Debug, Clone, PartialEq)]
pub enum Proposal {
    /// It was admitted and applied; the warnings did not stop it.
    Applied {
        /// The action.
        action: Action<ValidatedFunction>,
        /// What a person should look at, such as a memorised answer.
        warnings: Vec<String>,
    },
    /// It was refused; the reason went back to the model.
    Refused(Rejection),
}

/// Why a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEnd {
    /// The model said that it is done, or proposed nothing.
    Terminated,
    /// The step has applied as many actions as it may.
    ActionsSpent,
    /// One action was refused as often as it may be.
    RetriesSpent,
}

/// Everything that one step did, refusals included.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct StepReport {
    /// The set that the step started from.
    pub parent: ContentId,
    /// The set that it proposes; the parent's own content when nothing was applied.
    pub candidate: Arc<FunctionSet>,
    /// Every proposed action in order, with what became of it.
    pub proposals: Vec<Proposal>,
    /// Why it ended.
    pub end: StepEnd,
    /// What the optimizer's replies cost.
    pub usage: TokenUsage,
}

impl StepReport {
    /// Says whether the candidate has the content of its parent.
    pub fn is_unchanged(&self) -> bool {
        self.candidate.id() == self.parent
    }
}
