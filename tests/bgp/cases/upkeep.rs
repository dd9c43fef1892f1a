//! What goes on while sessions stay: routes are asked for again, the configuration changes, API servers fall ill.

use super::Case;
use crate::bed::Bed;
use crate::plan::Plan;
use crate::router::Brand;
use crate::setup::Family;
use crate::wait::{SOON, ms, throughout, wait};

pub(super) fn all() -> Vec<Case> {
    vec![
        Case::new("upkeep::routes_are_sent_again_when_asked_for", refresh).except(NEVER_ASKS),
        Case::new("upkeep::a_reload_moves_nothing_that_has_not_changed", reload).alone(),
        Case::new("upkeep::a_reload_changes_attributes_without_a_withdrawal", attributes).alone(),
        Case::new("upkeep::an_unhealthy_api_server_takes_the_route_back", health),
    ]
}

fn refresh(brand: Brand) {
    let bed = Bed::settled(brand, Plan::new());
    for family in [Family::V4, Family::V6] {
        let before = bed.router.updates(bed.speaker_address());
        bed.router.refresh(bed.speaker_address(), family);
        wait("routes come again", SOON, || {
            (bed.router.updates(bed.speaker_address()) > before).then_some(())
        });
        assert_eq!(bed.router.all_routes(), bed.plan.expected());
    }
    assert!(bed.session().established);
}

fn reload(brand: Brand) {
    let mut bed = Bed::settled(brand, Plan::new());
    let (before, era) = (bed.router.updates(bed.speaker_address()), bed.era());
    bed.speaker.reload(&bed.plan.speaker);
    throughout(ms(1500), || {
        assert_eq!(bed.router.all_routes(), bed.plan.expected());
        assert_eq!((bed.router.updates(bed.speaker_address()), bed.era()), (before, era.clone()));
    });
}

fn attributes(brand: Brand) {
    let mut bed = Bed::settled(brand, Plan::new());
    let era = bed.era();
    let peer = bed.plan.speaker.peer();
    (peer.communities, peer.med) = (vec![(65002, 7)], Some(50));
    bed.speaker.reload(&bed.plan.speaker);
    wait("attributes change", SOON, || {
        let routes = bed.router.all_routes();
        assert_eq!(routes.len(), bed.plan.expected().len(), "{routes:?}");
        assert_eq!(bed.era(), era);
        (routes == bed.plan.expected()).then_some(())
    });
}

fn health(brand: Brand) {
    let mut bed = Bed::settled(brand, Plan::new());
    bed.speaker.api_is(false);
    bed.wait_nothing();
    bed.speaker.api_is(true);
    bed.settle();
}

const NEVER_ASKS: &[(Brand, &str)] =
    &[(Brand::GoBgp, "3.10 never asks: it looks again at what it has heard")];
