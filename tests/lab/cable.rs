//! Cables that are pulled, and cables that only lose everything.

use std::net::IpAddr;

use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};
use vipcast::clock;
use vipcast::demo::lab::address;
use vipcast::demo::lab::cable::Cable;
use vipcast::demo::lab::lan::Host;
use vipcast::demo::lab::observer::Observer;

use super::LAN;
use super::bed::{Bed, SLACK, VIP, kubeconfig, ms, throughout, wait};
use super::support::{Test, trial};

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("cable::a_node_that_is_cut_off_is_replaced_after_the_lease", LAN, || cut_off(Cable::Unplugged)),
        trial("cable::a_node_whose_cable_loses_everything_is_replaced_after_the_lease", LAN, || {
            cut_off(Cable::Lossy)
        }),
        trial("cable::a_holder_without_carrier_hands_over_at_once_by_another_link", LAN, other_link),
    ]
}

fn cut_off(cable: Cable) {
    let mut bed = Bed::embedded(2);
    bed.start(0, &[]);
    bed.wait_held(0);
    bed.start(1, &[]);
    bed.wait_standby(1);
    let mut observer = Observer::start(&bed.lan.observer, VIP.parse().unwrap()).unwrap();
    let cut = clock::now();
    bed.lan.cable(&bed.lan.nodes[0], cable).unwrap();
    let gone = bed.wait_gone(0, VIP, ms(10_000)) - cut;
    let taken = bed.wait_held(1) - cut;
    assert!(gone < taken, "gone after {gone:?}, taken after {taken:?}");
    assert!(taken <= ms(6000) + SLACK, "{taken:?}");
    bed.lan.cable(&bed.lan.nodes[0], Cable::Plugged).unwrap();
    let plugged = clock::now();
    throughout(ms(3000), || assert!(!bed.has(0, VIP), "it is not put there again"));
    let seen = observer.sightings(cut, clock::now());
    assert_eq!(seen.double, 0);
    let back = observer.sightings(plugged, clock::now());
    assert!(back.answered > 0 && !back.owners.contains(&bed.lan.nodes[0].mac), "{back:?}");
}

fn other_link() {
    let mut bed = Bed::embedded(2);
    connect(&bed.lan.nodes[0], &bed.lan.api);
    let other = bed.directory.write("other.conf", &kubeconfig("http://10.78.0.2:6443")).unwrap();
    bed.start(0, &[("k8s_config_file", other.to_str().unwrap())]);
    bed.wait_held(0);
    bed.start(1, &[]);
    bed.wait_standby(1);
    let cut = clock::now();
    bed.lan.cable(&bed.lan.nodes[0], Cable::Unplugged).unwrap();
    let taken = bed.wait_held(1) - cut;
    assert!(taken < ms(500) + SLACK, "{taken:?}");
    assert!(!bed.has(0, VIP));
    wait("its status says why", ms(3000), || (bed.status_command(0).status.code() == Some(3)).then_some(()));
    assert_eq!(bed.logged(0, "address let go").len(), 1);
}

/// A second cable, straight from one host to the other.
fn connect(one: &Host, other: &Host) {
    let far =
        LinkMessageBuilder::<LinkUnspec>::new().name("eth1").setns_by_fd(other.namespace.number()).build();
    let near = LinkVeth::new("eth1", "eth1").set_info_data(InfoData::Veth(InfoVeth::Peer(far))).up().build();
    one.namespace
        .netlink(async |handle| handle.link().add(near).execute().await, "making a second cable")
        .unwrap();
    for (host, number) in [(one, 11), (other, 2)] {
        let index = host.namespace.run(index_of_eth1).unwrap();
        let up = LinkUnspec::new_with_index(index).up().build();
        host.namespace
            .netlink(async |handle| handle.link().change(up).execute().await, "setting the second cable up")
            .unwrap();
        let own = IpAddr::from([10, 78, 0, number]);
        address::add(&host.namespace, index, (own, 24), None).unwrap();
    }
}

fn index_of_eth1() -> u32 {
    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)
        .and_then(|socket| socket.bind_device(Some(b"eth1")).and_then(|()| socket.device_index_v4()))
        .unwrap()
        .unwrap()
        .get()
}
