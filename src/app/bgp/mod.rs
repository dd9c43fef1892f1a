//! The BGP speaker in the daemon: its settings, its identity, the loopback interface, BFD, and its ordered end.

mod annotated;
pub(super) mod follow;
mod room;
mod router_id;
mod settings;
mod watcher;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};
use vipcast_proto::advertiser::{Desired, Report};
use vipcast_proto::l2::announcer::Link;

use self::annotated::Annotated;
use self::follow::Follower;
pub use self::follow::Reload;
pub(super) use self::room::Room;
use self::router_id::router_id;
use self::watcher::Watcher;
use super::Ending;
use super::kubernetes::Connections;
use crate::announce::bgp::settings::{PeerSettings, Settings};
use crate::announce::bgp::{self, Stage, Surroundings, links, loopback};
pub(super) use crate::announce::bgp::{Command, NAME};
use crate::bfd;
use crate::clock;
use crate::conditions;
use crate::config::bgp::Bgp;
use crate::config::{self, Announced, Config};
use crate::kube::secrets::{Place, watch_secrets};
use crate::net::netlink::Netlink;
use crate::net::tcp_key::has_tcp_ao;
use crate::task::Tasks;
use crate::witness::Witness;

/// The speaker as the rest of the daemon handles it.
pub(super) struct Speaker {
    stage: watch::Sender<Stage>,
    /// In a set of its own: it ends when its peers have been told.
    task: Tasks,
    bfd: Watcher,
    /// How to end, as it is configured at present.
    pub(super) drain: watch::Receiver<config::bgp::Drain>,
    /// Where an announcer of another kind reports to as well.
    pub(super) holders: mpsc::Sender<(String, Report)>,
}

/// What it needs of the rest.
pub(super) struct Parts<'a> {
    pub(super) bgp: &'a Bgp,
    pub(super) vips: BTreeSet<IpAddr>,
    /// By whom the control plane's VIPs are; `None`: there are none.
    pub(super) announced: Option<Announced>,
    pub(super) desired: watch::Receiver<Desired>,
    pub(super) reports: mpsc::Sender<(String, Report)>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) config: &'a Config,
    pub(super) connections: Connections,
    pub(super) reload: Option<Reload>,
    pub(super) watched: bfd::Stats,
    pub(super) witness: Witness,
}

impl Speaker {
    /// Starts it. `alone`: no other announcer puts the addresses on an interface.
    pub(super) async fn start(
        mut parts: Parts<'_>,
        alone: bool,
        tasks: &mut Tasks,
    ) -> (Self, Vec<conditions::Interface>) {
        let router_id = router_id(&parts.bgp.router_id, &parts.vips).await;
        let told = settings::settings(parts.bgp, router_id);
        info!(%router_id, local_as = %parts.bgp.local_as, peers = told.peers.len(), "BGP speaker starts");
        parts.witness.board.speaks(alone, told.peers.len());
        let bfd = Watcher::new(parts.watched.clone());
        follow::warn_of_tcp_ao(&told, has_tcp_ao);
        let (settings, configured) = watch::channel(Arc::new(told));
        let secrets = secrets(configured.clone(), &parts.connections, tasks);
        let drain = follow_configuration(&mut parts, router_id, settings, tasks);
        let (stage_out, stage) = watch::channel(Stage::Running);
        let (holders, held) = mpsc::channel(REPORTS);
        let (bind_out, bind) = watch::channel(Desired::default());
        let (reachable, link) = watch::channel(Link::Down);
        let interfaces = if alone { bind_to_loopback(&parts, bind, link, &holders, tasks) } else { vec![] };
        let wires = bgp::Wires {
            settings: configured,
            desired: parts.desired,
            holders: held,
            bind: bind_out,
            reachable,
            reports: parts.reports,
            commands: parts.commands,
            stage,
        };
        let (ups, links) = watch::channel(0);
        tasks.spawn("links", links::follow(ups));
        let surroundings = Surroundings { vips: Arc::new(parts.vips), secrets, links };
        let watcher = bfd.clone();
        let mut task = Tasks::default();
        task.spawn(
            "bgp",
            bgp::run(
                wires,
                surroundings,
                Arc::new(move |name, peer, remote| watcher.watch(name, peer, remote)),
                parts.witness,
            ),
        );
        (Self { stage: stage_out, task, bfd, drain, holders }, interfaces)
    }

    /// How far the daemon's end has come.
    pub(super) fn stage(&self) -> watch::Sender<Stage> {
        self.stage.clone()
    }

    /// Ends sessions, and waits until peers have been told or would not listen.
    pub(super) async fn stop(mut self) {
        self.stage.send_replace(Stage::Stopping);
        self.task.next().await;
        self.bfd.shutdown(FAREWELL).await;
    }

    /// Completes when it ends by itself, which it must not.
    pub(super) async fn ended(&mut self) -> Option<crate::task::Exit> {
        self.task.next().await
    }
}

/// Takes VIPs from the loopback interface, when what was on its way to them has been answered.
pub(super) async fn unbind(vips: &BTreeSet<IpAddr>, ending: Ending) {
    if ending == Ending::Orderly {
        clock::pause(LINGER).await;
    }
    let drop_all = async {
        let (netlink, _changes, driving) = Netlink::connect()?;
        let mut driver = JoinSet::new();
        driver.spawn(driving);
        for (index, address) in netlink.marked().await? {
            if vips.contains(&address.addr()) {
                netlink.drop(index, address).await?;
            }
        }
        Ok::<(), crate::net::NetError>(())
    };
    if let Err(error) = drop_all.await {
        warn!(
            error = &error as &dyn std::error::Error,
            "VIPs stay on this node until the kernel removes them"
        );
    }
}

/// Passes on to the speaker what announcers tell the core.
pub(super) async fn overhear(
    mut from: mpsc::Receiver<(String, Report)>,
    core: mpsc::Sender<(String, Report)>,
    holders: mpsc::Sender<(String, Report)>,
) {
    while let Some(report) = from.recv().await {
        if holders.send(report.clone()).await.is_err() || core.send(report).await.is_err() {
            return;
        }
    }
}

/// The passwords that stand in Kubernetes Secrets.
fn secrets(
    settings: watch::Receiver<Arc<Settings>>,
    connections: &Connections,
    tasks: &mut Tasks,
) -> watch::Receiver<BTreeMap<Place, String>> {
    let (out, secrets) = watch::channel(BTreeMap::new());
    tasks.spawn("secret watch", follow_secrets(settings, connections.clone(), out));
    secrets
}

/// Those of the peers that there are at present, for ever.
async fn follow_secrets(
    mut settings: watch::Receiver<Arc<Settings>>,
    connections: Connections,
    out: watch::Sender<BTreeMap<Place, String>>,
) {
    let places = |settings: &Arc<Settings>| -> BTreeSet<Place> {
        settings.peers.values().filter_map(PeerSettings::secret).collect()
    };
    loop {
        let now = places(&settings.borrow_and_update());
        let watching = watch_secrets(now.clone(), connections.clone(), out.clone());
        tokio::select! {
            () = watching, if !now.is_empty() => return,
            changed = settings.wait_for(|settings| places(settings) != now) => if changed.is_err() { return },
        }
    }
}

fn follow_configuration(
    parts: &mut Parts<'_>,
    router_id: Ipv4Addr,
    out: watch::Sender<Arc<Settings>>,
    tasks: &mut Tasks,
) -> watch::Receiver<config::bgp::Drain> {
    let (drain_out, drain) = watch::channel(parts.bgp.drain.clone());
    let board = parts.witness.board.clone();
    let follower = Follower {
        annotated: Annotated::new(parts.config.node_name.clone(), parts.connections.clone(), board),
        bgp: parts.bgp.clone(),
        router_id,
        out,
        drain: drain_out,
    };
    tasks.spawn("configuration", follower.run(parts.reload.take()));
    drain
}

fn bind_to_loopback(
    parts: &Parts<'_>,
    desired: watch::Receiver<Desired>,
    reachable: watch::Receiver<Link>,
    holders: &mpsc::Sender<(String, Report)>,
    tasks: &mut Tasks,
) -> Vec<conditions::Interface> {
    let (refused, refusal) = watch::channel(false);
    let wires = loopback::Wires { desired, reports: holders.clone(), refused };
    tasks.spawn("loopback", loopback::run(parts.vips.clone(), LIFETIME, wires, parts.witness.clone()));
    // Who holds a Lease and is heard by no router would keep it from those who are. Where all announce, that does not matter.
    let link = match parts.announced {
        Some(Announced::ByTheHolder) => reachable,
        // The last word of a sender that is gone stays.
        Some(Announced::ByEveryHealthyNode) | None => watch::channel(Link::Up).1,
    };
    vec![conditions::Interface { link, refused: refusal }]
}

/// The longest that the kernel keeps a VIP by itself; the permission's end comes sooner.
const LIFETIME: Duration = Duration::from_secs(60);
/// Until routers have heard of a withdrawal.
const LINGER: Duration = Duration::from_millis(300);
/// Of BFD, so that the other side does not take the end for a failure.
const FAREWELL: Duration = Duration::from_millis(300);
const REPORTS: usize = 64;
