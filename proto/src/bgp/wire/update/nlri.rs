//! Prefixes, which are counted and not kept, and the attributes that hold some (RFC 4760).

use nom::Parser;
use nom::combinator::map;
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16};

use super::super::{Parameters, Read, Refused};
use crate::bgp::types::Family;

/// MP_REACH_NLRI or MP_UNREACH_NLRI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Multiprotocol {
    pub(super) family: Family,
    /// How many; zero in a family whose prefixes we cannot read.
    pub(super) routes: usize,
    /// There is not one octet of NLRI.
    pub(super) empty: bool,
}

/// How many prefixes a field of an UPDATE holds.
pub(super) fn ipv4(field: &[u8]) -> Result<usize, Refused> {
    count(field, 32).ok_or(Refused::Network)
}

/// RFC 4760 §3. `None` where it is "incorrect" by RFC 7606 §5.3 and §7.11.
pub(super) fn mp_reach(value: &[u8], parameters: Parameters) -> Option<Multiprotocol> {
    let (nlri, (family, next_hop)) = reach(value).ok()?;
    if !next_hop_lengths(family, parameters).is_none_or(|lengths| lengths.contains(&next_hop.len())) {
        return None;
    }
    multiprotocol(family, nlri)
}

/// RFC 4760 §4. `None` where it is "incorrect" by RFC 7606 §5.3.
pub(super) fn mp_unreach(value: &[u8]) -> Option<Multiprotocol> {
    let (nlri, family) = family(value).ok()?;
    multiprotocol(family, nlri)
}

fn multiprotocol(family: Family, nlri: &[u8]) -> Option<Multiprotocol> {
    let routes = match longest(family) {
        Some(longest) => count(nlri, longest)?,
        None => 0,
    };
    Some(Multiprotocol { family, routes, empty: nlri.is_empty() })
}

/// `None` where a prefix is longer than its family's addresses or than what is left of the field (RFC 7606 §5.3).
/// Bits behind the prefix are irrelevant (RFC 4271 §4.3).
fn count(mut field: &[u8], longest: u8) -> Option<usize> {
    let mut routes = 0;
    while let [bits, rest @ ..] = field {
        if *bits > longest {
            return None;
        }
        field = rest.get(bits.div_ceil(8).into()..)?;
        routes += 1;
    }
    Some(routes)
}

/// Bits of an address, where the NLRI is plain prefixes; `None` of a family that nobody was offered.
fn longest(family: Family) -> Option<u8> {
    match (family.afi, family.safi) {
        (IPV4, UNICAST | MULTICAST) => Some(32),
        (IPV6, UNICAST | MULTICAST) => Some(128),
        _ => None,
    }
}

/// Of a next hop, where they are known (RFC 4760 §3, RFC 2545 §3, RFC 8950 §3).
fn next_hop_lengths(family: Family, parameters: Parameters) -> Option<&'static [usize]> {
    match (family.afi, family.safi) {
        (IPV4, UNICAST | MULTICAST) if parameters.extended_next_hop => Some(&[4, 16, 32]),
        (IPV4, UNICAST | MULTICAST) => Some(&[4]),
        (IPV6, UNICAST | MULTICAST) => Some(&[16, 32]),
        _ => None,
    }
}

fn reach(input: &[u8]) -> Read<'_, (Family, &[u8])> {
    map((family, length_data(be_u8), be_u8), |(family, next_hop, _reserved)| (family, next_hop)).parse(input)
}

fn family(input: &[u8]) -> Read<'_, Family> {
    map((be_u16, be_u8), |(afi, safi)| Family { afi, safi }).parse(input)
}

const IPV4: u16 = 1;
const IPV6: u16 = 2;
const UNICAST: u8 = 1;
const MULTICAST: u8 = 2;
