//! What may reach which address, in the words of Services.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::ipam::{Port, Protocol};

/// What may reach the guarded addresses. An address without a rule is open to everybody.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rules(BTreeMap<IpAddr, Rule>);

/// What may reach one address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    pub(super) ports: BTreeMap<Port, Sources>,
    pub(super) others: Others,
}

/// Whom a port serves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sources {
    /// Everybody.
    Any,
    /// Those in these disjoint prefixes, which are of the address's family. There may be none.
    Only(Vec<IpNet>),
}

/// What becomes of packets for ports and protocols that no Service has at the address. ICMP is for everybody, always.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Others {
    /// They pass.
    Pass,
    /// They are dropped: `enable_service_security`.
    Drop,
}

/// What one Service wants at one of its addresses.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// The address.
    pub address: IpAddr,
    /// The ports of the Service.
    pub ports: &'a [Port],
    /// Its `loadBalancerSourceRanges`. If there are any, then nobody else is served: an address of the other family
    /// than all of them serves nobody.
    pub source_ranges: &'a [IpNet],
    /// What else may reach the address.
    pub others: Others,
}

impl Rules {
    /// The rules for these wishes, of all Services: who shares an address has to be in it even without a wish, or its
    /// ports were not known. Where one of them wants others dropped, they are. Should two have the same port at one
    /// address, it serves the sources of both, and only those if one of them has any.
    #[must_use]
    pub fn of<'a>(demands: impl IntoIterator<Item = Demand<'a>>) -> Self {
        let mut by_address: BTreeMap<IpAddr, Vec<Demand<'a>>> = BTreeMap::new();
        for demand in demands {
            by_address.entry(demand.address).or_default().push(demand);
        }
        let rules = by_address.into_iter().filter_map(|(at, demands)| Some((at, Rule::of(demands)?)));
        Self(rules.collect())
    }

    /// Another rule for an address, or none.
    pub fn set(&mut self, address: IpAddr, rule: Option<Rule>) {
        match rule {
            Some(rule) => self.0.insert(address, rule),
            None => self.0.remove(&address),
        };
    }

    /// The rule of an address, if it is guarded.
    #[must_use]
    pub fn rule(&self, address: IpAddr) -> Option<&Rule> {
        self.0.get(&address)
    }

    /// The guarded addresses and their rules.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &Rule)> {
        self.0.iter().map(|(address, rule)| (*address, rule))
    }

    /// How many addresses are guarded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is guarded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Rule {
    /// The rule of one address for what all Services wish that have it, as [`Rules::of`] makes it; `None`: it is open to
    /// everybody.
    #[must_use]
    pub fn of<'a>(demands: impl IntoIterator<Item = Demand<'a>>) -> Option<Self> {
        let mut rule = Self::default();
        demands.into_iter().for_each(|demand| rule.join(&demand));
        (!rule.is_open()).then_some(rule)
    }

    /// Whether a packet from `source` may pass. `protocol` is IANA's number; `port` counts where the protocol has ports.
    #[must_use]
    pub fn permits(&self, protocol: u8, port: u16, source: IpAddr) -> bool {
        if is_icmp(protocol, source) {
            return true;
        }
        let known = ported(protocol).and_then(|protocol| self.ports.get(&Port { protocol, number: port }));
        match (known, self.others) {
            (Some(sources), _) => sources.have(source),
            (None, others) => others == Others::Pass,
        }
    }

    /// The ports that Services have at the address, and whom each serves.
    pub fn ports(&self) -> impl Iterator<Item = (Port, &Sources)> {
        self.ports.iter().map(|(port, sources)| (*port, sources))
    }

    /// What becomes of the rest.
    #[must_use]
    pub const fn others(&self) -> Others {
        self.others
    }

    fn is_open(&self) -> bool {
        self.others == Others::Pass && self.ports.values().all(|sources| *sources == Sources::Any)
    }

    fn join(&mut self, demand: &Demand<'_>) {
        self.others = self.others.max(demand.others);
        let sources = Sources::of(demand);
        for port in demand.ports {
            self.ports
                .entry(*port)
                .and_modify(|known| *known = known.joined(&sources))
                .or_insert_with(|| sources.clone());
        }
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self { ports: BTreeMap::new(), others: Others::Pass }
    }
}

impl Sources {
    fn of(demand: &Demand<'_>) -> Self {
        if demand.source_ranges.is_empty() {
            return Self::Any;
        }
        let v4 = demand.address.is_ipv4();
        let ranges = demand.source_ranges.iter().filter(|range| range.addr().is_ipv4() == v4);
        Self::Only(IpNet::aggregate(&ranges.map(IpNet::trunc).collect()))
    }

    fn joined(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Any, Self::Any) => Self::Any,
            (Self::Only(ranges), Self::Any) | (Self::Any, Self::Only(ranges)) => Self::Only(ranges.clone()),
            (Self::Only(ours), Self::Only(theirs)) => {
                Self::Only(IpNet::aggregate(&[ours.as_slice(), theirs].concat()))
            }
        }
    }

    fn have(&self, source: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Only(ranges) => ranges.iter().any(|range| range.contains(&source)),
        }
    }
}

/// IANA's number of the protocol.
pub(super) const fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

const fn ported(protocol: u8) -> Option<Protocol> {
    match protocol {
        6 => Some(Protocol::Tcp),
        17 => Some(Protocol::Udp),
        132 => Some(Protocol::Sctp),
        _ => None,
    }
}

const fn is_icmp(protocol: u8, source: IpAddr) -> bool {
    match source {
        IpAddr::V4(_) => protocol == ICMP,
        IpAddr::V6(_) => protocol == ICMP_V6,
    }
}

pub(super) const ICMP: u8 = 1;
pub(super) const ICMP_V6: u8 = 58;

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: Port = Port { protocol: Protocol::Tcp, number: 80 };
    const NAMES: Port = Port { protocol: Protocol::Udp, number: 53 };

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    fn nets(nets: &[&str]) -> Vec<IpNet> {
        nets.iter().map(|net| net.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_that_nobody_restricts_has_no_rule() {
        let demand =
            Demand { address: ip("192.0.2.1"), ports: &[WEB], source_ranges: &[], others: Others::Pass };
        assert_eq!(Rules::of([demand]), Rules::default());
    }

    #[test]
    fn who_shares_an_address_keeps_its_own_sources() {
        let address = ip("192.0.2.1");
        let ranges = nets(&["10.1.2.3/8", "10.0.0.0/9", "2001:db8::/32"]);
        let web = Demand { address, ports: &[WEB], source_ranges: &ranges, others: Others::Pass };
        let names = Demand { address, ports: &[NAMES], source_ranges: &[], others: Others::Drop };
        let ports = BTreeMap::from([(WEB, Sources::Only(nets(&["10.0.0.0/8"]))), (NAMES, Sources::Any)]);
        let expected = Rules(BTreeMap::from([(address, Rule { ports, others: Others::Drop })]));
        assert_eq!(Rules::of([web, names]), expected);
        assert_eq!(Rules::of([names, web]), expected);
    }

    #[test]
    fn ranges_of_the_other_family_alone_serve_nobody() {
        let address = ip("2001:db8::1");
        let ranges = nets(&["0.0.0.0/0"]);
        let rules =
            Rules::of([Demand { address, ports: &[WEB], source_ranges: &ranges, others: Others::Pass }]);
        let permits =
            |protocol, port| rules.rule(address).unwrap().permits(protocol, port, ip("2001:db8::2"));
        assert_eq!([permits(6, 80), permits(6, 81), permits(ICMP_V6, 80)], [false, true, true]);
    }

    #[test]
    fn a_port_that_two_services_have_serves_the_sources_of_both_and_nobody_else() {
        let address = ip("192.0.2.1");
        let ranges = [nets(&["10.0.0.0/8"]), nets(&["172.16.0.0/12"]), Vec::new()];
        let demands = ranges.iter().map(|source_ranges| Demand {
            address,
            ports: &[WEB],
            source_ranges,
            others: Others::Pass,
        });
        let rules = Rules::of(demands);
        let sources: Vec<_> = rules.rule(address).unwrap().ports().collect();
        assert_eq!(sources, [(WEB, &Sources::Only(nets(&["10.0.0.0/8", "172.16.0.0/12"])))]);
    }
}
