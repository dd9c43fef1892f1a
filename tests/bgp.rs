//! The real program before real routers: BIRD, FRR, GoBGP and ExaBGP, the same cases for each.
//!
//! `VIPCAST_BGP_STAND_IN=1` has BIRD play the daemon's part: what fails then is wrong with the laboratory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "the kernel's attributes are others' enums")]

#[path = "bgp/bed.rs"]
mod bed;
#[path = "bgp/cases/mod.rs"]
mod cases;
#[path = "bgp/daemon.rs"]
mod daemon;
#[path = "bgp/net.rs"]
mod net;
#[path = "bgp/plan.rs"]
mod plan;
#[path = "bgp/route.rs"]
mod route;
#[path = "bgp/router/mod.rs"]
mod router;
#[path = "bgp/setup.rs"]
mod setup;
#[path = "bgp/speaker.rs"]
mod speaker;
mod support;
#[path = "bgp/wait.rs"]
mod wait;

use std::process::ExitCode;

use cases::Case;
use router::Brand;
use support::{Needs, Test, trial};

fn main() -> ExitCode {
    let mut tests = Vec::new();
    let mut cannot = Vec::new();
    for case in cases::all() {
        for brand in Brand::ALL {
            match case.obstacle(brand) {
                None => tests.push(test(&case, brand)),
                Some(why) => cannot.push(format!("{}::{brand}: {why}", case.name)),
            }
        }
    }
    println!("not in the table, because the router cannot:\n  {}\n", cannot.join("\n  "));
    support::run_at_most(AT_A_TIME, tests)
}

fn test(case: &Case, brand: Brand) -> Test {
    let body = case.body;
    let needs =
        [&[Needs::Root, Needs::Program("ip"), Needs::Program("nft"), brand.needs()], case.needs].concat();
    trial(format!("{}::{brand}", case.name), &needs, move || body(brand))
}

/// They wait for timers more than they compute.
const AT_A_TIME: usize = 8;
