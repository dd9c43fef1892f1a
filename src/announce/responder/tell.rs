//! What an operator gets to know: one line for a batch of addresses, never one for each.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};
use vipcast_proto::l2::announcer::Finding;
use vipcast_proto::l2::responder::{Responder, Turnover};

use crate::admin::metrics::Check;
use crate::admin::responder_metrics::InterfaceCounts;
use crate::announce::report::Stations;
use crate::change::Told;
use crate::clock;
use crate::kube::events::Reason;
use crate::net;
use crate::witness::Witness;

/// Tells the witnesses of one interface.
#[derive(Debug)]
pub(super) struct Teller {
    interface: Arc<str>,
    witness: Witness,
    pub(super) counts: InterfaceCounts,
    /// Who claims what this node holds.
    claimants: Stations,
    /// Who has what this node was about to take.
    owners: Stations,
    told: Turnover,
    tell_at: Option<Instant>,
    trouble: Told<String>,
    kernel_answers: Told<()>,
}

impl Teller {
    pub(super) fn new(interface: Arc<str>, witness: Witness) -> Self {
        let counts = witness.metrics.responder(&interface);
        Self {
            interface,
            witness,
            counts,
            claimants: Stations::default(),
            owners: Stations::default(),
            told: Turnover::default(),
            tell_at: None,
            trouble: Told::default(),
            kernel_answers: Told::default(),
        }
    }

    /// When to call [`Self::batch`] again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.tell_at
    }

    /// Tells what has come and gone, a moment after the first of it. `some` is one of the addresses.
    pub(super) fn batch(&mut self, now: Instant, responder: &Responder, some: Option<IpAddr>) {
        let turnover = responder.turnover();
        if turnover == self.told {
            return;
        }
        let tell_at = *self.tell_at.get_or_insert(now + TOGETHER);
        if now < tell_at {
            return;
        }
        let (interface, held) = (&*self.interface, responder.tally().held);
        let taken = turnover.taken - self.told.taken;
        let let_go = turnover.let_go - self.told.let_go;
        if let_go > 0 {
            info!(interface, count = let_go, held, "Service addresses let go");
        }
        if taken > 0 {
            info!(interface, count = taken, held, "Service addresses announced");
            self.beside_the_kernel(some);
        }
        (self.told, self.tell_at) = (turnover, None);
    }

    pub(super) fn found(&mut self, finding: Finding) {
        match finding {
            Finding::Free(_) => self.counts.wire_checked(Check::Free),
            Finding::Taken { vip, by } => {
                self.counts.wire_checked(Check::Taken);
                if self.owners.is_news(vip, by, clock::now()) {
                    warn!(%vip, mac = %by, interface = &*self.interface, "another station has the address, not taking it");
                    self.witness.event(
                        Reason::VipConflict,
                        vip,
                        format!("{by} answers for {vip}: not taking it"),
                    );
                }
            }
            Finding::Conflict { vip, by, defended } => {
                self.counts.conflicts.inc();
                if self.claimants.is_news(vip, by, clock::now()) {
                    warn!(%vip, mac = %by, interface = &*self.interface, defended, "another station claims our address");
                    let note = format!("{by} claims {vip}, which this node answers for");
                    self.witness.event(Reason::VipConflict, vip, note);
                }
            }
        }
    }

    /// The interface cannot be used; said once for each reason.
    pub(super) fn broken(&mut self, error: &(dyn std::error::Error + 'static)) {
        if self.trouble.is_news(error.to_string()) {
            warn!(interface = &*self.interface, error, "interface cannot be used");
        }
    }

    /// A frame was malformed.
    pub(super) fn rejected(&self) {
        self.witness.metrics.frame_rejected();
    }

    /// The interface works (again).
    pub(super) fn works(&mut self) {
        self.trouble.is_over();
    }

    /// kube-proxy in IPVS mode gives Service addresses to a dummy interface of every node; without strictARP each
    /// kernel answers for all of them.
    fn beside_the_kernel(&mut self, some: Option<IpAddr>) {
        let Some(IpAddr::V4(vip)) = some else { return };
        if !kernel_answers(&self.interface, vip) {
            self.kernel_answers.is_over();
        } else if self.kernel_answers.is_news(()) {
            let advice = "set strictARP in kube-proxy, or net.ipv4.conf.all.arp_ignore=1";
            warn!(%vip, interface = &*self.interface, advice, "kernel answers ARP for Service addresses");
        }
    }
}

/// Whether the kernel has the address and answers for it on an interface that lacks it.
fn kernel_answers(interface: &str, vip: Ipv4Addr) -> bool {
    let ignores = |name: &str| {
        let set = std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/arp_ignore"));
        set.is_ok_and(|set| set.trim() != "0")
    };
    net::is_ours(vip.into()) && !ignores("all") && !ignores(interface)
}

/// Changes within it are one line.
const TOGETHER: Duration = Duration::from_millis(500);
