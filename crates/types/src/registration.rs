use std::collections::BTreeSet;
use std::sync::Arc;

use crate::{ContentId, FunctionName, FunctionSet, FunctionSignature, ValidatedFunction};

/// One function set as both roles see it: the assistant's tool list and the user proxy's call table.
///
/// Both views borrow the same immutable set, so the two roles cannot disagree; what was removed is in neither. A
/// registration of a large set may offer a part of it ([`Registration::offering`]): the assistant then sees that part,
/// and the user proxy still knows the whole set, so that a name from an earlier message or from another function's text
/// means what it always meant. What is offered is never more than what can be called.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    set: Arc<FunctionSet>,
    /// Invariant: functions of the set, in the order of their names.
    offered: Arc<[Arc<ValidatedFunction>]>,
}

impl Registration {
    /// Registers a set for both roles, and offers all of it.
    pub fn of(set: Arc<FunctionSet>) -> Self {
        let offered = set.iter().cloned().collect();
        Self { set, offered }
    }

    /// Registers a set for both roles, and offers those of its functions that are named. Other names are passed over.
    pub fn offering<'a>(set: Arc<FunctionSet>, names: impl IntoIterator<Item = &'a FunctionName>) -> Self {
        let names: BTreeSet<&FunctionName> = names.into_iter().collect();
        let offered = set.iter().filter(|function| names.contains(function.name())).cloned().collect();
        Self { set, offered }
    }

    /// Returns the set.
    pub fn set(&self) -> &Arc<FunctionSet> {
        &self.set
    }

    /// Returns the id of the set.
    pub fn set_id(&self) -> ContentId {
        self.set.id()
    }

    /// The assistant's view: the signature of every function that is offered, in the order of their names.
    pub fn register_for_llm(&self) -> impl ExactSizeIterator<Item = &FunctionSignature> {
        self.offered.iter().map(|function| &function.draft().signature)
    }

    /// The user proxy's view: the function of the whole set that a called name means.
    pub fn register_for_executor(&self, name: &str) -> Option<&Arc<ValidatedFunction>> {
        self.set.get(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::FunctionDraft;

    fn set(names: &[&str]) -> Arc<FunctionSet> {
        let function = |name: &&str| {
            ValidatedFunction::admitted(FunctionDraft {
                signature: FunctionSignature::new(name.parse().unwrap(), String::new(), json!({})).unwrap(),
                language: "any".parse().unwrap(),
                source: "".into(),
                packages: Vec::new(),
                examples: Vec::new(),
            })
        };
        Arc::new(FunctionSet::from_functions(names.iter().map(function), None).unwrap())
    }

    #[track_caller]
    fn check(registration: &Registration, offered: &[&str]) {
        let names: Vec<&str> = registration.register_for_llm().map(|signature| signature.name().as_str()).collect();
        assert_eq!(names, offered);
        for name in ["a", "b", "c"] {
            assert!(registration.register_for_executor(name).is_some(), "{name}: what is not offered can be called");
        }
        assert!(registration.register_for_executor("d").is_none());
    }

    #[test]
    fn a_part_is_offered_and_the_whole_can_be_called() {
        let set = set(&["c", "a", "b"]);
        let names: Vec<FunctionName> = ["c", "d", "a", "c"].iter().map(|name| name.parse().unwrap()).collect();
        check(&Registration::of(Arc::clone(&set)), &["a", "b", "c"]);
        check(&Registration::offering(Arc::clone(&set), &names), &["a", "c"]);
        check(&Registration::offering(set, &[]), &[]);
    }
}
