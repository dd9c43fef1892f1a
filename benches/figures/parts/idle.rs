//! Daemons to which nothing happens: what they cost their node and the API server.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tempfile::TempDir;
use vipcast::clock;
use vipcast::demo::cluster::VIP;
use vipcast::demo::lab::lan::{Host, Lan};
use vipcast::demo::lab::process::Process;
use vipcast::demo::promise::RETRY_PERIOD;

use crate::Plan;
use crate::api::{ApiServer, GATE};
use crate::audit::{Audit, Requests};
use crate::figure::Figure;
use crate::process;
use crate::rig::NODES;

/// No client and no observer here: who asks for the VIP fifty times a second wakes everybody on the LAN.
pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Figure>> {
    let lan = Lan::build(NODES)?;
    let folder = TempDir::with_prefix("vipcast-figures-")?;
    let audit = Audit::prepare(folder.path())?;
    let kubeconfig = folder.path().join("kubeconfig");
    let _api = ApiServer::start(&lan, &kubeconfig, audit.arguments())?;
    let daemons = lan.nodes.iter().map(|node| start(plan, node, folder.path()));
    let daemons = daemons.collect::<anyhow::Result<Vec<_>>>()?;
    let holder = plan.interrupt.wait("anybody holds the VIP", PATIENCE, || {
        let holds = |node: &Host| node.addresses().is_ok_and(|addresses| addresses.contains(&VIP));
        Ok(lan.nodes.iter().position(holds))
    })?;
    plan.interrupt.sleep_until(clock::now() + SETTLING)?;
    let costs = watch(plan, &lan, &daemons, &audit)?;
    judge(holder, &costs)
}

/// What one daemon cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    memory: process::Memory,
    percent: f64,
    wakeups: f64,
    requests: Requests,
    span: Duration,
}

fn watch(plan: &Plan, lan: &Lan, daemons: &[Process], audit: &Audit) -> anyhow::Result<Vec<Cost>> {
    let position = audit.position()?;
    let before = daemons.iter().map(Sample::take).collect::<anyhow::Result<Vec<_>>>()?;
    plan.interrupt.sleep_until(clock::now() + plan.idle)?;
    let after = daemons.iter().map(Sample::take).collect::<anyhow::Result<Vec<_>>>()?;
    let samples = before.iter().zip(&after);
    let costs = daemons.iter().zip(&lan.nodes).zip(samples).map(|((daemon, node), (before, after))| {
        let span = after.at - before.at;
        let cost = Cost {
            memory: process::memory(daemon.pid())?,
            percent: (after.ran - before.ran).as_secs_f64() / span.as_secs_f64() * 100.0,
            wakeups: (after.wakeups - before.wakeups) as f64 / span.as_secs_f64(),
            requests: audit.since(position, node.v4)?,
            span,
        };
        eprintln!("    {}: {cost:?}", node.name);
        Ok(cost)
    });
    costs.collect()
}

struct Sample {
    at: Instant,
    ran: Duration,
    wakeups: u64,
}

impl Sample {
    fn take(daemon: &Process) -> anyhow::Result<Self> {
        let pid = daemon.pid();
        Ok(Self { at: clock::now(), ran: process::processor_time(pid)?, wakeups: process::wakeups(pid)? })
    }
}

fn judge(holder: usize, costs: &[Cost]) -> anyhow::Result<Vec<Figure>> {
    let held = costs.get(holder).context("the holder has no process")?;
    let standbys = || costs.iter().enumerate().filter(|(node, _)| *node != holder).map(|(_, cost)| cost);
    let most = |of: fn(&Cost) -> f64| standbys().map(of).fold(0.0, f64::max);
    let per_minute = |count: usize, span: Duration| count as f64 / span.as_secs_f64() * 60.0;
    let periods = held.span.as_secs_f64() / RETRY_PERIOD.as_secs_f64();
    let writes: usize = standbys().map(|cost| cost.requests.writes).sum();
    let holding = |what: &str, value, unit| Figure::new(HOLDING, what, value, unit);
    let standing_by = |what: &str, value, unit| Figure::new(STANDING_BY, what, value, unit);
    // One that begins and one that ends at the edges of the watch are counted both.
    let edge = 1.0 / periods;
    Ok(vec![
        holding("resident memory", megabytes(held.memory.resident), "MB").at_most(10.0).kube_vip("45 MiB"),
        holding("of that its own", megabytes(held.memory.anonymous), "MB"),
        holding("processor", held.percent, "% of a core").at_most(0.1).kube_vip("0.23 %"),
        holding("wake-ups", held.wakeups, "a second"),
        holding("API writes", held.requests.writes as f64 / periods, "a retry period")
            .at_most(1.0 + edge)
            .kube_vip("1.1 a second"),
        holding("API reads", per_minute(held.requests.reads, held.span), "a minute").kube_vip("1.3 a second"),
        holding("/readyz of the local API server", per_minute(held.requests.probes, held.span), "a minute"),
        standing_by("API writes, all", writes as f64, "").at_most(0.0),
        standing_by(
            &format!("API reads, most, in {} s", held.span.as_secs()),
            most(|cost| cost.requests.reads as f64 / cost.span.as_secs_f64() * 60.0),
            "a minute",
        )
        .at_most(1.0)
        .kube_vip("1.3 a second"),
        standing_by("resident memory, most", most(|cost| megabytes(cost.memory.resident)), "MB"),
        standing_by("processor, most", most(|cost| cost.percent), "% of a core"),
    ])
}

/// Decimal, as the requirement is; `/proc` counts in KiB.
fn megabytes(kibibytes: u64) -> f64 {
    kibibytes as f64 * 1024.0 / 1e6
}

/// With what a manifest says, the address of the server that the gate looks at, and the defaults for the rest.
fn start(plan: &Plan, node: &Host, folder: &Path) -> anyhow::Result<Process> {
    let file = |name: String| folder.join(name);
    let log = file(format!("{}.log", node.name));
    fs::write(&log, "")?;
    let mut command = node.namespace.command(&plan.daemon)?;
    command.arg("run").env_clear();
    command.envs([("vip_arp", "true"), ("cp_enable", "true"), ("address", &VIP.to_string())]);
    command.envs([("vip_leaseduration", "5"), ("vip_renewdeadline", "3"), ("vip_retryperiod", "1")]);
    command.envs(GATE).env("vip_nodename", &node.name);
    command.env("k8s_config_file", file("kubeconfig".to_owned()));
    command.env("vipcast_admin_socket", file(format!("{}.sock", node.name)));
    Ok(Process::spawn(&node.name, command, &log)?)
}

const HOLDING: &str = "idle daemon, holding";
const STANDING_BY: &str = "idle daemon, standing by";
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than the beginnings of watches and the second burst of announcements.
const SETTLING: Duration = Duration::from_secs(15);
