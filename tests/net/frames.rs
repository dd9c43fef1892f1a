//! Frames between two nodes, and what is made of them.

use std::fs;
use std::time::Duration;

use tokio::time::timeout;
use vipcast::net::NetError;
use vipcast::net::frames::{self, announcement, probe};
use vipcast::net::socket::{FrameSocket, SolicitedNodeMembership};
use vipcast::net::wiring::LinkState;
use vipcast_proto::l2::ethernet::{MacAddr, Sighting, SightingKind};

use crate::lan::{Lan, SOON, V4, V6, ip, shell};

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn what_one_node_sends_the_other_sights() {
    let lan = Lan::new();
    let (a, b) = lan.sockets();
    for vip in [ip(V4), ip(V6)] {
        let sends = [(probe(lan.mac_b, vip), SightingKind::Probe)]
            .into_iter()
            .chain(announcement(lan.mac_b, vip).into_iter().map(|frame| (frame, SightingKind::Claim)));
        for (frame, kind) in sends {
            b.send(&frame).await.unwrap();
            assert_eq!(sighted(&a).await, Sighting { address: vip, from: lan.mac_b, kind });
        }
    }
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn neither_what_we_send_nor_what_bears_our_own_address_is_sighted() {
    let lan = Lan::new();
    let (a, b) = lan.sockets();
    for frame in announcement(lan.mac_a, ip(V4)) {
        a.send(&frame).await.unwrap();
        b.send(&frame).await.unwrap();
    }
    // The kernel never shows a socket its own frames, but those of another program on this host.
    let neighbour = MacAddr::from([2, 0, 0x5e, 0, 0, 0xc]);
    let other = lan.a.open(|| FrameSocket::open(lan.index, neighbour)).unwrap().unwrap();
    for frame in announcement(neighbour, ip(V4)) {
        other.send(&frame).await.unwrap();
    }
    b.send(&probe(lan.mac_b, ip(V4))).await.unwrap();
    let last = Sighting { address: ip(V4), from: lan.mac_b, kind: SightingKind::Probe };
    assert_eq!(sighted(&a).await, last);
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn frames_of_another_vlan_are_not_heard_and_priority_tags_are_no_vlan() {
    let lan = Lan::new();
    let (a, b) = lan.sockets();
    let tagged = |identifier: u8, vip: &str| {
        let frame = frames::arp_announcement_request(lan.mac_b, vip.parse().unwrap());
        [&frame[..12], &[0x81, 0x00, 0x60, identifier], &frame[12..]].concat()
    };
    b.send(&tagged(10, "192.0.2.10")).await.unwrap();
    b.send(&tagged(0, V4)).await.unwrap();
    assert_eq!(sighted(&a).await, Sighting { address: ip(V4), from: lan.mac_b, kind: SightingKind::Claim });
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn the_kernels_own_questions_are_understood() {
    let lan = Lan::new();
    let (a, _b) = lan.sockets();
    let vip = "2001:db8::77";
    let membership = lan.a.run(|| SolicitedNodeMembership::join(lan.index, vip.parse().unwrap())).unwrap();
    membership.unwrap();
    lan.b.run(|| shell(&format!("ip address add {vip}/64 dev eth0"))).unwrap();
    let expected = Sighting { address: ip(vip), from: lan.mac_b, kind: SightingKind::Probe };
    // Duplicate address detection of the link-local address may come first.
    while sighted(&a).await != expected {}

    lan.b
        .run(|| shell("ip address add 192.0.2.7/24 dev eth0; ping -c1 -W1 192.0.2.8 >/dev/null; true"))
        .unwrap();
    let expected = Sighting { address: ip("192.0.2.7"), from: lan.mac_b, kind: SightingKind::Claim };
    while sighted(&a).await != expected {}
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_link_that_flaps_is_survived_without_spinning() {
    let lan = Lan::new();
    let (a, b) = lan.sockets();
    let (reached, hearing) = (probe(lan.mac_b, ip(V4)), async { sighted(&a).await });
    tokio::pin!(hearing);
    assert!(timeout(Duration::from_millis(20), &mut hearing).await.is_err(), "nothing was said yet");
    lan.a.set_link("eth0", LinkState::Down).unwrap();

    let before = cpu();
    assert!(
        timeout(Duration::from_millis(300), &mut hearing).await.is_err(),
        "heard through a link that is down"
    );
    let burnt = cpu() - before;
    assert!(burnt < Duration::from_millis(30), "{burnt:?} of processor time in 300 ms of waiting");

    lan.a.set_link("eth0", LinkState::Up).unwrap();
    lan.carrier(&lan.a);
    lan.carrier(&lan.b);
    b.send(&reached).await.unwrap();
    assert_eq!(hearing.await, Sighting { address: ip(V4), from: lan.mac_b, kind: SightingKind::Probe });
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_send_fails_while_the_link_is_down_and_not_for_a_flap_that_is_over() {
    let lan = Lan::new();
    let (a, b) = lan.sockets();
    lan.a.set_link("eth0", LinkState::Down).unwrap();
    let sent = a.send(&probe(lan.mac_a, ip(V4))).await;
    assert!(matches!(sent, Err(NetError::Send(_))), "{sent:?}");

    lan.a.set_link("eth0", LinkState::Up).unwrap();
    lan.a.set_link("eth0", LinkState::Down).unwrap();
    lan.a.set_link("eth0", LinkState::Up).unwrap();
    lan.carrier(&lan.a);
    a.send(&probe(lan.mac_a, ip(V4))).await.unwrap();
    assert_eq!(sighted(&b).await.from, lan.mac_a);
}

async fn sighted(socket: &FrameSocket) -> Sighting {
    timeout(SOON, socket.receive()).await.expect("a sighting within ten seconds").unwrap()
}

/// Processor time of this thread.
fn cpu() -> Duration {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(statistics.split(' ').next().unwrap().parse().unwrap())
}
