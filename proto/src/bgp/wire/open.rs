//! OPEN (RFC 4271 §4.2) with its optional parameters (RFC 5492, RFC 9072).

use std::net::Ipv4Addr;

use nom::Parser;
use nom::combinator::map;
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16, be_u32};

use super::{Read, Refused, capability};
use crate::bgp::types::{Capability, Open};

/// What an OPEN says behind its header, which is at least ten octets long.
pub(super) fn decode(body: &[u8]) -> Result<Open, Refused> {
    let (rest, version) = be_u8::<_, ()>(body).map_err(malformed)?;
    if version != VERSION {
        return Err(Refused::Version(version));
    }
    let (parameters, mut open) = fixed(rest).map_err(malformed)?;
    read_parameters(parameters, &mut open.capabilities)?;
    Ok(open)
}

fn fixed(input: &[u8]) -> Read<'_, Open> {
    map((be_u16, be_u16, be_u32), |(my_as, hold_time, identifier)| Open {
        my_as,
        hold_time,
        identifier: Ipv4Addr::from(identifier),
        capabilities: Vec::new(),
    })
    .parse(input)
}

/// From Opt Parm Len on.
fn read_parameters(input: &[u8], capabilities: &mut Vec<Capability>) -> Result<(), Refused> {
    let (mut parameters, width) = match input {
        // "A value of 255 for this field is the indication that the extended format is in use", whatever the
        // length before it says, as long as it is not zero (RFC 9072 §2).
        [length, EXTENDED, extended @ ..] if *length != 0 => (sized(extended, be_u16)?, Width::Two),
        _ => (sized(input, be_u8)?, Width::One),
    };
    while !parameters.is_empty() {
        let (rest, (parameter_type, value)) = parameter(parameters, width).map_err(malformed)?;
        if parameter_type != CAPABILITIES {
            return Err(Refused::OptionalParameter(parameter_type));
        }
        capability::decode_all(value, capabilities)?;
        parameters = rest;
    }
    Ok(())
}

/// All that follows a length, which must be just that long.
fn sized<'a, L: nom::ToUsize>(
    input: &'a [u8],
    length: impl Fn(&'a [u8]) -> Read<'a, L>,
) -> Result<&'a [u8], Refused> {
    let (rest, length) = length(input).map_err(malformed)?;
    if rest.len() == length.to_usize() { Ok(rest) } else { Err(Refused::OptionalParameters) }
}

#[derive(Clone, Copy)]
enum Width {
    One,
    Two,
}

fn parameter(input: &[u8], width: Width) -> Read<'_, (u8, &[u8])> {
    match width {
        Width::One => (be_u8, length_data(be_u8)).parse(input),
        Width::Two => (be_u8, length_data(be_u16)).parse(input),
    }
}

fn malformed(_: nom::Err<()>) -> Refused {
    Refused::OptionalParameters
}

/// The only version in use.
pub(super) const VERSION: u8 = 4;
/// The optional parameter that holds capabilities (RFC 5492 §4).
pub(super) const CAPABILITIES: u8 = 2;
/// In place of an optional parameter's type (RFC 9072 §2).
pub(super) const EXTENDED: u8 = 255;
