//! Our path attributes, in the order of their type codes (RFC 4271 §5).

use bytes::BufMut;

use super::super::AsNumbers;
use super::super::iana::attribute;
use super::flags::{EXTENDED_LENGTH, OPTIONAL, TRANSITIVE};
use crate::bgp::types::{Asn, Attributes, NextHop};

/// All but MP_REACH_NLRI.
pub(super) fn attributes(attributes: &Attributes, as_numbers: AsNumbers, into: &mut Vec<u8>) {
    put(TRANSITIVE, attribute::ORIGIN, &[IGP], into);
    put(TRANSITIVE, attribute::AS_PATH, &as_path(&attributes.as_path, as_numbers), into);
    if let NextHop::V4(next_hop) = attributes.next_hop {
        put(TRANSITIVE, attribute::NEXT_HOP, &next_hop.octets(), into);
    }
    if let Some(med) = attributes.med {
        put(OPTIONAL, attribute::MULTI_EXIT_DISC, &med.to_be_bytes(), into);
    }
    if let Some(local_pref) = attributes.local_pref {
        put(TRANSITIVE, attribute::LOCAL_PREF, &local_pref.to_be_bytes(), into);
    }
    put_communities(attributes, as_numbers, into);
}

/// Length and address, or addresses (RFC 4760 §3, RFC 2545 §3, RFC 8950 §3).
pub(super) fn next_hop(next_hop: NextHop, into: &mut Vec<u8>) {
    match next_hop {
        NextHop::V4(address) => {
            into.put_u8(4);
            into.put_slice(&address.octets());
        }
        NextHop::V6 { address, link_local } => {
            into.put_u8(if link_local.is_some() { 32 } else { 16 });
            into.put_slice(&address.octets());
            into.put_slice(link_local.map(|address| address.octets()).as_ref().map_or(&[], |octets| octets));
        }
    }
}

fn put_communities(attributes: &Attributes, as_numbers: AsNumbers, into: &mut Vec<u8>) {
    let communities: Vec<u8> = attributes.communities.iter().flat_map(|c| c.to_be_bytes()).collect();
    put_unless_empty(attribute::COMMUNITIES, &communities, into);
    put_unless_empty(attribute::EXTENDED_COMMUNITIES, attributes.extended_communities.as_flattened(), into);
    put_unless_empty(attribute::AS4_PATH, &as4_path(&attributes.as_path, as_numbers), into);
    let large: Vec<u8> =
        attributes.large_communities.as_flattened().iter().flat_map(|part| part.to_be_bytes()).collect();
    put_unless_empty(attribute::LARGE_COMMUNITY, &large, into);
}

/// In AS_SEQUENCEs of at most 255 numbers.
fn as_path(path: &[Asn], as_numbers: AsNumbers) -> Vec<u8> {
    let mut value = Vec::with_capacity(2 + 4 * path.len());
    for segment in path.chunks(u8::MAX.into()) {
        value.put_u8(AS_SEQUENCE);
        value.put_u8(u8::try_from(segment.len()).unwrap_or(u8::MAX));
        for asn in segment {
            match as_numbers {
                AsNumbers::FourOctets => value.put_u32(asn.0),
                AsNumbers::TwoOctets => value.put_u16(asn.two_octets()),
            }
        }
    }
    value
}

/// Not sent where the path is "composed of mappable four-octet AS numbers only" (RFC 6793 §4.2.2), nor to those who
/// know four octets.
fn as4_path(path: &[Asn], as_numbers: AsNumbers) -> Vec<u8> {
    let says_more = path.iter().any(|asn| u16::try_from(asn.0).is_err());
    if as_numbers == AsNumbers::TwoOctets && says_more {
        as_path(path, AsNumbers::FourOctets)
    } else {
        Vec::new()
    }
}

fn put_unless_empty(attribute_type: u8, value: &[u8], into: &mut Vec<u8>) {
    if !value.is_empty() {
        put(OPTIONAL | TRANSITIVE, attribute_type, value, into);
    }
}

fn put(flags: u8, attribute_type: u8, value: &[u8], into: &mut Vec<u8>) {
    match u8::try_from(value.len()) {
        Ok(length) => into.put_slice(&[flags, attribute_type, length]),
        Err(_) => {
            into.put_slice(&[flags | EXTENDED_LENGTH, attribute_type]);
            into.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        }
    }
    into.put_slice(value);
}

/// The origin of a route that we are configured to have (RFC 4271 §5.1.1).
const IGP: u8 = 0;
/// RFC 4271 §4.3.
const AS_SEQUENCE: u8 = 2;
