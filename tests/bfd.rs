//! BFD sessions with BIRD and FRR, and with one another, in network namespaces that each test makes for itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "bfd/bed.rs"]
mod bed;
#[path = "bfd/crafted.rs"]
mod crafted;
#[path = "bfd/interop.rs"]
mod interop;
#[path = "bfd/many.rs"]
mod many;
#[path = "bfd/router.rs"]
mod router;
mod support;
#[path = "bfd/wire.rs"]
mod wire;

use std::process::ExitCode;

use support::{Needs, Test, trial};

fn main() -> ExitCode {
    let short = trial("hundreds_of_sessions_stay_up_on_a_busy_machine", &[Needs::Root], many::short);
    let groups: [Vec<Test>; 4] = [interop::all(), crafted::all(), wire::all(), vec![short]];
    support::run_at_most(AT_A_TIME, groups.into_iter().flatten().collect())
}

/// They measure: more would wait for each other.
const AT_A_TIME: usize = 2;
