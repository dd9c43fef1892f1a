//! What the allocator knows: every Service, the pools, what is forbidden, and while it leads, who has which address.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use vipcast_proto::ipam::{
    self, Changes, Decision, Forbidden, Ipam, PoolReport, ServiceKey, ServiceView, Standing, Stray,
};

use super::Feed;
use super::shown::{Patch, Shown};
use crate::kube::pools::Pools;

/// Every node has one: it follows the feed whether it leads or not.
#[derive(Debug)]
pub(super) struct Desk {
    settings: ipam::Settings,
    views: BTreeMap<ServiceKey, Arc<ServiceView>>,
    /// Whether there has been a complete snapshot.
    loaded: bool,
    forbidden: Option<Forbidden>,
    pools: Pools,
    /// Who has which address; only while this node leads and everything is known.
    ipam: Option<Ipam>,
    /// What we wrote, until the feed shows it.
    written: BTreeMap<ServiceKey, Shown>,
    /// Since when, in that order; of some that the feed has shown, too.
    unconfirmed: VecDeque<(Instant, ServiceKey)>,
    /// Services that are no LoadBalancers any more, or gone: their UIDs, until our annotation is.
    left: BTreeMap<ServiceKey, String>,
}

impl Desk {
    pub(super) fn new(settings: ipam::Settings, pools: Pools) -> Self {
        Self {
            settings,
            views: BTreeMap::new(),
            loaded: false,
            forbidden: None,
            pools,
            ipam: None,
            written: BTreeMap::new(),
            unconfirmed: VecDeque::new(),
            left: BTreeMap::new(),
        }
    }

    /// Takes news in; says which Services may have to be written to.
    pub(super) fn feed(&mut self, feed: Feed) -> Changes {
        match feed {
            Feed::Loaded(views) => self.load(views),
            Feed::Upsert(view) => self.upsert(view),
            Feed::Removed(key) => self.remove(&key, Whereabouts::Unknown),
            Feed::Deleted(key) => self.remove(&key, Whereabouts::Gone),
            Feed::Forbidden(forbidden) => {
                self.forbidden = Some(forbidden.clone());
                self.ipam.as_mut().map_or_else(Changes::new, |ipam| ipam.set_forbidden(forbidden))
            }
        }
    }

    /// Other pools. Beside the changes: the addresses that are in their pools no more, and were before.
    pub(super) fn set_pools(&mut self, pools: Pools) -> (Changes, Vec<Stray>) {
        self.pools = pools;
        let Some(ipam) = &mut self.ipam else { return (Changes::new(), vec![]) };
        let before = ipam.strays();
        let changes = ipam.set_pools(self.pools.pools.clone());
        let is_new = |stray: &Stray| stray.pool.is_some() && !before.contains(stray);
        (changes, ipam.strays().into_iter().filter(is_new).collect())
    }

    /// Whether there is enough to decide anything; `pools` may be waited for in vain.
    pub(super) fn is_complete(&self) -> bool {
        self.loaded && self.forbidden.is_some()
    }

    pub(super) fn has_all_pools(&self) -> bool {
        self.pools.complete
    }

    pub(super) fn leads(&self) -> bool {
        self.ipam.is_some()
    }

    /// From now on this node decides; every Service may have to be written to.
    pub(super) fn lead(&mut self) -> Changes {
        self.ipam = Some(self.fresh());
        self.views.keys().cloned().collect()
    }

    /// Somebody else decides from now on.
    pub(super) fn follow(&mut self) {
        self.ipam = None;
        self.written.clear();
        self.unconfirmed.clear();
        self.left.clear();
    }

    /// What has to be written to a Service; `None`: nothing.
    pub(super) fn draft(&self, key: &ServiceKey) -> Option<Patch> {
        let ipam = self.ipam.as_ref()?;
        let Some(view) = self.views.get(key) else {
            return self.left.get(key).map(|uid| Patch::forgetting(uid));
        };
        let now = self.written.get(key).cloned().unwrap_or_else(|| Shown::on(view));
        let wanted = match view.standing {
            Standing::Ours => Shown::of(ipam.assignments(key).cloned().collect()),
            Standing::Foreign if now.record.is_empty() => return None,
            Standing::Foreign => now.without_ours(),
        };
        wanted.patch(&now, view)
    }

    /// Whether the status of a Service was as it should be when it was `before`, and is not any more although nothing else was
    /// decided: somebody else wrote over it. For whoever leads `lately`, what our annotation says is a decision of the leader before.
    pub(super) fn is_overwritten(&self, before: &ServiceView, lately: bool) -> bool {
        let (Some(ipam), Some(now)) = (&self.ipam, self.views.get(&before.key)) else { return false };
        let same = now.uid == before.uid && now.ports == before.ports;
        let ours = [before.standing, now.standing] == [Standing::Ours; 2];
        let wanted = Shown::of(ipam.assignments(&before.key).cloned().collect());
        let differs = |shown: Shown, view: &ServiceView| {
            shown.patch(&Shown::on(view), view).is_some_and(|patch| patch.status.is_some())
        };
        same && ours
            && !differs(wanted.clone(), before)
            && differs(wanted, now)
            && (!lately || differs(Shown::of(now.record.clone()), now))
    }

    /// `patch` has been applied to a Service, and the feed will show it.
    pub(super) fn wrote(&mut self, now: Instant, key: &ServiceKey, patch: &Patch) {
        let Some(view) = self.views.get(key).filter(|view| view.uid == patch.uid) else {
            self.left.remove(key);
            return;
        };
        self.written.entry(key.clone()).or_insert_with(|| Shown::on(view)).apply(patch, view);
        self.unconfirmed.push_back((now, key.clone()));
    }

    /// When the feed should have shown what was written.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.unconfirmed.front().map(|(since, _)| *since + CONFIRMED)
    }

    /// What the feed should have shown by now and has not: it was overwritten before anybody saw it. From now on the feed counts.
    pub(super) fn doubt(&mut self, now: Instant) -> Changes {
        let mut doubtful = Changes::new();
        while let Some((_, key)) = self.unconfirmed.pop_front_if(|(since, _)| *since + CONFIRMED <= now) {
            if self.written.remove(&key).is_some() {
                doubtful.insert(key);
            }
        }
        doubtful
    }

    /// There is no such Service any more, whatever the feed says.
    pub(super) fn is_gone(&mut self, key: &ServiceKey) {
        self.left.remove(key);
    }

    pub(super) fn view(&self, key: &ServiceKey) -> Option<&Arc<ServiceView>> {
        self.views.get(key)
    }

    /// The allocator in force.
    pub(super) fn ipam(&self) -> Option<&Ipam> {
        self.ipam.as_ref()
    }

    /// What is decided about a Service; where another node leads, what this one would decide from what the cluster has.
    pub(super) fn decision(&self, key: &ServiceKey) -> Option<Decision> {
        match &self.ipam {
            Some(ipam) => ipam.decision(key),
            None => self.fresh().decision(key),
        }
    }

    /// How full the pools are, and which addresses are in none, whoever leads.
    pub(super) fn usage(&self) -> (Vec<PoolReport>, Vec<Stray>) {
        match &self.ipam {
            Some(ipam) => (ipam.reports(), ipam.strays()),
            None => {
                let ipam = self.fresh();
                (ipam.reports(), ipam.strays())
            }
        }
    }

    pub(super) fn pools(&self) -> &Pools {
        &self.pools
    }

    fn fresh(&self) -> Ipam {
        let forbidden = self.forbidden.clone().unwrap_or_default();
        decide(self.settings, self.views.values(), self.pools.pools.clone(), forbidden)
    }

    fn load(&mut self, views: Vec<Arc<ServiceView>>) -> Changes {
        let views: BTreeMap<_, _> = views.into_iter().map(|view| (view.key.clone(), view)).collect();
        let before = std::mem::replace(&mut self.views, views);
        self.loaded = true;
        for (key, view) in before {
            if !self.views.contains_key(&key) {
                self.leave(&key, &view);
            } else if self.views.get(&key) != Some(&view) {
                self.written.remove(&key);
            }
        }
        self.left.retain(|key, _| !self.views.contains_key(key));
        let Some(ipam) = &mut self.ipam else { return Changes::new() };
        let mut changes = ipam.load(self.views.values().filter_map(taken));
        changes.extend(self.views.keys().cloned());
        changes.extend(self.left.keys().cloned());
        changes
    }

    fn upsert(&mut self, view: Arc<ServiceView>) -> Changes {
        let key = view.key.clone();
        if self.views.get(&key).is_some_and(|known| *known == view) {
            return Changes::new();
        }
        self.written.remove(&key);
        self.left.remove(&key);
        self.views.insert(key.clone(), Arc::clone(&view));
        let Some(ipam) = &mut self.ipam else { return Changes::new() };
        let mut changes = match taken(&view) {
            Some(view) => ipam.upsert(view),
            None => ipam.remove(&key),
        };
        changes.insert(key);
        changes
    }

    fn remove(&mut self, key: &ServiceKey, whereabouts: Whereabouts) -> Changes {
        let view = self.views.remove(key);
        if let Some(view) = view.filter(|_| whereabouts == Whereabouts::Unknown) {
            self.leave(key, &view);
        }
        self.written.remove(key);
        let Some(ipam) = &mut self.ipam else { return Changes::new() };
        let mut changes = ipam.remove(key);
        changes.insert(key.clone());
        changes
    }

    /// Whether it was deleted is not known: if it was not, our annotation is still there. The status is not: the API
    /// server clears it with the type.
    fn leave(&mut self, key: &ServiceKey, view: &ServiceView) {
        let marked = self.written.remove(key).map_or(!view.record.is_empty(), |it| !it.record.is_empty());
        if marked && self.ipam.is_some() {
            self.left.insert(key.clone(), view.uid.clone());
        }
    }
}

/// A watch shows a write after some milliseconds.
const CONFIRMED: Duration = Duration::from_secs(5);

/// Where a Service is that the feed has no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Whereabouts {
    Gone,
    Unknown,
}

/// Who has which address, as an allocator decides that starts now from what the cluster has.
pub(super) fn decide<'a>(
    settings: ipam::Settings,
    views: impl IntoIterator<Item = &'a Arc<ServiceView>>,
    pools: Vec<ipam::Pool>,
    forbidden: Forbidden,
) -> Ipam {
    let mut ipam = Ipam::new(settings, pools, forbidden);
    ipam.load(views.into_iter().filter_map(taken));
    ipam
}

/// A Service as it matters to others: one that is ours no more keeps nobody from the addresses that we are about to
/// take from it. `None`: it does not matter.
fn taken(view: &Arc<ServiceView>) -> Option<Arc<ServiceView>> {
    match view.standing {
        Standing::Ours => Some(Arc::clone(view)),
        Standing::Foreign if view.record.is_empty() => Some(Arc::clone(view)),
        Standing::Foreign => {
            let left = Shown::on(view).without_ours();
            let rest = ServiceView { ingress: left.ingress, record: vec![], ..ServiceView::clone(view) };
            (!rest.ingress.is_empty()).then(|| Arc::new(rest))
        }
    }
}
