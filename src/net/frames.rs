//! The frames that vipcast sends, built with pnet and given as octets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet::packet::arp::{ArpHardwareTypes, ArpOperation, ArpOperations, MutableArpPacket};
use pnet::packet::ethernet::{EtherType, EtherTypes, MutableEthernetPacket};
use pnet::packet::icmpv6::ndp::{
    MutableNdpOptionPacket, MutableNeighborAdvertPacket, MutableNeighborSolicitPacket, NdpOptionTypes,
    NeighborAdvertFlags,
};
use pnet::packet::icmpv6::{Icmpv6Packet, Icmpv6Types, MutableIcmpv6Packet, checksum};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv6::MutableIpv6Packet;
use pnet::util::MacAddr as PnetMac;
use vipcast_proto::l2::ethernet::{MacAddr, Solicitation};

/// Asks the segment whether `address` is free: an ARP Probe (RFC 5227 §2.1.1), or duplicate address detection
/// (RFC 4862 §5.4.2).
#[must_use]
pub fn probe(mac: MacAddr, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp_probe(mac, address),
        IpAddr::V6(address) => duplicate_address_detection(mac, address),
    }
}

/// Tells the segment that `address` is at `mac`. IPv4 takes two frames: "either type of ARP packet can be used"
/// (RFC 5227 §3), and there are neighbours that listen to one of them only.
#[must_use]
pub fn announcement(mac: MacAddr, address: IpAddr) -> Vec<Vec<u8>> {
    match address {
        IpAddr::V4(address) => {
            vec![arp_announcement_request(mac, address), arp_announcement_reply(mac, address)]
        }
        IpAddr::V6(address) => vec![unsolicited_advertisement(mac, address)],
    }
}

/// Tells who asked that the target is at `mac`; `None` where the question mixes the families.
#[must_use]
pub fn answer(mac: MacAddr, solicitation: &Solicitation) -> Option<Vec<u8>> {
    match (solicitation.target, solicitation.sender) {
        (IpAddr::V4(target), IpAddr::V4(sender)) => Some(arp_reply(mac, target, solicitation.from, sender)),
        (IpAddr::V6(target), IpAddr::V6(sender)) => {
            Some(solicited_advertisement(mac, target, solicitation.from, sender))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// An ARP reply to one station (RFC 826); to a probe it goes to the unspecified address, which is what asked.
#[must_use]
pub fn arp_reply(mac: MacAddr, address: Ipv4Addr, to: MacAddr, asker: Ipv4Addr) -> Vec<u8> {
    arp(ArpOperations::Reply, mac, address, to, asker, to)
}

/// A Neighbor Advertisement that answers a solicitation: to who asked, or to all nodes where that was duplicate address
/// detection, and then it is not called solicited (RFC 4861 §7.2.4). It overrides, as the address is no anycast address.
#[must_use]
pub fn solicited_advertisement(mac: MacAddr, address: Ipv6Addr, to: MacAddr, asker: Ipv6Addr) -> Vec<u8> {
    if asker.is_unspecified() {
        return unsolicited_advertisement(mac, address);
    }
    let flags = NeighborAdvertFlags::Override | NeighborAdvertFlags::Solicited;
    icmpv6(mac, to, address, asker, advertisement(mac, address, flags))
}

/// An ARP Probe: sender protocol address 0.0.0.0, so that nobody's cache is changed by the question.
#[must_use]
pub fn arp_probe(mac: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    arp(ArpOperations::Request, mac, Ipv4Addr::UNSPECIFIED, NULL, address, MacAddr::BROADCAST)
}

/// An ARP Announcement as a request.
#[must_use]
pub fn arp_announcement_request(mac: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    arp(ArpOperations::Request, mac, address, NULL, address, MacAddr::BROADCAST)
}

/// An ARP Announcement as a reply. The target hardware address is the sender's: Linux takes a reply for gratuitous,
/// and updates an entry younger than a second, only then.
#[must_use]
pub fn arp_announcement_reply(mac: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    arp(ArpOperations::Reply, mac, address, mac, address, MacAddr::BROADCAST)
}

/// An unsolicited Neighbor Advertisement to all nodes, which overrides what they know (RFC 4861 §7.2.6).
/// Its source is the VIP itself: no other address is sure to be there.
#[must_use]
pub fn unsolicited_advertisement(mac: MacAddr, address: Ipv6Addr) -> Vec<u8> {
    let message = advertisement(mac, address, NeighborAdvertFlags::Override);
    icmpv6(mac, multicast_mac(ALL_NODES), address, ALL_NODES, message)
}

#[expect(clippy::expect_used, reason = "the buffers have the lengths of what is put into them")]
fn advertisement(mac: MacAddr, address: Ipv6Addr, flags: u8) -> Vec<u8> {
    let length = MutableNeighborAdvertPacket::minimum_packet_size() + LINK_LAYER_OPTION_LEN;
    let mut message = vec![0; length];
    let mut advert = MutableNeighborAdvertPacket::new(&mut message).expect("length is the packet's");
    advert.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
    advert.set_flags(flags);
    advert.set_target_addr(address);
    let mut option =
        MutableNdpOptionPacket::new(advert.get_options_raw_mut()).expect("length is the option's");
    option.set_option_type(NdpOptionTypes::TargetLLAddr);
    option.set_length(1);
    option.set_data(&mac.octets());
    message
}

/// A Neighbor Solicitation from the unspecified address. It carries no nonce (RFC 7527): one's own frames, looped
/// back, are known by their source.
#[must_use]
#[expect(clippy::expect_used, reason = "the buffer has the length of what is put into it")]
pub fn duplicate_address_detection(mac: MacAddr, address: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![0; MutableNeighborSolicitPacket::minimum_packet_size()];
    let mut solicit = MutableNeighborSolicitPacket::new(&mut message).expect("length is the packet's");
    solicit.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
    solicit.set_target_addr(address);
    let group = solicited_node(address);
    icmpv6(mac, multicast_mac(group), Ipv6Addr::UNSPECIFIED, group, message)
}

/// `ff02::1:ffXX:XXXX` (RFC 4291 §2.7.1).
#[must_use]
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}

#[expect(clippy::expect_used, reason = "the buffer has the length of what is put into it")]
fn arp(
    operation: ArpOperation,
    mac: MacAddr,
    sender: Ipv4Addr,
    target_mac: MacAddr,
    target: Ipv4Addr,
    to: MacAddr,
) -> Vec<u8> {
    let mut body = vec![0; MutableArpPacket::minimum_packet_size()];
    let mut packet = MutableArpPacket::new(&mut body).expect("length is the packet's");
    packet.set_hardware_type(ArpHardwareTypes::Ethernet);
    packet.set_protocol_type(EtherTypes::Ipv4);
    packet.set_hw_addr_len(6);
    packet.set_proto_addr_len(4);
    packet.set_operation(operation);
    packet.set_sender_hw_addr(pnet_mac(mac));
    packet.set_sender_proto_addr(sender);
    packet.set_target_hw_addr(pnet_mac(target_mac));
    packet.set_target_proto_addr(target);
    ethernet(mac, to, EtherTypes::Arp, &body)
}

/// Puts `message` into IPv6 and Ethernet, and computes its checksum.
#[expect(clippy::expect_used, reason = "the buffers have the lengths of what is put into them")]
fn icmpv6(
    mac: MacAddr,
    to: MacAddr,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    mut message: Vec<u8>,
) -> Vec<u8> {
    let sum = checksum(&Icmpv6Packet::new(&message).expect("longer than a header"), &source, &destination);
    MutableIcmpv6Packet::new(&mut message).expect("longer than a header").set_checksum(sum);

    let mut body = vec![0; MutableIpv6Packet::minimum_packet_size() + message.len()];
    let mut packet = MutableIpv6Packet::new(&mut body).expect("length is the packet's");
    packet.set_version(6);
    packet.set_payload_length(u16::try_from(message.len()).expect("shorter than 65536"));
    packet.set_next_header(IpNextHeaderProtocols::Icmpv6);
    packet.set_hop_limit(HOP_LIMIT);
    packet.set_source(source);
    packet.set_destination(destination);
    packet.set_payload(&message);
    ethernet(mac, to, EtherTypes::Ipv6, &body)
}

#[expect(clippy::expect_used, reason = "the buffer has the length of what is put into it")]
fn ethernet(source: MacAddr, destination: MacAddr, ether_type: EtherType, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; MutableEthernetPacket::minimum_packet_size() + body.len()];
    let mut packet = MutableEthernetPacket::new(&mut frame).expect("length is the packet's");
    packet.set_source(pnet_mac(source));
    packet.set_destination(pnet_mac(destination));
    packet.set_ethertype(ether_type);
    packet.set_payload(body);
    frame
}

/// RFC 2464 §7.
fn multicast_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr::from([0x33, 0x33, a, b, c, d])
}

fn pnet_mac(mac: MacAddr) -> PnetMac {
    PnetMac::from(mac.octets())
}

const NULL: MacAddr = MacAddr::NULL;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// "The IP Hop Limit field has a value of 255, i.e., the packet could not possibly have been forwarded by a router"
/// (RFC 4861 §7.1.1).
const HOP_LIMIT: u8 = 255;
/// Type, length and six octets.
const LINK_LAYER_OPTION_LEN: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vipcast_proto::l2::ethernet::{Sighting, SightingKind, heard, is_addressed_to, sighting};

    use super::*;

    const MAC: [u8; 6] = [0x02, 0x00, 0x5e, 0x10, 0x00, 0x01];
    const V4: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 100);
    const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0x12, 0x3456);

    fn mac() -> MacAddr {
        MacAddr::from(MAC)
    }

    fn asker() -> MacAddr {
        MacAddr::from([0x02, 0x00, 0x5e, 0x10, 0x00, 0x07])
    }

    #[test]
    fn an_arp_probe_has_these_octets() {
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0x08,
            0x06, // Ethernet
            0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, // Ethernet, IPv4, 6, 4, request
            0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, // sha, spa
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0xa8, 0x01, 0x64, // tha, tpa
        ];
        assert_eq!(arp_probe(mac(), V4), expected);
    }

    #[test]
    fn an_arp_announcement_is_a_request_and_a_reply_with_these_octets() {
        let request = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0x08,
            0x06, // Ethernet
            0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, // Ethernet, IPv4, 6, 4, request
            0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0xc0, 0xa8, 0x01, 0x64, // sha, spa
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0xa8, 0x01, 0x64, // tha, tpa
        ];
        let reply = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0x08,
            0x06, // Ethernet
            0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x02, // Ethernet, IPv4, 6, 4, reply
            0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0xc0, 0xa8, 0x01, 0x64, // sha, spa
            0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0xc0, 0xa8, 0x01, 0x64, // tha, tpa
        ];
        assert_eq!(announcement(mac(), V4.into()), [request.to_vec(), reply.to_vec()]);
    }

    #[test]
    fn an_unsolicited_advertisement_has_these_octets() {
        let expected = [
            0x33, 0x33, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0x86,
            0xdd, // Ethernet
            0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, // IPv6, 32 octets, ICMPv6, hop limit 255
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56, // source
            0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // destination
            0x88, 0x00, 0x93, 0xbc, 0x20, 0x00, 0x00, 0x00, // advertisement, checksum, override
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56, // target
            0x02, 0x01, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, // target link-layer address
        ];
        assert_eq!(announcement(mac(), V6.into()), [expected.to_vec()]);
    }

    #[test]
    fn duplicate_address_detection_has_these_octets() {
        let expected = [
            0x33, 0x33, 0xff, 0x12, 0x34, 0x56, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0x86,
            0xdd, // Ethernet
            0x60, 0x00, 0x00, 0x00, 0x00, 0x18, 0x3a, 0xff, // IPv6, 24 octets, ICMPv6, hop limit 255
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // source
            0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x12, 0x34, 0x56, // destination
            0x87, 0x00, 0x14, 0xd7, 0x00, 0x00, 0x00, 0x00, // solicitation, checksum
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56, // target
        ];
        assert_eq!(probe(mac(), V6.into()), expected);
    }

    #[test]
    fn an_arp_reply_goes_to_who_asked_with_these_octets() {
        let expected = [
            0x02, 0x00, 0x5e, 0x10, 0x00, 0x07, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0x08,
            0x06, // Ethernet
            0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x02, // Ethernet, IPv4, 6, 4, reply
            0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0xc0, 0xa8, 0x01, 0x64, // sha, spa
            0x02, 0x00, 0x5e, 0x10, 0x00, 0x07, 0xc0, 0xa8, 0x01, 0x07, // tha, tpa
        ];
        let asked = Solicitation { target: V4.into(), sender: [192, 168, 1, 7].into(), from: asker() };
        assert_eq!(answer(mac(), &asked), Some(expected.to_vec()));
    }

    #[test]
    fn a_solicited_advertisement_goes_to_who_asked_with_these_octets() {
        let expected = [
            0x02, 0x00, 0x5e, 0x10, 0x00, 0x07, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0x86,
            0xdd, // Ethernet
            0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, // IPv6, 32 octets, ICMPv6, hop limit 255
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56, // source
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x07, // destination
            0x88, 0x00, 0x55, 0xb8, 0x60, 0x00, 0x00,
            0x00, // advertisement, checksum, solicited and override
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56, // target
            0x02, 0x01, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, // target link-layer address
        ];
        let sender = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7).into();
        let asked = Solicitation { target: V6.into(), sender, from: asker() };
        assert_eq!(answer(mac(), &asked), Some(expected.to_vec()));
    }

    #[test]
    fn duplicate_address_detection_is_answered_to_all_nodes_and_families_are_not_mixed() {
        let nobody = Ipv6Addr::UNSPECIFIED.into();
        let asked = Solicitation { target: V6.into(), sender: nobody, from: asker() };
        assert_eq!(answer(mac(), &asked), Some(unsolicited_advertisement(mac(), V6)));
        assert_eq!(answer(mac(), &Solicitation { target: V4.into(), ..asked }), None);
    }

    proptest! {
        #[test]
        fn an_answer_is_for_who_asked_and_claims_what_was_asked_for(
            target in 1..0xe000_0000_u32,
            sender in 1..0xe000_0000_u32,
        ) {
            let v6 = |low: u32| Ipv6Addr::from(0xfd_u128 << 120 | u128::from(low)).into();
            let (v4, from) = (|low: u32| Ipv4Addr::from(low).into(), asker());
            for (target, sender) in [(v4(target), v4(sender)), (v6(target), v6(sender))] {
                let frame = answer(mac(), &Solicitation { target, sender, from }).unwrap();
                let claim = Sighting { address: target, from: mac(), kind: SightingKind::Claim };
                let heard = heard(&frame).unwrap();
                prop_assert_eq!((heard.sighting, heard.solicitation), (Some(claim), None));
                prop_assert!(is_addressed_to(&frame, from) && !is_addressed_to(&frame, mac()));
            }
        }

        #[test]
        fn what_is_built_here_is_what_the_parser_reads(
            mac: [u8; 6],
            v4 in 1..0xe000_0000_u32,
            v6 in 2..0xff00_u128 << 112,
        ) {
            let from = MacAddr::from(mac);
            for address in [IpAddr::from(Ipv4Addr::from(v4)), Ipv6Addr::from(v6).into()] {
                let read = |frame: Vec<u8>| sighting(&frame);
                let expected = |kind| Ok(Some(Sighting { address, from, kind }));
                prop_assert_eq!(read(probe(from, address)), expected(SightingKind::Probe));
                for frame in announcement(from, address) {
                    prop_assert_eq!(read(frame), expected(SightingKind::Claim));
                }
            }
        }
    }
}
