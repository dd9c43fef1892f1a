//! Valid frames with fields of the fuzzer's choice and a right checksum, so that it gets past the first checks: what was
//! put in is what is read, and no truncation of it is read as something else.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vipcast_proto::l2::ethernet::{MacAddr, Sighting, SightingKind, sighting};

#[derive(Arbitrary, Debug)]
enum Frame {
    Arp {
        reply: bool,
        sha: [u8; 6],
        spa: [u8; 4],
        tha: [u8; 6],
        tpa: [u8; 4],
        padding: Vec<u8>,
    },
    Ndp(Ndp),
}

#[derive(Arbitrary, Debug)]
struct Ndp {
    advertisement: bool,
    source: [u8; 16],
    destination: Option<[u8; 16]>,
    code: u8,
    hop_limit: Option<u8>,
    flags: [u8; 4],
    target: [u8; 16],
    options: Vec<Opt>,
    trailer: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Opt {
    option_type: u8,
    length: u8,
    mac: [u8; 6],
    /// Whether the value has the length that it says.
    honest: bool,
}

const ETHERNET_SOURCE: [u8; 6] = [2, 0, 0, 0, 0, 1];

fuzz_target!(|input: (Frame, u16)| {
    let (frame, cut) = input;
    let (octets, possible) = match &frame {
        Frame::Arp {
            reply,
            sha,
            spa,
            tha,
            tpa,
            padding,
        } => (
            arp(*reply, sha, spa, tha, tpa, padding),
            [IpAddr::from(*spa), IpAddr::from(*tpa)],
        ),
        Frame::Ndp(ndp) => (
            ndp.octets(),
            [IpAddr::from(ndp.target), IpAddr::from(ndp.target)],
        ),
    };
    let whole = sighting(&octets);
    if let Ok(Some(seen)) = whole {
        assert!(possible.contains(&seen.address), "{seen:?} of {frame:?}");
    }
    if let Frame::Arp {
        reply, sha, spa, ..
    } = &frame
    {
        let spa = Ipv4Addr::from(*spa);
        if !(spa.is_unspecified() || spa.is_multicast() || spa.is_broadcast()) {
            let claim = Sighting {
                address: spa.into(),
                from: MacAddr::from(*sha),
                kind: SightingKind::Claim,
            };
            assert_eq!(whole, Ok(Some(claim)), "reply: {reply}");
        }
    }
    let length = usize::from(cut) % octets.len();
    let cut = sighting(&octets[..length]);
    assert!(
        !matches!(cut, Ok(Some(_))) || cut == whole,
        "{cut:?} of {length} octets of {frame:?}"
    );
});

fn ethernet(ether_type: u16) -> Vec<u8> {
    [&[0xff; 6], &ETHERNET_SOURCE[..], &ether_type.to_be_bytes()].concat()
}

fn arp(
    reply: bool,
    sha: &[u8; 6],
    spa: &[u8; 4],
    tha: &[u8; 6],
    tpa: &[u8; 4],
    padding: &[u8],
) -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, 1 + u8::from(reply)];
    [&ethernet(0x0806), &fixed[..], sha, spa, tha, tpa, padding].concat()
}

impl Ndp {
    fn octets(&self) -> Vec<u8> {
        let kind = if self.advertisement { 136 } else { 135 };
        let mut message = [&[kind, self.code, 0, 0], &self.flags[..], &self.target].concat();
        for option in &self.options {
            let value = usize::from(option.length)
                .saturating_mul(8)
                .saturating_sub(2);
            let value = if option.honest { value } else { 6 };
            let body: Vec<u8> = option.mac.iter().copied().cycle().take(value).collect();
            message.extend([option.option_type, option.length].into_iter().chain(body));
        }
        message.extend(&self.trailer);
        message.truncate(60_000);
        let destination = self.destination.unwrap_or_else(|| self.solicited_node());
        let sum = checksum(&self.source, &destination, &message).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
        let length = (message.len() as u16).to_be_bytes();
        let hop_limit = self.hop_limit.unwrap_or(255);
        let header = [0x60, 0, 0, 0, length[0], length[1], 58, hop_limit];
        [
            &ethernet(0x86dd),
            &header[..],
            &self.source,
            &destination,
            &message,
        ]
        .concat()
    }

    fn solicited_node(&self) -> [u8; 16] {
        let [.., high, low] = Ipv6Addr::from(self.target).segments();
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | high, low).octets()
    }
}

fn checksum(source: &[u8], destination: &[u8], message: &[u8]) -> u16 {
    let length = (message.len() as u32).to_be_bytes();
    let all = [source, destination, &length, &[0, 0, 0, 58], message].concat();
    let mut sum: u32 = all
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
