use std::hint;
use std::num::NonZero;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a thread that waits looks before it sleeps: waking it takes longer than a short call.
///
/// On one processor whoever looks keeps the one from running for whom it looks.
static SPIN: LazyLock<Duration> = LazyLock::new(|| match thread::available_parallelism().map_or(1, NonZero::get) {
    1 => Duration::ZERO,
    _ => Duration::from_micros(40),
});

/// How often a thread looks before it lets others run.
const LOOKS: u32 = 32;

/// A thread that sleeps until it is called.
pub(super) struct Sleeper {
    thread: Thread,
    is_called: AtomicBool,
}

impl Sleeper {
    pub(super) fn of_this_thread() -> Self {
        Self { thread: thread::current(), is_called: AtomicBool::new(false) }
    }

    /// Sleeps until it is called, or was since it last slept. For its own thread only.
    pub(super) fn sleep(&self) {
        while !self.is_called.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }

    pub(super) fn call(&self) {
        self.is_called.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.call();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.call();
    }
}

/// Looks for a short while whether something holds.
pub(super) fn spin_until(holds: impl Fn() -> bool) {
    let until = Instant::now() + *SPIN;
    while Instant::now() < until {
        for _ in 0..LOOKS {
            if holds() {
                return;
            }
            hint::spin_loop();
        }
        // The kernel may have put whoever is waited for behind this thread on the same processor.
        thread::yield_now();
    }
}

/// Blocks this thread until a future is ready.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let sleeper = Arc::new(Sleeper::of_this_thread());
    let waker = Waker::from(sleeper.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        spin_until(|| sleeper.is_called.load(Ordering::Relaxed));
        sleeper.sleep();
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::oneshot;

    use super::*;

    #[test]
    fn waiting_ends_with_the_value_however_long_it_takes() {
        for pause in [0, 1, 10, 1_000, 50_000] {
            let (sender, receiver) = oneshot::channel();
            thread::scope(|scope| {
                scope.spawn(move || {
                    thread::sleep(Duration::from_micros(pause));
                    sender.send(pause).unwrap();
                });
                assert_eq!(wait_for(receiver), Ok(pause));
            });
        }
    }

    #[test]
    fn what_is_ready_is_not_waited_for_and_what_wakes_itself_goes_on() {
        assert_eq!(wait_for(async { 7 }), 7);
        let mut polls = 0;
        let stubborn = std::future::poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls == 100 { Poll::Ready(()) } else { Poll::Pending }
        });
        wait_for(stubborn);
        assert_eq!(polls, 100);
    }
}
