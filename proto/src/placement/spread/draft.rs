//! What would be said now: kept up to date address by address.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::placement::hash::MemberId;
use crate::placement::homes::Homes;
use crate::placement::statement::{Life, Statement};
use crate::placement::view::{View, Weight};

/// The claims of the next statement.
#[derive(Debug, Default)]
pub(super) struct Draft {
    homes: Homes,
    also: BTreeSet<IpAddr>,
    not: BTreeSet<IpAddr>,
    unable: BTreeSet<IpAddr>,
}

/// What is to be said of one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    /// At home with us in the draft's view.
    pub(super) at_home: bool,
    /// In any state, from being wanted until it is gone from the wire.
    pub(super) claimed: bool,
    /// Another member should have it.
    pub(super) elsewhere: bool,
    /// We cannot serve it.
    pub(super) unable: bool,
}

impl Draft {
    pub(super) fn view(&self) -> &View {
        self.homes.view()
    }

    /// From now on by this view: the addresses returned have to be entered again.
    pub(super) fn turn(&mut self, view: View) -> BTreeSet<IpAddr> {
        self.homes.turn(view, |_| |_| Some(false))
    }

    /// Where `address` is at home in the draft's view; of one that is of interest.
    pub(super) fn home(&mut self, address: IpAddr) -> Option<MemberId> {
        self.homes.know(address);
        self.homes.of(address)
    }

    /// Nothing is to be said of it any more.
    pub(super) fn forget(&mut self, address: IpAddr) {
        self.homes.forget(address);
        for addresses in [&mut self.also, &mut self.not, &mut self.unable] {
            addresses.remove(&address);
        }
    }

    pub(super) fn enter(&mut self, address: IpAddr, entry: Entry) {
        let Entry { at_home, claimed, elsewhere, unable } = entry;
        toggle(&mut self.also, address, claimed && !at_home);
        toggle(&mut self.unable, address, unable && !claimed);
        toggle(&mut self.not, address, at_home && elsewhere && !claimed && !unable);
    }

    pub(super) fn statement(&self, life: Life, sequence: u64, weight: Weight) -> Statement {
        Statement {
            life,
            sequence,
            weight,
            view: self.view().clone(),
            also: self.also.clone(),
            not: self.not.clone(),
            unable: self.unable.clone(),
        }
    }

    /// Whether `said` says all of it.
    pub(super) fn says(&self, said: &Statement, weight: Weight) -> bool {
        said.weight == weight
            && said.view == *self.view()
            && said.also == self.also
            && said.not == self.not
            && said.unable == self.unable
    }
}

fn toggle(addresses: &mut BTreeSet<IpAddr>, address: IpAddr, wanted: bool) {
    if wanted {
        addresses.insert(address);
    } else {
        addresses.remove(&address);
    }
}
