//! From the start of a process to its first route at a router that is ready.

use std::time::Duration;

use vipcast::clock;

use super::{median, millis};
use crate::figure::Figure;
use crate::net;
use crate::plan::Plan;
use crate::rack::Who;
use crate::router::{Brand, Router};
use crate::setup::Family;
use crate::speaker::Speaker;

pub(super) fn measure(runs: usize) -> Vec<Figure> {
    [(Brand::Bird, "BIRD"), (Brand::Frr, "FRR")].map(|(router, name)| at(runs, router, name)).into()
}

fn at(runs: usize, router: Brand, name: &str) -> Figure {
    let middle = |who: Who| {
        let spans: Vec<Duration> = (0..runs).map(|_| once(router, who)).collect();
        eprintln!("    {who:?} to {name}: {spans:?}");
        median(&spans)
    };
    let figure = Figure::millis(OF, format!("first route at {name}, median of {runs}"), middle(Who::Vipcast));
    let others = [("BIRD", Brand::Bird), ("FRR", Brand::Frr), ("GoBGP", Brand::GoBgp)];
    let figure = others.into_iter().fold(figure.at_most(900.0), |figure, (who, brand)| {
        figure.beside(who, millis(middle(Who::Other(brand))))
    });
    figure.beside_words("kube-vip 2 s")
}

fn once(router: Brand, who: Who) -> Duration {
    let plan = Plan::new().only(Family::V4);
    let (near, far) = (net::net(), net::net());
    net::cable((&near, "eth0"), (&far, "eth0"));
    net::addresses(&near, "eth0", &["10.88.0.2/24"]);
    net::addresses(&far, "eth0", &["10.88.0.1/24"]);
    let router = Router::start(router, &far, plan.router.clone());
    let begin = clock::now();
    let _speaker = match who {
        Who::Vipcast => Speaker::start(&near, &plan.speaker),
        Who::Other(brand) => Speaker::StandIn(Box::new(Router::start(brand, &near, plan.speaker.clone()))),
    };
    while router.routes(Family::V4).is_empty() {
        assert!(clock::now() < begin + Duration::from_secs(60), "no route from {who:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    clock::now() - begin
}

const OF: &str = "process start, the router is ready";
