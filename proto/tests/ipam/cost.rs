//! What an event costs, counted in what is looked at: no clock, so the same on every machine.

use std::sync::Arc;

use vipcast_proto::ipam::{Ipam, Pool, ServiceView};

use crate::support::{Service, ip, ipam, key, pool};

const SERVICES: u64 = 10_000;

fn service(number: u64) -> Service {
    Service::new(&format!("web/{number:05}")).created(i64::try_from(number).unwrap())
}

fn views(of: impl Fn(u64) -> Service) -> Vec<Arc<ServiceView>> {
    (0..SERVICES).map(|number| of(number).view()).collect()
}

/// What an event looked at.
fn cost(ipam: &mut Ipam, event: impl FnOnce(&mut Ipam)) -> u64 {
    let before = ipam.work();
    event(ipam);
    ipam.work() - before
}

#[test]
fn ten_thousand_services_cost_a_few_looks_each_and_one_more_no_more_than_the_first() {
    let mut ipam = ipam(vec![pool("p", &["10.0.0.0/8", "2001:db8::/64"])]);
    let load = cost(&mut ipam, |ipam| drop(ipam.load(views(service))));
    assert!(load < 8 * SERVICES, "{load}");
    let more = cost(&mut ipam, |ipam| drop(ipam.upsert(service(SERVICES).view())));
    let less = cost(&mut ipam, |ipam| drop(ipam.remove(&key("web/05000"))));
    let again = cost(&mut ipam, |ipam| drop(ipam.upsert(service(SERVICES + 1).view())));
    assert!(more < 10 && less < 10 && again < 10, "{more} {less} {again}");
    assert_eq!(ipam.addresses(&key("web/10001")).collect::<Vec<_>>(), [ip("10.0.19.136")]);
}

#[test]
fn avoided_addresses_cost_one_look_for_each_block_that_is_full() {
    let mut ipam = ipam(vec![Pool { avoid_buggy: true, ..pool("p", &["10.0.0.0/8"]) }]);
    ipam.load(views(service));
    let more = cost(&mut ipam, |ipam| drop(ipam.upsert(service(SERVICES).view())));
    assert!(more < 4 * SERVICES / 254, "{more}");
}

#[test]
fn a_restart_with_everything_written_costs_one_look_each() {
    let mut ipam = ipam(vec![pool("p", &["10.0.0.0/8"])]);
    let address = |number: u64| format!("10.1.{}.{}", number / 256, number % 256);
    let load = cost(&mut ipam, |ipam| drop(ipam.load(views(|it| service(it).has(&[&address(it)])))));
    assert!(load <= SERVICES + 1, "{load}");
}

#[test]
fn thousands_that_wait_for_a_full_pool_cost_nothing_when_one_address_comes_back() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.0/24"])]);
    ipam.load(views(service));
    let event = cost(&mut ipam, |ipam| drop(ipam.remove(&key("web/00100"))));
    assert!(event < 10, "{event}");
    assert_eq!(ipam.addresses(&key("web/00256")).collect::<Vec<_>>(), [ip("192.0.2.100")]);
}

#[test]
fn thousands_that_would_share_and_all_use_one_port_cost_no_more_than_others() {
    let mut ipam = ipam(vec![pool("p", &["10.0.0.0/8"])]);
    let load = cost(&mut ipam, |ipam| drop(ipam.load(views(|it| service(it).sharing("k")))));
    assert!(load < 8 * SERVICES, "{load}");
    let join = cost(&mut ipam, |ipam| drop(ipam.upsert(service(SERVICES).sharing("k").ports(&[443]).view())));
    assert!(join < 10, "{join}");
    assert_eq!(ipam.addresses(&key("web/10000")).collect::<Vec<_>>(), [ip("10.0.0.0")]);
}

#[test]
fn one_address_for_ten_thousand_costs_a_few_looks_each() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.1"])]);
    let port = |number: u64| [u16::try_from(number).unwrap()];
    let load = cost(&mut ipam, |ipam| drop(ipam.load(views(|it| service(it).sharing("k").ports(&port(it))))));
    assert!(load < 8 * SERVICES, "{load}");
    assert_eq!(ipam.holders(ip("192.0.2.1")).count() as u64, SERVICES);
}
