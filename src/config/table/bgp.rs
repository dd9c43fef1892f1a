//! The settings of BGP: of the speaker, of all its peers, and the lists of peers and of groups of addresses.

use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::time::Duration;

use ipnet::IpNet;
use vipcast_proto::bgp::types::Asn;

use super::session::{self, AttributeRows, BfdRows, OF_GROUP_ALL, OF_ONE_ALL, PasswordRows, SessionRows};
use super::{Setting, Spec, brief, name, show, span, switch};
use crate::config::bgp::{Multihop, RemoteAs};
use crate::config::secret::Secret;
use crate::config::setting::{Fields, Kind, old};
use crate::config::value::peers::{self, Item};
use crate::config::value::{self, PeerAddress, bgp as b};

/// What comes before the settings of all peers, in the order of the documentation.
pub(super) static SPEAKER: [&Spec; 10] = [
    &BGP.spec,
    &LOCAL_AS.spec,
    &ROUTER_ID.spec,
    &ROUTER_INTERFACE.spec,
    &PEERS.spec,
    &PEER_ADDRESS.spec,
    &PEER_AS.spec,
    &PEER_PASSWORD.spec,
    &PEER_MULTIHOP.spec,
    &NODE_ANNOTATIONS.spec,
];

/// The settings of all peers.
pub(super) static OF_ALL_ALL: [&Spec; 35] = session::of_session(&OF_ALL);

/// What comes after them.
pub(super) static REST: [&Spec; 5] =
    [&GROUPS.spec, &DRAIN_WAIT.spec, &DRAIN_CORDON.spec, &DRAIN_COMMUNICATION.spec, &COALESCE.spec];

pub(in crate::config) static BGP: Setting<bool> = switch("bgp.enabled")
    .env(&[name("bgp_enable")])
    .flags(&[name("bgp")])
    .default("false")
    .help("announce by BGP");
pub(in crate::config) static LOCAL_AS: Setting<Asn> = as_number("bgp.localAs")
    .env(&[name("bgp_as")])
    .flags(&[name("localAS")])
    .default("65000")
    .help("our Autonomous System");
pub(in crate::config) static ROUTER_ID: Setting<Ipv4Addr> =
    Setting::new("bgp.routerId", Kind::Text("IPv4 address"), b::router_id, show)
        .env(&[name("bgp_routerid")])
        .flags(&[name("bgpRouterID")])
        .otherwise("the node's IPv4 address, else made of its name")
        .help("BGP Identifier, another one on every node");
pub(in crate::config) static ROUTER_INTERFACE: Setting<String> =
    Setting::new("bgp.routerInterface", Kind::Interface, value::interface, String::clone)
        .env(&[name("bgp_routerinterface")])
        .flags(&[name("bgp-router-interface")])
        .otherwise("the default route's")
        .help("interface whose IPv4 address is the BGP Identifier");
pub(in crate::config) static PEERS: Setting<Vec<Item>> =
    Setting::new("bgp.peers", Kind::Records(PEER), peers::peers, peers::show)
        .env(&[name("bgp_peers")])
        .flags(&[name("bgppeers")])
        .otherwise("none")
        .help("routers");
pub(in crate::config) static PEER_ADDRESS: Setting<PeerAddress> = peer_address("bgp.peer.address")
    .env(&[name("bgp_peeraddress")])
    .flags(&[name("peerAddress")])
    .otherwise("none")
    .help("one more router");
pub(in crate::config) static PEER_AS: Setting<RemoteAs> = remote_as("bgp.peer.as")
    .env(&[name("bgp_peeras")])
    .flags(&[name("peerAS")])
    .default("65000")
    .help("its Autonomous System");
pub(in crate::config) static PEER_PASSWORD: Setting<Secret> = session::password("bgp.peer.password")
    .env(&[name("bgp_peerpass")])
    .flags(&[name("peerPass")])
    .otherwise("as for all peers")
    .help("its TCP MD5 password; better in a file or in a Secret");
pub(in crate::config) static PEER_MULTIHOP: Setting<Multihop> = session::multihop("bgp.peer.multihop")
    .env(&[name("bgp_multihop")])
    .flags(&[name("multihop")])
    .otherwise("as for all peers");
pub(in crate::config) static NODE_ANNOTATIONS: Setting<String> =
    Setting::new("bgp.nodeAnnotations", Kind::Text("prefix"), b::annotation_prefix, String::clone)
        .env(&[name("annotation"), old("annotations")])
        .flags(&[name("annotations")])
        .otherwise("none are looked at")
        .help("prefix of annotations of this Node that say more");

/// Of all peers, and of one where nothing else is said of it.
pub(in crate::config) static OF_ALL: SessionRows = SessionRows {
    source_address: session::source_address("bgp.sourceAddress")
        .env(&[name("bgp_sourceip")])
        .flags(&[name("sourceIP")])
        .otherwise(KERNEL),
    source_interface: session::source_interface("bgp.sourceInterface")
        .env(&[name("bgp_sourceif")])
        .flags(&[name("sourceIF")])
        .otherwise(KERNEL),
    password: PasswordRows {
        given: session::password("bgp.password")
            .env(&[name("vipcast_bgp_password")])
            .flags(&[name("bgp-password")])
            .otherwise(NONE),
        file: session::password_file("bgp.passwordFile")
            .env(&[name("vipcast_bgp_password_file")])
            .flags(&[name("bgp-password-file")])
            .otherwise(NONE),
        secret_namespace: session::secret_namespace("bgp.passwordSecret.namespace")
            .env(&[name("vipcast_bgp_password_secret_namespace")])
            .flags(&[name("bgp-password-secret-namespace")])
            .otherwise(session::OWN_NAMESPACE),
        secret_name: session::secret_name("bgp.passwordSecret.name")
            .env(&[name("vipcast_bgp_password_secret_name")])
            .flags(&[name("bgp-password-secret-name")])
            .otherwise(NONE),
        secret_key: session::secret_key("bgp.passwordSecret.key")
            .env(&[name("vipcast_bgp_password_secret_key")])
            .flags(&[name("bgp-password-secret-key")]),
        send_id: session::send_id("bgp.tcpAo.sendId")
            .env(&[name("vipcast_bgp_tcp_ao_send_id")])
            .flags(&[name("bgp-tcp-ao-send-id")])
            .otherwise("TCP MD5"),
        receive_id: session::receive_id("bgp.tcpAo.receiveId")
            .env(&[name("vipcast_bgp_tcp_ao_receive_id")])
            .flags(&[name("bgp-tcp-ao-receive-id")])
            .otherwise("the one that is sent"),
        algorithm: session::algorithm("bgp.tcpAo.algorithm")
            .env(&[name("vipcast_bgp_tcp_ao_algorithm")])
            .flags(&[name("bgp-tcp-ao-algorithm")]),
    },
    multihop: session::multihop("bgp.multihop")
        .env(&[name("vipcast_bgp_multihop")])
        .flags(&[name("bgp-multihop")])
        .otherwise("one to other Autonomous Systems, any number within ours"),
    gtsm: session::gtsm("bgp.gtsm")
        .env(&[name("vipcast_bgp_gtsm")])
        .flags(&[name("bgp-gtsm")])
        .default("false"),
    hold_time: session::hold_time("bgp.holdTime")
        .env(&[name("bgp_hold_time")])
        .flags(&[name("bgpHoldTimer")])
        .default("30"),
    keepalive: session::keepalive("bgp.keepalive")
        .env(&[name("bgp_keepalive_interval")])
        .flags(&[name("bgpKeepAliveInterval")])
        .otherwise("a third of the hold time that is agreed on"),
    connect_retry: session::connect_retry("bgp.connectRetry")
        .env(&[name("vipcast_bgp_connect_retry")])
        .flags(&[name("bgp-connect-retry")])
        .default("30s"),
    send_hold: session::send_hold("bgp.sendHold")
        .env(&[name("vipcast_bgp_send_hold")])
        .flags(&[name("bgp-send-hold")])
        .otherwise("twice the hold time that is agreed on, at least 8m"),
    families: session::families("bgp.families")
        .env(&[name("vipcast_bgp_families")])
        .flags(&[name("bgp-families")])
        .otherwise(
            "that of the peer's address; both where `bgp.nextHop.mode` says where the other's packets go",
        ),
    bfd: BfdRows {
        enabled: session::bfd("bgp.bfd.enabled")
            .env(&[name("vipcast_bgp_bfd_enabled")])
            .flags(&[name("bgp-bfd-enabled")])
            .default("false"),
        transmit_interval: session::transmit_interval("bgp.bfd.transmitInterval")
            .env(&[name("vipcast_bgp_bfd_transmit_interval")])
            .flags(&[name("bgp-bfd-transmit-interval")])
            .default("300ms"),
        receive_interval: session::receive_interval("bgp.bfd.receiveInterval")
            .env(&[name("vipcast_bgp_bfd_receive_interval")])
            .flags(&[name("bgp-bfd-receive-interval")])
            .default("300ms"),
        multiplier: session::multiplier("bgp.bfd.multiplier")
            .env(&[name("vipcast_bgp_bfd_multiplier")])
            .flags(&[name("bgp-bfd-multiplier")])
            .default("3"),
        multihop: session::bfd_multihop("bgp.bfd.multihop")
            .env(&[name("vipcast_bgp_bfd_multihop")])
            .flags(&[name("bgp-bfd-multihop")])
            .otherwise("where the peer may be several links away"),
        strict: session::strict("bgp.bfd.strict")
            .env(&[name("vipcast_bgp_bfd_strict")])
            .flags(&[name("bgp-bfd-strict")])
            .default("false"),
    },
    graceful_restart: session::graceful_restart("bgp.gracefulRestart.enabled")
        .env(&[name("vipcast_bgp_graceful_restart_enabled")])
        .flags(&[name("bgp-graceful-restart-enabled")])
        .default("false"),
    restart_time: session::restart_time("bgp.gracefulRestart.restartTime")
        .env(&[name("vipcast_bgp_graceful_restart_restart_time")])
        .flags(&[name("bgp-graceful-restart-restart-time")])
        .default("120s"),
    attributes: AttributeRows {
        next_hop: session::next_hop("bgp.nextHop.mode")
            .env(&[name("mpbgp_nexthop")])
            .flags(&[name("bgp-next-hop-mode")])
            .default("self"),
        next_hop_ipv4: session::next_hop_ipv4("bgp.nextHop.ipv4")
            .env(&[name("mpbgp_ipv4")])
            .flags(&[name("bgp-next-hop-ipv4")])
            .otherwise(OWN),
        next_hop_ipv6: session::next_hop_ipv6("bgp.nextHop.ipv6")
            .env(&[name("mpbgp_ipv6")])
            .flags(&[name("bgp-next-hop-ipv6")])
            .otherwise(OWN),
        communities: session::communities("bgp.communities")
            .env(&[name("vipcast_bgp_communities")])
            .flags(&[name("bgp-communities")])
            .otherwise(NONE),
        large_communities: session::large_communities("bgp.largeCommunities")
            .env(&[name("vipcast_bgp_large_communities")])
            .flags(&[name("bgp-large-communities")])
            .otherwise(NONE),
        extended_communities: session::extended_communities("bgp.extendedCommunities")
            .env(&[name("vipcast_bgp_extended_communities")])
            .flags(&[name("bgp-extended-communities")])
            .otherwise(NONE),
        link_bandwidth: session::link_bandwidth("bgp.linkBandwidth")
            .env(&[name("vipcast_bgp_link_bandwidth")])
            .flags(&[name("bgp-link-bandwidth")])
            .otherwise(NONE),
        med: session::med("bgp.med")
            .env(&[name("vipcast_bgp_med")])
            .flags(&[name("bgp-med")])
            .otherwise(NONE),
        local_preference: session::local_preference("bgp.localPreference")
            .env(&[name("vipcast_bgp_local_preference")])
            .flags(&[name("bgp-local-preference")])
            .otherwise("100"),
        prepend: session::prepend("bgp.prepend")
            .env(&[name("vipcast_bgp_prepend")])
            .flags(&[name("bgp-prepend")])
            .otherwise("0"),
    },
};

pub(in crate::config) static GROUPS: Setting<Vec<Item>> =
    Setting::new("bgp.addressGroups", Kind::Records(GROUP), peers::list, peers::show)
        .env(&[name("vipcast_bgp_address_groups")])
        .flags(&[name("bgp-address-groups")])
        .otherwise(NONE)
        .help("VIPs of which something else is said");
pub(in crate::config) static DRAIN_WAIT: Setting<Duration> = span("bgp.drain.wait", brief(0, 300_000))
    .env(&[name("vipcast_bgp_drain_wait")])
    .flags(&[name("bgp-drain-wait")])
    .default("0s")
    .help("before routes are withdrawn in order, how long they carry GRACEFUL_SHUTDOWN (RFC 8326)");
pub(in crate::config) static DRAIN_CORDON: Setting<bool> = switch("bgp.drain.cordoned")
    .env(&[name("vipcast_bgp_drain_cordoned")])
    .flags(&[name("bgp-drain-cordoned")])
    .default("true")
    .help("withdraw routes also while this node is cordoned, as by `kubectl drain`, and another one is ready: of the control plane for the VIP, of the same part of the cluster for Services");
pub(in crate::config) static DRAIN_COMMUNICATION: Setting<String> = Setting::new(
    "bgp.drain.communication",
    Kind::Text("at most 128 octets"),
    b::communication,
    String::clone,
)
.env(&[name("vipcast_bgp_drain_communication")])
.flags(&[name("bgp-drain-communication")])
.otherwise("why the session ends")
.help("what routers are told when it ends (RFC 9003)");
pub(in crate::config) static COALESCE: Setting<Duration> = span("bgp.coalesce", brief(0, 1_000))
    .env(&[name("vipcast_bgp_coalesce")])
    .flags(&[name("bgp-coalesce")])
    .default("5ms")
    .help("changes within this time become one");

/// Where a peer is, and what it has to say of itself.
#[derive(Debug)]
pub(in crate::config) struct PeerRows {
    pub(in crate::config) address: Setting<PeerAddress>,
    pub(in crate::config) interface: Setting<String>,
    pub(in crate::config) port: Setting<NonZeroU16>,
    pub(in crate::config) remote_as: Setting<RemoteAs>,
}

pub(in crate::config) static OF_PEER: PeerRows = PeerRows {
    address: peer_address("address")
        .otherwise("required, unless `interface` is given")
        .help("address of the router; a link-local one with its interface"),
    interface: Setting::new("interface", Kind::Interface, value::interface, String::clone)
        .otherwise("none")
        .help("interface to a router with a link-local address, which is found there where `address` is not given"),
    port: Setting::new("port", Kind::Port, value::port, show).default("179").help("its port"),
    remote_as: remote_as("as")
        .otherwise("required; any on an interface without `address`")
        .help("its Autonomous System, or external: any but ours"),
};

/// The VIPs of a group of addresses.
pub(in crate::config) static GROUP_PREFIXES: Setting<Vec<IpNet>> =
    Setting::new("prefixes", Kind::Texts("prefixes"), b::prefixes_of_vips, b::show_prefixes)
        .otherwise("required")
        .help("the VIPs: of several groups with a VIP the one with the longest prefix counts");

const PEER: Fields = Fields {
    all: &PEER_FIELDS,
    what: "a-peer",
    text: Some("kube-vip's `address:AS:password:multihop:port:mpbgp:bfd`, separated by commas"),
};

const GROUP: Fields = Fields { all: &GROUP_FIELDS, what: "a-group-of-addresses", text: None };

static PEER_FIELDS: [&Spec; 39] = {
    let own = [&OF_PEER.address.spec, &OF_PEER.interface.spec, &OF_PEER.port.spec, &OF_PEER.remote_as.spec];
    super::joined(&[&own, &OF_ONE_ALL])
};

static GROUP_FIELDS: [&Spec; 11] = super::joined(&[&[&GROUP_PREFIXES.spec], &OF_GROUP_ALL]);

const fn as_number(key: &'static str) -> Setting<Asn> {
    Setting::new(key, Kind::NumberOr("1 to 4294967294, or asdot as in `1.10`"), b::asn, show)
}

const fn remote_as(key: &'static str) -> Setting<RemoteAs> {
    let kind = Kind::NumberOr("1 to 4294967294, asdot as in `1.10`, `external`, or `any`");
    Setting::new(key, kind, b::remote_as, show)
}

const fn peer_address(key: &'static str) -> Setting<PeerAddress> {
    let kind = Kind::Text("IP address, `fe80::1%eth0`, or `unnumbered:eth0`");
    Setting::new(key, kind, b::peer_address, show)
}

const KERNEL: &str = "the kernel's choice, by the route to each";
const NONE: &str = "none";
const OWN: &str = "the session's own";
