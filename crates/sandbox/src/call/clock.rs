//! The time of a call: what it reads, and how much it may use.
//!
//! The virtual clock starts at a fixed moment and moves by what the guest sleeps; sleeping takes no real time. Both
//! count: a call ends when its real time and its virtual sleep together reach its wall clock.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use greensand_types::{ClockGrant, Limits};

use super::state::Stop;
use crate::ticker::TICK;
use crate::worker::Cancellation;

/// Where every virtual clock starts: 2025-01-01T00:00:00Z.
const VIRTUAL_START: Duration = Duration::from_secs(1_735_689_600);

/// The clock of one call.
#[derive(Debug)]
pub(crate) struct CallClock {
    grant: ClockGrant,
    started: Instant,
    wall: Duration,
    slept: Duration,
    cancellation: Cancellation,
}

impl CallClock {
    /// Starts the clock; the call's wall clock runs from here.
    pub(crate) fn start(grant: ClockGrant, limits: &Limits, cancellation: Cancellation) -> Self {
        Self { grant, started: Instant::now(), wall: limits.wall, slept: Duration::ZERO, cancellation }
    }

    /// Counts from an earlier moment.
    pub(crate) fn start_at(&mut self, started: Instant) {
        self.started = started;
    }

    /// Returns why the call must end now, if it must.
    pub(crate) fn stop(&self) -> Option<Stop> {
        if self.is_abandoned() {
            return Some(Stop::Abandoned);
        }
        (self.used() >= self.wall).then_some(Stop::Wall)
    }

    /// Says whether nobody waits for the call any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.cancellation.is_requested()
    }

    /// Returns what is left of the wall clock.
    pub(crate) fn left(&self) -> Duration {
        self.wall.saturating_sub(self.used())
    }

    /// Moves the virtual clock by what functions slept that this call has called.
    pub(crate) fn pass(&mut self, slept: Duration) {
        self.slept = self.slept.saturating_add(slept);
    }

    /// Returns the real time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns what the guest reads: nanoseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        let now = match self.grant {
            ClockGrant::Virtual => VIRTUAL_START.saturating_add(self.slept),
            ClockGrant::Real => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
        };
        i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
    }

    /// Sleeps, really only when the real clock is granted, and never beyond the call's wall clock.
    pub(crate) fn sleep(&mut self, nanoseconds: i64) -> Result<(), Stop> {
        let duration = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
        match self.grant {
            ClockGrant::Virtual => self.slept = self.slept.saturating_add(duration),
            ClockGrant::Real => {
                let until = Instant::now() + duration.min(self.wall);
                while self.stop().is_none() {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    thread::sleep(left.min(2 * TICK));
                }
            }
        }
        self.stop().map_or(Ok(()), Err)
    }

    fn used(&self) -> Duration {
        self.elapsed().saturating_add(self.slept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(grant: ClockGrant, wall: Duration) -> CallClock {
        CallClock::start(grant, &Limits { wall, ..Limits::DEFAULT }, Cancellation::default())
    }

    #[test]
    fn virtual_sleep_takes_no_time_and_counts() {
        let mut clock = clock(ClockGrant::Virtual, Duration::from_secs(3600));
        let before = clock.now();
        clock.sleep(3_000_000_000_000).unwrap();
        assert_eq!(clock.now() - before, 3_000_000_000_000);
        assert!(clock.elapsed() < Duration::from_secs(60));
        assert_eq!(clock.sleep(600_000_000_000), Err(Stop::Wall));
    }

    #[test]
    fn no_sleep_overflows_the_clock() {
        let mut clock = clock(ClockGrant::Virtual, Duration::MAX);
        for _ in 0..3 {
            clock.sleep(i64::MAX).unwrap();
        }
        assert_eq!(clock.now(), i64::MAX);
        let now = clock.now();
        clock.sleep(i64::MIN).unwrap();
        assert_eq!(clock.now(), now);
    }

    #[test]
    fn a_real_sleep_ends_with_the_wall_clock() {
        let mut clock = clock(ClockGrant::Real, Duration::from_millis(20));
        assert_eq!(clock.sleep(3_600_000_000_000), Err(Stop::Wall));
        assert!(clock.elapsed() < Duration::from_secs(60));
    }
}
