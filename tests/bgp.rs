//! The real program before real routers: BIRD, FRR, GoBGP and ExaBGP, the same cases for each.
//!
//! `VIPCAST_BGP_STAND_IN=1` has BIRD play the daemon's part: what fails then is wrong with the laboratory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(dead_code, reason = "the benchmark uses more of what is shared with it")]

#[path = "bgp/bed.rs"]
mod bed;
#[path = "bgp/cases/mod.rs"]
mod cases;
#[path = "bgp/daemon.rs"]
mod daemon;
#[path = "bgp/malformed/mod.rs"]
mod malformed;
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

use std::collections::BTreeMap;
use std::process::ExitCode;

use cases::Case;
use router::Brand;
use support::{Needs, Test, trial};

fn main() -> ExitCode {
    let cases = cases::all();
    let tests = cases.iter().flat_map(|case| {
        let able = Brand::ALL.into_iter().filter(|brand| case.obstacle(*brand).is_none());
        able.map(|brand| test(case, brand))
    });
    let code = support::run_at_most(AT_A_TIME, tests.chain(malformed::tests()).collect::<Vec<Test>>());
    println!("\nNot in the table, because the router cannot:\n{}", gaps(&cases));
    code
}

/// Nothing is left out in silence: one line for each reason.
fn gaps(cases: &[Case]) -> String {
    let mut reasons = BTreeMap::<(Brand, &str), Vec<&str>>::new();
    for case in cases {
        for brand in Brand::ALL {
            if let Some(why) = case.obstacle(brand) {
                reasons.entry((brand, why)).or_default().push(case.name);
            }
        }
    }
    let line = |((brand, why), names): (&(Brand, &str), &Vec<&str>)| {
        format!("  {brand}: {why}: {}\n", names.join(", "))
    };
    reasons.iter().map(line).collect()
}

fn test(case: &Case, brand: Brand) -> Test {
    let body = case.body;
    let needs =
        [&[Needs::Root, Needs::Program("ip"), Needs::Program("nft"), brand.needs()], case.needs].concat();
    trial(format!("{}::{brand}", case.name), &needs, move || body(brand))
}

/// They wait for timers more than they compute.
const AT_A_TIME: usize = 8;
