//! The daemon or the router ends, in order or not, and begins again.

use super::Case;
use crate::bed::Bed;
use crate::plan::Plan;
use crate::router::Brand;
use crate::wait::{SOON, ms, throughout, wait};

pub(super) fn all() -> Vec<Case> {
    vec![
        Case::new("restart::killed_with_graceful_restart_its_routes_stay", kept).except(FORGETS),
        Case::new("restart::drained_with_graceful_restart_its_routes_go", drained),
        Case::new("restart::killed_its_routes_go", killed),
        Case::new("restart::ended_in_order_its_routes_go", ended),
        Case::new("restart::drained_slowly_its_routes_first_say_so", drained_slowly).alone(),
        Case::new("restart::of_the_router_in_order", router_restarts),
        Case::new("restart::of_the_router_killed", router_killed),
        Case::new("restart::of_the_session_by_the_router", router_clears),
    ]
}

fn kept(brand: Brand) {
    let mut bed = Bed::settled(brand, Plan::new().graceful_restart());
    bed.speaker.kill();
    bed.wait_established(false);
    throughout(ms(1500), || assert_eq!(bed.router.all_routes(), bed.plan.expected()));
    bed.speaker.start_again();
    bed.wait_established(true);
    throughout(ms(2000), || assert_eq!(bed.router.all_routes(), bed.plan.expected()));
}

fn drained(brand: Brand) {
    let mut bed = Bed::settled(brand, Plan::new().graceful_restart());
    bed.speaker.term();
    bed.wait_nothing();
    // FRR unwraps it from the hard reset without which it would keep the routes (RFC 8538).
    bed.wait_words(brand, "administrative shutdown");
}

fn killed(brand: Brand) {
    let mut bed = Bed::settled(brand, Plan::new());
    bed.speaker.kill();
    bed.wait_nothing();
    bed.speaker.start_again();
    bed.settle();
}

fn ended(brand: Brand) {
    let mut bed = Bed::settled(brand, Plan::new());
    bed.speaker.term();
    bed.wait_nothing();
    bed.wait_words(brand, "administrative shutdown");
    bed.speaker.start_again();
    bed.settle();
}

/// RFC 8326: GRACEFUL_SHUTDOWN first, then the withdrawal.
fn drained_slowly(brand: Brand) {
    let mut plan = Plan::new();
    plan.speaker.drain_wait_ms = 2000;
    let mut bed = Bed::settled(brand, plan);
    let era = bed.era();
    bed.speaker.ask_to_end();
    bed.plan.speaker.peer().communities = vec![(65535, 0)];
    let said = bed.settle();
    assert_eq!(bed.era(), era);
    let gone = bed.wait_nothing();
    assert!(gone - said > ms(1000), "{:?}", gone - said);
}

fn router_restarts(brand: Brand) {
    let mut bed = Bed::settled(brand, Plan::new());
    bed.router.restart(bed.plan.router.clone());
    bed.settle();
}

fn router_killed(brand: Brand) {
    let mut bed = Bed::settled(brand, Plan::new());
    bed.router.kill();
    bed.router.start_again();
    bed.settle();
}

fn router_clears(brand: Brand) {
    let bed = Bed::settled(brand, Plan::new());
    let before = bed.era();
    bed.router.clear(bed.speaker_address());
    wait("there is another session", SOON, || {
        (bed.session().established && bed.era() != before).then_some(())
    });
    bed.settle();
}

const FORGETS: &[(Brand, &str)] = &[(Brand::ExaBgp, "it keeps no routes, so that none can stay")];
