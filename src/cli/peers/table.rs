//! Sessions and routes as tables for people.

use crate::admin::peers::{BfdWord, FamilyStatus, PeerStatus, Peers, RemoteAsWord, RouteStatus, Routes};
use crate::admin::timestamp::Timestamp;
use crate::cli::answer::{bare, none};
use crate::cli::status::span;
use crate::config::bgp::LinkBandwidth;

/// One line per session and address family.
pub(super) fn peers(peers: &Peers, wide: bool) -> String {
    if peers.peers.is_empty() {
        let why = peers.why_none.as_deref().unwrap_or("none are configured");
        return format!("no BGP peers: {why}\n");
    }
    let mut table = bare(if wide { &WIDE_PEERS } else { &PEERS });
    for peer in &peers.peers {
        // It is the peer's, and not one family's.
        let received = std::iter::once(peer.received.to_string()).chain(std::iter::repeat_with(none));
        for (family, received) in peer.families.iter().zip(received) {
            table.add_row(peer_row(peers, peer, family, received, wide));
        }
    }
    table.trim_fmt() + "\n"
}

/// One line per route and peer, then what a peer should know and does not.
pub(super) fn routes(routes: &Routes, wide: bool) -> String {
    if routes.routes.is_empty() && routes.absent.is_empty() {
        return "nothing is announced\n".into();
    }
    let mut table = bare(if wide { &WIDE_ROUTES } else { &ROUTES });
    for route in &routes.routes {
        table.add_row(route_row(routes, route, wide));
    }
    for absent in &routes.absent {
        let peer = absent.peer.clone().unwrap_or_else(none);
        let mut row = vec!["".into(), absent.prefix.to_string(), none(), peer, none()];
        row.extend(std::iter::repeat_n("-".to_owned(), if wide { 4 } else { 0 }));
        row.push(absent.why.clone());
        table.add_row(row);
    }
    table.trim_fmt() + "\n"
}

fn peer_row(
    peers: &Peers,
    peer: &PeerStatus,
    family: &FamilyStatus,
    received: String,
    wide: bool,
) -> Vec<String> {
    let mut row = vec![
        peers.node.clone(),
        peer.local_as.to_string(),
        peer_as(peer),
        peer.peer.clone(),
        peer.state.clone(),
        age(peers.now, peer.since),
        family.family.clone(),
        received,
        family.announced.to_string(),
    ];
    if wide {
        row.extend([
            peer.local_address.map_or_else(none, |address| address.to_string()),
            peer.identifier.map_or_else(none, |identifier| identifier.to_string()),
            peer.hold_time_seconds.map_or_else(none, |seconds| format!("{seconds}s")),
            peer.bfd.map_or_else(none, |word| bfd(word).to_owned()),
        ]);
    }
    row.push(info(peer, family));
    row
}

/// What an operator should know: what is omitted, or why the session is down.
fn info(peer: &PeerStatus, family: &FamilyStatus) -> String {
    let omitted =
        family.omitted.iter().map(|omitted| format!("{} routes omitted: {}", omitted.routes, omitted.why));
    let bfd = match peer.bfd.filter(|word| *word != BfdWord::Up) {
        Some(_) if peer.waits_for_bfd => Some("waits for BFD".to_owned()),
        Some(word) => Some(format!("BFD {}", bfd(word))),
        None => None,
    };
    let draining = peer.draining.then(|| "graceful shutdown".to_owned());
    let error = peer.last_error.as_ref().filter(|_| peer.state != "established");
    let error = error.map(|error| error.why.clone());
    let all: Vec<String> = error.into_iter().chain(bfd).chain(draining).chain(omitted).collect();
    if all.is_empty() { none() } else { all.join("; ") }
}

fn route_row(routes: &Routes, route: &RouteStatus, wide: bool) -> Vec<String> {
    let mut row = vec![
        "*>".to_owned(),
        route.prefix.to_string(),
        route.next_hop.to_string(),
        route.peer.clone(),
        age(routes.now, route.since),
    ];
    if wide {
        let path: Vec<String> = route.as_path.iter().map(ToString::to_string).collect();
        let extended = route.extended_communities.iter().map(|community| extended(community));
        let communities = route.communities.iter().chain(&route.large_communities).cloned();
        let communities: Vec<String> = communities.chain(extended).collect();
        row.extend([
            or_none(path.join(" ")),
            route.med.map_or_else(none, |med| med.to_string()),
            route.local_preference.map_or_else(none, |preference| preference.to_string()),
            or_none(communities.join(" ")),
        ]);
    }
    row.push(route.why.clone());
    row
}

/// Where any will do, a number is known when the peer has said it.
fn peer_as(peer: &PeerStatus) -> String {
    match (peer.peer_as, peer.remote_as) {
        (0, Some(RemoteAsWord::External)) => "external".into(),
        (0, Some(RemoteAsWord::Any)) => "any".into(),
        (number, _) => number.to_string(),
    }
}

/// As they are configured: link bandwidth in bits a second (RFC 10005), the others in hexadecimal.
fn extended(hexadecimal: &str) -> String {
    match u64::from_str_radix(hexadecimal, 16).map(u64::to_be_bytes) {
        Ok([0x00 | 0x40, 0x04, high, low, a, b, c, d]) => {
            let (asn, octets) = (u16::from_be_bytes([high, low]), f32::from_be_bytes([a, b, c, d]));
            let rate = LinkBandwidth { bits_per_second: (f64::from(octets) * 8.0) as u64 };
            format!("link-bandwidth:{asn}:{rate}")
        }
        Ok(_) | Err(_) => format!("0x{hexadecimal}"),
    }
}

fn bfd(word: BfdWord) -> &'static str {
    match word {
        BfdWord::AdminDown => "admin-down",
        BfdWord::Down => "down",
        BfdWord::Up => "up",
    }
}

fn age(now: Timestamp, since: Timestamp) -> String {
    span::short(since.age(now))
}

fn or_none(text: String) -> String {
    if text.is_empty() { none() } else { text }
}

const PEERS: [&str; 10] =
    ["NODE", "LOCAL-AS", "PEER-AS", "PEER", "STATE", "UP/DOWN", "FAMILY", "RCVD-TOTAL", "ADV", "INFO"];
const WIDE_PEERS: [&str; 14] = [
    "NODE",
    "LOCAL-AS",
    "PEER-AS",
    "PEER",
    "STATE",
    "UP/DOWN",
    "FAMILY",
    "RCVD-TOTAL",
    "ADV",
    "LOCAL",
    "PEER-ID",
    "HOLD",
    "BFD",
    "INFO",
];
const ROUTES: [&str; 6] = ["", "PREFIX", "NEXTHOP", "PEER", "AGE", "WHY"];
const WIDE_ROUTES: [&str; 10] =
    ["", "PREFIX", "NEXTHOP", "PEER", "AGE", "AS-PATH", "MED", "LOCAL-PREF", "COMMUNITIES", "WHY"];
