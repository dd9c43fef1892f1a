//! BFD beside the session.

use super::Case;
use crate::bed::Bed;
use crate::net::{self, Net};
use crate::plan::Plan;
use crate::router::Brand;
use crate::wait::{SOON, ms, throughout, wait};

pub(super) fn all() -> Vec<Case> {
    vec![
        Case::new("bfd::comes_up_over_ipv4", |brand| drop(up(brand, Plan::new()))).except(NONE),
        Case::new("bfd::comes_up_over_ipv6", |brand| drop(up(brand, Plan::new().over_ipv6()))).except(NONE),
        Case::new("bfd::comes_up_over_two_links", |brand| drop(up(brand, Plan::new().routed())))
            .except(NONE)
            .alone(),
        Case::new("bfd::switched_on_by_a_reload", switched_on).except(NONE).alone(),
        Case::new("bfd::switched_off_by_a_reload", switched_off).except(NONE).alone(),
        Case::new("bfd::comes_up_with_an_unnumbered_router", unnumbered).except(NUMBERED).alone(),
        Case::new("bfd::the_speaker_sees_it_down", |brand| down(brand, End::Speaker)).except(NONE),
        Case::new("bfd::the_router_sees_it_down", |brand| down(brand, End::Router)).except(NONE),
        Case::new("bfd::taken_down_by_the_routers_operator_bgp_stays", admin_down).except(NO_WORD).alone(),
    ]
}

fn up(brand: Brand, plan: Plan) -> Bed {
    // The hold time would notice everything too late for these tests. Routers that share the machine with other tests
    // are late at times: less than 900 ms.
    let bed = Bed::settled(brand, plan.hold(90).bfd(300));
    wait("BFD is up", SOON, || bed.router.bfd_is_up(bed.speaker_address()).then_some(()));
    bed
}

/// Who hears nothing any more.
#[derive(Clone, Copy)]
enum End {
    Speaker,
    Router,
}

/// Only BFD's packets are lost: TCP would go on.
fn down(brand: Brand, deaf: End) {
    let bed = up(brand, Plan::new());
    let net: &Net = match deaf {
        End::Speaker => bed.speaker.net(),
        End::Router => &bed.router.site.net,
    };
    net::nft(
        net,
        "table inet mute { chain in { type filter hook input priority 0; udp dport 3784 drop; }; }",
    );
    bed.wait_nothing();
    net::nft(net, "delete table inet mute");
    bed.settle();
    wait("BFD is up again", SOON, || bed.router.bfd_is_up(bed.speaker_address()).then_some(()));
    // What came up again stays (no reset by what happened before).
    throughout(ms(2000), || assert!(bed.session().established));
}

/// The router has it from the start, as when a rack is prepared for it.
fn switched_on(brand: Brand) {
    let mut plan = Plan::new().hold(90).bfd(300);
    plan.speaker.peer().bfd = None;
    let mut bed = Bed::settled(brand, plan);
    bed.plan.speaker.peer().bfd = Some(300);
    bed.speaker.reload(&bed.plan.speaker);
    wait("BFD is up", SOON, || bed.router.bfd_is_up(bed.speaker_address()).then_some(()));
    bed.settle();
}

/// Nothing of it stays.
fn switched_off(brand: Brand) {
    let mut bed = up(brand, Plan::new());
    assert!(net::receives(bed.speaker.net(), 3784));
    bed.plan.speaker.peer().bfd = None;
    bed.speaker.reload(&bed.plan.speaker);
    wait("BFD is down", SOON, || (!bed.router.bfd_is_up(bed.speaker_address())).then_some(()));
    wait("the port is free", SOON, || (!net::receives(bed.speaker.net(), 3784)).then_some(()));
    bed.settle();
}

/// Both find each other by router advertisements, and both families go over one session.
fn unnumbered(brand: Brand) {
    let bed = Bed::settled(brand, Plan::new().over_ipv6().unnumbered().hold(90).bfd(300));
    let speaker = net::link_local(bed.speaker.net(), "eth0");
    wait("BFD is up", SOON, || bed.router.bfd_is_up(speaker).then_some(()));
    net::nft(
        &bed.router.site.net,
        "table inet mute { chain in { type filter hook input priority 0; udp dport 3784 drop; }; }",
    );
    bed.wait_nothing();
    net::nft(&bed.router.site.net, "delete table inet mute");
    bed.settle();
}

fn admin_down(brand: Brand) {
    let bed = up(brand, Plan::new());
    bed.router.bfd_admin_down(bed.speaker_address());
    wait("BFD is down", SOON, || (!bed.router.bfd_is_up(bed.speaker_address())).then_some(()));
    throughout(ms(2000), || {
        assert!(bed.session().established, "{}", bed.session().words);
        assert_eq!(bed.router.all_routes(), bed.plan.expected());
    });
}

const NONE: &[(Brand, &str)] = &[(Brand::GoBgp, "3.10 has no BFD"), (Brand::ExaBgp, "it has no BFD")];
const NUMBERED: &[(Brand, &str)] =
    &[(Brand::Bird, "2.0.12 learns no peers from router advertisements"), NONE[0], NONE[1]];
const NO_WORD: &[(Brand, &str)] = &[
    (Brand::Bird, "2.0.12 falls silent when its BFD is switched off, and never says AdminDown"),
    NONE[0],
    NONE[1],
];
