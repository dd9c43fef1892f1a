//! The real program in a real kubeadm cluster: its life from the first minute, with a client that probes throughout.
//!
//! One file for each group of scenarios. The scenarios of a group share a cluster (see [`shared::Shared`]): making one takes
//! minutes. A scenario leaves the cluster as it found it, or fails, and then the next one gets a new cluster.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(dead_code, reason = "scenarios come and go, and the bed offers what they need")]

#[path = "cluster/api.rs"]
mod api;
#[path = "cluster/bed.rs"]
mod bed;
#[path = "cluster/bootstrap.rs"]
mod bootstrap;
#[path = "cluster/command.rs"]
mod command;
#[path = "cluster/daemonset.rs"]
mod daemonset;
#[path = "cluster/examples.rs"]
mod examples;
#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/https.rs"]
mod https;
#[path = "cluster/image.rs"]
mod image;
#[path = "cluster/probes.rs"]
mod probes;
#[path = "cluster/processes.rs"]
mod processes;
#[path = "cluster/quorum.rs"]
mod quorum;
#[path = "cluster/random.rs"]
mod random;
#[path = "cluster/rival.rs"]
mod rival;
#[path = "cluster/rivals.rs"]
mod rivals;
#[path = "cluster/routed.rs"]
mod routed;
#[path = "cluster/routed_services.rs"]
mod routed_services;
#[path = "cluster/routers.rs"]
mod routers;
#[path = "cluster/services.rs"]
mod services;
#[path = "cluster/shared.rs"]
mod shared;
#[path = "cluster/span.rs"]
mod span;
mod support;
#[path = "cluster/teardown.rs"]
mod teardown;
#[path = "cluster/upkeep.rs"]
mod upkeep;
#[path = "cluster/web.rs"]
mod web;
#[path = "cluster/wire.rs"]
mod wire;

use std::process::ExitCode;

use bed::Bed;
use shared::Shared;
use support::{Needs, Test};

fn main() -> ExitCode {
    let cluster = Shared::new(|| Bed::up(3, &["--lease", "5/3/1"]));
    let groups = [
        bootstrap::all(),
        routed::all(),
        services::all(),
        examples::all(),
        faults::all(&cluster),
        upkeep::all(&cluster),
        daemonset::all(&cluster),
        rivals::all(&cluster),
        random::all(&cluster),
    ];
    support::run_one_by_one(groups.into_iter().flatten().collect::<Vec<Test>>())
}

/// What `tools/cluster` needs.
const CLUSTER: &[Needs] = &[Needs::Cluster];
