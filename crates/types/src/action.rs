use crate::{FunctionDraft, FunctionName, ValidatedFunction};

/// Why a function is removed, in the words of whoever removes it.
pub type RemoveReason = String;

/// A change to a function set: of a [`FunctionDraft`] when proposed, of a [`ValidatedFunction`] when applied.
#[derive(Debug, Clone, PartialEq)]
pub enum Action<F> {
    /// Adds a function under a new name.
    Add(F),
    /// Replaces the function of the same name.
    Revise(F),
    /// Removes a function.
    Remove {
        /// The function to remove.
        name: FunctionName,
        /// Why.
        reason: RemoveReason,
    },
    /// Ends the step; the set stays as it is.
    Terminate,
}

impl<F> Action<F> {
    /// Returns the verb, as it stands in journals and messages.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Revise(_) => "revise",
            Self::Remove { .. } => "remove",
            Self::Terminate => "terminate",
        }
    }
}

impl Action<FunctionDraft> {
    /// Returns the name of the function that the action is about.
    pub fn function(&self) -> Option<&FunctionName> {
        match self {
            Self::Add(draft) | Self::Revise(draft) => Some(draft.signature.name()),
            Self::Remove { name, .. } => Some(name),
            Self::Terminate => None,
        }
    }
}

impl Action<ValidatedFunction> {
    /// Returns the name of the function that the action is about.
    pub fn function(&self) -> Option<&FunctionName> {
        match self {
            Self::Add(function) | Self::Revise(function) => Some(function.name()),
            Self::Remove { name, .. } => Some(name),
            Self::Terminate => None,
        }
    }
}
