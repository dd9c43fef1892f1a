//! ROUTE-REFRESH (RFC 2918, RFC 7313).

use bytes::Bytes;
use nom::Parser;
use nom::combinator::map;
use nom::number::complete::{be_u8, be_u16};

use super::header::MIN_LENGTH;
use super::iana::refresh;
use super::{Parameters, Read, Refused};
use crate::bgp::types::{Family, RouteRefresh};

/// What a ROUTE-REFRESH, header included, says.
///
/// A request may be longer: outbound route filters follow (RFC 5291), which are not offered and not read.
pub(super) fn decode(message: &[u8], parameters: Parameters) -> Result<RouteRefresh, Refused> {
    let body = message.get(MIN_LENGTH.into()..).unwrap_or_default();
    if parameters.enhanced_route_refresh
        && matches!(body, [_, _, refresh::BORR | refresh::EORR, ..])
        && body.len() != LENGTH
    {
        return Err(Refused::RouteRefresh { message: Bytes::copy_from_slice(message) });
    }
    let too_short = |_| Refused::Length(u16::try_from(message.len()).unwrap_or(u16::MAX));
    let (_filters, (family, octet)) = fields(body).map_err(too_short)?;
    // "the 'Message Subtype' … was previously the 'Reserved' field, to be ignored on receipt" (RFC 7313 §3.2).
    let subtype = if parameters.enhanced_route_refresh { octet } else { refresh::REQUEST };
    Ok(RouteRefresh { family, subtype })
}

fn fields(input: &[u8]) -> Read<'_, (Family, u8)> {
    map((be_u16, be_u8, be_u8), |(afi, subtype, safi)| (Family { afi, safi }, subtype)).parse(input)
}

/// Of the body.
const LENGTH: usize = 4;
