use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Action, ContentId, FunctionName, GrantedFunctions, Language, Limits, ValidatedFunction};

/// An immutable set of functions, ordered by name: the learnable parameters of an agent.
///
/// Its id is that of its content; the parent only records where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionSet {
    functions: BTreeMap<FunctionName, Arc<ValidatedFunction>>,
    id: ContentId,
    parent: Option<ContentId>,
}

/// An action that does not fit the set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyActionError {
    /// `add` of a name that is taken.
    #[error("a function `{0}` exists already; revise it, or choose another name")]
    Exists(FunctionName),
    /// `revise` or `remove` of a name that is not there.
    #[error("there is no function `{0}` to {1}")]
    Absent(FunctionName, &'static str),
}

impl FunctionSet {
    /// Returns the set without functions.
    pub fn empty() -> Self {
        Self::of(BTreeMap::new(), None)
    }

    /// Builds a set, such as one that is read back from a run folder.
    ///
    /// # Errors
    /// When two functions have the same name.
    pub fn from_functions(
        functions: impl IntoIterator<Item = ValidatedFunction>,
        parent: Option<ContentId>,
    ) -> Result<Self, ApplyActionError> {
        let mut map = BTreeMap::new();
        for function in functions {
            let name = function.name().clone();
            if map.insert(name.clone(), Arc::new(function)).is_some() {
                return Err(ApplyActionError::Exists(name));
            }
        }
        Ok(Self::of(map, parent))
    }

    /// Returns the set that an action leads to; this one stays as it is.
    ///
    /// # Errors
    /// When an added name is taken, or a revised or removed one is absent.
    pub fn apply(&self, action: Action<ValidatedFunction>) -> Result<Self, ApplyActionError> {
        let mut functions = self.functions.clone();
        match action {
            Action::Add(function) => {
                if functions.contains_key(function.name()) {
                    return Err(ApplyActionError::Exists(function.name().clone()));
                }
                functions.insert(function.name().clone(), Arc::new(function));
            }
            Action::Revise(function) => {
                if !functions.contains_key(function.name()) {
                    return Err(ApplyActionError::Absent(function.name().clone(), "revise"));
                }
                functions.insert(function.name().clone(), Arc::new(function));
            }
            Action::Remove { name, .. } => {
                if functions.remove(&name).is_none() {
                    return Err(ApplyActionError::Absent(name, "remove"));
                }
            }
            Action::Terminate => return Ok(self.clone()),
        }
        Ok(Self::of(functions, Some(self.id)))
    }

    /// Returns the id of the content.
    pub fn id(&self) -> ContentId {
        self.id
    }

    /// Returns the set that this one was made from.
    pub fn parent(&self) -> Option<ContentId> {
        self.parent
    }

    /// Returns the function of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<ValidatedFunction>> {
        let name: FunctionName = name.parse().ok()?;
        self.functions.get(&name)
    }

    /// Returns the functions in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<ValidatedFunction>> {
        self.functions.values()
    }

    /// Returns what a call is granted that may call every function of the set.
    pub fn to_grants(&self, limits: impl Fn(&Language) -> Limits) -> GrantedFunctions {
        let grant = |function: &Arc<ValidatedFunction>| {
            let draft = function.draft();
            (function.name().clone(), draft.to_grant(limits(&draft.language)))
        };
        self.iter().map(grant).collect()
    }

    /// Returns how many functions there are.
    pub fn len(&self) -> usize {
        self.functions.len()
    }

    /// Says whether there is no function.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    fn of(functions: BTreeMap<FunctionName, Arc<ValidatedFunction>>, parent: Option<ContentId>) -> Self {
        let mut id = ContentId::of("function set");
        for function in functions.values() {
            id.field(function.id().to_string().as_bytes());
        }
        Self { functions, id: id.finish(), parent }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{FunctionDraft, FunctionSignature};

    fn function(name: &str, source: &str) -> ValidatedFunction {
        let signature = FunctionSignature::new(name.parse().unwrap(), String::new(), json!({})).unwrap();
        ValidatedFunction::admitted(FunctionDraft {
            signature,
            language: "any".parse().unwrap(),
            source: source.into(),
            packages: Vec::new(),
            examples: Vec::new(),
        })
    }

    fn remove(name: &str) -> Action<ValidatedFunction> {
        Action::Remove { name: name.parse().unwrap(), reason: String::new() }
    }

    #[test]
    fn apply_leaves_the_old_set_alone() {
        let empty = FunctionSet::empty();
        let one = empty.apply(Action::Add(function("f", "1"))).unwrap();
        assert!(empty.is_empty());
        assert_eq!((one.len(), one.parent()), (1, Some(empty.id())));
    }

    #[test]
    fn the_way_to_a_set_does_not_change_its_id() {
        let empty = FunctionSet::empty();
        let detour = empty.apply(Action::Add(function("f", "1"))).unwrap().apply(remove("f")).unwrap();
        assert_eq!(detour.id(), empty.id());
    }

    #[test]
    fn actions_that_do_not_fit_are_refused() {
        let one = FunctionSet::empty().apply(Action::Add(function("f", "1"))).unwrap();
        assert!(matches!(one.apply(Action::Add(function("f", "2"))), Err(ApplyActionError::Exists(_))));
        assert!(matches!(one.apply(Action::Revise(function("g", "2"))), Err(ApplyActionError::Absent(_, "revise"))));
        assert!(matches!(one.apply(remove("g")), Err(ApplyActionError::Absent(_, "remove"))));
    }
}
