//! UPDATEs of ours, each filled to the limit.

use bytes::{BufMut, BytesMut};
use ipnet::IpNet;

use super::super::iana::{attribute, message_type};
use super::super::{AsNumbers, MAX_LENGTH, encode};
use super::fill::{MAX_PREFIX, fill};
use super::flags::{EXTENDED_LENGTH, OPTIONAL};
use super::write;
use crate::bgp::types::{Attributes, Family, NextHop};

/// Why nothing was announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("path attributes of {0} octets leave no room for a route in an UPDATE")]
pub struct TooLong(usize);

/// Appends UPDATEs that announce `prefixes` with the same attributes, and says how many there are.
///
/// An IPv6 prefix has no IPv4 next hop: it is passed over. Runs of one address family share UPDATEs.
///
/// # Errors
///
/// When an UPDATE cannot hold the attributes and a route. Then nothing is appended.
pub fn announce(
    attributes: &Attributes,
    as_numbers: AsNumbers,
    prefixes: impl IntoIterator<Item = IpNet>,
    into: &mut BytesMut,
) -> Result<usize, TooLong> {
    let ipv4 = match attributes.next_hop {
        NextHop::V4(_) => Frame::nlri(attributes, as_numbers),
        NextHop::V6 { .. } => Frame::mp_reach(Family::IPV4_UNICAST, attributes, as_numbers),
    };
    let ipv6 = match attributes.next_hop {
        NextHop::V4(_) => None,
        NextHop::V6 { .. } => Some(Frame::mp_reach(Family::IPV6_UNICAST, attributes, as_numbers)),
    };
    let longest = ipv6.as_ref().map_or(0, Frame::len).max(ipv4.len());
    if longest + MAX_PREFIX > MAX_LENGTH.into() {
        return Err(TooLong(longest));
    }
    Ok(fill(&ipv4, ipv6.as_ref(), prefixes, into))
}

/// Appends UPDATEs that withdraw `prefixes`, and says how many there are.
pub fn withdraw(prefixes: impl IntoIterator<Item = IpNet>, into: &mut BytesMut) -> usize {
    let ipv6 = Frame::mp_unreach(Family::IPV6_UNICAST);
    fill(&Frame::withdrawn(), Some(&ipv6), prefixes, into)
}

/// Appends the UPDATE that ends the first dump of a family's routes (RFC 4724 §2).
pub fn end_of_rib(family: Family, into: &mut BytesMut) {
    let frame = if family == Family::IPV4_UNICAST { Frame::withdrawn() } else { Frame::mp_unreach(family) };
    frame.put(&[], into);
}

/// An UPDATE but for its prefixes.
pub(super) struct Frame {
    /// Up to the prefixes, with the lengths as they are without any.
    head: Vec<u8>,
    /// Behind them.
    tail: Vec<u8>,
    /// Where the two-octet lengths are that count the prefixes too, each with what else it counts.
    lengths: Vec<(usize, usize)>,
}

impl Frame {
    /// The prefixes come last (RFC 4271 §4.3).
    fn nlri(attributes: &Attributes, as_numbers: AsNumbers) -> Self {
        let mut list = Vec::new();
        write::attributes(attributes, as_numbers, &mut list);
        let mut body = vec![0, 0];
        put_length(list.len(), &mut body);
        body.put_slice(&list);
        Self::new(&body, Vec::new(), &[])
    }

    /// "The MP_REACH_NLRI or MP_UNREACH_NLRI attribute (if present) SHALL be encoded as the very first path
    /// attribute" (RFC 7606 §5.1).
    fn mp_reach(family: Family, attributes: &Attributes, as_numbers: AsNumbers) -> Self {
        let mut value = family_octets(family).to_vec();
        write::next_hop(attributes.next_hop, &mut value);
        value.put_u8(0);
        let mut tail = Vec::new();
        write::attributes(attributes, as_numbers, &mut tail);
        Self::multiprotocol(attribute::MP_REACH_NLRI, &value, tail)
    }

    /// The prefixes come first (RFC 4271 §4.3).
    fn withdrawn() -> Self {
        Self::new(&[0, 0], vec![0, 0], &[(BODY, 0)])
    }

    /// RFC 4760 §4.
    fn mp_unreach(family: Family) -> Self {
        Self::multiprotocol(attribute::MP_UNREACH_NLRI, &family_octets(family), Vec::new())
    }

    fn multiprotocol(attribute_type: u8, value: &[u8], tail: Vec<u8>) -> Self {
        let attribute = 4 + value.len();
        let mut body = vec![0, 0];
        put_length(attribute + tail.len(), &mut body);
        body.put_slice(&[OPTIONAL | EXTENDED_LENGTH, attribute_type]);
        put_length(value.len(), &mut body);
        body.put_slice(value);
        let lengths = [(BODY + 2, attribute + tail.len()), (BODY + 6, value.len())];
        Self::new(&body, tail, &lengths)
    }

    fn new(body: &[u8], tail: Vec<u8>, lengths: &[(usize, usize)]) -> Self {
        let mut head = Vec::with_capacity(BODY + body.len());
        encode::put_header(message_type::UPDATE, body.len() + tail.len(), &mut head);
        head.put_slice(body);
        let whole = (LENGTH, head.len() + tail.len());
        Self { head, tail, lengths: [&[whole], lengths].concat() }
    }

    /// Without any prefix.
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Appends it with these prefixes.
    pub(super) fn put(&self, prefixes: &[u8], into: &mut BytesMut) {
        let start = into.len();
        into.reserve(self.len() + prefixes.len());
        into.put_slice(&self.head);
        into.put_slice(prefixes);
        into.put_slice(&self.tail);
        for (at, others) in &self.lengths {
            let length = u16::try_from(prefixes.len() + others).unwrap_or(u16::MAX);
            if let Some(field) = into.get_mut(start + at..start + at + 2) {
                field.copy_from_slice(&length.to_be_bytes());
            }
        }
    }
}

fn family_octets(family: Family) -> [u8; 3] {
    let [high, low] = family.afi.to_be_bytes();
    [high, low, family.safi]
}

fn put_length(octets: usize, into: &mut Vec<u8>) {
    into.put_u16(u16::try_from(octets).unwrap_or(u16::MAX));
}

/// Where the header has its length.
const LENGTH: usize = 16;
/// Where the body begins.
const BODY: usize = 19;
