//! What a range of addresses is and how it is written: a network, first and last, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

use super::family::Family;

/// Addresses from the first to the last, both included, of one family. Its cost does not depend on its size.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Range {
    first: IpAddr,
    last: IpAddr,
}

impl Range {
    /// `None` where the families differ or the last address is before the first.
    #[must_use]
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (Family::of(first) == Family::of(last) && first <= last).then_some(Self { first, last })
    }

    /// The range of one address.
    #[must_use]
    pub fn single(address: IpAddr) -> Self {
        Self { first: address, last: address }
    }

    /// The lowest address.
    #[must_use]
    pub fn first(self) -> IpAddr {
        self.first
    }

    /// The highest address.
    #[must_use]
    pub fn last(self) -> IpAddr {
        self.last
    }

    /// The family of all of its addresses.
    #[must_use]
    pub fn family(self) -> Family {
        Family::of(self.first)
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.family() == Family::of(address) && (self.first..=self.last).contains(&address)
    }

    /// What both have.
    #[must_use]
    pub fn overlap(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }

    /// How many addresses it has; all of IPv6 counts as one less than it is.
    #[must_use]
    pub fn size(self) -> u128 {
        (number(self.last) - number(self.first)).saturating_add(1)
    }

    /// Without its first and last address; itself where nothing would be left.
    #[must_use]
    pub fn without_ends(self) -> Self {
        let (first, last) = (number(self.first), number(self.last));
        if last - first < 2 {
            return self;
        }
        let family = self.family();
        Self { first: address(family, first + 1), last: address(family, last - 1) }
    }

    /// What is left of it without `other`: up to two ranges.
    #[must_use]
    pub fn without(self, other: Self) -> Vec<Self> {
        let Some(cut) = self.overlap(other) else { return vec![self] };
        let family = self.family();
        let (first, last) = cut.numbers();
        let before =
            (self.first < cut.first).then(|| Self { first: self.first, last: address(family, first - 1) });
        let after =
            (cut.last < self.last).then(|| Self { first: address(family, last + 1), last: self.last });
        before.into_iter().chain(after).collect()
    }

    /// First and last as numbers.
    pub(super) fn numbers(self) -> (u128, u128) {
        (number(self.first), number(self.last))
    }
}

impl From<IpNet> for Range {
    fn from(net: IpNet) -> Self {
        Self { first: net.network(), last: net.broadcast() }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return self.first.fmt(f);
        }
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Why a text is no range.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RangeError {
    /// Neither a network, nor two addresses, nor one.
    #[error("neither a network (192.0.2.0/24), nor a range (192.0.2.10-192.0.2.20), nor an address")]
    Unreadable,
    /// Two addresses of different families.
    #[error("the first address and the last are of different families")]
    Families,
    /// The last address is before the first.
    #[error("the last address is before the first")]
    Backwards,
    /// An IPv4 address in IPv6 clothes.
    #[error("an IPv4-mapped IPv6 address; write the IPv4 address")]
    Mapped,
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let text = text.trim();
        let range = if text.contains('/') {
            text.parse::<IpNet>().map_err(|_| RangeError::Unreadable)?.into()
        } else if let Some((first, last)) = text.split_once('-') {
            between(parsed(first)?, parsed(last)?)?
        } else {
            Self::single(parsed(text)?)
        };
        match range.first {
            IpAddr::V6(first) if first.to_ipv4_mapped().is_some() => Err(RangeError::Mapped),
            IpAddr::V4(_) | IpAddr::V6(_) => Ok(range),
        }
    }
}

/// Ranges in order, as few as possible: overlapping and adjacent ones are one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// In order.
    #[must_use]
    pub fn as_slice(&self) -> &[Range] {
        &self.0
    }

    /// Whether one of them has `address`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let after = self.0.partition_point(|range| range.first() <= address);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|range| range.contains(address))
    }
}

impl From<Vec<Range>> for Ranges {
    fn from(ranges: Vec<Range>) -> Self {
        Self(merged(ranges))
    }
}

/// Overlapping and adjacent ranges become one.
fn merged(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(before) if touches(*before, range) => before.last = before.last.max(range.last),
            Some(_) | None => merged.push(range),
        }
    }
    merged
}

pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

pub(super) fn address(family: Family, number: u128) -> IpAddr {
    match family {
        #[expect(clippy::cast_possible_truncation, reason = "numbers of IPv4 addresses have 32 bits")]
        Family::V4 => Ipv4Addr::from_bits(number as u32).into(),
        Family::V6 => Ipv6Addr::from_bits(number).into(),
    }
}

fn parsed(text: &str) -> Result<IpAddr, RangeError> {
    text.trim().parse().map_err(|_| RangeError::Unreadable)
}

fn between(first: IpAddr, last: IpAddr) -> Result<Range, RangeError> {
    if Family::of(first) != Family::of(last) {
        return Err(RangeError::Families);
    }
    Range::new(first, last).ok_or(RangeError::Backwards)
}

fn touches(before: Range, next: Range) -> bool {
    before.family() == next.family()
        && number(before.last).checked_add(1).is_none_or(|after| number(next.first) <= after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        text.parse().unwrap()
    }

    #[test]
    fn networks_ranges_and_single_addresses_are_read_and_what_is_none_is_refused() {
        let cases = [
            ("192.0.2.7/30", Ok("192.0.2.4-192.0.2.7")),
            (" 192.0.2.1 - 192.0.2.3 ", Ok("192.0.2.1-192.0.2.3")),
            ("192.0.2.1", Ok("192.0.2.1")),
            ("2001:db8::/126", Ok("2001:db8::-2001:db8::3")),
            ("192.0.2.3-192.0.2.1", Err(RangeError::Backwards)),
            ("192.0.2.3-2001:db8::1", Err(RangeError::Families)),
            ("::ffff:192.0.2.0/120", Err(RangeError::Mapped)),
            ("192.0.2.0/33", Err(RangeError::Unreadable)),
            ("web", Err(RangeError::Unreadable)),
            ("", Err(RangeError::Unreadable)),
        ];
        for (text, expected) in cases {
            assert_eq!(
                text.parse::<Range>().map(|range| range.to_string()),
                expected.map(str::to_owned),
                "{text}"
            );
        }
    }

    #[test]
    fn overlapping_and_adjacent_ranges_become_one_and_families_stay_apart() {
        let all = ["::/0", "192.0.2.4/30", "192.0.2.0/30", "255.255.255.255", "192.0.2.9", "192.0.2.2/31"];
        let merged: Vec<_> = merged(all.map(range).to_vec()).iter().map(Range::to_string).collect();
        assert_eq!(
            merged,
            [
                "192.0.2.0-192.0.2.7",
                "192.0.2.9",
                "255.255.255.255",
                "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
            ]
        );
    }

    #[test]
    fn the_ends_go_only_where_something_is_left() {
        let without = ["192.0.2.0/29", "192.0.2.0/31", "192.0.2.1"].map(|text| range(text).without_ends());
        assert_eq!(
            without.map(|range| range.to_string()),
            ["192.0.2.1-192.0.2.6", "192.0.2.0-192.0.2.1", "192.0.2.1"]
        );
    }
}
