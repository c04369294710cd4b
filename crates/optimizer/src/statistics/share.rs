use statrs::distribution::{ContinuousCDF, Normal};

use super::Interval;

/// Returns where the true share of solved tasks lies with a confidence, such as 0.95, by the share of so many; nothing without tasks.
///
/// Wilson's score interval (E. B. Wilson, *Probable inference, the law of succession, and statistical inference*, 1927): unlike
/// the interval around a mean it is not empty where all tasks, or none, are solved.
pub fn share_interval(share: f64, tasks: usize, confidence: f64) -> Option<Interval> {
    if tasks == 0 {
        return None;
    }
    let z = Normal::standard().inverse_cdf(0.5 + confidence.clamp(0.0, 1.0 - 1e-9) / 2.0);
    let (n, share) = (tasks as f64, share.clamp(0.0, 1.0));
    let middle = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let reach = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    Some(Interval { low: (middle - reach).max(0.0), high: (middle + reach).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected ends are worked out by hand from the formula of the paper.
    #[test]
    fn the_interval_is_wilsons() {
        for (solved, tasks, low, high) in
            [(0_u32, 10_u32, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)]
        {
            let interval = share_interval(f64::from(solved) / f64::from(tasks), tasks as usize, 0.95).unwrap();
            assert!((interval.low - low).abs() < 1e-4 && (interval.high - high).abs() < 1e-4, "{solved} {interval:?}");
        }
        assert_eq!(share_interval(0.0, 0, 0.95), None);
    }
}
