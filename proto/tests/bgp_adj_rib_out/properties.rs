//! Whatever changes, and whenever the peer is told: its table becomes the wanted one, and nothing flickers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use vipcast_proto::bgp::adj_rib_out::{AdjRibOut, Batch, Export, Policy, Routes, Snapshot};
use vipcast_proto::bgp::fsm::Negotiated;
use vipcast_proto::bgp::types::{Attributes, Family};
use vipcast_proto::bgp::wire::AsNumbers;

use crate::peer::{Heard, Peer};
use crate::rig::{US, dual_stack, external, internal, table};

#[derive(Clone, Debug)]
enum Turn {
    /// Prefixes, each with the number of its policy.
    Routes(BTreeMap<IpNet, u8>),
    Drain(bool),
    Resend(Family, bool),
    /// So many milliseconds pass.
    Wait(u64),
    Take,
}

/// One peer, its session, and what the two ends make of it.
struct Case {
    export: Export,
    as_numbers: AsNumbers,
    rib: AdjRibOut,
    peer: Peer,
    now: Instant,
    routes: BTreeMap<IpNet, u8>,
    draining: bool,
    refreshed: bool,
}

impl Case {
    fn new(session: &Negotiated) -> Self {
        Self {
            export: Export::new(US, policy(1), session, &dual_stack()),
            as_numbers: session.as_numbers,
            rib: AdjRibOut::new(session.families.clone(), WINDOW),
            peer: Peer::new(session.as_numbers),
            now: Instant::now(),
            routes: BTreeMap::new(),
            draining: false,
            refreshed: false,
        }
    }

    fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Routes(routes) => {
                self.routes = routes;
                self.rib.want(self.wanted());
            }
            Turn::Drain(draining) => {
                self.draining = draining;
                self.rib.want(self.wanted());
            }
            Turn::Resend(family, enhanced) => {
                self.refreshed = true;
                self.rib.resend(family, enhanced);
            }
            Turn::Wait(span) => self.now += Duration::from_millis(span),
            Turn::Take => self.take(),
        }
    }

    fn wanted(&self) -> Arc<Snapshot> {
        let export = self.export.clone();
        let export = if self.draining { export.graceful_shutdown() } else { export };
        let policies = [0, 1, 2].map(policy);
        let routes = self.routes.iter().map(|(prefix, number)| (*prefix, &policies[usize::from(*number)]));
        Routes::new(routes).export(&export)
    }

    fn take(&mut self) {
        let before = self.peer.table.clone();
        let Some(batch) = self.rib.take(self.now) else { return };
        self.peer.heard.clear();
        self.peer.updates = 0;
        batch.octets.iter().for_each(|octets| self.peer.read(octets));
        self.check(&before, &batch);
        self.refreshed = false;
    }

    fn check(&self, before: &BTreeMap<IpNet, Attributes>, batch: &Batch) {
        let after = &self.peer.table;
        assert_eq!(*after, table(self.rib.known()));
        assert_eq!(self.peer.updates, batch.updates);
        let count = |wanted: fn(&Heard) -> bool| self.peer.heard.iter().filter(|it| wanted(it)).count();
        assert_eq!(count(|it| matches!(it, Heard::Withdrawn(_))), batch.withdrawn);
        assert_eq!(count(|it| matches!(it, Heard::Announced(_))), batch.announced);
        for heard in &self.peer.heard {
            if let Heard::Withdrawn(prefix) = heard {
                assert!(before.contains_key(prefix) && !after.contains_key(prefix), "{prefix} flickers");
            }
        }
        if !self.refreshed {
            assert_eq!(self.peer.repetitions(), [].into());
            let changed = after.iter().filter(|(prefix, said)| before.get(*prefix) != Some(*said)).count();
            assert_eq!(batch.announced, changed, "what did not change is said again");
        }
        let first_announced = self.peer.heard.iter().position(|it| matches!(it, Heard::Announced(_)));
        let last_withdrawn = self.peer.heard.iter().rposition(|it| matches!(it, Heard::Withdrawn(_)));
        assert!(last_withdrawn < first_announced || first_announced.is_none() || last_withdrawn.is_none());
    }

    /// Asks when it is time to, as a driver does.
    fn settle(&mut self) {
        self.rib.want(self.wanted());
        for _ in 0..3 {
            self.take();
            self.now = self.rib.deadline().unwrap_or(self.now);
        }
        assert!(self.rib.is_settled());
        assert_eq!(self.peer.table, table(&self.wanted()));
        let carried = self.peer.table.len();
        let wanted = self.routes.keys().filter(|prefix| self.carries(prefix)).count();
        assert_eq!(carried, wanted);
    }

    fn carries(&self, prefix: &IpNet) -> bool {
        matches!(prefix, IpNet::V4(_)) || self.as_numbers == AsNumbers::FourOctets
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_peers_table_becomes_the_wanted_one(session in sessions(), turns in vec(turns(), 0..40)) {
        let mut case = Case::new(&session);
        for turn in turns {
            case.turn(turn);
        }
        case.settle();
    }
}

/// The peer of two octets does without IPv6, too.
fn sessions() -> impl Strategy<Value = Negotiated> {
    let old = Negotiated {
        as_numbers: AsNumbers::TwoOctets,
        families: [Family::IPV4_UNICAST].into(),
        ..external()
    };
    prop_oneof![Just(external()), Just(internal()), Just(old)]
}

fn turns() -> impl Strategy<Value = Turn> {
    let family = prop_oneof![Just(Family::IPV4_UNICAST), Just(Family::IPV6_UNICAST)];
    prop_oneof![
        4 => btree_map(prefixes(), 0_u8..3, 0..12).prop_map(Turn::Routes),
        1 => any::<bool>().prop_map(Turn::Drain),
        1 => (family, any::<bool>()).prop_map(|(family, enhanced)| Turn::Resend(family, enhanced)),
        3 => (0_u64..30).prop_map(Turn::Wait),
        4 => Just(Turn::Take),
    ]
}

fn prefixes() -> impl Strategy<Value = IpNet> {
    let v4 = (0_u8..12, 30_u8..=32);
    let v6 = (0_u16..6, 126_u8..=128);
    prop_oneof![
        2 => v4.prop_map(|(host, bits)| Ipv4Net::new_assert([10, 0, 0, host].into(), bits).trunc().into()),
        1 => v6.prop_map(|(host, bits)| {
            Ipv6Net::new_assert([0x2001, 0xdb8, 0, 0, 0, 0, 0, host].into(), bits).trunc().into()
        }),
    ]
}

/// Three policies, of which an external peer cannot tell the first two apart.
fn policy(number: u8) -> Policy {
    match number {
        0 => Policy { local_pref: Some(200), ..Policy::default() },
        1 => Policy::default(),
        _ => Policy { med: Some(5), communities: [1, 2].into(), prepend: 2, ..Policy::default() },
    }
}

const WINDOW: Duration = Duration::from_millis(20);
