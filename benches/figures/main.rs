//! Measures every figure that vipcast promises, and prints it beside what is required and what kube-vip does.
//!
//! ```text
//! cargo bench --bench figures                     everything, about ten minutes; needs root
//! cargo bench --bench figures -- handover idle    some of it
//! cargo bench --bench figures -- --json FILE --markdown FILE
//! cargo bench --profile dev --bench figures -- --daemon FILE
//! ```
//! The last one measures another release binary, without building the benchmark itself for release.
//! Exit code 1: a requirement is missed. 2: something could not be measured.

mod api;
mod audit;
mod figure;
mod page;
mod parts;
mod process;
mod rig;

#[path = "../../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use vipcast::demo::lab::interrupt::Interrupt;

use figure::Figure;
use parts::Part;

/// Measure what vipcast promises
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; everything where nothing is named
    parts: Vec<Part>,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the figures as a page of documentation
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The program to measure, instead of the one built with this benchmark
    #[arg(long, value_name = "FILE")]
    daemon: Option<PathBuf>,
    /// For how long the idle daemons are watched; watches are renewed within five minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    idle: u64,
    /// How many graceful hand-overs are performed
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// How many seeds are simulated
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// What cargo tells every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// What every part needs to know.
#[derive(Debug)]
struct Plan {
    daemon: PathBuf,
    idle: Duration,
    runs: usize,
    seeds: u64,
    interrupt: Interrupt,
}

fn main() -> ExitCode {
    match measure(Arguments::parse()) {
        Ok(figures) if figures.iter().all(Figure::is_kept) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("figures: {error:#}");
            ExitCode::from(NOT_MEASURED)
        }
    }
}

fn measure(arguments: Arguments) -> anyhow::Result<Vec<Figure>> {
    let plan = Plan {
        daemon: daemon(arguments.daemon)?,
        idle: Duration::from_secs(arguments.idle),
        runs: arguments.runs,
        seeds: arguments.seeds,
        interrupt: Interrupt::on_signals()?,
    };
    let parts = if arguments.parts.is_empty() { Part::ALL.into() } else { arguments.parts };
    let mut figures = Vec::new();
    for part in parts {
        eprintln!("measuring: {}", part.title());
        let measured = part.measure(&plan)?;
        measured.iter().for_each(|figure| eprintln!("    {figure}"));
        figures.extend(measured);
    }
    println!("{}", page::table(&figures, page::KUBE_VIP));
    if let Some(file) = arguments.json {
        fs::write(file, serde_json::to_string_pretty(&figures)?)?;
    }
    if let Some(file) = arguments.markdown {
        fs::write(file, page::page(&figures))?;
    }
    Ok(figures)
}

/// What an unoptimised program costs says nothing.
fn daemon(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    match named {
        Some(daemon) => Ok(daemon),
        None if cfg!(debug_assertions) => {
            anyhow::bail!("not built for release: name a program with --daemon")
        }
        None => Ok(env!("CARGO_BIN_EXE_vipcast").into()),
    }
}

const NOT_MEASURED: u8 = 2;
