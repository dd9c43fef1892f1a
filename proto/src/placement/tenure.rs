//! The addresses of one Lease on one node: announced from when its word is seen, and gone before it is taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::election::{Grant, Predecessor};

/// What this node does with the addresses of a Lease.
#[derive(Debug, Default)]
pub struct Tenure {
    /// Of the ruling that all this is about.
    serial: u64,
    /// The holder's word has been seen under this ruling.
    opened: bool,
    held: BTreeMap<IpAddr, Predecessor>,
    /// Withdrawn, and perhaps still on the wire.
    parting: BTreeSet<IpAddr>,
}

/// What it follows from.
#[derive(Debug)]
pub struct Situation<'a> {
    /// Of the ruling.
    pub serial: u64,
    /// What the Lease permits.
    pub grant: Option<Grant>,
    /// What this node can serve of the Lease's addresses.
    pub served: &'a BTreeSet<IpAddr>,
    /// Which addresses this holder said are its own, by the newest of its writes, seen in the stream of all writes.
    pub said: Option<&'a BTreeSet<IpAddr>>,
}

impl Tenure {
    /// Takes what has changed; returns what is withdrawn by it. `is_free`: no holder of another Lease says that the address is its
    /// own.
    pub fn update(&mut self, now: &Situation<'_>, is_free: impl Fn(IpAddr) -> bool) -> BTreeSet<IpAddr> {
        let stays = |address: &IpAddr| {
            now.grant.is_some() && now.serial == self.serial && now.served.contains(address)
        };
        let left: BTreeSet<_> = self.held.keys().copied().filter(|address| !stays(address)).collect();
        self.held.retain(|address, _| !left.contains(address));
        self.parting.extend(&left);
        if self.serial != now.serial {
            (self.serial, self.opened) = (now.serial, false);
        }
        if let (Some(grant), Some(said)) = (now.grant, now.said) {
            self.open(grant, now.served.intersection(said).copied(), is_free);
        }
        left
    }

    /// What the Lease permits of all this.
    pub fn held(&self, grant: Option<Grant>) -> impl Iterator<Item = (IpAddr, Grant)> + '_ {
        let each = self.held.iter();
        each.filter_map(move |(&address, &predecessor)| Some((address, Grant { predecessor, ..grant? })))
    }

    /// What was withdrawn is no longer of concern where `is_gone`. Returns whether there was any of it.
    pub fn forget(&mut self, is_gone: impl Fn(IpAddr) -> bool) -> bool {
        let before = self.parting.len();
        self.parting.retain(|&address| !is_gone(address));
        self.parting.len() < before
    }

    /// What has been withdrawn and is not known to be gone.
    #[must_use]
    pub fn parting(&self) -> &BTreeSet<IpAddr> {
        &self.parting
    }

    /// Nothing is held, and nothing left on the wire.
    #[must_use]
    pub fn is_vacated(&self) -> bool {
        self.held.is_empty() && self.parting.is_empty()
    }

    /// What the holder has to say is its own: what it can serve, and what it has not let go of.
    #[must_use]
    pub fn claim(&self, served: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        served.iter().chain(self.held.keys()).chain(&self.parting).copied().collect()
    }

    /// What the holder before left behind is known of the addresses that the Lease had when it was taken. Of one that comes later, or
    /// that another holder had to let go of, nobody has said anything: the wire is asked.
    fn open(&mut self, grant: Grant, said: impl Iterator<Item = IpAddr>, is_free: impl Fn(IpAddr) -> bool) {
        let predecessor = if self.opened { Predecessor::Unknown } else { grant.predecessor };
        self.opened = true;
        for address in said.filter(|&address| is_free(address)) {
            self.held.entry(address).or_insert(predecessor);
            self.parting.remove(&address);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use std::time::Instant;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn held(tenure: &Tenure, grant: Grant) -> Vec<(u8, Predecessor)> {
        let last = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(_) => unreachable!("only IPv4 here"),
        };
        tenure.held(Some(grant)).map(|(address, grant)| (last(address), grant.predecessor)).collect()
    }

    #[test]
    fn an_address_is_held_when_its_word_is_seen_and_no_other_holder_has_it() {
        let now = Instant::now();
        let grant = Grant { until: now, fence: now, predecessor: Predecessor::Left };
        let (mut tenure, served) = (Tenure::default(), [ip(1), ip(2), ip(3)].into());
        let situation = Situation { serial: 1, grant: Some(grant), served: &served, said: None };
        assert_eq!(tenure.update(&situation, |_| true), [].into());
        assert_eq!(held(&tenure, grant), []);
        let said = [ip(1), ip(2)].into();
        let situation = Situation { said: Some(&said), ..situation };
        let _ = tenure.update(&situation, |address| address != ip(2));
        assert_eq!(held(&tenure, grant), [(1, Predecessor::Left)]);
        // Whoever comes later waits for us; who was there before, or comes later, may have left anything.
        let said = [ip(1), ip(2), ip(3)].into();
        let situation = Situation { said: Some(&said), ..situation };
        let _ = tenure.update(&situation, |address| address != ip(1));
        let expected = [(1, Predecessor::Left), (2, Predecessor::Unknown), (3, Predecessor::Unknown)];
        assert_eq!(held(&tenure, grant), expected);
        assert_eq!(tenure.held(None).count(), 0);
    }

    #[test]
    fn what_is_withdrawn_is_said_to_be_ours_until_it_is_gone() {
        let now = Instant::now();
        let grant = Grant { until: now, fence: now, predecessor: Predecessor::Left };
        let (mut tenure, both, one) = (Tenure::default(), [ip(1), ip(2)].into(), [ip(1)].into());
        let situation = Situation { serial: 1, grant: Some(grant), served: &both, said: Some(&both) };
        let _ = tenure.update(&situation, |_| true);
        let less = Situation { served: &one, ..situation };
        assert_eq!(tenure.update(&less, |_| true), [ip(2)].into());
        assert_eq!((tenure.claim(&one), tenure.is_vacated()), (both.clone(), false));
        assert!(tenure.forget(|address| address == ip(2)));
        assert_eq!((tenure.claim(&one), tenure.forget(|_| true)), (one.clone(), false));
        // Another ruling begins with nothing, even where the grant between them was never missed.
        let next = Situation { serial: 3, said: None, ..less };
        assert_eq!(tenure.update(&next, |_| true), [ip(1)].into());
        assert_eq!((held(&tenure, grant), tenure.parting()), (vec![], &one));
        assert!(tenure.forget(|_| true) && tenure.is_vacated());
    }
}
