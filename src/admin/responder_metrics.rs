//! What is counted of Service addresses, by interface: never by address, of which there are thousands.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use vipcast_proto::l2::responder::Tally;

use super::metrics::Check;

/// Counters of all interfaces. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ResponderCounts {
    addresses: Family<StateLabels, Gauge>,
    frames: Family<FrameLabels, Counter>,
    lost: Family<LostLabels, Counter>,
    checks: Family<CheckLabels, Counter>,
    conflicts: Family<InterfaceLabels, Counter>,
}

/// The counters of one interface.
#[derive(Clone, Debug)]
pub struct InterfaceCounts {
    interface: String,
    all: ResponderCounts,
    /// Claims of an address that is held here, by another station.
    pub conflicts: Counter,
    /// Probes that left.
    pub probes: Counter,
    /// Frames of announcements that left.
    pub announcements: Counter,
    /// Answers that left.
    pub answers: Counter,
    /// Frames that came too late to be of use: the process or the machine stood still.
    pub stale: Counter,
    /// Frames that did not leave: no room, or no link.
    pub unsent: Counter,
}

impl ResponderCounts {
    pub(super) fn registered(to: &mut Registry) -> Self {
        let all = Self::default();
        to.register("responder_addresses", "Service addresses by where they stand", all.addresses.clone());
        to.register("service_frames", "Frames sent for Service addresses", all.frames.clone());
        to.register(
            "service_frames_lost",
            "Frames about Service addresses that did not leave, or were read too late",
            all.lost.clone(),
        );
        to.register(
            "service_wire_checks",
            "Times the wire was asked before a Service address was taken",
            all.checks.clone(),
        );
        to.register(
            "service_address_conflicts",
            "Claims of a Service address by another station",
            all.conflicts.clone(),
        );
        all
    }

    /// Those of one interface, which appear at zero.
    #[must_use]
    pub fn interface(&self, interface: &str) -> InterfaceCounts {
        let owned = || interface.to_owned();
        let frame = |kind| self.frames.get_or_create(&FrameLabels { interface: owned(), kind }).clone();
        let lost = |reason| self.lost.get_or_create(&LostLabels { interface: owned(), reason }).clone();
        for result in [FREE, TAKEN] {
            drop(self.checks.get_or_create(&CheckLabels { interface: owned(), result }));
        }
        let counts = InterfaceCounts {
            interface: owned(),
            all: self.clone(),
            conflicts: self.conflicts.get_or_create(&InterfaceLabels { interface: owned() }).clone(),
            probes: frame("probe"),
            announcements: frame("announcement"),
            answers: frame("answer"),
            stale: lost("stale"),
            unsent: lost("unsent"),
        };
        counts.tally(Tally::default());
        counts
    }
}

impl InterfaceCounts {
    /// Where the addresses stand now.
    pub fn tally(&self, tally: Tally) {
        let Tally { waiting, checking, blocked, held } = tally;
        for (state, count) in
            [("waiting", waiting), ("checking", checking), ("blocked", blocked), ("held", held)]
        {
            let labels = StateLabels { interface: self.interface.clone(), state };
            self.all.addresses.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// The wire was asked for an address.
    pub fn wire_checked(&self, check: Check) {
        let result = match check {
            Check::Free => FREE,
            Check::Taken => TAKEN,
        };
        self.all.checks.get_or_create(&CheckLabels { interface: self.interface.clone(), result }).inc();
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct InterfaceLabels {
    interface: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StateLabels {
    interface: String,
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct FrameLabels {
    interface: String,
    kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct LostLabels {
    interface: String,
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CheckLabels {
    interface: String,
    result: &'static str,
}

const FREE: &str = "free";
const TAKEN: &str = "taken";
