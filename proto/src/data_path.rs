//! New addresses wait until the node can carry their packets on. One that is answered for before kube-proxy has its rules
//! sends its first clients to nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ipam::Port;

/// Addresses that wait, each with the ports of its Services: one that is carried on is enough.
pub type Waiting = BTreeMap<IpAddr, Arc<[Port]>>;

/// How long each address has waited.
#[derive(Debug, Default)]
pub struct Patience {
    until: BTreeMap<IpAddr, Instant>,
}

/// Addresses whose wait is over.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Released {
    /// The node carries their packets on, or nobody knows whether it does.
    pub carried: BTreeSet<IpAddr>,
    /// It still does not, after [`LIMIT`]. Whoever writes its rules may be broken, and so may our idea of it.
    pub overdue: BTreeSet<IpAddr>,
}

impl Patience {
    /// What has come of those that wait `now`, where `carried` says what was seen.
    pub fn released(&mut self, now: Instant, waiting: &Waiting, carried: &BTreeSet<IpAddr>) -> Released {
        self.until.retain(|address, _| waiting.contains_key(address));
        let mut released = Released::default();
        for &address in waiting.keys() {
            let until = *self.until.entry(address).or_insert(now + LIMIT);
            if carried.contains(&address) {
                released.carried.insert(address);
            } else if until <= now {
                released.overdue.insert(address);
            }
        }
        self.until.retain(|address, _| !released.contains(*address));
        released
    }

    /// How long until the next look is worth it; `None`: nothing waits.
    #[must_use]
    pub fn pace(&self, now: Instant) -> Option<Duration> {
        let youngest = self.until.values().max()?;
        Some(if *youngest > now + LIMIT.saturating_sub(EAGER) { SOON } else { LATER })
    }
}

impl Released {
    fn contains(&self, address: IpAddr) -> bool {
        self.carried.contains(&address) || self.overdue.contains(&address)
    }
}

/// No address waits for longer.
pub const LIMIT: Duration = Duration::from_secs(5);
/// For so long one looks often: rules are there a moment after the address, or somebody is in trouble.
const EAGER: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_millis(10);
const LATER: Duration = Duration::from_millis(100);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn waiting(addresses: &[u8]) -> Waiting {
        addresses.iter().map(|&last| (ip(last), Arc::from([]))).collect()
    }

    fn set(addresses: &[u8]) -> BTreeSet<IpAddr> {
        addresses.iter().map(|&last| ip(last)).collect()
    }

    #[test]
    fn an_address_waits_until_it_is_carried_and_never_longer_than_the_limit() {
        let (start, mut patience) = (Instant::now(), Patience::default());
        let mut at = |millis, there: &[u8], seen: &[u8]| {
            let now = start + Duration::from_millis(millis);
            let released = patience.released(now, &waiting(there), &set(seen));
            (released.carried, released.overdue, patience.pace(now))
        };
        assert_eq!(at(0, &[1, 2, 3], &[2]), (set(&[2]), set(&[]), Some(SOON)));
        assert_eq!(at(1990, &[1, 3], &[]), (set(&[]), set(&[]), Some(SOON)));
        assert_eq!(at(2000, &[1, 3], &[3]), (set(&[3]), set(&[]), Some(LATER)));
        // One that comes later has a limit of its own.
        assert_eq!(at(4000, &[1, 4], &[]), (set(&[]), set(&[]), Some(SOON)));
        assert_eq!(at(4999, &[1, 4], &[]), (set(&[]), set(&[]), Some(SOON)));
        assert_eq!(at(5000, &[1, 4], &[]), (set(&[]), set(&[1]), Some(SOON)));
        assert_eq!(at(8999, &[4], &[]), (set(&[]), set(&[]), Some(LATER)));
        // What is gone does not count when it comes again.
        assert_eq!(at(9000, &[], &[]), (set(&[]), set(&[]), None));
        assert_eq!(at(9001, &[4], &[]), (set(&[]), set(&[]), Some(SOON)));
    }
}
