//! What is counted, without locks: the thread writes, whoever is interested reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vipcast_proto::bfd::rejected::Rejected;

use super::quota::Quota;

/// Counts of one BFD thread. Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub struct Stats(Arc<Counts>);

/// What was counted up to now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counted {
    /// Packets sent.
    pub sent: u64,
    /// Packets that did not leave.
    pub send_failures: u64,
    /// Packets that a session has taken.
    pub received: u64,
    /// Packets that were discarded, by [`Rejected::index`].
    pub rejected: [u64; Rejected::ALL.len()],
    /// Times that a stall of ours was excused, instead of taken for a silence of others.
    pub stalls: u64,
    /// How many wake-ups were at most so late, by the bounds of the histogram; the last one: later.
    pub lateness: [u64; LATENESS.len() + 1],
    /// The sum of all of them.
    pub lateness_sum: Duration,
    /// The worst of them.
    pub lateness_max: Duration,
}

#[derive(Debug, Default)]
struct Counts {
    quota: Option<Quota>,
    sent: AtomicU64,
    send_failures: AtomicU64,
    received: AtomicU64,
    rejected: [AtomicU64; Rejected::ALL.len()],
    stalls: AtomicU64,
    lateness: [AtomicU64; LATENESS.len() + 1],
    lateness_sum_micros: AtomicU64,
    lateness_max_micros: AtomicU64,
}

impl Stats {
    /// Nothing is counted yet. Looks for a CPU quota once.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Counts { quota: Quota::of_this_process(), ..Counts::default() }))
    }

    /// What was counted up to now.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let counts = &*self.0;
        Counted {
            sent: load(&counts.sent),
            send_failures: load(&counts.send_failures),
            received: load(&counts.received),
            rejected: counts.rejected.each_ref().map(load),
            stalls: load(&counts.stalls),
            lateness: counts.lateness.each_ref().map(load),
            lateness_sum: Duration::from_micros(load(&counts.lateness_sum_micros)),
            lateness_max: Duration::from_micros(load(&counts.lateness_max_micros)),
        }
    }

    /// The CPU quota of this process, if there is one.
    #[must_use]
    pub fn quota(&self) -> Option<&Quota> {
        self.0.quota.as_ref()
    }

    pub(super) fn sent(&self, left: bool) {
        add(if left { &self.0.sent } else { &self.0.send_failures }, 1);
    }

    pub(super) fn received(&self, rejected: Option<Rejected>) {
        match rejected.map(|rejected| self.0.rejected.get(rejected.index())) {
            Some(Some(counter)) => add(counter, 1),
            Some(None) | None => add(&self.0.received, 1),
        }
    }

    pub(super) fn ticked(&self, lateness: Duration, stalls: u64) {
        let counts = &*self.0;
        let bucket = LATENESS.iter().position(|&most| lateness <= most).unwrap_or(LATENESS.len());
        if let Some(counter) = counts.lateness.get(bucket) {
            add(counter, 1);
        }
        let micros = u64::try_from(lateness.as_micros()).unwrap_or(u64::MAX);
        add(&counts.lateness_sum_micros, micros);
        counts.lateness_max_micros.fetch_max(micros, Ordering::Relaxed);
        counts.stalls.store(stalls, Ordering::Relaxed);
    }
}

impl Counted {
    /// How late the wake-ups were at most, of which only this share was later.
    #[must_use]
    pub fn lateness_quantile(&self, share: f64) -> Duration {
        let total: u64 = self.lateness.iter().sum();
        let enough = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        let buckets = LATENESS.iter().copied().chain([self.lateness_max]);
        let reached = buckets.zip(self.lateness).find(|(_, count)| {
            seen += count;
            seen >= enough
        });
        reached.map_or(Duration::ZERO, |(most, _)| most.min(self.lateness_max))
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// The bounds of lateness that are told apart.
pub(super) const LATENESS: [Duration; 12] = [
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_secs(1),
];

#[cfg(test)]
mod tests {
    use vipcast_proto::bfd::wire::DecodeError;

    use super::*;

    #[test]
    fn everything_is_counted_in_its_place() {
        let stats = Stats::default();
        let (counting, millis) = (stats.clone(), Duration::from_millis);
        counting.sent(true);
        counting.sent(false);
        counting.received(None);
        counting.received(Some(Rejected::TimeToLive));
        counting.received(Some(Rejected::Decode(DecodeError::Version)));
        for late in [0, 1, 3, 9000] {
            counting.ticked(millis(late), 2);
        }
        let expected = Counted {
            sent: 1,
            send_failures: 1,
            received: 1,
            rejected: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            stalls: 2,
            lateness: [1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1],
            lateness_sum: millis(9004),
            lateness_max: millis(9000),
        };
        assert_eq!(stats.counted(), expected);
        let quantiles = [0.5, 0.75, 1.0].map(|share| expected.lateness_quantile(share));
        assert_eq!(quantiles, [millis(1), millis(5), millis(9000)]);
    }

    #[test]
    fn every_reason_has_a_counter_of_its_own() {
        let indices: Vec<usize> = Rejected::ALL.iter().map(|rejected| rejected.index()).collect();
        assert_eq!(indices, (0..Rejected::ALL.len()).collect::<Vec<_>>());
    }
}
