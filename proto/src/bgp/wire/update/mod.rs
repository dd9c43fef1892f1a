//! UPDATE (RFC 4271 §4.3): what is wrong with one (RFC 7606), and our own.

mod as_path;
mod attributes;
mod fill;
mod flags;
mod nlri;
mod pack;
mod rules;
mod write;

use nom::Parser;
use nom::multi::length_data;
use nom::number::complete::be_u16;

pub use pack::{TooLong, announce, end_of_rib, withdraw};

use self::attributes::List;
use super::{Parameters, Read, Refused};
use crate::bgp::types::{Family, Update};

/// What an UPDATE says behind its header, as far as it concerns a speaker that imports nothing.
pub(super) fn decode(body: &[u8], parameters: Parameters) -> Result<Update, Refused> {
    let (nlri, (withdrawn, attributes)) = fields(body).map_err(|_| Refused::AttributeList)?;
    // "The Withdrawn Routes field MUST be checked for syntactic correctness in the same manner as the NLRI field"
    // (RFC 7606 §3 (i)).
    let withdrawn = nlri::ipv4(withdrawn)?;
    let list = List::read(attributes, parameters)?;
    let announced = nlri::ipv4(nlri)?;
    let end_of_rib = match body {
        [0, 0, 0, 0] => Some(Family::IPV4_UNICAST),
        _ if withdrawn == 0 && announced == 0 => list.end_of_rib(),
        _ => None,
    };
    let treated_as_withdraw = list.treat_as_withdraw(announced, parameters)?;
    let (announced, withdrawn) = (announced + list.announced(), withdrawn + list.withdrawn());
    Ok(Update {
        announced: if treated_as_withdraw { 0 } else { announced },
        withdrawn: if treated_as_withdraw { withdrawn + announced } else { withdrawn },
        end_of_rib,
        treated_as_withdraw,
        attributes_discarded: list.discarded(),
    })
}

/// Withdrawn Routes, Path Attributes, and what is left: Network Layer Reachability Information.
fn fields(body: &[u8]) -> Read<'_, (&[u8], &[u8])> {
    (length_data(be_u16), length_data(be_u16)).parse(body)
}
