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

/// The wall clock: for what people read (status, logs, Kubernetes fields), never for a decision.
#[must_use]
pub fn wall() -> SystemTime {
    SystemTime::now()
}
