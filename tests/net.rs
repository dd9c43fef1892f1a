//! What the kernel really does with the addresses, frames and links that `vipcast::net` asks for; in network
//! namespaces that each test makes for itself.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, CacheInfo};
use tokio::task::JoinSet;
use tokio::time::timeout;
use vipcast::clock::{now, pause};
use vipcast::net::NetError;
use vipcast::net::frames::{self, announcement, probe};
use vipcast::net::namespace::Namespace;
use vipcast::net::netlink::{Change, Changes, Interface, Leftover, LeftoverKind, Netlink};
use vipcast::net::socket::{FrameSocket, SolicitedNodeMembership};
use vipcast::net::wiring::LinkState;
use vipcast_proto::l2::ethernet::{MacAddr, Sighting, SightingKind};

#[tokio::test]
async fn a_held_address_carries_the_mark_and_the_end_of_its_lifetime() {
    let lan = Lan::new();
    let node = Node::connect(&lan.a);
    for vip in [V4, V6] {
        node.netlink
            .hold(lan.index, net(vip), Duration::from_secs(30))
            .await
            .unwrap();
    }
    assert_eq!(
        node.netlink.marked().await.unwrap(),
        [(lan.index, net(V4)), (lan.index, net(V6))]
    );

    let shown = lan.a.run(|| shell("ip -o address show dev eth0")).unwrap();
    for vip in [V4, V6] {
        let line = shown.lines().find(|line| line.contains(vip)).unwrap();
        for word in ["deprecated", "noprefixroute", "preferred_lft 0sec"] {
            assert!(line.contains(word), "no {word} in {line}");
        }
        assert!(
            ["valid_lft 29sec", "valid_lft 30sec"]
                .iter()
                .any(|end| line.contains(end)),
            "{line}"
        );
        assert!(!line.contains("tentative"), "{line}");
    }
}

#[tokio::test]
async fn an_address_that_nobody_refreshes_expires_in_the_kernel() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    for (vip, seconds) in [(V4, 1), (V6, 1), (V4, 3), (V6, 3)] {
        let lifetime = Duration::from_secs(seconds);
        let held = now();
        node.netlink
            .hold(lan.index, net(vip), lifetime)
            .await
            .unwrap();
        assert_eq!(
            node.gone().await,
            Change::AddressGone {
                index: lan.index,
                address: net(vip)
            }
        );
        let lived = now() - held;
        println!("{vip} held for {seconds} s was gone after {lived:?}");
        assert!(
            lifetime - KERNEL_EARLY <= lived && lived <= lifetime + KERNEL_LATE,
            "{vip} lived {lived:?}"
        );
    }
}

#[tokio::test]
async fn holding_again_extends_the_lifetime_without_a_gap() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    let lifetime = Duration::from_secs(1);
    for _ in 0..16 {
        node.netlink
            .hold(lan.index, net(V4), lifetime)
            .await
            .unwrap();
        node.netlink
            .hold(lan.index, net(V6), lifetime)
            .await
            .unwrap();
        assert!(
            timeout(Duration::from_millis(200), node.gone())
                .await
                .is_err(),
            "an address expired while refreshed"
        );
    }
    let mut gone = BTreeSet::new();
    for _ in 0..2 {
        if let Change::AddressGone { address, .. } = node.gone().await {
            gone.insert(address);
        }
    }
    assert_eq!(gone, BTreeSet::from([net(V4), net(V6)]));
}

#[tokio::test]
async fn a_refresh_is_one_round_trip_of_well_under_a_millisecond() {
    let lan = Lan::new();
    let node = Node::connect(&lan.a);
    let mut spans = Vec::new();
    for _ in 0..101 {
        let asked = now();
        node.netlink
            .hold(lan.index, net(V4), Duration::from_secs(3))
            .await
            .unwrap();
        spans.push(now() - asked);
    }
    spans.sort();
    println!("median refresh {:?}", spans[50]);
    assert!(spans[50] < Duration::from_millis(5));
}

#[tokio::test]
async fn a_lifetime_under_one_second_is_refused() {
    let lan = Lan::new();
    let node = Node::connect(&lan.a);
    let refused = node
        .netlink
        .hold(lan.index, net(V4), Duration::from_millis(999))
        .await;
    assert!(matches!(refused, Err(NetError::Lifetime(_))), "{refused:?}");
    assert_eq!(node.netlink.marked().await.unwrap(), []);
}

#[tokio::test]
async fn a_refused_hold_says_why() {
    let lan = Lan::new();
    let node = Node::connect(&lan.a);
    match node
        .netlink
        .hold(999, net(V4), Duration::from_secs(3))
        .await
    {
        Err(NetError::Hold { source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::ENODEV)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn dropping_twice_is_dropping_once() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    for vip in [V4, V6] {
        node.netlink
            .hold(lan.index, net(vip), Duration::from_secs(30))
            .await
            .unwrap();
        node.netlink.drop(lan.index, net(vip)).await.unwrap();
        assert_eq!(
            node.gone().await,
            Change::AddressGone {
                index: lan.index,
                address: net(vip)
            }
        );
        node.netlink.drop(lan.index, net(vip)).await.unwrap();
        node.netlink.drop(999, net(vip)).await.unwrap();
    }
    assert_eq!(node.netlink.marked().await.unwrap(), []);
}

#[tokio::test]
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
    node.netlink
        .hold(index, net("192.0.2.9"), Duration::from_secs(600))
        .await
        .unwrap();

    // 192.0.2.4 is deprecated like a leftover, but is no VIP; 192.0.2.9 is no VIP any more, but has the mark.
    let vips = [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.3",
        "192.0.2.5",
        "2001:db8::2",
        "2001:db8::3",
    ];
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
    assert_eq!(
        found,
        expected.map(|(vip, kind)| Leftover {
            index,
            address: net(vip),
            kind
        })
    );
}

#[tokio::test]
async fn holding_a_leftover_makes_it_ours() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    add_as_others_do(&lan.a, lan.index, "192.0.2.100/32", Some((0, u32::MAX)));
    node.netlink
        .hold(lan.index, net(V4), Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(node.netlink.marked().await.unwrap(), [(lan.index, net(V4))]);
    assert_eq!(
        node.gone().await,
        Change::AddressGone {
            index: lan.index,
            address: net(V4)
        }
    );
}

#[tokio::test]
async fn a_cable_that_is_pulled_and_plugged_in_again_is_reported() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    lan.b.set_link("eth0", LinkState::Down).unwrap();
    assert_eq!(
        node.change().await,
        Change::Link {
            index: lan.index,
            up: false
        }
    );
    lan.b.set_link("eth0", LinkState::Up).unwrap();
    assert_eq!(
        node.change().await,
        Change::Link {
            index: lan.index,
            up: true
        }
    );
    lan.a.set_link("eth0", LinkState::Down).unwrap();
    assert_eq!(
        node.change().await,
        Change::Link {
            index: lan.index,
            up: false
        }
    );
}

#[tokio::test]
async fn a_deleted_interface_takes_its_addresses_along_and_is_down() {
    let lan = Lan::new();
    let mut node = Node::connect(&lan.a);
    node.netlink
        .hold(lan.index, net(V4), Duration::from_secs(30))
        .await
        .unwrap();
    lan.b.delete_link("eth0").unwrap();
    assert_eq!(
        node.gone().await,
        Change::AddressGone {
            index: lan.index,
            address: net(V4)
        }
    );
    node.netlink.drop(lan.index, net(V4)).await.unwrap();
}

#[tokio::test]
async fn interfaces_are_listed_with_what_a_choice_needs() {
    let lan = Lan::new();
    lan.a
        .add_address("eth0", "198.51.100.1/24".parse().unwrap())
        .unwrap();
    lan.a.add_bridge("br0").unwrap();
    let (port, other) = (Namespace::create().unwrap(), "port0");
    lan.a.add_veth(other, &port, "eth0").unwrap();
    lan.a.add_port("br0", other).unwrap();
    let node = Node::connect(&lan.a);
    let bridge = lan.a.link_index("br0").unwrap();

    let interfaces = node.netlink.interfaces().await.unwrap();
    let eth0 = interfaces
        .iter()
        .find(|interface| interface.name == "eth0")
        .unwrap();
    let v4: Vec<IpNet> = eth0
        .addresses
        .iter()
        .copied()
        .filter(|address| address.addr().is_ipv4())
        .collect();
    let expected = Interface {
        index: lan.index,
        name: "eth0".to_owned(),
        mac: Some(lan.mac_a),
        up: true,
        loopback: false,
        addresses: vec!["198.51.100.1/24".parse().unwrap()],
        master: None,
    };
    assert_eq!(
        Interface {
            addresses: v4,
            ..eth0.clone()
        },
        expected
    );
    let told = |name: &str| {
        let interface = interfaces
            .iter()
            .find(|interface| interface.name == name)
            .unwrap();
        (
            interface.loopback,
            interface.up,
            interface.mac.is_some(),
            interface.master,
        )
    };
    assert_eq!(told("lo"), (true, false, false, None));
    assert_eq!(told(other), (false, false, true, Some(bridge)));
}

#[tokio::test]
async fn the_default_route_of_ipv4_goes_before_that_of_ipv6() {
    let lan = Lan::new();
    let node = Node::connect(&lan.a);
    assert_eq!(node.netlink.default_route_interface().await.unwrap(), None);
    lan.a.set_link("lo", LinkState::Up).unwrap();
    lan.a
        .add_address("eth0", "198.51.100.1/24".parse().unwrap())
        .unwrap();
    lan.a
        .add_address("eth0", "2001:db8::1/64".parse().unwrap())
        .unwrap();
    lan.a
        .run(|| shell("ip -6 route add default via 2001:db8::2 dev eth0"))
        .unwrap();
    assert_eq!(
        node.netlink.default_route_interface().await.unwrap(),
        Some(lan.index)
    );
    lan.a.add_bridge("br0").unwrap();
    lan.a.set_link("br0", LinkState::Up).unwrap();
    let bridge = lan.a.link_index("br0").unwrap();
    lan.a
        .run(|| shell("ip route add default dev br0 metric 200"))
        .unwrap();
    assert_eq!(
        node.netlink.default_route_interface().await.unwrap(),
        Some(bridge)
    );
    lan.a
        .run(|| shell("ip route add default via 198.51.100.2 metric 100"))
        .unwrap();
    assert_eq!(
        node.netlink.default_route_interface().await.unwrap(),
        Some(lan.index)
    );
}

#[tokio::test]
async fn a_request_after_the_driver_has_ended_is_not_taken_for_a_success() {
    let lan = Lan::new();
    let Node {
        netlink, driver, ..
    } = Node::connect(&lan.a);
    drop(driver);
    let held = timeout(
        SOON,
        netlink.hold(lan.index, net(V4), Duration::from_secs(3)),
    )
    .await
    .unwrap();
    assert!(matches!(held, Err(NetError::Closed)), "{held:?}");
}

#[tokio::test]
async fn what_one_node_sends_the_other_sights() {
    let lan = Lan::new();
    let (a, b) = lan.sockets();
    for vip in [ip(V4), ip(V6)] {
        let sends = [(probe(lan.mac_b, vip), SightingKind::Probe)]
            .into_iter()
            .chain(
                announcement(lan.mac_b, vip)
                    .into_iter()
                    .map(|frame| (frame, SightingKind::Claim)),
            );
        for (frame, kind) in sends {
            b.send(&frame).await.unwrap();
            assert_eq!(
                sighted(&a).await,
                Sighting {
                    address: vip,
                    from: lan.mac_b,
                    kind
                }
            );
        }
    }
}

#[tokio::test]
async fn neither_what_we_send_nor_what_bears_our_own_address_is_sighted() {
    let lan = Lan::new();
    let (a, b) = lan.sockets();
    for frame in announcement(lan.mac_a, ip(V4)) {
        a.send(&frame).await.unwrap();
        b.send(&frame).await.unwrap();
    }
    b.send(&probe(lan.mac_b, ip(V4))).await.unwrap();
    let last = Sighting {
        address: ip(V4),
        from: lan.mac_b,
        kind: SightingKind::Probe,
    };
    assert_eq!(sighted(&a).await, last);
}

#[tokio::test]
async fn frames_of_another_vlan_are_not_heard_and_priority_tags_are_no_vlan() {
    let lan = Lan::new();
    let (a, b) = lan.sockets();
    let tagged = |identifier: u8, vip: &str| {
        let frame = frames::arp_announcement_request(lan.mac_b, vip.parse().unwrap());
        [&frame[..12], &[0x81, 0x00, 0x60, identifier], &frame[12..]].concat()
    };
    b.send(&tagged(10, "192.0.2.10")).await.unwrap();
    b.send(&tagged(0, V4)).await.unwrap();
    assert_eq!(
        sighted(&a).await,
        Sighting {
            address: ip(V4),
            from: lan.mac_b,
            kind: SightingKind::Claim
        }
    );
}

#[tokio::test]
async fn the_kernels_own_questions_are_understood() {
    let lan = Lan::new();
    let (a, _b) = lan.sockets();
    let vip = "2001:db8::77";
    let membership = lan
        .a
        .run(|| SolicitedNodeMembership::join(lan.index, vip.parse().unwrap()))
        .unwrap();
    membership.unwrap();
    lan.b
        .run(|| shell(&format!("ip address add {vip}/64 dev eth0")))
        .unwrap();
    let expected = Sighting {
        address: ip(vip),
        from: lan.mac_b,
        kind: SightingKind::Probe,
    };
    // Duplicate address detection of the link-local address may come first.
    while sighted(&a).await != expected {}

    lan.b
        .run(|| {
            shell("ip address add 192.0.2.7/24 dev eth0; ping -c1 -W1 192.0.2.8 >/dev/null; true")
        })
        .unwrap();
    let expected = Sighting {
        address: ip("192.0.2.7"),
        from: lan.mac_b,
        kind: SightingKind::Claim,
    };
    while sighted(&a).await != expected {}
}

#[tokio::test]
async fn a_link_that_flaps_is_survived_without_spinning() {
    let lan = Lan::new();
    let (a, b) = lan.sockets();
    let (reached, hearing) = (probe(lan.mac_b, ip(V4)), async { sighted(&a).await });
    tokio::pin!(hearing);
    assert!(
        timeout(Duration::from_millis(20), &mut hearing)
            .await
            .is_err(),
        "nothing was said yet"
    );
    lan.a.set_link("eth0", LinkState::Down).unwrap();

    let before = cpu();
    assert!(
        timeout(Duration::from_millis(300), &mut hearing)
            .await
            .is_err(),
        "heard through a link that is down"
    );
    let burnt = cpu() - before;
    assert!(
        burnt < Duration::from_millis(30),
        "{burnt:?} of processor time in 300 ms of waiting"
    );
    assert!(matches!(a.send(&reached).await, Err(NetError::Send(_))));

    lan.a.set_link("eth0", LinkState::Up).unwrap();
    lan.carrier(&lan.a);
    a.send(&probe(lan.mac_a, ip(V4))).await.unwrap();
    assert_eq!(sighted(&b).await.from, lan.mac_a);
    b.send(&reached).await.unwrap();
    assert_eq!(
        hearing.await,
        Sighting {
            address: ip(V4),
            from: lan.mac_b,
            kind: SightingKind::Probe
        }
    );
}

#[tokio::test]
async fn a_flap_that_nobody_noticed_does_not_fail_the_next_send() {
    let lan = Lan::new();
    let (a, b) = lan.sockets();
    lan.a.set_link("eth0", LinkState::Down).unwrap();
    lan.a.set_link("eth0", LinkState::Up).unwrap();
    lan.carrier(&lan.a);
    a.send(&probe(lan.mac_a, ip(V4))).await.unwrap();
    assert_eq!(sighted(&b).await.from, lan.mac_a);
}

#[test]
fn commands_start_inside_a_namespace() {
    let lan = Lan::new();
    let mut command = std::process::Command::new("ip");
    let output = lan
        .a
        .contain(command.args(["-br", "link"]))
        .unwrap()
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        listed
            .lines()
            .map(|line| line.split(['@', ' ']).next().unwrap())
            .collect::<Vec<_>>(),
        ["lo", "eth0"]
    );
}

const V4: &str = "192.0.2.100";
const V6: &str = "2001:db8::100";
const SOON: Duration = Duration::from_secs(10);
/// The kernel rounds the moment it looks at lifetimes by a fiftieth of a second.
const KERNEL_EARLY: Duration = Duration::from_millis(50);
/// It looks at most once a second, on a whole second of its timer.
const KERNEL_LATE: Duration = Duration::from_millis(2_100);

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn net(address: &str) -> IpNet {
    IpNet::from(ip(address))
}

/// Two nodes and a cable; `eth0` at both ends.
struct Lan {
    a: Namespace,
    b: Namespace,
    index: u32,
    mac_a: MacAddr,
    mac_b: MacAddr,
}

impl Lan {
    fn new() -> Self {
        let namespace =
            || Namespace::create().expect("these tests make network namespaces: run them as root");
        let (a, b) = (namespace(), namespace());
        a.add_veth("eth0", &b, "eth0").unwrap();
        let (mac_a, mac_b) = (
            MacAddr::from([2, 0, 0x5e, 0, 0, 0xa]),
            MacAddr::from([2, 0, 0x5e, 0, 0, 0xb]),
        );
        for (end, mac) in [(&a, mac_a), (&b, mac_b)] {
            end.set_mac("eth0", mac).unwrap();
            end.set_link("eth0", LinkState::Up).unwrap();
        }
        let index = a.link_index("eth0").unwrap();
        let lan = Self {
            a,
            b,
            index,
            mac_a,
            mac_b,
        };
        lan.carrier(&lan.a);
        lan.carrier(&lan.b);
        lan
    }

    fn carrier(&self, end: &Namespace) {
        let up = async || {
            let (netlink, _changes, driver) = Netlink::connect().unwrap();
            let mut tasks = JoinSet::new();
            tasks.spawn(driver);
            while !netlink
                .interfaces()
                .await
                .unwrap()
                .iter()
                .any(|interface| interface.name == "eth0" && interface.up)
            {
                pause(Duration::from_millis(1)).await;
            }
        };
        end.block_on(async || timeout(SOON, up()).await.expect("the cable has a carrier"))
            .unwrap();
    }

    fn sockets(&self) -> (FrameSocket, FrameSocket) {
        let index_b = self.b.link_index("eth0").unwrap();
        let a = self
            .a
            .open(|| FrameSocket::open(self.index, self.mac_a))
            .unwrap();
        let b = self
            .b
            .open(|| FrameSocket::open(index_b, self.mac_b))
            .unwrap();
        (a.unwrap(), b.unwrap())
    }
}

struct Node {
    netlink: Netlink,
    changes: Changes,
    driver: JoinSet<()>,
}

impl Node {
    fn connect(namespace: &Namespace) -> Self {
        let mut tasks = JoinSet::new();
        let (netlink, changes) = namespace
            .open(|| {
                let (netlink, changes, driver) = Netlink::connect().unwrap();
                tasks.spawn(driver);
                (netlink, changes)
            })
            .unwrap();
        Self {
            netlink,
            changes,
            driver: tasks,
        }
    }

    async fn change(&mut self) -> Change {
        timeout(SOON, self.changes.next())
            .await
            .expect("a change within ten seconds")
            .unwrap()
    }

    async fn gone(&mut self) -> Change {
        loop {
            match self.change().await {
                gone @ Change::AddressGone { .. } => return gone,
                Change::Link { .. } | Change::Overrun => {}
            }
        }
    }
}

async fn sighted(socket: &FrameSocket) -> Sighting {
    timeout(SOON, socket.receive())
        .await
        .expect("a sighting within ten seconds")
        .unwrap()
}

/// An address as another program adds it: without our mark; preferred and valid lifetimes where they are given.
fn add_as_others_do(
    namespace: &Namespace,
    index: u32,
    address: &str,
    lifetimes: Option<(u32, u32)>,
) {
    let address: IpNet = address.parse().unwrap();
    let add = async || {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let mut request = handle
            .address()
            .add(index, address.addr(), address.prefix_len());
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

fn shell(script: &str) -> String {
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Processor time of this thread.
fn cpu() -> Duration {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(statistics.split(' ').next().unwrap().parse().unwrap())
}
