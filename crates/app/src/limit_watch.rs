//! Tells whoever watches how the limits of requests to endpoints change, each change once.
//!
//! An endpoint keeps the history of its limit. It is looked at now and then, and what is new in it is told: cuts at the next
//! look, growth when it is over, for a limit that grows does so with every reply.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use greensand_llm::{ConcurrencyReport, LimitCause, LimitChange};

use crate::{Event, Observer};

/// What is told at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    /// Everything but growth that may go on.
    WhatIsOver,
    /// Everything.
    All,
}

/// What was told of the limits of endpoints.
#[derive(Debug, Default)]
pub(crate) struct LimitWatch {
    told: Mutex<BTreeMap<u64, LimitChange>>,
}

impl LimitWatch {
    /// Tells what is new. Both roles may share an endpoint: its history is one.
    pub(crate) fn look(
        &self,
        reports: impl IntoIterator<Item = ConcurrencyReport>,
        telling: Telling,
        observer: &dyn Observer,
    ) {
        for report in reports {
            for (before, change) in self.take_new(&report, telling) {
                let LimitChange { at, limit, cause, number: _ } = change;
                observer.event(Event::LimitChanged { endpoint: &report.endpoint, before, limit, at, cause });
            }
        }
    }

    /// Takes the changes that were not told yet, each with the limit before it.
    fn take_new(&self, report: &ConcurrencyReport, telling: Telling) -> Vec<(u32, LimitChange)> {
        let Some(first) = report.changes.first() else { return Vec::new() };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.entry(report.gate).or_insert(*first);
        // Growth goes on under the same number.
        let is_new = |change: &&LimitChange| {
            change.number > told.number || (change.number == told.number && change.limit != told.limit)
        };
        let mut new: Vec<LimitChange> = report.changes.iter().filter(is_new).copied().collect();
        if telling == Telling::WhatIsOver {
            new.pop_if(|last| last.cause == LimitCause::Grown);
        }
        new.into_iter().map(|change| (std::mem::replace(told, change).limit, change)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Collects what is told: from which limit to which, and why.
    #[derive(Default)]
    struct Heard(Mutex<Vec<(u32, u32, &'static str)>>);

    impl Observer for Heard {
        fn event(&self, event: Event<'_>) {
            if let Event::LimitChanged { before, limit, cause, .. } = event {
                self.0.lock().unwrap().push((before, limit, cause.as_str()));
            }
        }
    }

    fn report(changes: &[(u64, u32, LimitCause)]) -> ConcurrencyReport {
        let change = |(number, limit, cause): &(u64, u32, LimitCause)| LimitChange {
            number: *number,
            at: Duration::ZERO,
            limit: *limit,
            cause: *cause,
        };
        ConcurrencyReport {
            gate: 7,
            endpoint: "http://h".into(),
            limit: changes.last().map_or(0, |(_, limit, _)| *limit),
            under_way: 0,
            waiting: 0,
            changes: changes.iter().map(change).collect(),
        }
    }

    fn check(watch: &LimitWatch, changes: &[(u64, u32, LimitCause)], telling: Telling, expected: &[(u32, u32, &str)]) {
        let heard = Heard::default();
        // As for two roles that share an endpoint.
        watch.look([report(changes), report(changes)], telling, &heard);
        assert_eq!(*heard.0.lock().unwrap(), expected);
    }

    #[test]
    fn each_change_is_told_once_and_growth_when_it_is_over() {
        let (opened, cut) = ((0, 32, LimitCause::Opened), (2, 28, LimitCause::RateLimited));
        let watch = LimitWatch::default();
        check(&watch, &[opened], Telling::All, &[]);
        check(&watch, &[opened, (1, 36, LimitCause::Grown)], Telling::WhatIsOver, &[]);
        let grown = (1, 40, LimitCause::Grown);
        check(&watch, &[opened, grown, cut], Telling::WhatIsOver, &[(32, 40, "grown"), (40, 28, "rate_limited")]);
        check(&watch, &[opened, grown, cut], Telling::All, &[]);
        check(&watch, &[opened, grown, cut, (3, 29, LimitCause::Grown)], Telling::All, &[(28, 29, "grown")]);
        check(&watch, &[opened, grown, cut, (3, 31, LimitCause::Grown)], Telling::All, &[(29, 31, "grown")]);
    }

    #[test]
    fn a_history_whose_beginning_is_forgotten_is_told_from_where_it_begins() {
        let changes = [(300, 4, LimitCause::RateLimited), (301, 2, LimitCause::RateLimited)];
        check(&LimitWatch::default(), &changes, Telling::All, &[(4, 2, "rate_limited")]);
    }
}
