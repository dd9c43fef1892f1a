//! Where the drivers tell what happened: the status board, the metrics, and Kubernetes Events.

use crate::admin::board::StatusBoard;
use crate::admin::metrics::Metrics;
use crate::kube::events::Events;

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

/// The name of the control plane's election in status and metrics.
pub const CONTROL_PLANE: &str = "control-plane";
