//! The only place that knows all parts: builds them, wires them, supervises them, and shuts down in order.

mod bgp;
mod interfaces;
mod kubernetes;
mod services;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};
use vipcast_proto::advertiser::{Advertiser, Desired, Report};
use vipcast_proto::election::Elector;
use vipcast_proto::standing::Rivals;

use crate::admin::board::StatusBoard;
use crate::admin::listen;
use crate::admin::metrics::Metrics;
use crate::admin::server::Admin;
use crate::admin::service_metrics::ServiceFigures;
use crate::admin::services::Ask;
use crate::admin::status::HealthVerdict;
use crate::announce::{layer2, responder};
use crate::cli::version::{REVISION, VERSION};
use crate::config::services::Distribution;
use crate::config::{self, Announced, Config};
use crate::drain::Drain;
use crate::election::{self, Conditions, Inputs, Ruling, Vacancy};
use crate::task::Tasks;
use crate::witness::Witness;
use crate::{advertiser, clock, conditions, solo};

pub use self::bgp::Reload;

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

/// Runs the daemon until it is told to stop. `reload` reads the configuration again while it runs.
pub async fn run(config: Config, drain: Drain, reload: Option<Reload>) -> anyhow::Result<Ending> {
    let (board, status) = StatusBoard::new(VERSION, &config.node_name);
    if config.services.is_some() {
        board.services(Some("they have not been looked at".into()));
    }
    // A peer that is to be watched may be configured later.
    let watched = crate::bfd::Stats::new();
    let (figures_out, figures) = watch::channel(Arc::default());
    let metrics = Metrics::with_collectors(
        VERSION,
        REVISION,
        status.clone(),
        config.bgp.is_some().then(|| watched.clone()),
        config.services.is_some().then_some(figures),
    );
    let (heart, heartbeat) = watch::channel(clock::now());
    let (commands, commanded) = mpsc::channel(REPORTS);
    let speaker = config.bgp.is_some().then_some(commands);
    let (asks, asked) = mpsc::channel(REPORTS);
    let services = config.services.is_some().then_some(asks);
    let admin = Admin { status, metrics: metrics.clone(), heartbeat, speaker, services };
    let mut tasks = Tasks::default();
    tasks.spawn("heartbeat", beat(heart));
    if let Some(listen) = config.admin.metrics {
        tasks.spawn("http", listen::serve_tcp(listen.socket_addr(), admin.clone().public()));
    }
    tasks.spawn("status socket", listen::serve_unix(config.admin.socket.clone(), admin.private()));
    let (events, connections) = kubernetes::start(&config, &board, &mut tasks);
    let witness = Witness { board: board.clone(), metrics, events };
    let ports = tokio::select! {
        ports = ports(&config, &board) => ports,
        () = drain.started() => return Ok(Ending::Orderly),
    };
    let (leave, leaving) = Drain::manual();
    let (relieved_out, relieved) = watch::channel(false);
    let daemon = Daemon { config: &config, witness, connections, watched, leaving, relieved };
    let moving = daemon.wire(ports, commanded, (asked, figures_out), reload, &mut tasks).await;
    let how = daemon.graceful(moving.speaker.as_ref());
    let room = bgp::Room {
        drain: drain.clone(),
        stage: moving.speaker.as_ref().map(bgp::Speaker::stage),
        // The placement of Services knows for itself who else is there.
        cordoned: daemon.cordoned(daemon.announced() == Some(Announced::ByEveryHealthyNode), &mut tasks),
        how: how.clone(),
        relieved: relieved_out,
        leaving: leave,
    };
    tasks.spawn("drain", room.run());
    let patience = || config.shutdown_wait + how.as_ref().map_or(Duration::ZERO, |how| how.borrow().wait);
    supervise(tasks, moving, &drain, &board, patience).await
}

/// Whether other nodes announce what this one does, so that routers have others to prefer. A VIP that waits for its Lease must
/// not wait for Services.
fn is_one_of_many(config: &Config) -> bool {
    let services = config.services.as_ref();
    match announced(config) {
        Some(Announced::ByEveryHealthyNode) => true,
        Some(Announced::ByTheHolder) => false,
        None => services.is_some_and(|services| services.distribution == Distribution::EveryNode),
    }
}

/// By whom the control plane's VIPs are announced.
fn announced(config: &Config) -> Option<Announced> {
    config.control_plane.as_ref().map(|control_plane| control_plane.announced)
}

/// The interfaces of the layer 2 announcer. Without it there are none, but an earlier life may have had some.
async fn ports(config: &Config, board: &StatusBoard) -> BTreeMap<String, interfaces::Vips> {
    match (&config.layer2, &config.control_plane) {
        (Some(layer2), Some(control_plane)) => interfaces::find(layer2, &control_plane.vips, board).await,
        (None, Some(control_plane)) => {
            interfaces::clear(&control_plane.vips).await;
            BTreeMap::new()
        }
        (_, None) => BTreeMap::new(),
    }
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
    witness: Witness,
    connections: kubernetes::Connections,
    /// What BFD counts.
    watched: crate::bfd::Stats,
    /// When VIPs have to be given up.
    leaving: Drain,
    /// Whether others announce in place of this node.
    relieved: watch::Receiver<bool>,
}

/// What moves VIPs, each in a set of its own: an ordered shutdown waits for the end of one, then of the other.
struct Moving {
    /// The election, or what stands in its place; the placement of Services. They end when all is handed over.
    movers: Tasks,
    speaker: Option<bgp::Speaker>,
    /// What filters packets to Services: it ends when nothing of them is left.
    guard: Tasks,
    vips: BTreeSet<IpAddr>,
}

/// The ends of the core that others hold.
struct Core {
    desired: watch::Receiver<Desired>,
    reports: mpsc::Sender<(String, Report)>,
    rulings: watch::Sender<Ruling>,
    vacancy: watch::Receiver<Vacancy>,
}

impl Daemon<'_> {
    /// Starts everything that moves VIPs.
    async fn wire(
        &self,
        ports: BTreeMap<String, interfaces::Vips>,
        commands: mpsc::Receiver<bgp::Command>,
        desk: (mpsc::Receiver<Ask>, watch::Sender<Arc<ServiceFigures>>),
        reload: Option<Reload>,
        tasks: &mut Tasks,
    ) -> Moving {
        let (core, served) = self.core(&ports, tasks);
        let (speaker, mut interfaces) = self.speak(&core, commands, ports.is_empty(), reload, tasks).await;
        let reports = overheard(&core, &ports, speaker.as_ref(), tasks);
        interfaces.extend(self.announcers(ports, &core.desired, &reports, tasks));
        let (mut movers, mut guard) = (Tasks::default(), Tasks::default());
        let servers = kubernetes::servers(&self.connections, tasks);
        if self.announced().is_some() {
            let (conditions, proof) = self.conditions(interfaces, tasks);
            let wires = (core.rulings, core.vacancy);
            self.elect(conditions, proof, wires, servers.clone(), &mut movers, tasks);
        } else {
            self.witness.board.health(HealthVerdict::Disabled, "no control-plane VIP is announced here");
        }
        if let Some((settings, ends)) = self.config.services.as_ref().zip(served) {
            let (desired, reports) = (core.desired, core.reports);
            let parts = services::Parts { settings, ends, desired, reports, desk, servers };
            guard = self.serve(parts, &mut movers, tasks);
        }
        Moving { movers, speaker, guard, vips: self.vips() }
    }

    /// Starts the core; it waits for every announcer that there will be.
    fn core(
        &self,
        ports: &BTreeMap<String, interfaces::Vips>,
        tasks: &mut Tasks,
    ) -> (Core, Option<services::Ends>) {
        let (desired_out, desired) = watch::channel(Desired::default());
        let (reports, reported) = mpsc::channel(REPORTS);
        let (rulings, ruled) = watch::channel(Ruling::unknown());
        let (vacated, vacancy) = watch::channel(Vacancy::default());
        let speaks = self.config.bgp.as_ref().map(|_| bgp::NAME.to_owned());
        let answers = self.config.services.as_ref().zip(self.config.layer2.as_ref());
        let answers = answers.map(|_| responder::NAME.to_owned());
        let mut core = Advertiser::new(ports.keys().cloned().chain(speaks).chain(answers));
        core.claim(self.vips());
        let control_plane =
            self.announced().map(|_| advertiser::ControlPlane { rulings: ruled, vacancy: vacated });
        let (services, served) = self.config.services.as_ref().map(|_| services::ends()).unzip();
        let wires = advertiser::Wires { control_plane, services, reports: reported, desired: desired_out };
        tasks.spawn("core", advertiser::run(core, wires));
        (Core { desired, reports, rulings, vacancy }, served)
    }

    /// Starts the BGP speaker, where there is one. `alone`: no other announcer puts the addresses on an interface.
    async fn speak(
        &self,
        core: &Core,
        commands: mpsc::Receiver<bgp::Command>,
        alone: bool,
        reload: Option<Reload>,
        tasks: &mut Tasks,
    ) -> (Option<bgp::Speaker>, Vec<conditions::Interface>) {
        let Some(settings) = &self.config.bgp else {
            if let Some(reload) = reload {
                tasks.spawn("configuration", bgp::follow::only_tell(reload));
            }
            return (None, vec![]);
        };
        let parts = bgp::Parts {
            bgp: settings,
            vips: self.vips(),
            announced: self.announced(),
            desired: core.desired.clone(),
            reports: core.reports.clone(),
            commands,
            config: self.config,
            connections: self.connections.clone(),
            reload,
            watched: self.watched.clone(),
            witness: self.witness.clone(),
        };
        let (speaker, bound) = bgp::Speaker::start(parts, alone, tasks).await;
        (Some(speaker), bound)
    }

    /// The control plane's.
    fn vips(&self) -> BTreeSet<IpAddr> {
        let vips = self.config.control_plane.iter().flat_map(|control_plane| &control_plane.vips);
        vips.map(ipnet::IpNet::addr).collect()
    }

    fn announced(&self) -> Option<Announced> {
        announced(self.config)
    }

    /// How room is made for other nodes, where there are any that announce.
    fn graceful(&self, speaker: Option<&bgp::Speaker>) -> Option<watch::Receiver<config::bgp::Drain>> {
        speaker.filter(|_| is_one_of_many(self.config)).map(|speaker| speaker.drain.clone())
    }

    fn cordoned(&self, matters: bool, tasks: &mut Tasks) -> watch::Receiver<bool> {
        if matters {
            kubernetes::cordon(self.config, &self.connections, tasks)
        } else {
            watch::channel(false).1
        }
    }

    fn announcers(
        &self,
        ports: BTreeMap<String, interfaces::Vips>,
        desired: &watch::Receiver<Desired>,
        reports: &mpsc::Sender<(String, Report)>,
        tasks: &mut Tasks,
    ) -> Vec<conditions::Interface> {
        let Some(layer2) = &self.config.layer2 else { return vec![] };
        let start = |(name, vips): (String, interfaces::Vips)| {
            let (refused, refusal) = watch::channel(false);
            let (desired, reports) = (desired.clone(), reports.clone());
            let ours = vips.keys().copied().collect();
            let wires = layer2::Wires { name: name.clone(), vips: ours, desired, reports, refused };
            let (driver, link) = interfaces::Driver::new(layer2, vips, wires, self.witness.clone());
            tasks.spawn(format!("announcer {name}"), driver.run());
            conditions::Interface { link, refused: refusal }
        };
        ports.into_iter().map(start).collect()
    }

    fn conditions(
        &self,
        interfaces: Vec<conditions::Interface>,
        tasks: &mut Tasks,
    ) -> (watch::Receiver<Conditions>, Option<solo::Proof>) {
        let gate = kubernetes::health_gate(self.config, &self.connections, &self.witness, tasks);
        let (health, proof) = gate.unzip();
        let sources = conditions::Sources {
            health,
            interfaces,
            nodes: kubernetes::nodes(&self.connections, tasks),
            node_name: self.config.node_name.clone(),
            drain: self.leaving.clone(),
            drained: self.relieved.clone(),
        };
        let nothing = Conditions {
            healthy: false,
            proven: false,
            link_up: false,
            refused: false,
            rivals: Rivals::Unknown,
            stopping: false,
            drained: false,
            courtesy: Duration::ZERO,
        };
        let (out, conditions) = watch::channel(nothing);
        tasks.spawn("conditions", conditions::run(sources, out));
        (conditions, proof)
    }

    fn elect(
        &self,
        conditions: watch::Receiver<Conditions>,
        proof: Option<solo::Proof>,
        (rulings, vacancy): (watch::Sender<Ruling>, watch::Receiver<Vacancy>),
        servers: watch::Receiver<BTreeSet<SocketAddr>>,
        movers: &mut Tasks,
        tasks: &mut Tasks,
    ) {
        let identity = self.config.node_name.clone();
        if self.announced() == Some(Announced::ByEveryHealthyNode) {
            let witness = self.witness.clone();
            let permission = solo::run(identity, KEEP, conditions, proof, vacancy, rulings, witness);
            movers.spawn("permission", permission);
            return;
        }
        let (store, lease) = kubernetes::lease(self.config, &self.connections, servers, tasks);
        let inputs = Inputs::new(conditions, lease, vacancy);
        let timing = self.config.election.timing;
        let elector = Elector::new(identity.clone(), timing);
        let name = kubernetes::lease_name(self.config);
        let reporter = election::Reporter::new(&name, identity.clone(), self.witness.clone());
        movers.spawn("election", election::run(elector, timing, identity, store, inputs, rulings, reporter));
    }
}

/// Where announcers on interfaces report to: a speaker wants to know what they hold.
fn overheard(
    core: &Core,
    ports: &BTreeMap<String, interfaces::Vips>,
    speaker: Option<&bgp::Speaker>,
    tasks: &mut Tasks,
) -> mpsc::Sender<(String, Report)> {
    let Some(speaker) = speaker.filter(|_| !ports.is_empty()) else { return core.reports.clone() };
    let (out, heard) = mpsc::channel(REPORTS);
    tasks.spawn("overheard", bgp::overhear(heard, core.reports.clone(), speaker.holders.clone()));
    out
}

/// Waits for the end: of the election after a signal, or of something that must not end.
async fn supervise(
    mut tasks: Tasks,
    moving: Moving,
    drain: &Drain,
    board: &StatusBoard,
    patience: impl Fn() -> Duration,
) -> anyhow::Result<Ending> {
    let Moving { mut movers, mut speaker, mut guard, vips } = moving;
    let ending = tokio::select! {
        // What ends because of the signal may have ended before this is looked at.
        biased;
        () = drain.started() => {
            board.leaving();
            leave(&mut movers, drain, patience()).await
        }
        Some(exit) = tasks.next() => {
            error!(task = %exit.task, why = %exit, "a task ended that must not");
            Ending::Broken
        }
        exit = movers.next() => {
            error!(why = exit.map(|exit| exit.to_string()), "what moves VIPs ended by itself");
            Ending::Broken
        }
        exit = spoken(speaker.as_mut()) => {
            error!(why = exit.map(|exit| exit.to_string()), "the BGP speaker ended by itself");
            Ending::Broken
        }
    };
    // Nothing is announced any more, or there is no time left for more than a last word.
    let spoke = speaker.is_some();
    if let Some(speaker) = speaker {
        speaker.stop().await;
    }
    movers.abort().await;
    tasks.abort().await;
    drop(tokio::time::timeout(SWEEPING, guard.next()).await);
    if spoke {
        bgp::unbind(&vips, ending).await;
    }
    Ok(ending)
}

async fn spoken(speaker: Option<&mut bgp::Speaker>) -> Option<crate::task::Exit> {
    match speaker {
        Some(speaker) => speaker.ended().await,
        None => std::future::pending().await,
    }
}

async fn leave(movers: &mut Tasks, drain: &Drain, patience: Duration) -> Ending {
    info!("stopping: handing over what this node holds");
    tokio::select! {
        () = async { while movers.next().await.is_some() {} } => {
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

/// More than it takes to remove a table from the kernel.
const SWEEPING: Duration = Duration::from_millis(500);

/// Often enough for `/livez`, which looks for ten seconds, and too seldom to cost anything.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// How much longer than its permission a VIP stays on this node where every healthy one announces it: until routers have
/// noticed that this process is gone or frozen.
const KEEP: Duration = Duration::from_secs(30);
