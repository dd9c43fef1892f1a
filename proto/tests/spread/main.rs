//! Several members, one stream of Leases, a dozen addresses: the spread over thousands of seeds, with watches that lag and
//! break, lost answers, stalls, crashes, restarts, twins, drains, changing endpoints and clocks of different rates. No wire check helps.
//!
//! `VIPCAST_SEEDS=10000 cargo test --release -p vipcast-proto --test spread -- --nocapture` runs more of them and
//! prints what it saw.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a simulation that trips over itself should stop"
)]

mod api;
mod faults;
mod inputs;
mod node;
mod scale;
mod world;

use std::time::Duration;

use vipcast_proto::election::Timing;
use world::{Outcome, Plan, World};

/// What is broken on purpose, to see that the invariants notice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mutation {
    /// Addresses are called gone while they are still there.
    pub(crate) gone_before_drop: bool,
    /// The kernel keeps an address until somebody removes it.
    pub(crate) eternal_addresses: bool,
    /// The answer to a write is taken for its echo.
    pub(crate) answer_as_echo: bool,
    /// Each Lease has a watch of its own, with a delay of its own.
    pub(crate) unordered_watches: bool,
    /// Some clocks run more than twice as fast as others.
    pub(crate) wild_clocks: bool,
    /// The API server takes every write, whatever it is based on.
    pub(crate) unconditional_writes: bool,
}

#[test]
fn no_address_on_two_nodes_and_none_unheld_past_the_bound() {
    let mut total = Outcome::default();
    for seed in 1..=seeds(400) {
        let timing = if seed % 2 == 0 { SHORT } else { DEFAULT };
        let outcome = World::run(seed, timing, Mutation::default(), Plan::Trouble);
        assert_eq!(outcome.overlaps, [], "seed {seed}: two nodes held an address");
        assert_eq!(outcome.unheld, [], "seed {seed}: nobody held an address for too long");
        total.add(&outcome);
    }
    println!("{} seeds, {total}", seeds(400));
    assert!(total.taken > 30 * seeds(400), "the faults must make addresses move: {total}");
    assert!(total.handed > 5 * seeds(400), "some of the moves must be hand-overs: {total}");
}

#[test]
fn two_machines_with_one_name_do_not_announce_together() {
    let mut total = Outcome::default();
    for seed in 1..=seeds(400) / 4 {
        let outcome = World::run(seed, SHORT, Mutation::default(), Plan::Twins);
        assert_eq!(outcome.overlaps, [], "seed {seed}: two nodes held an address");
        total.add(&outcome);
    }
    println!("twins: {} seeds, {total}", seeds(400) / 4);
}

/// Nothing fails: members come, drain and go, endpoints move. An address has nobody only while it is dropped and
/// that is written.
#[test]
fn planned_moves_are_handed_over_within_a_drop_and_a_write() {
    let mut total = Outcome::default();
    for seed in 1..=100 {
        let outcome = World::run(seed, SHORT, Mutation::default(), Plan::Calm);
        assert_eq!(outcome.overlaps, [], "seed {seed}");
        assert!(outcome.longest_gap <= Duration::from_millis(150), "seed {seed}: {outcome}");
        total.add(&outcome);
    }
    println!("planned moves: 100 seeds, {total}");
    assert!(total.handed > 1_000, "{total}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| World::run(seed, SHORT, Mutation::default(), Plan::Trouble);
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_statement_before_the_drop_is_noticed() {
    assert_noticed(Mutation { gone_before_drop: true, ..Mutation::default() }, Plan::Trouble);
}

#[test]
fn addresses_that_outlive_their_process_are_noticed() {
    assert_noticed(Mutation { eternal_addresses: true, ..Mutation::default() }, Plan::Trouble);
}

#[test]
fn an_answer_that_is_taken_for_the_echo_is_noticed() {
    assert_noticed(Mutation { answer_as_echo: true, ..Mutation::default() }, Plan::Trouble);
}

#[test]
fn watches_that_are_not_one_ordered_stream_are_noticed() {
    assert_noticed(Mutation { unordered_watches: true, ..Mutation::default() }, Plan::Trouble);
}

#[test]
fn clocks_that_run_twice_as_fast_as_others_are_noticed() {
    assert_noticed(Mutation { wild_clocks: true, ..Mutation::default() }, Plan::Trouble);
}

#[test]
fn unconditional_writes_of_twins_are_noticed() {
    assert_noticed(Mutation { unconditional_writes: true, ..Mutation::default() }, Plan::Twins);
}

fn assert_noticed(mutation: Mutation, plan: Plan) {
    let noticed = (1..=300).any(|seed| !World::run(seed, SHORT, mutation, plan).overlaps.is_empty());
    assert!(noticed, "300 seeds and no overlap under {mutation:?}: the check cannot fail");
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
