//! Autonomous Systems: external and internal, of two and of four octets.

use super::Case;
use crate::bed::Bed;
use crate::plan::{Plan, ROUTER_AS, SPEAKER_AS};
use crate::router::Brand;
use crate::setup::Family;
use crate::wait::{SOON, wait};

pub(super) fn all() -> Vec<Case> {
    vec![
        Case::new("systems::external_with_four_octets", |brand| {
            settles(brand, Plan::new().systems(FOUR, FOUR + 1))
        }),
        Case::new("systems::internal", |brand| settles(brand, Plan::new().systems(ROUTER_AS, ROUTER_AS))),
        Case::new("systems::internal_with_four_octets", |brand| {
            settles(brand, Plan::new().systems(FOUR, FOUR))
        }),
        Case::new("systems::a_router_that_knows_two_octets", |brand| settles(brand, old(brand, SPEAKER_AS)))
            .except(OLD),
        Case::new("systems::four_octets_to_a_router_that_knows_two", |brand| {
            settles(brand, old(brand, FOUR))
        })
        .except(OLD_AND_MERGES),
        Case::new("systems::another_than_configured_is_said_in_words", another).alone(),
        Case::new("systems::a_router_that_expects_another_is_said_in_words", expected).alone(),
    ]
}

fn settles(brand: Brand, plan: Plan) {
    let bed = Bed::settled(brand, plan);
    assert!(bed.session().established);
}

fn another(brand: Brand) {
    let mut plan = Plan::new();
    plan.speaker.peer().remote_as = OTHER;
    let bed = Bed::start(brand, plan);
    wait("the last error is said", SOON, || {
        let why = bed.speaker.last_error(bed.plan.router.peers[0].local)?;
        (why.contains(&ROUTER_AS.to_string()) && why.contains(&OTHER.to_string())).then_some(())
    });
    assert!(bed.router.all_routes().is_empty());
}

/// It is the router that refuses.
fn expected(brand: Brand) {
    let mut plan = Plan::new();
    plan.router.peer().remote_as = OTHER;
    let bed = Bed::start(brand, plan);
    wait("the last error is said", SOON, || {
        let why = bed.speaker.last_error(bed.plan.router.peers[0].local)?;
        why.starts_with("peer expects another AS than our ").then_some(())
    });
    assert!(bed.router.all_routes().is_empty());
}

/// FRR then says no capability at all, and has IPv4 only.
fn old(brand: Brand, speaker: u32) -> Plan {
    let mut plan = Plan::new().systems(speaker, ROUTER_AS).only(Family::V4);
    plan.router.peer().two_octets = true;
    // The others look into the capability though they do not say it themselves.
    if speaker == FOUR && brand == Brand::ExaBgp {
        plan.router.peer().remote_as = TRANS;
    }
    plan
}

const OTHER: u32 = 65009;
const FOUR: u32 = 4_200_000_001;
/// As whom a router of two octets has to know who has four (RFC 6793 §9).
const TRANS: u32 = 23456;
const OLD: &[(Brand, &str)] = &[(Brand::GoBgp, ALWAYS)];
const OLD_AND_MERGES: &[(Brand, &str)] = &[
    (Brand::GoBgp, ALWAYS),
    (Brand::Frr, "8.4 leaves AS4_PATH aside where only the other side said the four-octet capability"),
];
const ALWAYS: &str = "it always says the four-octet capability";
