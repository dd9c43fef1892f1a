//! UPDATE (RFC 4271 §4.3): what is wrong with one (RFC 7606), and our own.

mod flags;
mod pack;
mod write;

pub use pack::{TooLong, announce, end_of_rib, withdraw};

use super::{Parameters, Refused};
use crate::bgp::types::Update;

pub(super) fn decode(_body: &[u8], _parameters: Parameters) -> Result<Update, Refused> {
    Ok(Update::default())
}
