//! What the sets of the packet filter should hold.
//!
//! One set has the guarded addresses; another what may pass to them, as intervals over the key *(address, protocol, port,
//! source)* read as one long number. So an interval can be a prefix of sources at one port, or a stretch of ports and
//! protocols from anywhere, and what is in no interval is dropped.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::rules::{ICMP, ICMP_V6, Others, Rule, Sources, number};

/// The sets of both families.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Content {
    /// Those for IPv4.
    pub v4: Sets<4, 16>,
    /// Those for IPv6.
    pub v6: Sets<16, 40>,
}

/// The sets of one family, whose addresses have `A` octets and whose keys `K`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sets<const A: usize, const K: usize> {
    /// The addresses to which only what is permitted may pass.
    pub guarded: BTreeSet<[u8; A]>,
    /// What may pass. The intervals neither overlap nor touch.
    pub permitted: BTreeSet<Interval<K>>,
}

/// Keys from `first` on and below `end`. A key is the address, the protocol and three zeroes, the port and two zeroes, and
/// the source: as a packet filter lays them out in registers of four octets.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Interval<const K: usize> {
    /// The first key in it.
    pub first: [u8; K],
    /// The first key that is not.
    pub end: [u8; K],
}

impl Content {
    /// What enforces these rules of addresses.
    #[must_use]
    pub fn of<'a>(rules: impl IntoIterator<Item = (IpAddr, &'a Rule)>) -> Self {
        let mut content = Self::default();
        for (address, rule) in rules {
            match address {
                IpAddr::V4(address) => content.v4.guard(address.octets(), ICMP, rule),
                IpAddr::V6(address) => content.v6.guard(address.octets(), ICMP_V6, rule),
            }
        }
        content
    }
}

impl<const A: usize, const K: usize> Sets<A, K> {
    fn guard(&mut self, address: [u8; A], icmp: u8, rule: &Rule) {
        self.guarded.insert(address);
        let keys = Keys::<A, K>(address);
        let mut intervals: Vec<_> = rule
            .ports
            .iter()
            .flat_map(|(port, sources)| {
                let protocol = number(port.protocol);
                match (sources, rule.others) {
                    // It lies in one of the gaps below.
                    (Sources::Any, Others::Pass) => Vec::new(),
                    (Sources::Any, Others::Drop) => vec![keys.port(protocol, port.number)],
                    (Sources::Only(ranges), _) => {
                        ranges.iter().map(|range| keys.sources(protocol, port.number, range)).collect()
                    }
                }
            })
            .collect();
        match rule.others {
            Others::Pass => intervals.extend(keys.gaps(rule)),
            Others::Drop => intervals.push(keys.protocol(icmp)),
        }
        intervals.sort_unstable();
        self.permitted.extend(merged(intervals));
    }
}

impl<const A: usize, const K: usize> Default for Sets<A, K> {
    fn default() -> Self {
        Self { guarded: BTreeSet::new(), permitted: BTreeSet::new() }
    }
}

/// The keys of one address.
struct Keys<const A: usize, const K: usize>([u8; A]);

impl<const A: usize, const K: usize> Keys<A, K> {
    fn protocol(&self, protocol: u8) -> Interval<K> {
        Self::leading(self.key(protocol, 0, &[]), A + 1)
    }

    fn port(&self, protocol: u8, port: u16) -> Interval<K> {
        Self::leading(self.key(protocol, port, &[]), A + 6)
    }

    fn sources(&self, protocol: u8, port: u16, range: &IpNet) -> Interval<K> {
        let key = |source| match source {
            IpAddr::V4(source) => self.key(protocol, port, &source.octets()),
            IpAddr::V6(source) => self.key(protocol, port, &source.octets()),
        };
        Interval { first: key(range.network()), end: after(key(range.broadcast()), K) }
    }

    /// Everything but the ports that do not serve everybody.
    fn gaps(&self, rule: &Rule) -> Vec<Interval<K>> {
        let mut gaps = Vec::new();
        let mut from = self.key(0, 0, &[]);
        for (port, _) in rule.ports.iter().filter(|(_, sources)| **sources != Sources::Any) {
            let port = self.port(number(port.protocol), port.number);
            gaps.push(Interval { first: from, end: port.first });
            from = port.end;
        }
        // Not the first key of the next address: intervals of two addresses would touch.
        gaps.push(Interval { first: from, end: after(self.key(u8::MAX, 0, &[]), A + 2) });
        gaps
    }

    /// All keys that begin as `key` does, as far as `octets`.
    fn leading(key: [u8; K], octets: usize) -> Interval<K> {
        Interval { first: key, end: after(key, octets) }
    }

    fn key(&self, protocol: u8, port: u16, source: &[u8]) -> [u8; K] {
        let [high, low] = port.to_be_bytes();
        let middle = [protocol, 0, 0, 0, high, low, 0, 0];
        let mut key = [0; K];
        for (octet, value) in key.iter_mut().zip(self.0.iter().chain(&middle).chain(source)) {
            *octet = *value;
        }
        key
    }
}

/// The first key that begins with more than the first `octets` of `key` say. The zeroes in each key take the carry.
fn after<const K: usize>(mut key: [u8; K], octets: usize) -> [u8; K] {
    let mut carry = true;
    for (at, octet) in key.iter_mut().enumerate().rev() {
        if at >= octets {
            *octet = 0;
        } else if carry {
            (*octet, carry) = octet.overflowing_add(1);
        }
    }
    key
}

/// Sorted intervals, without those that are empty, and one for those that touch.
fn merged<const K: usize>(sorted: Vec<Interval<K>>) -> Vec<Interval<K>> {
    let mut merged: Vec<Interval<K>> = Vec::with_capacity(sorted.len());
    for interval in sorted.into_iter().filter(|interval| interval.first < interval.end) {
        match merged.last_mut() {
            Some(last) if interval.first <= last.end => last.end = last.end.max(interval.end),
            Some(_) | None => merged.push(interval),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
