//! AS_PATH (RFC 4271 §4.3) and AS4_PATH (RFC 6793 §3), checked and not kept.

use nom::Parser;
use nom::bytes::complete::take;
use nom::number::complete::be_u8;

use super::super::AsNumbers;

/// RFC 7606 §7.2. Segments of a confederation are malformed from a peer outside it (RFC 5065 §5), and we are in none.
pub(super) fn is_path(value: &[u8], as_numbers: AsNumbers) -> bool {
    all_segments(value, as_numbers, |segment_type| matches!(segment_type, AS_SET | AS_SEQUENCE))
}

/// RFC 6793 §6, where it is confederation segments that are passed over rather than malformed.
pub(super) fn is_as4_path(value: &[u8]) -> bool {
    !value.is_empty() && all_segments(value, AsNumbers::FourOctets, |t| matches!(t, AS_SET..=AS_CONFED_SET))
}

/// AS 0 is in no path (RFC 7607 §2).
fn all_segments(mut value: &[u8], as_numbers: AsNumbers, known: impl Fn(u8) -> bool) -> bool {
    while !value.is_empty() {
        let Ok((rest, (segment_type, asns))) = segment(value, width(as_numbers)) else { return false };
        if !known(segment_type) || asns.is_empty() || asns.chunks(width(as_numbers)).any(is_zero) {
            return false;
        }
        value = rest;
    }
    true
}

/// An AS number as it stands on the wire is AS 0.
pub(super) fn is_zero(asn: &[u8]) -> bool {
    asn.iter().all(|octet| *octet == 0)
}

/// Octets of an AS number.
pub(super) fn width(as_numbers: AsNumbers) -> usize {
    match as_numbers {
        AsNumbers::TwoOctets => 2,
        AsNumbers::FourOctets => 4,
    }
}

/// Its type and its AS numbers.
fn segment(input: &[u8], width: usize) -> super::Read<'_, (u8, &[u8])> {
    let (input, (segment_type, count)) = (be_u8, be_u8).parse(input)?;
    let (rest, asns) = take(usize::from(count) * width).parse(input)?;
    Ok((rest, (segment_type, asns)))
}

const AS_SET: u8 = 1;
const AS_SEQUENCE: u8 = 2;
const AS_CONFED_SET: u8 = 4;
