//! What Wireshark reads in our BGP messages, field by field, and that it finds nothing wrong with any.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, ExitCode};

use bytes::BytesMut;
use ipnet::IpNet;
use vipcast_proto::bgp::types::{
    Asn, Attributes, Capability, Family, GracefulRestart, NextHop, Notification, Open, RouteRefresh,
};
use vipcast_proto::bgp::wire::notification::{cease, hard_reset};
use vipcast_proto::bgp::wire::update::{announce, end_of_rib, withdraw};
use vipcast_proto::bgp::wire::{AsNumbers, Refused, encode};

use self::support::{Needs, trial};

fn main() -> ExitCode {
    let tshark = &[Needs::Program("tshark")];
    support::run(vec![
        trial("an_open_reads_as_it_was_meant", tshark, opens),
        trial("routes_read_as_they_were_meant", tshark, routes),
        trial("notifications_and_refreshes_read_as_they_were_meant", tshark, others),
        trial("a_hundred_thousand_routes_are_read_without_a_flaw", tshark, full),
    ])
}

fn opens() {
    let restart = GracefulRestart {
        restarting: true,
        notification: true,
        restart_time: 120,
        families: vec![(Family::IPV4_UNICAST, true)],
    };
    let open = Open {
        my_as: Asn::TRANS.two_octets(),
        hold_time: 9,
        identifier: [192, 0, 2, 1].into(),
        capabilities: vec![
            Capability::MultiProtocol(Family::IPV6_UNICAST),
            Capability::RouteRefresh,
            Capability::ExtendedNextHop(vec![(Family::IPV4_UNICAST, 2)]),
            Capability::GracefulRestart(restart),
            Capability::FourOctetAs(Asn(4_200_000_001)),
            Capability::EnhancedRouteRefresh,
        ],
    };
    let read = read(&[message(|into| encode::open(&open, into)), message(encode::keepalive)]);
    let expected = "type=1 open.version=4 open.myas=23456 open.holdtime=9 open.identifier=192.0.2.1 \
                    cap.type=1,2,5,64,65,70 cap.mp.afi=2 cap.mp.safi=1 cap.enh.afi=1 cap.enh.safi=1 \
                    cap.enh.nhafi=2 cap.gr.timers.restart_flag=1 cap.gr.timers.notification_flag=1 \
                    cap.gr.timers.restart_time=120 cap.gr.afi=1 cap.gr.flag.pfs=1 cap.4as=4200000001";
    assert_eq!(read, [expected, "type=4"]);
}

fn routes() {
    let by_ipv6 = |link_local| NextHop::V6 { address: "2001:db8::1".parse().unwrap(), link_local };
    let link_local = Some("fe80::1".parse().unwrap());
    let coloured = Attributes {
        med: Some(7),
        communities: vec![0xfde9_0001],
        extended_communities: vec![[0x40, 4, 0xfd, 0xe9, 0x4e, 0x95, 2, 0xf9]],
        large_communities: vec![[65001, 1, 2]],
        ..attributes()
    };
    let internal = Attributes { as_path: vec![], local_pref: Some(100), ..attributes() };
    let long = Attributes { as_path: vec![Asn(4_200_000_001), Asn(65001)], ..attributes() };
    let ipv6 = Attributes { next_hop: by_ipv6(link_local), ..attributes() };
    let extended = Attributes { next_hop: by_ipv6(None), ..attributes() };
    let withdrawals = |prefixes: &[&str]| message(|into| assert_eq!(withdraw(nets(prefixes), into), 1));
    let read = read(&[
        announcement(&attributes(), AsNumbers::FourOctets, &["203.0.113.7/32", "198.51.100.0/24"]),
        announcement(&coloured, AsNumbers::FourOctets, &["203.0.113.7/32"]),
        announcement(&internal, AsNumbers::FourOctets, &["203.0.113.7/32"]),
        announcement(&long, AsNumbers::TwoOctets, &["203.0.113.7/32"]),
        announcement(&ipv6, AsNumbers::FourOctets, &["2001:db8::7/128"]),
        announcement(&extended, AsNumbers::FourOctets, &["203.0.113.7/32"]),
        withdrawals(&["203.0.113.7/32"]),
        withdrawals(&["2001:db8::7/128"]),
        message(|into| end_of_rib(Family::IPV4_UNICAST, into)),
        message(|into| end_of_rib(Family::IPV6_UNICAST, into)),
    ]);
    assert_eq!(read, ROUTES);
}

const ROUTES: [&str; 10] = [
    "type=2 update.path_attribute.type_code=1,2,3 update.path_attribute.as_path_segment.as4=65001 \
     update.path_attribute.next_hop=192.0.2.1 prefix_length=32,24 nlri_prefix=203.0.113.7,198.51.100.0",
    "type=2 update.path_attribute.type_code=1,2,3,4,8,16,32 \
     update.path_attribute.as_path_segment.as4=65001 update.path_attribute.next_hop=192.0.2.1 \
     update.path_attribute.multi_exit_disc=7 update.path_attribute.community_as=65001 \
     update.path_attribute.community_value=1 \
     ext_com.type=0x40 ext_com.stype_ntr_as2=0x04 ext_com.value_as2=65001 \
     ext_com.value_link_bw=1.25e+09 \
     large_communities.ga=65001 large_communities.ldp1=1 large_communities.ldp2=2 \
     prefix_length=32 nlri_prefix=203.0.113.7",
    "type=2 update.path_attribute.type_code=1,2,3,5 update.path_attribute.next_hop=192.0.2.1 \
     update.path_attribute.local_pref=100 prefix_length=32 nlri_prefix=203.0.113.7",
    "type=2 update.path_attribute.type_code=1,2,3,17 \
     update.path_attribute.as_path_segment.as2=23456,65001 \
     update.path_attribute.as_path_segment.as4=4200000001,65001 \
     update.path_attribute.next_hop=192.0.2.1 prefix_length=32 nlri_prefix=203.0.113.7",
    "type=2 update.path_attribute.type_code=14,1,2 update.path_attribute.as_path_segment.as4=65001 \
     update.path_attribute.mp_reach_nlri.afi=2 \
     update.path_attribute.mp_reach_nlri.next_hop.ipv6=2001:db8::1 \
     update.path_attribute.mp_reach_nlri.next_hop.ipv6.link_local=fe80::1 \
     mp_reach_nlri_ipv6_prefix=2001:db8::7 prefix_length=128",
    "type=2 update.path_attribute.type_code=14,1,2 update.path_attribute.as_path_segment.as4=65001 \
     update.path_attribute.mp_reach_nlri.afi=1 \
     update.path_attribute.mp_reach_nlri.next_hop.ipv6=2001:db8::1 \
     mp_reach_nlri_ipv4_prefix=203.0.113.7 prefix_length=32",
    "type=2 withdrawn_prefix=203.0.113.7 prefix_length=32",
    "type=2 update.path_attribute.type_code=15 update.path_attribute.mp_unreach_nlri.afi=2 \
     mp_unreach_nlri_ipv6_prefix=2001:db8::7 prefix_length=128",
    "type=2",
    "type=2 update.path_attribute.type_code=15 update.path_attribute.mp_unreach_nlri.afi=2",
];

fn others() {
    let shutdown = cease(2, "node drain");
    let notification = |said: &Notification| message(|into| encode::notification(said, into));
    let refresh = RouteRefresh { family: Family::IPV6_UNICAST, subtype: 1 };
    let read = read(&[
        notification(&shutdown),
        notification(&hard_reset(&shutdown)),
        notification(&Refused::Length(18).notification()),
        message(|into| encode::route_refresh(&refresh, into)),
    ]);
    let expected = [
        "type=3 notify.major_error=6 notify.minor_error_cease=2 notify.communication_length=10 \
         notify.communication=node drain",
        "type=3 notify.major_error=6 notify.minor_error_cease=9 notify.minor_data=06020a6e6f646520647261696e",
        "type=3 notify.major_error=1 notify.minor_error=2 notify.minor_data=0012",
        "type=5 route_refresh.afi=2 route_refresh.subtype=1 route_refresh.safi=1",
    ];
    assert_eq!(read, expected);
}

fn full() {
    let mut octets = BytesMut::new();
    let nets = (0..100_000_u32).map(|n| IpNet::new((0x0a00_0000 + n).to_be_bytes().into(), 32).unwrap());
    assert_eq!(announce(&attributes(), AsNumbers::FourOctets, nets, &mut octets), Ok(124));
    let mut messages = Vec::new();
    while !octets.is_empty() {
        let length = usize::from(octets[16]) << 8 | usize::from(octets[17]);
        messages.push(octets.split_to(length).to_vec());
    }
    let read = read(&messages);
    let prefixes: Vec<&str> =
        read.iter().flat_map(|message| message.rsplit_once("nlri_prefix=").unwrap().1.split(',')).collect();
    let expected: Vec<String> =
        (0..100_000_u32).map(|n| std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string()).collect();
    assert!(prefixes == expected, "{} prefixes", prefixes.len());
}

fn attributes() -> Attributes {
    Attributes {
        as_path: vec![Asn(65001)],
        next_hop: NextHop::V4([192, 0, 2, 1].into()),
        med: None,
        local_pref: None,
        communities: vec![],
        extended_communities: vec![],
        large_communities: vec![],
    }
}

fn nets(prefixes: &[&str]) -> Vec<IpNet> {
    prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect()
}

fn announcement(attributes: &Attributes, as_numbers: AsNumbers, prefixes: &[&str]) -> Vec<u8> {
    message(|into| assert_eq!(announce(attributes, as_numbers, nets(prefixes), into), Ok(1)))
}

fn message(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut octets = BytesMut::new();
    write(&mut octets);
    octets.to_vec()
}

/// For each message, every field that Wireshark found, without the `bgp.` that they all begin with.
fn read(messages: &[Vec<u8>]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bgp.pcap");
    std::fs::write(&file, capture(messages)).unwrap();
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&file).args([
        "-n",
        "-T",
        "fields",
        "-E",
        "occurrence=a",
        "-e",
        "_ws.expert.message",
    ]);
    for field in FIELDS {
        command.args(["-e", &format!("bgp.{field}")]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(named).collect()
}

fn named(line: &str) -> String {
    let (expert, values) = line.split_once('\t').unwrap();
    assert!(expert.is_empty(), "Wireshark complains: {line}");
    let found = FIELDS.iter().zip(values.split('\t')).filter(|(_, value)| !value.is_empty());
    found.map(|(field, value)| format!("{field}={value}")).collect::<Vec<_>>().join(" ")
}

/// One TCP connection to port 179 as a capture of bare IPv4 packets, a message in each.
fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = [0xa1b2_c3d4, 0x0002_0004, 0, 0, 65535, 101_u32].map(u32::to_be_bytes).concat();
    let mut sequence = 1_u32;
    for message in messages {
        let length = u32::try_from(40 + message.len()).unwrap();
        octets.extend([0, 0, length, length].map(u32::to_be_bytes).concat());
        let ip = [0x4500_0000 | length, 0x0000_4000, 0x4006_0000, 0xc000_0201, 0xc000_0202];
        let tcp = [40_000 << 16 | 179, sequence, 1, 0x5018_ffff, 0];
        octets.extend(ip.map(u32::to_be_bytes).concat());
        octets.extend(tcp.map(u32::to_be_bytes).concat());
        octets.extend(message);
        sequence += length - 40;
    }
    octets
}

const FIELDS: [&str; 51] = [
    "type",
    "open.version",
    "open.myas",
    "open.holdtime",
    "open.identifier",
    "cap.type",
    "cap.mp.afi",
    "cap.mp.safi",
    "cap.enh.afi",
    "cap.enh.safi",
    "cap.enh.nhafi",
    "cap.gr.timers.restart_flag",
    "cap.gr.timers.notification_flag",
    "cap.gr.timers.restart_time",
    "cap.gr.afi",
    "cap.gr.flag.pfs",
    "cap.4as",
    "update.path_attribute.type_code",
    "update.path_attribute.as_path_segment.as2",
    "update.path_attribute.as_path_segment.as4",
    "update.path_attribute.next_hop",
    "update.path_attribute.multi_exit_disc",
    "update.path_attribute.local_pref",
    "update.path_attribute.community_as",
    "update.path_attribute.community_value",
    "ext_com.type",
    "ext_com.stype_ntr_as2",
    "ext_com.value_as2",
    "ext_com.value_link_bw",
    "large_communities.ga",
    "large_communities.ldp1",
    "large_communities.ldp2",
    "update.path_attribute.mp_reach_nlri.afi",
    "update.path_attribute.mp_reach_nlri.next_hop.ipv6",
    "update.path_attribute.mp_reach_nlri.next_hop.ipv6.link_local",
    "mp_reach_nlri_ipv4_prefix",
    "mp_reach_nlri_ipv6_prefix",
    "update.path_attribute.mp_unreach_nlri.afi",
    "mp_unreach_nlri_ipv6_prefix",
    "withdrawn_prefix",
    "prefix_length",
    "nlri_prefix",
    "notify.major_error",
    "notify.minor_error",
    "notify.minor_error_cease",
    "notify.minor_data",
    "notify.communication_length",
    "notify.communication",
    "route_refresh.afi",
    "route_refresh.subtype",
    "route_refresh.safi",
];
