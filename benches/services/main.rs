//! Measures what vipcast promises of Services, and prints it beside what is required and what kube-vip and MetalLB do.
//!
//! ```text
//! cargo bench --bench services                    everything, about fifty minutes; needs root, kube-apiserver
//! cargo bench --bench services -- churn           some of it
//! cargo bench --bench services -- --quick         fewer times and shorter, about ten minutes
//! cargo bench --bench services -- --json FILE --markdown FILE
//! cargo bench --bench services -- churn --json FILE
//! cargo bench --bench services -- --from FILE --from FILE --markdown FILE     a page of what was measured before
//! cargo bench --profile dev --bench services -- --daemon FILE
//! ```
//! The last one measures another release binary, without building the benchmark itself for release.
//! Exit code 1: a requirement is missed. 101: something could not be measured.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what cannot be measured ends the benchmark, and dropping its namespaces ends everything in them"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "the kernel's attributes are others' enums")]
#![allow(dead_code, reason = "the tests use more of what is shared with them")]

mod collector;
mod parts;
mod rig;
mod stream;

#[path = "../figures/audit.rs"]
mod audit;
#[path = "../../tests/lab/bed.rs"]
mod bed;
#[path = "../../tests/lab/census.rs"]
mod census;
#[path = "../bgp/counter.rs"]
mod counter;
#[path = "../figures/figure.rs"]
mod figure;
#[path = "../../tests/lab/kernel.rs"]
mod kernel;
#[path = "../../tests/lab/kubernetes.rs"]
mod kubernetes;
#[path = "../../tests/lab/objects.rs"]
mod objects;
#[path = "../figures/page.rs"]
mod page;
#[path = "../../tests/lab/panel.rs"]
mod panel;
#[path = "../figures/process.rs"]
mod process;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use figure::Figure;
use parts::Part;

/// Measure what vipcast promises of Services
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; everything where neither a part nor a file is named
    parts: Vec<Part>,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the figures as a page of documentation
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Figures of other parts, as `--json` has written them
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
    /// The program to measure, instead of the one built with this benchmark
    #[arg(long, value_name = "FILE")]
    daemon: Option<PathBuf>,
    /// Do everything fewer times, and for a shorter time
    #[arg(long)]
    quick: bool,
    /// What "ten thousand" is, to try out the benchmark itself
    #[arg(long, default_value_t = 10_000)]
    crowd: usize,
    /// What cargo tells every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// What every part needs to know.
#[derive(Debug)]
struct Plan {
    daemon: PathBuf,
    /// How many Services are many.
    crowd: usize,
    /// How often a Service is created alone.
    single: usize,
    /// How often an event is repeated.
    runs: usize,
    /// How often all Services are replaced.
    generations: usize,
    /// For how long idle daemons are watched.
    idle: Duration,
    /// For how long Services come and go.
    churn: Duration,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plan = plan(&arguments);
    let mut figures: Vec<Figure> = arguments.from.iter().flat_map(earlier).collect();
    let all = arguments.parts.is_empty() && figures.is_empty();
    let parts = if all { Part::ALL.into() } else { arguments.parts };
    for part in parts {
        eprintln!("measuring: {}", part.title());
        let measured = part.measure(&plan);
        measured.iter().for_each(|figure| eprintln!("    {figure} [{}]", figure.others));
        figures.extend(measured);
    }
    println!("{}", page::table(&figures, OTHERS));
    if let Some(file) = arguments.json {
        fs::write(file, serde_json::to_string_pretty(&figures).unwrap()).unwrap();
    }
    if let Some(file) = arguments.markdown {
        fs::write(file, markdown(&figures)).unwrap();
    }
    if figures.iter().all(Figure::is_kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn plan(arguments: &Arguments) -> Plan {
    let seconds = |usual, quick| Duration::from_secs(if arguments.quick { quick } else { usual });
    let times = |usual, quick| if arguments.quick { quick } else { usual };
    Plan {
        daemon: daemon(arguments.daemon.clone()),
        crowd: arguments.crowd,
        single: times(200, 50),
        runs: times(10, 3),
        generations: times(10, 2),
        idle: seconds(120, 20),
        churn: seconds(600, 60),
    }
}

fn earlier(file: &PathBuf) -> Vec<Figure> {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// What an unoptimised program costs says nothing.
fn daemon(named: Option<PathBuf>) -> PathBuf {
    assert!(
        named.is_some() || cfg!(not(debug_assertions)),
        "not built for release: name a program with --daemon"
    );
    named.unwrap_or_else(|| bed::VIPCAST.into())
}

/// `docs/services-figures.md`.
fn markdown(figures: &[Figure]) -> String {
    format!(
        "# Figures of Services\n\n\
         Generated by `cargo bench --bench services` (as root): part by part, each with `-- PART --json FILE`, \
         then `-- --from FILE ... --markdown docs/services-figures.md`; do not edit.\n\n\
         Measured on {}, which also ran everything else: nodes in network namespaces on one LAN with the release binary in \
         each, a real kube-apiserver {} with its etcd, reached over TLS, and a station that hears every ARP frame. Unless something \
         else is said there are three nodes, and `services.distribution` is `spread`. Lease timing: duration 5 s, renewal deadline \
         3 s, retry period 1 s. Each Service has one port and an EndpointSlice with two ready endpoints. *Announced* is an address \
         at its first gratuitous ARP; that it is answered for, by one node, is asked afterwards. In a *round*, 50 a second, the \
         whole LAN is asked for each address.\n\n\
         The last column is kube-vip 1.2.3 (with one Lease, or with a Lease per Service) and MetalLB 0.16.1 in a laboratory of the \
         same kind, MetalLB with a single address.\n\n{}\n",
        page::machine(),
        page::KUBERNETES,
        page::table(figures, OTHERS),
    )
}

const OTHERS: &str = "others";
