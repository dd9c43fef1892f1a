//! The allocator against a real kube-apiserver: pools from ConfigMaps and MetalLB's objects in, addresses in the status of
//! Services out.

#![allow(clippy::indexing_slicing, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "allocator/bed.rs"]
mod bed;
#[path = "allocator/cases.rs"]
mod cases;
#[path = "allocator/feed.rs"]
mod feed;
mod support;

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

use self::support::real_api::{Launch, RealApi, User};
use self::support::{Needs, Test, trial};

fn main() -> ExitCode {
    let case = |(name, case): (&'static str, cases::Case)| -> Test {
        trial(name, &[Needs::RealApi], move || {
            let mut real = REAL.lock().unwrap_or_else(PoisonError::into_inner);
            let api = real.get_or_insert_with(start).as_ref().expect("the real API server starts");
            let runtime = Runtime::new().expect("threads can be started");
            let limited = async { tokio::time::timeout(CASE_LIMIT, case(api)).await };
            runtime.block_on(limited).expect("the case ends in time");
        })
    };
    // They share the one list of Services.
    let code = support::run_one_by_one(cases::all().into_iter().map(case).collect());
    // A static is not dropped at the end.
    drop(REAL.lock().unwrap_or_else(PoisonError::into_inner).take());
    code
}

fn start() -> Result<RealApi, String> {
    let users = vec![User { name: "allocator".to_owned(), groups: Vec::new() }];
    RealApi::start(Launch { users, ..Launch::default() }).map_err(|error| error.to_string())
}

static REAL: Mutex<Option<Result<RealApi, String>>> = Mutex::new(None);
const CASE_LIMIT: Duration = Duration::from_secs(90);
