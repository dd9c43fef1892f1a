//! Who answers for Service addresses on the LAN: an observer for each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use vipcast::clock;
use vipcast::demo::lab::observer::Observer;
use vipcast::demo::lab::sightings::{PERIOD, Sightings};

use super::bed::{Bed, Node, SOON, ms, wait};
use super::probes::existing;

/// Observers at work; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Wire<'a> {
    bed: &'a Bed,
    begun: Instant,
    observers: BTreeMap<IpAddr, Mutex<Observer>>,
}

impl<'a> Wire<'a> {
    /// Of these addresses.
    pub(crate) fn of(bed: &'a Bed, addresses: &[IpAddr]) -> Self {
        let host = existing(&bed.script, "observer");
        let begun = clock::now();
        let observer = |address: &IpAddr| (*address, Mutex::new(Observer::start(&host, *address).unwrap()));
        Self { bed, begun, observers: addresses.iter().map(observer).collect() }
    }

    /// Who answered for an address after `from`.
    pub(crate) fn answerers(&self, address: IpAddr, from: Instant) -> BTreeSet<Node> {
        let sightings = self.sightings(address, from);
        sightings.owners.iter().map(|mac| self.bed.probes.node_of(mac)).collect()
    }

    /// For how long in all nobody answered for an address after `from`.
    pub(crate) fn silence(&self, address: IpAddr, from: Instant) -> Duration {
        let Sightings { rounds, answered, .. } = self.sightings(address, from);
        PERIOD * u32::try_from(rounds - answered).unwrap()
    }

    /// The owner of each address, once each has had one and the same for a while.
    pub(crate) fn owners(&self) -> BTreeMap<IpAddr, Node> {
        let owner = |address: &IpAddr| {
            let answerers: Vec<Node> = self.answerers(*address, clock::now() - WHILE).into_iter().collect();
            <[Node; 1]>::try_from(answerers).ok().map(|[owner]| (*address, owner))
        };
        wait("each address has one owner", SOON, || self.observers.keys().map(owner).collect())
    }

    /// Waits until this node, and nobody else, answers for the address.
    pub(crate) fn wait_owner(&self, address: IpAddr, owner: Node) {
        wait(&format!("n{owner} answers for {address}"), SOON, || {
            (self.answerers(address, clock::now() - WHILE) == BTreeSet::from([owner])).then_some(())
        });
    }

    /// Waits until nobody answers for the address.
    pub(crate) fn wait_silent(&self, address: IpAddr) {
        wait(&format!("nobody answers for {address}"), SOON, || {
            self.answerers(address, clock::now() - WHILE).is_empty().then_some(())
        });
    }

    /// Since it has begun, no two have answered any question.
    pub(crate) fn assert_never_two(&self) {
        for address in self.observers.keys() {
            let Sightings { rounds, double, longest_double, owners, .. } =
                self.sightings(*address, self.begun);
            assert_eq!(
                double, 0,
                "{address}: two of {owners:02x?} answered {double} of {rounds}, for {longest_double:?}"
            );
        }
    }

    fn sightings(&self, address: IpAddr, from: Instant) -> Sightings {
        let observer = self.observers[&address].lock();
        observer.unwrap_or_else(PoisonError::into_inner).sightings(from, clock::now())
    }
}

const WHILE: Duration = ms(500);
