//! From the start of a process to its first route at a router that is ready.

use std::time::Duration;

use vipcast::clock;

use super::net;
use super::page::{Row, millis};
use super::plan::Plan;
use super::router::{Brand, Router};
use super::setup::Family;
use super::speaker::Speaker;

pub(crate) fn measure() -> Vec<Row> {
    [Brand::Bird, Brand::Frr].map(at).into()
}

/// The middle one of several.
fn at(router: Brand) -> Row {
    let middle = |who: Brand, ours: bool| {
        let mut spans: Vec<Duration> = (0..RUNS).map(|_| once(router, who, ours)).collect();
        spans.sort();
        spans[RUNS / 2]
    };
    Row::millis(format!("process start to first route at {router}"), middle(Brand::Bird, true))
        .beside("BIRD", millis(middle(Brand::Bird, false)))
        .beside("FRR", millis(middle(Brand::Frr, false)))
        .beside("GoBGP", millis(middle(Brand::GoBgp, false)))
        .at_most(900.0)
}

fn once(router: Brand, who: Brand, ours: bool) -> Duration {
    let plan = Plan::new().only(Family::V4);
    let (near, far) = (net::net(), net::net());
    net::cable((&near, "eth0"), (&far, "eth0"));
    net::addresses(&near, "eth0", &["10.88.0.2/24"]);
    net::addresses(&far, "eth0", &["10.88.0.1/24"]);
    let router = Router::start(router, &far, plan.router.clone());
    let begin = clock::now();
    let _speaker = match ours {
        true => Speaker::start(&near, &plan.speaker),
        false => Speaker::StandIn(Box::new(Router::start(who, &near, plan.speaker.clone()))),
    };
    while router.routes(Family::V4).is_empty() {
        assert!(clock::now() < begin + Duration::from_secs(60), "no route from {who}");
        std::thread::sleep(Duration::from_millis(1));
    }
    clock::now() - begin
}

const RUNS: usize = 3;
