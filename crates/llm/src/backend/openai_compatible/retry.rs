use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

/// The longest wait that we choose ourselves. The endpoint may ask for longer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// How often and after what waits a request is tried again.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryPolicy {
    pub(super) max_retries: u32,
    pub(super) first_backoff: Duration,
}

impl RetryPolicy {
    /// Returns the wait before the next attempt, or nothing when there should be none.
    ///
    /// `retries` counts those made; `asked_for` is what the endpoint wants; `left` is the time to the deadline;
    /// `jitter` (0 to 1) spreads requests that failed together, so that they do not come back together.
    pub(super) fn wait(
        &self,
        retries: u32,
        asked_for: Option<Duration>,
        left: Duration,
        jitter: f64,
    ) -> Option<Duration> {
        if retries >= self.max_retries {
            return None;
        }
        let wait = match asked_for {
            Some(asked_for) => asked_for.saturating_add(self.first_backoff.mul_f64(jitter)),
            None => {
                let doubled = self.first_backoff.saturating_mul(2_u32.saturating_pow(retries));
                doubled.min(LONGEST_BACKOFF).mul_f64(0.5 + jitter / 2.0)
            }
        };
        // Waiting past the deadline would only delay the error.
        (wait < left).then_some(wait)
    }
}

/// Reads how long the endpoint wants us to wait: milliseconds, seconds, or an HTTP date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(milliseconds) = text("retry-after-ms").and_then(|text| text.parse().ok()) {
        return Duration::try_from_secs_f64(f64::max(milliseconds, 0.0) / 1000.0).ok();
    }
    let text = text("retry-after")?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy { max_retries: 4, first_backoff: Duration::from_millis(500) };
    const HOUR: Duration = Duration::from_secs(3600);

    fn check(retries: u32, asked_for: Option<u64>, left: Duration, jitter: f64, expected: Option<u64>) {
        let wait = POLICY.wait(retries, asked_for.map(Duration::from_secs), left, jitter);
        assert_eq!(wait, expected.map(Duration::from_millis));
    }

    #[test]
    fn waits_double_and_are_spread_over_their_upper_half() {
        check(0, None, HOUR, 1.0, Some(500));
        check(0, None, HOUR, 0.0, Some(250));
        check(3, None, HOUR, 1.0, Some(4000));
    }

    #[test]
    fn retries_are_bounded() {
        check(4, None, HOUR, 0.0, None);
        check(4, Some(1), HOUR, 0.0, None);
        let many = RetryPolicy { max_retries: u32::MAX, ..POLICY };
        assert_eq!(many.wait(1_000_000, None, HOUR, 1.0), Some(LONGEST_BACKOFF));
    }

    #[test]
    fn the_endpoint_may_ask_for_a_longer_wait_but_not_beyond_the_deadline() {
        check(0, Some(60), HOUR, 0.0, Some(60_000));
        check(0, Some(60), HOUR, 1.0, Some(60_500));
        check(0, Some(60), Duration::from_secs(60), 0.0, None);
        check(0, Some(u64::MAX), HOUR, 1.0, None);
    }

    fn asked(name: &'static str, value: &'static str) -> Option<Duration> {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        retry_after(&HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]), now)
    }

    #[test]
    fn every_spelling_of_retry_after_is_read() {
        assert_eq!(asked("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(asked("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(asked("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(asked("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_asks_for_nothing() {
        for value in ["soon", "-1", "NaN", "inf", "1e300", ""] {
            assert_eq!(asked("retry-after", value), None, "{value}");
        }
        assert_eq!(asked("x-other", "7"), None);
    }
}
