//! A peer that reads octets by the letter of RFC 4271 and RFC 4760, independently of our own decoder.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use vipcast_proto::bgp::types::{Asn, Attributes, Family, NextHop};
use vipcast_proto::bgp::wire::AsNumbers;

/// What a peer sees, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    Withdrawn(IpNet),
    Announced(IpNet),
    EndOfRib(Family),
    /// Family and subtype of a ROUTE-REFRESH.
    Boundary(Family, u8),
}

/// Its Adj-RIB-In.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) table: BTreeMap<IpNet, Attributes>,
    pub(crate) heard: Vec<Heard>,
    pub(crate) updates: usize,
    as_numbers: AsNumbers,
}

impl Peer {
    pub(crate) fn new(as_numbers: AsNumbers) -> Self {
        Self { table: BTreeMap::new(), heard: vec![], updates: 0, as_numbers }
    }

    /// Whole messages, nothing left over.
    pub(crate) fn read(&mut self, octets: &[u8]) {
        let mut octets = octets;
        while !octets.is_empty() {
            assert_eq!(take(&mut octets, 16), [0xff; 16]);
            let length = usize::from(two(&mut octets));
            assert!(length <= 4096, "{length} octets");
            let message_type = take(&mut octets, 1)[0];
            let body = take(&mut octets, length - 19);
            match message_type {
                2 => self.update(body),
                5 => self.heard.push(Heard::Boundary(family(body[0], body[1], body[3]), body[2])),
                other => panic!("message type {other}"),
            }
        }
    }

    /// What was said more than once in this reading.
    pub(crate) fn repetitions(&self) -> BTreeSet<IpNet> {
        let mut seen = BTreeSet::new();
        let prefixes = self.heard.iter().filter_map(|heard| match heard {
            Heard::Withdrawn(prefix) | Heard::Announced(prefix) => Some(*prefix),
            Heard::EndOfRib(_) | Heard::Boundary(..) => None,
        });
        prefixes.filter(|prefix| !seen.insert(*prefix)).collect()
    }

    fn update(&mut self, body: &[u8]) {
        self.updates += 1;
        let mut body = body;
        let length = two(&mut body).into();
        let mut withdrawn = prefixes_v4(take(&mut body, length));
        let length = two(&mut body).into();
        let mut list = take(&mut body, length);
        let mut announced = prefixes_v4(body);
        let mut end_of_rib = withdrawn.is_empty() && list.is_empty() && body.is_empty();
        let mut of = Family::IPV4_UNICAST;
        let mut read = Read::default();
        while !list.is_empty() {
            let flags = take(&mut list, 1)[0];
            let code = take(&mut list, 1)[0];
            let length = if flags & 0x10 == 0 { take(&mut list, 1)[0].into() } else { two(&mut list) };
            let mut value = take(&mut list, length.into());
            match code {
                14 => announced.extend(read.mp_reach(value)),
                15 => {
                    of = family_at(&mut value);
                    end_of_rib = value.is_empty();
                    withdrawn.extend(prefixes(of, value));
                }
                _ => read.attribute(code, value, self.as_numbers),
            }
        }
        if end_of_rib {
            self.heard.push(Heard::EndOfRib(of));
        }
        for prefix in withdrawn {
            self.heard.push(Heard::Withdrawn(prefix));
            assert!(self.table.remove(&prefix).is_some(), "{prefix} is withdrawn and was never announced");
        }
        for prefix in announced {
            self.heard.push(Heard::Announced(prefix));
            self.table.insert(prefix, read.attributes());
        }
    }
}

/// Path attributes as far as they are read.
#[derive(Default)]
struct Read {
    as_path: Vec<Asn>,
    as4_path: Option<Vec<Asn>>,
    next_hop: Option<NextHop>,
    med: Option<u32>,
    local_pref: Option<u32>,
    communities: Vec<u32>,
    extended_communities: Vec<[u8; 8]>,
    large_communities: Vec<[u32; 3]>,
}

impl Read {
    fn attribute(&mut self, code: u8, value: &[u8], as_numbers: AsNumbers) {
        let wide = || value.chunks(4).map(four).collect::<Vec<_>>();
        match code {
            1 => assert_eq!(value, [0]),
            2 => self.as_path = as_path(value, as_numbers),
            3 => self.next_hop = Some(NextHop::V4(v4(value))),
            4 => self.med = Some(four(value)),
            5 => self.local_pref = Some(four(value)),
            8 => self.communities = wide(),
            16 => self.extended_communities = value.chunks(8).map(|it| it.try_into().unwrap()).collect(),
            17 => self.as4_path = Some(as_path(value, AsNumbers::FourOctets)),
            32 => self.large_communities = wide().chunks(3).map(|it| it.try_into().unwrap()).collect(),
            other => panic!("attribute {other}"),
        }
    }

    fn mp_reach(&mut self, mut value: &[u8]) -> Vec<IpNet> {
        let of = family_at(&mut value);
        let length = take(&mut value, 1)[0];
        let mut next_hop = take(&mut value, length.into());
        let address = v6(take(&mut next_hop, 16));
        let link_local = (!next_hop.is_empty()).then(|| v6(next_hop));
        self.next_hop = Some(NextHop::V6 { address, link_local });
        assert_eq!(take(&mut value, 1), [0]);
        prefixes(of, value)
    }

    fn attributes(&self) -> Attributes {
        Attributes {
            as_path: self.as4_path.clone().unwrap_or_else(|| self.as_path.clone()),
            next_hop: self.next_hop.unwrap(),
            med: self.med,
            local_pref: self.local_pref,
            communities: self.communities.clone(),
            extended_communities: self.extended_communities.clone(),
            large_communities: self.large_communities.clone(),
        }
    }
}

fn as_path(mut value: &[u8], as_numbers: AsNumbers) -> Vec<Asn> {
    if value.is_empty() {
        return vec![];
    }
    assert_eq!(take(&mut value, 1), [2]);
    let count = take(&mut value, 1)[0];
    let path: Vec<_> = match as_numbers {
        AsNumbers::TwoOctets => value.chunks(2).map(|mut it| Asn(two(&mut it).into())).collect(),
        AsNumbers::FourOctets => value.chunks(4).map(|it| Asn(four(it))).collect(),
    };
    assert_eq!(path.len(), usize::from(count));
    path
}

fn prefixes(of: Family, octets: &[u8]) -> Vec<IpNet> {
    if of == Family::IPV4_UNICAST { prefixes_v4(octets) } else { prefixes_v6(octets) }
}

fn prefixes_v4(octets: &[u8]) -> Vec<IpNet> {
    each_prefix(octets, |bits, address| Ipv4Net::new(v4(&address[..4]), bits).unwrap().into())
}

fn prefixes_v6(octets: &[u8]) -> Vec<IpNet> {
    each_prefix(octets, |bits, address| Ipv6Net::new(v6(address), bits).unwrap().into())
}

fn each_prefix(mut octets: &[u8], net: impl Fn(u8, &[u8]) -> IpNet) -> Vec<IpNet> {
    let mut found = vec![];
    while !octets.is_empty() {
        let bits = take(&mut octets, 1)[0];
        let mut address = take(&mut octets, usize::from(bits.div_ceil(8))).to_vec();
        address.resize(16, 0);
        found.push(net(bits, &address));
    }
    found
}

fn family_at(octets: &mut &[u8]) -> Family {
    let [high, low, safi] = take(octets, 3).try_into().unwrap();
    family(high, low, safi)
}

fn family(high: u8, low: u8, safi: u8) -> Family {
    Family { afi: u16::from_be_bytes([high, low]), safi }
}

fn take<'a>(octets: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = octets.split_at(count);
    *octets = rest;
    taken
}

fn two(octets: &mut &[u8]) -> u16 {
    u16::from_be_bytes(take(octets, 2).try_into().unwrap())
}

fn four(octets: &[u8]) -> u32 {
    u32::from_be_bytes(octets.try_into().unwrap())
}

fn v4(octets: &[u8]) -> Ipv4Addr {
    Ipv4Addr::from_bits(four(octets))
}

fn v6(octets: &[u8]) -> Ipv6Addr {
    let octets: [u8; 16] = octets.try_into().unwrap();
    octets.into()
}
