//! Addresses: held, extended, expired, dropped, recognised.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, CacheInfo};
use tokio::task::JoinSet;
use tokio::time::timeout;
use vipcast::clock::now;
use vipcast::net::NetError;
use vipcast::net::namespace::Namespace;
use vipcast::net::netlink::{Change, Leftover, LeftoverKind};

use crate::lan::{Lan, Node, V4, V6, ip, net, shell};

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_held_address_carries_the_mark_and_the_end_of_its_lifetime() {
    let lan = Lan::new();
    let node = Node::connect(&lan.a);
    for vip in [V4, V6] {
        node.netlink.hold(lan.index, net(vip), Duration::from_secs(30)).await.unwrap();
    }
    assert_eq!(node.netlink.marked().await.unwrap(), [(lan.index, net(V4)), (lan.index, net(V6))]);

    let shown = lan.a.run(|| shell("ip -o address show dev eth0")).unwrap();
    for vip in [V4, V6] {
        let line = shown.lines().find(|line| line.contains(vip)).unwrap();
        for word in ["deprecated", "noprefixroute", "preferred_lft 0sec"] {
            assert!(line.contains(word), "no {word} in {line}");
        }
        assert!(["valid_lft 29sec", "valid_lft 30sec"].iter().any(|end| line.contains(end)), "{line}");
        assert!(!line.contains("tentative"), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn an_address_that_nobody_refreshes_expires_in_the_kernel() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    for (vip, seconds) in [(V4, 1), (V6, 1), (V4, 3), (V6, 3)] {
        let lifetime = Duration::from_secs(seconds);
        let held = now();
        node.netlink.hold(lan.index, net(vip), lifetime).await.unwrap();
        assert_eq!(node.gone().await, Change::AddressGone { index: lan.index, address: net(vip) });
        let lived = now() - held;
        println!("{vip} held for {seconds} s was gone after {lived:?}");
        assert!(lifetime - KERNEL_EARLY <= lived && lived <= lifetime + KERNEL_LATE, "{vip} lived {lived:?}");
    }
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn holding_again_extends_the_lifetime_without_a_gap() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    let lifetime = Duration::from_secs(1);
    for _ in 0..16 {
        node.netlink.hold(lan.index, net(V4), lifetime).await.unwrap();
        node.netlink.hold(lan.index, net(V6), lifetime).await.unwrap();
        assert!(
            timeout(Duration::from_millis(200), node.gone()).await.is_err(),
            "an address expired while refreshed"
        );
    }
    let held = now();
    let mut gone = BTreeSet::new();
    while gone.len() < 2 {
        if let Change::AddressGone { address, .. } = node.gone().await {
            gone.insert(address);
        }
    }
    let lived = Duration::from_millis(200) + (now() - held);
    println!("gone {lived:?} after the last refresh for {lifetime:?}");
    assert_eq!(gone, BTreeSet::from([net(V4), net(V6)]));
    assert!(lived <= lifetime + KERNEL_LATE, "lived {lived:?}");
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_refresh_is_one_round_trip_of_well_under_a_millisecond() {
    let lan = Lan::new();
    let node = Node::connect(&lan.a);
    let mut spans = Vec::new();
    for _ in 0..101 {
        let asked = now();
        node.netlink.hold(lan.index, net(V4), Duration::from_secs(3)).await.unwrap();
        spans.push(now() - asked);
    }
    spans.sort();
    println!("median refresh {:?}", spans[50]);
    assert!(spans[50] < Duration::from_millis(5));
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_lifetime_under_one_second_is_refused() {
    let lan = Lan::new();
    let node = Node::connect(&lan.a);
    let refused = node.netlink.hold(lan.index, net(V4), Duration::from_millis(999)).await;
    assert!(matches!(refused, Err(NetError::Lifetime(_))), "{refused:?}");
    assert_eq!(node.netlink.marked().await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_refused_hold_says_why() {
    let lan = Lan::new();
    let node = Node::connect(&lan.a);
    match node.netlink.hold(999, net(V4), Duration::from_secs(3)).await {
        Err(NetError::Hold { source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::ENODEV)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn dropping_twice_is_dropping_once() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    for vip in [V4, V6] {
        node.netlink.hold(lan.index, net(vip), Duration::from_secs(30)).await.unwrap();
        node.netlink.drop(lan.index, net(vip)).await.unwrap();
        assert_eq!(node.gone().await, Change::AddressGone { index: lan.index, address: net(vip) });
        node.netlink.drop(lan.index, net(vip)).await.unwrap();
        node.netlink.drop(999, net(vip)).await.unwrap();
    }
    assert_eq!(node.netlink.marked().await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn leftovers_of_ours_and_of_kube_vip_are_told_from_an_administrators_addresses() {
    let lan = Lan::new();
    let node = Node::connect(&lan.a);
    let index = lan.index;
    let expiring = Some((0, 600));
    let permanent_deprecated = Some((0, u32::MAX));
    add_as_others_do(&lan.a, index, "192.0.2.1/32", None);
    add_as_others_do(&lan.a, index, "192.0.2.2/32", permanent_deprecated);
    add_as_others_do(&lan.a, index, "192.0.2.3/32", expiring);
    add_as_others_do(&lan.a, index, "192.0.2.4/32", permanent_deprecated);
    add_as_others_do(&lan.a, index, "192.0.2.5/32", Some((600, 600)));
    add_as_others_do(&lan.a, index, "2001:db8::2/128", permanent_deprecated);
    add_as_others_do(&lan.a, index, "2001:db8::3/128", expiring);
    node.netlink.hold(index, net("192.0.2.9"), Duration::from_secs(600)).await.unwrap();

    // 192.0.2.4 is deprecated like a leftover, but is no VIP; 192.0.2.9 is no VIP any more, but has the mark.
    let vips = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.5", "2001:db8::2", "2001:db8::3"];
    let vips = vips.iter().map(|vip| ip(vip)).collect();
    let mut found = node.netlink.leftovers(&vips).await.unwrap();
    found.sort_by_key(|leftover| leftover.address);
    let expected = [
        ("192.0.2.2", LeftoverKind::Deprecated),
        ("192.0.2.3", LeftoverKind::Expiring),
        ("192.0.2.9", LeftoverKind::Marked),
        ("2001:db8::2", LeftoverKind::Deprecated),
        ("2001:db8::3", LeftoverKind::Expiring),
    ];
    assert_eq!(found, expected.map(|(vip, kind)| Leftover { index, address: net(vip), kind }));
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn holding_a_leftover_makes_it_ours() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    add_as_others_do(&lan.a, lan.index, "192.0.2.100/32", Some((0, u32::MAX)));
    node.netlink.hold(lan.index, net(V4), Duration::from_secs(1)).await.unwrap();
    assert_eq!(node.netlink.marked().await.unwrap(), [(lan.index, net(V4))]);
    assert_eq!(node.gone().await, Change::AddressGone { index: lan.index, address: net(V4) });
}

/// An address as another program adds it: without our mark; preferred and valid lifetimes where they are given.
fn add_as_others_do(namespace: &Namespace, index: u32, address: &str, lifetimes: Option<(u32, u32)>) {
    let address: IpNet = address.parse().unwrap();
    let add = async || {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let mut request = handle.address().add(index, address.addr(), address.prefix_len());
        let attributes = &mut request.message_mut().attributes;
        if address.addr().is_ipv6() {
            attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        if let Some((preferred, valid)) = lifetimes {
            let mut info = CacheInfo::default();
            info.ifa_preferred = preferred;
            info.ifa_valid = valid;
            attributes.push(AddressAttribute::CacheInfo(info));
        }
        request.execute().await.unwrap();
    };
    namespace.block_on(add).unwrap();
}

/// The kernel rounds the moment it looks at lifetimes by a fiftieth of a second.
const KERNEL_EARLY: Duration = Duration::from_millis(50);
/// It looks at most once a second, on a whole second of its timer.
const KERNEL_LATE: Duration = Duration::from_millis(2_100);
