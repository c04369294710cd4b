//! The adaptive limit of requests under way, as a state machine without clock and without I/O.
//!
//! It starts at [`FIRST_LIMIT`]. A reply that came while the limit was the bound lets it grow: by one per reply until the
//! first 429, then by one per round of as many replies as the limit is. A 429 cuts it to seven tenths, once for all
//! requests that were sent under the same limit: a burst of refusals is one piece of news. A 5xx or a broken connection
//! only pauses the growth: the server is in trouble, but nobody said that we are its cause. `Retry-After` holds all
//! requests back until its time has come.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The limit before anything is known of an endpoint.
pub(super) const FIRST_LIMIT: u32 = 32;

/// How long the limit does not grow after a fault of the server.
const PAUSE: Duration = Duration::from_secs(5);

/// The longest time that requests are held back, whatever the endpoint asks for.
const LONGEST_HOLD: Duration = Duration::from_secs(24 * 60 * 60);

/// So many changes of the limit are remembered, the latest ones.
const KEPT_CHANGES: usize = 256;

/// What one request said of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observed {
    /// It was answered with a reply.
    Answered,
    /// It was refused because there were too many.
    RateLimited,
    /// The server or the connection had a fault.
    Faltered,
    /// It ended in a way that says nothing of the load, or was given up by us.
    Nothing,
}

/// Why the limit is what it is since then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitCause {
    /// Nothing was known yet.
    Opened,
    /// Replies came while the limit was the bound.
    Grown,
    /// The endpoint refused a request because there were too many.
    RateLimited,
    /// The settings of a backend that joined allow no more.
    Bounded,
}

impl LimitCause {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Grown => "grown",
            Self::RateLimited => "rate_limited",
            Self::Bounded => "bounded",
        }
    }
}

/// One change of the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitChange {
    /// Which one, from 0; a row of growth is one change, whose limit goes on growing.
    pub number: u64,
    /// When, since the endpoint was first opened.
    pub at: Duration,
    /// The limit since then.
    pub limit: u32,
    /// Why.
    pub cause: LimitCause,
}

/// A request that may be sent; given back with what it said of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// How often the limit had been cut when the request was sent.
    cuts: u64,
}

/// What a request that wants to be sent is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It may be sent now.
    Now(Ticket),
    /// Not before another one ends.
    Full,
    /// Not before this time.
    Held(Instant),
}

/// How many requests are under way and how many may be.
#[derive(Debug)]
pub(super) struct Concurrency {
    limit: u32,
    most: u32,
    under_way: u32,
    cuts: u64,
    /// Replies at the bound since the last change.
    credit: u32,
    paused_until: Option<Instant>,
    held_until: Option<Instant>,
    opened: Instant,
    changes: VecDeque<LimitChange>,
}

impl Concurrency {
    /// A limit of at most `most`.
    pub(super) fn new(most: u32, now: Instant) -> Self {
        let most = most.max(1);
        let mut concurrency = Self {
            limit: 0,
            most,
            under_way: 0,
            cuts: 0,
            credit: 0,
            paused_until: None,
            held_until: None,
            opened: now,
            changes: VecDeque::new(),
        };
        concurrency.set(FIRST_LIMIT.min(most), LimitCause::Opened, now);
        concurrency
    }

    /// Lowers the most that the limit may be: the smallest bound of all who share it counts.
    pub(super) fn bound(&mut self, most: u32, now: Instant) {
        self.most = self.most.min(most.max(1));
        if self.limit > self.most {
            self.set(self.most, LimitCause::Bounded, now);
        }
    }

    /// Says whether one more request may be sent.
    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        if let Some(until) = self.held(now) {
            return Admission::Held(until);
        }
        if self.under_way >= self.limit {
            return Admission::Full;
        }
        self.under_way += 1;
        Admission::Now(Ticket { cuts: self.cuts })
    }

    /// Takes a request back that has ended.
    pub(super) fn ended(&mut self, ticket: Ticket, observed: Observed, now: Instant) {
        let was_bound = self.under_way >= self.limit;
        self.under_way = self.under_way.saturating_sub(1);
        match observed {
            Observed::Answered if was_bound => self.grow(now),
            Observed::RateLimited if ticket.cuts == self.cuts => {
                self.cuts += 1;
                self.set((self.limit * 7 / 10).max(1), LimitCause::RateLimited, now);
            }
            Observed::Faltered => self.paused_until = Some(now + PAUSE),
            Observed::Answered | Observed::RateLimited | Observed::Nothing => {}
        }
    }

    /// Holds every request back for as long as the endpoint asks.
    pub(super) fn hold(&mut self, wait: Duration, now: Instant) {
        let until = now + wait.min(LONGEST_HOLD);
        self.held_until = Some(self.held_until.map_or(until, |held| held.max(until)));
    }

    /// Returns until when requests are held back, if they are.
    pub(super) fn held(&self, now: Instant) -> Option<Instant> {
        self.held_until.filter(|until| now < *until)
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn under_way(&self) -> u32 {
        self.under_way
    }

    pub(super) fn changes(&self) -> Vec<LimitChange> {
        self.changes.iter().copied().collect()
    }

    fn grow(&mut self, now: Instant) {
        if self.limit >= self.most || self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.credit += 1;
        let is_unknown = self.cuts == 0;
        if is_unknown || self.credit >= self.limit {
            self.set(self.limit + 1, LimitCause::Grown, now);
        }
    }

    fn set(&mut self, limit: u32, cause: LimitCause, now: Instant) {
        self.limit = limit;
        self.credit = 0;
        let number = self.changes.back().map_or(0, |last| last.number + 1);
        let change = LimitChange { number, at: now.saturating_duration_since(self.opened), limit, cause };
        // A row of growth is one change: where it ended is what matters.
        match self.changes.back_mut() {
            Some(last) if last.cause == LimitCause::Grown && cause == LimitCause::Grown => {
                *last = LimitChange { number: last.number, ..change };
            }
            Some(_) | None => self.changes.push_back(change),
        }
        if self.changes.len() > KEPT_CHANGES {
            self.changes.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Fills the limit and lets every request end alike; returns the limit after it.
    fn round(concurrency: &mut Concurrency, observed: Observed, now: Instant) -> u32 {
        let mut tickets = Vec::new();
        while let Admission::Now(ticket) = concurrency.admit(now) {
            tickets.push(ticket);
        }
        for ticket in tickets {
            concurrency.ended(ticket, observed, now);
            // Whoever waits takes the place, so that the limit stays the bound.
            let Admission::Now(next) = concurrency.admit(now) else { continue };
            concurrency.ended(next, Observed::Nothing, now);
        }
        concurrency.limit()
    }

    #[track_caller]
    fn check(most: u32, rounds: &[(Observed, u32)]) {
        let now = Instant::now();
        let mut concurrency = Concurrency::new(most, now);
        for (index, (observed, expected)) in rounds.iter().enumerate() {
            assert_eq!(round(&mut concurrency, *observed, now), *expected, "round {index}");
        }
    }

    #[test]
    fn a_burst_of_refusals_cuts_the_limit_once() {
        check(256, &[(Observed::RateLimited, 22), (Observed::RateLimited, 15), (Observed::RateLimited, 10)]);
    }

    #[test]
    fn the_limit_never_falls_below_one() {
        let rounds: Vec<_> = [22, 15, 10, 7, 4, 2, 1, 1, 1].map(|limit| (Observed::RateLimited, limit)).into();
        check(256, &rounds);
    }

    #[test]
    fn the_limit_keeps_to_its_bound() {
        check(8, &[(Observed::Answered, 8), (Observed::RateLimited, 5)]);
        check(0, &[(Observed::Answered, 1)]);
    }

    #[test]
    fn growth_is_by_one_per_round_after_a_cut() {
        let now = Instant::now();
        let mut concurrency = Concurrency::new(256, now);
        round(&mut concurrency, Observed::RateLimited, now);
        let mut held: Vec<Ticket> = Vec::new();
        while let Admission::Now(ticket) = concurrency.admit(now) {
            held.push(ticket);
        }
        assert_eq!(held.len(), 22);
        // Twenty-two replies at the bound, each followed by the next request.
        for _ in 0..22 {
            assert_eq!(concurrency.limit(), 22);
            concurrency.ended(held.pop().unwrap(), Observed::Answered, now);
            let Admission::Now(ticket) = concurrency.admit(now) else { panic!("a place is free") };
            held.push(ticket);
        }
        assert_eq!(concurrency.limit(), 23);
    }

    #[test]
    fn before_the_first_refusal_every_reply_at_the_bound_is_growth() {
        let now = Instant::now();
        let mut concurrency = Concurrency::new(1000, now);
        let mut held = Vec::new();
        while let Admission::Now(ticket) = concurrency.admit(now) {
            held.push(ticket);
        }
        for expected in 33..=64 {
            concurrency.ended(held.pop().unwrap(), Observed::Answered, now);
            while let Admission::Now(ticket) = concurrency.admit(now) {
                held.push(ticket);
            }
            assert_eq!((concurrency.limit(), held.len()), (expected, expected as usize));
        }
    }

    #[test]
    fn replies_below_the_bound_and_faults_do_not_let_it_grow() {
        let now = Instant::now();
        let mut concurrency = Concurrency::new(256, now);
        for observed in [Observed::Answered, Observed::Faltered, Observed::Nothing] {
            let Admission::Now(ticket) = concurrency.admit(now) else { panic!("a place is free") };
            concurrency.ended(ticket, observed, now);
            assert_eq!((concurrency.limit(), concurrency.under_way()), (FIRST_LIMIT, 0));
        }
    }

    #[test]
    fn a_fault_of_the_server_pauses_growth_and_cuts_nothing() {
        let now = Instant::now();
        let mut concurrency = Concurrency::new(256, now);
        assert_eq!(round(&mut concurrency, Observed::Faltered, now), FIRST_LIMIT);
        assert_eq!(round(&mut concurrency, Observed::Answered, now + SECOND), FIRST_LIMIT);
        assert!(round(&mut concurrency, Observed::Answered, now + PAUSE) > FIRST_LIMIT);
    }

    #[test]
    fn a_hold_is_for_everybody_and_the_longest_one_counts() {
        let now = Instant::now();
        let mut concurrency = Concurrency::new(4, now);
        concurrency.hold(3 * SECOND, now);
        concurrency.hold(SECOND, now);
        assert_eq!(concurrency.admit(now + 2 * SECOND), Admission::Held(now + 3 * SECOND));
        assert!(matches!(concurrency.admit(now + 3 * SECOND), Admission::Now(_)));
        concurrency.hold(Duration::MAX, now);
        assert_eq!(concurrency.admit(now), Admission::Held(now + LONGEST_HOLD));
    }

    #[test]
    fn a_refusal_of_an_older_time_is_old_news() {
        let now = Instant::now();
        let mut concurrency = Concurrency::new(256, now);
        let tickets: Vec<_> = (0..2).map(|_| concurrency.admit(now)).collect();
        for ticket in tickets {
            let Admission::Now(ticket) = ticket else { panic!("a place is free") };
            concurrency.ended(ticket, Observed::RateLimited, now);
        }
        assert_eq!(concurrency.limit(), 22);
        let causes: Vec<_> = concurrency.changes().iter().map(|change| (change.limit, change.cause)).collect();
        assert_eq!(causes, [(32, LimitCause::Opened), (22, LimitCause::RateLimited)]);
    }

    #[test]
    fn the_history_is_bounded() {
        let now = Instant::now();
        let mut concurrency = Concurrency::new(256, now);
        for _ in 0..1000 {
            round(&mut concurrency, Observed::RateLimited, now);
        }
        assert_eq!(concurrency.changes().len(), KEPT_CHANGES);
    }
}
