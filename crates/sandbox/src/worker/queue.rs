//! Whose turn it is: a queue of jobs that is bounded, and fair between tenants. It waits for nothing and locks nothing.

use std::collections::{HashMap, VecDeque};

use greensand_types::Tenant;

/// How much may wait and run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueBounds {
    /// Jobs that may wait, of all tenants together. A tenant with none waiting may always add one.
    pub(crate) total: usize,
    /// Jobs of one tenant that may wait.
    pub(crate) per_tenant: usize,
    /// Jobs of one tenant that may run at once.
    pub(crate) running_per_tenant: usize,
}

/// Jobs `J` that wait for a worker, and waiters `W` that wait for a place in the queue.
///
/// Invariant: a tenant is in the rotation, once, exactly while it has a job and may run one more; in the list of doors,
/// once, exactly while somebody waits at its door. A tenant with nothing at all is not remembered.
#[derive(Debug)]
pub(super) struct FairQueue<J, W> {
    bounds: QueueBounds,
    lines: HashMap<Tenant, Line<J, W>>,
    /// Tenants whose next job may run, the next one first.
    rotation: VecDeque<Tenant>,
    /// Tenants with somebody at the door, the one longest without a place first.
    doors: VecDeque<Tenant>,
    /// Places that are taken, by jobs or by waiters that were promised one.
    taken: usize,
    jobs: usize,
}

#[derive(Debug)]
struct Line<J, W> {
    jobs: VecDeque<(u64, J)>,
    promised: usize,
    running: usize,
    door: VecDeque<W>,
    /// How many have left the door since that was last looked at.
    left: usize,
}

impl<J, W> FairQueue<J, W> {
    pub(super) fn new(bounds: QueueBounds) -> Self {
        let bounds = QueueBounds {
            total: bounds.total.max(1),
            per_tenant: bounds.per_tenant.max(1),
            running_per_tenant: bounds.running_per_tenant.max(1),
        };
        let (rotation, doors) = Default::default();
        Self { bounds, lines: HashMap::new(), rotation, doors, taken: 0, jobs: 0 }
    }

    /// Returns how many jobs wait.
    pub(super) fn len(&self) -> usize {
        self.jobs
    }

    /// Says whether a job may run now, if there is a worker.
    pub(super) fn has_turn(&self) -> bool {
        !self.rotation.is_empty()
    }

    /// Says whether somebody waits for a place.
    pub(super) fn has_doors(&self) -> bool {
        !self.doors.is_empty()
    }

    /// Adds a job, or gives it back when its tenant has no room: then it waits at the door.
    pub(super) fn enter(&mut self, tenant: &Tenant, id: u64, job: J) -> Result<(), J> {
        let line = self.lines.get(tenant);
        let has_place = line.is_none_or(|line| line.door.is_empty() && line.has_room(&self.bounds, self.taken));
        if !has_place {
            return Err(job);
        }
        self.taken += 1;
        self.add(tenant, id, job);
        Ok(())
    }

    /// Puts somebody at the door of a tenant whose room is full.
    pub(super) fn wait(&mut self, tenant: &Tenant, waiter: W) {
        let line = self.lines.entry(tenant.clone()).or_insert_with(Line::new);
        if line.door.is_empty() {
            self.doors.push_back(tenant.clone());
        }
        line.door.push_back(waiter);
    }

    /// Notes that somebody has left the door of a tenant. Once half of them may have, those who did are forgotten, so that
    /// leaving costs the same however many wait.
    pub(super) fn leave(&mut self, tenant: &Tenant, has_left: impl Fn(&W) -> bool) {
        let Some(line) = self.lines.get_mut(tenant) else { return };
        line.left += 1;
        let before = line.door.len();
        if 2 * line.left < before {
            return;
        }
        line.door.retain(|waiter| !has_left(waiter));
        line.left = 0;
        if before > 0 && line.door.is_empty() {
            self.doors.retain(|other| other != tenant);
        }
        self.forget_if_idle(tenant);
    }

    /// Promises a free place to whoever may have it next.
    pub(super) fn promise(&mut self) -> Option<(Tenant, W)> {
        for index in 0..self.doors.len() {
            let tenant = &self.doors[index];
            let Some(line) = self.lines.get_mut(tenant) else { continue };
            if !line.has_room(&self.bounds, self.taken) {
                continue;
            }
            let Some(waiter) = line.door.pop_front() else { continue };
            line.promised += 1;
            self.taken += 1;
            let is_last = line.door.is_empty();
            let tenant = self.doors.remove(index)?;
            if !is_last {
                self.doors.push_back(tenant.clone());
            }
            return Some((tenant, waiter));
        }
        None
    }

    /// Adds the job of somebody who was promised a place.
    pub(super) fn enter_promised(&mut self, tenant: &Tenant, id: u64, job: J) {
        if let Some(line) = self.lines.get_mut(tenant) {
            line.promised -= 1;
        }
        self.add(tenant, id, job);
    }

    /// Takes a promise back whose waiter has left.
    pub(super) fn release(&mut self, tenant: &Tenant) {
        let Some(line) = self.lines.get_mut(tenant) else { return };
        line.promised -= 1;
        self.taken -= 1;
        self.forget_if_idle(tenant);
    }

    /// Takes the job whose turn it is. Its tenant is told when it has ended, by [`Self::finish`].
    pub(super) fn take(&mut self) -> Option<(Tenant, J)> {
        let tenant = self.rotation.pop_front()?;
        let line = self.lines.get_mut(&tenant)?;
        let (_, job) = line.jobs.pop_front()?;
        line.running += 1;
        self.jobs -= 1;
        self.taken -= 1;
        if !line.jobs.is_empty() && line.running < self.bounds.running_per_tenant {
            self.rotation.push_back(tenant.clone());
        }
        Some((tenant, job))
    }

    /// Notes that a job of a tenant has ended.
    pub(super) fn finish(&mut self, tenant: &Tenant) {
        let Some(line) = self.lines.get_mut(tenant) else { return };
        let had_turn = line.running < self.bounds.running_per_tenant;
        line.running -= 1;
        if !had_turn && !line.jobs.is_empty() {
            self.rotation.push_back(tenant.clone());
        }
        self.forget_if_idle(tenant);
    }

    /// Takes a job out that nobody wants any more, if it still waits.
    pub(super) fn remove(&mut self, tenant: &Tenant, id: u64) -> Option<J> {
        let line = self.lines.get_mut(tenant)?;
        let index = line.jobs.iter().position(|(job, _)| *job == id)?;
        let (_, job) = line.jobs.remove(index)?;
        self.jobs -= 1;
        self.taken -= 1;
        if line.jobs.is_empty() {
            self.rotation.retain(|other| other != tenant);
        }
        self.forget_if_idle(tenant);
        Some(job)
    }

    fn add(&mut self, tenant: &Tenant, id: u64, job: J) {
        let line = match self.lines.get_mut(tenant) {
            Some(line) => line,
            None => self.lines.entry(tenant.clone()).or_insert_with(Line::new),
        };
        line.jobs.push_back((id, job));
        self.jobs += 1;
        if line.jobs.len() == 1 && line.running < self.bounds.running_per_tenant {
            self.rotation.push_back(tenant.clone());
        }
    }

    fn forget_if_idle(&mut self, tenant: &Tenant) {
        if self.lines.get(tenant).is_some_and(Line::is_idle) {
            self.lines.remove(tenant);
        }
    }
}

impl<J, W> Line<J, W> {
    fn new() -> Self {
        Self { jobs: VecDeque::new(), promised: 0, running: 0, door: VecDeque::new(), left: 0 }
    }

    fn has_room(&self, bounds: &QueueBounds, taken: usize) -> bool {
        let waiting = self.jobs.len() + self.promised;
        waiting == 0 || waiting < bounds.per_tenant && taken < bounds.total
    }

    fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.promised == 0 && self.running == 0 && self.door.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Queue = FairQueue<&'static str, &'static str>;

    fn tenant(name: &str) -> Tenant {
        name.parse().unwrap()
    }

    fn queue(total: usize, per_tenant: usize, running_per_tenant: usize) -> Queue {
        FairQueue::new(QueueBounds { total, per_tenant, running_per_tenant })
    }

    /// Enters jobs, each named after its tenant by its first letter.
    fn enter(queue: &mut Queue, jobs: &[&'static str]) {
        for job in jobs {
            assert_eq!(queue.enter(&tenant(&job[..1]), 0, job), Ok(()), "{job}");
        }
    }

    /// Runs jobs one after another until none is left.
    fn drain(queue: &mut Queue) -> Vec<&'static str> {
        let mut ran = Vec::new();
        while let Some((tenant, job)) = queue.take() {
            queue.finish(&tenant);
            ran.push(job);
        }
        ran
    }

    #[test]
    fn tenants_take_turns_whatever_each_of_them_asks_for() {
        let mut queue = queue(100, 100, 100);
        enter(&mut queue, &["a1", "a2", "a3", "a4", "a5", "b1", "c1", "c2"]);
        assert_eq!(drain(&mut queue), ["a1", "b1", "c1", "a2", "c2", "a3", "a4", "a5"]);
    }

    #[test]
    fn a_newcomer_is_served_after_one_round() {
        let mut queue = queue(100, 100, 100);
        enter(&mut queue, &["a1", "a2", "a3", "b1", "b2"]);
        assert_eq!(queue.take().unwrap().1, "a1");
        enter(&mut queue, &["c1"]);
        assert_eq!(drain(&mut queue), ["b1", "a2", "c1", "b2", "a3"]);
    }

    #[test]
    fn a_tenant_at_its_number_of_workers_waits_for_one_of_its_own() {
        let mut queue = queue(100, 100, 1);
        enter(&mut queue, &["a1", "a2", "b1"]);
        assert_eq!(queue.take().unwrap().1, "a1");
        assert_eq!(queue.take().unwrap().1, "b1");
        assert!(queue.take().is_none() && !queue.has_turn() && queue.len() == 1);
        queue.finish(&tenant("b"));
        assert!(!queue.has_turn());
        queue.finish(&tenant("a"));
        assert_eq!(queue.take().unwrap().1, "a2");
    }

    #[test]
    fn a_full_tenant_waits_at_its_own_door_and_others_walk_in() {
        let mut queue = queue(100, 2, 100);
        enter(&mut queue, &["a1", "a2"]);
        assert_eq!(queue.enter(&tenant("a"), 0, "a3"), Err("a3"));
        queue.wait(&tenant("a"), "a3");
        assert!(queue.promise().is_none());
        enter(&mut queue, &["b1"]);
        let _ = queue.take();
        assert_eq!(queue.promise(), Some((tenant("a"), "a3")));
        assert_eq!(queue.enter(&tenant("a"), 0, "a4"), Err("a4"), "a promised place is taken");
        queue.enter_promised(&tenant("a"), 0, "a3");
        assert_eq!(drain(&mut queue), ["b1", "a2", "a3"]);
    }

    #[test]
    fn nobody_overtakes_whoever_waits_at_the_same_door() {
        let mut queue = queue(100, 1, 100);
        enter(&mut queue, &["a1"]);
        queue.wait(&tenant("a"), "a2");
        let _ = queue.take();
        assert_eq!(queue.enter(&tenant("a"), 0, "a3"), Err("a3"));
    }

    #[test]
    fn a_full_house_still_has_one_place_for_each_tenant() {
        let mut queue = queue(2, 2, 100);
        enter(&mut queue, &["a1", "a2", "b1"]);
        assert_eq!(queue.enter(&tenant("b"), 0, "b2"), Err("b2"));
        assert_eq!(queue.len(), 3);
    }

    #[test]
    fn doors_get_free_places_in_turn() {
        let mut queue = queue(3, 3, 100);
        enter(&mut queue, &["a1", "a2", "a3", "b1", "c1"]);
        for waiter in ["b2", "b3", "c2"] {
            queue.wait(&tenant(&waiter[..1]), waiter);
        }
        for expected in [None, Some("b2"), Some("c2"), None, Some("b3")] {
            let taken = queue.take().map(|(_, job)| job);
            let promised = queue.promise();
            assert_eq!(promised.as_ref().map(|(_, waiter)| *waiter), expected, "after {taken:?}");
            if let Some((tenant, waiter)) = promised {
                queue.enter_promised(&tenant, 0, waiter);
            }
        }
    }

    #[test]
    fn who_has_left_stands_at_no_door() {
        let mut queue = queue(100, 1, 100);
        enter(&mut queue, &["a1", "b1"]);
        for waiter in ["a2", "a3", "b2"] {
            queue.wait(&tenant(&waiter[..1]), waiter);
        }
        queue.leave(&tenant("a"), |waiter| *waiter == "a2");
        assert_eq!((queue.lines[&tenant("a")].door.len(), queue.doors.len()), (1, 2));
        queue.leave(&tenant("a"), |_| true);
        queue.leave(&tenant("c"), |_| true);
        assert_eq!(queue.doors, [tenant("b")]);
        assert_eq!(drain(&mut queue), ["a1", "b1"]);
        queue.leave(&tenant("b"), |_| true);
        assert!(queue.lines.is_empty() && queue.doors.is_empty());
    }

    #[test]
    fn a_job_that_nobody_wants_frees_its_place() {
        let mut queue = queue(100, 2, 100);
        queue.enter(&tenant("a"), 7, "a1").unwrap();
        queue.enter(&tenant("a"), 8, "a2").unwrap();
        queue.wait(&tenant("a"), "a3");
        assert_eq!(queue.remove(&tenant("a"), 7), Some("a1"));
        assert_eq!(queue.remove(&tenant("a"), 7), None);
        assert_eq!(queue.promise(), Some((tenant("a"), "a3")));
        queue.release(&tenant("a"));
        assert_eq!(queue.remove(&tenant("a"), 8), Some("a2"));
        assert!(!queue.has_turn() && queue.take().is_none() && queue.lines.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        /// Whatever happens in whatever order: bounds hold, counts agree, turns are fair, and nothing is remembered at the end.
        #[test]
        fn the_books_always_balance(steps in proptest::collection::vec((0_u8..6, 0_usize..4), 0..200)) {
            let bounds = QueueBounds { total: 6, per_tenant: 3, running_per_tenant: 2 };
            let mut queue: FairQueue<u64, u64> = FairQueue::new(bounds);
            let tenants = ["a", "b", "c", "d"].map(tenant);
            let (mut running, mut promised, mut entered) = (Vec::new(), Vec::new(), Vec::new());
            for (id, (step, who)) in (0_u64..).zip(steps) {
                let tenant = &tenants[who];
                match step {
                    0 => match queue.enter(tenant, id, id) {
                        Ok(()) => entered.push((tenant.clone(), id)),
                        Err(_) => queue.wait(tenant, id),
                    },
                    1 => if let Some((tenant, job)) = queue.take() {
                        entered.retain(|(_, id)| *id != job);
                        running.push(tenant);
                    },
                    2 => if let Some(tenant) = running.pop() { queue.finish(&tenant) },
                    3 => if let Some((tenant, id)) = entered.pop() { assert_eq!(queue.remove(&tenant, id), Some(id)) },
                    4 => queue.leave(tenant, |waiter| waiter % 2 == 0),
                    _ => if let Some((tenant, id)) = promised.pop() {
                        queue.enter_promised(&tenant, id, id);
                        entered.push((tenant, id));
                    },
                }
                while let Some(promise) = queue.promise() { promised.push(promise) }
                let waiting: usize = queue.lines.values().map(|line| line.jobs.len()).sum();
                prop_assert_eq!((queue.len(), queue.taken), (waiting, waiting + promised.len()));
                prop_assert!(queue.taken <= bounds.total + tenants.len());
                for (tenant, line) in &queue.lines {
                    prop_assert!(line.jobs.len() + line.promised <= bounds.per_tenant);
                    prop_assert!(line.running <= bounds.running_per_tenant);
                    let turns = queue.rotation.iter().filter(|other| *other == tenant).count();
                    let may_run = !line.jobs.is_empty() && line.running < bounds.running_per_tenant;
                    prop_assert_eq!(turns, usize::from(may_run));
                    let doors = queue.doors.iter().filter(|other| *other == tenant).count();
                    prop_assert_eq!(doors, usize::from(!line.door.is_empty()));
                    prop_assert!(!line.is_idle());
                }
            }
            while !queue.lines.is_empty() {
                promised.drain(..).for_each(|(tenant, id)| queue.enter_promised(&tenant, id, id));
                running.drain(..).for_each(|tenant| queue.finish(&tenant));
                running.extend(std::iter::from_fn(|| queue.take()).map(|(tenant, _)| tenant));
                while let Some(promise) = queue.promise() { promised.push(promise) }
            }
            prop_assert_eq!((queue.len(), queue.taken, queue.rotation.len(), queue.doors.len()), (0, 0, 0, 0));
        }
    }
}
