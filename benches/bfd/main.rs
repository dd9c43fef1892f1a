//! Measures what hundreds of BFD sessions cost, and whether they stay up while the machine is busy.
//!
//! ```text
//! cargo bench --bench bfd                        500 sessions at 300 ms for ten minutes; needs root
//! cargo bench --bench bfd -- --seconds 30 --sessions 1000 --interval 100
//! ```
//! Exit code 1: a requirement is missed.

#![allow(clippy::unwrap_used, reason = "a benchmark ends by panicking")]
#![allow(dead_code, reason = "the test of the same has a short form")]

#[path = "../../tests/bfd/many.rs"]
mod many;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use many::{Outcome, Plan, measure};

/// Measure hundreds of BFD sessions
#[derive(Debug, Parser)]
struct Arguments {
    /// For how long
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// How many sessions
    #[arg(long, default_value_t = 500)]
    sessions: u16,
    /// Their interval, in milliseconds
    #[arg(long, default_value_t = 300)]
    interval: u64,
    /// Their multiplier
    #[arg(long, default_value_t = 3)]
    multiplier: u8,
    /// How many threads burn time beside them
    #[arg(long, default_value_t = 1)]
    burners: usize,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // What priority the threads were given is in the log.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let plan = Plan {
        sessions: arguments.sessions,
        interval: Duration::from_millis(arguments.interval),
        detect_mult: arguments.multiplier,
        span: Duration::from_secs(arguments.seconds),
        burners: arguments.burners,
    };
    let outcome = measure(plan);
    print(plan, &outcome);
    if outcome.cpu_percent <= MOST_CPU_PERCENT && outcome.false_downs == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print(plan: Plan, outcome: &Outcome) {
    let counted = &outcome.counted;
    println!("{} sessions, {:?} x {}, {:?}", plan.sessions, plan.interval, plan.detect_mult, plan.span);
    println!("CPU of one core            {:8.2} %   (at most {MOST_CPU_PERCENT} %)", outcome.cpu_percent);
    println!("false downs, both sides    {:8}     (none)", outcome.false_downs);
    println!("packets sent a second      {:8.0}", outcome.packets_per_second);
    println!("all up after               {:8.3} s", outcome.all_up_after.as_secs_f64());
    for (name, late) in [
        ("lateness p50, at most", counted.lateness_quantile(0.5)),
        ("lateness p99, at most", counted.lateness_quantile(0.99)),
        ("lateness, worst", counted.lateness_max),
    ] {
        println!("{name:26} {:8.3} ms", late.as_secs_f64() * 1e3);
    }
    println!("stalls of our own          {:8}", counted.stalls);
    println!("send failures              {:8}", counted.send_failures);
    println!("packets rejected           {:8}", counted.rejected.iter().sum::<u64>());
}

const MOST_CPU_PERCENT: f64 = 5.0;
