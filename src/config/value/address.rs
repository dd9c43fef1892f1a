//! VIPs and their prefix lengths.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Wrong;
use crate::config::setting::Spec;

/// Prefix lengths as given; `None` is `auto`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum Prefixes {
    /// One field: which family it means depends on the VIPs.
    One(Option<u8>),
    /// `v4,v6`.
    Two(Option<u8>, Option<u8>),
}

pub(in crate::config) fn addresses(_: &Spec, text: &str) -> Result<Vec<IpAddr>, Wrong> {
    if text.split(',').nth(MOST).is_some() {
        return Err(Wrong::new(format!("more than {MOST} addresses"), "write fewer"));
    }
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for part in text.split(',').map(str::trim) {
        match address(part) {
            Ok(address) if found.contains(&address) => {
                wrong.push(Wrong::new(format!("{address} is there twice"), "write every address once"));
            }
            Ok(address) => found.push(address),
            Err(one) => wrong.push(if part == text { one } else { naming(part, one) }),
        }
    }
    all_of(wrong).map_or(Ok(found), Err)
}

/// In a list, the reason tells which element is meant.
fn naming(element: &str, wrong: Wrong) -> Wrong {
    if element.is_empty() || wrong.reason.contains(element) {
        return wrong;
    }
    Wrong { reason: format!("{element:?} is wrong: {}", wrong.reason), ..wrong }
}

/// Every element of a list that is wrong, as one: a setting is reported once.
pub(super) fn all_of(wrong: Vec<Wrong>) -> Option<Wrong> {
    let mut fixes: Vec<&str> = Vec::new();
    for one in &wrong {
        if !fixes.contains(&one.fix.as_str()) {
            fixes.push(&one.fix);
        }
    }
    let reasons: Vec<_> = wrong.iter().map(|one| one.reason.as_str()).collect();
    (!wrong.is_empty()).then(|| Wrong::new(reasons.join("; "), fixes.join("; ")))
}

#[expect(clippy::ptr_arg, reason = "the table wants a function of &Vec")]
pub(in crate::config) fn show_addresses(addresses: &Vec<IpAddr>) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

pub(in crate::config) fn prefixes(_: &Spec, text: &str) -> Result<Prefixes, Wrong> {
    let wrong = || Wrong::new("not a prefix length", "write 32, 128, or both as 32,128 (IPv4 first)");
    let fields: Vec<_> = text.split(',').map(|field| prefix(field.trim())).collect();
    match fields.as_slice() {
        [Some(one)] => Ok(Prefixes::One(*one)),
        [Some(v4), Some(v6)] if v4.is_none_or(|v4| v4 <= 32) => Ok(Prefixes::Two(*v4, *v6)),
        [Some(_), Some(_)] => {
            Err(Wrong::new("the first prefix length is IPv4's, at most 32", "write 32,128"))
        }
        _ => Err(wrong()),
    }
}

impl Prefixes {
    /// The prefix length of an IPv4 VIP, where one was given for it.
    pub(in crate::config) fn v4(self) -> Option<u8> {
        match self {
            Self::One(one) => one,
            Self::Two(v4, _) => v4,
        }
    }

    /// The prefix length of an IPv6 VIP. One field of at most 32 was meant for IPv4: deployers
    /// write `32` whatever the family, and /32 of an IPv6 address would route a provider's block to the LAN.
    pub(in crate::config) fn v6(self) -> Option<u8> {
        match self {
            Self::One(one) => one.filter(|one| *one > 32),
            Self::Two(_, v6) => v6,
        }
    }
}

impl fmt::Display for Prefixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |field: Option<u8>| field.map_or_else(|| "auto".to_owned(), |length| length.to_string());
        match *self {
            Self::One(one) => f.write_str(&field(one)),
            Self::Two(v4, v6) => write!(f, "{},{}", field(v4), field(v6)),
        }
    }
}

/// `Some(None)` is `auto`.
fn prefix(field: &str) -> Option<Option<u8>> {
    if field == "auto" {
        return Some(None);
    }
    let digits = field.strip_prefix('/').unwrap_or(field);
    let length: u8 = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))?;
    (1..=128).contains(&length).then_some(Some(length))
}

fn address(text: &str) -> Result<IpAddr, Wrong> {
    let Ok(address) = text.parse() else {
        return Err(not_an_address(text));
    };
    match unfit(address) {
        Some(what) => Err(Wrong::new(format!("{address} is {what}"), "write a free address of the LAN")),
        None => Ok(address),
    }
}

/// What keeps an address from being that of a host.
pub(super) fn unfit(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => unfit_v4(v4),
        IpAddr::V6(v6) => unfit_v6(v6),
    }
}

fn unfit_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("the unspecified address"),
        _ if address.is_broadcast() => Some("the broadcast address"),
        _ if address.is_multicast() => Some("a multicast address"),
        _ if address.is_loopback() => Some("a loopback address"),
        _ if matches!(address.octets(), [0 | 240.., ..]) => Some("reserved, not an address of a host"),
        _ => None,
    }
}

fn unfit_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("the unspecified address"),
        _ if address.is_multicast() => Some("a multicast address"),
        _ if address.is_loopback() => Some("the loopback address"),
        _ if address.is_unicast_link_local() => Some("link-local, which no other LAN can reach"),
        _ if address.to_ipv4_mapped().is_some() => Some("an IPv4 address in IPv6 clothes"),
        _ => None,
    }
}

fn not_an_address(text: &str) -> Wrong {
    if let Some((address, prefix)) = text.split_once('/')
        && address.parse::<IpAddr>().is_ok()
    {
        return Wrong::new(
            "an address with a prefix length",
            format!("write {address} here, and {} in vip_subnet", prefix.escape_debug()),
        );
    }
    if text.is_empty() {
        return Wrong::new("an empty address in the list", "write addresses separated by single commas");
    }
    let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.chars().all(label) && text.chars().any(|c| c.is_ascii_alphabetic()) {
        return Wrong::new("names are not supported yet", "give the address");
    }
    Wrong::new("not an IP address", "write for example 192.0.2.10 or 2001:db8::10")
}

/// Nobody has as many; it bounds what a hostile file can ask for.
const MOST: usize = 64;
