//! Ethernet II frames, as far as ARP and NDP need them: what does a frame say about who uses an address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use nom::bytes::complete::take;
use nom::combinator::map_opt;
use nom::number::complete::be_u16;
use nom::{IResult, Parser};

use super::{arp, ndp};

/// An EUI-48 address.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// Every station on the segment.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// Nobody: what a target hardware address is while it is asked for.
    pub const NULL: Self = Self([0; 6]);

    /// Whether it names one station: the group bit is clear, and it is not all zero.
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        let [first, ..] = self.0;
        first & GROUP == 0 && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// The six octets, in transmission order.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl From<[u8; 6]> for MacAddr {
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

impl From<MacAddr> for [u8; 6] {
    fn from(mac: MacAddr) -> Self {
        mac.0
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A station was heard to use an address, or to ask whether it is free.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// The address that the frame is about.
    pub address: IpAddr,
    /// Who says so. ARP: the sender hardware address, which is what RFC 5227 §2.4 compares and what neighbours will
    /// store, whatever the Ethernet source is (proxies and bonds differ). NDP: the target link-layer address option
    /// if there is one, else the Ethernet source.
    pub from: MacAddr,
    /// What it says.
    pub kind: SightingKind,
}

/// What a station says about an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SightingKind {
    /// "I use it": ARP with this sender protocol address (request, reply, announcement), or a Neighbor Advertisement
    /// for this target.
    Claim,
    /// "Is it free?": an ARP Probe (spa 0.0.0.0, RFC 5227 §1.1), or a Neighbor Solicitation from the unspecified
    /// address (RFC 4862 §5.4.3).
    Probe,
}

/// A station asks where an address is, or whether it is free.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Solicitation {
    /// The address that is asked for.
    pub target: IpAddr,
    /// Who asks; the unspecified address where it only wants to know whether the target is free.
    pub sender: IpAddr,
    /// Where the answer goes. ARP: the sender hardware address. NDP: the source link-layer address option if there is
    /// one, else the Ethernet source.
    pub from: MacAddr,
}

/// All that a frame says about addresses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Heard {
    /// Who uses an address, or asks whether it is free.
    pub sighting: Option<Sighting>,
    /// Who wants an answer.
    pub solicitation: Option<Solicitation>,
}

/// Why a frame is to be discarded without reading further.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// It ends before a length or a format says that it does.
    #[error("frame is truncated")]
    Truncated,
    /// ARP for Ethernet and IPv4 with other lengths than 6 and 4 (RFC 826).
    #[error("ARP address lengths are {hardware} and {protocol}, not 6 and 4")]
    ArpLengths {
        /// `ar$hln`.
        hardware: u8,
        /// `ar$pln`.
        protocol: u8,
    },
    /// The version in a packet of EtherType 0x86dd.
    #[error("IP version is {0}, not 6")]
    Version(u8),
    /// Anything but 255 may have passed a router (RFC 4861 §7.1).
    #[error("hop limit is {0}, not 255")]
    HopLimit(u8),
    /// The ICMPv6 checksum does not match.
    #[error("ICMPv6 checksum is wrong")]
    Checksum,
    /// The ICMP code must be zero.
    #[error("ICMPv6 code is {0}, not 0")]
    Code(u8),
    /// The target must be an address that a station can have.
    #[error("target {0} is not a unicast address")]
    Target(Ipv6Addr),
    /// From the unspecified address a solicitation goes to a solicited-node multicast address only.
    #[error("duplicate address detection is sent to {0}, not to a solicited-node multicast address")]
    Destination(Ipv6Addr),
    /// An advertisement sent to a multicast address answers nobody.
    #[error("advertisement to a multicast address has the solicited flag")]
    Solicited,
    /// From the unspecified address there is no source link-layer address option.
    #[error("duplicate address detection carries a source link-layer address")]
    SourceLinkLayerAddress,
    /// "All included options have a length that is greater than zero" (RFC 4861 §7.1), and a link-layer address
    /// option is one unit long on Ethernet (RFC 2464 §6).
    #[error("option {option_type} has length {length}")]
    OptionLength {
        /// The option's type.
        option_type: u8,
        /// Its length in units of eight octets.
        length: u8,
    },
}

impl From<nom::Err<()>> for FrameError {
    fn from(_: nom::Err<()>) -> Self {
        Self::Truncated
    }
}

/// What `frame` says about who uses an address; `None` where it is well formed and says nothing.
///
/// One IEEE 802.1Q tag is stepped over if it carries priority only (VLAN identifier 0): such a frame belongs to the
/// untagged segment. A frame with another identifier belongs to another segment, where the same address may well
/// be somebody else's, and says nothing about this one.
///
/// # Errors
/// The frame breaks a rule of RFC 826, RFC 4861 §7.1 or RFC 4862 §5.4, and must not be believed.
pub fn sighting(frame: &[u8]) -> Result<Option<Sighting>, FrameError> {
    heard(frame).map(|heard| heard.sighting)
}

/// What `frame` says and asks; nothing where it is well formed and about something else. VLANs are kept apart as
/// [`sighting`] does.
///
/// # Errors
/// The frame breaks a rule of RFC 826, RFC 4861 §7.1 or RFC 4862 §5.4, and must not be believed.
pub fn heard(frame: &[u8]) -> Result<Heard, FrameError> {
    let (payload, header) = header(frame)?;
    match header.ether_type {
        _ if header.vlan_identifier != 0 => Ok(Heard::default()),
        ETHER_TYPE_ARP => arp::heard(payload),
        ETHER_TYPE_IPV6 => ndp::heard(payload, header.source),
        _ => Ok(Heard::default()),
    }
}

/// Whether `frame` was sent to `own` or to a group: an interface that hears everything hears the frames of others, too.
#[must_use]
pub fn is_addressed_to(frame: &[u8], own: MacAddr) -> bool {
    mac_addr(frame).is_ok_and(|(_, MacAddr(to))| {
        let [first, ..] = to;
        first & GROUP != 0 || MacAddr(to) == own
    })
}

/// A parser's answer; nom never leaves this module and its two siblings.
pub(super) type Parsed<'a, T> = IResult<&'a [u8], T, ()>;

pub(super) fn mac_addr(input: &[u8]) -> Parsed<'_, MacAddr> {
    map_opt(take(6_usize), |octets: &[u8]| octets.try_into().ok().map(MacAddr)).parse(input)
}

struct Header {
    source: MacAddr,
    vlan_identifier: u16,
    ether_type: u16,
}

fn header(frame: &[u8]) -> Parsed<'_, Header> {
    let (rest, (_destination, source, ether_type)) = (mac_addr, mac_addr, be_u16).parse(frame)?;
    if ether_type != ETHER_TYPE_VLAN {
        return Ok((rest, Header { source, vlan_identifier: 0, ether_type }));
    }
    let (rest, (tag_control_information, ether_type)) = (be_u16, be_u16).parse(rest)?;
    Ok((rest, Header { source, vlan_identifier: tag_control_information & VLAN_IDENTIFIER, ether_type }))
}

const GROUP: u8 = 1;
const ETHER_TYPE_ARP: u16 = 0x0806;
const ETHER_TYPE_VLAN: u16 = 0x8100;
const ETHER_TYPE_IPV6: u16 = 0x86dd;
/// The low twelve bits of the tag control information (IEEE 802.1Q §9.6).
const VLAN_IDENTIFIER: u16 = 0x0fff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_reads_as_people_write_it() {
        assert_eq!(MacAddr::from([2, 0, 0x5e, 0, 0xa, 0xff]).to_string(), "02:00:5e:00:0a:ff");
    }

    #[test]
    fn groups_and_the_null_address_are_not_unicast() {
        let unicast = [[2, 0, 0, 0, 0, 1], [0; 6], [0xff; 6], [1, 0, 0x5e, 0, 0, 1]]
            .map(|o| MacAddr::from(o).is_unicast());
        assert_eq!(unicast, [true, false, false, false]);
    }

    #[test]
    fn a_frame_is_for_us_if_it_names_us_or_a_group() {
        let own = MacAddr::from([2, 0, 0, 0, 0, 1]);
        let to = |to: [u8; 6]| is_addressed_to(&[&to[..], &[0; 8]].concat(), own);
        let ours = [[2, 0, 0, 0, 0, 1], [0xff; 6], [0x33, 0x33, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]].map(to);
        assert_eq!((ours, is_addressed_to(&[0xff; 5], own)), ([true, true, true, false], false));
    }

    #[test]
    fn other_protocols_say_nothing() {
        let mut frame = [0; 60];
        frame[12] = 0x08;
        assert_eq!(sighting(&frame), Ok(None));
    }

    #[test]
    fn a_frame_shorter_than_its_header_is_truncated() {
        assert_eq!(sighting(&[0; 13]), Err(FrameError::Truncated));
        let mut tagged = [0; 17];
        tagged[12] = 0x81;
        assert_eq!(sighting(&tagged), Err(FrameError::Truncated));
    }
}
