//! Which routes go over which transport.

use super::Case;
use crate::bed::Bed;
use crate::plan::Plan;
use crate::router::Brand;
use crate::setup::Family;

pub(super) fn all() -> Vec<Case> {
    vec![
        Case::new("families::ipv4_over_ipv4", |brand| settles(brand, Plan::new().only(Family::V4))),
        Case::new("families::ipv6_over_ipv6", |brand| {
            settles(brand, Plan::new().over_ipv6().only(Family::V6))
        }),
        Case::new("families::both_over_ipv4", |brand| settles(brand, Plan::new())),
        Case::new("families::both_over_ipv6", |brand| settles(brand, Plan::new().over_ipv6())),
        Case::new("families::ipv4_with_ipv6_next_hops", |brand| settles(brand, extended())),
    ]
}

fn settles(brand: Brand, plan: Plan) {
    let bed = Bed::settled(brand, plan);
    assert!(bed.session().established);
}

/// RFC 8950.
fn extended() -> Plan {
    Plan::new().over_ipv6().only(Family::V4).both(|peer| peer.extended_next_hop = true)
}
