use std::any::Any;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use futures::channel::oneshot;
use greensand_types::Tenant;

use super::Cancellation;
use super::queue::{FairQueue, QueueBounds};
use super::sleeper::{Sleeper, spin_until};

type Work = Box<dyn FnOnce() + Send>;

/// Threads that take work from one queue. Dropping it ends and joins them.
pub(crate) struct WorkerPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
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

/// What the workers and the door share.
struct Shared {
    state: Mutex<State>,
    /// Says, without the lock, whether there may be work: set by the door, cleared by whoever finds none.
    has_work: AtomicBool,
    next_id: AtomicU64,
}

struct State {
    queue: FairQueue<Work, oneshot::Sender<Place>>,
    /// Workers that sleep; the last to fall asleep is woken first, since its caches are the warmest.
    asleep: Vec<Arc<Sleeper>>,
    /// Workers that are awake and look for work.
    looking: usize,
    is_closed: bool,
}

impl WorkerPool {
    /// Starts the threads.
    pub(crate) fn start(workers: usize, bounds: QueueBounds, stack_size: usize) -> io::Result<Self> {
        let state = State { queue: FairQueue::new(bounds), asleep: Vec::new(), looking: 0, is_closed: false };
        let (has_work, next_id) = Default::default();
        let shared = Arc::new(Shared { state: Mutex::new(state), has_work, next_id });
        let mut pool = Self { shared, threads: Vec::new() };
        for index in 0..workers.max(1) {
            let shared = pool.shared.clone();
            let thread = thread::Builder::new()
                .name(format!("gs-worker-{index}"))
                .stack_size(stack_size)
                .spawn(move || take_work(&shared))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Runs work of a tenant on a worker. Dropping the future abandons it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        tenant: &Tenant,
        work: impl FnOnce(&Cancellation) -> T + Send + 'static,
    ) -> Result<T, WorkError> {
        let cancellation = Cancellation::default();
        let (answer, answered) = oneshot::channel();
        let work = {
            let cancellation = cancellation.clone();
            move || {
                // What the work touches is its own or survives a panic: instances are thrown away, locks recover.
                let result = catch_unwind(AssertUnwindSafe(|| work(&cancellation)));
                // Nobody waits any more: then nobody misses it.
                let _ = answer.send(result);
            }
        };
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut abandon = Abandon { shared: &self.shared, tenant, id, cancellation, is_due: true, is_at_door: false };
        if let Err(work) = self.shared.enter(tenant, id, Box::new(work)) {
            abandon.is_at_door = true;
            let place = self.shared.place(tenant).await?;
            abandon.is_at_door = false;
            place.enter(id, work);
        }
        let result = answered.await;
        abandon.is_due = false;
        match result {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => Err(WorkError::Panicked(panic_message(panic.as_ref()))),
            Err(oneshot::Canceled) => Err(WorkError::Closed),
        }
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        let asleep = {
            let mut state = self.shared.state();
            state.is_closed = true;
            mem::take(&mut state.asleep)
        };
        asleep.iter().for_each(|sleeper| sleeper.call());
        for thread in mem::take(&mut self.threads) {
            // Work that panics is caught, so a worker that did is a bug that its own message has already told.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Adds work to the queue, or gives it back when its tenant has no room there.
    fn enter(&self, tenant: &Tenant, id: u64, work: Work) -> Result<(), Work> {
        let mut state = self.state();
        state.queue.enter(tenant, id, work)?;
        self.call_worker(state);
        Ok(())
    }

    /// Has one more worker look, unless those that look already are enough.
    fn call_worker(&self, mut state: MutexGuard<'_, State>) {
        self.has_work.store(true, Ordering::Release);
        let is_needed = state.queue.has_turn() && state.queue.len() > state.looking;
        let sleeper = if is_needed { state.asleep.pop() } else { None };
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.call();
        }
    }

    /// Waits at the door of a tenant until there is room.
    async fn place(self: &Arc<Self>, tenant: &Tenant) -> Result<Place, WorkError> {
        let (promise, promised) = oneshot::channel();
        self.state().queue.wait(tenant, promise);
        // There may have been room again since it was looked for.
        self.keep_promises();
        promised.await.map_err(|_| WorkError::Closed)
    }

    /// Gives free places to those who wait for one.
    fn keep_promises(self: &Arc<Self>) {
        loop {
            let promised = self.state().queue.promise();
            let Some((tenant, waiter)) = promised else { break };
            // Whoever has left gives the place back as it is dropped; whoever is told takes it later. Both lock the queue.
            let _ = waiter.send(Place { shared: self.clone(), tenant, is_open: true });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue that is kept for somebody. Dropping it gives it to the next.
struct Place {
    shared: Arc<Shared>,
    tenant: Tenant,
    is_open: bool,
}

impl Place {
    fn enter(mut self, id: u64, work: Work) {
        self.is_open = false;
        let mut state = self.shared.state();
        state.queue.enter_promised(&self.tenant, id, work);
        self.shared.call_worker(state);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_open {
            // Whoever keeps the promises of a queue goes on with the next after this one.
            self.shared.state().queue.release(&self.tenant);
        }
    }
}

/// Abandons work when it is dropped before the answer.
struct Abandon<'a> {
    shared: &'a Arc<Shared>,
    tenant: &'a Tenant,
    id: u64,
    cancellation: Cancellation,
    is_due: bool,
    is_at_door: bool,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        if !self.is_due {
            return;
        }
        self.cancellation.request();
        // What the work holds may take its time to go, so that it goes after the lock.
        let work = {
            let mut state = self.shared.state();
            if self.is_at_door {
                // The promise was let go of before this.
                state.queue.leave(self.tenant, oneshot::Sender::is_canceled);
            }
            state.queue.remove(self.tenant, self.id)
        };
        self.shared.keep_promises();
        drop(work);
    }
}

/// What a worker does until the pool is closed and nothing is left.
fn take_work(shared: &Arc<Shared>) {
    let sleeper = Arc::new(Sleeper::of_this_thread());
    let mut state = shared.state();
    loop {
        if let Some((tenant, work)) = state.queue.take() {
            let is_awaited = state.queue.has_doors();
            drop(state);
            if is_awaited {
                shared.keep_promises();
            }
            work();
            state = shared.state();
            state.queue.finish(&tenant);
            continue;
        }
        if state.is_closed {
            break;
        }
        state = shared.look(state);
        if state.queue.has_turn() || state.is_closed {
            continue;
        }
        state.asleep.push(sleeper.clone());
        drop(state);
        sleeper.sleep();
        state = shared.state();
    }
}

impl Shared {
    /// Looks for work for a short while, if no other worker does.
    fn look<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.has_work.store(false, Ordering::Relaxed);
        if state.looking > 0 {
            return state;
        }
        state.looking += 1;
        drop(state);
        spin_until(|| self.has_work.load(Ordering::Acquire));
        let mut state = self.state();
        state.looking -= 1;
        state
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
        let bounds = QueueBounds { total: queue_len, per_tenant: queue_len, running_per_tenant: workers };
        WorkerPool::start(workers, bounds, 1 << 20).unwrap()
    }

    fn shared() -> &'static Tenant {
        static SHARED: std::sync::LazyLock<Tenant> = std::sync::LazyLock::new(Tenant::default);
        &SHARED
    }

    #[test]
    fn a_panic_is_an_answer_and_the_worker_lives_on() {
        let pool = pool(1, 1);
        let answer: Result<(), _> = block_on(pool.run(shared(), |_| panic!("boom")));
        assert_eq!(answer, Err(WorkError::Panicked("boom".into())));
        assert_eq!(block_on(pool.run(shared(), |_| 7)), Ok(7));
    }

    #[test]
    fn a_dropped_future_reaches_running_work() {
        let pool = pool(1, 1);
        let (started, has_started) = mpsc::channel();
        let (stopped, has_stopped) = mpsc::channel();
        let mut future = Box::pin(pool.run(shared(), move |cancellation| {
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
        let mut first = Box::pin(pool.run(shared(), move |_| is_released.recv().unwrap()));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(pool.run(shared(), |_| panic!("abandoned work ran")));
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        release.send(()).unwrap();
        block_on(first).unwrap();
        assert_eq!(block_on(pool.run(shared(), |_| 1)), Ok(1));
    }

    #[test]
    fn a_full_queue_waits_at_the_door() {
        let pool = pool(2, 1);
        let answers = futures::future::join_all((0..100).map(|index| pool.run(shared(), move |_| index)));
        assert_eq!(block_on(answers), (0..100).map(Ok).collect::<Vec<_>>());
    }

    #[test]
    fn a_tenant_whose_room_is_full_waits_alone() {
        let bounds = QueueBounds { total: 100, per_tenant: 1, running_per_tenant: 1 };
        let pool = WorkerPool::start(1, bounds, 1 << 20).unwrap();
        let [flooding, quiet]: [Tenant; 2] = ["flooding", "quiet"].map(|name| name.parse().unwrap());
        let (release, is_released) = mpsc::channel::<()>();
        let (ran, order) = mpsc::channel();
        let work = |name: &'static str| {
            let ran = ran.clone();
            move |_: &Cancellation| ran.send(name).unwrap()
        };
        let mut first = Box::pin(pool.run(&flooding, move |_| is_released.recv().unwrap()));
        assert!(first.as_mut().now_or_never().is_none());
        let mut flood: Vec<_> = (0..5).map(|_| Box::pin(pool.run(&flooding, work("flooding")))).collect();
        for future in &mut flood {
            assert!(future.as_mut().now_or_never().is_none());
        }
        let mut neighbour = Box::pin(pool.run(&quiet, work("quiet")));
        assert!(neighbour.as_mut().now_or_never().is_none());
        // One that waits at the door leaves, and so does one that waits in the queue.
        drop(flood.remove(2));
        drop(flood.remove(0));
        release.send(()).unwrap();
        block_on(async { (first.await.unwrap(), neighbour.await.unwrap()) });
        assert_eq!(block_on(futures::future::join_all(flood)), vec![Ok(()); 3]);
        assert_eq!(order.try_iter().collect::<Vec<_>>(), ["quiet", "flooding", "flooding", "flooding"]);
    }

    #[test]
    fn who_gives_up_at_the_door_is_not_remembered() {
        let pool = pool(1, 1);
        let (release, is_released) = mpsc::channel::<()>();
        let mut first = Box::pin(pool.run(shared(), move |_| is_released.recv().unwrap()));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(pool.run(shared(), |_| ()));
        while pool.shared.state().queue.len() > 0 {
            thread::yield_now();
        }
        assert!(second.as_mut().now_or_never().is_none());
        for _ in 0..100 {
            let mut impatient = Box::pin(pool.run(shared(), |_| ()));
            assert!(impatient.as_mut().now_or_never().is_none());
            assert!(pool.shared.state().queue.has_doors());
        }
        assert!(!pool.shared.state().queue.has_doors());
        release.send(()).unwrap();
        block_on(async { (first.await.unwrap(), second.await.unwrap()) });
    }

    #[test]
    fn nothing_is_lost_between_many_tenants_and_workers() {
        let bounds = QueueBounds { total: 4, per_tenant: 2, running_per_tenant: 2 };
        let pool = WorkerPool::start(3, bounds, 1 << 20).unwrap();
        let tenants: Vec<Tenant> = (0..5).map(|index| format!("t{index}").parse().unwrap()).collect();
        thread::scope(|scope| {
            for tenant in &tenants {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..200 {
                        let answers = futures::future::join_all((0..7).map(|index| pool.run(tenant, move |_| index)));
                        assert_eq!(block_on(answers), (0..7).map(Ok).collect::<Vec<_>>(), "round {round}");
                    }
                });
            }
        });
    }
}
