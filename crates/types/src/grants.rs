use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::{BoxFuture, FunctionName, HostFault, InputFiles, JsonText, Limits, SourceText};

/// What a call may reach beyond its own memory.
///
/// By default nothing: a virtual clock, seeded randomness, no functions, no files. There is no grant of network,
/// processes or environment. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grants {
    /// Which clock it reads.
    pub clock: ClockGrant,
    /// Where its randomness comes from.
    pub entropy: EntropyGrant,
    /// Which functions it may call.
    pub functions: GrantedFunctions,
    /// Which files it may read.
    pub files: InputFiles,
}

/// Which clock a call reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClockGrant {
    /// Starts at a fixed time and moves by what the function sleeps.
    #[default]
    Virtual,
    /// The host's clock.
    Real,
}

/// Where a call's randomness comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EntropyGrant {
    /// A generator seeded by the call.
    #[default]
    Seeded,
    /// The host's entropy.
    Real,
}

/// The functions that a call may call, by name. Clones share them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GrantedFunctions(Option<Arc<BTreeMap<FunctionName, GrantedFunction>>>);

/// A function that a call may call.
#[derive(Debug, Clone, PartialEq)]
pub enum GrantedFunction {
    /// Code of the host.
    Host(HostGrant),
    /// Untrusted code, run in an instance of its own.
    Learned(LearnedGrant),
}

/// Code of the host that a call may call.
#[derive(Clone)]
pub struct HostGrant {
    /// What is called.
    pub function: Arc<dyn HostFunction>,
    /// How long one call of it may take; what is left of the caller's own wall clock bounds it, too.
    ///
    /// When it is used up the caller is told, and goes on.
    pub wall: Duration,
    /// How often one invocation may call it; the caller is told when that is used up.
    pub most_calls: u32,
}

/// Another learned function that a call may call.
///
/// It has what is left of the caller's wall clock, and of the caller's grants only the other learned functions: no host
/// function, no file, no real clock, no real entropy. Its results are strict JSON, and what it writes goes nowhere.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedGrant {
    /// What to run.
    pub source: SourceText,
    /// Its entry: a name at the top level.
    pub entry: String,
    /// The bounds of one call of it. Its memory counts besides against what all nested calls may have together.
    pub limits: Limits,
}

/// Code of the host that functions may call: JSON in, JSON out.
///
/// The future is polled on the thread that runs the caller, and dropped when its time is up. It must not block, and
/// finds no async runtime there: one that needs it spawns onto its own and waits for the answer. Whatever it does for a
/// function it does for untrusted code: the arguments are well-formed JSON, and nothing else is known of them.
pub trait HostFunction: Send + Sync {
    /// Answers one call; the arguments are an array (by position) or an object (by name).
    fn call(&self, arguments: JsonText) -> BoxFuture<'static, Result<JsonText, HostFunctionError>>;
}

/// A host function that gave no result.
#[derive(Debug, thiserror::Error)]
pub enum HostFunctionError {
    /// The call was answered with a failure: the caller reads the message, and goes on.
    #[error("{0}")]
    Failed(String),
    /// The host could not do its part: the whole invocation ends with the fault, and says nothing of its function.
    #[error(transparent)]
    Fault(#[from] HostFault),
}

impl HostGrant {
    /// How long a host function may take, if nothing else is said.
    pub const DEFAULT_WALL: Duration = Duration::from_secs(1);

    /// How often an invocation may call a host function, if nothing else is said.
    pub const DEFAULT_MOST_CALLS: u32 = 100;

    /// A grant of at most 100 calls of 1 s each.
    pub fn new(function: impl HostFunction + 'static) -> Self {
        Self { function: Arc::new(function), wall: Self::DEFAULT_WALL, most_calls: Self::DEFAULT_MOST_CALLS }
    }
}

impl GrantedFunctions {
    /// Adds a function; one of the same name is replaced.
    pub fn insert(&mut self, name: FunctionName, function: GrantedFunction) {
        Arc::make_mut(self.0.get_or_insert_default()).insert(name, function);
    }

    /// Returns the function of a name.
    pub fn get(&self, name: &str) -> Option<(&FunctionName, &GrantedFunction)> {
        self.0.as_ref()?.get_key_value(name)
    }

    /// Returns the functions in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&FunctionName, &GrantedFunction)> {
        self.0.iter().flat_map(|functions| functions.iter())
    }

    /// Says whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Returns the learned functions only: what a function that is called by another one may call itself.
    #[must_use]
    pub fn learned_only(&self) -> Self {
        let is_host = |(_, function): (&FunctionName, &GrantedFunction)| matches!(function, GrantedFunction::Host(_));
        if !self.iter().any(is_host) {
            return self.clone();
        }
        let learned = self.iter().filter(|entry| !is_host(*entry));
        learned.map(|(name, function)| (name.clone(), function.clone())).collect()
    }
}

impl FromIterator<(FunctionName, GrantedFunction)> for GrantedFunctions {
    fn from_iter<I: IntoIterator<Item = (FunctionName, GrantedFunction)>>(functions: I) -> Self {
        let functions: BTreeMap<_, _> = functions.into_iter().collect();
        Self((!functions.is_empty()).then(|| Arc::new(functions)))
    }
}

impl<F, A> HostFunction for F
where
    F: Fn(JsonText) -> A + Send + Sync,
    A: Future<Output = Result<JsonText, HostFunctionError>> + Send + 'static,
{
    fn call(&self, arguments: JsonText) -> BoxFuture<'static, Result<JsonText, HostFunctionError>> {
        Box::pin(self(arguments))
    }
}

/// Two grants are the same when they grant the very same function.
impl PartialEq for HostGrant {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.function, &other.function) && (self.wall, self.most_calls) == (other.wall, other.most_calls)
    }
}

impl fmt::Debug for HostGrant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = formatter.debug_struct("HostGrant");
        fields.field("wall", &self.wall).field("most_calls", &self.most_calls).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> GrantedFunction {
        GrantedFunction::Host(HostGrant::new(|arguments| async { Ok(arguments) }))
    }

    fn learned(entry: &str) -> GrantedFunction {
        let source = SourceText { language: "any".parse().unwrap(), text: "".into(), packages: Vec::new() };
        GrantedFunction::Learned(LearnedGrant { source, entry: entry.into(), limits: Limits::DEFAULT })
    }

    #[test]
    fn nothing_is_granted_by_default() {
        let grants = Grants::default();
        assert_eq!((grants.clock, grants.entropy), (ClockGrant::Virtual, EntropyGrant::Seeded));
        assert!(grants.functions.is_empty() && grants.files.is_empty());
        assert!(grants.functions.get("f").is_none());
        assert_eq!(GrantedFunctions::from_iter([]), GrantedFunctions::default());
    }

    #[test]
    fn a_clone_is_not_changed_by_a_later_grant() {
        let mut functions = GrantedFunctions::default();
        functions.insert("f".parse().unwrap(), learned("f"));
        let earlier = functions.clone();
        functions.insert("g".parse().unwrap(), host());
        assert_eq!((earlier.iter().count(), functions.iter().count()), (1, 2));
    }

    #[test]
    fn a_called_function_inherits_the_learned_functions_only() {
        let names = ["f", "g", "h"].map(|name| name.parse().unwrap());
        let [f, g, h] = names;
        let functions = GrantedFunctions::from_iter([(f, learned("f")), (g, host()), (h, learned("h"))]);
        let left = functions.learned_only();
        assert_eq!(left.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["f", "h"]);
        assert_eq!(left.learned_only(), left);
    }
}
