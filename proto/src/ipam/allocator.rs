//! The allocator as a function of events: whose addresses change.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::entry::{Class, Entry, Rank};
use super::forbidden::Forbidden;
use super::pool::Pool;
use super::service::{Assignment, Port, ServiceKey, ServiceView, Standing};
use super::space::Space;
use super::waiting::Waiting;

/// What is a matter of taste.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Which addresses a Service may ask for.
    pub requests: Requests,
    /// Whether Services without a sharing key that ask for one address by `kube-vip.io/loadbalancerIPs` or
    /// `spec.loadBalancerIP` may share it, as with kube-vip. MetalLB wants a sharing key from each.
    pub share_requested: bool,
}

impl Default for Settings {
    /// As kube-vip does: a cluster that moves from there keeps what it has.
    fn default() -> Self {
        Self { requests: Requests::Anywhere, share_requested: true }
    }
}

/// Which addresses a Service may ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Requests {
    /// Any that is not forbidden, as with kube-vip.
    Anywhere,
    /// Only those of a pool that serves it, as with MetalLB. What a Service has already it keeps.
    InPools,
}

/// The Services whose addresses an event changed, the one that it was about always among them.
pub type Changes = BTreeSet<ServiceKey>;

/// The addresses of all Services as a function of events.
#[derive(Clone, Debug)]
pub struct Ipam {
    pub(super) settings: Settings,
    pub(super) space: Space,
    pub(super) entries: BTreeMap<ServiceKey, Entry>,
    pub(super) waiting: Waiting,
    pub(super) work: u64,
}

impl Ipam {
    /// No Service yet. Of two pools with one id the first counts.
    #[must_use]
    pub fn new(settings: Settings, pools: Vec<Pool>, forbidden: Forbidden) -> Self {
        Self {
            settings,
            space: Space::new(pools, forbidden, settings.share_requested),
            entries: BTreeMap::new(),
            waiting: Waiting::default(),
            work: 0,
        }
    }

    /// These are all Services there are: at start, and after a watch was lost. Of two views of one Service the last counts.
    pub fn load(&mut self, views: impl IntoIterator<Item = Arc<ServiceView>>) -> Changes {
        let views: BTreeMap<_, _> = views.into_iter().map(|view| (view.key.clone(), view)).collect();
        let (pools, forbidden) = (self.space.catalog.pools().to_vec(), self.space.forbidden.clone());
        self.rebuild(Space::new(pools, forbidden, self.settings.share_requested), views)
    }

    /// A Service that is new, or not as it was. A view like the last one is no event.
    pub fn upsert(&mut self, view: Arc<ServiceView>) -> Changes {
        if self.entries.get(&view.key).is_some_and(|entry| entry.view == view) {
            return Changes::new();
        }
        let mut turn = Turn { about: Some(view.key.clone()), ..Turn::default() };
        let (had, footprints) = self.withdraw(&view.key, &mut turn);
        let memory = had.filter(|had| had.view.uid == view.uid).map_or_else(Vec::new, |had| memory(&had));
        let key = view.key.clone();
        self.admit(view, memory, Sight::New, &mut turn);
        for (address, footprint) in footprints {
            if self.footprint(&key, address) != Some(footprint) {
                turn.freed.insert(address);
            }
        }
        self.finish(turn)
    }

    /// A Service that is gone.
    pub fn remove(&mut self, key: &ServiceKey) -> Changes {
        let mut turn = Turn::default();
        let (_, footprints) = self.withdraw(key, &mut turn);
        turn.before.remove(key);
        turn.freed = footprints.into_iter().map(|(address, _)| address).collect();
        self.finish(turn)
    }

    /// All pools, whichever changed. Nothing that a Service has is taken away by it.
    pub fn set_pools(&mut self, pools: Vec<Pool>) -> Changes {
        let forbidden = self.space.forbidden.clone();
        self.replace(pools, forbidden)
    }

    /// All forbidden addresses, whichever changed. Who has one of them has to move.
    pub fn set_forbidden(&mut self, forbidden: Forbidden) -> Changes {
        if self.space.forbidden == forbidden {
            return Changes::new();
        }
        let pools = self.space.catalog.pools().to_vec();
        self.replace(pools, forbidden)
    }

    /// How many Services, runs and groups were looked at so far: what an event costs, without a clock.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.work
    }

    fn replace(&mut self, pools: Vec<Pool>, forbidden: Forbidden) -> Changes {
        let views = self.entries.iter().map(|(key, entry)| (key.clone(), entry.view.clone())).collect();
        self.rebuild(Space::new(pools, forbidden, self.settings.share_requested), views)
    }

    /// Everything anew, with what is remembered.
    fn rebuild(&mut self, empty: Space, views: BTreeMap<ServiceKey, Arc<ServiceView>>) -> Changes {
        self.space = empty;
        self.waiting = Waiting::default();
        let had = std::mem::take(&mut self.entries);
        let mut turn = Turn::default();
        turn.before.extend(had.iter().map(|(key, entry)| (key.clone(), entry.addresses().collect())));
        for view in in_order(views.into_values().collect()) {
            let same = had.get(&view.key).filter(|had| had.view.uid == view.uid);
            if same.is_none() {
                turn.before.remove(&view.key);
            }
            let sight = if had.get(&view.key).is_some_and(|had| had.view == view) {
                Sight::Known
            } else {
                Sight::New
            };
            self.admit(view, same.map_or_else(Vec::new, memory), sight, &mut turn);
        }
        self.finish(turn)
    }

    /// Takes a Service in: what it has it keeps where it may, and it is noted if it wants more.
    fn admit(&mut self, view: Arc<ServiceView>, memory: Vec<Assignment>, sight: Sight, turn: &mut Turn) {
        self.work += 1;
        let key = view.key.clone();
        let standing = view.standing;
        let entry = Entry::new(view);
        let rank = entry.rank.clone();
        self.entries.insert(key.clone(), entry);
        turn.settled.insert(key.clone());
        match standing {
            Standing::Ours => {
                self.keep(&key, memory, sight, turn);
                if self.entries.get(&key).is_some_and(|entry| !entry.is_served()) {
                    turn.dirty.insert(rank);
                }
            }
            Standing::Foreign => self.seize(&key, turn),
        }
    }

    /// Takes a Service out, and says what it was and how it had its addresses.
    fn withdraw(&mut self, key: &ServiceKey, turn: &mut Turn) -> (Option<Entry>, Vec<(IpAddr, Footprint)>) {
        let Some(entry) = self.entries.get(key) else { return (None, vec![]) };
        let here = entry.addresses().chain(seized(entry).iter().copied());
        let footprints: Vec<_> =
            here.filter_map(|address| Some((address, self.footprint(key, address)?))).collect();
        let Some(entry) = self.entries.remove(key) else { return (None, vec![]) };
        turn.note(&entry);
        self.waiting.clear(&entry.rank);
        for address in entry.addresses() {
            self.space.leave(address, &entry);
        }
        for &address in seized(&entry) {
            self.space.leave_foreign(address, key);
        }
        (Some(entry), footprints)
    }

    /// How a Service is at an address, as far as it matters to others; `None` where it is not.
    fn footprint(&self, key: &ServiceKey, address: IpAddr) -> Option<Footprint> {
        let entry = self.entries.get(key)?;
        let cell = self.space.cells.get(&address)?;
        if cell.foreign.contains(key) {
            return Some(Footprint::Foreign);
        }
        let open = *cell.ours.get(&entry.rank)?;
        Some(Footprint::Ours(Box::new((entry.class.clone(), entry.ports.clone(), open))))
    }

    fn finish(&mut self, mut turn: Turn) -> Changes {
        self.grant(&mut turn);
        let changed = |(key, before): (&ServiceKey, &Vec<IpAddr>)| {
            let now = self.entries.get(key)?;
            now.addresses().ne(before.iter().copied()).then(|| key.clone())
        };
        let mut changes: Changes = turn.before.iter().filter_map(changed).collect();
        changes.extend(turn.settled.into_iter().filter(|key| !turn.before.contains_key(key)));
        changes.extend(turn.about);
        changes
    }
}

/// One event while it is settled.
#[derive(Debug, Default)]
pub(super) struct Turn {
    about: Option<ServiceKey>,
    /// What those had who may have something else now.
    before: BTreeMap<ServiceKey, Vec<IpAddr>>,
    /// Who was taken in.
    settled: BTreeSet<ServiceKey>,
    /// Who wants something and should be tried.
    pub(super) dirty: BTreeSet<Rank>,
    /// Where somebody left, or made room.
    pub(super) freed: BTreeSet<IpAddr>,
}

impl Turn {
    /// To be called before the addresses of `entry` change.
    pub(super) fn note(&mut self, entry: &Entry) {
        if !self.settled.contains(&entry.view.key) && !self.before.contains_key(&entry.view.key) {
            self.before.insert(entry.view.key.clone(), entry.addresses().collect());
        }
    }
}

/// Whether a view says something that is not known yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sight {
    /// What its status and our annotation say counts, beside what is remembered.
    New,
    /// It was settled as it is: since then only what is remembered counts, which is being written.
    Known,
}

#[derive(Debug, Eq, PartialEq)]
enum Footprint {
    Foreign,
    Ours(Box<(Class, Vec<Port>, bool)>),
}

/// The addresses that a Service which is not ours has.
pub(super) fn seized(entry: &Entry) -> &[IpAddr] {
    match entry.view.standing {
        Standing::Ours => &[],
        Standing::Foreign => &entry.view.ingress,
    }
}

fn memory(entry: &Entry) -> Vec<Assignment> {
    entry.held().cloned().collect()
}

/// Those that are not ours first: ours have to see what is left. Then by age.
fn in_order(mut views: Vec<Arc<ServiceView>>) -> Vec<Arc<ServiceView>> {
    views.sort_by(|a, b| place(a).cmp(&place(b)));
    views
}

fn place(view: &ServiceView) -> (bool, i64, &ServiceKey) {
    (view.standing == Standing::Ours, view.created, &view.key)
}
