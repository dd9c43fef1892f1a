//! Which addresses no Service may have, whoever asks.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::family::Family;
use super::range::Range;
use super::runs::Runs;

/// Why an address is not for Services.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ForbiddenReason {
    /// A Node's own: with the address taken, the Node loses the network.
    Node(String),
    /// The control-plane VIP.
    ControlPlane,
    /// A gateway of the network.
    Gateway,
    /// In a network of Pods.
    PodNetwork(IpNet),
    /// In the network of cluster IPs.
    ServiceNetwork(IpNet),
    /// The first or last address of a network of IPv4 to which a node belongs: that of the network, and that for everybody.
    NetworkEnd(IpNet),
    /// Loopback, multicast, link-local, or no address of a host at all.
    NotForHosts,
}

impl ForbiddenReason {
    /// Whether a Service that has such an address loses it, and nobody announces it. The ends of a network are only not given
    /// any more: which networks there are depends on the node that is asked.
    #[must_use]
    pub const fn takes_away(&self) -> bool {
        match self {
            Self::Node(_)
            | Self::ControlPlane
            | Self::Gateway
            | Self::PodNetwork(_)
            | Self::ServiceNetwork(_)
            | Self::NotForHosts => true,
            Self::NetworkEnd(_) => false,
        }
    }
}

impl fmt::Display for ForbiddenReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "the address of node {name}"),
            Self::ControlPlane => f.write_str("the control-plane VIP"),
            Self::Gateway => f.write_str("a gateway"),
            Self::PodNetwork(net) => write!(f, "in the pod network {net}"),
            Self::ServiceNetwork(net) => write!(f, "in the service network {net}"),
            Self::NetworkEnd(net) => write!(f, "the first or last address of the network {net}"),
            Self::NotForHosts => f.write_str("not a unicast address that a host can have on a network"),
        }
    }
}

/// The addresses that no Service may have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Forbidden {
    addresses: BTreeMap<IpAddr, ForbiddenReason>,
    /// Few: asked one after the other, to name the reason.
    networks: Vec<(Range, ForbiddenReason)>,
}

impl Default for Forbidden {
    /// Only what is not for hosts.
    fn default() -> Self {
        let networks = not_for_hosts().map(|(net, _)| (net.into(), ForbiddenReason::NotForHosts));
        Self { addresses: BTreeMap::new(), networks: networks.to_vec() }
    }
}

impl Forbidden {
    /// Forbids one address. The addresses that a Node reports must be given without the VIPs of ours among them.
    pub fn address(&mut self, address: IpAddr, reason: ForbiddenReason) {
        let known = self.addresses.entry(address).or_insert_with(|| reason.clone());
        if !known.takes_away() {
            *known = reason;
        }
    }

    /// Forbids the network of a reason that names one, or any other network.
    pub fn network(&mut self, net: IpNet, reason: ForbiddenReason) {
        self.networks.push((net.into(), reason));
    }

    /// Forbids the ends of a network of IPv4 to which a node belongs, where they are not for hosts.
    pub fn ends(&mut self, net: IpNet) {
        if let IpNet::V4(net) = net.trunc()
            && net.prefix_len() <= LONGEST_WITH_ENDS
        {
            for end in [net.network(), net.broadcast()] {
                self.address(end.into(), ForbiddenReason::NetworkEnd(net.into()));
            }
        }
    }

    /// Why `address` is forbidden, or `None`.
    #[must_use]
    pub fn reason(&self, address: IpAddr) -> Option<&ForbiddenReason> {
        let single = self.addresses.get(&address);
        let network = || self.networks.iter().find(|(range, _)| range.contains(address));
        // A reason to take it away is told before one that only keeps it from being given.
        let taken = single.filter(|reason| reason.takes_away());
        taken.or_else(|| network().map(|(_, reason)| reason)).or(single)
    }

    /// What of `range` is forbidden, and why, for as many single addresses as there are.
    pub(super) fn within(&self, range: Range) -> impl Iterator<Item = (Range, &ForbiddenReason)> + '_ {
        let addresses = self.addresses.range(range.first()..=range.last());
        let addresses = addresses.map(|(&address, reason)| (Range::single(address), reason));
        let networks = self.networks.iter().filter_map(move |(net, why)| Some((net.overlap(range)?, why)));
        addresses.chain(networks)
    }

    pub(super) fn runs(&self) -> Runs {
        let mut runs = Runs::default();
        self.networks.iter().for_each(|&(range, _)| runs.insert(range));
        self.addresses.keys().for_each(|&address| runs.insert(Range::single(address)));
        runs
    }
}

/// How many of the numbers from `first` to `last` end in .0 or .255.
pub(super) fn buggy_between(family: Family, (first, last): (u128, u128)) -> u128 {
    match family {
        Family::V4 => buggy_below(last + 1) - buggy_below(first),
        Family::V6 => 0,
    }
}

/// Whether a number is that of an IPv4 address that ends in .0 or .255.
pub(super) fn is_buggy(family: Family, at: u128) -> bool {
    family == Family::V4 && matches!(at % 256, 0 | 255)
}

fn buggy_below(end: u128) -> u128 {
    let rest = end % 256;
    end / 256 * 2 + u128::from(rest > 0)
}

/// What of `range` never is for hosts, in words; `None`: nothing.
pub(super) fn never(range: Range) -> Option<String> {
    let all = not_for_hosts().into_iter().filter(|(net, _)| range.overlap((*net).into()).is_some());
    let words: Vec<_> = all.map(|(net, what)| format!("{net} ({what})")).collect();
    (!words.is_empty()).then(|| format!("has addresses that never can be a VIP: {}", words.join(", ")))
}

fn not_for_hosts() -> [(IpNet, &'static str); 9] {
    let v4 = |address: [u8; 4], length| IpNet::new_assert(Ipv4Addr::from(address).into(), length);
    let v6 =
        |first: u16, length| IpNet::new_assert(Ipv6Addr::from_bits(u128::from(first) << 112).into(), length);
    [
        (v4([0, 0, 0, 0], 8), "this network"),
        (v4([127, 0, 0, 0], 8), "loopback"),
        (v4([169, 254, 0, 0], 16), "link-local"),
        (v4([224, 0, 0, 0], 4), "multicast"),
        (v4([255, 255, 255, 255], 32), "broadcast"),
        // The unspecified address, loopback and IPv4 in IPv6 clothes: all below the first unicast prefix.
        (v6(0, 16), "unspecified, loopback and mapped IPv4"),
        (v6(0x0100, 64), "discard-only"),
        (v6(0xfe80, 10), "link-local"),
        (v6(0xff00, 8), "multicast"),
    ]
}

/// A network of two addresses has no others to give, and uses both (RFC 3021).
const LONGEST_WITH_ENDS: u8 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_named_and_the_nearest_one_first() {
        let mut forbidden = Forbidden::default();
        let net: IpNet = "10.244.0.0/16".parse().unwrap();
        forbidden.network(net, ForbiddenReason::PodNetwork(net));
        forbidden.address("10.244.0.1".parse().unwrap(), ForbiddenReason::Node("a".into()));
        let asked =
            ["10.244.0.1", "10.244.255.255", "10.245.0.0", "127.0.0.1", "::ffff:192.0.2.1", "fe80::1"];
        let reasons = asked.map(|text| forbidden.reason(text.parse().unwrap()).cloned());
        assert_eq!(
            reasons,
            [
                Some(ForbiddenReason::Node("a".into())),
                Some(ForbiddenReason::PodNetwork(net)),
                None,
                Some(ForbiddenReason::NotForHosts),
                Some(ForbiddenReason::NotForHosts),
                Some(ForbiddenReason::NotForHosts),
            ]
        );
    }

    #[test]
    fn the_ends_of_a_network_of_ipv4_are_forbidden_where_hosts_cannot_have_them() {
        let mut forbidden = Forbidden::default();
        for net in ["192.0.2.9/29", "198.51.100.0/31", "2001:db8::7/64"] {
            forbidden.ends(net.parse().unwrap());
        }
        let asked = ["192.0.2.8", "192.0.2.9", "192.0.2.15", "198.51.100.0", "198.51.100.1", "2001:db8::"];
        let end = Some(ForbiddenReason::NetworkEnd("192.0.2.8/29".parse().unwrap()));
        let reasons = asked.map(|text| forbidden.reason(text.parse().unwrap()).cloned());
        assert_eq!(reasons, [end.clone(), None, end, None, None, None]);
        // What takes an address away is the reason that counts, in whatever order it became known.
        let [pods, node] = ["192.0.2.8", "192.0.2.15"].map(|text| text.parse().unwrap());
        let network: IpNet = "192.0.2.8/31".parse().unwrap();
        forbidden.network(network, ForbiddenReason::PodNetwork(network));
        forbidden.address(node, ForbiddenReason::Node("a".into()));
        let reasons = [pods, node].map(|address| forbidden.reason(address).cloned());
        assert_eq!(
            reasons,
            [Some(ForbiddenReason::PodNetwork(network)), Some(ForbiddenReason::Node("a".into()))]
        );
    }

    #[test]
    fn the_ends_of_blocks_are_counted_without_walking() {
        let cases = [(0, 0), (0, 254), (0, 255), (1, 254), (255, 256), (255, 511), (300, 300)];
        for (first, last) in cases {
            let walked = (first..=last).filter(|&at| is_buggy(Family::V4, at)).count() as u128;
            assert_eq!(buggy_between(Family::V4, (first, last)), walked, "{first}-{last}");
        }
    }
}
