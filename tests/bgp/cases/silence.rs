//! A session that is there and does nothing.

use super::Case;
use crate::bed::Bed;
use crate::net;
use crate::plan::{Plan, v4};
use crate::router::Brand;

pub(super) fn all() -> Vec<Case> {
    vec![
        Case::new("silence::the_router_stops_sending", sends_nothing),
        Case::new("silence::the_router_stops_reading", reads_nothing),
        Case::new("silence::the_router_is_frozen", frozen),
    ]
}

/// It is the speaker that has to notice: the router hears everything.
fn sends_nothing(brand: Brand) {
    let bed = Bed::settled(brand, Plan::new().hold(3));
    net::lose_data(bed.speaker.net(), v4(1));
    bed.wait_established(false);
    bed.wait_nothing();
    net::lose_nothing(bed.speaker.net());
    bed.settle();
}

/// Its acknowledgements stop, its own messages go on.
fn reads_nothing(brand: Brand) {
    let bed = Bed::settled(brand, Plan::new().hold(3));
    net::lose_data(&bed.router.site.net, v4(2));
    bed.wait_established(false);
    bed.wait_nothing();
    net::lose_nothing(&bed.router.site.net);
    bed.settle();
}

fn frozen(brand: Brand) {
    let mut bed = Bed::settled(brand, Plan::new().hold(3));
    bed.router.freeze();
    bed.wait_given_up();
    bed.router.thaw();
    bed.wait_established(false);
    bed.settle();
}
