//! Where each Service has a Lease: which addresses the holders say are theirs. A Service may name another Lease from one moment to the
//! next, and nodes learn of it one after the other: two Leases could be held for one address. So each holder writes the addresses
//! beside its name, and announces one only when it has seen its own word in the stream of all writes and nobody else's.
//! Of two who write, the later one sees the earlier one's word.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What the holders of Leases say, in the order of all writes.
#[derive(Debug)]
pub struct Claims<L> {
    /// How long a holder whose Lease was deleted under it may not know.
    lease_duration: Duration,
    said: BTreeMap<L, Said>,
    claimants: BTreeMap<IpAddr, BTreeSet<L>>,
}

#[derive(Debug)]
struct Said {
    holder: String,
    addresses: BTreeSet<IpAddr>,
    /// The Lease was deleted; from here on nobody holds by it.
    until: Option<Instant>,
}

impl<L: Clone + Ord> Claims<L> {
    /// Nobody says anything.
    #[must_use]
    pub fn new(lease_duration: Duration) -> Self {
        Self { lease_duration, said: BTreeMap::new(), claimants: BTreeMap::new() }
    }

    /// This is what the Lease says by now; without a holder it says nothing. Returns the addresses about which something changed.
    pub fn see(&mut self, lease: &L, holder: Option<&str>, addresses: BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        let before = self.forget(lease);
        let Some(holder) = holder else { return before.map(|said| said.addresses).unwrap_or_default() };
        let unchanged = |said: &Said| said.holder == holder && said.addresses == addresses;
        let changed = match &before {
            Some(said) if unchanged(said) => BTreeSet::new(),
            Some(said) => said.addresses.union(&addresses).copied().collect(),
            None => addresses.clone(),
        };
        for &address in &addresses {
            self.claimants.entry(address).or_default().insert(lease.clone());
        }
        let said = Said { holder: holder.to_owned(), addresses, until: None };
        self.said.insert(lease.clone(), said);
        changed
    }

    /// The Lease does not exist any more. Who held it may not know for a while.
    pub fn deleted(&mut self, now: Instant, lease: &L) {
        if let Some(said) = self.said.get_mut(lease) {
            said.until.get_or_insert(now + self.lease_duration);
        }
    }

    /// What nobody holds by any more is forgotten. Returns the addresses that were in it.
    pub fn expire(&mut self, now: Instant) -> BTreeSet<IpAddr> {
        let over = |said: &Said| said.until.is_some_and(|until| until <= now);
        let over: Vec<L> =
            self.said.iter().filter(|(_, said)| over(said)).map(|(lease, _)| lease.clone()).collect();
        over.iter().filter_map(|lease| self.forget(lease)).flat_map(|said| said.addresses).collect()
    }

    /// When [`Self::expire`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.said.values().filter_map(|said| said.until).min()
    }

    /// The holders of other Leases than `lease` that say the address is theirs; what `me` says in another one counts for nothing.
    pub fn rivals<'a>(
        &'a self,
        lease: &'a L,
        address: IpAddr,
        me: &'a str,
    ) -> impl Iterator<Item = (&'a L, &'a str)> + 'a {
        let others = self.claimants.get(&address).into_iter().flatten().filter(move |other| *other != lease);
        let holders = others.filter_map(|other| Some((other, self.said.get(other)?.holder.as_str())));
        holders.filter(move |(_, holder)| *holder != me)
    }

    fn forget(&mut self, lease: &L) -> Option<Said> {
        let said = self.said.remove(lease)?;
        for address in &said.addresses {
            if let Some(claimants) = self.claimants.get_mut(address) {
                claimants.remove(lease);
                if claimants.is_empty() {
                    self.claimants.remove(address);
                }
            }
        }
        Some(said)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn rivals(
        claims: &Claims<&'static str>,
        lease: &'static str,
        address: IpAddr,
    ) -> Vec<(&'static str, String)> {
        claims.rivals(&lease, address, "me").map(|(lease, holder)| (*lease, holder.to_owned())).collect()
    }

    #[test]
    fn who_says_an_address_is_theirs_in_another_lease_is_a_rival_until_it_says_so_no_more() {
        let mut claims = Claims::new(Duration::from_secs(5));
        let changed = [
            claims.see(&"x", Some("b"), [ip(1), ip(2)].into()),
            claims.see(&"x", Some("b"), [ip(1), ip(2)].into()),
            claims.see(&"y", Some("me"), [ip(1)].into()),
        ];
        assert_eq!(changed, [[ip(1), ip(2)].into(), [].into(), [ip(1)].into()]);
        assert_eq!(rivals(&claims, "y", ip(1)), [("x", "b".to_owned())]);
        assert_eq!((rivals(&claims, "x", ip(1)), rivals(&claims, "y", ip(3))), (vec![], vec![]));
        assert_eq!(claims.see(&"x", Some("b"), [ip(2)].into()), [ip(1), ip(2)].into());
        assert_eq!(rivals(&claims, "y", ip(1)), []);
        assert_eq!(claims.see(&"x", None, [ip(2)].into()), [ip(2)].into());
        assert_eq!(rivals(&claims, "y", ip(2)), []);
    }

    #[test]
    fn whoever_held_a_deleted_lease_is_a_rival_until_it_must_have_noticed() {
        let now = Instant::now();
        let mut claims = Claims::new(Duration::from_secs(5));
        let _ = claims.see(&"x", Some("b"), [ip(1)].into());
        claims.deleted(now, &"x");
        claims.deleted(now + Duration::from_secs(1), &"x");
        let end = now + Duration::from_secs(5);
        assert_eq!(
            (claims.deadline(), claims.expire(end - Duration::from_millis(1))),
            (Some(end), [].into())
        );
        assert_eq!(rivals(&claims, "y", ip(1)), [("x", "b".to_owned())]);
        assert_eq!(claims.expire(end), [ip(1)].into());
        assert_eq!((rivals(&claims, "y", ip(1)), claims.deadline()), (vec![], None));
    }
}
