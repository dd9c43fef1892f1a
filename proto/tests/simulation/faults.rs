//! What goes wrong, and when: a function of the seed.

use std::time::Duration;

/// One thing that happens to a node or to the API server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Fault {
    /// SIGKILL; started again by itself later.
    Kill(usize),
    /// SIGTERM, then started again.
    Terminate(usize),
    /// SIGSTOP for so long.
    Freeze(usize, Duration),
    /// The node cannot reach the API server for so long.
    CutOff(usize, Duration),
    /// The node's segment is cut for so long: nobody hears it, it hears nobody.
    Unplug(usize, Duration),
    /// The local API server is unhealthy for so long.
    Sicken(usize, Duration),
    /// Requests hang and are answered when it is over, or never.
    ApiOutage(Duration),
    /// Somebody deletes the Lease.
    DeleteLease,
}

/// Xorshift64: the run is a function of the seed and nothing else.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(from * 1000 + self.below((to - from) * 1000 + 1))
    }

    /// Mostly milliseconds, sometimes seconds.
    pub(crate) fn latency(&mut self) -> Duration {
        match self.below(100) {
            0..90 => self.millis(0, 20),
            90..98 => self.millis(20, 400),
            _ => self.millis(400, 4000),
        }
    }

    pub(crate) fn fault(&mut self, nodes: usize, holder: Option<usize>) -> Fault {
        let any = usize::try_from(self.below(nodes as u64)).unwrap();
        // The holder is where it hurts.
        let node = holder.filter(|_| self.chance(70)).unwrap_or(any);
        let span = self.millis(100, 25_000);
        match self.below(100) {
            0..15 => Fault::Kill(node),
            15..35 => Fault::Terminate(node),
            35..52 => Fault::Freeze(node, span),
            52..68 => Fault::CutOff(node, span),
            68..80 => Fault::Unplug(node, span),
            80..90 => Fault::Sicken(node, span),
            90..98 => Fault::ApiOutage(span),
            _ => Fault::DeleteLease,
        }
    }
}
