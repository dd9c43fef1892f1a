//! ARP (RFC 826) and what RFC 5227 reads out of it.

use std::net::Ipv4Addr;

use nom::Parser;
use nom::combinator::map;
use nom::number::complete::{be_u8, be_u16, be_u32};

use super::ethernet::{FrameError, Heard, MacAddr, Parsed, Sighting, SightingKind, Solicitation, mac_addr};

/// What an ARP packet says about who uses an address, and what it asks.
///
/// Only requests and replies between Ethernet and IPv4 are read; the opcodes of RARP and InARP say nothing here.
pub(super) fn heard(input: &[u8]) -> Result<Heard, FrameError> {
    let (rest, format) = format(input)?;
    match format {
        Format { hardware_type: ETHERNET, protocol_type: IPV4, hardware_len: 6, protocol_len: 4, .. } => {}
        Format {
            hardware_type: ETHERNET,
            protocol_type: IPV4,
            hardware_len: hardware,
            protocol_len: protocol,
            ..
        } => {
            return Err(FrameError::ArpLengths { hardware, protocol });
        }
        Format { .. } => return Ok(Heard::default()),
    }
    let (_padding, addresses) = addresses(rest)?;
    Ok(match format.opcode {
        REQUEST => Heard {
            sighting: claim(&addresses).or_else(|| probe(&addresses)),
            solicitation: solicitation(&addresses),
        },
        REPLY => Heard { sighting: claim(&addresses), solicitation: None },
        _ => Heard::default(),
    })
}

/// One that asks for its own address announces it (RFC 5227 §3); the answer goes to one station, which a group is not.
fn solicitation(addresses: &Addresses) -> Option<Solicitation> {
    let (sender, from) = (addresses.sender_protocol_addr, addresses.sender_hardware_addr);
    let asked = assigned(addresses.target_protocol_addr, from, SightingKind::Probe)?;
    let nobodys = sender.is_multicast() || sender.is_broadcast();
    let answerable = from.is_unicast() && !nobodys && sender != addresses.target_protocol_addr;
    answerable.then_some(Solicitation { target: asked.address, sender: sender.into(), from })
}

/// "I use the sender protocol address": every request and reply with one says so (RFC 5227 §2.4).
fn claim(addresses: &Addresses) -> Option<Sighting> {
    assigned(addresses.sender_protocol_addr, addresses.sender_hardware_addr, SightingKind::Claim)
}

/// "An ARP Request packet, broadcast on the local link, with an all-zero 'sender IP address'" (RFC 5227 §1.1).
fn probe(addresses: &Addresses) -> Option<Sighting> {
    addresses
        .sender_protocol_addr
        .is_unspecified()
        .then(|| {
            assigned(addresses.target_protocol_addr, addresses.sender_hardware_addr, SightingKind::Probe)
        })
        .flatten()
}

fn assigned(address: Ipv4Addr, from: MacAddr, kind: SightingKind) -> Option<Sighting> {
    let nobodys = address.is_unspecified() || address.is_multicast() || address.is_broadcast();
    (!nobodys).then_some(Sighting { address: address.into(), from, kind })
}

struct Format {
    hardware_type: u16,
    protocol_type: u16,
    hardware_len: u8,
    protocol_len: u8,
    opcode: u16,
}

fn format(input: &[u8]) -> Parsed<'_, Format> {
    map(
        (be_u16, be_u16, be_u8, be_u8, be_u16),
        |(hardware_type, protocol_type, hardware_len, protocol_len, opcode)| Format {
            hardware_type,
            protocol_type,
            hardware_len,
            protocol_len,
            opcode,
        },
    )
    .parse(input)
}

struct Addresses {
    sender_hardware_addr: MacAddr,
    sender_protocol_addr: Ipv4Addr,
    target_protocol_addr: Ipv4Addr,
}

fn addresses(input: &[u8]) -> Parsed<'_, Addresses> {
    // The target hardware address "is ignored and SHOULD be set to all zeroes" in a Probe (RFC 5227 §2.1.1).
    map(
        (mac_addr, map(be_u32, Ipv4Addr::from), mac_addr, map(be_u32, Ipv4Addr::from)),
        |(sender_hardware_addr, sender_protocol_addr, _target_hardware_addr, target_protocol_addr)| {
            Addresses { sender_hardware_addr, sender_protocol_addr, target_protocol_addr }
        },
    )
    .parse(input)
}

const ETHERNET: u16 = 1;
const IPV4: u16 = 0x0800;
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::l2::ethernet::{heard, sighting};

    /// 192.168.1.7 at 02:00:5e:10:00:01 asks for 192.168.1.1.
    const WHO_HAS: [u8; 42] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x02, 0x08,
        0x06, // another Ethernet source
        0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, // Ethernet, IPv4, 6, 4, request
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0xc0, 0xa8, 0x01, 0x07, // sha, spa
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0xa8, 0x01, 0x01, // tha, tpa
    ];
    const OPCODE: usize = 21;
    const SPA: usize = 28;
    const TPA: usize = 38;

    fn with(patches: &[(usize, &[u8])]) -> Vec<u8> {
        let mut frame = WHO_HAS.to_vec();
        for (at, bytes) in patches {
            frame[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        frame
    }

    fn seen(address: [u8; 4], kind: SightingKind) -> Result<Option<Sighting>, FrameError> {
        let from = MacAddr::from([2, 0, 0x5e, 0x10, 0, 1]);
        Ok(Some(Sighting { address: Ipv4Addr::from(address).into(), from, kind }))
    }

    #[test]
    fn a_request_claims_its_sender_address_for_its_sender_hardware_address() {
        assert_eq!(sighting(&WHO_HAS), seen([192, 168, 1, 7], SightingKind::Claim));
    }

    #[test]
    fn a_reply_claims_its_sender_address() {
        assert_eq!(sighting(&with(&[(OPCODE, &[2])])), seen([192, 168, 1, 7], SightingKind::Claim));
    }

    #[test]
    fn a_request_from_nobody_is_a_probe_of_its_target() {
        assert_eq!(sighting(&with(&[(SPA, &[0; 4])])), seen([192, 168, 1, 1], SightingKind::Probe));
    }

    fn asked(sender: [u8; 4], target: [u8; 4]) -> Option<Solicitation> {
        let from = MacAddr::from([2, 0, 0x5e, 0x10, 0, 1]);
        Some(Solicitation {
            target: Ipv4Addr::from(target).into(),
            sender: Ipv4Addr::from(sender).into(),
            from,
        })
    }

    #[test]
    fn a_request_and_a_probe_ask_for_their_target_and_nothing_else_does() {
        let solicitation = |patches: &[(usize, &[u8])]| heard(&with(patches)).unwrap().solicitation;
        assert_eq!(solicitation(&[]), asked([192, 168, 1, 7], [192, 168, 1, 1]));
        assert_eq!(solicitation(&[(SPA, &[0; 4])]), asked([0; 4], [192, 168, 1, 1]));
        let announcement = [192, 168, 1, 7];
        let others: [(usize, &[u8]); 6] = [
            (OPCODE, &[2]),
            (TPA, &announcement),
            (TPA, &[0xff; 4]),
            (TPA, &[0; 4]),
            (22, &[0xff; 6]),
            (SPA, &[224, 0, 0, 1]),
        ];
        assert_eq!(others.map(|patch| solicitation(&[patch])), [None; 6]);
    }

    #[test]
    fn a_reply_from_nobody_says_nothing() {
        assert_eq!(sighting(&with(&[(OPCODE, &[2]), (SPA, &[0; 4])])), Ok(None));
    }

    #[test]
    fn addresses_that_no_station_can_have_are_not_claimed() {
        let says = [[224, 0, 0, 1], [255; 4]].map(|spa| sighting(&with(&[(SPA, &spa)])));
        assert_eq!(says, [Ok(None), Ok(None)]);
        assert_eq!(sighting(&with(&[(SPA, &[0; 4]), (TPA, &[0; 4])])), Ok(None));
    }

    #[test]
    fn reverse_and_inverse_arp_say_nothing() {
        assert_eq!([0, 3, 4, 8, 9].map(|op| sighting(&with(&[(OPCODE, &[op])]))), [Ok(None); 5]);
    }

    #[test]
    fn other_hardware_and_protocols_say_nothing() {
        assert_eq!(sighting(&with(&[(15, &[6])])), Ok(None));
        assert_eq!(sighting(&with(&[(16, &[0x86, 0xdd])])), Ok(None));
    }

    #[test]
    fn wrong_address_lengths_are_an_error() {
        assert_eq!(sighting(&with(&[(18, &[8])])), Err(FrameError::ArpLengths { hardware: 8, protocol: 4 }));
        assert_eq!(
            sighting(&with(&[(19, &[16])])),
            Err(FrameError::ArpLengths { hardware: 6, protocol: 16 })
        );
    }

    #[test]
    fn a_priority_tag_is_stepped_over_and_another_vlan_says_nothing() {
        let tagged =
            |identifier: u8| [&WHO_HAS[..12], &[0x81, 0x00, 0xe0, identifier], &WHO_HAS[12..]].concat();
        assert_eq!(sighting(&tagged(0)), seen([192, 168, 1, 7], SightingKind::Claim));
        assert_eq!(sighting(&tagged(10)), Ok(None));
    }

    #[test]
    fn padding_is_ignored_and_every_truncation_is_an_error() {
        let padded = [&WHO_HAS[..], &[0xee; 18]].concat();
        assert_eq!(sighting(&padded), sighting(&WHO_HAS));
        for length in 0..WHO_HAS.len() {
            assert_eq!(sighting(&WHO_HAS[..length]), Err(FrameError::Truncated), "{length} octets");
        }
    }

    proptest! {
        #[test]
        fn any_addresses_are_read_back(sha: [u8; 6], spa in 1..0xe000_0000_u32, tpa: [u8; 4], reply: bool) {
            let frame = with(&[(OPCODE, &[1 + u8::from(reply)]), (22, &sha), (SPA, &spa.to_be_bytes()), (TPA, &tpa)]);
            let expected = Sighting { address: Ipv4Addr::from(spa).into(), from: sha.into(), kind: SightingKind::Claim };
            prop_assert_eq!(sighting(&frame), Ok(Some(expected)));
        }

        #[test]
        fn any_octets_after_the_ethernet_header_are_survived(body in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = sighting(&[&WHO_HAS[..14], &body].concat());
        }
    }
}
