//! The count of what was spent, held against the caps before anything more is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use greensand_llm::{ChatRequest, Role};
use greensand_types::TokenUsage;
use tokio::sync::Notify;

use super::request_size::estimate_at_most;
use super::{BudgetSpent, Caps, Prices, RoleSpend, Spent, Uncapped};
use crate::store::RunWriter;

/// What was spent on both models, and is being spent.
///
/// A request is reserved before it is sent ([`reserve`](Ledger::reserve)) at an upper estimate of its tokens: the caps hold for what
/// was spent and what is in flight together. So the calls never go beyond their cap, and tokens and money only by what the estimates
/// miss. A request that does not fit beside what is in flight waits for it; one that does not fit alone is refused, and with it
/// everything after it.
#[derive(Debug)]
pub struct Ledger {
    caps: Caps,
    prices: Prices,
    state: Mutex<State>,
    /// Told whenever something in flight has come to its end.
    settled: Notify,
    /// The run that is to know what was sent, should nobody live to see the reply.
    run: Mutex<Weak<RunWriter>>,
}

#[derive(Debug, Default)]
struct State {
    /// By epoch and by the word of the role.
    spent: BTreeMap<(u32, &'static str), RoleSpend>,
    /// The sum of it by role, in the order of [`Role::ALL`].
    totals: [RoleSpend; 2],
    in_flight: InFlight,
    /// The longest reply by role, in tokens.
    longest: [u64; 2],
    /// Conversations of the assistant that had their first reply.
    conversations: u64,
    refusal: Option<BudgetSpent>,
}

#[derive(Debug, Default)]
struct InFlight {
    requests: u64,
    usage: [TokenUsage; 2],
}

/// Why a request is not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The budget does not cover it.
    #[error(transparent)]
    Spent(#[from] BudgetSpent),
    /// It would cost money, and nothing bounds how much.
    #[error(transparent)]
    Uncapped(#[from] Uncapped),
}

impl Ledger {
    /// Opens a ledger in which nothing is spent.
    pub fn new(caps: Caps, prices: Prices) -> Self {
        Self { caps, prices, state: Mutex::default(), settled: Notify::new(), run: Mutex::default() }
    }

    /// Returns the caps.
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// Returns what the models cost.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// Makes sure that roles may spend at all.
    ///
    /// # Errors
    /// When one costs money and nothing bounds how much.
    pub fn allow(&self, roles: &[Role]) -> Result<(), Uncapped> {
        roles.iter().try_for_each(|role| self.caps.allow(*role, &self.prices))
    }

    /// Reserves what a request may use, and waits where only what is in flight stands in the way.
    ///
    /// # Errors
    /// When a cap would be passed. The request must not be sent then.
    pub async fn reserve(&self, request: &ChatRequest) -> Result<Reservation<'_>, Refusal> {
        self.caps.allow(request.role, &self.prices)?;
        loop {
            // Made before the look at the state: what is settled after it wakes us.
            let settled = self.settled.notified();
            if let Some(reservation) = self.try_reserve(request)? {
                return Ok(reservation);
            }
            settled.await;
        }
    }

    fn try_reserve(&self, request: &ChatRequest) -> Result<Option<Reservation<'_>>, BudgetSpent> {
        let mut state = self.state();
        if let Some(refusal) = state.refusal {
            return Err(refusal);
        }
        let role = index(request.role);
        let estimate = estimate_at_most(request, state.longest[role]);
        let needed = self.worth(request.role, estimate);
        let spent = self.sum(&state.totals);
        if let Some(cap) = self.caps.exceeded_by(spent.plus(self.in_flight(&state)).plus(needed)) {
            if state.in_flight.requests > 0 {
                return Ok(None);
            }
            let refusal = BudgetSpent { cap, spent, needed, tasks: None };
            state.refusal = Some(refusal);
            return Err(refusal);
        }
        state.in_flight.requests += 1;
        state.in_flight.usage[role] += estimate;
        drop(state);
        let (role, epoch, turn) = (request.role, request.epoch, request.turn);
        Ok(Some(Reservation { ledger: self, role, epoch, turn, estimate, is_open: true }))
    }

    /// Makes sure that the budget covers work on tasks, by the mean cost of a task so far; before there is one, by a call for each.
    ///
    /// # Errors
    /// When it does not. Nothing is to be sent then.
    pub fn cover(&self, tasks: usize) -> Result<(), BudgetSpent> {
        let mut state = self.state();
        let spent = self.sum(&state.totals);
        let needed = self.needed(&state, tasks);
        let Some(cap) = self.caps.exceeded_by(spent.plus(needed)) else { return Ok(()) };
        let refusal = BudgetSpent { cap, spent, needed, tasks: Some(tasks) };
        state.refusal = Some(refusal);
        Err(refusal)
    }

    fn needed(&self, state: &State, tasks: usize) -> Spent {
        let tasks = u64::try_from(tasks).unwrap_or(u64::MAX);
        if state.conversations == 0 {
            return Spent { calls: tasks, ..Spent::NOTHING };
        }
        let scaled = |sum: u64| {
            let product = u128::from(sum) * u128::from(tasks) / u128::from(state.conversations);
            u64::try_from(product).unwrap_or(u64::MAX)
        };
        let RoleSpend { calls, usage, .. } = state.totals[index(Role::Assistant)];
        let usage = TokenUsage {
            requests: scaled(usage.requests),
            prompt_tokens: scaled(usage.prompt_tokens),
            cached_tokens: scaled(usage.cached_tokens),
            completion_tokens: scaled(usage.completion_tokens),
            reasoning_tokens: scaled(usage.reasoning_tokens),
        };
        Spent { calls: scaled(calls), ..self.worth(Role::Assistant, usage) }
    }

    /// Takes over a reply that was paid for earlier, from what a run has kept.
    pub fn restore(&self, role: Role, epoch: u32, turn: u32, usage: TokenUsage) {
        self.state().answered(role, epoch, turn, usage);
    }

    /// Takes over a request that was cut off in flight earlier, at its estimate.
    pub fn restore_cut_off(&self, role: Role, epoch: u32, estimate: TokenUsage) {
        self.state().add(role, epoch, |spend| spend.add_cut_off(estimate));
    }

    /// Notes in a run, from now on, what is about to be sent.
    pub(crate) fn note_in(&self, run: &Arc<RunWriter>) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(run);
    }

    /// Returns the run that is to know what was sent.
    pub(super) fn run(&self) -> Option<Arc<RunWriter>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// Returns what was spent, without what is in flight.
    pub fn spent(&self) -> Spent {
        self.sum(&self.state().totals)
    }

    /// Returns what was spent on a role.
    pub fn spent_on(&self, role: Role) -> RoleSpend {
        self.state().totals[index(role)]
    }

    /// Returns why nothing more is sent, once that is so.
    pub fn refusal(&self) -> Option<BudgetSpent> {
        self.state().refusal
    }

    fn worth(&self, role: Role, usage: TokenUsage) -> Spent {
        Spent { calls: 1, tokens: usage.total_tokens(), money: self.prices.of(role).cost(&usage) }
    }

    fn sum(&self, spent: &[RoleSpend; 2]) -> Spent {
        let parts = Role::ALL.map(|role| spent[index(role)].at(self.prices.of(role)));
        parts.into_iter().fold(Spent::NOTHING, Spent::plus)
    }

    fn in_flight(&self, state: &State) -> Spent {
        let parts = Role::ALL.map(|role| {
            let usage = state.in_flight.usage[index(role)];
            Spent { calls: usage.requests, ..self.worth(role, usage) }
        });
        parts.into_iter().fold(Spent::NOTHING, Spent::plus)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Sums that a panic elsewhere left are whole: they are changed in one go.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answered(&mut self, role: Role, epoch: u32, turn: u32, usage: TokenUsage) {
        let longest = &mut self.longest[index(role)];
        *longest = usage.completion_tokens.max(*longest);
        self.conversations += u64::from(role == Role::Assistant && turn == 0);
        self.add(role, epoch, |spend| spend.add_answered(usage));
    }

    fn add(&mut self, role: Role, epoch: u32, add: impl Fn(&mut RoleSpend)) {
        add(self.spent.entry((epoch, role.as_str())).or_default());
        add(&mut self.totals[index(role)]);
    }
}

fn index(role: Role) -> usize {
    match role {
        Role::Assistant => 0,
        Role::Optimizer => 1,
    }
}

/// A request that may be sent. Dropped without a word it was cut off in flight, and counts at its estimate: it may have been billed.
#[derive(Debug)]
#[must_use]
pub struct Reservation<'a> {
    ledger: &'a Ledger,
    role: Role,
    epoch: u32,
    turn: u32,
    estimate: TokenUsage,
    is_open: bool,
}

impl Reservation<'_> {
    /// Returns what the request is taken to use at most.
    pub(super) fn estimate(&self) -> TokenUsage {
        self.estimate
    }

    /// Counts what the reply used.
    pub fn settle(mut self, usage: TokenUsage) {
        self.close(|state, Self { role, epoch, turn, .. }| state.answered(*role, *epoch, *turn, usage));
    }

    /// Counts nothing: the request was not sent, or was refused.
    pub fn give_back(mut self) {
        self.close(|_, _| {});
    }

    fn close(&mut self, count: impl FnOnce(&mut State, &Self)) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let mut state = self.ledger.state();
        let InFlight { requests, usage } = &mut state.in_flight;
        *requests = requests.saturating_sub(1);
        let reserved = &mut usage[index(self.role)];
        reserved.requests = reserved.requests.saturating_sub(self.estimate.requests);
        reserved.prompt_tokens = reserved.prompt_tokens.saturating_sub(self.estimate.prompt_tokens);
        reserved.completion_tokens = reserved.completion_tokens.saturating_sub(self.estimate.completion_tokens);
        count(&mut state, self);
        drop(state);
        self.ledger.settled.notify_waiters();
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let estimate = self.estimate;
        self.close(|state, Self { role, epoch, .. }| state.add(*role, *epoch, |spend| spend.add_cut_off(estimate)));
    }
}
