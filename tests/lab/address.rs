//! The address in the kernel: how it is held, that it dies by itself, and what is swept.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rtnetlink::packet_route::address::AddressFlags;
use vipcast::clock;

use super::LAN;
use super::bed::{Bed, SLACK, SOON, VIP, VIP6, ms, throughout, wait};
use super::kernel::{add_deprecated, source_towards};
use super::support::{Test, trial};

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("address::it_is_held_with_a_short_life_and_our_mark_and_never_a_source", LAN, held),
        trial("address::it_leaves_the_kernel_of_a_killed_daemon_by_itself", LAN, killed),
        trial("address::leftovers_are_swept_at_start_and_others_are_left_alone", LAN, swept),
    ]
}

fn held() {
    let mut bed = Bed::embedded(1);
    bed.start(0, &[("address", &format!("{VIP},{VIP6}"))]);
    for (vip, length) in [(VIP, 32), (VIP6, 128)] {
        bed.wait_address(0, vip, SOON);
        assert_eq!(bed.kernel(0, vip).unwrap().prefix_length, length);
    }
    let mut written = BTreeSet::new();
    throughout(ms(5000), || {
        for vip in [VIP, VIP6] {
            let address = bed.kernel(0, vip).expect("it is never absent");
            assert_eq!((address.preferred, address.mark), (0, Some(MARK)));
            assert!((1..=2).contains(&address.valid), "{address:?}");
            assert!(
                address.flags.contains(AddressFlags::Noprefixroute | AddressFlags::Deprecated),
                "{address:?}"
            );
            assert!(!address.flags.contains(AddressFlags::Permanent), "{address:?}");
            written.insert((vip, address.written));
        }
        is_no_source(&bed);
    });
    assert!(
        (8..=14).contains(&written.len()),
        "extended when half of its lifetime of 2 s is over: {written:?}"
    );
}

fn is_no_source(bed: &Bed) {
    let node = &bed.lan.nodes[0];
    for peer in [IpAddr::from(bed.lan.client.v4), bed.lan.client.v6.into()] {
        let own = if peer.is_ipv4() { IpAddr::from(node.v4) } else { node.v6.into() };
        assert_eq!(source_towards(node, peer), own);
    }
}

fn killed() {
    let mut bed = Bed::embedded(1);
    bed.start(0, &[]);
    bed.wait_held(0);
    bed.daemon(0).kill().unwrap();
    let begin = clock::now();
    bed.daemon(0).wait(SOON).unwrap().expect("it is dead");
    assert!(bed.has(0, VIP), "the kernel, not the daemon, removes it");
    let gone = bed.wait_gone(0, VIP, SOON) - begin;
    assert!(gone < ms(3000) + SLACK, "{gone:?}");
}

/// There is no API server, so nothing is ever held: what goes is swept.
fn swept() {
    let mut bed = Bed::bare(1);
    let node = &bed.lan.nodes[0];
    add_deprecated(node, VIP, None);
    add_deprecated(node, VIP6, Some(MARK));
    add_deprecated(node, ANOTHERS, Some(MARK));
    add_deprecated(node, STRANGE, None);
    for ordinary in [ORDINARY, OWN] {
        node.add_address(ordinary.parse().unwrap(), None).unwrap();
    }
    let others = [ANOTHERS, STRANGE, ORDINARY, OWN];
    let before = others.map(|address| bed.kernel(0, address).unwrap());
    bed.start(0, &[("address", &format!("{VIP},{VIP6},{OWN}"))]);
    bed.wait_gone(0, VIP, SOON);
    bed.wait_gone(0, VIP6, SOON);
    wait("it says who must take the address off", SOON, || {
        bed.logged(0, "waiting for the interface").into_iter().find(|line| {
            line["error"].as_str().is_some_and(|error| error.contains(&format!("ip address del {OWN}/32")))
        })
    });
    throughout(ms(1000), || {
        let after = others.map(|address| bed.kernel(0, address).expect("it stays"));
        assert_eq!(after, before);
    });
    assert_eq!(bed.logged(0, "leftover address removed").len(), 2);
}

/// `IFA_PROTO` of what vipcast holds.
const MARK: u8 = 0x56;
/// Marked, and no VIP of this daemon: another one on the node may hold it.
const ANOTHERS: &str = "10.77.0.150";
/// Deprecated, but neither a VIP nor marked.
const STRANGE: &str = "10.77.0.151";
const ORDINARY: &str = "10.77.0.152";
/// A VIP that an administrator has put there by hand.
const OWN: &str = "10.77.0.101";
