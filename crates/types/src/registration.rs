use std::sync::Arc;

use crate::{ContentId, FunctionSet, FunctionSignature, ValidatedFunction};

/// One function set as both roles see it: the assistant's tool list and the user proxy's call table.
///
/// Both views borrow the same immutable set, so the two roles cannot disagree; what was removed is in neither.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration(Arc<FunctionSet>);

impl Registration {
    /// Registers a set for both roles.
    pub fn of(set: Arc<FunctionSet>) -> Self {
        Self(set)
    }

    /// Returns the set.
    pub fn set(&self) -> &Arc<FunctionSet> {
        &self.0
    }

    /// Returns the id of the set.
    pub fn set_id(&self) -> ContentId {
        self.0.id()
    }

    /// The assistant's view: the signature of every function, in the order of their names.
    pub fn register_for_llm(&self) -> impl ExactSizeIterator<Item = &FunctionSignature> {
        self.0.iter().map(|function| &function.draft().signature)
    }

    /// The user proxy's view: the function that a called name means.
    pub fn register_for_executor(&self, name: &str) -> Option<&Arc<ValidatedFunction>> {
        self.0.get(name)
    }
}
