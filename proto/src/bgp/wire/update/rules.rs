//! What RFC 7606 §7 and the attributes' own RFCs have to say of one path attribute.

use super::super::iana::attribute;
use super::super::refused::Fault;
use super::super::{AsNumbers, Parameters};
use super::as_path;
use super::flags::{OPTIONAL, TRANSITIVE};

/// A path attribute as it stands in the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a> {
    pub(super) flags: u8,
    pub(super) code: u8,
    pub(super) value: &'a [u8],
    /// All of it: flags, type, length and value.
    pub(super) octets: &'a [u8],
}

/// What becomes of it, weakest first (RFC 7606 §2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Taken, or not known and left alone.
    Accept,
    /// "The malformed attribute MUST be discarded and the UPDATE message continues to be processed."
    Discard,
    /// "All contained routes … treated as though they had been withdrawn."
    Withdraw(Fault),
    /// The session ends.
    Reset(Fault),
}

impl Attribute<'_> {
    /// Of every attribute but MP_REACH_NLRI and MP_UNREACH_NLRI.
    pub(super) fn verdict(&self, parameters: Parameters) -> Verdict {
        if means_nothing(self.code, parameters) {
            return Verdict::Discard;
        }
        match specified_flags(self.code) {
            None if self.flags & OPTIONAL == 0 => Verdict::Reset(Fault::Unrecognized),
            None => Verdict::Accept,
            // "… unless the specification for the attribute mandates different handling" (RFC 7606 §3 (c)): none does.
            Some(_) if !self.has_specified_flags() => Verdict::Withdraw(Fault::Flags),
            Some(_) => self.value_verdict(parameters),
        }
    }

    /// "The value of either the Optional or Transitive bits" (RFC 7606 §3 (c)); Partial is not looked at any more.
    pub(super) fn has_specified_flags(&self) -> bool {
        specified_flags(self.code).is_none_or(|flags| self.flags & (OPTIONAL | TRANSITIVE) == flags)
    }

    fn value_verdict(&self, parameters: Parameters) -> Verdict {
        match self.code {
            attribute::ORIGIN => origin(self.value),
            attribute::AS_PATH => {
                withdraw_unless(as_path::is_path(self.value, parameters.as_numbers), Fault::AsPath)
            }
            attribute::NEXT_HOP => next_hop(self.value),
            attribute::MULTI_EXIT_DISC | attribute::LOCAL_PREF | attribute::ORIGINATOR_ID => {
                withdraw_unless(self.value.len() == 4, Fault::Length)
            }
            attribute::ATOMIC_AGGREGATE => discard_unless(self.value.is_empty()),
            attribute::AGGREGATOR => aggregator(self.value, parameters.as_numbers),
            attribute::AS4_AGGREGATOR => aggregator(self.value, AsNumbers::FourOctets),
            attribute::AS4_PATH => discard_unless(as_path::is_as4_path(self.value)),
            attribute::COMMUNITIES | attribute::CLUSTER_LIST => list_of(4, self.value),
            attribute::EXTENDED_COMMUNITIES => list_of(8, self.value),
            attribute::LARGE_COMMUNITY => list_of(12, self.value),
            attribute::IPV6_EXTENDED_COMMUNITIES => list_of(20, self.value),
            _ => Verdict::Accept,
        }
    }
}

/// "If … received from an external neighbor, it SHALL be discarded" (RFC 7606 §7.5, §7.9, §7.10), as are from a speaker
/// of four octets the attributes for those who know but two (RFC 6793 §6).
fn means_nothing(code: u8, parameters: Parameters) -> bool {
    match code {
        attribute::LOCAL_PREF | attribute::ORIGINATOR_ID | attribute::CLUSTER_LIST => parameters.external,
        attribute::AS4_PATH | attribute::AS4_AGGREGATOR => parameters.as_numbers == AsNumbers::FourOctets,
        _ => false,
    }
}

/// Optional and Transitive as the types that we know have them.
fn specified_flags(code: u8) -> Option<u8> {
    match code {
        attribute::ORIGIN
        | attribute::AS_PATH
        | attribute::NEXT_HOP
        | attribute::LOCAL_PREF
        | attribute::ATOMIC_AGGREGATE => Some(TRANSITIVE),
        attribute::MULTI_EXIT_DISC
        | attribute::ORIGINATOR_ID
        | attribute::CLUSTER_LIST
        | attribute::MP_REACH_NLRI
        | attribute::MP_UNREACH_NLRI => Some(OPTIONAL),
        attribute::AGGREGATOR
        | attribute::COMMUNITIES
        | attribute::EXTENDED_COMMUNITIES
        | attribute::AS4_PATH
        | attribute::AS4_AGGREGATOR
        | attribute::IPV6_EXTENDED_COMMUNITIES
        | attribute::LARGE_COMMUNITY => Some(OPTIONAL | TRANSITIVE),
        _ => None,
    }
}

/// RFC 7606 §7.1.
fn origin(value: &[u8]) -> Verdict {
    match value {
        [0..=2] => Verdict::Accept,
        [_] => Verdict::Withdraw(Fault::Origin),
        _ => Verdict::Withdraw(Fault::Length),
    }
}

/// RFC 7606 §7.3, and where it is no "valid IP host address" (RFC 4271 §6.3) by RFC 7606 §3 (e).
fn next_hop(value: &[u8]) -> Verdict {
    let Ok(octets) = <[u8; 4]>::try_from(value) else { return Verdict::Withdraw(Fault::Length) };
    let is_host = !matches!(octets, [0 | 127 | 224.., ..]);
    withdraw_unless(is_host, Fault::NextHop)
}

/// RFC 7606 §7.7, RFC 6793 §6, RFC 7607 §2.
fn aggregator(value: &[u8], as_numbers: AsNumbers) -> Verdict {
    let asn = value.split_at_checked(as_path::width(as_numbers));
    discard_unless(asn.is_some_and(|(asn, address)| address.len() == 4 && !as_path::is_zero(asn)))
}

/// "A non-zero multiple" (RFC 7606 §7.8, §7.10, §7.14, §7.15, RFC 8092 §6).
fn list_of(width: usize, value: &[u8]) -> Verdict {
    withdraw_unless(!value.is_empty() && value.len().is_multiple_of(width), Fault::Length)
}

fn withdraw_unless(right: bool, fault: Fault) -> Verdict {
    if right { Verdict::Accept } else { Verdict::Withdraw(fault) }
}

fn discard_unless(right: bool) -> Verdict {
    if right { Verdict::Accept } else { Verdict::Discard }
}
