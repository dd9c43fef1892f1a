//! What a member claims, and how the annotation of its Lease says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::addresses::{AddressesError, parse_addresses, render_addresses};
use super::hash::{Key, MemberId};
use super::view::{View, Weight};

/// One life of a member: which boot of which machine, and which process there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Life {
    /// `/proc/sys/kernel/random/boot_id`: machines that were cloned differ in it.
    pub boot: u128,
    /// What tells this process from others of the same boot.
    pub process: u64,
}

/// What one member says in its Lease. What it claims follows from this alone, whoever reads it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    /// Who wrote it.
    pub life: Life,
    /// Grows with every write of one life.
    pub sequence: u64,
    /// How much this member would take.
    pub weight: Weight,
    /// What it hashes by: it claims the addresses that are at home with it, but for the exceptions.
    pub view: View,
    /// Claimed wherever it is at home.
    pub also: BTreeSet<IpAddr>,
    /// At home with this member, and not claimed: another one should have it.
    pub not: BTreeSet<IpAddr>,
    /// Not claimed, because this member cannot serve it: a link, or the kernel's refusal.
    pub unable: BTreeSet<IpAddr>,
}

/// Why an annotation is not a statement.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StatementError {
    /// Another version of the format, or no format at all.
    #[error("not a statement of version {VERSION}")]
    Version,
    /// A field is missing, double, unknown or not readable.
    #[error("malformed statement")]
    Malformed,
    /// A set of addresses is not one.
    #[error("statement with a {0}")]
    Addresses(#[from] AddressesError),
}

impl Statement {
    /// Whether the member of this id claims `address` by this statement.
    #[must_use]
    pub fn claims(&self, by: MemberId, address: IpAddr) -> bool {
        self.also.contains(&address) || self.has_home(by, address) && !self.waives(address)
    }

    /// Whether it can be told, without a look at any address, that it claims nothing.
    #[must_use]
    pub fn claims_nothing(&self, by: MemberId) -> bool {
        self.also.is_empty() && !self.view.seats().contains_key(&by)
    }

    /// How a member says that it has left: nothing of it can be on the wire.
    pub(super) fn has_left(&self) -> bool {
        self.weight == 0 && self.also.is_empty() && self.view.seats().is_empty()
    }

    /// Whether two statements say the same, whenever and by whomever they were written.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.weight == other.weight
            && self.view == other.view
            && self.also == other.also
            && self.not == other.not
            && self.unable == other.unable
    }

    /// The addresses about which two statements differ, if one view applies to both.
    pub(super) fn differs_about(&self, other: &Self) -> BTreeSet<IpAddr> {
        let pairs = [(&self.also, &other.also), (&self.not, &other.not), (&self.unable, &other.unable)];
        pairs.iter().flat_map(|(one, two)| one.symmetric_difference(two)).copied().collect()
    }

    pub(super) fn has_home(&self, member: MemberId, address: IpAddr) -> bool {
        self.view.home(Key::of_address(address)) == Some(member)
    }

    /// What its home gives up.
    pub(super) fn waives(&self, address: IpAddr) -> bool {
        self.not.contains(&address) || self.unable.contains(&address)
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { life, sequence, weight, view, also, not, unable } = self;
        write!(f, "{VERSION} boot={:032x} process={:x} sequence={sequence}", life.boot, life.process)?;
        write!(f, " weight={weight} view={}", render_view(view))?;
        for (name, addresses) in [("also", also), ("not", not), ("unable", unable)] {
            if !addresses.is_empty() {
                write!(f, " {name}={}", render_addresses(addresses))?;
            }
        }
        Ok(())
    }
}

impl FromStr for Statement {
    type Err = StatementError;

    fn from_str(text: &str) -> Result<Self, StatementError> {
        let mut words = text.split(' ');
        if words.next() != Some(VERSION) {
            return Err(StatementError::Version);
        }
        let mut fields = fields(words)?;
        let mut take = |name| fields.remove(name);
        let statement = Self {
            life: Life { boot: hex(take("boot"))?, process: hex(take("process"))? },
            sequence: take("sequence").and_then(|text| text.parse().ok()).ok_or(StatementError::Malformed)?,
            weight: take("weight").and_then(|text| text.parse().ok()).ok_or(StatementError::Malformed)?,
            view: parse_view(take("view").ok_or(StatementError::Malformed)?)?,
            also: parse_addresses(take("also").unwrap_or_default())?,
            not: parse_addresses(take("not").unwrap_or_default())?,
            unable: parse_addresses(take("unable").unwrap_or_default())?,
        };
        // What a later version adds may be a claim: better not to read it than to read half of it.
        if fields.is_empty() { Ok(statement) } else { Err(StatementError::Malformed) }
    }
}

fn fields<'a>(words: impl Iterator<Item = &'a str>) -> Result<BTreeMap<&'a str, &'a str>, StatementError> {
    let mut fields = BTreeMap::new();
    for word in words {
        let (name, value) = word.split_once('=').ok_or(StatementError::Malformed)?;
        if fields.insert(name, value).is_some() {
            return Err(StatementError::Malformed);
        }
    }
    Ok(fields)
}

fn hex<T: TryFrom<u128>>(text: Option<&str>) -> Result<T, StatementError> {
    text.and_then(|text| u128::from_str_radix(text, 16).ok())
        .and_then(|number| T::try_from(number).ok())
        .ok_or(StatementError::Malformed)
}

fn render_view(view: &View) -> String {
    let seats: Vec<_> = view
        .seats()
        .iter()
        .map(|(member, weight)| if *weight == 1 { format!("{member}") } else { format!("{member}*{weight}") })
        .collect();
    seats.join(",")
}

fn parse_view(text: &str) -> Result<View, StatementError> {
    let mut seats = vec![];
    for seat in text.split(',').filter(|_| !text.is_empty()) {
        let (member, weight) = seat.split_once('*').unwrap_or((seat, "1"));
        let weight = weight.parse().ok().filter(|&weight: &Weight| weight > 0);
        seats.push((MemberId(hex(Some(member))?), weight.ok_or(StatementError::Malformed)?));
        if seats.len() > MAX_MEMBERS {
            return Err(StatementError::Malformed);
        }
    }
    Ok(View::new(seats))
}

const VERSION: &str = "v1";
const MAX_MEMBERS: usize = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            life: Life { boot: 0xb007, process: 0xa1 },
            sequence: 17,
            weight: 2,
            view: View::new([(MemberId(0xa6cc_1cce), 2), (MemberId(0x7a69_699f), 1)]),
            also: ["192.0.2.1".parse().unwrap()].into(),
            not: ["192.0.2.2".parse().unwrap()].into(),
            unable: ["2001:db8::1".parse().unwrap()].into(),
        }
    }

    const TEXT: &str = "v1 boot=0000000000000000000000000000b007 process=a1 sequence=17 weight=2 \
                        view=7a69699f,a6cc1cce*2 also=4:c0000201 not=4:c0000202 \
                        unable=6:20010db8000000000000000000000001";

    #[test]
    fn a_statement_is_one_line_and_comes_back() {
        assert_eq!(statement().to_string(), TEXT);
        assert_eq!(TEXT.parse(), Ok(statement()));
    }

    #[test]
    fn what_is_not_wholly_understood_is_refused() {
        let cases = [
            ("v1 ", "v2 ", StatementError::Version),
            (" sequence=17", "", StatementError::Malformed),
            ("weight=2", "weight=256", StatementError::Malformed),
            ("a6cc1cce*2", "a6cc1cce*0", StatementError::Malformed),
            ("a6cc1cce*2", "1a6cc1cce", StatementError::Malformed),
            ("also=", "more=", StatementError::Malformed),
            ("also=", "not=", StatementError::Malformed),
            ("4:c0000201", "4:c00002010", StatementError::Addresses(AddressesError::Range)),
        ];
        for (from, to, error) in cases {
            assert_eq!(TEXT.replace(from, to).parse::<Statement>(), Err(error), "{to}");
        }
    }

    #[test]
    fn claims_are_the_home_but_for_the_exceptions() {
        let (me, other) = (MemberId(0xa6cc_1cce), MemberId(0x7a69_699f));
        let view = statement().view;
        let at_home: Vec<IpAddr> = (1..=250)
            .map(|last| IpAddr::from([10, 0, 0, last]))
            .filter(|&address| view.home(Key::of_address(address)) == Some(me))
            .collect();
        let plain = Statement { also: [].into(), not: [].into(), unable: [].into(), ..statement() };
        assert!(at_home.iter().all(|&address| plain.claims(me, address) && !plain.claims(other, address)));
        let first: BTreeSet<_> = [at_home[0]].into();
        for given_up in [
            Statement { not: first.clone(), ..plain.clone() },
            Statement { unable: first.clone(), ..plain.clone() },
        ] {
            assert!(!given_up.claims(me, at_home[0]) && given_up.claims(me, at_home[1]));
        }
        assert!(Statement { also: first, ..plain }.claims(other, at_home[0]));
    }
}
