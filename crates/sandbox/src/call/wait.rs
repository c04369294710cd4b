//! Waiting for code of the host on the thread of a worker, never beyond a moment.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use greensand_types::BoxFuture;

use super::clock::CallClock;
use crate::ticker::TICK;
use crate::worker::panic_message;

/// What became of a wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waited<T> {
    /// The answer came.
    Answered(T),
    /// It did not come in time, or nobody wants it any more; what would have given it is dropped.
    Late,
    /// What would have given it panicked.
    Panicked(String),
}

/// Drives a future on this thread until it answers, until a moment, or until the call is abandoned.
pub(super) fn wait<T>(until: Instant, clock: &CallClock, start: impl FnOnce() -> BoxFuture<'static, T>) -> Waited<T> {
    // The future is of no use after a panic and goes with it; nothing else is touched by it.
    match catch_unwind(AssertUnwindSafe(|| drive(until, clock, start()))) {
        Ok(waited) => waited,
        Err(panic) => Waited::Panicked(panic_message(panic.as_ref())),
    }
}

fn drive<T>(until: Instant, clock: &CallClock, mut future: BoxFuture<'static, T>) -> Waited<T> {
    let alarm = Arc::new(Alarm { thread: thread::current(), has_rung: AtomicBool::new(true) });
    let waker = Waker::from(alarm.clone());
    loop {
        if alarm.has_rung.swap(false, Ordering::Acquire)
            && let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(&waker))
        {
            return Waited::Answered(answer);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || clock.is_abandoned() {
            return Waited::Late;
        }
        if !alarm.has_rung.load(Ordering::Acquire) {
            // Whoever abandons a call wakes nobody, so that this looks up at every tick.
            thread::park_timeout(left.min(TICK));
        }
    }
}

/// Wakes the thread that waits.
struct Alarm {
    thread: Thread,
    has_rung: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::channel::oneshot;
    use greensand_types::{ClockGrant, Limits};

    use super::*;
    use crate::worker::Cancellation;

    fn check<T>(milliseconds: u64, start: impl FnOnce() -> BoxFuture<'static, T>) -> Waited<T> {
        let clock = CallClock::start(ClockGrant::Virtual, &Limits::DEFAULT, Cancellation::default());
        wait(Instant::now() + Duration::from_millis(milliseconds), &clock, start)
    }

    #[test]
    fn an_answer_from_another_thread_wakes_the_wait() {
        let (sender, receiver) = oneshot::channel();
        let answering = thread::spawn(move || sender.send(7));
        assert_eq!(check(60_000, || Box::pin(receiver)), Waited::Answered(Ok(7)));
        answering.join().unwrap().unwrap();
    }

    #[test]
    fn a_future_that_never_answers_is_dropped_in_time() {
        let (sender, receiver) = oneshot::channel::<()>();
        assert_eq!(check(5, || Box::pin(receiver)), Waited::Late);
        assert!(sender.is_canceled());
    }

    #[test]
    fn a_future_that_always_wants_to_be_asked_again_is_dropped_in_time() {
        let restless = || {
            std::future::poll_fn(|context| -> Poll<()> {
                context.waker().wake_by_ref();
                Poll::Pending
            })
        };
        assert_eq!(check(5, || Box::pin(restless())), Waited::Late);
    }

    #[test]
    fn an_answer_that_is_there_already_needs_no_time() {
        assert_eq!(check(0, || Box::pin(async { 7 })), Waited::Answered(7));
    }

    #[test]
    fn panics_are_caught_wherever_they_happen() {
        assert_eq!(check::<()>(5, || panic!("at the start")), Waited::Panicked("at the start".into()));
        assert_eq!(check::<()>(5, || Box::pin(async { panic!("later") })), Waited::Panicked("later".into()));
    }
}
