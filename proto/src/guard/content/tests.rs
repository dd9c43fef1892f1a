//! What the sets permit is what the rules permit, and the least change leads where building anew does.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::guard::{Change, Demand, Difference, Rules};
use crate::ipam::{Port, Protocol};

const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
const PORTS: [u16; 6] = [0, 1, 80, 81, 65534, 65535];
const NUMBERS: [u8; 9] = [0, 1, 6, 17, 47, 58, 59, 132, 255];

#[derive(Clone, Debug)]
struct Wish {
    address: IpAddr,
    ports: Vec<Port>,
    ranges: Vec<IpNet>,
    others: Others,
}

fn rules(wishes: &[Wish]) -> Rules {
    Rules::of(wishes.iter().map(|wish| Demand {
        address: wish.address,
        ports: &wish.ports,
        source_ranges: &wish.ranges,
        others: wish.others,
    }))
}

/// Few addresses, so that they are shared, next to each other, and of both families.
fn address() -> impl Strategy<Value = IpAddr> {
    (0..4_u8, any::<bool>()).prop_map(|(last, v4)| {
        if v4 {
            Ipv4Addr::new(192, 0, 2, last).into()
        } else {
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).into()
        }
    })
}

fn port() -> impl Strategy<Value = Port> {
    (select(&PROTOCOLS), select(&PORTS)).prop_map(|(protocol, number)| Port { protocol, number })
}

/// Prefixes around both ends of the families.
fn range() -> impl Strategy<Value = IpNet> {
    let v4 = (select(vec![0_u32, 0x0a00_0000, 0x0aff_ffff, 0x0b00_0000, u32::MAX]), 0..=32_u8)
        .prop_map(|(address, length)| IpNet::new(Ipv4Addr::from(address).into(), length).unwrap());
    let v6 = (select(vec![0_u128, 1, 0xfd << 120, u128::MAX]), 0..=128_u8)
        .prop_map(|(address, length)| IpNet::new(Ipv6Addr::from(address).into(), length).unwrap());
    prop_oneof![v4, v6]
}

fn wish() -> impl Strategy<Value = Wish> {
    let others = any::<bool>().prop_map(|drop| if drop { Others::Drop } else { Others::Pass });
    (address(), vec(port(), 0..4), vec(range(), 0..4), others)
        .prop_map(|(address, ports, ranges, others)| Wish { address, ports, ranges, others })
}

/// The ends of the range, and what lies just outside.
fn sources(range: &IpNet) -> Vec<IpAddr> {
    match range {
        IpNet::V4(range) => [range.network().into(), range.broadcast().into()]
            .into_iter()
            .flat_map(|end: u32| [end.wrapping_sub(1), end, end.wrapping_add(1)])
            .map(|source| Ipv4Addr::from(source).into())
            .collect(),
        IpNet::V6(range) => [range.network().into(), range.broadcast().into()]
            .into_iter()
            .flat_map(|end: u128| [end.wrapping_sub(1), end, end.wrapping_add(1)])
            .map(|source| Ipv6Addr::from(source).into())
            .collect(),
    }
}

/// What the packet filter does with these sets.
fn passes<const A: usize, const K: usize>(sets: &Sets<A, K>, address: [u8; A], key: [u8; K]) -> bool {
    !sets.guarded.contains(&address) || sets.permitted.iter().any(|i| i.first <= key && key < i.end)
}

fn content_permits(content: &Content, address: IpAddr, protocol: u8, port: u16, source: IpAddr) -> bool {
    match (address, source) {
        (IpAddr::V4(address), IpAddr::V4(source)) => {
            let keys = Keys::<4, 16>(address.octets());
            passes(&content.v4, address.octets(), keys.key(protocol, port, &source.octets()))
        }
        (IpAddr::V6(address), IpAddr::V6(source)) => {
            let keys = Keys::<16, 40>(address.octets());
            passes(&content.v6, address.octets(), keys.key(protocol, port, &source.octets()))
        }
        (IpAddr::V4(_) | IpAddr::V6(_), _) => unreachable!("one family at a time"),
    }
}

fn assert_apart<const A: usize, const K: usize>(sets: &Sets<A, K>) {
    let intervals: Vec<_> = sets.permitted.iter().collect();
    for interval in &intervals {
        assert!(interval.first < interval.end, "{interval:?}");
    }
    for pair in intervals.windows(2) {
        assert!(pair[0].end < pair[1].first, "{pair:?}");
    }
}

fn apply<T: Ord + Copy>(old: &BTreeSet<T>, difference: &Difference<T>) -> BTreeSet<T> {
    let mut set = old.clone();
    assert!(difference.remove.iter().all(|element| set.remove(element)), "only what is there goes");
    assert!(difference.add.iter().all(|element| set.insert(*element)), "only what is not there comes");
    assert!(
        difference.add.iter().all(|element| !difference.remove.contains(element)),
        "nothing goes and comes"
    );
    set
}

fn applied(old: &Content, change: &Change) -> Content {
    Content {
        v4: Sets {
            guarded: apply(&old.v4.guarded, &change.v4.guarded),
            permitted: apply(&old.v4.permitted, &change.v4.permitted),
        },
        v6: Sets {
            guarded: apply(&old.v6.guarded, &change.v6.guarded),
            permitted: apply(&old.v6.permitted, &change.v6.permitted),
        },
    }
}

proptest! {
    #[test]
    fn the_sets_permit_what_the_rules_permit(wishes in vec(wish(), 0..6)) {
        let rules = rules(&wishes);
        let content = Content::of(rules.iter());
        assert_apart(&content.v4);
        assert_apart(&content.v6);
        let probes: Vec<IpAddr> = wishes.iter().flat_map(|wish| &wish.ranges).flat_map(sources)
            .chain(["198.51.100.1".parse().unwrap(), "2001:db8:1::1".parse().unwrap()]).collect();
        for wish in &wishes {
            for source in probes.iter().filter(|source| source.is_ipv4() == wish.address.is_ipv4()) {
                for (protocol, port) in NUMBERS.iter().flat_map(|n| PORTS.iter().map(move |port| (*n, *port))) {
                    let expected = rules.rule(wish.address)
                        .is_none_or(|rule| rule.permits(protocol, port, *source));
                    let found = content_permits(&content, wish.address, protocol, port, *source);
                    prop_assert_eq!(found, expected, "{} {} {} {}", wish.address, protocol, port, source);
                }
            }
        }
    }

    #[test]
    fn the_least_change_leads_to_what_is_built_anew(old in vec(wish(), 0..6), new in vec(wish(), 0..6)) {
        let (old_rules, new_rules) = (rules(&old), rules(&new));
        let (old, new) = (Content::of(old_rules.iter()), Content::of(new_rules.iter()));
        let change = old.change_to(&new);
        prop_assert_eq!(&Change::between(&old_rules, &new_rules), &change);
        prop_assert_eq!(&applied(&old, &change), &new);
        prop_assert_eq!(change.is_empty(), old == new);
    }
}

fn interval(first: [u8; 16], end: [u8; 16]) -> Interval<16> {
    Interval { first, end }
}

fn web(others: Others) -> Content {
    let wish = Wish {
        address: "192.0.2.1".parse().unwrap(),
        ports: vec![Port { protocol: Protocol::Tcp, number: 80 }],
        ranges: vec!["10.0.0.0/8".parse().unwrap(), "11.0.0.0/8".parse().unwrap()],
        others,
    };
    Content::of(rules(&[wish]).iter())
}

#[test]
fn ranges_of_one_port_leave_everything_else_open() {
    let expected = BTreeSet::from([
        interval(
            [192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [192, 0, 2, 1, 6, 0, 0, 0, 0, 80, 0, 0, 0, 0, 0, 0],
        ),
        interval(
            [192, 0, 2, 1, 6, 0, 0, 0, 0, 80, 0, 0, 10, 0, 0, 0],
            [192, 0, 2, 1, 6, 0, 0, 0, 0, 80, 0, 0, 12, 0, 0, 0],
        ),
        interval(
            [192, 0, 2, 1, 6, 0, 0, 0, 0, 81, 0, 0, 0, 0, 0, 0],
            [192, 0, 2, 1, 255, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
    ]);
    let v4 = Sets { guarded: BTreeSet::from([[192, 0, 2, 1]]), permitted: expected };
    assert_eq!(web(Others::Pass), Content { v4, v6: Sets::default() });
}

#[test]
fn where_others_are_dropped_icmp_and_the_ports_remain() {
    let expected = BTreeSet::from([
        interval(
            [192, 0, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [192, 0, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        interval(
            [192, 0, 2, 1, 6, 0, 0, 0, 0, 80, 0, 0, 10, 0, 0, 0],
            [192, 0, 2, 1, 6, 0, 0, 0, 0, 80, 0, 0, 12, 0, 0, 0],
        ),
    ]);
    let v4 = Sets { guarded: BTreeSet::from([[192, 0, 2, 1]]), permitted: expected };
    assert_eq!(web(Others::Drop), Content { v4, v6: Sets::default() });
}
