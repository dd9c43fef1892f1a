//! Capabilities (RFC 5492 §4), both ways.

use bytes::{BufMut, Bytes};
use nom::Parser;
use nom::combinator::{all_consuming, map};
use nom::multi::{length_data, many0};
use nom::number::complete::{be_u8, be_u16, be_u32};

use super::iana::capability;
use super::{Read, Refused};
use crate::bgp::types::{Asn, Capability, Family, GracefulRestart};

/// Every capability in a capabilities parameter.
pub(super) fn decode_all(mut input: &[u8], into: &mut Vec<Capability>) -> Result<(), Refused> {
    while !input.is_empty() {
        let (rest, (code, value)) =
            (be_u8::<_, ()>, length_data(be_u8)).parse(input).map_err(|_| Refused::OptionalParameters)?;
        let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
        into.push(decode(code, value).ok_or(Refused::Capability { code, length })?);
        input = rest;
    }
    Ok(())
}

/// `None` where the code forbids that length.
fn decode(code: u8, value: &[u8]) -> Option<Capability> {
    Some(match code {
        capability::MULTIPROTOCOL => Capability::MultiProtocol(whole(multiprotocol, value)?),
        capability::ROUTE_REFRESH => value.is_empty().then_some(Capability::RouteRefresh)?,
        capability::EXTENDED_NEXT_HOP => Capability::ExtendedNextHop(whole(many0(next_hop), value)?),
        capability::GRACEFUL_RESTART => Capability::GracefulRestart(whole(graceful_restart, value)?),
        capability::FOUR_OCTET_AS => Capability::FourOctetAs(whole(map(be_u32, Asn), value)?),
        capability::ENHANCED_ROUTE_REFRESH => value.is_empty().then_some(Capability::EnhancedRouteRefresh)?,
        _ => Capability::Unknown { code, value: Bytes::copy_from_slice(value) },
    })
}

fn whole<'a, T>(parser: impl Parser<&'a [u8], Output = T, Error = ()>, value: &'a [u8]) -> Option<T> {
    all_consuming(parser).parse(value).ok().map(|(_, read)| read)
}

fn multiprotocol(input: &[u8]) -> Read<'_, Family> {
    map((be_u16, be_u8, be_u8), |(afi, _reserved, safi)| Family { afi, safi }).parse(input)
}

/// The SAFI has two octets here (RFC 8950 §4); one that needs both is no family of anybody's.
fn next_hop(input: &[u8]) -> Read<'_, (Family, u16)> {
    map((be_u16, be_u8, be_u8, be_u16), |(afi, _high, safi, next_hop)| (Family { afi, safi }, next_hop))
        .parse(input)
}

fn graceful_restart(input: &[u8]) -> Read<'_, GracefulRestart> {
    map((be_u16, many0(preserved)), |(flags_and_time, families)| GracefulRestart {
        restarting: flags_and_time & RESTARTING != 0,
        notification: flags_and_time & NOTIFICATION != 0,
        restart_time: flags_and_time & MAX_RESTART_TIME,
        families,
    })
    .parse(input)
}

fn preserved(input: &[u8]) -> Read<'_, (Family, bool)> {
    map((be_u16, be_u8, be_u8), |(afi, safi, flags)| (Family { afi, safi }, flags & FORWARDING != 0))
        .parse(input)
}

/// Code, length and value. A value has room for 255 octets: what a list has beyond that is left out.
pub(super) fn encode(capability: &Capability, into: &mut impl BufMut) {
    match capability {
        Capability::MultiProtocol(family) => {
            head(capability::MULTIPROTOCOL, 4, into);
            into.put_u16(family.afi);
            into.put_u8(0);
            into.put_u8(family.safi);
        }
        Capability::RouteRefresh => head(capability::ROUTE_REFRESH, 0, into),
        Capability::ExtendedNextHop(families) => encode_next_hops(families, into),
        Capability::GracefulRestart(restart) => encode_graceful_restart(restart, into),
        Capability::FourOctetAs(asn) => {
            head(capability::FOUR_OCTET_AS, 4, into);
            into.put_u32(asn.0);
        }
        Capability::EnhancedRouteRefresh => head(capability::ENHANCED_ROUTE_REFRESH, 0, into),
        Capability::Unknown { code, value } => {
            let value = value.get(..MAX_VALUE).unwrap_or(value);
            head(*code, value.len(), into);
            into.put_slice(value);
        }
    }
}

fn encode_next_hops(families: &[(Family, u16)], into: &mut impl BufMut) {
    let families = families.get(..MAX_VALUE / 6).unwrap_or(families);
    head(capability::EXTENDED_NEXT_HOP, families.len() * 6, into);
    for (family, next_hop) in families {
        into.put_u16(family.afi);
        into.put_u16(family.safi.into());
        into.put_u16(*next_hop);
    }
}

fn encode_graceful_restart(restart: &GracefulRestart, into: &mut impl BufMut) {
    let families = restart.families.get(..(MAX_VALUE - 2) / 4).unwrap_or(&restart.families);
    let flags =
        if restart.restarting { RESTARTING } else { 0 } | if restart.notification { NOTIFICATION } else { 0 };
    head(capability::GRACEFUL_RESTART, 2 + families.len() * 4, into);
    into.put_u16(flags | restart.restart_time.min(MAX_RESTART_TIME));
    for (family, preserved) in families {
        into.put_u16(family.afi);
        into.put_u8(family.safi);
        into.put_u8(if *preserved { FORWARDING } else { 0 });
    }
}

fn head(code: u8, length: usize, into: &mut impl BufMut) {
    into.put_u8(code);
    into.put_u8(u8::try_from(length).unwrap_or(u8::MAX));
}

/// What fits behind one octet of length.
const MAX_VALUE: usize = 255;
/// The Restart Time has twelve bits (RFC 4724 §3).
const MAX_RESTART_TIME: u16 = 0x0fff;
/// The R bit (RFC 4724 §3).
const RESTARTING: u16 = 0x8000;
/// The N bit (RFC 8538 §2).
const NOTIFICATION: u16 = 0x4000;
/// The F bit (RFC 4724 §3).
const FORWARDING: u8 = 0x80;
