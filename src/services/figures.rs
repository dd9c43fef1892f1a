//! What metrics say of Services: counted from time to time, for nobody scrapes more often.

use std::sync::Arc;
use std::time::Duration;

use vipcast_proto::placement::Liveness;

use super::Services;
use crate::admin::service_metrics::{AddressCounts, ServiceCounts, ServiceFigures};
use crate::change::publish;
use crate::clock;
use crate::memory;
use crate::placement::Mode;

impl Services {
    /// Counts, and says when to count again.
    pub(super) fn count(&mut self) {
        self.count_at = clock::now() + PACE;
        publish(&self.wires.figures, Arc::new(self.figures()));
        if std::mem::take(&mut self.littered) {
            memory::give_back();
        }
    }

    fn figures(&self) -> ServiceFigures {
        let sources = &self.wires.sources;
        let placed = sources.placed.borrow();
        let allocated = sources.allocated.borrow();
        let spread = placed.mode == Mode::Spread.word();
        ServiceFigures {
            services: self.services(),
            addresses: AddressCounts {
                held: placed.held,
                elsewhere: placed.wanted.saturating_sub(placed.held),
                nowhere: self.spots.len().saturating_sub(placed.wanted),
            },
            members: spread
                .then(|| placed.members.iter().filter(|member| member.liveness == Liveness::Alive).count()),
            allocator: sources.allocator.is_some().then_some(allocated.is_us),
            pools: sources.described(&allocated.pools),
        }
    }

    fn services(&self) -> ServiceCounts {
        let mut counts = ServiceCounts::default();
        for service in self.catalog.services().filter(|service| service.ownership.is_ours()) {
            if service.view.ingress.is_empty() {
                counts.waiting += 1;
            } else {
                counts.assigned += 1;
            }
        }
        counts
    }
}

const PACE: Duration = Duration::from_secs(5);
