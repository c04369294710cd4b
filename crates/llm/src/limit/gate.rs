use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use greensand_types::ContentId;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::breaker::{Breaker, Broken};
use super::concurrency::{Admission, Concurrency, LimitChange, Observed, Ticket};
use crate::ModelError;

/// What is known of the load of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcurrencyReport {
    /// Which endpoint and key, as a number of this process: backends that share a limit have the same.
    pub gate: u64,
    /// What messages call the endpoint: scheme, host and port.
    pub endpoint: String,
    /// How many requests may be under way.
    pub limit: u32,
    /// How many are.
    pub under_way: u32,
    /// How many wait for one of them to end.
    pub waiting: usize,
    /// How the limit came to be what it is; the latest changes.
    pub changes: Vec<LimitChange>,
}

/// Why a request was turned away at the gate.
#[derive(Debug)]
pub(crate) enum Turned {
    /// Every request would end in this error.
    Broken(Broken),
    /// The endpoint holds everybody back for longer than the request has time.
    Held(Duration),
}

/// The one way to an endpoint, for everybody with the same key.
///
/// Invariant: only the first in the queue may take a place, and whoever takes one or leaves tells the next.
#[derive(Debug)]
pub(crate) struct Gate {
    number: u64,
    endpoint: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    concurrency: Concurrency,
    breaker: Breaker,
    /// Numbers rise, so that one is found by halving.
    queue: VecDeque<(u64, Arc<Notify>)>,
    next_number: u64,
}

/// The gates of endpoints that are open somewhere in this process.
static GATES: LazyLock<Mutex<HashMap<ContentId, Weak<Gate>>>> = LazyLock::new(Mutex::default);

/// How many gates there have been.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

impl Gate {
    /// Returns the gate of an endpoint and a key; the smallest `most` of all who share it counts.
    pub(crate) fn of(endpoint: &str, key: Option<&str>, most: u32) -> Arc<Self> {
        // The key is an account, and limits are those of an account. It is not kept, only what it hashes to.
        let mut id = ContentId::of("gate of an endpoint");
        id.field(endpoint.as_bytes()).field(key.unwrap_or_default().as_bytes());
        let mut gates = lock(&GATES);
        gates.retain(|_, gate| gate.strong_count() > 0);
        let entry = gates.entry(id.finish()).or_default();
        if let Some(gate) = entry.upgrade() {
            lock(&gate.state).concurrency.bound(most, Instant::now());
            return gate;
        }
        let gate = Arc::new(Self::new(endpoint, most));
        *entry = Arc::downgrade(&gate);
        gate
    }

    fn new(endpoint: &str, most: u32) -> Self {
        let concurrency = Concurrency::new(most, Instant::now());
        let (breaker, queue) = (Breaker::default(), VecDeque::new());
        let state = Mutex::new(State { concurrency, breaker, queue, next_number: 0 });
        Self { number: NUMBERS.fetch_add(1, Ordering::Relaxed), endpoint: endpoint.to_owned(), state }
    }

    /// Waits for a place, first come, first served. Dropping the future leaves the queue.
    ///
    /// `patience` is the longest time that the endpoint may hold the request back; waits for others are not in it.
    pub(crate) async fn enter(self: &Arc<Self>, model: &str, patience: Duration) -> Result<Slot, Turned> {
        let waiting = Waiting::begin(self);
        loop {
            match self.try_enter(&waiting, model, patience)? {
                Entered::Slot(slot) => return Ok(slot),
                Entered::NotYet(None) => waiting.notify.notified().await,
                Entered::NotYet(Some(time)) => {
                    // Either way the next look says what is to be done.
                    let _ = timeout_at(time, waiting.notify.notified()).await;
                }
            }
        }
    }

    /// Takes an error that ended a request; those that concern every request turn away who waits and who comes.
    pub(crate) fn take_error(&self, model: &str, error: &ModelError) {
        let mut state = lock(&self.state);
        if state.breaker.take(model, error) {
            state.tell_all();
        }
    }

    pub(crate) fn report(&self) -> ConcurrencyReport {
        let state = lock(&self.state);
        ConcurrencyReport {
            gate: self.number,
            endpoint: self.endpoint.clone(),
            limit: state.concurrency.limit(),
            under_way: state.concurrency.under_way(),
            waiting: state.queue.len(),
            changes: state.concurrency.changes(),
        }
    }

    fn try_enter(self: &Arc<Self>, waiting: &Waiting<'_>, model: &str, patience: Duration) -> Result<Entered, Turned> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        if let Some(broken) = state.breaker.broken(model) {
            return Err(Turned::Broken(broken.clone()));
        }
        let is_first = state.queue.front().is_some_and(|(number, _)| *number == waiting.number);
        if !is_first {
            return match state.concurrency.held(now) {
                Some(until) if until - now > patience => Err(Turned::Held(until - now)),
                Some(_) | None => Ok(Entered::NotYet(None)),
            };
        }
        match state.concurrency.admit(now) {
            Admission::Now(ticket) => Ok(Entered::Slot(Slot { gate: Arc::clone(self), ticket: Some(ticket) })),
            Admission::Full => Ok(Entered::NotYet(None)),
            Admission::Held(until) if until - now > patience => Err(Turned::Held(until - now)),
            Admission::Held(until) => Ok(Entered::NotYet(Some(until))),
        }
    }
}

impl State {
    fn tell_first(&self) {
        if let Some((_, notify)) = self.queue.front() {
            notify.notify_one();
        }
    }

    fn tell_all(&self) {
        for (_, notify) in &self.queue {
            notify.notify_one();
        }
    }
}

enum Entered {
    Slot(Slot),
    NotYet(Option<Instant>),
}

/// A place in the queue; dropping it leaves the queue.
struct Waiting<'a> {
    gate: &'a Gate,
    number: u64,
    notify: Arc<Notify>,
}

impl<'a> Waiting<'a> {
    fn begin(gate: &'a Gate) -> Self {
        let notify = Arc::new(Notify::new());
        let mut state = lock(&gate.state);
        let number = state.next_number;
        state.next_number += 1;
        state.queue.push_back((number, Arc::clone(&notify)));
        Self { gate, number, notify }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.gate.state);
        if let Ok(place) = state.queue.binary_search_by_key(&self.number, |(number, _)| *number) {
            state.queue.remove(place);
        }
        // There may be more than one place, or word of one may have come to whoever leaves.
        state.tell_first();
    }
}

/// A request that may be under way. Dropping it says nothing of the endpoint.
#[derive(Debug)]
pub(crate) struct Slot {
    gate: Arc<Gate>,
    ticket: Option<Ticket>,
}

impl Slot {
    /// Gives the place back with what the request said of the endpoint.
    pub(crate) fn ended(mut self, observed: Observed, asked_for: Option<Duration>) {
        self.give_back(observed, asked_for);
    }

    fn give_back(&mut self, observed: Observed, asked_for: Option<Duration>) {
        let Some(ticket) = self.ticket.take() else { return };
        let now = Instant::now();
        let mut state = lock(&self.gate.state);
        state.concurrency.ended(ticket, observed, now);
        match asked_for {
            Some(wait) => {
                state.concurrency.hold(wait, now);
                state.tell_all();
            }
            None => state.tell_first(),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.give_back(Observed::Nothing, None);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use tokio::task::JoinSet;

    use super::*;
    use crate::ModelErrorKind;

    const LONG: Duration = Duration::from_secs(600);

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn one_endpoint_and_key_has_one_gate_and_the_smallest_bound() {
        run(async {
            let one = Gate::of("http://gate.test:1", None, 64);
            let same = Gate::of("http://gate.test:1", None, 4);
            assert!(Arc::ptr_eq(&one, &same));
            assert_eq!(one.report().limit, 4);
            assert!(!Arc::ptr_eq(&one, &Gate::of("http://gate.test:1", Some("sk-1"), 64)));
            assert!(!Arc::ptr_eq(&one, &Gate::of("http://gate.test:2", None, 64)));
            drop((one, same));
            assert_eq!(Gate::of("http://gate.test:1", None, 64).report().limit, 32, "nobody remembers a closed one");
        });
    }

    #[test]
    fn requests_enter_in_the_order_in_which_they_came() {
        run(async {
            let gate = Arc::new(Gate::new("http://gate.test", 1));
            let first = gate.enter("m", LONG).await.unwrap();
            let order = Arc::new(Mutex::new(Vec::new()));
            let mut tasks = JoinSet::new();
            for number in 0..50 {
                let (gate, order) = (Arc::clone(&gate), Arc::clone(&order));
                tasks.spawn(async move {
                    let slot = gate.enter("m", LONG).await.unwrap();
                    order.lock().unwrap().push(number);
                    tokio::task::yield_now().await;
                    drop(slot);
                });
                settle().await;
            }
            drop(first);
            while tasks.join_next().await.is_some() {}
            assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
        });
    }

    #[test]
    fn who_leaves_the_queue_or_a_place_loses_nothing_for_others() {
        run(async {
            let gate = Arc::new(Gate::new("http://gate.test", 2));
            let done = Arc::new(AtomicU32::new(0));
            let mut tasks = JoinSet::new();
            for number in 0..300_u64 {
                let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
                tasks.spawn(async move {
                    let work = async {
                        let _slot = gate.enter("m", LONG).await.unwrap();
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        done.fetch_add(1, Ordering::SeqCst);
                    };
                    // Every third is given up, while it waits or while it is under way.
                    let patience = if number % 3 == 0 { Duration::from_micros(300 * number) } else { LONG };
                    let _ = tokio::time::timeout(patience, work).await;
                });
            }
            while tasks.join_next().await.is_some() {}
            assert!(done.load(Ordering::SeqCst) >= 200);
            let report = gate.report();
            assert_eq!((report.under_way, report.waiting), (0, 0));
        });
    }

    #[test]
    fn a_hold_delays_everybody_and_turns_away_who_has_no_time_for_it() {
        run(async {
            let gate = Arc::new(Gate::new("http://gate.test", 8));
            let slot = gate.enter("m", LONG).await.unwrap();
            let (begun, hold) = (Instant::now(), Duration::from_millis(300));
            slot.ended(Observed::RateLimited, Some(hold));
            let Err(Turned::Held(_)) = gate.enter("m", Duration::from_millis(20)).await else { panic!("held") };
            let mut tasks = JoinSet::new();
            for _ in 0..20 {
                let gate = Arc::clone(&gate);
                tasks.spawn(async move { drop(gate.enter("m", LONG).await.unwrap()) });
            }
            while tasks.join_next().await.is_some() {}
            assert!(begun.elapsed() >= hold, "{:?}", begun.elapsed());
        });
    }

    #[test]
    fn a_broken_gate_turns_away_who_waits_and_who_comes() {
        run(async {
            let gate = Arc::new(Gate::new("http://gate.test", 1));
            let slot = gate.enter("m", LONG).await.unwrap();
            let mut tasks = JoinSet::new();
            for _ in 0..20 {
                let gate = Arc::clone(&gate);
                tasks.spawn(async move { gate.enter("m", LONG).await.err() });
            }
            settle().await;
            gate.take_error("m", &ModelError::new(ModelErrorKind::QuotaSpent, "spent"));
            slot.ended(Observed::Nothing, None);
            while let Some(turned) = tasks.join_next().await {
                assert!(matches!(turned.unwrap(), Some(Turned::Broken(_))));
            }
            assert!(matches!(gate.enter("other", LONG).await, Err(Turned::Broken(_))));
        });
    }

    /// It takes 0.3 us; the bound is that of a whole model call.
    #[test]
    fn to_pass_the_gate_costs_next_to_nothing() {
        run(async {
            let gate = Arc::new(Gate::new("http://gate.test", 64));
            let begun = Instant::now();
            for _ in 0..10_000 {
                gate.enter("m", LONG).await.unwrap().ended(Observed::Answered, None);
            }
            let one = begun.elapsed() / 10_000;
            println!("one passage: {one:?}");
            assert!(one < Duration::from_micros(50), "{one:?}");
        });
    }
}
