//! Building again, thoroughly, what is called again: one function at a time, after everything else.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::BuildKey;

/// How many functions may wait for their turn; who finds no room stays as it is until it is called again later.
const MOST_WAITING: usize = 64;

/// How many functions are remembered until they are called again.
const MOST_CANDIDATES: usize = 256;

type Job = Box<dyn FnOnce(&dyn Fn() -> bool) + Send>;

/// The thread that improves functions, and those that it may improve. Dropping it stops what it does.
pub(super) struct Improver {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    is_stopped: Arc<AtomicBool>,
    candidates: Mutex<HashMap<BuildKey, Job>>,
}

impl Improver {
    pub(super) fn start() -> io::Result<Self> {
        let (queue, jobs) = sync_channel::<Job>(MOST_WAITING);
        let is_stopped = Arc::new(AtomicBool::new(false));
        let stopped = is_stopped.clone();
        let thread = thread::Builder::new().name("gs-improve".into()).spawn(move || {
            for job in jobs {
                if !stopped.load(Ordering::Relaxed) {
                    job(&|| stopped.load(Ordering::Relaxed));
                }
            }
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), is_stopped, candidates: Mutex::default() })
    }

    /// Remembers how a function is improved, should it be called again.
    pub(super) fn remember(&self, key: BuildKey, job: impl FnOnce(&dyn Fn() -> bool) + Send + 'static) {
        let mut candidates = self.candidates.lock().unwrap_or_else(PoisonError::into_inner);
        if candidates.len() < MOST_CANDIDATES {
            candidates.insert(key, Box::new(job));
        }
    }

    /// Notes that a function is called again.
    pub(super) fn called_again(&self, key: &BuildKey) {
        let job = self.candidates.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        if let (Some(job), Some(queue)) = (job, &self.queue) {
            // Where there is no room, it stays as it is.
            let _ = queue.try_send(job);
        }
    }
}

impl Drop for Improver {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // The last owner may be a job of this very thread.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
