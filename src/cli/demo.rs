//! `vipcast demo`: isolates itself, builds the LAN, performs the events, reports.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use crate::clock;
use crate::demo::api;
use crate::demo::cluster::{Cluster, Settings};
use crate::demo::isolate::{self, WORK_PLACE};
use crate::demo::lab::error::LabError;
use crate::demo::lab::interrupt::Interrupt;
use crate::demo::lab::lan::Host;
use crate::demo::outcome::Outcome;
use crate::demo::report::Report;
use crate::demo::scenario::{self, Pace};

/// Show what happens to a virtual IP on a LAN of real daemons: no cluster, no root and no other program needed
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {
    /// How many nodes the LAN has
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=80))]
    pub nodes: u8,
    /// Print the report as JSON; progress goes to standard error
    #[arg(long)]
    pub json: bool,
    /// Leave the LAN up when the events are over, until Ctrl-C, and print how to enter it
    #[arg(long)]
    pub keep: bool,
    /// Freeze the API server for 8 seconds instead of 15
    #[arg(long)]
    pub quick: bool,
    /// This process is the isolated copy
    #[arg(long, hide = true)]
    pub isolated: bool,
}

/// The embedded Kubernetes API by itself.
#[derive(Debug, Clone, clap::Args)]
pub struct ApiArgs {
    /// Where to serve plain HTTP
    #[arg(long, default_value = "127.0.0.1:6443")]
    pub listen: SocketAddr,
}

/// Serves the embedded Kubernetes API until it is killed.
#[must_use]
pub fn api(args: &ApiArgs) -> ExitCode {
    let served = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(api::run(args.listen)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vipcast demo-api: cannot serve on {}: {error}", args.listen);
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo. Success means that every promise held. Not to be called from within a runtime.
#[must_use]
pub fn run(args: &DemoArgs) -> ExitCode {
    let code = if args.isolated { inside(args) } else { outside() };
    code.unwrap_or_else(|error| {
        eprintln!("vipcast demo: {error:#}");
        ExitCode::FAILURE
    })
}

/// The same command line once more, in namespaces of its own.
fn outside() -> anyhow::Result<ExitCode> {
    let arguments = std::env::args_os().skip(1).chain([OsString::from("--isolated")]);
    let status = isolate::run_isolated(arguments.collect())?;
    Ok(isolate::exit_code(status).into())
}

fn inside(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    isolate::settle_in()?;
    let interrupt = Interrupt::on_signals()?;
    let mut progress = Progress { begun: clock::now(), to_stderr: args.json };
    let settings = Settings { place: WORK_PLACE.into(), services: true, ..Settings::own(args.nodes.into()) };
    progress.say(&format!("building a LAN of {} nodes, an API server, a client and an observer", args.nodes));
    let mut cluster = Cluster::start(settings, interrupt)?;
    let outcomes = match scenario::perform(&mut cluster, args.pace(), &mut |line| progress.say(line)) {
        Err(LabError::Interrupted) => return Ok(ExitCode::from(INTERRUPTED)),
        other => other?,
    };
    report(args, &cluster, &outcomes)
}

fn report(args: &DemoArgs, cluster: &Cluster, outcomes: &[Outcome]) -> anyhow::Result<ExitCode> {
    let report = Report::new(args.nodes.into(), outcomes);
    if !report.kept {
        print_logs(cluster);
    }
    if args.json {
        println!("{}", report.json()?);
    } else {
        println!("{}", report.table());
    }
    if args.keep {
        print_entrances(cluster);
        cluster.keep();
    }
    Ok(if report.kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl DemoArgs {
    const fn pace(&self) -> Pace {
        if self.quick { Pace::Quick } else { Pace::Thorough }
    }
}

/// One line for each step, with the seconds since the beginning.
#[derive(Debug)]
struct Progress {
    begun: Instant,
    to_stderr: bool,
}

impl Progress {
    fn say(&mut self, line: &str) {
        let seconds = (clock::now() - self.begun).as_secs_f32();
        if self.to_stderr {
            eprintln!("{seconds:5.1} s  {line}");
        } else {
            println!("{seconds:5.1} s  {line}");
        }
    }
}

fn print_logs(cluster: &Cluster) {
    for (name, lines) in cluster.last_lines(LOG_LINES) {
        eprintln!("--- the last lines of {name}");
        for line in lines {
            eprintln!("{line}");
        }
    }
}

/// To standard error, so that `--json --keep` still prints one JSON document.
fn print_entrances(cluster: &Cluster) {
    let lan = cluster.lan();
    eprintln!("The LAN stays up until Ctrl-C. To enter it:");
    for host in lan.nodes.iter().chain([&lan.api, &lan.client, &lan.observer]) {
        eprintln!("  {:9} {}", host.name, entrance(host));
    }
    eprintln!("Logs, sockets and the kubeconfig are in {} there.", cluster.directory().display());
}

/// Namespaces have no names here: this process holds them open.
fn entrance(host: &Host) -> String {
    let (process, number) = (std::process::id(), host.namespace.number());
    let user = if isolate::is_rootless() { "-U --preserve-credentials " } else { "" };
    format!("nsenter -t {process} {user}-m --net=/proc/{process}/fd/{number}")
}

const LOG_LINES: usize = 20;
/// What a shell reports for a program that SIGINT ended.
const INTERRUPTED: u8 = 130;
