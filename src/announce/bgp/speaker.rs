//! The speaker: what this node may announce becomes what peers shall know; what they know becomes reports to the core.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{Id, JoinSet};
use tracing::info;
use vipcast_proto::advertiser::{Desired, Report};
use vipcast_proto::bgp::fsm::{Cease, RoutesAfter, Stop};
use vipcast_proto::election::Grant;
use vipcast_proto::l2::announcer::Link;

use super::dial::Surroundings;
use super::origin::{Origin, Vips};
use super::peer::{Orders, Peer, Progress, Standing};
use super::settings::{Change, PeerSettings, Settings};
use super::versions::Versions;
use super::watched::Watch;
use crate::change::publish;
use crate::clock;
use crate::witness::Witness;

/// What connects the speaker with the rest of the daemon.
#[derive(Debug)]
pub struct Wires {
    /// From the configuration.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// From the core.
    pub desired: watch::Receiver<Desired>,
    /// From those who put addresses on interfaces: only what is there is announced.
    pub holders: mpsc::Receiver<(String, Report)>,
    /// To the one who puts addresses on the loopback interface.
    pub bind: watch::Sender<Desired>,
    /// To the conditions: whether any peer listens to us.
    pub reachable: watch::Sender<Link>,
    /// To the core.
    pub reports: mpsc::Sender<(String, Report)>,
    /// From operators.
    pub commands: mpsc::Receiver<Command>,
    /// From whoever ends the daemon.
    pub stage: watch::Receiver<Stage>,
}

/// How far the end of the daemon has come.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Not begun.
    #[default]
    Running,
    /// Peers are told to prefer other nodes (RFC 8326).
    Draining,
    /// Nothing is announced any more: sessions end.
    Stopping,
}

/// What an operator wants.
#[derive(Debug)]
pub enum Command {
    /// The session with this peer ends and is tried again. Answered with whether there is such a peer.
    Reset(String, oneshot::Sender<bool>),
}

/// The speaker's name in its reports.
pub const NAME: &str = "bgp";

/// Runs until it is told to stop and every peer has heard of it, or the core is gone.
pub async fn run(wires: Wires, surroundings: Surroundings, bfd: Watch, witness: Witness) {
    let (progress, told) = watch::channel(Progress::new());
    let mut speaker = Speaker {
        settings: Arc::default(),
        origin: Arc::default(),
        versions: Versions::default(),
        held: BTreeMap::new(),
        lingering: BTreeMap::new(),
        bound_serial: 0,
        applied: 0,
        desired: Desired::default(),
        reported: None,
        stage: Stage::Running,
        peers: BTreeMap::new(),
        tasks: JoinSet::new(),
        names: BTreeMap::new(),
        progress,
        surroundings,
        bfd,
        witness,
        wires,
    };
    speaker.drive(told).await;
}

struct Speaker {
    settings: Arc<Settings>,
    origin: Arc<Origin>,
    versions: Versions,
    /// What is on which interface.
    held: BTreeMap<String, Arc<BTreeSet<IpAddr>>>,
    /// What shall be on the loopback interface though it is not wanted any more.
    lingering: BTreeMap<IpAddr, Lingering>,
    bound_serial: u64,
    applied: u64,
    /// The newest from the core.
    desired: Desired,
    /// What was applied then, and the count of changes to what is present.
    reported: Option<(u64, u64)>,
    stage: Stage,
    peers: BTreeMap<String, watch::Sender<Orders>>,
    tasks: JoinSet<()>,
    names: BTreeMap<Id, String>,
    progress: watch::Sender<Progress>,
    surroundings: Surroundings,
    bfd: Watch,
    witness: Witness,
    wires: Wires,
}

/// An address on the loopback interface.
struct Lingering {
    grant: Grant,
    /// Nobody is told of it any more; what is on its way to us is still taken until then.
    until: Option<Instant>,
}

impl Speaker {
    /// Until it is told to stop, or the core is gone: with nobody who says what may be announced, nothing is. The core ends
    /// first when the daemon does, and peers are owed a last word all the same.
    async fn drive(&mut self, mut told: watch::Receiver<Progress>) {
        self.configure();
        let mut news = true;
        while self.stage != Stage::Stopping {
            let now = clock::now();
            if std::mem::take(&mut news) {
                self.originate(now);
            }
            self.settle();
            self.bind(now);
            if !self.report().await {
                break;
            }
            let deadline = self.lingering.values().filter_map(|one| one.until).min();
            tokio::select! {
                biased;
                changed = self.wires.desired.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    news = true;
                }
                Some((name, report)) = self.wires.holders.recv() => {
                    self.held.insert(name, report.present);
                    news = true;
                }
                Ok(()) = told.changed() => told.mark_unchanged(),
                Ok(()) = self.wires.stage.changed() => self.enter(),
                Ok(()) = self.wires.settings.changed() => {
                    self.configure();
                    news = true;
                }
                Some(command) = self.wires.commands.recv() => self.command(command),
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    self.ended(match ended {
                        Ok((id, ())) => id,
                        Err(error) => error.id(),
                    });
                }
                () = clock::until(deadline) => {}
            }
        }
        self.part().await;
    }

    /// Ends every session.
    async fn part(&mut self) {
        let communication =
            self.settings.communication.clone().unwrap_or_else(|| "vipcast stops on this node".into());
        let stop = Stop { cease: Cease::AdministrativeShutdown, communication, routes: RoutesAfter::Go };
        for orders in self.peers.values() {
            orders.send_modify(|orders| orders.stop = Some(stop.clone()));
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        drop(tokio::time::timeout(PARTING, all).await);
    }

    /// What may be announced and can be answered for.
    fn originate(&mut self, now: Instant) {
        let before = std::mem::replace(&mut self.desired, self.wires.desired.borrow_and_update().clone());
        self.linger(&before.vips);
        let vips = self.permitted(now);
        if vips != self.origin.vips || self.origin.serial == 0 || !self.origin.has(&self.settings.groups) {
            self.origin = Arc::new(self.origin.next(vips, &self.settings.groups));
            self.versions.push(&self.origin);
            for orders in self.peers.values() {
                orders.send_modify(|orders| orders.origin = self.origin.clone());
            }
        }
    }

    /// The same map as the core's, unless something is missing.
    fn permitted(&self, now: Instant) -> Vips {
        // What is sent to a Service is taken from the wire before the kernel asks whose address it is.
        let held = |vip: &IpAddr| !self.is_bound(vip) || self.held.values().any(|held| held.contains(vip));
        let permitted = |(vip, grant): &(&IpAddr, &Grant)| now < grant.until && held(vip);
        let all = &self.desired.vips;
        if all.iter().all(|one| permitted(&one)) {
            return all.clone();
        }
        Arc::new(all.iter().filter(permitted).map(|(vip, grant)| (*vip, *grant)).collect())
    }

    /// What was wanted and is not any more stays on the loopback interface until nobody is told of it.
    fn linger(&mut self, before: &Vips) {
        let wanted = &self.desired.vips;
        if Arc::ptr_eq(before, wanted) {
            return;
        }
        self.lingering.retain(|vip, _| !wanted.contains_key(vip));
        let bound = &self.surroundings.vips;
        let left = before.iter().filter(|(vip, _)| bound.contains(vip) && !wanted.contains_key(vip));
        self.lingering.extend(left.map(|(vip, grant)| (*vip, Lingering { grant: *grant, until: None })));
    }

    /// What peers have been told meanwhile.
    fn settle(&mut self) {
        let (told, listens) = {
            let progress = self.progress.borrow();
            let told = progress.values().map(|peer| peer.told).min().unwrap_or(u64::MAX);
            (told, progress.values().any(|peer| peer.established))
        };
        self.versions.told(told);
        if told >= self.origin.serial {
            self.applied = self.desired.serial;
        }
        publish(&self.wires.reachable, if listens { Link::Up } else { Link::Down });
    }

    /// An address stays while it is announced and a little longer, but never beyond its permission.
    fn bind(&mut self, now: Instant) {
        for (_, one) in self.lingering.iter_mut().filter(|(vip, _)| !self.versions.contains(vip)) {
            one.until = one.until.or_else(|| Some((now + LINGER).min(one.grant.until)));
        }
        self.lingering.retain(|_, one| now < one.grant.until && one.until.is_none_or(|until| now < until));
        let mut vips = self.desired.among(self.surroundings.vips.iter()).vips;
        if !self.lingering.is_empty() {
            Arc::make_mut(&mut vips).extend(self.lingering.iter().map(|(vip, one)| (*vip, one.grant)));
        }
        if vips != self.wires.bind.borrow().vips {
            self.bound_serial += 1;
            publish(&self.wires.bind, Desired { serial: self.bound_serial, vips });
        }
    }

    /// Whether an address has to be on an interface before routers hear of it.
    fn is_bound(&self, vip: &IpAddr) -> bool {
        self.surroundings.vips.contains(vip)
    }

    /// False when the core is gone.
    async fn report(&mut self) -> bool {
        let now = (self.applied, self.versions.changes());
        if self.reported.replace(now) == Some(now) {
            return true;
        }
        let report = Report::new(self.applied, self.versions.present());
        self.wires.reports.send((NAME.to_owned(), report)).await.is_ok()
    }

    fn enter(&mut self) {
        let before = std::mem::replace(&mut self.stage, *self.wires.stage.borrow_and_update());
        let draining = self.stage >= Stage::Draining;
        match (before, self.stage) {
            (_, Stage::Draining) => info!("BGP routes are announced with GRACEFUL_SHUTDOWN from now on"),
            (Stage::Draining, Stage::Running) => info!("BGP routes are announced as ever from now on"),
            (_, Stage::Running | Stage::Stopping) => {}
        }
        for orders in self.peers.values() {
            orders.send_if_modified(|orders| {
                let changed = orders.draining != draining;
                orders.draining = draining;
                changed
            });
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Reset(peer, answer) => {
                let orders = self.peers.get(&peer);
                if let Some(orders) = orders {
                    info!(peer, "BGP session reset by the operator");
                    orders.send_modify(|orders| orders.resets += 1);
                }
                // Whoever asked may have gone.
                let _ = answer.send(orders.is_some());
            }
        }
    }

    /// Only what has changed moves.
    fn configure(&mut self) {
        let settings = self.wires.settings.borrow_and_update().clone();
        for (name, change) in self.settings.changes(&settings) {
            if let Some(cease) = change.cease() {
                self.end(&name, cease);
            }
            match (change, settings.peers.get(&name)) {
                (Change::Begin, Some(peer)) => self.begin(&name, peer),
                (Change::Adjust, Some(peer)) => {
                    if let Some(orders) = self.peers.get(&name) {
                        orders.send_modify(|orders| orders.settings = Arc::new(peer.clone()));
                    }
                }
                // What is replaced begins when its predecessor has ended.
                (Change::Replace | Change::End, _) | (Change::Begin | Change::Adjust, None) => {}
            }
        }
        self.witness.board.routers(settings.peers.len());
        self.settings = settings;
    }

    fn begin(&mut self, name: &str, settings: &PeerSettings) {
        if self.names.values().any(|running| running == name) {
            return;
        }
        let (out, orders) = watch::channel(Orders {
            origin: self.origin.clone(),
            settings: Arc::new(settings.clone()),
            draining: self.stage == Stage::Draining,
            resets: 0,
            stop: None,
        });
        let standing = Standing { told: self.origin.serial, established: false };
        self.progress.send_modify(|progress| {
            progress.insert(name.to_owned(), standing);
        });
        let peer = Peer::new(
            name,
            orders,
            self.bfd.clone(),
            self.progress.clone(),
            self.surroundings.clone(),
            self.witness.clone(),
        );
        self.names.insert(self.tasks.spawn(peer.run()).id(), name.to_owned());
        self.peers.insert(name.to_owned(), out);
    }

    fn end(&mut self, name: &str, cease: Cease) {
        let stop = Stop { cease, communication: String::new(), routes: RoutesAfter::Go };
        if let Some(orders) = self.peers.get(name) {
            orders.send_modify(|orders| orders.stop = Some(stop));
        }
    }

    /// A peer's task has ended; where the peer is wanted (as another), it begins anew.
    fn ended(&mut self, id: Id) {
        let Some(name) = self.names.remove(&id) else { return };
        self.peers.remove(&name);
        self.progress.send_modify(|progress| {
            progress.remove(&name);
        });
        if let Some(settings) = self.settings.peers.get(&name).cloned() {
            self.begin(&name, &settings);
        }
    }
}

/// What has been sent to us by then is still answered.
const LINGER: Duration = Duration::from_millis(500);
/// More than a last word takes.
const PARTING: Duration = Duration::from_secs(1);
