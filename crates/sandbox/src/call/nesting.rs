//! Calls that call one another: how deep, how many, and what they share.
//!
//! A nested call runs on the thread of its caller, in an instance of its own. Its thread must have the stack for all of
//! them: see [`crate::engine::thread_stack`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use greensand_types::{CallOutcome, HostFault, SourceText};

use super::run::GuestCall;
use crate::NestingLimits;
use crate::worker::Cancellation;

/// Runs a call of a source on the thread that asks for it.
pub(crate) type RunNested =
    dyn Fn(&SourceText, GuestCall, &Cancellation) -> Result<CallOutcome, HostFault> + Send + Sync;

/// Where a call stands among calls that call one another. By default nowhere: it cannot call any.
#[derive(Clone, Default)]
pub(crate) struct Nesting {
    depth: u32,
    family: Option<Arc<Family>>,
}

/// What a call shares with all calls that it leads to.
struct Family {
    run: Box<RunNested>,
    limits: NestingLimits,
    calls: AtomicU32,
    slept_nanoseconds: AtomicU64,
}

impl Nesting {
    /// The place of a call that nothing of a guest has called.
    pub(crate) fn outermost(limits: NestingLimits, run: Box<RunNested>) -> Self {
        let (calls, slept_nanoseconds) = Default::default();
        Self { depth: 0, family: Some(Arc::new(Family { run, limits, calls, slept_nanoseconds })) }
    }

    /// Returns the place of a call that this one makes, or says why it can make none.
    pub(super) fn enter(&self) -> Result<Self, String> {
        let Some(family) = &self.family else { return Err("functions cannot call one another here".into()) };
        let NestingLimits { depth, calls } = family.limits;
        if self.depth >= depth {
            return Err(format!("functions may call one another only {depth} deep"));
        }
        // The family stays on one thread: it is shared with the callee, not with another worker.
        if family.calls.fetch_add(1, Ordering::Relaxed) >= calls {
            return Err(format!("functions may call one another only {calls} times in one call"));
        }
        Ok(Self { depth: self.depth + 1, family: Some(family.clone()) })
    }

    /// Runs a call at this place.
    pub(super) fn run(
        &self,
        source: &SourceText,
        call: GuestCall,
        cancellation: &Cancellation,
    ) -> Result<CallOutcome, HostFault> {
        let Some(family) = &self.family else { return Err(HostFault::new("a call without a family cannot be nested")) };
        (family.run)(source, call, cancellation)
    }

    /// Returns how long nested calls have slept on their virtual clocks, all together.
    pub(super) fn slept(&self) -> Duration {
        let slept = self.family.as_ref().map(|family| family.slept_nanoseconds.load(Ordering::Relaxed));
        Duration::from_nanos(slept.unwrap_or_default())
    }

    /// Notes that the call at this place has slept on its virtual clock. Its callers count it through [`Self::slept`].
    pub(super) fn note_slept(&self, duration: Duration) {
        let Some(family) = self.family.as_ref().filter(|_| self.depth > 0) else { return };
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let slept = family.slept_nanoseconds.load(Ordering::Relaxed);
        family.slept_nanoseconds.store(slept.saturating_add(nanoseconds), Ordering::Relaxed);
    }
}

impl fmt::Debug for Nesting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Nesting").field("depth", &self.depth).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outermost(depth: u32, calls: u32) -> Nesting {
        Nesting::outermost(NestingLimits { depth, calls }, Box::new(|_, _, _| Err(HostFault::new("nothing runs here"))))
    }

    #[test]
    fn depth_and_number_are_bounded_for_the_whole_family() {
        let first = outermost(2, 3);
        let second = first.enter().unwrap();
        let third = second.enter().unwrap();
        assert_eq!(third.enter().unwrap_err(), "functions may call one another only 2 deep");
        assert!(first.enter().is_ok());
        assert_eq!(second.enter().unwrap_err(), "functions may call one another only 3 times in one call");
    }

    #[test]
    fn a_call_without_a_family_calls_nothing() {
        assert!(Nesting::default().enter().is_err());
    }

    #[test]
    fn what_nested_calls_sleep_is_known_to_their_callers() {
        let first = outermost(2, 3);
        let second = first.enter().unwrap();
        first.note_slept(Duration::from_secs(1));
        assert_eq!(first.slept(), Duration::ZERO, "the outermost call counts on its own clock");
        second.note_slept(Duration::from_secs(2));
        assert_eq!(first.slept(), Duration::from_secs(2));
        second.note_slept(Duration::MAX);
        assert_eq!(first.slept(), Duration::from_nanos(u64::MAX));
    }
}
