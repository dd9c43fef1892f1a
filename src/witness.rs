//! Where the drivers tell what happened: the status board, the metrics, and Kubernetes Events.

use std::fmt::Display;

use crate::admin::board::StatusBoard;
use crate::admin::metrics::Metrics;
use crate::kube::events::{Events, Notice, Reason};

/// Everybody who wants to know. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Witness {
    /// What is.
    pub board: StatusBoard,
    /// How often it happened.
    pub metrics: Metrics,
    /// What `kubectl` shows.
    pub events: Events,
}

impl Witness {
    /// Writes a Kubernetes Event about a VIP or a peer, and counts it where it had to be dropped.
    pub fn event(&self, reason: Reason, subject: impl Display, note: impl Into<String>) {
        if !self.events.tell(reason, subject, note) {
            self.metrics.event_dropped();
        }
    }

    /// The same about any object.
    pub fn notice(&self, notice: Notice) {
        if !self.events.post(notice) {
            self.metrics.event_dropped();
        }
    }
}

/// The name of the election of who gives Services their addresses, in status and metrics.
pub const ALLOCATOR: &str = "allocator";

/// The name of the control plane's election in status and metrics.
pub const CONTROL_PLANE: &str = "control-plane";
/// The name of the election of all Services.
pub const SERVICES: &str = "services";

#[cfg(test)]
impl Witness {
    /// One that tests can read, and whose Events nobody reads.
    pub(crate) fn for_tests() -> (Self, crate::admin::board::StatusReader) {
        let (board, status) = StatusBoard::new("0.1.0", "n1");
        let metrics = Metrics::new("0.1.0", None, status.clone());
        let (events, _) = Events::channel();
        (Self { board, metrics, events }, status)
    }
}
