//! The only clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock. Tokio's is used so that a test can pause it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The wall clock in microseconds since the epoch, for what is written down for others to read.
/// Nothing is decided by it.
#[must_use]
pub fn wall_micros() -> i64 {
    let since = wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Sleeps until `deadline`; for ever where there is none.
pub async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Completes after `span`.
pub async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

/// When something happened that the kernel says is `age` old, by the wall clock. That clock can be set; but what was not
/// there at `earliest` happened later, and nothing happens in the future.
#[must_use]
pub fn ago(now: Instant, age: Duration, earliest: Instant) -> Instant {
    now.checked_sub(age).map_or(earliest, |at| at.max(earliest)).min(now)
}

/// The wall clock: for what people read (status, logs, Kubernetes fields), never for a decision.
#[must_use]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_is_set_moves_nothing_out_of_what_is_possible() {
        let earliest = now();
        let later = earliest + Duration::from_secs(2);
        let second = Duration::from_secs(1);
        assert_eq!(ago(later, second, earliest), earliest + second);
        assert_eq!(ago(later, Duration::ZERO, earliest), later);
        assert_eq!(ago(later, Duration::from_secs(3600), earliest), earliest);
        assert_eq!(ago(later, Duration::MAX, earliest), earliest);
    }
}
