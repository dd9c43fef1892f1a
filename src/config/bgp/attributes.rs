//! What routers are told of a VIP beside where it is.

use std::collections::BTreeSet;
use std::fmt;

use ipnet::IpNet;
use vipcast_proto::bgp::types::{self, Asn};

use super::NextHop;

/// What routers are told of a VIP beside where it is. Nothing by default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Attributes {
    /// RFC 1997.
    pub communities: BTreeSet<u32>,
    /// RFC 8092: global administrator, local data 1 and 2.
    pub large_communities: BTreeSet<[u32; 3]>,
    /// RFC 4360, whole.
    pub extended_communities: BTreeSet<[u8; 8]>,
    /// RFC 10005: how much traffic this node takes of what several share.
    pub link_bandwidth: Option<LinkBandwidth>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF, to routers of our own Autonomous System.
    pub local_preference: Option<u32>,
    /// How often our Autonomous System stands in AS_PATH once more, to routers of others.
    pub prepend: Option<u8>,
}

/// VIPs of which something else is said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressGroup {
    /// The VIPs in it.
    pub prefix: IpNet,
    /// What is said of them.
    pub attributes: Attributes,
    /// Where their packets shall be sent, in place of the peer's next hop.
    pub next_hop: Option<NextHop>,
}

/// A rate, as the link bandwidth community has it. Never zero, which would mean: no traffic.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LinkBandwidth {
    /// At least eight.
    pub bits_per_second: u64,
}

impl Attributes {
    /// Takes more in: communities are united, of everything else what comes later counts.
    pub(super) fn add(&mut self, more: &Self) {
        self.communities.extend(&more.communities);
        self.large_communities.extend(&more.large_communities);
        self.extended_communities.extend(&more.extended_communities);
        self.link_bandwidth = more.link_bandwidth.or(self.link_bandwidth);
        self.med = more.med.or(self.med);
        self.local_preference = more.local_preference.or(self.local_preference);
        self.prepend = more.prepend.or(self.prepend);
    }

    /// As an UPDATE has them, once it is known where packets shall be sent and whether the session is internal.
    #[must_use]
    pub fn path(&self, local_as: Asn, internal: bool, next_hop: types::NextHop) -> types::Attributes {
        let mut extended = self.extended_communities.clone();
        extended.extend(self.link_bandwidth.map(|bandwidth| bandwidth.community(local_as, internal)));
        let times = if internal { 0 } else { usize::from(self.prepend.unwrap_or(0)) + 1 };
        types::Attributes {
            as_path: vec![local_as; times],
            next_hop,
            med: self.med,
            local_pref: internal.then(|| self.local_preference.unwrap_or(LOCAL_PREF)),
            communities: self.communities.iter().copied().collect(),
            extended_communities: extended.into_iter().collect(),
            large_communities: self.large_communities.iter().copied().collect(),
        }
    }
}

impl LinkBandwidth {
    /// The extended community (RFC 10005): transitive only where it has to leave our Autonomous System.
    #[must_use]
    pub fn community(self, local_as: Asn, internal: bool) -> [u8; 8] {
        let [high, low] = local_as.two_octets().to_be_bytes();
        // The community has no more digits.
        let [a, b, c, d] = ((self.bits_per_second / 8) as f32).to_be_bytes();
        [if internal { NON_TRANSITIVE } else { TRANSITIVE }, LINK_BANDWIDTH, high, low, a, b, c, d]
    }
}

/// As it may be written: `40G`, `2500M`.
impl fmt::Display for LinkBandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "K")];
        let whole = units.iter().find(|(unit, _)| self.bits_per_second.is_multiple_of(*unit));
        match whole {
            Some((unit, letter)) => write!(f, "{}{letter}", self.bits_per_second / unit),
            None => self.bits_per_second.fmt(f),
        }
    }
}

/// What every speaker takes where it is told nothing (RFC 4271 §9.1.1 leaves it to the operator, all agree on this).
const LOCAL_PREF: u32 = 100;

/// Two-octet AS specific, transitive (RFC 7153 §5.1).
const TRANSITIVE: u8 = 0x00;
/// The same, not transitive.
const NON_TRANSITIVE: u8 = 0x40;
/// Its subtype.
const LINK_BANDWIDTH: u8 = 0x04;

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes() -> Attributes {
        Attributes {
            communities: [2, 1].into(),
            large_communities: [[1, 2, 3]].into(),
            extended_communities: [[0, 2, 0, 1, 0, 0, 0, 1]].into(),
            link_bandwidth: Some(LinkBandwidth { bits_per_second: 10_000_000_000 }),
            med: Some(7),
            local_preference: Some(200),
            prepend: Some(2),
        }
    }

    #[test]
    fn a_router_of_another_autonomous_system_gets_the_path_and_one_of_ours_the_preference() {
        let next_hop = types::NextHop::V4([192, 0, 2, 1].into());
        let expected = types::Attributes {
            as_path: vec![Asn(65000); 3],
            next_hop,
            med: Some(7),
            local_pref: None,
            communities: vec![1, 2],
            // 1.25e9 octets a second.
            extended_communities: vec![[0, 2, 0, 1, 0, 0, 0, 1], [0, 4, 0xfd, 0xe8, 0x4e, 0x95, 0x02, 0xf9]],
            large_communities: vec![[1, 2, 3]],
        };
        assert_eq!(attributes().path(Asn(65000), false, next_hop), expected);
        let internal = types::Attributes {
            as_path: vec![],
            local_pref: Some(200),
            extended_communities: vec![
                [0, 2, 0, 1, 0, 0, 0, 1],
                [0x40, 4, 0xfd, 0xe8, 0x4e, 0x95, 0x02, 0xf9],
            ],
            ..expected
        };
        assert_eq!(attributes().path(Asn(65000), true, next_hop), internal);
        let nothing = Attributes::default();
        assert_eq!(nothing.path(Asn(65000), true, next_hop).local_pref, Some(100));
        assert_eq!(nothing.path(Asn(65000), false, next_hop).as_path, [Asn(65000)]);
    }

    #[test]
    fn communities_are_united_and_of_everything_else_the_later_counts() {
        let more =
            Attributes { communities: [3].into(), med: Some(8), prepend: None, ..Attributes::default() };
        let mut both = attributes();
        both.add(&more);
        let expected = Attributes { communities: [1, 2, 3].into(), med: Some(8), ..attributes() };
        assert_eq!(both, expected);
    }

    #[test]
    fn a_rate_is_written_with_the_largest_unit_that_leaves_no_fraction() {
        let written = |bits_per_second| LinkBandwidth { bits_per_second }.to_string();
        assert_eq!(
            [written(10_000_000_000), written(2_500_000_000), written(1_500), written(64_000)],
            ["10G", "2500M", "1500", "64K"]
        );
    }
}
