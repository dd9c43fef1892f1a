//! What metrics say of Services: counted from time to time, for nobody scrapes more often.

use std::sync::Arc;
use std::time::Duration;

use vipcast_proto::placement::Liveness;

use super::Services;
use super::answers::{is_waiting, silence};
use crate::admin::service_metrics::{AddressCounts, ServiceCounts, ServiceFigures};
use crate::change::publish;
use crate::clock;
use crate::memory;
use crate::placement::{LEASE, Mode, PlacementReport, Role};

impl Services {
    /// Counts, and says when to count again.
    pub(super) fn count(&mut self) {
        self.count_at = clock::now() + PACE;
        publish(&self.wires.figures, Arc::new(self.figures()));
        if std::mem::take(&mut self.littered) {
            memory::give_back();
            self.unmap_at.get_or_insert_with(|| clock::now() + UNMAP);
        }
        if self.unmap_at.is_some_and(|at| at <= clock::now()) {
            self.unmap_at = None;
            let _what_runs_is_mapped_again = memory::forget_code();
        }
    }

    pub(super) fn figures(&self) -> ServiceFigures {
        let sources = &self.wires.sources;
        let placed = sources.placed.borrow();
        let allocated = sources.allocated.borrow();
        let spread = placed.mode == Mode::Spread.word();
        let unserved = placed.unserved;
        let rest = placed.wanted.saturating_sub(placed.held + unserved);
        let if_it_is = |whose: Rest| if whose == whose_rest(&placed) { rest } else { 0 };
        ServiceFigures {
            services: self.counts(),
            addresses: AddressCounts {
                held: placed.held,
                elsewhere: if_it_is(Rest::Others),
                unknown: if_it_is(Rest::Unknown),
                nowhere: self.spots.len().saturating_sub(placed.wanted) + unserved + if_it_is(Rest::Nobody),
            },
            members: spread
                .then(|| placed.members.iter().filter(|member| member.liveness == Liveness::Alive).count()),
            allocator: sources.allocator.is_some().then_some(allocated.is_us),
            pools: sources.described(&allocated.pools),
        }
    }

    pub(super) fn counts(&self) -> ServiceCounts {
        let mut counts = ServiceCounts::default();
        for service in self.catalog.services().filter(|service| service.ownership.is_ours()) {
            if is_waiting(service) {
                counts.waiting += 1;
            } else {
                counts.assigned += 1;
            }
        }
        counts
    }
}

/// Who announces what this node does not.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Rest {
    Others,
    /// Whoever holds the Lease of all announces all that is announced.
    Nobody,
    Unknown,
}

/// What others announce is not known while no Lease can be read, of what nobody is seen to hold, and where nodes do not tell each
/// other.
fn whose_rest(placed: &PlacementReport) -> Rest {
    let unheld = placed.role == Role::Standby && placed.holder.is_none();
    if silence(placed.role).is_some() || unheld || placed.mode == Mode::EveryNode.word() {
        Rest::Unknown
    } else if placed.mode == LEASE && placed.role == Role::Member {
        Rest::Nobody
    } else {
        Rest::Others
    }
}

const PACE: Duration = Duration::from_secs(5);
/// Code is unmapped so long after something happened: not again and again.
const UNMAP: Duration = Duration::from_secs(30);
