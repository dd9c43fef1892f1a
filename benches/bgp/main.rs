//! Measures what the BGP speaker promises, beside BIRD, FRR and GoBGP in the same run.
//!
//! ```text
//! cargo bench --bench bgp                         everything, about three minutes; needs root, bird2, frr and gobgpd
//! cargo bench --bench bgp -- routes start         some of it
//! ```
//! Exit code 1: a requirement is missed. 101: something could not be measured.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what cannot be measured ends the benchmark, and dropping its namespaces ends everything in them"
)]
#![allow(dead_code, reason = "the tests use more of what is shared with them")]

mod announcer;
mod counter;
mod failover;
mod flows;
mod page;
mod routes;
mod start;

#[path = "../../tests/bgp/daemon.rs"]
mod daemon;
#[path = "../../tests/bgp/net.rs"]
mod net;
#[path = "../../tests/bgp/plan.rs"]
mod plan;
#[path = "../../tests/bgp/route.rs"]
mod route;
#[path = "../../tests/bgp/router/mod.rs"]
mod router;
#[path = "../../tests/bgp/setup.rs"]
mod setup;
#[path = "../../tests/bgp/speaker.rs"]
mod speaker;
#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../tests/bgp/wait.rs"]
mod wait;

use std::process::ExitCode;

use page::Row;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [announce, rest @ ..] = words.as_slice()
        && announce == announcer::WORD
    {
        announcer::run(rest);
    }
    let parts: [(&str, fn() -> Vec<Row>); 3] =
        [("routes", routes::measure), ("start", start::measure), ("failover", failover::measure)];
    let mut rows = Vec::new();
    for (name, measure) in parts {
        if words.is_empty() || words.iter().any(|word| word == name) {
            eprintln!("measuring: {name}");
            rows.extend(measure());
        }
    }
    println!("{}", page::table(&rows));
    if rows.iter().all(Row::is_kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
