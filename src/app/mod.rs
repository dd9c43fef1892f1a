//! The only place that knows all parts: builds them, wires them, supervises them, and shuts down in order.

mod interfaces;
mod kubernetes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};
use vipcast_proto::advertiser::{Advertiser, Desired, Owner, Report};
use vipcast_proto::election::Elector;
use vipcast_proto::standing::Rivals;

use crate::admin::board::StatusBoard;
use crate::admin::listen;
use crate::admin::metrics::Metrics;
use crate::admin::server::Admin;
use crate::announce::layer2;
use crate::cli::version::{REVISION, VERSION};
use crate::config::{Config, ControlPlane, Layer2};
use crate::drain::Drain;
use crate::election::{self, Conditions, Inputs, Ruling, Vacancy};
use crate::task::Tasks;
use crate::witness::Witness;
use crate::{advertiser, clock, conditions};

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// In order: what was held is released.
    Orderly,
    /// A second signal came, or the order took too long. The kernel removes what is left.
    Forced,
    /// A task ended that must not.
    Broken,
}

/// Runs the daemon until it is told to stop.
pub async fn run(config: Config, control_plane: ControlPlane, drain: Drain) -> anyhow::Result<Ending> {
    let (Some(layer2), None) = (config.layer2.clone(), &config.bgp) else {
        anyhow::bail!("the BGP speaker is configured, and not wired into the daemon yet");
    };
    let (board, status) = StatusBoard::new(VERSION, &config.node_name);
    let metrics = Metrics::new(VERSION, REVISION, status.clone());
    let (heart, heartbeat) = watch::channel(clock::now());
    let admin = Admin { status, metrics: metrics.clone(), heartbeat };
    let mut tasks = Tasks::default();
    tasks.spawn("heartbeat", beat(heart));
    if let Some(listen) = config.admin.metrics {
        tasks.spawn("http", listen::serve_tcp(listen.socket_addr(), admin.clone().public()));
    }
    tasks.spawn("status socket", listen::serve_unix(config.admin.socket.clone(), admin.private()));
    let (events, connections) = kubernetes::start(&config, &control_plane, &board, &mut tasks);
    let witness = Witness { board: board.clone(), metrics, events };
    let ports = tokio::select! {
        ports = interfaces::find(&layer2, &control_plane.vips, &board) => ports,
        () = drain.started() => return Ok(Ending::Orderly),
    };
    let daemon = Daemon {
        config: &config,
        layer2: &layer2,
        control_plane: &control_plane,
        witness,
        connections,
        drain: drain.clone(),
    };
    let election = daemon.wire(ports, &mut tasks);
    supervise(tasks, election, &drain, &board, config.shutdown_wait).await
}

/// There is one thread: while this goes on, nothing blocks the others.
async fn beat(heart: watch::Sender<Instant>) -> Infallible {
    loop {
        heart.send_replace(clock::now());
        clock::pause(HEARTBEAT).await;
    }
}

struct Daemon<'a> {
    config: &'a Config,
    layer2: &'a Layer2,
    control_plane: &'a ControlPlane,
    witness: Witness,
    connections: kubernetes::Connections,
    drain: Drain,
}

/// The election, in a set of its own: its end is the end of an ordered shutdown.
type ElectionTask = Tasks;

impl Daemon<'_> {
    /// Starts everything that moves VIPs.
    fn wire(&self, ports: BTreeMap<String, interfaces::Vips>, tasks: &mut Tasks) -> ElectionTask {
        let (desired_out, desired) = watch::channel(Desired::default());
        let (report_out, reports) = mpsc::channel(REPORTS);
        let (ruling_out, rulings) = watch::channel(Ruling::unknown());
        let (vacancy_out, vacancy) = watch::channel(Vacancy::default());
        let mut core = Advertiser::new(ports.keys().cloned());
        core.claim(Owner::ControlPlane, self.control_plane.vips.iter().map(ipnet::IpNet::addr).collect());
        let wires = advertiser::Wires { rulings, reports, desired: desired_out, vacancy: vacancy_out };
        tasks.spawn("core", advertiser::run(core, wires));
        let interfaces = self.announcers(ports, &desired, &report_out, tasks);
        let conditions = self.conditions(interfaces, tasks);
        self.elect(conditions, ruling_out, vacancy, tasks)
    }

    fn announcers(
        &self,
        ports: BTreeMap<String, interfaces::Vips>,
        desired: &watch::Receiver<Desired>,
        reports: &mpsc::Sender<(String, Report)>,
        tasks: &mut Tasks,
    ) -> Vec<conditions::Interface> {
        let start = |(name, vips): (String, interfaces::Vips)| {
            let (refused, refusal) = watch::channel(false);
            let (desired, reports) = (desired.clone(), reports.clone());
            let wires = layer2::Wires { name: name.clone(), desired, reports, refused };
            let (driver, link) = interfaces::Driver::new(self.layer2, vips, wires, self.witness.clone());
            tasks.spawn(format!("announcer {name}"), driver.run());
            conditions::Interface { link, refused: refusal }
        };
        ports.into_iter().map(start).collect()
    }

    fn conditions(
        &self,
        interfaces: Vec<conditions::Interface>,
        tasks: &mut Tasks,
    ) -> watch::Receiver<Conditions> {
        let sources = conditions::Sources {
            health: kubernetes::health_gate(self.config, &self.connections, &self.witness, tasks),
            interfaces,
            nodes: kubernetes::nodes(&self.connections, tasks),
            node_name: self.config.node_name.clone(),
            drain: self.drain.clone(),
        };
        let nothing = Conditions {
            healthy: false,
            link_up: false,
            refused: false,
            rivals: Rivals::Unknown,
            stopping: false,
        };
        let (out, conditions) = watch::channel(nothing);
        tasks.spawn("conditions", conditions::run(sources, out));
        conditions
    }

    fn elect(
        &self,
        conditions: watch::Receiver<Conditions>,
        rulings: watch::Sender<Ruling>,
        vacancy: watch::Receiver<Vacancy>,
        tasks: &mut Tasks,
    ) -> ElectionTask {
        let identity = self.config.node_name.clone();
        let (store, lease) = kubernetes::lease(self.config, &self.connections, tasks);
        let inputs = Inputs::new(conditions, lease, vacancy);
        let timing = self.config.election.timing;
        let elector = Elector::new(identity.clone(), timing);
        let name = kubernetes::lease_name(self.config);
        let reporter = election::Reporter::new(&name, identity.clone(), self.witness.clone());
        let mut election = ElectionTask::default();
        election
            .spawn("election", election::run(elector, timing, identity, store, inputs, rulings, reporter));
        election
    }
}

/// Waits for the end: of the election after a signal, or of something that must not end.
async fn supervise(
    mut tasks: Tasks,
    mut election: ElectionTask,
    drain: &Drain,
    board: &StatusBoard,
    patience: Duration,
) -> anyhow::Result<Ending> {
    let ending = tokio::select! {
        // What ends because of the signal may have ended before this is looked at.
        biased;
        () = drain.started() => {
            board.leaving();
            leave(&mut election, drain, patience).await
        }
        Some(exit) = tasks.next() => {
            error!(task = %exit.task, why = %exit, "a task ended that must not");
            Ending::Broken
        }
        exit = election.next() => {
            error!(why = exit.map(|exit| exit.to_string()), "the election ended by itself");
            Ending::Broken
        }
    };
    election.abort().await;
    tasks.abort().await;
    Ok(ending)
}

async fn leave(election: &mut ElectionTask, drain: &Drain, patience: Duration) -> Ending {
    info!("stopping: handing over what this node holds");
    tokio::select! {
        _ = election.next() => {
            info!("stopped");
            Ending::Orderly
        }
        () = drain.forced() => {
            warn!("stopped at once, asked twice; the kernel removes what is left");
            Ending::Forced
        }
        () = clock::pause(patience) => {
            warn!(?patience, "stopped without a release: it took too long; the kernel removes what is left");
            Ending::Forced
        }
    }
}

/// Far more than announcers can have under way.
const REPORTS: usize = 64;

/// Often enough for `/livez`, which looks for ten seconds, and too seldom to cost anything.
const HEARTBEAT: Duration = Duration::from_secs(4);
