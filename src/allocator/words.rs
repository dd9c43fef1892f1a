//! What operators read on a Service: each thing once, until it is another one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vipcast_proto::ipam::{Assignment, Decision, Refusal, Refused, ServiceKey, ServiceView, Stray, Usage};

use crate::kube::events::{About, Notice, Reason};
use crate::witness::Witness;

/// Tells of Services, and remembers what it told.
#[derive(Debug)]
pub(super) struct Words {
    witness: Witness,
    /// What each Service was last refused.
    refused: BTreeMap<ServiceKey, BTreeSet<String>>,
}

impl Words {
    pub(super) fn new(witness: Witness) -> Self {
        Self { witness, refused: BTreeMap::new() }
    }

    /// What a Service does not get.
    pub(super) fn refused(&mut self, view: &ServiceView, decision: &Decision) {
        let now: BTreeSet<_> = decision.missing().map(gist).collect();
        let before = self.refused.remove(&view.key).unwrap_or_default();
        for refused in decision.missing().filter(|refused| !before.contains(&gist(refused))) {
            let reason = match full(&refused.why) {
                Some(_) => Reason::PoolExhausted,
                None => Reason::RequestRefused,
            };
            self.tell(view, reason, &refused.asked.to_string(), refused.to_string());
        }
        if !now.is_empty() {
            self.refused.insert(view.key.clone(), now);
        }
    }

    /// What a Service has now, where it had something else.
    pub(super) fn assigned(&self, view: &ServiceView, assigned: &[Assignment]) {
        if assigned.is_empty() {
            return;
        }
        let one = |it: &Assignment| match &it.pool {
            Some(pool) => format!("{} from pool {pool}", it.address),
            None => it.address.to_string(),
        };
        let note = assigned.iter().map(one).collect::<Vec<_>>().join(", ");
        // Of an Event that is written, only the count can change: other addresses are another one.
        self.tell(view, Reason::AddressAssigned, &note.clone(), note);
    }

    /// What a Service had, and why it has it no more.
    pub(super) fn withdrawn(&self, view: &ServiceView, lost: &[(IpAddr, Refusal)]) {
        for (address, why) in lost {
            self.tell(view, Reason::AddressWithdrawn, &address.to_string(), format!("{address}: {why}"));
        }
    }

    /// An address that is in its pool no more.
    pub(super) fn retained(&self, view: &ServiceView, stray: &Stray) {
        let pool = stray.pool.as_deref().unwrap_or_default();
        let note = format!(
            "{} is not in pool {pool} any more; the Service keeps it, and pool {pool} gives it to no other",
            stray.address
        );
        self.tell(view, Reason::AddressRetained, &stray.address.to_string(), note);
    }

    /// Somebody else writes its status again and again.
    pub(super) fn overwritten(&self, view: &ServiceView) {
        let writer = view.status_writer.as_deref().unwrap_or("another controller");
        let writer: String = writer.chars().take(MAX_WRITER).collect();
        let note =
            format!("{writer} overwrites the status that vipcast writes, again and again: {LET_ONE_SERVE}");
        self.tell(view, Reason::StatusOverwritten, &writer, note);
    }

    pub(super) fn forget(&mut self, key: &ServiceKey) {
        self.refused.remove(key);
    }

    fn tell(&self, view: &ServiceView, reason: Reason, of: &str, note: String) {
        let about = About::Service {
            namespace: view.key.namespace.to_string(),
            name: view.key.name.to_string(),
            uid: view.uid.clone(),
        };
        // A Service that is created again has a story of its own.
        let subject = format!("{} {} {of}", view.key, view.uid);
        self.witness.notice(Notice { reason, about, subject, note });
    }
}

/// A refusal without its numbers: that they change is no news.
fn gist(refused: &Refused) -> String {
    match full(&refused.why) {
        Some(usages) => {
            let pools = usages.iter().map(|Usage { pool, family, .. }| format!("{pool} {family}"));
            format!("{}: {}", refused.asked, pools.collect::<Vec<_>>().join(", "))
        }
        None => refused.to_string(),
    }
}

/// The pools that have nothing left, where that is why.
fn full(why: &Refusal) -> Option<&[Usage]> {
    match why {
        Refusal::Exhausted(usages) => Some(usages),
        Refusal::Unusable(_)
        | Refusal::Forbidden(_)
        | Refusal::NoClusterIp
        | Refusal::UnknownPool(_)
        | Refusal::NotInPool(_)
        | Refusal::OutsidePools
        | Refusal::Taken { .. }
        | Refusal::TakenByForeign(_)
        | Refusal::NoPool
        | Refusal::OtherFamily => None,
    }
}

/// What to do where two serve one Service.
pub(super) const LET_ONE_SERVE: &str = "let one of them serve it, by its loadBalancerClass or with the annotation kube-vip.io/ignore=true, which leaves it to the other";
/// An Event has no room for more.
const MAX_WRITER: usize = 64;
