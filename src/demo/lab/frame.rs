//! The few frames of the observer, by hand: its judgement must not rest on the code that is judged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lan::Mac;

/// What a frame says about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// `owner` answers the question that `asker` put.
    Answer {
        /// Hardware address of who claims the address.
        owner: Mac,
        /// The protocol address the question came from.
        asker: IpAddr,
    },
    /// `owner` says unasked, to everybody, that the address is his.
    Announcement {
        /// Hardware address of who claims the address.
        owner: Mac,
    },
}

/// The question "who has `vip`?" to everybody, from a protocol address of one's choice: the answer repeats it.
#[must_use]
pub fn question(mac: Mac, asker: IpAddr, vip: IpAddr) -> Option<Vec<u8>> {
    match (asker, vip) {
        (IpAddr::V4(asker), IpAddr::V4(vip)) => Some(arp_request(mac, asker, vip)),
        (IpAddr::V6(asker), IpAddr::V6(vip)) => Some(solicitation(mac, asker, vip)),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// What `frame` says about `vip`; nothing, if it is about something else.
#[must_use]
pub fn parse(frame: &[u8], vip: IpAddr) -> Option<Heard> {
    let (_destination, rest) = frame.split_first_chunk::<6>()?;
    let (_source, rest) = rest.split_first_chunk::<6>()?;
    let (ethertype, payload) = rest.split_first_chunk::<2>()?;
    match (u16::from_be_bytes(*ethertype), vip) {
        (ETHERTYPE_ARP, IpAddr::V4(vip)) => parse_arp(payload, vip),
        (ETHERTYPE_IPV6, IpAddr::V6(vip)) => parse_advertisement(payload, vip),
        _ => None,
    }
}

/// The EtherType under which one hears of `vip`.
#[must_use]
pub const fn ethertype(vip: IpAddr) -> u16 {
    match vip {
        IpAddr::V4(_) => ETHERTYPE_ARP,
        IpAddr::V6(_) => ETHERTYPE_IPV6,
    }
}

fn arp_request(mac: Mac, asker: Ipv4Addr, vip: Ipv4Addr) -> Vec<u8> {
    [
        &BROADCAST[..],
        &mac,
        &ETHERTYPE_ARP.to_be_bytes(),
        &ARP_FOR_IPV4,
        &ARP_REQUEST,
        &mac,
        &asker.octets(),
        &[0; 6],
        &vip.octets(),
    ]
    .concat()
}

/// RFC 826, Ethernet and IPv4. An announcement names the same protocol address as sender and target (RFC 5227 §3).
fn parse_arp(payload: &[u8], vip: Ipv4Addr) -> Option<Heard> {
    let payload = payload.strip_prefix(&ARP_FOR_IPV4)?;
    let (operation, rest) = payload.split_first_chunk::<2>()?;
    let (owner, rest) = rest.split_first_chunk::<6>()?;
    let (sender, rest) = rest.split_first_chunk::<4>()?;
    let (_target_mac, rest) = rest.split_first_chunk::<6>()?;
    let (target, _padding) = rest.split_first_chunk::<4>()?;
    if Ipv4Addr::from(*sender) != vip {
        return None;
    }
    let (owner, target) = (*owner, Ipv4Addr::from(*target));
    match *operation {
        _ if target == vip => Some(Heard::Announcement { owner }),
        ARP_REPLY => Some(Heard::Answer { owner, asker: target.into() }),
        _ => None,
    }
}

/// RFC 4861 §4.3, to the solicited-node group of the VIP.
fn solicitation(mac: Mac, asker: Ipv6Addr, vip: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = vip.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let mut message =
        [&[NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0][..], &vip.octets(), &[SOURCE_LINK_LAYER, 1], &mac]
            .concat();
    let checksum = checksum(asker, group, &message);
    if let Some(place) = message.get_mut(2..4) {
        place.copy_from_slice(&checksum.to_be_bytes());
    }
    let length = u16::try_from(message.len()).unwrap_or_default().to_be_bytes();
    let to = [0x33, 0x33, 0xff, a, b, c];
    let ethernet = [&to[..], &mac, &ETHERTYPE_IPV6.to_be_bytes()].concat();
    let ipv6 =
        [&[0x60, 0, 0, 0][..], &length, &[ICMPV6, MAX_HOPS], &asker.octets(), &group.octets()].concat();
    [ethernet, ipv6, message].concat()
}

/// RFC 4861 §4.4: an answer is "solicited"; an unsolicited one goes to all nodes.
fn parse_advertisement(payload: &[u8], vip: Ipv6Addr) -> Option<Heard> {
    let (header, message) = payload.split_first_chunk::<40>()?;
    let [_, _, _, _, _, _, ICMPV6, MAX_HOPS, addresses @ ..] = header else {
        return None;
    };
    let (_source, destination) = addresses.split_first_chunk::<16>()?;
    let destination = Ipv6Addr::from(*destination.first_chunk::<16>()?);
    let [NEIGHBOUR_ADVERTISEMENT, 0, _, _, flags, _, _, _, rest @ ..] = message else {
        return None;
    };
    let (target, options) = rest.split_first_chunk::<16>()?;
    if Ipv6Addr::from(*target) != vip {
        return None;
    }
    let [TARGET_LINK_LAYER, 1, mac @ ..] = options else {
        return None;
    };
    let owner = *mac.first_chunk::<6>()?;
    Some(if flags & SOLICITED == 0 {
        Heard::Announcement { owner }
    } else {
        Heard::Answer { owner, asker: destination.into() }
    })
}

/// RFC 4443 §2.3: over the pseudo-header and the message.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
    let covered =
        [&source.octets()[..], &destination.octets(), &length, &[0, 0, 0, ICMPV6], message].concat();
    let words = covered.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(u16::from_be_bytes([*high, 0])),
        _ => 0,
    });
    let mut sum = words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

const BROADCAST: Mac = [0xff; 6];
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Hardware type Ethernet, protocol type IPv4, and their lengths.
const ARP_FOR_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
const ARP_REQUEST: [u8; 2] = [0, 1];
const ARP_REPLY: [u8; 2] = [0, 2];
const ICMPV6: u8 = 58;
/// "255" in every neighbour discovery packet: none has crossed a router (RFC 4861 §7.1).
const MAX_HOPS: u8 = 255;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
const SOLICITED: u8 = 0x40;

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Mac = [2, 0x77, 0, 0, 0, 4];
    const THEIRS: Mac = [2, 0x77, 0, 0, 0, 11];

    fn arp(operation: u8, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
        [&OURS[..], &THEIRS, &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation], &THEIRS, &sender, &OURS, &target]
            .concat()
    }

    #[test]
    fn an_arp_reply_is_an_answer_to_its_asker() {
        let vip = "10.77.0.100".parse().unwrap();
        let answer = Heard::Answer { owner: THEIRS, asker: "10.77.0.201".parse().unwrap() };
        assert_eq!(parse(&arp(2, [10, 77, 0, 100], [10, 77, 0, 201]), vip), Some(answer));
    }

    #[test]
    fn arp_that_names_the_vip_as_sender_and_target_is_an_announcement() {
        let vip = "10.77.0.100".parse().unwrap();
        for operation in [1, 2] {
            let frame = arp(operation, [10, 77, 0, 100], [10, 77, 0, 100]);
            assert_eq!(parse(&frame, vip), Some(Heard::Announcement { owner: THEIRS }));
        }
    }

    #[test]
    fn arp_about_others_and_questions_about_the_vip_say_nothing() {
        let vip = "10.77.0.100".parse().unwrap();
        assert_eq!(parse(&arp(2, [10, 77, 0, 12], [10, 77, 0, 4]), vip), None);
        assert_eq!(parse(&arp(1, [10, 77, 0, 12], [10, 77, 0, 100]), vip), None);
        assert_eq!(parse(&arp(1, [10, 77, 0, 100], [10, 77, 0, 4]), vip), None);
        let whole = arp(2, [10, 77, 0, 100], [10, 77, 0, 4]);
        assert!((0..whole.len()).all(|length| parse(&whole[..length], vip).is_none()));
    }

    #[test]
    fn a_question_has_the_form_of_rfc_826() {
        let frame = question(OURS, "10.77.0.200".parse().unwrap(), "10.77.0.100".parse().unwrap()).unwrap();
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0x77, 0, 0, 0, 4, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0x77,
            0, 0, 0, 4, 10, 77, 0, 200, 0, 0, 0, 0, 0, 0, 10, 77, 0, 100,
        ];
        assert_eq!(frame, expected);
    }
}
