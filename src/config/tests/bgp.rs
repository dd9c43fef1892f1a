//! The BGP speaker: what is accepted, what is refused, and what is only worth a word.

use std::net::Ipv4Addr;
use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use vipcast_proto::bgp::types::{Asn, Family, HoldTime};

use super::super::bgp::{
    AddressGroup, Attributes, Authentication, Bfd, Bgp, Distance, Drain, GracefulRestart, LinkBandwidth,
    NextHop, Peer, PeerAt, RemoteAs, RouterId, Source, TcpAoAlgorithm, stable_router_id,
};
use super::super::{
    Announced, Flags, HostFacts, Password, Problems, Resolved, Secret, SecretKey, print, resolve,
};
use super::{config, file, host, notices, pairs, with};

/// BGP in place of ARP.
pub(super) const BGP: &[(&str, &str)] = &[("vip_arp", ""), ("bgp_enable", "true")];

/// And a router.
const PEER: (&str, &str) = ("bgp_peers", "198.51.100.1:65001");

/// Shorter than a Lease lasts.
const HOLD: (&str, &str) = ("bgp_hold_time", "9");

pub(super) fn speaker(more: &[(&str, &str)]) -> Bgp {
    config(&[BGP, more].concat()).bgp.unwrap()
}

fn speaks(more: &[(&str, &str)]) -> Result<Resolved, Problems> {
    with(&[BGP, &[PEER], more].concat())
}

pub(super) fn complaints(more: &[(&str, &str)]) -> Vec<String> {
    speaks(more).unwrap_err().problems.iter().map(ToString::to_string).collect()
}

pub(super) fn words(more: &[(&str, &str)]) -> Vec<String> {
    speaks(more).unwrap().notices.iter().map(ToString::to_string).collect()
}

/// A file with these lines below `bgp`, whose first line is the fifth.
pub(super) fn with_file(lines: &str) -> Result<Resolved, Problems> {
    file(&format!("controlPlane:\n  enabled: true\n  address: 192.0.2.10\nbgp:\n  enabled: true\n{lines}"))
}

fn router() -> Peer {
    Peer {
        at: PeerAt::Address("198.51.100.1".parse().unwrap()),
        port: NonZeroU16::new(179).unwrap(),
        remote_as: RemoteAs::Is(Asn(65001)),
        authentication: None,
        source: Source::Found,
        distance: Distance { hops: NonZeroU8::new(1), gtsm: false },
        hold_time: HoldTime::new(30).unwrap(),
        keepalive: None,
        connect_retry: Duration::from_secs(30),
        send_hold: None,
        families: [Family::IPV4_UNICAST].into(),
        bfd: None,
        graceful_restart: None,
        next_hop: NextHop::Own,
        attributes: Attributes::default(),
    }
}

#[test]
fn a_vip_a_switch_and_a_router_are_enough() {
    let resolved = speaks(&[]).unwrap();
    let bgp = resolved.config.bgp.unwrap();
    let expected = Bgp {
        local_as: Asn(65000),
        router_id: RouterId::OfNode { otherwise: stable_router_id("cp1") },
        peers: vec![router()],
        address_groups: vec![],
        node_annotations: None,
        drain: Drain { wait: Duration::ZERO, cordoned: true, communication: None },
        coalesce: Duration::from_millis(5),
        said: bgp.said.clone(),
    };
    let control_plane = resolved.config.control_plane.unwrap();
    assert_eq!(
        (bgp, resolved.config.layer2, control_plane.announced, resolved.notices),
        (expected, None, Announced::ByEveryHealthyNode, vec![])
    );
}

#[test]
fn kube_vips_variables_for_one_router_say_everything_that_they_say_there() {
    let bgp = speaker(&[
        ("bgp_routerid", "192.0.2.1"),
        ("bgp_as", "65010"),
        ("bgp_peeraddress", "2001:db8::1"),
        ("bgp_peeras", "64086.59904"),
        ("bgp_peerpass", "secret"),
        ("bgp_multihop", "true"),
        ("bgp_sourceip", "2001:db8::5"),
        ("bgp_hold_time", "9"),
        ("bgp_keepalive_interval", "3"),
        ("mpbgp_nexthop", "fixed"),
        ("mpbgp_ipv4", "192.0.2.1"),
    ]);
    let expected = Peer {
        at: PeerAt::Address("2001:db8::1".parse().unwrap()),
        remote_as: RemoteAs::Is(Asn(4_200_000_000)),
        authentication: Some(Authentication::Md5(Password::Given(Secret::password("secret").unwrap()))),
        source: Source::Address("2001:db8::5".parse().unwrap()),
        distance: Distance { hops: NonZeroU8::new(50), gtsm: false },
        hold_time: HoldTime::new(9).unwrap(),
        keepalive: Some(Duration::from_secs(3)),
        families: [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into(),
        next_hop: NextHop::Fixed { ipv4: Some([192, 0, 2, 1].into()), ipv6: None },
        ..router()
    };
    let id = RouterId::Given(Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!((bgp.local_as, bgp.router_id, bgp.peers), (Asn(65010), id, vec![expected]));
}

#[test]
fn what_kubespray_renders_for_bgp_works_as_it_is() {
    let rendered = [
        ("vip_arp", "False"),
        ("cp_enable", "true"),
        ("address", "10.42.42.42"),
        ("vip_subnet", "32"),
        ("bgp_enable", "true"),
        ("bgp_routerid", "None"),
        ("bgp_as", "65000"),
        ("bgp_peeraddress", ""),
        ("bgp_peerpass", ""),
        ("bgp_peeras", "65000"),
        ("bgp_peers", "192.0.2.1:65000::false,192.0.2.2:65000::false"),
    ];
    let resolved = resolve(&Flags::default(), pairs(&rendered).into_iter(), None, &host()).unwrap();
    let bgp = resolved.config.bgp.unwrap();
    let at: Vec<_> = bgp.peers.iter().map(|peer| (peer.at.to_string(), peer.distance.ttl())).collect();
    assert_eq!(at, [("192.0.2.1".to_owned(), None), ("192.0.2.2".to_owned(), None)]);
    assert_eq!(bgp.router_id, RouterId::OfNode { otherwise: stable_router_id("cp1") });
    assert_eq!(resolved.notices, vec![]);
}

#[test]
fn the_file_says_everything() {
    let resolved = with_file(
        "  localAs: 4200000001
  routerId: 10.0.0.1
  holdTime: 9
  keepalive: 3
  families: [ipv4, ipv6]
  communities: [65000:100]
  bfd: {enabled: true, multiplier: 5}
  passwordFile: /etc/vipcast/password
  coalesce: 20ms
  drain: {wait: 2s, cordoned: false, communication: node is drained}
  peers:
    - address: 198.51.100.1
      port: 1790
      as: 65001
      passwordSecret: {name: routers, key: rack-1}
      tcpAo: {sendId: 7, receiveId: 8, algorithm: hmac-sha-256}
      sourceInterface: eth0
      multihop: 3
      gtsm: true
      holdTime: 90
      connectRetry: 10s
      sendHold: 10m
      bfd: {transmitInterval: 100ms, receiveInterval: 150ms, multiplier: 4, strict: true}
      gracefulRestart: {enabled: false}
      nextHop: {ipv6: '2001:db8::5'}
      communities: [no-export, '65000:200']
      largeCommunities: ['4200000001:1:2']
      extendedCommunities: rt:65000:1
      linkBandwidth: 10G
      med: 50
      prepend: 2
    - {interface: eth1, as: external, bfd: {enabled: false}, gracefulRestart: {enabled: true, restartTime: 60s}}
    - {address: fe80::1, interface: eth2, as: 65001}
  addressGroups:
    - {prefixes: [192.0.2.0/24, 2001:db8::/64], med: 10}
    - {prefixes: 192.0.2.10, med: 20, localPreference: 300, nextHop: {mode: found}}
",
    )
    .unwrap();
    let bgp = resolved.config.bgp.unwrap();
    let [first, second, third] = <[Peer; 3]>::try_from(bgp.peers.clone()).unwrap();
    let secret = SecretKey { namespace: "kube-system".into(), name: "routers".into(), key: "rack-1".into() };
    let expected = Peer {
        port: NonZeroU16::new(1790).unwrap(),
        authentication: Some(Authentication::TcpAo {
            password: Password::Kubernetes(secret),
            send_id: 7,
            receive_id: 8,
            algorithm: TcpAoAlgorithm::HmacSha256,
        }),
        source: Source::Interface("eth0".into()),
        distance: Distance { hops: NonZeroU8::new(3), gtsm: true },
        hold_time: HoldTime::new(90).unwrap(),
        // The three seconds went with the other hold time.
        keepalive: None,
        connect_retry: Duration::from_secs(10),
        send_hold: Some(Duration::from_secs(600)),
        families: [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into(),
        bfd: Some(Bfd {
            transmit_interval: Duration::from_millis(100),
            receive_interval: Duration::from_millis(150),
            multiplier: NonZeroU8::new(4).unwrap(),
            multihop: true,
            strict: true,
        }),
        next_hop: NextHop::Fixed { ipv4: None, ipv6: Some("2001:db8::5".parse().unwrap()) },
        attributes: Attributes {
            communities: [(65000 << 16) | 100, (65000 << 16) | 200, 0xffff_ff01].into(),
            large_communities: [[4_200_000_001, 1, 2]].into(),
            extended_communities: [[0, 2, 0xfd, 0xe8, 0, 0, 0, 1]].into(),
            link_bandwidth: Some(LinkBandwidth { bits_per_second: 10_000_000_000 }),
            med: Some(50),
            local_preference: None,
            prepend: Some(2),
        },
        ..router()
    };
    assert_eq!(first, expected);
    let restart = Some(GracefulRestart { restart_time: 60 });
    assert_eq!((second.bfd, second.graceful_restart, second.remote_as), (None, restart, RemoteAs::External));
    assert_eq!(
        second.authentication,
        Some(Authentication::Md5(Password::File("/etc/vipcast/password".into())))
    );
    assert_eq!(
        (second.at.to_string(), third.at.to_string()),
        ("unnumbered:eth1".into(), "fe80::1%eth2".into())
    );
    assert_eq!(third.bfd.map(|bfd| (bfd.multiplier.get(), bfd.multihop)), Some((5, false)));
    assert_eq!((bgp.local_as, bgp.coalesce), (Asn(4_200_000_001), Duration::from_millis(20)));
    let communication = Some("node is drained".to_owned());
    assert_eq!(bgp.drain, Drain { wait: Duration::from_secs(2), cordoned: false, communication });
    let group = |prefix: &str, med, preference, next_hop| AddressGroup {
        prefix: prefix.parse().unwrap(),
        attributes: Attributes { med: Some(med), local_preference: preference, ..Attributes::default() },
        next_hop,
    };
    let groups = [
        group("2001:db8::/64", 10, None, None),
        group("192.0.2.10/32", 20, Some(300), Some(NextHop::Found)),
        group("192.0.2.0/24", 10, None, None),
    ];
    assert_eq!(bgp.address_groups, groups);
}

#[test]
fn the_most_specific_group_of_a_vip_counts() {
    let bgp = with_file(
        "  communities: 65000:1
  med: 1
  peers: [{address: 198.51.100.1, as: 65001, communities: '65000:2'}]
  addressGroups:
    - {prefixes: 192.0.2.0/24, communities: '65000:3', med: 3, nextHop: {ipv4: 192.0.2.7}}
    - {prefixes: 192.0.2.10/32, communities: '65000:4'}
",
    )
    .unwrap()
    .config
    .bgp
    .unwrap();
    let peer = &bgp.peers[0];
    let said = |vip: &str| {
        let vip = vip.parse().unwrap();
        let attributes = bgp.attributes(peer, vip);
        let communities: Vec<_> = attributes.communities.iter().map(|community| community & 0xffff).collect();
        (communities, attributes.med, bgp.next_hop(peer, vip))
    };
    let fixed = NextHop::Fixed { ipv4: Some([192, 0, 2, 7].into()), ipv6: None };
    assert_eq!(said("192.0.2.10"), (vec![1, 2, 4], Some(1), NextHop::Own));
    assert_eq!(said("192.0.2.11"), (vec![1, 2, 3], Some(3), fixed));
    assert_eq!(said("203.0.113.1"), (vec![1, 2], Some(1), NextHop::Own));
}

#[test]
fn who_announces_is_the_holder_where_somebody_elects() {
    let announced = |more: &[(&str, &str)]| {
        let config = speaks(more).unwrap().config;
        (config.control_plane.unwrap().announced, config.layer2.is_some())
    };
    assert_eq!(announced(&[]), (Announced::ByEveryHealthyNode, false));
    assert_eq!(announced(&[("vip_leaderelection", "true")]), (Announced::ByTheHolder, false));
    assert_eq!(announced(&[("vip_arp", "true")]), (Announced::ByTheHolder, true));
    let both = [("vip_arp", "true"), ("vip_leaderelection", "false"), HOLD];
    assert_eq!(announced(&both), (Announced::ByTheHolder, true));
    assert_eq!(
        words(&both),
        ["vip_leaderelection: no effect: announcing by ARP always elects, as in kube-vip"]
    );
    assert_eq!(
        words(&[("vipcast_health_enabled", "false")]),
        [
            "vipcast_health_enabled: switched off, and every node announces the VIP: routers send requests also to nodes whose \
          API server does not answer. Leave it on, or set vip_leaderelection=true"
        ]
    );
    assert_eq!(
        words(&[("vipcast_health_enabled", "false"), ("vip_leaderelection", "true"), HOLD]),
        Vec::<String>::new()
    );
}

#[test]
fn a_vip_that_only_bgp_announces_is_a_whole_address_on_lo() {
    let vips = |more: &[(&str, &str)]| {
        let vips = speaks(more).unwrap().config.control_plane.unwrap().vips;
        vips.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(vips(&[("vip_interface", "lo"), ("vip_subnet", "24")]), "192.0.2.10/32");
    assert_eq!(vips(&[("vip_arp", "true"), ("vip_subnet", "24")]), "192.0.2.10/24");
    assert_eq!(words(&[("vip_interface", "lo"), ("vip_subnet", "32")]), Vec::<String>::new());
    assert_eq!(
        words(&[("vip_interface", "eth0"), ("vip_subnet", "24")]),
        [
            "vip_subnet: without use: where only BGP announces, whole addresses are bound to lo, and announced",
            "vip_interface: without use: where only BGP announces, the VIP is bound to lo",
        ]
    );
    assert_eq!(
        complaints(&[("vip_arp", "true"), ("vip_interface", "lo")]),
        [
            "vip_interface=lo (environment): nobody asks for addresses on the loopback interface; name a LAN interface"
        ]
    );
}

#[test]
fn a_router_id_is_given_or_found_or_that_of_the_source() {
    let id = |more: &[(&str, &str)]| speaks(more).unwrap().config.bgp.unwrap().router_id;
    let otherwise = stable_router_id("cp1");
    for unset in ["", " ", "None", "null", "~"] {
        assert_eq!(id(&[("bgp_routerid", unset)]), RouterId::OfNode { otherwise });
    }
    let source = ("bgp_sourceip", "192.0.2.7");
    assert_eq!(id(&[source]), RouterId::Given([192, 0, 2, 7].into()));
    assert_eq!(id(&[source, ("bgp_routerid", "192.0.2.8")]), RouterId::Given([192, 0, 2, 8].into()));
    let of_eth0 = RouterId::OfInterface { interface: "eth0".into(), otherwise };
    assert_eq!(id(&[source, ("bgp_routerinterface", "eth0")]), of_eth0);
    let six = ("bgp_sourceip", "2001:db8::7");
    assert_eq!(id(&[six, ("bgp_peers", "[2001:db8::1]:65001")]), RouterId::OfNode { otherwise });
}

#[test]
fn settings_of_bgp_are_named_where_bgp_is_off() {
    let idle = [("bgp_as", "65001"), ("bgp_peers", "192.0.2.1:65001:hunter2:false"), ("bgp_enable", "False")];
    assert_eq!(with(&idle).unwrap().config, config(&[]));
    assert_eq!(notices(&idle), ["bgp_as, bgp_peers: without use while bgp_enable is false: ignored"]);
}

#[test]
fn passwords_are_shown_nowhere() {
    let given = [
        ("bgp_peers", "192.0.2.1:65001:hunter2:false,unnumbered:eth0:65001:hunter2"),
        ("bgp_peeraddress", "192.0.2.2"),
        ("bgp_peerpass", "hunter2"),
        ("vipcast_bgp_password", " hunter2 "),
    ];
    let resolved = with(&[BGP, &given].concat()).unwrap();
    let shown = [
        format!("{resolved:?}"),
        print::table(&resolved.sources),
        print::json(&resolved.sources),
        print::yaml(&resolved.sources),
        format!("{:?}", Flags(pairs(&[("peerPass", "hunter2"), ("bgppeers", "x:hunter2"), ("port", "1")]))),
    ];
    for text in &shown {
        assert!(text.contains("***") && !text.contains("hunter2"), "{text}");
    }
    assert!(shown[4].contains("(\"port\", \"1\")"), "{}", shown[4]);
    assert_eq!(resolved.notices.len(), 3, "{:?}", resolved.notices);
    let bgp = resolved.config.bgp.unwrap();
    let passwords: Vec<_> = bgp.passwords().collect();
    let password = |text: &str| Password::Given(Secret::password(text).unwrap());
    let own = password("hunter2");
    assert_eq!(passwords, [&own, &own, &own, &password(" hunter2 ")]);
    let wrong = with(&[BGP, &given, &[("bgp_peerpass", "hunter2\n"), ("bgp_as", "0")]].concat()).unwrap_err();
    assert!(!format!("{wrong} {wrong:?}").contains("hunter2"), "{wrong}");
}

#[test]
fn a_configuration_that_was_printed_says_the_same_but_for_its_passwords() {
    let lines = "  peers:\n  - {address: 198.51.100.1, as: 1.10, passwordFile: /a/b, communities: [no-export], med: 0}\n  \
                 addressGroups: [{prefixes: 192.0.2.0/24, extendedCommunities: '0x0002ffff00000001'}]\n";
    let resolved = with_file(lines).unwrap();
    let printed = print::yaml(&resolved.sources);
    assert_eq!(file(&printed).map(|again| again.config), Ok(resolved.config), "{printed}");
    let masked = with_file("  peers: [{address: 198.51.100.1, as: 1, password: hunter2}]\n").unwrap();
    assert_eq!(
        file(&print::yaml(&masked.sources)).unwrap_err().to_string(),
        "bgp.peers[0].password=*** (vipcast.yaml line 50): the asterisks that stand for a password, and not the password; \
         write the password that the router has, of at most 80 octets"
    );
}

#[test]
fn what_was_given_is_handed_on_whole() {
    let given = [("bgp_peers", "192.0.2.1:65001:hunter2:false"), ("bgp_hold_time", "9s")];
    let handed = print::environment(&with(&[BGP, &given].concat()).unwrap().sources);
    assert!(handed.contains(&("bgp_peers", given[0].1.to_owned())), "{handed:?}");
    assert!(handed.contains(&("bgp_hold_time", "9".to_owned())), "{handed:?}");
    let list = with_file("  peers: [{address: 198.51.100.1, as: 1, password: hunter2}]\n").unwrap();
    let json = r#"[{"address":"198.51.100.1","as":1,"password":"hunter2"}]"#;
    let handed = print::environment(&list.sources);
    assert!(handed.contains(&("bgp_peers", json.to_owned())), "{handed:?}");
    let again = resolve(
        &Flags::default(),
        handed.into_iter().map(|(name, text)| (name.to_owned(), text)),
        None,
        &host(),
    );
    assert_eq!(again.unwrap().config, list.config);
}

#[test]
fn a_secret_is_looked_for_where_the_pod_is() {
    let host = HostFacts { hostname: "cp1".into(), service_account_namespace: Some("vips".into()) };
    let env = [
        BGP,
        &[PEER, ("address", "192.0.2.10"), ("cp_enable", "true"), ("vipcast_bgp_password_secret_name", "s")],
    ];
    let resolved = resolve(&Flags::default(), pairs(&env.concat()).into_iter(), None, &host).unwrap();
    let secret = SecretKey { namespace: "vips".into(), name: "s".into(), key: "password".into() };
    let password = Password::Kubernetes(secret);
    assert_eq!(resolved.config.bgp.unwrap().passwords().collect::<Vec<_>>(), [&password, &password]);
}
