//! Values that only BGP has.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;

use ipnet::IpNet;
use vipcast_proto::bgp::types::{Asn, Family, HoldTime};

use super::{Wrong, address, is_interface, switch_text};
use crate::config::bgp::{LinkBandwidth, Multihop, PeerAt, RemoteAs, TcpAoAlgorithm};
use crate::config::secret::{MASK, Secret};
use crate::config::setting::{Kind, Spec};

pub(in crate::config) fn asn(_: &Spec, text: &str) -> Result<Asn, Wrong> {
    as_number(text)
}

/// Asplain or asdot (RFC 5396), and one that a speaker may have.
pub(in crate::config) fn as_number(text: &str) -> Result<Asn, Wrong> {
    let fix = "write 1 to 4294967294, or as asdot 1.10";
    let number = match text.split_once('.') {
        None => digits(text),
        Some((high, low)) => {
            let (high, low) = (digits(high), digits(low));
            let (high, low) =
                (high.and_then(|n| u16::try_from(n).ok()), low.and_then(|n| u16::try_from(n).ok()));
            high.zip(low).map(|(high, low)| (u32::from(high) << 16) | u32::from(low))
        }
    };
    let reserved = |rfc: &str| Err(Wrong::new(format!("reserved by {rfc}, nobody has it"), fix));
    match number {
        None => Err(Wrong::new("not an AS number", fix)),
        Some(0) => reserved("RFC 7607"),
        Some(23456) => Err(Wrong::new("AS_TRANS, which stands for other numbers (RFC 6793)", fix)),
        Some(65535 | u32::MAX) => reserved("RFC 7300"),
        Some(number) => Ok(Asn(number)),
    }
}

pub(in crate::config) fn remote_as(_: &Spec, text: &str) -> Result<RemoteAs, Wrong> {
    match text {
        "external" => Ok(RemoteAs::External),
        "any" => Ok(RemoteAs::Any),
        _ => as_number(text).map(RemoteAs::Is),
    }
}

pub(in crate::config) fn router_id(_: &Spec, text: &str) -> Result<Ipv4Addr, Wrong> {
    let fix = "write an IPv4 address of the node, or nothing to have it found";
    let id: Ipv4Addr = text.parse().map_err(|_| Wrong::new("not a router ID", fix))?;
    match id {
        _ if id.is_unspecified() => Err(Wrong::new("zero, which no speaker may have (RFC 6286)", fix)),
        _ if id.is_loopback() => Err(Wrong::new("a loopback address, which every node has", fix)),
        _ if id.octets()[0] >= 224 => Err(Wrong::new("no unicast address, which older routers refuse", fix)),
        _ => Ok(id),
    }
}

pub(in crate::config) fn host_address(_: &Spec, text: &str) -> Result<IpAddr, Wrong> {
    host(text)
}

pub(in crate::config) fn host_v4(_: &Spec, text: &str) -> Result<Ipv4Addr, Wrong> {
    match host(text)? {
        IpAddr::V4(v4) => Ok(v4),
        IpAddr::V6(_) => Err(Wrong::new("an IPv6 address", "write an IPv4 address")),
    }
}

pub(in crate::config) fn host_v6(_: &Spec, text: &str) -> Result<Ipv6Addr, Wrong> {
    match host(text)? {
        IpAddr::V6(v6) => Ok(v6),
        IpAddr::V4(_) => Err(Wrong::new("an IPv4 address", "write an IPv6 address")),
    }
}

/// An address that a host can have, with brackets or without.
pub(in crate::config) fn host(text: &str) -> Result<IpAddr, Wrong> {
    let fix = "write an address of a host, such as 192.0.2.1 or 2001:db8::1";
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address: IpAddr = bare.parse().map_err(|_| Wrong::new("not an IP address", fix))?;
    match address::unfit(address) {
        Some(what) => Err(Wrong::new(format!("{address} is {what}"), fix)),
        None => Ok(address),
    }
}

/// What is written for a peer's address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::config) enum PeerAddress {
    /// All that is needed.
    At(PeerAt),
    /// On an interface that has to be said elsewhere.
    LinkLocal(Ipv6Addr),
}

/// An address, a link-local one with its interface (`fe80::1%eth0`), or `unnumbered:eth0`.
pub(in crate::config) fn peer_address(_: &Spec, text: &str) -> Result<PeerAddress, Wrong> {
    if let Some(name) = text.strip_prefix("unnumbered:") {
        return Ok(PeerAddress::At(PeerAt::Unnumbered { interface: to_a_router(name)? }));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let (address, zone) = bare.split_once('%').map_or((bare, None), |(address, zone)| (address, Some(zone)));
    match (address.parse(), zone) {
        (Ok(IpAddr::V6(address)), Some(zone)) if address.is_unicast_link_local() => {
            Ok(PeerAddress::At(PeerAt::LinkLocal { address, interface: to_a_router(zone)? }))
        }
        (Ok(IpAddr::V6(address)), None) if address.is_unicast_link_local() => {
            Ok(PeerAddress::LinkLocal(address))
        }
        (Ok(_), Some(_)) => {
            Err(Wrong::new("only a link-local address has an interface", "leave out what follows %"))
        }
        _ => host(bare).map(|address| PeerAddress::At(PeerAt::Address(address))),
    }
}

/// An interface with a router on its link.
pub(in crate::config) fn to_a_router(name: &str) -> Result<String, Wrong> {
    if is_interface(name) && name != "lo" {
        Ok(name.to_owned())
    } else {
        Err(Wrong::new("its interface is none that leads to a router", "write for example eth0"))
    }
}

impl std::fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::LinkLocal(address) => address.fmt(f),
        }
    }
}

/// Where packets shall be sent, before it is known to which address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum NextHopMode {
    Own,
    Found,
    Fixed,
}

/// kube-vip finds the interface by the source that it was given; the session knows it anyway.
pub(in crate::config) fn next_hop(_: &Spec, text: &str) -> Result<NextHopMode, Wrong> {
    match text {
        "self" => Ok(NextHopMode::Own),
        "found" | "auto_sourceip" | "auto_sourceif" => Ok(NextHopMode::Found),
        "fixed" => Ok(NextHopMode::Fixed),
        _ => Err(Wrong::new("not a way to a next hop", "write self, found or fixed")),
    }
}

pub(in crate::config) fn show_next_hop(mode: &NextHopMode) -> String {
    match mode {
        NextHopMode::Own => "self",
        NextHopMode::Found => "found",
        NextHopMode::Fixed => "fixed",
    }
    .to_owned()
}

pub(in crate::config) fn hold_time(_: &Spec, text: &str) -> Result<HoldTime, Wrong> {
    let fix = "write 0, or 3 to 65535 seconds";
    let seconds = super::amount(text).filter(|span| span.subsec_millis() == 0).map(|span| span.as_secs());
    let seconds = seconds.ok_or_else(|| Wrong::new("not a whole number of seconds", fix))?;
    let seconds = u16::try_from(seconds).map_err(|_| Wrong::new("more than BGP can say", fix))?;
    HoldTime::new(seconds)
        .ok_or_else(|| Wrong::new("neither 0 nor at least 3, which BGP demands (RFC 4271)", fix))
}

pub(in crate::config) fn show_hold_time(time: &HoldTime) -> String {
    time.seconds().to_string()
}

/// kube-vip's switch, or how many links away.
pub(in crate::config) fn multihop(_: &Spec, text: &str) -> Result<Multihop, Wrong> {
    if let Ok(number) = text.parse::<u8>() {
        // Go's booleans are numbers as well.
        match (number, NonZeroU8::new(number)) {
            (0, _) => return Ok(Multihop::No),
            (2.., Some(hops)) => return Ok(Multihop::Hops(hops)),
            (1.., _) => {}
        }
    }
    match switch_text(text) {
        Some(true) => Ok(Multihop::Hops(MULTIHOP)),
        Some(false) => Ok(Multihop::No),
        None => Err(Wrong::new("neither a switch nor a number of links", "write true, false, or 2 to 255")),
    }
}

pub(in crate::config) fn show_multihop(multihop: &Multihop) -> String {
    match multihop {
        Multihop::No => "false".to_owned(),
        Multihop::Hops(hops) => hops.to_string(),
    }
}

pub(in crate::config) fn yes_or_no(text: &str) -> Result<bool, Wrong> {
    switch_text(text).ok_or_else(|| Wrong::new("neither true nor false", "write true or false"))
}

pub(in crate::config) fn families(_: &Spec, text: &str) -> Result<BTreeSet<Family>, Wrong> {
    let family = |word: &str| match word {
        "ipv4" => Ok(Family::IPV4_UNICAST),
        "ipv6" => Ok(Family::IPV6_UNICAST),
        _ => Err(Wrong::new(format!("{word:?} is no family"), "write ipv4, ipv6, or both")),
    };
    text.split(',').map(|word| family(word.trim())).collect()
}

pub(in crate::config) fn show_families(families: &BTreeSet<Family>) -> String {
    let word = |family: &Family| if *family == Family::IPV4_UNICAST { "ipv4" } else { "ipv6" };
    families.iter().map(word).collect::<Vec<_>>().join(",")
}

pub(in crate::config) fn number(spec: &Spec, text: &str) -> Result<u32, Wrong> {
    let Kind::Number(min, max) = spec.kind else {
        return Err(Wrong::new("not a number", "report this"));
    };
    digits(text)
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| Wrong::new("not a whole number in range", format!("write {min} to {max}")))
}

/// A rate with its unit: `10G`, `2.5G` is refused, `2500M` is not.
pub(in crate::config) fn bandwidth(_: &Spec, text: &str) -> Result<LinkBandwidth, Wrong> {
    let wrong = || Wrong::new("not a rate in bits a second", "write for example 10G, 2500M or 1000000000");
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.strip_prefix(number) {
        Some("") => 1,
        Some("K" | "k") => 1_000,
        Some("M") => 1_000_000,
        Some("G") => 1_000_000_000,
        Some("T") => 1_000_000_000_000,
        Some(_) | None => return Err(wrong()),
    };
    let number: u64 =
        number.parse().ok().filter(|_| number.bytes().all(|b| b.is_ascii_digit())).ok_or_else(wrong)?;
    let bits_per_second = number.checked_mul(unit).ok_or_else(wrong)?;
    match bits_per_second {
        0..8 => Err(Wrong::new("so little that no traffic would come", "write at least 8, or leave it out")),
        _ => Ok(LinkBandwidth { bits_per_second }),
    }
}

pub(in crate::config) fn prefixes_of_vips(_: &Spec, text: &str) -> Result<Vec<IpNet>, Wrong> {
    let fix = "write prefixes such as 192.0.2.0/24 or 2001:db8::/64, or addresses";
    let prefix = |text: &str| {
        let net: Result<IpNet, _> = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        match net {
            Ok(net) if net.trunc() == net => Ok(net),
            Ok(net) => {
                Err(Wrong::new(format!("{net} has bits beyond its length"), format!("write {}", net.trunc())))
            }
            Err(_) => Err(Wrong::new(format!("{text:?} is no prefix"), fix)),
        }
    };
    text.split(',').map(|text| prefix(text.trim())).collect()
}

#[expect(clippy::ptr_arg, reason = "the table wants a function of &Vec")]
pub(in crate::config) fn show_prefixes(prefixes: &Vec<IpNet>) -> String {
    prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

pub(in crate::config) fn password(_: &Spec, text: &str) -> Result<Secret, Wrong> {
    Secret::password(text).map_err(|wrong| {
        Wrong::new(wrong.to_string(), "write the password that the router has, of at most 80 octets")
    })
}

pub(in crate::config) fn show_secret(_: &Secret) -> String {
    MASK.to_owned()
}

pub(in crate::config) fn algorithm(_: &Spec, text: &str) -> Result<TcpAoAlgorithm, Wrong> {
    match text {
        "hmac-sha-1-96" => Ok(TcpAoAlgorithm::HmacSha1),
        "aes-128-cmac-96" => Ok(TcpAoAlgorithm::AesCmac),
        "hmac-sha-256" => Ok(TcpAoAlgorithm::HmacSha256),
        _ => Err(Wrong::new("not an algorithm of TCP-AO", format!("write {}", ALGORITHMS.join(", ")))),
    }
}

pub(in crate::config) fn show_algorithm(algorithm: &TcpAoAlgorithm) -> String {
    match algorithm {
        TcpAoAlgorithm::HmacSha1 => "hmac-sha-1-96",
        TcpAoAlgorithm::AesCmac => "aes-128-cmac-96",
        TcpAoAlgorithm::HmacSha256 => "hmac-sha-256",
    }
    .to_owned()
}

/// RFC 9003: at most 128 octets, so that routers of RFC 8203 take it as well.
pub(in crate::config) fn communication(_: &Spec, text: &str) -> Result<String, Wrong> {
    match text {
        _ if text.len() > COMMUNICATION => {
            Err(Wrong::new(format!("longer than {COMMUNICATION} octets"), "write less"))
        }
        _ if text.chars().any(char::is_control) => Err(Wrong::new("more than one line", "write one line")),
        _ => Ok(text.to_owned()),
    }
}

/// What may stand before the slash of an annotation.
pub(in crate::config) fn annotation_prefix(_: &Spec, text: &str) -> Result<String, Wrong> {
    if super::is_subdomain(text) {
        Ok(text.to_owned())
    } else {
        let fix = "write what stands before the slash of the annotations, such as bgp.kube-vip.io";
        Err(Wrong::new("not the prefix of an annotation", fix))
    }
}

/// An entry of a Kubernetes Secret or ConfigMap.
pub(in crate::config) fn secret_key(_: &Spec, text: &str) -> Result<String, Wrong> {
    let inside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if (1..=253).contains(&text.len()) && text.bytes().all(inside) {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new("not a key of a Secret", "write letters, digits, -, _ and ."))
    }
}

pub(in crate::config) fn secret_name(_: &Spec, text: &str) -> Result<String, Wrong> {
    if super::is_subdomain(text) {
        Ok(text.to_owned())
    } else {
        Err(super::not_a_name("the name of a Secret"))
    }
}

/// Decimal digits and nothing else: no sign.
pub(super) fn digits(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

/// What kube-vip's `true` means.
pub(in crate::config) const MULTIHOP: NonZeroU8 = match NonZeroU8::new(50) {
    Some(hops) => hops,
    None => NonZeroU8::MAX,
};

/// kube-vip's words among them.
pub(in crate::config) const NEXT_HOPS: &[&str] =
    &["self", "found", "fixed", "auto_sourceip", "auto_sourceif"];

pub(in crate::config) const ALGORITHMS: &[&str] = &["hmac-sha-1-96", "aes-128-cmac-96", "hmac-sha-256"];

const COMMUNICATION: usize = 128;
