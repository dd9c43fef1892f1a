//! What can be said of BGP sessions and of what they announce: the same rows for all peers, for one and for a group of
//! addresses, under different keys.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use vipcast_proto::bgp::types::{Family, HoldTime};

use super::{Setting, Spec, brief, count, path, seconds, show, span, switch};
use crate::config::bgp::{LinkBandwidth, Multihop, TcpAoAlgorithm};
use crate::config::secret::Secret;
use crate::config::setting::Kind;
use crate::config::value::{self, NextHopMode, bgp as b, communities as c};

/// What can be said of a session.
#[derive(Debug)]
pub(in crate::config) struct SessionRows {
    pub(in crate::config) source_address: Setting<IpAddr>,
    pub(in crate::config) source_interface: Setting<String>,
    pub(in crate::config) password: PasswordRows,
    pub(in crate::config) multihop: Setting<Multihop>,
    pub(in crate::config) gtsm: Setting<bool>,
    pub(in crate::config) hold_time: Setting<HoldTime>,
    pub(in crate::config) keepalive: Setting<Duration>,
    pub(in crate::config) connect_retry: Setting<Duration>,
    pub(in crate::config) send_hold: Setting<Duration>,
    pub(in crate::config) families: Setting<BTreeSet<Family>>,
    pub(in crate::config) bfd: BfdRows,
    pub(in crate::config) graceful_restart: Setting<bool>,
    pub(in crate::config) restart_time: Setting<Duration>,
    pub(in crate::config) attributes: AttributeRows,
}

/// How a session proves itself.
#[derive(Debug)]
pub(in crate::config) struct PasswordRows {
    pub(in crate::config) given: Setting<Secret>,
    pub(in crate::config) file: Setting<PathBuf>,
    pub(in crate::config) secret_namespace: Setting<String>,
    pub(in crate::config) secret_name: Setting<String>,
    pub(in crate::config) secret_key: Setting<String>,
    pub(in crate::config) send_id: Setting<u32>,
    pub(in crate::config) receive_id: Setting<u32>,
    pub(in crate::config) algorithm: Setting<TcpAoAlgorithm>,
}

/// BFD beside a session.
#[derive(Debug)]
pub(in crate::config) struct BfdRows {
    pub(in crate::config) enabled: Setting<bool>,
    pub(in crate::config) transmit_interval: Setting<Duration>,
    pub(in crate::config) receive_interval: Setting<Duration>,
    pub(in crate::config) multiplier: Setting<NonZeroU32>,
    pub(in crate::config) multihop: Setting<bool>,
    pub(in crate::config) strict: Setting<bool>,
}

/// What is said of VIPs.
#[derive(Debug)]
pub(in crate::config) struct AttributeRows {
    pub(in crate::config) next_hop: Setting<NextHopMode>,
    pub(in crate::config) next_hop_ipv4: Setting<Ipv4Addr>,
    pub(in crate::config) next_hop_ipv6: Setting<Ipv6Addr>,
    pub(in crate::config) communities: Setting<BTreeSet<u32>>,
    pub(in crate::config) large_communities: Setting<BTreeSet<[u32; 3]>>,
    pub(in crate::config) extended_communities: Setting<BTreeSet<[u8; 8]>>,
    pub(in crate::config) link_bandwidth: Setting<LinkBandwidth>,
    pub(in crate::config) med: Setting<u32>,
    pub(in crate::config) local_preference: Setting<u32>,
    pub(in crate::config) prepend: Setting<u32>,
}

/// Of one peer: what a mapping in the list of peers may say.
pub(in crate::config) static OF_ONE: SessionRows = SessionRows {
    source_address: source_address("sourceAddress").otherwise(AS_ALL),
    source_interface: source_interface("sourceInterface").otherwise(AS_ALL),
    password: PasswordRows {
        given: password("password").otherwise(AS_ALL),
        file: password_file("passwordFile").otherwise(AS_ALL),
        secret_namespace: secret_namespace("passwordSecret.namespace").otherwise(OWN_NAMESPACE),
        secret_name: secret_name("passwordSecret.name").otherwise(AS_ALL),
        secret_key: secret_key("passwordSecret.key"),
        send_id: send_id("tcpAo.sendId").otherwise(MD5),
        receive_id: receive_id("tcpAo.receiveId").otherwise("sendId"),
        algorithm: algorithm("tcpAo.algorithm"),
    },
    multihop: multihop("multihop").otherwise(AS_ALL),
    gtsm: gtsm("gtsm").otherwise(AS_ALL),
    hold_time: hold_time("holdTime").otherwise(AS_ALL),
    keepalive: keepalive("keepalive").otherwise(AS_ALL),
    connect_retry: connect_retry("connectRetry").otherwise(AS_ALL),
    send_hold: send_hold("sendHold").otherwise(AS_ALL),
    families: families("families").otherwise(AS_ALL),
    bfd: BfdRows {
        enabled: bfd("bfd.enabled").otherwise(AS_ALL),
        transmit_interval: transmit_interval("bfd.transmitInterval").otherwise(AS_ALL),
        receive_interval: receive_interval("bfd.receiveInterval").otherwise(AS_ALL),
        multiplier: multiplier("bfd.multiplier").otherwise(AS_ALL),
        multihop: bfd_multihop("bfd.multihop").otherwise(AS_ALL),
        strict: strict("bfd.strict").otherwise(AS_ALL),
    },
    graceful_restart: graceful_restart("gracefulRestart.enabled").otherwise(AS_ALL),
    restart_time: restart_time("gracefulRestart.restartTime").otherwise(AS_ALL),
    attributes: AttributeRows {
        next_hop: next_hop("nextHop.mode").otherwise(AS_ALL),
        next_hop_ipv4: next_hop_ipv4("nextHop.ipv4").otherwise(OWN),
        next_hop_ipv6: next_hop_ipv6("nextHop.ipv6").otherwise(OWN),
        communities: communities("communities").otherwise(NO_MORE),
        large_communities: large_communities("largeCommunities").otherwise(NO_MORE),
        extended_communities: extended_communities("extendedCommunities").otherwise(NO_MORE),
        link_bandwidth: link_bandwidth("linkBandwidth").otherwise(AS_ALL),
        med: med("med").otherwise(AS_ALL),
        local_preference: local_preference("localPreference").otherwise(AS_ALL),
        prepend: prepend("prepend").otherwise(AS_ALL),
    },
};

/// Of a group of addresses.
pub(in crate::config) static OF_GROUP: AttributeRows = AttributeRows {
    next_hop: next_hop("nextHop.mode").otherwise(AS_PEER),
    next_hop_ipv4: next_hop_ipv4("nextHop.ipv4").otherwise(OWN),
    next_hop_ipv6: next_hop_ipv6("nextHop.ipv6").otherwise(OWN),
    communities: communities("communities").otherwise(NO_MORE),
    large_communities: large_communities("largeCommunities").otherwise(NO_MORE),
    extended_communities: extended_communities("extendedCommunities").otherwise(NO_MORE),
    link_bandwidth: link_bandwidth("linkBandwidth").otherwise(AS_PEER),
    med: med("med").otherwise(AS_PEER),
    local_preference: local_preference("localPreference").otherwise(AS_PEER),
    prepend: prepend("prepend").otherwise(AS_PEER),
};

/// The fields of a session, in the order of the documentation.
pub(in crate::config) static OF_ONE_ALL: [&Spec; 35] = of_session(&OF_ONE);

/// The fields of a group of addresses.
pub(in crate::config) static OF_GROUP_ALL: [&Spec; 10] = of_attributes(&OF_GROUP);

pub(super) const fn of_session(rows: &'static SessionRows) -> [&'static Spec; 35] {
    let [a, b, c, d, e, f, g, h, i, j] = of_attributes(&rows.attributes);
    [
        &rows.password.given.spec,
        &rows.password.file.spec,
        &rows.password.secret_namespace.spec,
        &rows.password.secret_name.spec,
        &rows.password.secret_key.spec,
        &rows.password.send_id.spec,
        &rows.password.receive_id.spec,
        &rows.password.algorithm.spec,
        &rows.source_address.spec,
        &rows.source_interface.spec,
        &rows.multihop.spec,
        &rows.gtsm.spec,
        &rows.hold_time.spec,
        &rows.keepalive.spec,
        &rows.connect_retry.spec,
        &rows.send_hold.spec,
        &rows.families.spec,
        &rows.bfd.enabled.spec,
        &rows.bfd.transmit_interval.spec,
        &rows.bfd.receive_interval.spec,
        &rows.bfd.multiplier.spec,
        &rows.bfd.multihop.spec,
        &rows.bfd.strict.spec,
        &rows.graceful_restart.spec,
        &rows.restart_time.spec,
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        j,
    ]
}

const fn of_attributes(rows: &'static AttributeRows) -> [&'static Spec; 10] {
    [
        &rows.next_hop.spec,
        &rows.next_hop_ipv4.spec,
        &rows.next_hop_ipv6.spec,
        &rows.communities.spec,
        &rows.large_communities.spec,
        &rows.extended_communities.spec,
        &rows.link_bandwidth.spec,
        &rows.med.spec,
        &rows.local_preference.spec,
        &rows.prepend.spec,
    ]
}

pub(super) const fn source_address(key: &'static str) -> Setting<IpAddr> {
    Setting::new(key, Kind::Text("IP address"), b::host_address, show)
        .help("address that routers of its family are dialled from")
}

pub(super) const fn source_interface(key: &'static str) -> Setting<String> {
    Setting::new(key, Kind::Interface, value::interface, String::clone)
        .help("interface out of which routers are dialled")
}

pub(super) const fn password(key: &'static str) -> Setting<Secret> {
    Setting::new(key, Kind::Secret, b::password, b::show_secret)
        .help("TCP MD5 password, of at most 80 octets; better in a file or in a Secret")
}

pub(super) const fn password_file(key: &'static str) -> Setting<PathBuf> {
    path(key).help("file that holds the password and nothing else")
}

pub(super) const fn secret_namespace(key: &'static str) -> Setting<String> {
    Setting::new(key, Kind::Namespace, value::namespace, String::clone)
        .help("namespace of the Kubernetes Secret that holds the password")
}

pub(super) const fn secret_name(key: &'static str) -> Setting<String> {
    Setting::new(key, Kind::Text("name of a Secret"), b::secret_name, String::clone)
        .help("Kubernetes Secret that holds the password")
}

pub(super) const fn secret_key(key: &'static str) -> Setting<String> {
    Setting::new(key, Kind::Text("key of a Secret"), b::secret_key, String::clone)
        .default("password")
        .help("key of the password in the Secret")
}

pub(super) const fn send_id(key: &'static str) -> Setting<u32> {
    Setting::new(key, Kind::Number(0, 255), b::number, show)
        .help("TCP-AO (RFC 5925) in place of TCP MD5: KeyID that is sent")
}

pub(super) const fn receive_id(key: &'static str) -> Setting<u32> {
    Setting::new(key, Kind::Number(0, 255), b::number, show).help("KeyID that is expected")
}

pub(super) const fn algorithm(key: &'static str) -> Setting<TcpAoAlgorithm> {
    Setting::new(key, Kind::Choice(b::ALGORITHMS), b::algorithm, b::show_algorithm)
        .default("hmac-sha-1-96")
        .help("by what TCP-AO signs")
}

pub(super) const fn multihop(key: &'static str) -> Setting<Multihop> {
    Setting::new(key, Kind::SwitchOr("true, false, or 2 to 255"), b::multihop, b::show_multihop)
        .help("how many links away a router may be; true means 50")
}

pub(super) const fn gtsm(key: &'static str) -> Setting<bool> {
    switch(key).help("take packets from nobody farther away (RFC 5082)")
}

pub(super) const fn hold_time(key: &'static str) -> Setting<HoldTime> {
    Setting::new(key, Kind::NumberOr("0, or 3s to 65535s"), b::hold_time, b::show_hold_time)
        .help("hold time that is offered; 0: the session outlives any silence")
}

pub(super) const fn keepalive(key: &'static str) -> Setting<Duration> {
    span(key, seconds(1, 21_845)).help("between two keepalives")
}

pub(super) const fn connect_retry(key: &'static str) -> Setting<Duration> {
    span(key, brief(1_000, 3_600_000))
        .help("longest wait between two attempts to connect; the first is a second")
}

pub(super) const fn send_hold(key: &'static str) -> Setting<Duration> {
    span(key, seconds(4, 86_400)).help("how long a router may refuse to read (RFC 9687)")
}

pub(super) const fn families(key: &'static str) -> Setting<BTreeSet<Family>> {
    Setting::new(key, Kind::Texts("ipv4, ipv6"), b::families, b::show_families)
        .help("families that are announced")
}

pub(super) const fn bfd(key: &'static str) -> Setting<bool> {
    switch(key).help("BFD (RFC 5880) beside the session")
}

pub(super) const fn transmit_interval(key: &'static str) -> Setting<Duration> {
    span(key, brief(10, 60_000)).help("shortest time between two packets that we send")
}

pub(super) const fn receive_interval(key: &'static str) -> Setting<Duration> {
    span(key, brief(10, 60_000)).help("shortest time between two packets that we can take")
}

pub(super) const fn multiplier(key: &'static str) -> Setting<NonZeroU32> {
    count(key, 1, 255).help("how many packets may be lost")
}

pub(super) const fn bfd_multihop(key: &'static str) -> Setting<bool> {
    switch(key).help("BFD over several links (RFC 5883), to port 4784")
}

pub(super) const fn strict(key: &'static str) -> Setting<bool> {
    switch(key).help("no BGP before BFD is up")
}

pub(super) const fn graceful_restart(key: &'static str) -> Setting<bool> {
    switch(key).help("routers keep routes while the daemon restarts (RFC 4724)")
}

pub(super) const fn restart_time(key: &'static str) -> Setting<Duration> {
    span(key, seconds(1, 4_095)).help("how long they keep them")
}

pub(super) const fn next_hop(key: &'static str) -> Setting<NextHopMode> {
    Setting::new(key, Kind::Choice(value::NEXT_HOPS), value::next_hop, value::show_next_hop)
        .help("where packets shall be sent: self the session's address, found an address of its interface")
}

pub(super) const fn next_hop_ipv4(key: &'static str) -> Setting<Ipv4Addr> {
    Setting::new(key, Kind::Text("IPv4 address"), b::host_v4, show).help("fixed next hop of IPv4 VIPs")
}

pub(super) const fn next_hop_ipv6(key: &'static str) -> Setting<Ipv6Addr> {
    Setting::new(key, Kind::Text("IPv6 address"), b::host_v6, show).help("fixed next hop of IPv6 VIPs")
}

pub(super) const fn communities(key: &'static str) -> Setting<BTreeSet<u32>> {
    Setting::new(
        key,
        Kind::Texts("`65000:100` or names such as `no-export`"),
        c::communities,
        c::show_communities,
    )
    .help("communities (RFC 1997)")
}

pub(super) const fn large_communities(key: &'static str) -> Setting<BTreeSet<[u32; 3]>> {
    Setting::new(key, Kind::Texts("`4200000000:1:2`"), c::large, c::show_large)
        .help("large communities (RFC 8092)")
}

pub(super) const fn extended_communities(key: &'static str) -> Setting<BTreeSet<[u8; 8]>> {
    let kind = Kind::Texts("`rt:65000:100`, `soo:65000:100`, or `0x` and 16 hexadecimal digits");
    Setting::new(key, kind, c::extended, c::show_extended).help("extended communities (RFC 4360)")
}

pub(super) const fn link_bandwidth(key: &'static str) -> Setting<LinkBandwidth> {
    Setting::new(key, Kind::NumberOr("bits a second, such as `10G`"), b::bandwidth, show)
        .help("link bandwidth community (RFC 10005), for routers that weigh paths")
}

pub(super) const fn med(key: &'static str) -> Setting<u32> {
    Setting::new(key, Kind::Number(0, u32::MAX), b::number, show).help("MULTI_EXIT_DISC")
}

pub(super) const fn local_preference(key: &'static str) -> Setting<u32> {
    Setting::new(key, Kind::Number(0, u32::MAX), b::number, show)
        .help("LOCAL_PREF, to routers of our own Autonomous System")
}

pub(super) const fn prepend(key: &'static str) -> Setting<u32> {
    Setting::new(key, Kind::Number(0, 16), b::number, show)
        .help("how often our AS number stands in the path once more, to routers of others")
}

const AS_ALL: &str = "as for all peers";
const AS_PEER: &str = "as for the peer";
const NO_MORE: &str = "none beyond those of the peers";
const OWN: &str = "the session's own";
const MD5: &str = "TCP MD5";
pub(super) const OWN_NAMESPACE: &str = "the service account's, else kube-system";
