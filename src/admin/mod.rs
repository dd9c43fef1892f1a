//! What operators see: metrics, health endpoints and the JSON API on a Unix socket.
//!
//! The parts of the daemon write what they know to one [`board::StatusBoard`]; status, readiness and
//! every gauge are computed from it when somebody asks, so they cannot contradict each other.

pub mod bgp_metrics;
pub mod board;
pub mod client;
pub mod exposition;
pub mod gauges;
pub mod listen;
pub mod metrics;
pub mod peers;
pub mod process;
mod readiness;
pub mod responder_metrics;
pub mod routers;
pub mod server;
pub mod service_metrics;
pub mod services;
pub mod socket;
pub mod status;
pub mod timestamp;

/// Where the daemon listens for `vipcast status`.
pub const DEFAULT_SOCKET: &str = "/run/vipcast/vipcast.sock";

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
