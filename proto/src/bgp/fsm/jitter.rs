//! Timers that do not all fire at once (RFC 4271 §10).

use std::time::Duration;

/// Xorshift: a function of the seed and nothing else.
#[derive(Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    /// Seeds that lie close to each other must not jitter alike (splitmix64).
    pub(super) fn new(seed: u64) -> Self {
        let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    /// "multiplying the base value … by a random factor, which is uniformly distributed in the range from 0.75
    /// to 1.0".
    pub(super) fn shorten(&mut self, span: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let steps = u32::try_from(self.0 >> 32 & 0x3ff).unwrap_or(0);
        span - span / 4 * steps / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shortened_by_up_to_a_quarter_and_all_over_it() {
        let mut jitter = Jitter::new(7);
        let span = Duration::from_secs(100);
        let mut seen: Vec<_> = (0..1000).map(|_| jitter.shorten(span).as_secs()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.iter().all(|seconds| (75..=100).contains(seconds)), "{seen:?}");
        assert!(seen.len() >= 25, "{seen:?}");
    }

    #[test]
    fn neighbouring_seeds_differ_at_once() {
        let first = |seed| Jitter::new(seed).shorten(Duration::from_secs(1000));
        assert_ne!(first(1), first(2));
        assert_eq!(first(1), first(1));
    }
}
