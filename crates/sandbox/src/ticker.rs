//! The ticker: a thread that advances an engine's epoch while calls run, so that running guests look at their clock.
//!
//! It sleeps when no call runs. A guest is interrupted at the next tick after its deadline, wherever its code is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, mem};

use wasmtime::Engine;

/// How often a running guest looks at its clock.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Ticks without a call after which the thread parks: calls that follow one another closely need not wake it.
const IDLE_TICKS: u32 = 20;

/// Advances the epoch of one engine.
pub(crate) struct Ticker {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    running: AtomicUsize,
    is_parked: AtomicBool,
    is_closing: AtomicBool,
}

/// A running call; the ticker ticks while one exists.
pub(crate) struct Ticking<'a>(&'a State);

impl Ticker {
    /// Starts the ticker of an engine.
    pub(crate) fn start(engine: &Engine) -> io::Result<Self> {
        let state = Arc::new(State::default());
        let thread = thread::Builder::new().name("gs-ticker".into()).spawn({
            let (state, engine) = (state.clone(), engine.clone());
            move || tick(&state, &engine)
        })?;
        Ok(Self { state, thread: Some(thread) })
    }

    /// Ticks until the returned value is dropped.
    pub(crate) fn run(&self) -> Ticking<'_> {
        self.state.running.fetch_add(1, Ordering::SeqCst);
        // Either this load sees that the thread is parked, or the thread's own check after it said so sees this call.
        if self.state.is_parked.load(Ordering::SeqCst) {
            self.wake();
        }
        Ticking(&self.state)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.is_closing.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = mem::take(&mut self.thread) {
            // A ticker that panicked has nothing left to say: its calls were bounded by nothing but their end.
            let _ = thread.join();
        }
    }
}

fn tick(state: &State, engine: &Engine) {
    let mut idle = 0;
    while !state.is_closing.load(Ordering::SeqCst) {
        thread::sleep(TICK);
        engine.increment_epoch();
        idle = if state.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle < IDLE_TICKS {
            continue;
        }
        state.is_parked.store(true, Ordering::SeqCst);
        while state.running.load(Ordering::SeqCst) == 0 && !state.is_closing.load(Ordering::SeqCst) {
            thread::park();
        }
        state.is_parked.store(false, Ordering::SeqCst);
        idle = 0;
    }
}
