//! Sets of addresses as text: few characters each, and bounded whatever it says.
//!
//! `4:c0000201*3,5` is 192.0.2.1 to 192.0.2.3 and 192.0.2.8: hexadecimal distances, each from the end of the run
//! before it, and `*` with the length of a run. IPv6 follows after `6:`, the families are parted by `;`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More than this in one set is refused.
pub const MAX_ADDRESSES: usize = 65_536;

/// Why a text is not a set of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressesError {
    /// The text has another form.
    #[error("malformed set of addresses")]
    Malformed,
    /// An address beyond the last one of its family.
    #[error("address out of range")]
    Range,
    /// A set larger than [`MAX_ADDRESSES`].
    #[error("more than {MAX_ADDRESSES} addresses")]
    TooMany,
}

/// Writes a set; an empty one is an empty text.
#[must_use]
pub fn render_addresses(addresses: &BTreeSet<IpAddr>) -> String {
    let mut four = vec![];
    let mut six = vec![];
    for &address in addresses {
        match address {
            IpAddr::V4(address) => four.push(u128::from(u32::from(address))),
            IpAddr::V6(address) => six.push(u128::from(address)),
        }
    }
    let families = [("4:", four), ("6:", six)];
    let texts: Vec<_> = families
        .iter()
        .filter(|(_, numbers)| !numbers.is_empty())
        .map(|(tag, numbers)| format!("{tag}{}", render_runs(numbers)))
        .collect();
    texts.join(";")
}

/// Reads what [`render_addresses`] writes.
///
/// # Errors
/// What is malformed, out of range or too large is refused as a whole.
pub fn parse_addresses(text: &str) -> Result<BTreeSet<IpAddr>, AddressesError> {
    let mut addresses = BTreeSet::new();
    for family in text.split(';').filter(|_| !text.is_empty()) {
        if let Some(runs) = family.strip_prefix("4:") {
            parse_runs(runs, u128::from(u32::MAX), &mut addresses, |number| {
                u32::try_from(number).map(|number| Ipv4Addr::from(number).into()).ok()
            })?;
        } else if let Some(runs) = family.strip_prefix("6:") {
            parse_runs(runs, u128::MAX, &mut addresses, |number| Some(Ipv6Addr::from(number).into()))?;
        } else {
            return Err(AddressesError::Malformed);
        }
    }
    Ok(addresses)
}

fn render_runs(numbers: &[u128]) -> String {
    let mut text = String::new();
    let mut end = 0;
    for run in numbers.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let comma = if text.is_empty() { "" } else { "," };
        let times = if run.len() > 1 { format!("*{:x}", run.len()) } else { String::new() };
        let _ = write!(text, "{comma}{:x}{times}", first - end);
        end = *last;
    }
    text
}

fn parse_runs(
    text: &str,
    most: u128,
    into: &mut BTreeSet<IpAddr>,
    address: impl Fn(u128) -> Option<IpAddr>,
) -> Result<(), AddressesError> {
    let mut end: u128 = 0;
    for run in text.split(',') {
        let (distance, times) = run.split_once('*').unwrap_or((run, "1"));
        let first = end.checked_add(number(distance)?).ok_or(AddressesError::Range)?;
        let times = number(times)?.checked_sub(1).ok_or(AddressesError::Malformed)?;
        if times >= (MAX_ADDRESSES - into.len().min(MAX_ADDRESSES)) as u128 {
            return Err(AddressesError::TooMany);
        }
        end = first.checked_add(times).filter(|&end| end <= most).ok_or(AddressesError::Range)?;
        into.extend((first..=end).filter_map(&address));
    }
    Ok(())
}

fn number(text: &str) -> Result<u128, AddressesError> {
    // `from_str_radix` takes a sign, which we never write.
    if text.starts_with('+') {
        return Err(AddressesError::Malformed);
    }
    u128::from_str_radix(text, 16).map_err(|_| AddressesError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> BTreeSet<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn sets_are_short_and_come_back() {
        for (addresses, text) in [
            (set(&[]), ""),
            (set(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.8"]), "4:c0000201*3,5"),
            (set(&["0.0.0.0", "255.255.255.255", "::", "::5"]), "4:0,ffffffff;6:0,5"),
            (set(&["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]), "6:ffffffffffffffffffffffffffffffff"),
        ] {
            assert_eq!(render_addresses(&addresses), text);
            assert_eq!(parse_addresses(text), Ok(addresses));
        }
    }

    #[test]
    fn a_third_of_ten_thousand_addresses_takes_less_than_three_characters_each() {
        let all = (0x0a00_0000_u32..0x0a00_2710).filter(|n| n.wrapping_mul(0x9e37_79b9) >> 30 == 1);
        let third: BTreeSet<IpAddr> = all.map(|n| Ipv4Addr::from(n).into()).collect();
        let text = render_addresses(&third);
        assert!(text.len() < 3 * third.len(), "{} for {}", text.len(), third.len());
        assert_eq!(parse_addresses(&text), Ok(third));
    }

    #[test]
    fn what_is_malformed_or_too_much_is_refused() {
        use AddressesError::{Malformed, Range, TooMany};
        for (text, error) in [
            ("4:", Malformed),
            ("5:1", Malformed),
            ("4:1;", Malformed),
            ("4:x", Malformed),
            ("4:+1", Malformed),
            ("4:1*0", Malformed),
            ("4:100000000", Range),
            ("4:ffffffff*2", Range),
            ("6:ffffffffffffffffffffffffffffffff*2", Range),
            ("6:ffffffffffffffffffffffffffffffff,1", Range),
            ("4:0*10001", TooMany),
            ("4:0*ffffffffffffffffffffffffffffffff", TooMany),
            ("4:0*10000;6:0", TooMany),
        ] {
            assert_eq!(parse_addresses(text), Err(error), "{text}");
        }
    }
}
