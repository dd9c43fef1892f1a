//! Communities, in the ways that operators write them.

use std::collections::BTreeSet;

use super::Wrong;
use super::bgp::{as_number, digits};
use crate::config::setting::Spec;

/// RFC 1997: `65000:100`, or a name of IANA's.
pub(in crate::config) fn communities(_: &Spec, text: &str) -> Result<BTreeSet<u32>, Wrong> {
    let fix = "write for example 65000:100, or no-export";
    each(text, fix, |text| {
        if let Some((_, community)) = WELL_KNOWN.iter().find(|(name, _)| *name == text) {
            return Some(*community);
        }
        let (high, low) = text.split_once(':')?;
        Some((u32::from(short(high)?) << 16) | u32::from(short(low)?))
    })
}

pub(in crate::config) fn show_communities(communities: &BTreeSet<u32>) -> String {
    let one = |community: &u32| match WELL_KNOWN.iter().find(|(_, known)| known == community) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("{}:{}", community >> 16, community & 0xffff),
    };
    communities.iter().map(one).collect::<Vec<_>>().join(",")
}

/// RFC 8092: `4200000000:1:2`.
pub(in crate::config) fn large(_: &Spec, text: &str) -> Result<BTreeSet<[u32; 3]>, Wrong> {
    each(text, "write for example 4200000000:1:2", |text| {
        let mut parts = text.split(':').map(digits);
        let community = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(community)
    })
}

pub(in crate::config) fn show_large(communities: &BTreeSet<[u32; 3]>) -> String {
    communities.iter().map(|[a, b, c]| format!("{a}:{b}:{c}")).collect::<Vec<_>>().join(",")
}

/// RFC 4360: `rt:65000:100`, `soo:65000:100`, or all eight octets as `0x…`.
pub(in crate::config) fn extended(_: &Spec, text: &str) -> Result<BTreeSet<[u8; 8]>, Wrong> {
    let fix = "write for example rt:65000:100, soo:65000:100, or 0x and 16 hexadecimal digits";
    each(text, fix, |text| {
        if let Some(hex) = text.strip_prefix("0x") {
            let hexadecimal = hex.len() == 16 && hex.bytes().all(|b| b.is_ascii_hexdigit());
            return u64::from_str_radix(hex, 16).ok().filter(|_| hexadecimal).map(u64::to_be_bytes);
        }
        let (kind, rest) = text.split_once(':')?;
        let (administrator, number) = rest.split_once(':')?;
        let subtype = SUBTYPES.iter().find(|(name, _)| *name == kind).map(|(_, subtype)| *subtype)?;
        specific(subtype, as_number(administrator).ok()?.0, digits(number)?)
    })
}

pub(in crate::config) fn show_extended(communities: &BTreeSet<[u8; 8]>) -> String {
    let one = |community: &[u8; 8]| {
        let [kind, subtype, a, b, c, d, e, f] = *community;
        let name = SUBTYPES.iter().find(|(_, known)| *known == subtype).map(|(name, _)| *name);
        let wide = u32::from_be_bytes([a, b, c, d]);
        match (kind, name) {
            (0, Some(name)) if as_number(&u16::from_be_bytes([a, b]).to_string()).is_ok() => {
                format!("{name}:{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]))
            }
            (2, Some(name)) if wide > 0xffff && wide != u32::MAX => {
                format!("{name}:{wide}:{}", u16::from_be_bytes([e, f]))
            }
            _ => format!("0x{:016x}", u64::from_be_bytes(*community)),
        }
    };
    communities.iter().map(one).collect::<Vec<_>>().join(",")
}

/// Two-octet AS specific (RFC 4360 §3.1), or four-octet AS specific (RFC 5668).
fn specific(subtype: u8, administrator: u32, number: u32) -> Option<[u8; 8]> {
    let [a, b, c, d] = administrator.to_be_bytes();
    let [e, f, g, h] = number.to_be_bytes();
    match (u16::try_from(administrator), u16::try_from(number)) {
        (Ok(_), _) => Some([0, subtype, c, d, e, f, g, h]),
        (Err(_), Ok(_)) => Some([2, subtype, a, b, c, d, g, h]),
        (Err(_), Err(_)) => None,
    }
}

/// A list of them.
fn each<T: Ord>(text: &str, fix: &str, one: impl Fn(&str) -> Option<T>) -> Result<BTreeSet<T>, Wrong> {
    if text.split(',').nth(MOST).is_some() {
        return Err(Wrong::new(format!("more than {MOST} communities"), "write fewer"));
    }
    let parse =
        |text: &str| one(text).ok_or_else(|| Wrong::new(format!("{text:?} is no such community"), fix));
    text.split(',').map(|text| parse(text.trim())).collect()
}

fn short(text: &str) -> Option<u16> {
    digits(text)?.try_into().ok()
}

/// IANA's registry of well-known communities, as far as they say something of a VIP.
const WELL_KNOWN: &[(&str, u32)] = &[
    ("graceful-shutdown", 0xffff_0000),
    ("accept-own", 0xffff_0001),
    ("blackhole", 0xffff_029a),
    ("no-export", 0xffff_ff01),
    ("no-advertise", 0xffff_ff02),
    ("no-export-subconfed", 0xffff_ff03),
    ("no-peer", 0xffff_ff04),
];

/// Route target and route origin.
const SUBTYPES: &[(&str, u8)] = &[("rt", 2), ("soo", 3)];

/// So many fit into an UPDATE of 4096 octets and leave room for its routes.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::table::session::OF_ONE;

    fn spec() -> &'static Spec {
        &OF_ONE.attributes.communities.spec
    }

    #[test]
    fn communities_are_written_as_operators_write_them() {
        let plain = |text: &str| communities(spec(), text).map(|found| found.into_iter().collect::<Vec<_>>());
        assert_eq!(plain("65000:100, 0:0,no-export"), Ok(vec![0, 0xfde8_0064, 0xffff_ff01]));
        assert_eq!(plain("blackhole,graceful-shutdown"), Ok(vec![0xffff_0000, 0xffff_029a]));
        let four = extended(spec(), "rt:4200000000:7,soo:65000:100000,0x40040000447A0000").unwrap();
        assert_eq!(
            four.into_iter().collect::<Vec<_>>(),
            [
                [0, 3, 0xfd, 0xe8, 0, 1, 0x86, 0xa0],
                [2, 2, 0xfa, 0x56, 0xea, 0, 0, 7],
                [0x40, 4, 0, 0, 0x44, 0x7a, 0, 0],
            ]
        );
        for wrong in ["", "65000", "65000:65536", "+1:2", "1:2:3", "no-such-name", "65000:1,,"] {
            assert!(communities(spec(), wrong).is_err(), "{wrong}");
        }
        for wrong in ["1:2", "1:2:3:4", "4294967296:1:1", "a:b:c"] {
            assert!(large(spec(), wrong).is_err(), "{wrong}");
        }
        for wrong in ["rt:1", "rt:0:1", "rt:70000:65536", "xx:1:1", "0x00", "0x+000000000000000", "rt:1:1:1"]
        {
            assert!(extended(spec(), wrong).is_err(), "{wrong}");
        }
        let many = vec!["1:1"; 65].join(",");
        assert_eq!(communities(spec(), &many).unwrap_err().reason, "more than 64 communities");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_what_was_written(plain: u32, large_one: [u32; 3], kind in 0..4_u8, rest: [u8; 7]) {
            let shown = show_communities(&[plain].into());
            prop_assert_eq!(communities(spec(), &shown), Ok([plain].into()));
            let shown = show_large(&[large_one].into());
            prop_assert_eq!(large(spec(), &shown), Ok([large_one].into()));
            let [subtype, a, b, c, d, e, f] = rest;
            let one = [kind, subtype % 5, a, b, c, d, e, f];
            let shown = show_extended(&[one].into());
            prop_assert_eq!(extended(spec(), &shown), Ok([one].into()), "{}", shown);
        }
    }
}
