//! The control packet (RFC 5880 §4.1), and the checks that need nothing but the packet (§6.8.6).

use nom::Parser;
use nom::number::complete::{be_u8, be_u32};

use super::types::{DetectMult, Diagnostic, Discriminator, Interval, State};

/// A control packet. The multipoint bit and an authentication section are never sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet {
    /// Why the sender's session changed last.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// The sender wants an answer with the Final bit.
    pub poll: bool,
    /// An answer to a packet with the Poll bit.
    pub is_final: bool,
    /// The sender's BFD survives a restart of its control plane (RFC 5882 §4.3).
    pub control_plane_independent: bool,
    /// There is an authentication section.
    pub authenticated: bool,
    /// The sender wants no periodic packets.
    pub demand: bool,
    /// How many of the sender's packets have to be missing.
    pub detect_mult: DetectMult,
    /// The sender's.
    pub my_discriminator: Discriminator,
    /// The receiver's, as far as the sender knows it.
    pub your_discriminator: Option<Discriminator>,
    /// How often the sender wants to send at most; zero is reserved.
    pub desired_min_tx: Option<Interval>,
    /// How often the sender can receive at most; `None`: it wants no periodic packets.
    pub required_min_rx: Option<Interval>,
    /// The same for echo packets; `None`: it does not loop them back.
    pub required_min_echo_rx: Option<Interval>,
}

/// Why octets are no control packet, in the order of the checks of RFC 5880 §6.8.6.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Not version 1, or nothing at all.
    #[error("the version is not 1")]
    Version,
    /// "The Length field is less than the minimum correct value (24 if the A bit is clear, or 26 if the A bit is set)".
    #[error("the length field is too small")]
    Length,
    /// "The Length field is greater than the payload of the encapsulating protocol".
    #[error("the packet is shorter than its length field says")]
    Truncated,
    /// It is zero.
    #[error("the detection multiplier is zero")]
    DetectMult,
    /// The bit is set.
    #[error("the multipoint bit is set")]
    Multipoint,
    /// It is zero.
    #[error("the sender's discriminator is zero")]
    MyDiscriminator,
}

/// Reads the payload of a datagram. What follows the length that the packet says is padding.
///
/// # Errors
/// The first check of RFC 5880 §6.8.6 that fails.
pub fn decode(payload: &[u8]) -> Result<Packet, DecodeError> {
    let first = payload.first().copied().unwrap_or_default();
    if first >> 5 != VERSION {
        return Err(DecodeError::Version);
    }
    let flags = payload.get(1).copied().unwrap_or_default();
    let length = usize::from(*payload.get(3).ok_or(DecodeError::Truncated)?);
    let minimum = if flags & AUTHENTICATION == 0 { LEN } else { LEN + AUTHENTICATION_HEADER_LEN };
    if length < minimum {
        return Err(DecodeError::Length);
    }
    let packet = payload.get(..length).ok_or(DecodeError::Truncated)?;
    let (_, fields) = fields(packet).map_err(|_| DecodeError::Truncated)?;
    let detect_mult = DetectMult::new(fields.detect_mult).ok_or(DecodeError::DetectMult)?;
    if flags & MULTIPOINT != 0 {
        return Err(DecodeError::Multipoint);
    }
    let my_discriminator = Discriminator::new(fields.my_discriminator).ok_or(DecodeError::MyDiscriminator)?;
    Ok(Packet {
        diagnostic: Diagnostic::from_bits(first),
        state: State::from_bits(flags >> 6),
        poll: flags & POLL != 0,
        is_final: flags & FINAL != 0,
        control_plane_independent: flags & CONTROL_PLANE_INDEPENDENT != 0,
        authenticated: flags & AUTHENTICATION != 0,
        demand: flags & DEMAND != 0,
        detect_mult,
        my_discriminator,
        your_discriminator: Discriminator::new(fields.your_discriminator),
        desired_min_tx: Interval::from_micros(fields.desired_min_tx),
        required_min_rx: Interval::from_micros(fields.required_min_rx),
        required_min_echo_rx: Interval::from_micros(fields.required_min_echo_rx),
    })
}

/// The packet as it leaves. It has no authentication section, whatever [`Packet::authenticated`] says.
#[must_use]
pub fn encode(packet: &Packet) -> [u8; LEN] {
    let [m0, m1, m2, m3] = packet.my_discriminator.number().to_be_bytes();
    let [y0, y1, y2, y3] = packet.your_discriminator.map_or(0, Discriminator::number).to_be_bytes();
    let [t0, t1, t2, t3] = packet.desired_min_tx.map_or(0, Interval::micros).to_be_bytes();
    let [r0, r1, r2, r3] = packet.required_min_rx.map_or(0, Interval::micros).to_be_bytes();
    let [e0, e1, e2, e3] = packet.required_min_echo_rx.map_or(0, Interval::micros).to_be_bytes();
    let flags = packet.state.bits() << 6
        | flag(packet.poll, POLL)
        | flag(packet.is_final, FINAL)
        | flag(packet.control_plane_independent, CONTROL_PLANE_INDEPENDENT)
        | flag(packet.demand, DEMAND);
    #[rustfmt::skip]
    let octets = [
        VERSION << 5 | packet.diagnostic.bits(), flags, packet.detect_mult.number(), LEN as u8,
        m0, m1, m2, m3, y0, y1, y2, y3, t0, t1, t2, t3, r0, r1, r2, r3, e0, e1, e2, e3,
    ];
    octets
}

const fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

/// What has to be checked yet, or has its meaning elsewhere.
struct Fields {
    detect_mult: u8,
    my_discriminator: u32,
    your_discriminator: u32,
    desired_min_tx: u32,
    required_min_rx: u32,
    required_min_echo_rx: u32,
}

fn fields(packet: &[u8]) -> nom::IResult<&[u8], Fields, ()> {
    (be_u8, be_u8, be_u8, be_u8, be_u32, be_u32, be_u32, be_u32, be_u32)
        .map(
            |(
                _diagnostic,
                _flags,
                detect_mult,
                _length,
                my_discriminator,
                your_discriminator,
                desired_min_tx,
                required_min_rx,
                required_min_echo_rx,
            )| Fields {
                detect_mult,
                my_discriminator,
                your_discriminator,
                desired_min_tx,
                required_min_rx,
                required_min_echo_rx,
            },
        )
        .parse(packet)
}

/// The length of a packet without authentication section.
pub const LEN: usize = 24;
/// The longest that a length field can express.
pub const MAX_LEN: usize = u8::MAX as usize;
const VERSION: u8 = 1;
/// Auth Type and Auth Len.
const AUTHENTICATION_HEADER_LEN: usize = 2;
const POLL: u8 = 1 << 5;
const FINAL: u8 = 1 << 4;
const CONTROL_PLANE_INDEPENDENT: u8 = 1 << 3;
const AUTHENTICATION: u8 = 1 << 2;
const DEMAND: u8 = 1 << 1;
const MULTIPOINT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// What tshark calls: version 1, neighbor signaled session down, Up, poll and control plane independent, 3 x, 24 octets,
    /// 0x12345678, 0x9abcdef0, 300 ms, 100 ms, 50 ms.
    const OCTETS: [u8; 24] = [
        0x23, 0xe8, 0x03, 0x18, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x00, 0x04, 0x93, 0xe0, 0x00,
        0x01, 0x86, 0xa0, 0x00, 0x00, 0xc3, 0x50,
    ];

    fn packet() -> Packet {
        Packet {
            diagnostic: Diagnostic::NeighborSignaledSessionDown,
            state: State::Up,
            poll: true,
            is_final: false,
            control_plane_independent: true,
            authenticated: false,
            demand: false,
            detect_mult: DetectMult::new(3).unwrap(),
            my_discriminator: Discriminator::new(0x1234_5678).unwrap(),
            your_discriminator: Discriminator::new(0x9abc_def0),
            desired_min_tx: Interval::from_micros(300_000),
            required_min_rx: Interval::from_micros(100_000),
            required_min_echo_rx: Interval::from_micros(50_000),
        }
    }

    fn with(at: usize, octet: u8) -> Vec<u8> {
        let mut octets = OCTETS.to_vec();
        octets[at] = octet;
        octets
    }

    #[test]
    fn a_packet_is_read_and_written_octet_for_octet() {
        assert_eq!(decode(&OCTETS), Ok(packet()));
        assert_eq!(encode(&packet()), OCTETS);
    }

    #[test]
    fn every_flag_has_its_bit() {
        let flags = |octet: u8| {
            let packet = decode(&with(1, octet)).unwrap();
            let flags = [packet.poll, packet.is_final, packet.control_plane_independent, packet.demand];
            (packet.state, flags)
        };
        let only = |place: usize| std::array::from_fn(|bit| bit == place);
        assert_eq!(flags(0b0000_0000), (State::AdminDown, [false; 4]));
        assert_eq!(flags(0b0110_0000), (State::Down, only(0)));
        assert_eq!(flags(0b1001_0000), (State::Init, only(1)));
        assert_eq!(flags(0b1100_1000), (State::Up, only(2)));
        assert_eq!(flags(0b0100_0010), (State::Down, only(3)));
        for octet in (0..=u8::MAX).filter(|octet| octet & (AUTHENTICATION | MULTIPOINT) == 0) {
            assert_eq!(encode(&decode(&with(1, octet)).unwrap())[1], octet);
        }
    }

    #[test]
    fn every_diagnostic_survives() {
        for bits in 0..32 {
            let octets = with(0, VERSION << 5 | bits);
            assert_eq!(encode(&decode(&octets).unwrap())[..], octets[..]);
        }
    }

    #[test]
    fn what_is_no_packet_is_refused_for_its_first_fault() {
        let faults = [
            (with(0, 0x03), DecodeError::Version),
            (with(0, 0x43), DecodeError::Version),
            (with(3, 23), DecodeError::Length),
            (with(3, 0), DecodeError::Length),
            (with(3, 25), DecodeError::Truncated),
            (with(3, 255), DecodeError::Truncated),
            (with(2, 0), DecodeError::DetectMult),
            (with(1, 0xe9), DecodeError::Multipoint),
            ([&OCTETS[..4], &[0; 4], &OCTETS[8..]].concat(), DecodeError::MyDiscriminator),
        ];
        for (octets, expected) in faults {
            assert_eq!(decode(&octets), Err(expected), "{octets:02x?}");
        }
        // From the last check to the first: each fault hides those behind it.
        let mut octets = OCTETS.to_vec();
        octets[4..8].fill(0);
        for (at, octet, expected) in [
            (1, 0xe9, DecodeError::Multipoint),
            (2, 0, DecodeError::DetectMult),
            (3, 25, DecodeError::Truncated),
            (3, 9, DecodeError::Length),
            (0, 0xe3, DecodeError::Version),
        ] {
            octets[at] = octet;
            assert_eq!(decode(&octets), Err(expected));
        }
    }

    #[test]
    fn no_part_of_a_packet_is_a_packet_and_padding_is_ignored() {
        for length in 0..OCTETS.len() {
            assert!(decode(&OCTETS[..length]).is_err(), "{length}");
        }
        assert_eq!(decode(&[&OCTETS[..], b"padding of any length"].concat()), Ok(packet()));
    }

    #[test]
    fn an_authenticated_packet_has_two_octets_more_at_least() {
        let mut octets = with(1, 0xec);
        assert_eq!(decode(&octets), Err(DecodeError::Length));
        octets[3] = 26;
        assert_eq!(decode(&octets), Err(DecodeError::Truncated));
        octets.extend([1, 2]);
        assert_eq!(decode(&octets), Ok(Packet { authenticated: true, ..packet() }));
    }

    #[test]
    fn zero_is_no_interval_and_no_discriminator() {
        let octets = [&[0x20, 0x40, 3, 24, 0, 0, 0, 1][..], &[0; 16]].concat();
        let packet = decode(&octets).unwrap();
        assert_eq!(
            (packet.your_discriminator, packet.desired_min_tx, packet.required_min_rx),
            (None, None, None)
        );
        assert_eq!(encode(&packet)[..], octets[..]);
    }
}
