//! The count of what was spent, held against the caps before anything more is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use greensand_llm::{ChatRequest, EmbeddingRequest, Role};
use greensand_types::TokenUsage;
use tokio::sync::Notify;

use super::request_size::{estimate_at_most, estimate_of_texts};
use super::{BudgetSpent, Caps, Prices, RoleSpend, Spender, Spent, Uncapped};
use crate::store::RunWriter;

/// What was spent on all models, and is being spent.
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
    /// By epoch and by the word of who spends.
    spent: BTreeMap<(u32, &'static str), RoleSpend>,
    /// The sum of it, in the order of [`Spender::ALL`].
    totals: [RoleSpend; 3],
    in_flight: InFlight,
    /// The longest reply, in tokens, in the same order.
    longest: [u64; 3],
    /// Conversations of the assistant that had their first reply.
    conversations: u64,
    refusal: Option<BudgetSpent>,
}

#[derive(Debug, Default)]
struct InFlight {
    requests: u64,
    usage: [TokenUsage; 3],
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

    /// Makes sure that roles may spend at all, and embeddings, which every measurement may take where they are asked.
    ///
    /// # Errors
    /// When one costs money and nothing bounds how much.
    pub fn allow(&self, roles: &[Role]) -> Result<(), Uncapped> {
        let spenders = roles.iter().map(|role| Spender::from(*role)).chain([Spender::Embeddings]);
        spenders.into_iter().try_for_each(|spender| self.caps.allow(spender, &self.prices))
    }

    /// Reserves what a request may use, and waits where only what is in flight stands in the way.
    ///
    /// # Errors
    /// When a cap would be passed. The request must not be sent then.
    pub async fn reserve(&self, request: &ChatRequest) -> Result<Reservation<'_>, Refusal> {
        let occasion = Occasion { spender: request.role.into(), epoch: request.epoch, turn: request.turn };
        self.reserve_for(occasion, |longest_reply| estimate_at_most(request, longest_reply)).await
    }

    /// Reserves what a request for vectors may use, in the same way.
    ///
    /// # Errors
    /// When a cap would be passed. The request must not be sent then.
    pub async fn reserve_embeddings(&self, request: &EmbeddingRequest) -> Result<Reservation<'_>, Refusal> {
        let occasion = Occasion { spender: Spender::Embeddings, epoch: request.epoch, turn: 0 };
        self.reserve_for(occasion, |_| estimate_of_texts(request)).await
    }

    async fn reserve_for(
        &self,
        occasion: Occasion,
        estimate: impl Fn(u64) -> TokenUsage,
    ) -> Result<Reservation<'_>, Refusal> {
        self.caps.allow(occasion.spender, &self.prices)?;
        loop {
            // Made before the look at the state: what is settled after it wakes us.
            let settled = self.settled.notified();
            if let Some(reservation) = self.try_reserve(occasion, &estimate)? {
                return Ok(reservation);
            }
            settled.await;
        }
    }

    /// Reserves an estimate, which may rest on the longest reply so far.
    fn try_reserve(
        &self,
        occasion: Occasion,
        estimate: impl Fn(u64) -> TokenUsage,
    ) -> Result<Option<Reservation<'_>>, BudgetSpent> {
        let mut state = self.state();
        if let Some(refusal) = state.refusal {
            return Err(refusal);
        }
        let place = index(occasion.spender);
        let estimate = estimate(state.longest[place]);
        let needed = self.worth(occasion.spender, estimate);
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
        state.in_flight.usage[place] += estimate;
        drop(state);
        Ok(Some(Reservation { ledger: self, occasion, estimate, is_open: true }))
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
        let RoleSpend { calls, usage, .. } = state.totals[index(Spender::Assistant)];
        let usage = TokenUsage {
            requests: scaled(usage.requests),
            prompt_tokens: scaled(usage.prompt_tokens),
            cached_tokens: scaled(usage.cached_tokens),
            completion_tokens: scaled(usage.completion_tokens),
            reasoning_tokens: scaled(usage.reasoning_tokens),
        };
        Spent { calls: scaled(calls), ..self.worth(Spender::Assistant, usage) }
    }

    /// Takes over a reply that was paid for earlier, from what a run has kept.
    pub fn restore(&self, spender: impl Into<Spender>, epoch: u32, turn: u32, usage: TokenUsage) {
        self.state().answered(Occasion { spender: spender.into(), epoch, turn }, usage);
    }

    /// Takes over a request that was cut off in flight earlier, at its estimate.
    pub fn restore_cut_off(&self, spender: impl Into<Spender>, epoch: u32, estimate: TokenUsage) {
        self.state().add(spender.into(), epoch, |spend| spend.add_cut_off(estimate));
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

    /// Returns what was spent on a model.
    pub fn spent_on(&self, spender: impl Into<Spender>) -> RoleSpend {
        self.state().totals[index(spender.into())]
    }

    /// Returns why nothing more is sent, once that is so.
    pub fn refusal(&self) -> Option<BudgetSpent> {
        self.state().refusal
    }

    fn worth(&self, spender: Spender, usage: TokenUsage) -> Spent {
        Spent { calls: 1, tokens: usage.total_tokens(), money: self.prices.of(spender).cost(&usage) }
    }

    fn sum(&self, spent: &[RoleSpend; 3]) -> Spent {
        let parts = Spender::ALL.map(|spender| spent[index(spender)].at(self.prices.of(spender)));
        parts.into_iter().fold(Spent::NOTHING, Spent::plus)
    }

    fn in_flight(&self, state: &State) -> Spent {
        let parts = Spender::ALL.map(|spender| {
            let usage = state.in_flight.usage[index(spender)];
            Spent { calls: usage.requests, ..self.worth(spender, usage) }
        });
        parts.into_iter().fold(Spent::NOTHING, Spent::plus)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Sums that a panic elsewhere left are whole: they are changed in one go.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answered(&mut self, occasion: Occasion, usage: TokenUsage) {
        let Occasion { spender, epoch, turn } = occasion;
        let longest = &mut self.longest[index(spender)];
        *longest = usage.completion_tokens.max(*longest);
        self.conversations += u64::from(spender == Spender::Assistant && turn == 0);
        self.add(spender, epoch, |spend| spend.add_answered(usage));
    }

    fn add(&mut self, spender: Spender, epoch: u32, add: impl Fn(&mut RoleSpend)) {
        add(self.spent.entry((epoch, spender.as_str())).or_default());
        add(&mut self.totals[index(spender)]);
    }
}

fn index(spender: Spender) -> usize {
    match spender {
        Spender::Assistant => 0,
        Spender::Optimizer => 1,
        Spender::Embeddings => 2,
    }
}

/// For whom and when a request is.
#[derive(Debug, Clone, Copy)]
struct Occasion {
    spender: Spender,
    epoch: u32,
    turn: u32,
}

/// A request that may be sent. Dropped without a word it was cut off in flight, and counts at its estimate: it may have been billed.
#[derive(Debug)]
#[must_use]
pub struct Reservation<'a> {
    ledger: &'a Ledger,
    occasion: Occasion,
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
        self.close(|state, Self { occasion, .. }| state.answered(*occasion, usage));
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
        let reserved = &mut usage[index(self.occasion.spender)];
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
        let Occasion { spender, epoch, .. } = self.occasion;
        self.close(|state, _| state.add(spender, epoch, |spend| spend.add_cut_off(estimate)));
    }
}
