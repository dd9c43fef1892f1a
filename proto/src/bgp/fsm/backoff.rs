//! How long to wait before the next attempt.

use std::time::Duration;

use super::ConnectRetry;

#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// `None`: the next attempt need not wait.
    wait: Option<Duration>,
}

impl Backoff {
    pub(super) fn start_anew(&mut self) {
        self.wait = None;
    }

    /// Nothing at first, then the first wait, then twice as long each time.
    pub(super) fn next(&mut self, retry: &ConnectRetry) -> Duration {
        let first = retry.first.max(SHORTEST);
        let wait = self.wait.map_or(Duration::ZERO, |wait| wait.min(retry.cap).max(SHORTEST));
        self.wait = Some(self.wait.map_or(first, |wait| wait.saturating_mul(2).min(retry.cap)));
        wait
    }
}

/// However it is configured, a peer that refuses connections is not asked in a loop.
const SHORTEST: Duration = Duration::from_millis(100);
