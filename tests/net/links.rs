//! Links, routes, and the namespaces that all of this happens in.

use std::time::Duration;

use ipnet::IpNet;
use tokio::time::timeout;
use vipcast::net::NetError;
use vipcast::net::namespace::Namespace;
use vipcast::net::netlink::{Change, DefaultRoute, Interface};
use vipcast::net::wiring::LinkState;

use crate::lan::{Lan, Node, SOON, V4, net, shell};

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_cable_that_is_pulled_and_plugged_in_again_is_reported() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    lan.b.set_link("eth0", LinkState::Down).unwrap();
    assert_eq!(node.change().await, Change::Link { index: lan.index, up: false });
    lan.b.set_link("eth0", LinkState::Up).unwrap();
    assert_eq!(node.change().await, Change::Link { index: lan.index, up: true });
    lan.a.set_link("eth0", LinkState::Down).unwrap();
    assert_eq!(node.change().await, Change::Link { index: lan.index, up: false });
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_port_that_leaves_its_bridge_is_not_taken_for_a_deleted_interface() {
    let lan = Lan::new();
    lan.a.add_bridge("br0").unwrap();
    lan.a.set_link("br0", LinkState::Up).unwrap();
    lan.a.add_port("br0", "eth0").unwrap();
    let mut node = Node::connect(&lan.a);
    lan.a.run(|| shell("ip link set eth0 nomaster")).unwrap();
    node.netlink.hold(lan.index, net(V4), Duration::from_secs(3)).await.unwrap();
    node.netlink.drop(lan.index, net(V4)).await.unwrap();

    let last = Change::AddressGone { index: lan.index, address: net(V4) };
    loop {
        let change = node.change().await;
        assert_ne!(change, Change::Link { index: lan.index, up: false });
        if change == last {
            break;
        }
    }
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_deleted_interface_takes_its_addresses_along_and_is_down() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    node.netlink.hold(lan.index, net(V4), Duration::from_secs(30)).await.unwrap();
    lan.b.delete_link("eth0").unwrap();
    let (mut gone, mut down) = (false, false);
    while !(gone && down) {
        match node.change().await {
            Change::AddressGone { index, address } => gone |= (index, address) == (lan.index, net(V4)),
            Change::Link { index, up } => down |= (index, up) == (lan.index, false),
            Change::Overrun => {}
        }
    }
    node.netlink.drop(lan.index, net(V4)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn interfaces_are_listed_with_what_a_choice_needs() {
    let lan = Lan::new();
    lan.a.add_address("eth0", "198.51.100.1/24".parse().unwrap()).unwrap();
    lan.a.add_bridge("br0").unwrap();
    let (port, other) = (Namespace::create().unwrap(), "port0");
    lan.a.add_veth(other, &port, "eth0").unwrap();
    lan.a.add_port("br0", other).unwrap();
    let node = Node::connect(&lan.a);
    let bridge = lan.a.link_index("br0").unwrap();

    let interfaces = node.netlink.interfaces().await.unwrap();
    let eth0 = interfaces.iter().find(|interface| interface.name == "eth0").unwrap();
    let v4: Vec<IpNet> = eth0.addresses.iter().copied().filter(|address| address.addr().is_ipv4()).collect();
    let expected = Interface {
        index: lan.index,
        name: "eth0".to_owned(),
        mac: Some(lan.mac_a),
        up: true,
        loopback: false,
        addresses: vec!["198.51.100.1/24".parse().unwrap()],
        master: None,
    };
    assert_eq!(Interface { addresses: v4, ..eth0.clone() }, expected);
    let told = |name: &str| {
        let interface = interfaces.iter().find(|interface| interface.name == name).unwrap();
        (interface.loopback, interface.up, interface.mac.is_some(), interface.master)
    };
    assert_eq!(told("lo"), (true, false, false, None));
    assert_eq!(told(other), (false, false, true, Some(bridge)));
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn the_default_route_of_ipv4_goes_before_that_of_ipv6_and_all_have_gateways() {
    let lan = Lan::new();
    let node = Node::connect(&lan.a);
    let default = async || node.netlink.default_route().await.unwrap();
    let route = |interface, gateways: &[&str]| DefaultRoute {
        interface: Some(interface),
        gateways: gateways.iter().map(|gateway| gateway.parse().unwrap()).collect(),
    };
    assert_eq!(default().await, DefaultRoute::default());
    lan.a.set_link("lo", LinkState::Up).unwrap();
    lan.a.add_address("eth0", "198.51.100.1/24".parse().unwrap()).unwrap();
    lan.a.add_address("eth0", "2001:db8::1/64".parse().unwrap()).unwrap();
    lan.a.run(|| shell("ip -6 route add default via 2001:db8::2 dev eth0")).unwrap();
    assert_eq!(default().await, route(lan.index, &["2001:db8::2"]));
    lan.a.add_bridge("br0").unwrap();
    lan.a.set_link("br0", LinkState::Up).unwrap();
    let bridge = lan.a.link_index("br0").unwrap();
    lan.a.run(|| shell("ip route add default dev br0 metric 200")).unwrap();
    assert_eq!(default().await, route(bridge, &["2001:db8::2"]));
    lan.a.run(|| shell("ip route add default via 198.51.100.2 metric 100")).unwrap();
    assert_eq!(default().await, route(lan.index, &["198.51.100.2", "2001:db8::2"]));
    // Others' routes lead past routers, too, but to single networks; and one route may have several next hops.
    lan.a.run(|| shell("ip route add 203.0.113.0/24 via 198.51.100.9")).unwrap();
    let hops = "nexthop via 198.51.100.3 nexthop via inet6 2001:db8::4 dev eth0";
    lan.a.run(|| shell(&format!("ip route add default metric 50 {hops}"))).unwrap();
    let all = ["198.51.100.2", "198.51.100.3", "2001:db8::2", "2001:db8::4"];
    assert_eq!(default().await, route(lan.index, &all));
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_flood_that_overruns_the_socket_is_reported_and_survived() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    // The driver shares this thread, and cannot read while it is busy here.
    let flood = "for i in $(seq 2000); do echo address add 192.0.2.7/32 dev eth0; echo address del 192.0.2.7/32 dev eth0; done";
    lan.a.run(|| shell(&format!("({flood}) | ip -batch -"))).unwrap();
    while node.change().await != Change::Overrun {}

    lan.b.set_link("eth0", LinkState::Down).unwrap();
    while node.change().await != (Change::Link { index: lan.index, up: false }) {}
    node.netlink.hold(lan.index, net(V4), Duration::from_secs(3)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_request_after_the_driver_has_ended_is_not_taken_for_a_success() {
    let lan = Lan::new();
    let Node { netlink, driver, .. } = Node::connect(&lan.a);
    drop(driver);
    let held = timeout(SOON, netlink.hold(lan.index, net(V4), Duration::from_secs(3))).await.unwrap();
    assert!(matches!(held, Err(NetError::Closed)), "{held:?}");
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn commands_start_inside_a_namespace() {
    let lan = Lan::new();
    let mut command = std::process::Command::new("ip");
    let output = lan.a.contain(command.args(["-br", "link"])).unwrap().output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        listed.lines().map(|line| line.split(['@', ' ']).next().unwrap()).collect::<Vec<_>>(),
        ["lo", "eth0"]
    );
}
