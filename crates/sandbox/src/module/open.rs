use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::oneshot;

use super::compile::BuildLimits;
use super::modules::OpenModule;
use super::refusal::ModuleRefusal;

/// How many modules are kept open, or known to be refused; the one longest unused goes first.
const MOST: usize = 256;

/// What the code of the open ones may take, in bytes; the one longest unused goes first, calls that run it keep it until then.
const MOST_BYTES: usize = 256 << 20;

/// The modules that are open, by the digest of what they were opened from.
#[derive(Default)]
pub(crate) struct OpenModules {
    known: Mutex<Known>,
}

/// Why there is no open module.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// It is refused.
    Refused(ModuleRefusal),
    /// Somebody else is busy with it, or with what opening it needs. This ends when they are done, whatever came of it.
    Awaited(oneshot::Receiver<()>),
}

impl From<ModuleRefusal> for Unopened {
    fn from(refusal: ModuleRefusal) -> Self {
        Self::Refused(refusal)
    }
}

#[derive(Default)]
struct Known {
    modules: HashMap<[u8; 32], (u64, State)>,
    /// What the open ones take.
    bytes: usize,
    uses: u64,
}

enum State {
    /// Somebody opens it, for these others as well: they are told by being dropped.
    Opening(Vec<oneshot::Sender<()>>),
    Open(Arc<OpenModule>),
    /// It is refused to whoever allows its compiler no more than this.
    Refused(ModuleRefusal, BuildLimits, Instant),
}

impl State {
    fn bytes(&self) -> usize {
        match self {
            Self::Open(module) => module.bytes(),
            Self::Opening(_) | Self::Refused(..) => 0,
        }
    }

    fn is_settled(&self) -> bool {
        match self {
            Self::Open(_) | Self::Refused(..) => true,
            Self::Opening(_) => false,
        }
    }
}

impl OpenModules {
    /// Finds an open module.
    pub(crate) fn get(&self, digest: &[u8; 32]) -> Option<Arc<OpenModule>> {
        match self.known().used(digest)? {
            State::Open(module) => Some(module.clone()),
            State::Opening(_) | State::Refused(..) => None,
        }
    }

    /// Finds an open module, or opens it within limits. It waits for nobody.
    ///
    /// A refusal is remembered for those who allow no more than whoever it was told to: one caller's limits decide nothing
    /// for another.
    ///
    /// # Errors
    /// When it is refused, or was within the time for which that is remembered, or when somebody else opens it.
    pub(crate) fn get_or_open(
        &self,
        digest: [u8; 32],
        limits: BuildLimits,
        remembered: Duration,
        open: impl FnOnce() -> Result<Arc<OpenModule>, Unopened>,
    ) -> Result<Arc<OpenModule>, Unopened> {
        let mut known = self.known();
        match known.used(&digest) {
            Some(State::Open(module)) => return Ok(module.clone()),
            Some(State::Refused(refusal, refused, since))
                if since.elapsed() < remembered && limits.are_within(refused) =>
            {
                return Err(refusal.clone().into());
            }
            Some(State::Opening(others)) => {
                let (ending, ended) = oneshot::channel();
                // Those who have left leave no trace.
                others.retain(|other| !other.is_canceled());
                others.push(ending);
                return Err(Unopened::Awaited(ended));
            }
            Some(State::Refused(..)) | None => {}
        }
        known.set(digest, State::Opening(Vec::new()));
        drop(known);
        let mut opening = Opening { modules: self, digest, outcome: None };
        let opened = open();
        opening.outcome = match &opened {
            Ok(module) => Some(State::Open(module.clone())),
            Err(Unopened::Refused(refusal)) if refusal.is_of_the_module() => {
                Some(State::Refused(refusal.clone(), limits, Instant::now()))
            }
            Err(Unopened::Refused(_) | Unopened::Awaited(_)) => None,
        };
        opened
    }

    /// Takes another module for the same digest, such as one that was compiled better.
    pub(crate) fn replace(&self, digest: [u8; 32], module: Arc<OpenModule>) {
        let before = self.known().set(digest, State::Open(module));
        drop(before);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn used(&mut self, digest: &[u8; 32]) -> Option<&mut State> {
        self.uses += 1;
        let (last_use, state) = self.modules.get_mut(digest)?;
        *last_use = self.uses;
        Some(state)
    }

    fn set(&mut self, digest: [u8; 32], state: State) -> Option<State> {
        self.uses += 1;
        let before = self.remove(&digest);
        self.bytes += state.bytes();
        self.modules.insert(digest, (self.uses, state));
        while self.modules.len() > MOST || self.bytes > MOST_BYTES {
            let others = self.modules.iter().filter(|(other, (_, state))| **other != digest && state.is_settled());
            let oldest = others.min_by_key(|(_, (last_use, _))| *last_use).map(|(digest, _)| *digest);
            if oldest.and_then(|oldest| self.remove(&oldest)).is_none() {
                break;
            }
        }
        before
    }

    fn remove(&mut self, digest: &[u8; 32]) -> Option<State> {
        let (_, state) = self.modules.remove(digest)?;
        self.bytes -= state.bytes();
        Some(state)
    }
}

/// A module that somebody opens. When it is dropped, whoever waits goes on, whatever became of it.
struct Opening<'a> {
    modules: &'a OpenModules,
    digest: [u8; 32],
    outcome: Option<State>,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut known = self.modules.known();
        let before = match self.outcome.take() {
            Some(state) => known.set(self.digest, state),
            None => known.remove(&self.digest),
        };
        drop(known);
        // Those who wait are woken without the lock.
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::{Linker, Module};

    use super::super::inspect::CoreShape;
    use super::*;
    use crate::engine;

    /// An open module whose data has a hole, so that its code takes about 60 MiB.
    fn large() -> Arc<OpenModule> {
        let engine = engine::for_calls(1, 0).unwrap();
        let text = r#"(module (memory 1000) (data (i32.const 0) "a") (data (i32.const 62914560) "b"))"#;
        let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let prepared = Linker::new(&engine).instantiate_pre(&module).unwrap();
        let shape = CoreShape { memory_bytes: 0, initialises: false, describes: false };
        Arc::new(OpenModule::Core { prepared, shape })
    }

    #[test]
    fn what_is_open_is_bounded_by_its_bytes_too() {
        let module = large();
        assert!(module.bytes() > 60 << 20, "{}", module.bytes());
        let modules = OpenModules::default();
        for number in 0..6 {
            modules.replace([number; 32], module.clone());
            assert!(modules.get(&[0; 32]).is_some(), "what is used stays");
        }
        let open: Vec<bool> = (0..6).map(|number| modules.get(&[number; 32]).is_some()).collect();
        assert_eq!(open, [true, false, false, true, true, true]);
        assert_eq!(modules.known().bytes, 4 * module.bytes());
        // The same one again counts once.
        modules.replace([5; 32], module.clone());
        assert_eq!(modules.known().bytes, 4 * module.bytes());
    }
}
