//! Several nodes, one Lease, one segment: elector, core and announcer over thousands of seeds, with
//! partitions, lost and slow answers, stalls, crashes, restarts and clocks of different rates.
//!
//! `VIPCAST_SEEDS=10000 cargo test --release -p vipcast-proto --test simulation -- --nocapture` runs
//! more of them and prints what it saw.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a simulation that trips over itself should stop"
)]

mod api;
mod faults;
mod node;
mod segment;
mod trouble;
mod world;

use std::time::Duration;

use vipcast_proto::election::Timing;
use world::{Outcome, World};

/// What is broken on purpose, to see that the invariants notice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mutation {
    /// The API server takes every write, whatever it is based on.
    pub(crate) unconditional_writes: bool,
    /// The kernel keeps an address until somebody removes it.
    pub(crate) eternal_addresses: bool,
    /// The Lease is released while the address is still there.
    pub(crate) release_before_drop: bool,
    /// The kernel lifetime does not end before the fence.
    pub(crate) unfenced_lifetime: bool,
    /// Some clocks run more than twice as fast as others.
    pub(crate) wild_clocks: bool,
}

#[test]
fn no_address_on_two_nodes_and_none_unheld_past_the_bound() {
    let mut total = Outcome::default();
    for seed in 1..=seeds(1500) {
        let timing = if seed % 2 == 0 { SHORT } else { DEFAULT };
        let outcome = World::run(seed, timing, Mutation::default());
        assert_eq!(outcome.overlaps, [], "seed {seed}: two nodes held the address");
        assert_eq!(outcome.unheld, [], "seed {seed}: nobody held the address for too long");
        total.add(outcome);
    }
    println!("{} seeds, {total}", seeds(1500));
    assert!(total.takeovers > 3 * seeds(1500), "the faults must make the address move: {total}");
    assert!(total.handovers > seeds(1500), "some of the moves must be hand-overs: {total}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let [first, again] = [(); 2].map(|()| World::run(7, SHORT, Mutation::default()));
    assert_eq!(first, again);
    assert_ne!(first, World::run(8, SHORT, Mutation::default()));
}

#[test]
fn unconditional_writes_are_noticed() {
    assert_noticed(Mutation { unconditional_writes: true, ..Mutation::default() }, SHORT);
}

#[test]
fn addresses_that_outlive_their_process_are_noticed() {
    assert_noticed(Mutation { eternal_addresses: true, ..Mutation::default() }, SHORT);
}

#[test]
fn a_release_before_the_drop_is_noticed() {
    assert_noticed(Mutation { release_before_drop: true, ..Mutation::default() }, SHORT);
}

#[test]
fn a_kernel_lifetime_beyond_the_fence_is_noticed() {
    assert_noticed(Mutation { unfenced_lifetime: true, ..Mutation::default() }, SHORT);
}

#[test]
fn clocks_that_run_twice_as_fast_as_others_are_noticed() {
    assert_noticed(Mutation { wild_clocks: true, ..Mutation::default() }, SHORT);
}

/// Two fences stand one behind the other: the process lets go at its deadline, and the kernel, which
/// counts to the fence, lets go where the process got its deadline wrong.
#[test]
fn a_grant_that_outlasts_the_lease_is_stopped_by_the_kernel() {
    let reckless = Timing { renew_deadline: Duration::from_secs(8), ..SHORT };
    for seed in 1..=300 {
        assert_eq!(World::run(seed, reckless, Mutation::default()).overlaps, [], "seed {seed}");
    }
    assert_noticed(Mutation { unfenced_lifetime: true, ..Mutation::default() }, reckless);
}

fn assert_noticed(mutation: Mutation, timing: Timing) {
    let noticed = (1..=300).any(|seed| !World::run(seed, timing, mutation).overlaps.is_empty());
    assert!(noticed, "300 seeds and no overlap under {mutation:?}, {timing:?}: the check cannot fail");
}

fn seeds(otherwise: u64) -> u64 {
    std::env::var("VIPCAST_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(otherwise)
}

const DEFAULT: Timing = Timing {
    lease_duration: Duration::from_secs(15),
    renew_deadline: Duration::from_secs(10),
    retry_period: Duration::from_secs(2),
};

const SHORT: Timing = Timing {
    lease_duration: Duration::from_secs(5),
    renew_deadline: Duration::from_secs(3),
    retry_period: Duration::from_secs(1),
};
