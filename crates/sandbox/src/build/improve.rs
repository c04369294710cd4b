//! Building again, thoroughly, what is called again: one function at a time, after everything else.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::BuildKey;

/// How many functions may wait for their turn; who finds no room stays as it is until it is called again.
const MOST_WAITING: usize = 64;

/// How many functions are remembered until they are called again; whoever was built first is forgotten first.
const MOST_CANDIDATES: usize = 256;

/// What may be kept of either, in bytes of their plans.
const MOST_BYTES: usize = 32 << 20;

type Work = Box<dyn FnOnce(&dyn Fn() -> bool) + Send>;

/// The thread that improves functions, and those that it may improve. Dropping it stops what it does.
pub(super) struct Improver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    line: Mutex<Line>,
    has_work: Condvar,
    is_stopped: AtomicBool,
}

/// The functions that were built quickly.
#[derive(Default)]
struct Line {
    /// Those that were not called again yet, each with its number.
    candidates: HashMap<BuildKey, (u64, Job)>,
    candidate_bytes: usize,
    waiting: VecDeque<Job>,
    waiting_bytes: usize,
    number: u64,
}

struct Job {
    bytes: usize,
    work: Work,
}

impl Improver {
    pub(super) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let worker = shared.clone();
        let thread = thread::Builder::new().name("gs-improve".into()).spawn(move || worker.improve())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Remembers how a function is improved, should it be called again. `bytes` is what that keeps in memory.
    pub(super) fn remember(&self, key: BuildKey, bytes: usize, work: impl FnOnce(&dyn Fn() -> bool) + Send + 'static) {
        let forgotten = self.shared.line().remember(key, Job { bytes, work: Box::new(work) });
        // What jobs hold may take its time to go, so that it goes after the lock.
        drop(forgotten);
    }

    /// Notes that a function is called again.
    pub(super) fn called_again(&self, key: &BuildKey) {
        if self.shared.line().promote(key) {
            self.shared.has_work.notify_one();
        }
    }
}

impl Line {
    /// Adds a candidate, and returns those that had to make room.
    fn remember(&mut self, key: BuildKey, job: Job) -> Vec<Job> {
        self.number += 1;
        self.candidate_bytes += job.bytes;
        let before = self.candidates.insert(key, (self.number, job));
        let mut forgotten: Vec<Job> = before.map(|(_, job)| job).into_iter().collect();
        self.candidate_bytes -= forgotten.iter().map(|job| job.bytes).sum::<usize>();
        while self.candidates.len() > MOST_CANDIDATES || self.candidate_bytes > MOST_BYTES {
            let oldest = self.candidates.iter().min_by_key(|(_, (number, _))| *number).map(|(key, _)| *key);
            let Some((_, job)) = oldest.and_then(|oldest| self.candidates.remove(&oldest)) else { break };
            self.candidate_bytes -= job.bytes;
            forgotten.push(job);
        }
        forgotten
    }

    /// Gives a candidate a place among those that wait, if it is one and there is room.
    fn promote(&mut self, key: &BuildKey) -> bool {
        let Some((_, job)) = self.candidates.get(key) else { return false };
        if self.waiting.len() >= MOST_WAITING || self.waiting_bytes.saturating_add(job.bytes) > MOST_BYTES {
            return false;
        }
        let Some((_, job)) = self.candidates.remove(key) else { return false };
        self.candidate_bytes -= job.bytes;
        self.waiting_bytes += job.bytes;
        self.waiting.push_back(job);
        true
    }

    fn take(&mut self) -> Option<Job> {
        let job = self.waiting.pop_front()?;
        self.waiting_bytes -= job.bytes;
        Some(job)
    }
}

impl Shared {
    /// What the thread does until it is stopped.
    fn improve(&self) {
        let is_stopped = || self.is_stopped.load(Ordering::Relaxed);
        let mut line = self.line();
        while !is_stopped() {
            let Some(job) = line.take() else {
                line = self.has_work.wait(line).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(line);
            // A function that cannot be improved stays as it is, whatever the reason; the next one has its turn.
            let _ = catch_unwind(AssertUnwindSafe(|| (job.work)(&is_stopped)));
            line = self.line();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Improver {
    fn drop(&mut self) {
        {
            // Under the lock, so that the thread either sees it or is asleep and hears of it.
            let _line = self.shared.line();
            self.shared.is_stopped.store(true, Ordering::Relaxed);
        }
        self.shared.has_work.notify_one();
        if let Some(thread) = self.thread.take() {
            // The last owner may be a job of this very thread.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use greensand_guest_templates::TEMPLATES;

    use super::*;

    fn key(number: usize) -> BuildKey {
        BuildKey::new(TEMPLATES[0], &number.to_string(), "f")
    }

    fn job(bytes: usize) -> Job {
        Job { bytes, work: Box::new(|_| {}) }
    }

    #[test]
    fn functions_that_are_never_called_again_do_not_keep_others_from_being_improved() {
        let mut line = Line::default();
        for number in 0..2 * MOST_CANDIDATES {
            line.remember(key(number), job(1));
        }
        assert_eq!((line.candidates.len(), line.candidate_bytes), (MOST_CANDIDATES, MOST_CANDIDATES));
        assert!(!line.promote(&key(0)) && line.promote(&key(2 * MOST_CANDIDATES - 1)));
        // A large one makes room for itself, and the same function counts once.
        line.remember(key(0), job(MOST_BYTES - 1));
        line.remember(key(0), job(MOST_BYTES));
        assert_eq!((line.candidates.len(), line.candidate_bytes), (1, MOST_BYTES));
        assert!(!line.promote(&key(0)), "something else waits");
        line.take().unwrap();
        assert!(line.promote(&key(0)));
        assert_eq!((line.candidate_bytes, line.waiting_bytes), (0, MOST_BYTES));
    }

    #[test]
    fn who_finds_no_room_is_improved_when_called_later() {
        let mut line = Line::default();
        for number in 0..=MOST_WAITING {
            line.remember(key(number), job(1));
            assert_eq!(line.promote(&key(number)), number < MOST_WAITING);
        }
        line.take().unwrap();
        assert!(line.promote(&key(MOST_WAITING)) && !line.promote(&key(MOST_WAITING)));
    }

    #[test]
    fn a_panic_costs_nobody_else_their_turn() {
        let improver = Improver::start().unwrap();
        let (done, is_done) = mpsc::channel();
        improver.remember(key(1), 1, |_| panic!("boom"));
        improver.remember(key(2), 1, move |_| done.send(()).unwrap());
        improver.called_again(&key(1));
        improver.called_again(&key(2));
        is_done.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
