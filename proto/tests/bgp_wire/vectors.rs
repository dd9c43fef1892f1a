//! UPDATEs of ours, octet by octet, by the RFC that asks for each octet.

use std::net::Ipv6Addr;

use bytes::BytesMut;
use ipnet::IpNet;
use vipcast_proto::bgp::types::{Asn, Attributes, Family, Message, NextHop, Update};
use vipcast_proto::bgp::wire::update::{announce, end_of_rib, withdraw};
use vipcast_proto::bgp::wire::{AsNumbers, Parameters, encode};

use crate::support::{EXTERNAL, INTERNAL, OLD, announced, answer, hex, message, taken};

/// By AS 65001 through 192.0.2.1.
pub(crate) fn attributes() -> Attributes {
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

/// Through 2001:db8::1.
pub(crate) fn v6(link_local: Option<Ipv6Addr>) -> NextHop {
    NextHop::V6 { address: "2001:db8::1".parse().unwrap(), link_local }
}

fn written(attributes: &Attributes, as_numbers: AsNumbers, prefixes: &[&str]) -> Vec<u8> {
    let mut written = BytesMut::new();
    let updates =
        announce(attributes, as_numbers, prefixes.iter().map(|p| p.parse::<IpNet>().unwrap()), &mut written);
    assert_eq!(updates, Ok(1));
    written.to_vec()
}

/// Writes, compares, and reads it back as `routes` without a flaw.
#[track_caller]
fn check(attributes: &Attributes, parameters: Parameters, prefixes: &[&str], expected: &str) {
    let written = written(attributes, parameters.as_numbers, prefixes);
    assert_eq!(written, message(2, &hex(expected)));
    assert_eq!(answer(parameters, &written), taken(announced(prefixes.len())));
}

#[test]
fn a_keepalive_is_a_header() {
    let mut written = BytesMut::new();
    encode::keepalive(&mut written);
    assert_eq!(written, message(4, &[]));
    assert_eq!(answer(EXTERNAL, &written), Ok(Message::Keepalive));
}

#[test]
fn rfc_4271_an_ipv4_route_to_an_external_peer() {
    let expected = "0000 0014 40010100 4002 06 02 01 0000fde9 4003 04 c0000201 20 cb007107";
    check(&attributes(), EXTERNAL, &["203.0.113.7/32"], expected);
}

#[test]
fn rfc_4271_an_ipv4_route_to_an_internal_peer() {
    let attributes = Attributes { as_path: vec![], local_pref: Some(100), ..attributes() };
    let expected = "0000 0015 40010100 4002 00 4003 04 c0000201 4005 04 00000064 20 cb007107";
    check(&attributes, INTERNAL, &["203.0.113.7/32"], expected);
}

#[test]
fn rfc_4271_a_prefix_has_as_many_octets_as_its_bits_need() {
    let expected =
        "0000 0014 40010100 4002 06 02 01 0000fde9 4003 04 c0000201 00 01 80 0c 0a10 18 cb0071 19 cb007180";
    // Host bits are not announced.
    let prefixes = ["0.0.0.0/0", "192.0.0.1/1", "10.16.255.255/12", "203.0.113.7/24", "203.0.113.129/25"];
    check(&attributes(), EXTERNAL, &prefixes, expected);
}

#[test]
fn rfc_4271_med_and_prepending() {
    let attributes = Attributes { as_path: vec![Asn(65001); 3], med: Some(7), ..attributes() };
    let expected = "0000 0023 40010100 4002 0e 02 03 0000fde9 0000fde9 0000fde9 4003 04 c0000201 8004 04 00000007 20 cb007107";
    check(&attributes, EXTERNAL, &["203.0.113.7/32"], expected);
}

#[test]
fn rfc_4271_a_segment_has_at_most_255_numbers() {
    let attributes = Attributes { as_path: vec![Asn(65001); 300], ..attributes() };
    let path = format!("02 ff {} 02 2d {}", "0000fde9".repeat(255), "0000fde9".repeat(45));
    let expected = format!("0000 04c3 40010100 5002 04b4 {path} 4003 04 c0000201 20 cb007107");
    check(&attributes, EXTERNAL, &["203.0.113.7/32"], &expected);
}

#[test]
fn rfc_6793_a_speaker_of_two_octets_gets_as_trans_and_as4_path() {
    let mapped = "0000 0012 40010100 4002 04 02 01 fde9 4003 04 c0000201 20 cb007107";
    check(&attributes(), OLD, &["203.0.113.7/32"], mapped);
    let attributes = Attributes { as_path: vec![Asn(4_200_000_001), Asn(65001)], ..attributes() };
    let expected = "0000 0021 40010100 4002 06 02 02 5ba0 fde9 4003 04 c0000201 c011 0a 02 02 fa56ea01 0000fde9 20 cb007107";
    check(&attributes, OLD, &["203.0.113.7/32"], expected);
    let four = "0000 0018 40010100 4002 0a 02 02 fa56ea01 0000fde9 4003 04 c0000201 20 cb007107";
    check(&attributes, EXTERNAL, &["203.0.113.7/32"], four);
}

#[test]
fn rfc_1997_4360_8092_communities() {
    let attributes = Attributes {
        communities: vec![0xfde9_0001, 0xffff_0000],
        // Link bandwidth of 1.25e9 octets per second (RFC 10005).
        extended_communities: vec![[0x40, 0x04, 0xfd, 0xe9, 0x4e, 0x95, 0x02, 0xf9]],
        large_communities: vec![[65001, 1, 2]],
        ..attributes()
    };
    let expected = "0000 0039 40010100 4002 06 02 01 0000fde9 4003 04 c0000201 c008 08 fde90001 ffff0000 \
                    c010 08 4004 fde9 4e9502f9 c020 0c 0000fde9 00000001 00000002 20 cb007107";
    check(&attributes, EXTERNAL, &["203.0.113.7/32"], expected);
}

#[test]
fn rfc_4271_more_than_255_octets_need_an_extended_length() {
    let attributes = Attributes { communities: (0..64).collect(), ..attributes() };
    let communities: String = (0..64).map(|community| format!("{community:08x}")).collect();
    let expected =
        format!("0000 0118 40010100 4002 06 02 01 0000fde9 4003 04 c0000201 d008 0100 {communities} 00");
    check(&attributes, EXTERNAL, &["0.0.0.0/0"], &expected);
}

#[test]
fn rfc_4760_2545_7606_an_ipv6_route_comes_first() {
    let attributes = Attributes { next_hop: v6(None), ..attributes() };
    let expected = "0000 0037 900e 0026 0002 01 10 20010db8000000000000000000000001 00 \
                    80 20010db8000000000000000000000007 40010100 4002 06 02 01 0000fde9";
    check(&attributes, EXTERNAL, &["2001:db8::7/128"], expected);
}

#[test]
fn rfc_2545_a_link_local_next_hop_follows_the_global_one() {
    let attributes = Attributes { next_hop: v6(Some("fe80::1".parse().unwrap())), ..attributes() };
    let expected = "0000 0039 900e 0028 0002 01 20 20010db8000000000000000000000001 fe800000000000000000000000000001 00 \
                    10 2001 40010100 4002 06 02 01 0000fde9";
    check(&attributes, EXTERNAL, &["2001::/16"], expected);
}

#[test]
fn rfc_8950_an_ipv4_route_with_an_ipv6_next_hop() {
    let attributes = Attributes { next_hop: v6(None), ..attributes() };
    let expected = "0000 002b 900e 001a 0001 01 10 20010db8000000000000000000000001 00 20 cb007107 \
                    40010100 4002 06 02 01 0000fde9";
    let parameters = Parameters { extended_next_hop: true, ..EXTERNAL };
    check(&attributes, parameters, &["203.0.113.7/32"], expected);
}

#[test]
fn rfc_4271_and_4760_withdrawals() {
    let withdrawals = |prefixes: &[&str]| {
        let mut written = BytesMut::new();
        let updates = withdraw(prefixes.iter().map(|p| p.parse::<IpNet>().unwrap()), &mut written);
        (updates, written.to_vec())
    };
    let ipv4 = message(2, &hex("0009 20 cb007107 18 cb0071 0000"));
    assert_eq!(withdrawals(&["203.0.113.7/32", "203.0.113.0/24"]), (1, ipv4.clone()));
    let ipv6 = message(2, &hex("0000 0018 900f 0014 0002 01 80 20010db8000000000000000000000007"));
    assert_eq!(withdrawals(&["2001:db8::7/128"]), (1, ipv6.clone()));
    let both = [&ipv4[..], &ipv6].concat();
    assert_eq!(withdrawals(&["203.0.113.7/32", "203.0.113.0/24", "2001:db8::7/128"]), (2, both));
    assert_eq!(withdrawals(&[]), (0, vec![]));
    assert_eq!(answer(EXTERNAL, &ipv4), taken(Update { withdrawn: 2, ..Update::default() }));
    assert_eq!(answer(EXTERNAL, &ipv6), taken(Update { withdrawn: 1, ..Update::default() }));
}

#[test]
fn rfc_4724_end_of_rib() {
    for (family, body) in [
        (Family::IPV4_UNICAST, "0000 0000"),
        (Family::IPV6_UNICAST, "0000 0007 900f 0003 0002 01"),
        (Family { afi: 1, safi: 2 }, "0000 0007 900f 0003 0001 02"),
    ] {
        let mut written = BytesMut::new();
        end_of_rib(family, &mut written);
        assert_eq!(written, message(2, &hex(body)));
        assert_eq!(
            answer(EXTERNAL, &written),
            taken(Update { end_of_rib: Some(family), ..Update::default() })
        );
    }
}

#[test]
fn an_ipv6_route_without_an_ipv6_next_hop_is_passed_over() {
    let mut octets = BytesMut::new();
    let prefixes = ["2001:db8::7/128", "203.0.113.7/32"].map(|prefix| prefix.parse().unwrap());
    assert_eq!(announce(&attributes(), AsNumbers::FourOctets, prefixes, &mut octets), Ok(1));
    assert_eq!(octets, written(&attributes(), AsNumbers::FourOctets, &["203.0.113.7/32"]));
}
