//! Everything that needs an API server: access, the Lease, Nodes, Events, and the health gate.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use hyper::Uri;
use tokio::sync::watch;
use tracing::{info, warn};
use vipcast_proto::health::{Action, Event, Health, Intervals, Thresholds, Verdict};

use crate::admin::board::{KubernetesFact, StatusBoard};
use crate::admin::status::HealthVerdict;
use crate::clock;
use crate::config::{self, Config};
use crate::kube::access::{
    self, AccessSettings, Condition, Connection, EndpointSettings, InCluster, Touchstone,
};
use crate::kube::cordon::watch_cordon;
use crate::kube::events::{Events, publish};
use crate::kube::health::{Probe, Target};
use crate::kube::lease::{Holder, LeaseName, LeaseStore, Observed, watch_lease};
use crate::kube::nodes::{Snapshot, watch_nodes};
use crate::kube::servers::watch_servers;
use crate::solo::Proof;
use crate::task::Tasks;
use crate::witness::Witness;

/// The newest connection to an API server.
pub(super) type Connections = watch::Receiver<Option<Connection>>;

/// Starts looking for an API server.
pub(super) fn start(config: &Config, board: &StatusBoard, tasks: &mut Tasks) -> (Events, Connections) {
    let (out, connections) = watch::channel(None);
    let board = board.clone();
    let told = move |condition: &Condition| {
        access::log(condition);
        board.kubernetes(fact(condition));
    };
    tasks.spawn("kubernetes access", access::run(settings(config), out, told));
    let events = events("events", config, &connections, tasks);
    (events, connections)
}

/// A publisher of Events, for those who must not wait for what others have to tell.
pub(super) fn events(
    name: &'static str,
    config: &Config,
    connections: &Connections,
    tasks: &mut Tasks,
) -> Events {
    let (events, notices) = Events::channel();
    if config.events {
        tasks.spawn(name, publish(config.node_name.clone(), notices, connections.clone()));
    }
    events
}

fn settings(config: &Config) -> AccessSettings {
    let access = &config.kubernetes;
    let control_plane = config.control_plane.as_ref();
    AccessSettings {
        root: "/".into(),
        configured: access.kubeconfig.clone(),
        environment: access.kubeconfig_env.clone(),
        home: access.home.clone(),
        in_cluster: access.service.clone().map(|(host, port)| InCluster { host, port }),
        endpoint: EndpointSettings {
            kubernetes_addr: access.address.as_ref().map(Uri::to_string),
            // As kube-vip does: the setting is the port on the VIP and on the node.
            api_port: control_plane.map(|control_plane| control_plane.port.get()),
            control_plane: control_plane.is_some(),
            vips: control_plane.iter().flat_map(|one| &one.vips).map(ipnet::IpNet::addr).collect(),
            // Who looks at the Services of all namespaces reads all EndpointSlices.
            account_finds_servers: config
                .services
                .as_ref()
                .is_some_and(|services| services.namespace.is_none()),
        },
        touchstone: match config.services {
            Some(_) if control_plane.is_none() => Touchstone::Nodes,
            _ => Touchstone::Lease(lease_name(config)),
        },
        connect_timeout: config.election.timing.request_timeout(),
        read_timeout: config.election.timing.request_timeout(),
    }
}

fn fact(condition: &Condition) -> KubernetesFact {
    let (endpoint, source, connected) = match condition {
        Condition::Waiting(_) => (None, None, false),
        Condition::Unreachable { source, endpoint, .. }
        | Condition::Refused { source, endpoint, .. }
        | Condition::NotReady { source, endpoint, .. } => (Some(endpoint), Some(source), false),
        Condition::Connected { source, endpoint, .. } => (Some(endpoint), Some(source), true),
    };
    KubernetesFact {
        endpoint: endpoint.cloned(),
        source: source.cloned(),
        connected,
        condition: condition.to_string(),
    }
}

/// Where the Lease of the control-plane VIP is.
pub(super) fn lease_name(config: &Config) -> LeaseName {
    LeaseName { namespace: config.election.lease_namespace.clone(), name: config.election.lease_name.clone() }
}

/// The Lease of the control-plane VIP: to read and write, and as it is watched.
pub(super) fn lease(
    config: &Config,
    connections: &Connections,
    servers: watch::Receiver<BTreeSet<SocketAddr>>,
    tasks: &mut Tasks,
) -> (LeaseStore, watch::Receiver<Option<Observed>>) {
    let name = lease_name(config);
    let (out, observed) = watch::channel(None);
    tasks.spawn("lease watch", watch_lease(name.clone(), connections.clone(), out));
    let holder =
        Holder { identity: config.node_name.clone(), lease_duration: config.election.timing.lease_duration };
    let store = LeaseStore::new(name, holder, BTreeMap::new(), connections.clone(), observed.clone());
    (store.with_others(servers), observed)
}

/// Where the API servers of all nodes are, for Leases while this node's own does not answer.
pub(super) fn servers(connections: &Connections, tasks: &mut Tasks) -> watch::Receiver<BTreeSet<SocketAddr>> {
    let (out, servers) = watch::channel(BTreeSet::new());
    tasks.spawn("API server watch", watch_servers(connections.clone(), out));
    servers
}

/// The control-plane Nodes of the cluster.
pub(super) fn nodes(connections: &Connections, tasks: &mut Tasks) -> watch::Receiver<Snapshot> {
    let (out, nodes) = watch::channel(Snapshot::default());
    tasks.spawn("node watch", watch_nodes(connections.clone(), out));
    nodes
}

/// Whether this node is cordoned, and others of the control plane are there.
pub(super) fn cordon(config: &Config, connections: &Connections, tasks: &mut Tasks) -> watch::Receiver<bool> {
    let (out, cordoned) = watch::channel(false);
    tasks.spawn("cordon watch", watch_cordon(config.node_name.clone(), connections.clone(), out));
    cordoned
}

/// The verdict on the local API server and the proof of its health; `None` where nobody asked for the gate.
pub(super) fn health_gate(
    config: &Config,
    connections: &Connections,
    witness: &Witness,
    tasks: &mut Tasks,
) -> Option<(watch::Receiver<Verdict>, Proof)> {
    let Some(health) = &config.health else {
        witness.board.health(HealthVerdict::Disabled, "the health gate is switched off");
        return None;
    };
    let target = target(health);
    let known = matches!(target, Target::Address { .. });
    let probe = Probe::new(target, health.timeout, connections.clone());
    let (out, verdict) = watch::channel(Verdict::Unknown);
    let (passed, proof) = watch::channel(None);
    let (gate, witness, mut connections) = (gate(health), witness.clone(), connections.clone());
    tasks.spawn("health gate", async move {
        // Before there is a server, that it does not answer is no news. One that is named needs no credentials.
        if known || connections.wait_for(Option::is_some).await.is_ok() {
            watch_health(gate, probe, (out, passed), witness).await;
        }
    });
    Some((verdict, proof))
}

fn target(health: &config::Health) -> Target {
    let path = health.path.clone();
    match &health.address {
        None => Target::Local { path },
        Some(address) => {
            let authority = address.authority().map_or("", |authority| authority.as_str());
            let url = format!("{}://{authority}{path}", address.scheme_str().unwrap_or("https"));
            // Both parts were parsed before, so together they parse.
            url.parse()
                .map_or(Target::Local { path }, |url| Target::Address { url, ca: health.ca_path.clone() })
        }
    }
}

fn gate(health: &config::Health) -> Health {
    let thresholds =
        Thresholds { failure: health.failure_threshold.get(), success: health.success_threshold.get() };
    Health::new(thresholds, Intervals::new(health.interval), clock::now())
}

async fn watch_health(
    mut health: Health,
    mut probe: Probe,
    (out, passed): (watch::Sender<Verdict>, watch::Sender<Option<Instant>>),
    witness: Witness,
) {
    loop {
        clock::until(health.deadline()).await;
        let begun = clock::now();
        let Some(Action::Probe) = health.handle(begun, Event::Tick) else { continue };
        let event = match probe.probe().await {
            Ok(()) => {
                passed.send_replace(Some(begun));
                Event::Passed
            }
            Err(reason) => {
                witness.metrics.health_probe_failed();
                Event::Failed(reason)
            }
        };
        let _ = health.handle(clock::now(), event);
        let verdict = health.verdict();
        let turned = out.send_if_modified(|old| {
            let turned = std::mem::discriminant(old) != std::mem::discriminant(&verdict);
            old.clone_from(&verdict);
            turned
        });
        tell(&verdict, turned, &witness);
    }
}

fn tell(verdict: &Verdict, turned: bool, witness: &Witness) {
    match verdict {
        Verdict::Unknown => witness.board.health(HealthVerdict::Unknown, "not proven yet"),
        Verdict::Healthy => {
            witness.board.health(HealthVerdict::Healthy, "ok");
            if turned {
                info!("local API server is healthy");
            }
        }
        Verdict::Unhealthy { reason, .. } => {
            witness.board.health(HealthVerdict::Unhealthy, reason.clone());
            if turned {
                warn!(reason, "local API server is not healthy");
            }
        }
    }
}
