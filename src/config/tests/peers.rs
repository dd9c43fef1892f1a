//! kube-vip's grammar of peers, and the same as a list of mappings.

use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use proptest::prelude::*;
use vipcast_proto::bgp::types::{Asn, Family};

use super::super::bgp::{Authentication, Bfd, NextHop, Peer, PeerAt, RemoteAs};
use super::super::{Password, Secret, print};
use super::bgp::{BGP, speaker};
use super::{complaints, with};

fn peers(text: &str) -> Vec<Peer> {
    speaker(&[("bgp_peers", text)]).peers
}

/// One, without BFD and the like.
fn peer(address: &str, remote_as: u32) -> Peer {
    peers(&format!("{address}:{remote_as}")).remove(0)
}

fn refused(text: &str) -> Vec<String> {
    complaints(&[BGP, &[("bgp_peers", text)]].concat())
}

fn md5(password: &str) -> Option<Authentication> {
    Some(Authentication::Md5(Password::Given(Secret::password(password).unwrap())))
}

fn hops(hops: u8) -> Option<NonZeroU8> {
    NonZeroU8::new(hops)
}

#[test]
fn peers_are_read_with_and_without_everything_that_may_be_absent() {
    let plain = peer("192.0.2.1", 65001);
    let password = Peer { authentication: md5("secret"), ..plain.clone() };
    let mut multihop = plain.clone();
    multihop.distance.hops = hops(50);
    let port = Peer { port: NonZeroU16::new(1790).unwrap(), ..plain.clone() };
    let table = [
        ("192.0.2.1:65001", &plain),
        ("192.0.2.1:65001:", &plain),
        ("192.0.2.1:65001::", &plain),
        ("192.0.2.1:65001::false", &plain),
        ("192.0.2.1:65001::false:179", &plain),
        ("192.0.2.1:65001::false:179::", &plain),
        ("192.0.2.1:65001::false:::", &plain),
        ("192.0.2.1:65001::False::false", &plain),
        ("[192.0.2.1]:65001", &plain),
        (" 192.0.2.1:65001 ", &plain),
        ("192.0.2.1:0.65001", &plain),
        ("192.0.2.1:65001:secret", &password),
        ("192.0.2.1:65001:secret:false", &password),
        ("192.0.2.1:65001::true", &multihop),
        ("192.0.2.1:65001::1", &multihop),
        ("192.0.2.1:65001::false:1790", &port),
    ];
    for (text, expected) in table {
        assert_eq!(peers(text), std::slice::from_ref(expected), "{text}");
    }
}

#[test]
fn next_hops_and_bfd_stand_behind_the_port_or_in_its_place() {
    let both = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];
    let fixed = NextHop::Fixed { ipv4: None, ipv6: Some("2001:db8::5".parse().unwrap()) };
    let bfd = Bfd {
        transmit_interval: Duration::from_millis(200),
        receive_interval: Duration::from_millis(100),
        multiplier: NonZeroU8::new(4).unwrap(),
        multihop: false,
        strict: false,
    };
    let expected =
        Peer { families: both.into(), next_hop: fixed, bfd: Some(bfd), ..peer("192.0.2.1", 65001) };
    let next_hop = "mpbgp_nexthop=fixed;mpbgp_ipv6=[2001:db8::5]";
    for port in ["179:", "", ":"] {
        let text = format!("192.0.2.1:65001::false:{port}{next_hop}:true;100;200;4");
        assert_eq!(peers(&text), std::slice::from_ref(&expected), "{text}");
    }
    let only = Peer { bfd: Some(bfd), ..peer("192.0.2.1", 65001) };
    for text in ["192.0.2.1:65001::false:179::true;100;200;4", "192.0.2.1:65001::false::true;100;200;4"] {
        assert_eq!(peers(text), std::slice::from_ref(&only), "{text}");
    }
    let found = peers("192.0.2.1:65001::false:179:mpbgp_nexthop=auto_sourceif").remove(0);
    assert_eq!((found.next_hop, found.families), (NextHop::Found, both.into()));
}

#[test]
fn several_peers_of_all_kinds() {
    let found = peers(
        "192.0.2.1:65001,[2001:db8::1]:65002::true:1790, [fe80::1%eth0]:65003,unnumbered:eth1:65004:pw,unnumbered:eth2",
    );
    let both = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];
    let at = |peer: &Peer| (peer.at.to_string(), peer.remote_as, peer.port.get(), peer.distance.hops);
    assert_eq!(
        found.iter().map(at).collect::<Vec<_>>(),
        [
            ("192.0.2.1".to_owned(), RemoteAs::Is(Asn(65001)), 179, hops(1)),
            ("2001:db8::1".to_owned(), RemoteAs::Is(Asn(65002)), 1790, hops(50)),
            ("fe80::1%eth0".to_owned(), RemoteAs::Is(Asn(65003)), 179, hops(1)),
            ("unnumbered:eth1".to_owned(), RemoteAs::Is(Asn(65004)), 179, hops(1)),
            ("unnumbered:eth2".to_owned(), RemoteAs::Any, 179, hops(1)),
        ]
    );
    assert_eq!(found[1].families, [Family::IPV6_UNICAST].into());
    assert_eq!(found[2].families, both.into());
    assert_eq!(found[3].authentication, md5("pw"));
}

#[test]
fn what_the_grammar_cannot_say_is_refused_in_words_that_show_no_password() {
    let other = "write address:AS:password:multihop:port; a password with a colon or a comma goes into a file, a Secret or the \
                 list of the configuration file";
    let table = [
        (
            "192.0.2.1:65001:pass:word:false",
            format!("bgp_peers[0].multihop=*** (environment): neither true nor false; {other}"),
        ),
        (
            "192.0.2.1:65001:pass:true:word",
            format!(
                "bgp_peers[0] (environment): what follows multihop is neither a port nor mpbgp_…=… nor BFD's \
                 true;300;300;3; {other}"
            ),
        ),
        (
            "2001:db8::1:65001",
            "bgp_peers[0].address=*** (environment): an IPv6 address without brackets; write for example [2001:db8::1]:65001"
                .into(),
        ),
        (
            "192.0.2.1:65001,",
            "bgp_peers[1] (environment): empty; write peers separated by single commas".into(),
        ),
        (
            "1,9,2,.,0,.,2,.,1,:,6,5",
            "bgp_peers (environment): taken apart into single characters; give Kubespray a list, and not a text, of peers"
                .into(),
        ),
        (
            "192.0.2.1:65001::false:179::true;300000;300;3",
            "bgp_peers[0].bfd.receiveInterval=*** (environment): would be milliseconds here, and looks like microseconds; \
             write a thousandth of it, such as 300 for 300000"
                .into(),
        ),
        (
            "192.0.2.1:65001::false:179::true;300",
            "bgp_peers[0].bfd=*** (environment): neither all four fields nor one; write for example true;300;300;3".into(),
        ),
        (
            "192.0.2.1:65001::false:179:mpbgp_ipv7=1",
            "bgp_peers[0].nextHop=*** (environment): an unknown name among those of mpbgp; \
             write mpbgp_nexthop, mpbgp_ipv4 and mpbgp_ipv6"
                .into(),
        ),
        (
            "192.0.2.1:65001::false:179:180",
            format!("bgp_peers[0].port=*** (environment): there twice; {other}"),
        ),
        (
            "192.0.2.1",
            "bgp_peers[0] (environment): without an AS number; add as, the router's".into(),
        ),
        (
            "router1:65001",
            "bgp_peers[0].address=*** (environment): not an IP address; \
             write an address of a host, such as 192.0.2.1 or 2001:db8::1"
                .into(),
        ),
        (
            "192.0.2.1:0",
            "bgp_peers[0].as=0 (environment): reserved by RFC 7607, nobody has it; \
             write 1 to 4294967294, or as asdot 1.10"
                .into(),
        ),
        (
            "[{address: 192.0.2.1, as: 65001, password: hunter2}",
            "bgp_peers (environment): not a list of mappings; \
             write a list of mappings in YAML or JSON, such as [{address: 192.0.2.1, as: 65001}]"
                .into(),
        ),
        (
            "192.0.2.1:65001,192.0.2.1:65002::false:179",
            "bgp_peers[1] (environment): there twice; write every router once".into(),
        ),
    ];
    for (text, complaint) in table {
        assert_eq!(refused(text), [complaint], "{text}");
    }
    let many = "192.0.2.1:65001,".repeat(257);
    assert_eq!(refused(&many), ["bgp_peers (environment): more than 256 peers; write fewer"]);
    let long = format!("192.0.2.1:65001:{}", "x".repeat(81));
    assert_eq!(
        refused(&long),
        ["bgp_peers[0].password=*** (environment): longer than the 80 octets that TCP takes; \
          write the password that the router has, of at most 80 octets"]
    );
}

#[test]
fn an_ipv6_next_hop_without_brackets_is_told_that_it_needs_them() {
    for text in ["mpbgp_ipv6=2001:db8::5", "mpbgp_nexthop=fixed;mpbgp_ipv6=2001:db8::5;mpbgp_ipv4=192.0.2.1"]
    {
        assert_eq!(
            refused(&format!("192.0.2.1:65001::false:179:{text}")),
            ["bgp_peers[0].nextHop.ipv6=*** (environment): an IPv6 address without brackets; \
              write brackets around it, such as mpbgp_ipv6=[2001:db8::1]"],
            "{text}"
        );
    }
}

#[test]
fn every_wrong_field_of_every_peer_in_the_grammar_is_said_at_once() {
    let other = "write address:AS:password:multihop:port; a password with a colon or a comma goes into a file, a Secret or the \
                 list of the configuration file";
    assert_eq!(
        refused("router:mysecret::maybe:x,192.0.2.1:0,[2001:db8::1:65001:pwSECRET,192.0.2.2:1::false:0:true;x;300000;0"),
        [
            format!("bgp_peers[0].multihop=*** (environment): neither true nor false; {other}"),
            format!(
                "bgp_peers[0] (environment): what follows multihop is neither a port nor mpbgp_…=… nor BFD's \
                 true;300;300;3; {other}"
            ),
            "bgp_peers[0].address=*** (environment): not an IP address; \
             write an address of a host, such as 192.0.2.1 or 2001:db8::1"
                .into(),
            "bgp_peers[0].as=*** (environment): not an AS number; write 1 to 4294967294, or as asdot 1.10".into(),
            "bgp_peers[1].as=0 (environment): reserved by RFC 7607, nobody has it; \
             write 1 to 4294967294, or as asdot 1.10"
                .into(),
            "bgp_peers[2].address=*** (environment): without its closing bracket; write for example [2001:db8::1]:65001"
                .into(),
            "bgp_peers[3].bfd.receiveInterval=*** (environment): not a number of milliseconds; \
             write for example true;300;300;3"
                .into(),
            "bgp_peers[3].bfd.transmitInterval=*** (environment): would be milliseconds here, and looks like microseconds; \
             write a thousandth of it, such as 300 for 300000"
                .into(),
            "bgp_peers[3].port=*** (environment): not a port; write a number from 1 to 65535".into(),
            "bgp_peers[3].bfd.multiplier=*** (environment): not a whole number in range; write 1 to 255".into(),
        ]
    );
}

#[test]
fn nothing_of_a_text_that_is_wrong_is_shown_because_it_may_be_a_password() {
    for text in [
        "192.0.2.1:65001:my,SECRET:false",
        "192.0.2.1:65001:my,192.0.2.2:SECRET",
        "192.0.2.1:65001:my,fe80::1%SECRET/x:false",
        "192.0.2.1:65001:my,unnumbered:SECRET/:false",
        "[2001:db8::1:65001:SECRET",
        "[2001:db8::1:65001:SE]CRET,192.0.2.1:65001:SECRET",
        "2001:db8::1:65001:SECRET",
        "192.0.2.1:SECRET:65001",
        "192.0.2.1:65001:a:SECRET:false",
        "192.0.2.1:65001:a:false:SECRET",
        "192.0.2.1:65001:a:false:179:mpbgp_nexthop=SECRET",
        "192.0.2.1:65001:a:false:179:SECRET=fixed",
        "192.0.2.1:65001:a:false:179::true;SECRET;300;3",
        "192.0.2.1:65001:a:false:179::true;300;300;SECRET",
        "192.0.2.1:0:SECRET:false",
        "{address: 192.0.2.1, as: 65001, password: SECRET}",
        "[{address: 192.0.2.1, as: 65001, password: SECRET]",
        "[{address: 192.0.2.1, as: 65001, password: my, SECRET}]",
    ] {
        let wrong = with(&[BGP, &[("bgp_peers", text)]].concat()).unwrap_err();
        let shown = format!("{wrong} {wrong:?}");
        assert!(
            shown.contains("bgp_peers") && !shown.contains("SECRET") && !shown.contains("CRET"),
            "{text}: {shown}"
        );
    }
}

#[test]
fn errors_of_peers_are_said_beside_those_of_what_is_said_of_all() {
    let more = [
        ("bgp_as", "0"),
        ("vipcast_bgp_bfd_enabled", "maybe"),
        ("bgp_peers", "[{address: x, keepalive: 20, holdTime: 30, port: 0}, {address: 192.0.2.1, as: 0}]"),
    ];
    let names: Vec<_> = with(&[BGP, &more].concat())
        .unwrap_err()
        .problems
        .into_iter()
        .map(|problem| problem.setting)
        .collect();
    assert_eq!(
        names,
        [
            "bgp_as",
            "vipcast_bgp_bfd_enabled",
            "bgp_peers[0].address",
            "bgp_peers[0].port",
            "bgp_peers[0].keepalive",
            "bgp_peers[0]",
            "bgp_peers[1].as",
        ]
    );
}

#[test]
fn everything_that_is_wrong_with_any_peer_is_said_at_once() {
    assert_eq!(
        refused(
            "[{address: 192.0.2.1, as: 0, holdTime: 2}, {as: 65001}, 7, {address: fe80::1, as: 1, ports: 1}]"
        ),
        [
            "bgp_peers[0].as=0 (environment): reserved by RFC 7607, nobody has it; \
             write 1 to 4294967294, or as asdot 1.10",
            "bgp_peers[0].holdTime=2 (environment): neither 0 nor at least 3, which BGP demands (RFC 4271); \
             write 0, or 3 to 65535 seconds",
            "bgp_peers[1] (environment): without an address; add address, the router's",
            "bgp_peers[2] (environment): not a mapping; write key: value pairs",
            "bgp_peers[3].ports (environment): unknown, did you mean port?; vipcast config --schema lists every key",
            "bgp_peers[3].address=fe80::1 (environment): link-local, and so on no interface in particular; \
             write it with its interface, such as fe80::1%eth0",
        ]
    );
}

#[test]
fn the_grammar_and_a_list_of_mappings_say_the_same() {
    let grammar =
        peers("192.0.2.1:65001:secret:true:1790:mpbgp_nexthop=fixed;mpbgp_ipv6=[2001:db8::5]:true;100;200;4");
    let list = "[{address: 192.0.2.1, as: 65001, password: secret, multihop: true, port: 1790,
        nextHop: {mode: fixed, ipv6: '2001:db8::5'},
        bfd: {enabled: true, receiveInterval: 100ms, transmitInterval: 200ms, multiplier: 4}}]";
    assert_eq!(peers(list), grammar);
    let json = r#"[{"address":"192.0.2.1","as":65001,"password":"secret","multihop":50,"port":1790,
        "nextHop":{"ipv6":"2001:db8::5"},
        "bfd":{"enabled":true,"receiveInterval":"100ms","transmitInterval":"200ms","multiplier":4}}]"#;
    assert_eq!(peers(json), grammar);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_in_the_place_of_peers_panics(text in ".*", near in "[0-9a-f:;=,.\\[\\]{}%a-z \\-]{0,60}") {
        for text in [text, near.clone(), format!("192.0.2.1:65001:{near}"), format!("[{{{near}}}]")] {
            let _ = with(&[BGP, &[("bgp_peers", text.as_str())]].concat());
        }
    }

    #[test]
    fn a_password_with_separators_in_it_is_shown_nowhere(
        before in "[:,;=\\[\\]{} ]{0,3}", after in "[:,;=\\[\\]{} ]{0,3}"
    ) {
        let text = format!("192.0.2.1:65001:a{before}SECRET{after}z:false:179");
        let shown = match with(&[BGP, &[("bgp_peers", text.as_str())]].concat()) {
            Ok(resolved) => format!("{} {resolved:?}", print::table(&resolved.sources)),
            Err(wrong) => format!("{wrong} {wrong:?}"),
        };
        prop_assert!(!shown.contains("SECRET"), "{}: {}", text, shown);
    }

    #[test]
    fn a_peer_is_where_it_was_written(address: IpAddr, asn in 1..65_535_u32, port in 1..65_535_u16) {
        let text = format!("[{address}]:{asn}::false:{port}");
        if let Ok(resolved) = with(&[BGP, &[("bgp_peers", text.as_str())]].concat()) {
            let peer = resolved.config.bgp.unwrap().peers.remove(0);
            prop_assert_eq!(
                (peer.at, peer.remote_as, peer.port.get()),
                (PeerAt::Address(address), RemoteAs::Is(Asn(asn)), port)
            );
        }
    }
}
