use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::modules::OpenModule;
use super::refusal::ModuleRefusal;

/// How many modules are kept open, or known to be refused; the one longest unused goes first.
const MOST: usize = 256;

/// The modules that are open, by the digest of what they were opened from.
#[derive(Default)]
pub(crate) struct OpenModules {
    known: Mutex<Known>,
    /// Somebody has opened a module, or given it up.
    changed: Condvar,
}

#[derive(Default)]
struct Known {
    modules: HashMap<[u8; 32], (u64, State)>,
    uses: u64,
}

enum State {
    /// Somebody opens it.
    Opening,
    Open(Arc<OpenModule>),
    Refused(ModuleRefusal, Instant),
}

impl OpenModules {
    /// Finds an open module.
    pub(crate) fn get(&self, digest: &[u8; 32]) -> Option<Arc<OpenModule>> {
        match self.known().used(digest)? {
            State::Open(module) => Some(module.clone()),
            State::Opening | State::Refused(..) => None,
        }
    }

    /// Finds an open module, or opens it; whoever asks for one that is being opened waits for that.
    ///
    /// # Errors
    /// When it is refused, or was within the time for which that is remembered.
    pub(crate) fn get_or_open(
        &self,
        digest: [u8; 32],
        remembered: Duration,
        open: impl FnOnce() -> Result<Arc<OpenModule>, ModuleRefusal>,
    ) -> Result<Arc<OpenModule>, ModuleRefusal> {
        let mut known = self.known();
        loop {
            match known.used(&digest) {
                Some(State::Open(module)) => return Ok(module.clone()),
                Some(State::Refused(refusal, since)) if since.elapsed() < remembered => return Err(refusal.clone()),
                Some(State::Opening) => known = self.changed.wait(known).unwrap_or_else(PoisonError::into_inner),
                Some(State::Refused(..)) | None => break,
            }
        }
        known.set(digest, State::Opening);
        drop(known);
        let mut opening = Opening { modules: self, digest, outcome: None };
        let opened = open();
        opening.outcome = match &opened {
            Ok(module) => Some(State::Open(module.clone())),
            Err(refusal) if refusal.is_of_the_module() => Some(State::Refused(refusal.clone(), Instant::now())),
            Err(_) => None,
        };
        opened
    }

    /// Takes another module for the same digest, such as one that was compiled better.
    pub(crate) fn replace(&self, digest: [u8; 32], module: Arc<OpenModule>) {
        self.known().set(digest, State::Open(module));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn used(&mut self, digest: &[u8; 32]) -> Option<&State> {
        self.uses += 1;
        let (last_use, state) = self.modules.get_mut(digest)?;
        *last_use = self.uses;
        Some(state)
    }

    fn set(&mut self, digest: [u8; 32], state: State) {
        self.uses += 1;
        self.modules.insert(digest, (self.uses, state));
        if self.modules.len() > MOST {
            let settled = self.modules.iter().filter(|(_, (_, state))| !matches!(state, State::Opening));
            let oldest = settled.min_by_key(|(_, (last_use, _))| *last_use).map(|(digest, _)| *digest);
            oldest.map(|digest| self.modules.remove(&digest));
        }
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
        match self.outcome.take() {
            Some(state) => known.set(self.digest, state),
            None => {
                known.modules.remove(&self.digest);
            }
        }
        self.modules.changed.notify_all();
    }
}
