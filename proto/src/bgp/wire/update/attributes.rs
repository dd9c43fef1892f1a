//! The list of path attributes: every error is noted, the strongest approach counts (RFC 7606 §3 (h)).

use bytes::Bytes;
use nom::Parser;
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16};

use super::super::iana::attribute;
use super::super::refused::Fault;
use super::super::{Parameters, Read, Refused};
use super::flags::EXTENDED_LENGTH;
use super::nlri::{self, Multiprotocol};
use super::rules::{Attribute, Verdict};
use crate::bgp::types::Family;

/// What the path attributes of an UPDATE amount to, where none of them ends the session.
#[derive(Debug, Default)]
pub(super) struct List<'a> {
    seen: Seen,
    mp_reach: Option<Multiprotocol>,
    mp_unreach: Option<Multiprotocol>,
    /// The first error that asks for treat-as-withdraw.
    malformed: Option<Malformed<'a>>,
    discarded: u8,
}

#[derive(Clone, Copy, Debug)]
enum Malformed<'a> {
    /// RFC 7606 §4.
    Framing,
    Attribute(Fault, &'a [u8]),
}

impl<'a> List<'a> {
    /// What of it ends the session whatever else the UPDATE holds is refused here.
    pub(super) fn read(mut input: &'a [u8], parameters: Parameters) -> Result<Self, Refused> {
        let mut list = Self::default();
        while !input.is_empty() {
            let Ok((rest, attribute)) = attribute(input) else {
                // "The Total Attribute Length MUST be relied upon to enable the beginning of the NLRI field to be
                // located" (RFC 7606 §4).
                return list.cut_short(input);
            };
            list.add(attribute, parameters)?;
            input = rest;
        }
        Ok(list)
    }

    /// Whether its routes count as withdrawn; `announced` of them are in the NLRI field.
    pub(super) fn treat_as_withdraw(
        &self,
        announced: usize,
        parameters: Parameters,
    ) -> Result<bool, Refused> {
        let reachable = announced > 0 || self.mp_reach.is_some_and(|reach| !reach.empty);
        match self.malformed {
            // "We cannot be confident that the NLRI have been successfully parsed … the 'session reset' approach MUST
            // be used" (RFC 7606 §5.2).
            Some(malformed) if !reachable => Err(malformed.refused()),
            Some(_) => Ok(true),
            None => Ok(reachable && self.lacks_mandatory(announced > 0, parameters)),
        }
    }

    /// An MP_UNREACH_NLRI without routes, and nothing else (RFC 4724 §2). What is malformed besides ends the session.
    pub(super) fn end_of_rib(&self) -> Option<Family> {
        let unreach = self.mp_unreach.filter(|unreach| unreach.empty)?;
        self.seen.is_only(attribute::MP_UNREACH_NLRI).then_some(unreach.family)
    }

    /// In MP_REACH_NLRI.
    pub(super) fn announced(&self) -> usize {
        self.mp_reach.map_or(0, |reach| reach.routes)
    }

    /// In MP_UNREACH_NLRI.
    pub(super) fn withdrawn(&self) -> usize {
        self.mp_unreach.map_or(0, |unreach| unreach.routes)
    }

    /// How many attributes are as if they were not there.
    pub(super) fn discarded(&self) -> u8 {
        self.discarded
    }

    fn add(&mut self, attribute: Attribute<'a>, parameters: Parameters) -> Result<(), Refused> {
        if !self.seen.insert(attribute.code) {
            return self.add_again(attribute.code);
        }
        match attribute.code {
            attribute::MP_REACH_NLRI => {
                let reach = || nlri::mp_reach(attribute.value, parameters);
                self.mp_reach = Some(multiprotocol(attribute, reach)?);
            }
            attribute::MP_UNREACH_NLRI => {
                let unreach = || nlri::mp_unreach(attribute.value);
                self.mp_unreach = Some(multiprotocol(attribute, unreach)?);
            }
            _ => match attribute.verdict(parameters) {
                Verdict::Accept => {}
                Verdict::Discard => self.discarded = self.discarded.saturating_add(1),
                Verdict::Withdraw(fault) => self.note(Malformed::Attribute(fault, attribute.octets)),
                Verdict::Reset(fault) => return Err(refused(fault, attribute.octets)),
            },
        }
        Ok(())
    }

    /// RFC 7606 §3 (g).
    fn add_again(&mut self, code: u8) -> Result<(), Refused> {
        match code {
            attribute::MP_REACH_NLRI | attribute::MP_UNREACH_NLRI => Err(Refused::AttributeList),
            _ => {
                self.discarded = self.discarded.saturating_add(1);
                Ok(())
            }
        }
    }

    /// The routes of an attribute that ends before its length does are lost, and with them the session (RFC 7606
    /// §3 (j)); a few octets that make no attribute hold none.
    fn cut_short(mut self, rest: &[u8]) -> Result<Self, Refused> {
        match rest {
            [flags, attribute::MP_REACH_NLRI | attribute::MP_UNREACH_NLRI, _, more @ ..]
                if flags & EXTENDED_LENGTH == 0 || !more.is_empty() =>
            {
                Err(Refused::AttributeList)
            }
            _ => {
                self.note(Malformed::Framing);
                Ok(self)
            }
        }
    }

    fn note(&mut self, malformed: Malformed<'a>) {
        self.malformed.get_or_insert(malformed);
    }

    /// RFC 7606 §3 (d). NEXT_HOP is for the NLRI field only (RFC 4760 §3); LOCAL_PREF is "required" within an AS
    /// (RFC 4271 §5).
    fn lacks_mandatory(&self, has_nlri: bool, parameters: Parameters) -> bool {
        let lacks = |code| !self.seen.contains(code);
        lacks(attribute::ORIGIN)
            || lacks(attribute::AS_PATH)
            || (has_nlri && lacks(attribute::NEXT_HOP))
            || (!parameters.external && lacks(attribute::LOCAL_PREF))
    }
}

impl Malformed<'_> {
    fn refused(self) -> Refused {
        match self {
            Self::Framing => Refused::AttributeList,
            Self::Attribute(fault, octets) => refused(fault, octets),
        }
    }
}

/// Its flags are part of its being correct (RFC 7606 §5.3); "the session SHOULD be terminated with … 'Optional
/// Attribute Error'" (RFC 4760 §7).
fn multiprotocol(
    attribute: Attribute<'_>,
    read: impl FnOnce() -> Option<Multiprotocol>,
) -> Result<Multiprotocol, Refused> {
    attribute
        .has_specified_flags()
        .then(read)
        .flatten()
        .ok_or_else(|| refused(Fault::Optional, attribute.octets))
}

fn refused(fault: Fault, octets: &[u8]) -> Refused {
    Refused::Attribute { fault, attribute: Bytes::copy_from_slice(octets) }
}

fn attribute(input: &[u8]) -> Read<'_, Attribute<'_>> {
    let (rest, (flags, code)) = (be_u8, be_u8).parse(input)?;
    let (rest, value) = if flags & EXTENDED_LENGTH == 0 {
        length_data(be_u8).parse(rest)?
    } else {
        length_data(be_u16).parse(rest)?
    };
    let (octets, _) = input.split_at(input.len() - rest.len());
    Ok((rest, Attribute { flags, code, value, octets }))
}

/// Which type codes there were.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Seen([u128; 2]);

impl Seen {
    /// Whether it is the first.
    fn insert(&mut self, code: u8) -> bool {
        let first = !self.contains(code);
        let Self([low, high]) = self;
        *(if code < 128 { low } else { high }) |= bit(code);
        first
    }

    fn contains(self, code: u8) -> bool {
        let Self([low, high]) = self;
        (if code < 128 { low } else { high }) & bit(code) != 0
    }

    fn is_only(self, code: u8) -> bool {
        let mut only = Self::default();
        only.insert(code);
        self == only
    }
}

fn bit(code: u8) -> u128 {
    1 << (code & 0x7f)
}
