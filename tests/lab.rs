//! The real program in network namespaces: what others on the LAN, their kernels and a dissector see of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "the kernel's attributes are others' enums")]

#[path = "lab/address.rs"]
mod address;
#[path = "lab/announcements.rs"]
mod announcements;
#[path = "lab/bed.rs"]
mod bed;
#[path = "lab/bootstrap.rs"]
mod bootstrap;
#[path = "lab/cable.rs"]
mod cable;
#[path = "lab/census.rs"]
mod census;
#[path = "lab/freeze.rs"]
mod freeze;
#[path = "lab/hand_over.rs"]
mod hand_over;
#[path = "lab/kernel.rs"]
mod kernel;
#[path = "lab/kubernetes.rs"]
mod kubernetes;
#[path = "lab/lease_per_service.rs"]
mod lease_per_service;
#[path = "lab/neighbours.rs"]
mod neighbours;
#[path = "lab/objects.rs"]
mod objects;
#[path = "lab/outage.rs"]
mod outage;
#[path = "lab/panel.rs"]
mod panel;
#[path = "lab/process.rs"]
mod process;
#[path = "lab/rivals.rs"]
mod rivals;
#[path = "lab/service_changes.rs"]
mod service_changes;
#[path = "lab/service_faults.rs"]
mod service_faults;
#[path = "lab/services.rs"]
mod services;
#[path = "lab/squatter.rs"]
mod squatter;
mod support;
#[path = "lab/wire.rs"]
mod wire;

use std::process::ExitCode;

use support::{Needs, Test};

fn main() -> ExitCode {
    let groups = [
        announcements::all(),
        outage::all(),
        bootstrap::all(),
        hand_over::all(),
        squatter::all(),
        freeze::all(),
        cable::all(),
        rivals::all(),
        address::all(),
        neighbours::all(),
        process::all(),
        services::all(),
        service_changes::all(),
        service_faults::all(),
        lease_per_service::all(),
    ];
    support::run_at_most(AT_A_TIME, groups.into_iter().flatten().collect::<Vec<Test>>())
}

/// Namespaces need root.
const LAN: &[Needs] = &[Needs::Root];
/// To see frames as others do.
const WIRE: &[Needs] = &[Needs::Root, Needs::Program("dumpcap"), Needs::Program("tshark")];
/// A real kube-apiserver inside a namespace.
const REAL: &[Needs] = &[Needs::Root, Needs::RealApi, Needs::Program("nsenter")];
/// They measure: more would wait for each other.
const AT_A_TIME: usize = 2;
