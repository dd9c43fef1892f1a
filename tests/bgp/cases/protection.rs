//! Who may speak with whom: passwords, the age of packets, distance.

use super::Case;
use crate::bed::Bed;
use crate::net;
use crate::plan::Plan;
use crate::router::Brand;
use crate::setup::Family;
use crate::wait::{ms, throughout};

pub(super) fn all() -> Vec<Case> {
    vec![
        Case::new("protection::the_right_password", right),
        Case::new("protection::the_right_password_over_ipv6", right_over_ipv6),
        Case::new("protection::a_wrong_password_until_it_is_mended", wrong),
        Case::new("protection::a_password_that_changes", changed),
        Case::new("protection::gtsm_and_packets_from_farther_away", gtsm),
        Case::new("protection::gtsm_over_ipv6", gtsm_over_ipv6).except(ONLY_DIALS),
        Case::new("protection::a_router_two_links_away", |brand| {
            Bed::settled(brand, Plan::new().routed());
        }),
    ]
}

fn right(brand: Brand) {
    Bed::settled(brand, Plan::new().password("secret"));
}

fn right_over_ipv6(brand: Brand) {
    Bed::settled(brand, Plan::new().over_ipv6().password("secret"));
}

fn wrong(brand: Brand) {
    let mut plan = Plan::new().password("secret");
    plan.speaker.peer().password = Some("guessed".into());
    let mut bed = Bed::start(brand, plan);
    throughout(ms(2500), || assert!(!bed.session().established && bed.router.all_routes().is_empty()));
    bed.plan.speaker.peer().password = Some("secret".into());
    bed.speaker.reload(&bed.plan.speaker);
    bed.settle();
}

fn changed(brand: Brand) {
    let mut bed = Bed::settled(brand, Plan::new().password("old"));
    bed.plan = bed.plan.clone().password("new");
    bed.router.restart(bed.plan.router.clone());
    bed.speaker.reload(&bed.plan.speaker);
    bed.settle();
}

/// Packets that have crossed a router have lost one of their 255 hops (RFC 5082).
fn gtsm(brand: Brand) {
    let bed = Bed::settled(brand, Plan::new().only(Family::V4).hold(3).both(|peer| peer.gtsm = true));
    net::nft(
        &bed.router.site.net,
        "table ip aged { chain out { type filter hook output priority 0; ip daddr 10.88.0.2 tcp sport 179 ip ttl set 254; }; }",
    );
    bed.wait_nothing();
    net::nft(&bed.router.site.net, "delete table ip aged");
    bed.settle();
}

fn gtsm_over_ipv6(brand: Brand) {
    Bed::settled(brand, Plan::new().over_ipv6().both(|peer| peer.gtsm = true));
}

const ONLY_DIALS: &[(Brand, &str)] =
    &[(Brand::ExaBgp, "4.2 sets the hop limit only of connections that it dials")];
