//! What one event costs among ten thousand Services, in plans made.

use vipcast_proto::ipam::Family;
use vipcast_proto::service::{Catalog, Change, Event, Node};

use crate::support::*;

const COUNT: usize = 10_000;

fn address(at: usize) -> String {
    format!("198.18.{}.{}", at / 250, at % 250 + 1)
}

fn many() -> Catalog {
    let name = |at| format!("default/web-{at:05}");
    let services = (0..COUNT).map(|at| local(written(&name(at), &[&address(at)]))).collect();
    let slices = (0..COUNT).map(|at| slice(&name(at), Family::V4, &["a", "b"])).collect();
    catalog(services, slices, ["a", "b", "c"].map(node).to_vec())
}

#[test]
fn one_event_among_ten_thousand_services_costs_one_plan() {
    let mut catalog = many();
    assert_eq!(catalog.work(), COUNT as u64);
    let name = "default/web-00042";
    let events = [
        (Event::Slices(Change::Applied(slice(name, Family::V4, &["a"]))), 1),
        // Once for where it was, once for where it is.
        (Event::Services(Change::Applied(read(local(written(name, &["192.0.2.1"]))))), 2),
        (Event::Nodes(Change::Applied(Node { ready: false, ..node("a") })), 0),
        (Event::Nodes(Change::Applied(Node { labels: labels(&[("x", "y")]), ..node("b") })), 0),
        (Event::Nodes(Change::Applied(node("d"))), 0),
        (Event::Slices(Change::Applied(slice("default/elsewhere", Family::V4, &["a"]))), 0),
    ];
    for (event, plans) in events {
        let before = catalog.work();
        let text = format!("{event:?}");
        let _ = catalog.handle(event);
        assert_eq!(catalog.work() - before, plans, "{text}");
    }
}
