//! Neighbor Discovery (RFC 4861): solicitations and advertisements.

use std::net::Ipv6Addr;

use nom::Parser;
use nom::bytes::complete::take;
use nom::combinator::map;
use nom::number::complete::{be_u8, be_u16, be_u32, be_u128};

use super::ethernet::{FrameError, Heard, MacAddr, Parsed, Sighting, SightingKind, Solicitation, mac_addr};

/// What an IPv6 packet in a frame from `ethernet_source` says about who uses an address, and what it asks.
///
/// Only ICMPv6 directly behind the IPv6 header is read: nothing that a neighbour sends to be believed needs an
/// extension header, and fragments are forbidden (RFC 6980 §5).
pub(super) fn heard(input: &[u8], ethernet_source: MacAddr) -> Result<Heard, FrameError> {
    let (rest, packet) = ipv6_header(input)?;
    if packet.version != 6 {
        return Err(FrameError::Version(packet.version));
    }
    let (_padding, payload) = take_payload(rest, packet.payload_length)?;
    if packet.next_header != ICMPV6 {
        return Ok(Heard::default());
    }
    let (rest, icmp) = icmpv6_header(payload)?;
    match icmp.icmp_type {
        NEIGHBOR_SOLICITATION => {
            validate(&packet, &icmp, payload)?;
            solicitation(rest, &packet, ethernet_source)
        }
        NEIGHBOR_ADVERTISEMENT => {
            validate(&packet, &icmp, payload)?;
            let claim = advertisement(rest, &packet, ethernet_source)?;
            Ok(Heard { sighting: Some(claim), solicitation: None })
        }
        _ => Ok(Heard::default()),
    }
}

/// The checks that RFC 4861 §7.1.1 and §7.1.2 have in common.
fn validate(packet: &Ipv6Header, icmp: &Icmpv6Header, payload: &[u8]) -> Result<(), FrameError> {
    if packet.hop_limit != 255 {
        return Err(FrameError::HopLimit(packet.hop_limit));
    }
    if checksum(packet, payload) != 0 {
        return Err(FrameError::Checksum);
    }
    if icmp.code != 0 {
        return Err(FrameError::Code(icmp.code));
    }
    Ok(())
}

/// RFC 4861 §7.1.1. With a source address it is somebody's search for the target and says nothing about who has it.
fn solicitation(body: &[u8], packet: &Ipv6Header, ethernet_source: MacAddr) -> Result<Heard, FrameError> {
    let (rest, (_reserved, target)) = (be_u32, ipv6_addr).parse(body)?;
    let target = unicast(target)?;
    let source_link_layer_address = link_layer_address(rest, SOURCE_LINK_LAYER_ADDRESS)?;
    let from = source_link_layer_address.unwrap_or(ethernet_source);
    let asked = Solicitation { target: target.into(), sender: packet.source.into(), from };
    let solicitation = (from.is_unicast() && !packet.source.is_multicast()).then_some(asked);
    if !packet.source.is_unspecified() {
        return Ok(Heard { sighting: None, solicitation });
    }
    if !is_solicited_node_multicast(packet.destination) {
        return Err(FrameError::Destination(packet.destination));
    }
    match source_link_layer_address {
        Some(_) => Err(FrameError::SourceLinkLayerAddress),
        None => {
            let probe = Sighting { address: target.into(), from: ethernet_source, kind: SightingKind::Probe };
            Ok(Heard { sighting: Some(probe), solicitation })
        }
    }
}

/// RFC 4861 §7.1.2.
fn advertisement(body: &[u8], packet: &Ipv6Header, ethernet_source: MacAddr) -> Result<Sighting, FrameError> {
    let (rest, (flags, target)) = (be_u32, ipv6_addr).parse(body)?;
    let target = unicast(target)?;
    if packet.destination.is_multicast() && flags & SOLICITED != 0 {
        return Err(FrameError::Solicited);
    }
    let target_link_layer_address = link_layer_address(rest, TARGET_LINK_LAYER_ADDRESS)?;
    let from = target_link_layer_address.unwrap_or(ethernet_source);
    Ok(Sighting { address: target.into(), from, kind: SightingKind::Claim })
}

/// RFC 4861 forbids a multicast target; the unspecified address and loopback are nobody's on a wire.
fn unicast(target: Ipv6Addr) -> Result<Ipv6Addr, FrameError> {
    let nobodys = target.is_multicast() || target.is_unspecified() || target.is_loopback();
    if nobodys { Err(FrameError::Target(target)) } else { Ok(target) }
}

/// The first option of type `wanted`. All options are walked, because one of length zero condemns the packet;
/// the walk is bounded by the packet, as each option takes at least eight octets of it.
fn link_layer_address(mut options: &[u8], wanted: u8) -> Result<Option<MacAddr>, FrameError> {
    let mut found = None;
    while !options.is_empty() {
        let (rest, (option_type, length)) = (be_u8::<_, ()>, be_u8).parse(options)?;
        let octets = usize::from(length) * 8;
        let value_length = octets.checked_sub(2).ok_or(FrameError::OptionLength { option_type, length })?;
        let (rest, value) = take_payload(rest, value_length)?;
        if option_type == wanted {
            if length != 1 {
                return Err(FrameError::OptionLength { option_type, length });
            }
            let (_, address) = mac_addr(value)?;
            found = found.or(Some(address));
        }
        options = rest;
    }
    Ok(found)
}

/// The Internet checksum over the pseudo-header of RFC 8200 §8.1 and the message; zero where the message's own
/// checksum field is right.
fn checksum(packet: &Ipv6Header, payload: &[u8]) -> u16 {
    let sum = ones_complement_sum(&packet.source.octets())
        + ones_complement_sum(&packet.destination.octets())
        + u64::try_from(payload.len()).unwrap_or(u64::MAX)
        + u64::from(ICMPV6)
        + ones_complement_sum(payload);
    !fold(sum)
}

fn ones_complement_sum(octets: &[u8]) -> u64 {
    octets
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => u64::from(u16::from_be_bytes([high, low])),
            [high] => u64::from(u16::from_be_bytes([high, 0])),
            _ => 0,
        })
        .sum()
}

#[expect(clippy::cast_possible_truncation, reason = "the loop leaves sixteen bits")]
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// `ff02::1:ff00:0/104` (RFC 4291 §2.7.1).
fn is_solicited_node_multicast(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0xff02, 0, 0, 0, 0, 1, 0xff00..=0xffff, _])
}

struct Ipv6Header {
    version: u8,
    payload_length: u16,
    next_header: u8,
    hop_limit: u8,
    source: Ipv6Addr,
    destination: Ipv6Addr,
}

fn ipv6_header(input: &[u8]) -> Parsed<'_, Ipv6Header> {
    map(
        (be_u8, be_u8, be_u16, be_u16, be_u8, be_u8, ipv6_addr, ipv6_addr),
        |(version_and_class, _, _flow_label, payload_length, next_header, hop_limit, source, destination)| {
            Ipv6Header {
                version: version_and_class >> 4,
                payload_length,
                next_header,
                hop_limit,
                source,
                destination,
            }
        },
    )
    .parse(input)
}

struct Icmpv6Header {
    icmp_type: u8,
    code: u8,
}

fn icmpv6_header(input: &[u8]) -> Parsed<'_, Icmpv6Header> {
    map((be_u8, be_u8, be_u16), |(icmp_type, code, _checksum)| Icmpv6Header { icmp_type, code }).parse(input)
}

fn ipv6_addr(input: &[u8]) -> Parsed<'_, Ipv6Addr> {
    map(be_u128, Ipv6Addr::from).parse(input)
}

fn take_payload(input: &[u8], length: impl Into<usize>) -> Parsed<'_, &[u8]> {
    take(length.into()).parse(input)
}

const ICMPV6: u8 = 58;
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
const SOLICITED: u32 = 1 << 30;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::l2::ethernet::{heard, sighting};

    /// fd00::7 at 02:00:5e:10:00:01 tells all nodes (override), from another Ethernet source.
    const ADVERTISEMENT: [u8; 86] = [
        0x33, 0x33, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x02, 0x86, 0xdd, // Ethernet
        0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, // IPv6, 32 octets, ICMPv6, hop limit 255
        0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, // source
        0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // destination
        0x88, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, // advertisement, checksum, override
        0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, // target
        0x02, 0x01, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, // target link-layer address
    ];
    /// :: asks ff02::1:ff00:7 for fd00::7.
    const DUPLICATE_ADDRESS_DETECTION: [u8; 78] = [
        0x33, 0x33, 0xff, 0x00, 0x00, 0x07, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x02, 0x86, 0xdd, // Ethernet
        0x60, 0x00, 0x00, 0x00, 0x00, 0x18, 0x3a, 0xff, // IPv6, 24 octets, ICMPv6, hop limit 255
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // source
        0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 7, // destination
        0x87, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // solicitation, checksum
        0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, // target
    ];
    const PAYLOAD_LENGTH: usize = 18;
    const NEXT_HEADER: usize = 20;
    const HOP_LIMIT: usize = 21;
    const SOURCE: usize = 22;
    const DESTINATION: usize = 38;
    const TYPE: usize = 54;
    const CODE: usize = 55;
    const CHECKSUM: usize = 56;
    const FLAGS: usize = 58;
    const TARGET: usize = 62;
    const OPTIONS: usize = 78;

    /// `frame` with `patches`, `options` appended, and lengths and checksum made right again.
    fn with(frame: &[u8], patches: &[(usize, &[u8])], options: &[u8]) -> Vec<u8> {
        let mut frame = [frame, options].concat();
        let length = u16::try_from(frame.len() - TYPE).unwrap();
        frame[PAYLOAD_LENGTH..NEXT_HEADER].copy_from_slice(&length.to_be_bytes());
        for (at, bytes) in patches {
            frame[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        frame[CHECKSUM..FLAGS].fill(0);
        let (_, header) = ipv6_header(&frame[14..]).unwrap();
        let right = checksum(&header, &frame[TYPE..]);
        frame[CHECKSUM..FLAGS].copy_from_slice(&right.to_be_bytes());
        frame
    }

    fn advertised(patches: &[(usize, &[u8])]) -> Result<Option<Sighting>, FrameError> {
        sighting(&with(&ADVERTISEMENT, patches, &[]))
    }

    fn solicited(patches: &[(usize, &[u8])], options: &[u8]) -> Result<Option<Sighting>, FrameError> {
        sighting(&with(&DUPLICATE_ADDRESS_DETECTION, patches, options))
    }

    fn seen(last_octet: u8, kind: SightingKind) -> Result<Option<Sighting>, FrameError> {
        let address = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7).into();
        Ok(Some(Sighting { address, from: MacAddr::from([2, 0, 0x5e, 0x10, 0, last_octet]), kind }))
    }

    #[test]
    fn the_checksum_is_the_one_of_a_packet_from_another_implementation() {
        // The echo request ::1 to ::1 that libpnet tests its own checksum with.
        let header = Ipv6Header {
            version: 6,
            payload_length: 64,
            next_header: ICMPV6,
            hop_limit: 255,
            source: Ipv6Addr::LOCALHOST,
            destination: Ipv6Addr::LOCALHOST,
        };
        let text = b"  ust a flesh wound  tis but a scratch  knights of ni   ";
        let message = [&[0x80, 0, 0, 0, 0, 0, 0, 1], &text[..]].concat();
        assert_eq!(checksum(&header, &message), 0x1d2e);
    }

    #[test]
    fn an_advertisement_claims_its_target_for_its_target_link_layer_address() {
        assert_eq!(advertised(&[]), seen(1, SightingKind::Claim));
    }

    #[test]
    fn an_advertisement_without_the_option_is_from_the_ethernet_source() {
        assert_eq!(sighting(&with(&ADVERTISEMENT[..OPTIONS], &[], &[])), seen(2, SightingKind::Claim));
    }

    #[test]
    fn unknown_options_are_skipped() {
        let options = [14, 1, 0, 0, 0, 0, 0, 0, 2, 1, 2, 0, 0x5e, 0x10, 0, 9];
        assert_eq!(sighting(&with(&ADVERTISEMENT[..OPTIONS], &[], &options)), seen(9, SightingKind::Claim));
    }

    #[test]
    fn a_solicitation_from_nobody_is_a_probe_of_its_target() {
        assert_eq!(solicited(&[], &[]), seen(2, SightingKind::Probe));
        assert_eq!(
            solicited(&[], &[14, 1, 1, 2, 3, 4, 5, 6]),
            seen(2, SightingKind::Probe),
            "with a nonce, RFC 7527"
        );
    }

    #[test]
    fn a_solicitation_from_somebody_says_nothing_about_its_target() {
        assert_eq!(solicited(&[(SOURCE, &[0xfd])], &[1, 1, 2, 0, 0x5e, 0x10, 0, 1]), Ok(None));
    }

    #[test]
    fn a_solicitation_asks_and_is_answered_where_its_option_or_its_frame_comes_from() {
        let option = [1, 1, 2, 0, 0x5e, 0x10, 0, 1];
        let asked = |patches: &[(usize, &[u8])], options: &[u8]| {
            heard(&with(&DUPLICATE_ADDRESS_DETECTION, patches, options)).unwrap().solicitation
        };
        let expected = |sender: Ipv6Addr, last: u8| {
            let target = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7).into();
            Some(Solicitation { target, sender: sender.into(), from: [2, 0, 0x5e, 0x10, 0, last].into() })
        };
        let source = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0);
        assert_eq!(asked(&[], &[]), expected(Ipv6Addr::UNSPECIFIED, 2));
        assert_eq!(asked(&[(SOURCE, &[0xfd])], &option), expected(source, 1));
        assert_eq!(asked(&[(SOURCE, &[0xfd])], &[]), expected(source, 2));
        assert_eq!(asked(&[(SOURCE, &[0xff])], &option), None, "nobody is a group");
        assert_eq!(asked(&[(SOURCE, &[0xfd])], &[1, 1, 0xff, 0, 0x5e, 0x10, 0, 1]), None);
        assert_eq!(heard(&with(&ADVERTISEMENT, &[], &[])).unwrap().solicitation, None);
    }

    #[test]
    fn a_packet_that_may_have_passed_a_router_is_an_error() {
        assert_eq!(advertised(&[(HOP_LIMIT, &[254])]), Err(FrameError::HopLimit(254)));
        assert_eq!(solicited(&[(HOP_LIMIT, &[64])], &[]), Err(FrameError::HopLimit(64)));
    }

    #[test]
    fn a_wrong_checksum_is_an_error() {
        let mut frame = with(&ADVERTISEMENT, &[], &[]);
        frame[CHECKSUM] ^= 1;
        assert_eq!(sighting(&frame), Err(FrameError::Checksum));
    }

    #[test]
    fn a_code_other_than_zero_is_an_error() {
        assert_eq!(advertised(&[(CODE, &[1])]), Err(FrameError::Code(1)));
    }

    #[test]
    fn a_target_that_nobody_can_have_is_an_error() {
        let multicast = Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 7);
        assert_eq!(advertised(&[(TARGET, &[0xff])]), Err(FrameError::Target(multicast)));
        let unspecified = Ipv6Addr::UNSPECIFIED;
        assert_eq!(solicited(&[(TARGET, &unspecified.octets())], &[]), Err(FrameError::Target(unspecified)));
    }

    #[test]
    fn an_advertisement_to_all_cannot_be_solicited() {
        assert_eq!(advertised(&[(FLAGS, &[0x60])]), Err(FrameError::Solicited));
        assert_eq!(advertised(&[(FLAGS, &[0x60]), (DESTINATION, &[0xfd, 0])]), seen(1, SightingKind::Claim));
    }

    #[test]
    fn duplicate_address_detection_goes_to_a_solicited_node_address_without_a_source_option() {
        let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let misdirected = solicited(&[(DESTINATION, &all_nodes.octets())], &[]);
        assert_eq!(misdirected, Err(FrameError::Destination(all_nodes)));
        assert_eq!(solicited(&[], &[1, 1, 2, 0, 0x5e, 0x10, 0, 1]), Err(FrameError::SourceLinkLayerAddress));
    }

    #[test]
    fn an_option_of_length_zero_condemns_the_packet() {
        let zero = Err(FrameError::OptionLength { option_type: 14, length: 0 });
        assert_eq!(solicited(&[], &[14, 0, 0, 0, 0, 0, 0, 0]), zero);
        assert_eq!(sighting(&with(&ADVERTISEMENT, &[], &[14, 0, 0, 0, 0, 0, 0, 0])), zero);
    }

    #[test]
    fn a_link_layer_address_of_another_length_is_an_error() {
        let long = [&[2, 2], &[0; 14][..]].concat();
        let error = Err(FrameError::OptionLength { option_type: 2, length: 2 });
        assert_eq!(sighting(&with(&ADVERTISEMENT[..OPTIONS], &[], &long)), error);
    }

    #[test]
    fn an_option_longer_than_the_packet_is_an_error() {
        let says = [2, 32, 255].map(|length| solicited(&[], &[14, length, 0, 0, 0, 0, 0, 0]));
        assert_eq!(says, [Err(FrameError::Truncated); 3]);
    }

    #[test]
    fn other_messages_and_protocols_say_nothing() {
        assert_eq!(advertised(&[(TYPE, &[128]), (HOP_LIMIT, &[64])]), Ok(None));
        assert_eq!(advertised(&[(NEXT_HEADER, &[17])]), Ok(None));
    }

    #[test]
    fn another_ip_version_is_an_error() {
        assert_eq!(advertised(&[(14, &[0x40])]), Err(FrameError::Version(4)));
    }

    #[test]
    fn ethernet_padding_is_ignored_and_every_truncation_is_an_error() {
        for frame in [with(&ADVERTISEMENT, &[], &[]), with(&DUPLICATE_ADDRESS_DETECTION, &[], &[])] {
            assert_eq!(sighting(&[&frame[..], &[0xee; 18]].concat()), sighting(&frame));
            for length in 0..frame.len() {
                assert_eq!(sighting(&frame[..length]), Err(FrameError::Truncated), "{length} octets");
            }
        }
    }

    #[test]
    fn a_message_cut_short_within_a_right_length_is_an_error() {
        let frame = with(&ADVERTISEMENT, &[], &[]);
        for length in TYPE..frame.len() {
            let cut = with(&frame[..length.max(FLAGS)], &[], &[]);
            let whole = length == OPTIONS;
            assert_eq!(sighting(&cut).is_ok(), whole, "{length} octets");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(frame in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = sighting(&frame);
        }

        #[test]
        fn any_options_are_survived(options in prop::collection::vec(any::<u8>(), 0..300), advertise: bool) {
            let frame = if advertise { &ADVERTISEMENT[..] } else { &DUPLICATE_ADDRESS_DETECTION[..] };
            let _ = sighting(&with(frame, &[], &options));
        }

        #[test]
        fn one_flipped_bit_of_the_message_is_never_believed(at in TYPE..86_usize, bit in 0..8_u8) {
            let mut frame = with(&ADVERTISEMENT, &[], &[]);
            frame[at] ^= 1 << bit;
            prop_assert!(!matches!(sighting(&frame), Ok(Some(_))));
        }
    }
}
