//! The workers: one thread per slot, a bounded queue, and an asynchronous door.
//!
//! Calls are bound by the processor, so they run on threads of their own with stacks large enough for deep guests;
//! whoever asks only waits. The answer comes back through a channel that works under any executor. A future that is
//! dropped abandons its work: queued work never starts, running work sees the flag of its [`Cancellation`].

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::{io, mem};

use async_channel::{Receiver, Sender};
use futures::channel::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// Threads that take work from one bounded queue. Dropping it ends and joins them.
pub(crate) struct WorkerPool {
    queue: Sender<Work>,
    threads: Vec<JoinHandle<()>>,
}

/// Says whether anybody still waits for the work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Says whether the work was abandoned.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Work that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WorkError {
    /// It panicked; its worker lives on.
    #[error("a worker panicked: {0}")]
    Panicked(String),
    /// The workers are gone.
    #[error("the sandbox is closed")]
    Closed,
}

impl WorkerPool {
    /// Starts the threads.
    pub(crate) fn start(workers: usize, queue_len: usize, stack_size: usize) -> io::Result<Self> {
        let (queue, work) = async_channel::bounded(queue_len.max(1));
        let mut pool = Self { queue, threads: Vec::new() };
        for index in 0..workers.max(1) {
            let work = work.clone();
            let thread = thread::Builder::new()
                .name(format!("gs-worker-{index}"))
                .stack_size(stack_size)
                .spawn(move || take_work(&work))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Runs work on a worker. Dropping the future abandons it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cancellation) -> T + Send + 'static,
    ) -> Result<T, WorkError> {
        let cancellation = Cancellation::default();
        let _abandon = OnDrop(cancellation.clone());
        let (answer, answered) = oneshot::channel();
        let work = move || {
            if cancellation.is_requested() {
                return;
            }
            // What the work touches is its own or survives a panic: instances are thrown away, locks recover.
            let result = catch_unwind(AssertUnwindSafe(|| work(&cancellation)));
            // Nobody waits any more: then nobody misses it.
            let _ = answer.send(result);
        };
        self.queue.send(Box::new(work)).await.map_err(|_| WorkError::Closed)?;
        match answered.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => Err(WorkError::Panicked(panic_message(panic.as_ref()))),
            Err(oneshot::Canceled) => Err(WorkError::Closed),
        }
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.queue.close();
        for thread in mem::take(&mut self.threads) {
            // Work that panics is caught, so a worker that did is a bug that its own message has already told.
            let _ = thread.join();
        }
    }
}

fn take_work(queue: &Receiver<Work>) {
    while let Ok(work) = queue.recv_blocking() {
        work();
    }
}

/// Requests the cancellation when it is dropped; after an answer that is without effect.
struct OnDrop(Cancellation);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.request();
    }
}

/// Returns what a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt;
    use futures::executor::block_on;

    use super::*;

    fn pool(workers: usize, queue_len: usize) -> WorkerPool {
        WorkerPool::start(workers, queue_len, 1 << 20).unwrap()
    }

    #[test]
    fn a_panic_is_an_answer_and_the_worker_lives_on() {
        let pool = pool(1, 1);
        let answer: Result<(), _> = block_on(pool.run(|_| panic!("boom")));
        assert_eq!(answer, Err(WorkError::Panicked("boom".into())));
        assert_eq!(block_on(pool.run(|_| 7)), Ok(7));
    }

    #[test]
    fn a_dropped_future_reaches_running_work() {
        let pool = pool(1, 1);
        let (started, has_started) = mpsc::channel();
        let (stopped, has_stopped) = mpsc::channel();
        let mut future = Box::pin(pool.run(move |cancellation| {
            started.send(()).unwrap();
            while !cancellation.is_requested() {
                thread::yield_now();
            }
            stopped.send(()).unwrap();
        }));
        assert!(future.as_mut().now_or_never().is_none());
        has_started.recv().unwrap();
        drop(future);
        has_stopped.recv().unwrap();
    }

    #[test]
    fn abandoned_work_never_starts() {
        let pool = pool(1, 4);
        let (release, is_released) = mpsc::channel::<()>();
        let mut first = Box::pin(pool.run(move |_| is_released.recv().unwrap()));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(pool.run(|_| panic!("abandoned work ran")));
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        release.send(()).unwrap();
        block_on(first).unwrap();
        assert_eq!(block_on(pool.run(|_| 1)), Ok(1));
    }

    #[test]
    fn a_full_queue_waits_at_the_door() {
        let pool = pool(2, 1);
        let answers = futures::future::join_all((0..100).map(|index| pool.run(move |_| index)));
        assert_eq!(block_on(answers), (0..100).map(Ok).collect::<Vec<_>>());
    }
}
