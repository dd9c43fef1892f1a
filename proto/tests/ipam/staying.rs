//! Who has an address keeps it: restarts, changes of pools, conflicts, and who comes next.

use vipcast_proto::ipam::{Forbidden, ForbiddenReason, Ipam, Requests, Settings};

use crate::support::{Service, create, ip, ipam, key, outcome, pool};

#[test]
fn a_restart_keeps_every_address_whatever_the_order_and_the_age() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.0/29"])]);
    let services = [
        Service::new("web/new").created(1),
        Service::new("web/old").created(0),
        Service::new("web/b").created(2).has(&["192.0.2.0"]),
        Service::new("web/a").created(3).record("192.0.2.2", Some("p")),
    ];
    ipam.load(services.iter().map(Service::view));
    assert_eq!(
        outcome(&ipam, &["web/a", "web/b", "web/old", "web/new"]),
        ["web/a 192.0.2.2", "web/b 192.0.2.0", "web/old 192.0.2.1", "web/new 192.0.2.3",]
    );
}

#[test]
fn a_shrunk_pool_takes_nothing_away_and_says_so() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.0/29"])]);
    create(&mut ipam, &["web/a", "web/b"].map(Service::new));
    let changes = ipam.set_pools(vec![pool("p", &["192.0.2.1", "192.0.2.4"])]);
    assert_eq!(changes, [].into());
    create(&mut ipam, &[Service::new("web/c"), Service::new("web/d")]);
    assert_eq!(
        outcome(&ipam, &["web/a", "web/b", "web/c", "web/d"]),
        [
            "web/a 192.0.2.0",
            "web/b 192.0.2.1",
            "web/c 192.0.2.4",
            "web/d [an IPv4 address: pool p (vipcast): 2 of 2 IPv4 addresses used]",
        ]
    );
    let strays: Vec<_> = ipam.strays().iter().map(|it| format!("{} {}", it.service, it.address)).collect();
    assert_eq!(strays, ["web/a 192.0.2.0"]);
    let notes: Vec<_> =
        ipam.decision(&key("web/a")).unwrap().assigned.iter().flat_map(|it| it.notes.clone()).collect();
    let told: Vec<_> = notes.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["in no pool (any more)", "not in pool p, from which it should come"]);
}

#[test]
fn what_is_given_back_goes_to_the_oldest_who_waits() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.1"])]);
    create(
        &mut ipam,
        &[
            Service::new("web/a").created(3),
            Service::new("web/b").created(2),
            Service::new("web/c").created(1),
        ],
    );
    let changes = ipam.remove(&key("web/a"));
    assert_eq!(changes, [key("web/c")].into());
    assert_eq!(
        outcome(&ipam, &["web/b", "web/c"]),
        ["web/b [an IPv4 address: pool p (vipcast): 1 of 1 IPv4 addresses used]", "web/c 192.0.2.1",]
    );
}

#[test]
fn of_two_that_have_one_address_the_older_keeps_it_and_the_younger_moves() {
    let services = [
        Service::new("web/a").created(2).has(&["192.0.2.1"]),
        Service::new("web/b").created(1).has(&["192.0.2.1"]),
    ];
    for order in [[0, 1], [1, 0]] {
        let mut ipam = ipam(vec![pool("p", &["192.0.2.1-192.0.2.2"])]);
        create(&mut ipam, &order.map(|at: usize| services[at].clone()));
        assert_eq!(outcome(&ipam, &["web/a", "web/b"]), ["web/a 192.0.2.2", "web/b 192.0.2.1"]);
        let displaced: Vec<_> =
            ipam.displaced(&key("web/a")).iter().map(|(it, why)| format!("{it}: {why}")).collect();
        assert_eq!(displaced, ["192.0.2.1: web/b has it and both use TCP/80"]);
    }
}

#[test]
fn where_an_older_one_displaces_a_younger_who_waited_for_the_younger_ones_ports_is_served() {
    let mut ipam = ipam(vec![]);
    let asks = |name, created| Service::new(name).created(created).asks_for("192.0.2.1");
    create(
        &mut ipam,
        &[
            asks("web/a", 3).ports(&[80, 443]),
            asks("web/waiting", 4).ports(&[443]),
            asks("web/old", 1).ports(&[80]).has(&["192.0.2.1"]),
        ],
    );
    assert_eq!(
        outcome(&ipam, &["web/old", "web/a", "web/waiting"]),
        [
            "web/old 192.0.2.1",
            "web/a [192.0.2.1: web/old has it and both use TCP/80]",
            "web/waiting 192.0.2.1",
        ]
    );
}

#[test]
fn an_address_of_a_service_that_is_not_ours_is_never_given_nor_kept() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.1-192.0.2.3"])]);
    create(
        &mut ipam,
        &[Service::new("web/a"), Service::new("lb/x").foreign().created(9).has(&["192.0.2.1", "192.0.2.2"])],
    );
    create(&mut ipam, &[Service::new("web/b").asks_for("192.0.2.2")]);
    assert_eq!(
        outcome(&ipam, &["web/a", "web/b", "lb/x"]),
        ["web/a 192.0.2.3", "web/b [192.0.2.2: lb/x, which is not served by vipcast, has it]", "lb/x ",]
    );
    assert_eq!(ipam.reports()[0].foreign, 2);
    assert_eq!(ipam.remove(&key("lb/x")), [key("web/b")].into());
}

#[test]
fn forbidden_addresses_are_not_given_not_kept_and_not_granted() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.0/30"])]);
    create(&mut ipam, &[Service::new("web/a")]);
    let mut forbidden = Forbidden::default();
    forbidden.address(ip("192.0.2.0"), ForbiddenReason::Node("n1".into()));
    forbidden.address(ip("192.0.2.1"), ForbiddenReason::ControlPlane);
    let net = "10.96.0.0/12".parse().unwrap();
    forbidden.network(net, ForbiddenReason::ServiceNetwork(net));
    assert_eq!(ipam.set_forbidden(forbidden), [key("web/a")].into());
    create(
        &mut ipam,
        &[
            Service::new("web/b").asks_for("192.0.2.0,192.0.2.1,10.96.0.10,127.0.0.1"),
            Service::new("web/c"),
            Service::new("web/d"),
        ],
    );
    assert_eq!(
        outcome(&ipam, &["web/a", "web/b", "web/c", "web/d"]),
        [
            "web/a 192.0.2.2",
            "web/b [192.0.2.0: not for Services: the address of node n1] \
         [192.0.2.1: not for Services: the control-plane VIP] \
         [10.96.0.10: not for Services: in the service network 10.96.0.0/12] \
         [127.0.0.1: not for Services: not a unicast address that a host can have on a network]",
            "web/c 192.0.2.3",
            "web/d [an IPv4 address: pool p (vipcast): 2 of 2 IPv4 addresses used]",
        ]
    );
    assert_eq!(ipam.reports()[0].forbidden.len(), 2);
}

#[test]
fn a_service_made_anew_under_the_same_name_inherits_nothing() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.1-192.0.2.2"])]);
    create(&mut ipam, &["web/a", "web/b"].map(Service::new));
    ipam.remove(&key("web/a"));
    let mut again = Service::new("web/b").created(5);
    again.0.uid = "another".into();
    create(&mut ipam, &[again]);
    assert_eq!(outcome(&ipam, &["web/b"]), ["web/b 192.0.2.1"]);
}

#[test]
fn another_address_asked_for_is_given_and_the_old_one_given_back() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.1-192.0.2.2"])]);
    create(&mut ipam, &["web/a", "web/b", "web/c"].map(Service::new));
    assert_eq!(
        ipam.upsert(Service::new("web/a").asks_for("203.0.113.9").view()),
        [key("web/a"), key("web/c")].into()
    );
    assert_eq!(
        outcome(&ipam, &["web/a", "web/b", "web/c"]),
        ["web/a 203.0.113.9", "web/b 192.0.2.2", "web/c 192.0.2.1"]
    );
}

#[test]
fn where_only_pools_may_be_asked_for_an_annotation_proves_nothing_and_a_status_does() {
    let settings = Settings { requests: Requests::InPools, share_requested: false };
    let mut ipam = Ipam::new(settings, vec![pool("p", &["192.0.2.1-192.0.2.2"])], Forbidden::default());
    create(
        &mut ipam,
        &[
            Service::new("web/a").record("203.0.113.1", Some("p")),
            Service::new("web/b").has(&["203.0.113.2"]),
            Service::new("web/c").asks_for("203.0.113.3"),
        ],
    );
    assert_eq!(
        outcome(&ipam, &["web/a", "web/b", "web/c"]),
        ["web/a 192.0.2.1", "web/b 203.0.113.2", "web/c [203.0.113.3: in no pool that serves this Service]",]
    );
}

#[test]
fn the_end_of_a_network_stays_with_who_has_it_and_is_not_given() {
    let mut forbidden = Forbidden::default();
    forbidden.ends("192.0.2.0/30".parse().unwrap());
    let mut ipam = Ipam::new(Settings::default(), vec![pool("p", &["192.0.2.0/30"])], forbidden);
    create(
        &mut ipam,
        &[
            Service::new("web/a").has(&["192.0.2.3"]),
            Service::new("web/b"),
            Service::new("web/c"),
            Service::new("web/d").asks_for("192.0.2.0"),
        ],
    );
    assert_eq!(
        outcome(&ipam, &["web/a", "web/b", "web/c", "web/d"]),
        [
            "web/a 192.0.2.3",
            "web/b 192.0.2.1",
            "web/c 192.0.2.2",
            "web/d [192.0.2.0: not for Services: the first or last address of the network 192.0.2.0/30]",
        ]
    );
}
