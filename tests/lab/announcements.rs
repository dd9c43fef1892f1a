//! What a take-over and a hand-over look like on the wire, in ARP and in neighbour discovery.

use super::bed::{Bed, VIP, VIP6, ms, throughout};
use super::support::{Test, trial};
use super::wire::{Fields, Recorded, Recording, text};
use super::{LAN, WIRE};

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial(
            "announcements::a_take_over_is_asked_and_said_on_the_wire_and_a_hand_over_only_said",
            WIRE,
            whole,
        ),
        trial("announcements::an_ipv6_vip_alone_is_held", LAN, ipv6_alone),
    ]
}

/// Of both families at once: first taken with nobody before, then handed over.
fn whole() {
    let mut bed = Bed::embedded(2);
    let recording = Recording::start(&bed.lan.observer, &bed.directory);
    let both = format!("{VIP},{VIP6}");
    bed.start(0, &[("address", &both)]);
    bed.wait_held(0);
    throughout(ms(15_500), || ());
    bed.start(1, &[("address", &both)]);
    bed.wait_standby(1);
    bed.terminate(0);
    bed.wait_held(1);
    throughout(ms(1500), || ());
    let recorded = recording.stop();
    let macs = [0, 1].map(|node: usize| text(bed.lan.nodes[node].mac));
    let (arp, ndp) = (arp(&recorded, &macs), ndp(&recorded, &macs));
    for said in [&arp, &ndp] {
        is_a_take_over(&said[0], 5);
        is_a_hand_over(&said[1]);
    }
}

fn ipv6_alone() {
    let mut bed = Bed::embedded(1);
    bed.start(0, &[("address", VIP6)]);
    bed.wait_address(0, VIP6, ms(10_000));
    assert!(!bed.has(0, VIP));
}

/// What one node said about a VIP, and when.
#[derive(Debug, Default)]
struct Said {
    probes: Vec<f64>,
    /// A request and a reply each, or one advertisement.
    announcements: Vec<f64>,
}

fn arp(recorded: &Recorded, macs: &[String; 2]) -> [Said; 2] {
    let filter = format!("arp && (arp.src.proto_ipv4 == {VIP} || arp.dst.proto_ipv4 == {VIP})");
    let fields = ["arp.opcode", "arp.src.proto_ipv4", "arp.dst.proto_ipv4", "arp.src.hw_mac", "eth.dst"];
    let frames = recorded.frames(&filter, &fields);
    macs.each_ref().map(|mac| {
        let mut said = Said::default();
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        for (at, source, fields) in &frames {
            let [opcode, sender, target, sender_mac, to]: &[String; 5] =
                fields.as_slice().try_into().unwrap();
            if source != mac {
                continue;
            }
            assert_eq!((sender_mac, target.as_str(), to.as_str()), (mac, VIP, "ff:ff:ff:ff:ff:ff"));
            match (opcode.as_str(), sender.as_str()) {
                ("1", "0.0.0.0") => said.probes.push(*at),
                ("1", VIP) => requests.push(*at),
                ("2", VIP) => replies.push(*at),
                other => panic!("{other:?} at {at}"),
            }
        }
        assert_eq!(requests.len(), replies.len());
        assert!(requests.iter().zip(&replies).all(|(a, b)| (a - b).abs() < 0.1), "{requests:?} {replies:?}");
        said.announcements = requests;
        said
    })
}

/// The kernel's own solicitations and answers go elsewhere: to one who asked, or for other targets.
fn ndp(recorded: &Recorded, macs: &[String; 2]) -> [Said; 2] {
    let filter = format!("icmpv6.nd.ns.target_address == {VIP6} || icmpv6.nd.na.target_address == {VIP6}");
    let fields = ["icmpv6.type", "ipv6.src", "ipv6.dst", "ipv6.hlim", "icmpv6.checksum.status"];
    let more = ["icmpv6.nd.na.flag.o", "icmpv6.nd.na.flag.s", "icmpv6.opt.linkaddr", "icmpv6.opt.type"];
    let frames = recorded.frames(&filter, &[&fields[..], &more].concat());
    macs.each_ref().map(|mac| {
        let mut said = Said::default();
        for (at, _, fields) in frames.iter().filter(|(_, source, _)| source == mac) {
            match fields[0].as_str() {
                "135" => said.probes.push(is_a_probe(*at, fields)),
                _ => said.announcements.push(is_an_advertisement(*at, mac, fields)),
            }
        }
        said
    })
}

/// RFC 4862 §5.4.2: from the unspecified address, to the solicited-node group, without a link-layer address.
fn is_a_probe(at: f64, fields: &Fields) -> f64 {
    assert_eq!(fields[1..5], ["::", "ff02::1:ff00:100", "255", "1"]);
    assert_eq!(fields[7], "");
    at
}

/// RFC 4861 §7.2.6: to all nodes, unsolicited, overriding, with the target's link-layer address.
fn is_an_advertisement(at: f64, mac: &str, fields: &Fields) -> f64 {
    assert_eq!(fields[1..5], [VIP6, "ff02::1", "255", "1"]);
    assert!(matches!(fields[5].as_str(), "1" | "True"), "{fields:?}");
    assert!(matches!(fields[6].as_str(), "0" | "False"), "{fields:?}");
    assert_eq!(fields[7..], [mac, "2"]);
    at
}

/// Three probes within 30 ms, said at once, after 1.1 s and after 5 s, and then nothing for ten seconds.
fn is_a_take_over(said: &Said, seconds: u32) {
    let [first, _, last] = said.probes[..] else { panic!("{said:?}") };
    let [once, twice, thrice] = said.announcements[..] else { panic!("{said:?}") };
    assert!(last - first < 0.03 + BUSY && first < last, "{said:?}");
    assert!(once > last && once - first < 0.05 + BUSY, "{said:?}");
    assert!((twice - once - 1.1).abs() < BUSY, "{said:?}");
    assert!((thrice - once - f64::from(seconds)).abs() < BUSY, "{said:?}");
}

/// Its predecessor has just said that it let go: nobody is asked.
fn is_a_hand_over(said: &Said) {
    let [once, twice] = said.announcements[..] else { panic!("{said:?}") };
    assert_eq!(said.probes, [0.0; 0]);
    assert!((twice - once - 1.1).abs() < BUSY, "{said:?}");
}

/// Seconds that a loaded machine may add.
const BUSY: f64 = 0.15;
