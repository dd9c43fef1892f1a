//! A LAN with an API server and real daemons on it, a client that uses their VIP and an observer that watches them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::lab::api_call;
use super::lab::cable::Cable;
use super::lab::client::Client;
use super::lab::echo::Echo;
use super::lab::error::{LabError, Result};
use super::lab::interrupt::Interrupt;
use super::lab::lan::{Host, Lan, Mac};
use super::lab::observer::Observer;
use super::lab::process::Process;
use super::lab::sightings::Sightings;
use super::lab::trace::Reach;
use super::lab::work_dir::WorkDir;
use super::promise::{LEASE_DURATION, RENEW_DEADLINE, RETRY_PERIOD};
use super::services::{self, Watched};
use crate::clock;

/// A program and its first arguments.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its path.
    pub path: PathBuf,
    /// What comes after it on the command line.
    pub arguments: Vec<OsString>,
}

impl Program {
    /// This very program with one of its subcommands.
    #[must_use]
    pub fn own(arguments: &[&str]) -> Self {
        Self { path: "/proc/self/exe".into(), arguments: arguments.iter().map(OsString::from).collect() }
    }
}

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many nodes.
    pub nodes: usize,
    /// Their VIP, of either family.
    pub vip: IpAddr,
    /// The daemon; it is configured by its environment.
    pub daemon: Program,
    /// The API server. Without one the caller starts its own on the LAN's API host, registers the nodes there, and has
    /// `k8s_config_file` in `environment`.
    pub api: Option<Program>,
    /// More environment for the daemons, after and over that of the laboratory.
    pub environment: Vec<(String, String)>,
    /// Whether there will be Services.
    pub services: bool,
    /// Where the directory for logs and sockets is made.
    pub place: PathBuf,
}

impl Settings {
    /// Daemons and API server from this very program, as `vipcast demo` runs them.
    #[must_use]
    pub fn own(nodes: usize) -> Self {
        Self {
            nodes,
            vip: VIP,
            daemon: Program::own(&["run"]),
            api: Some(Program::own(&["demo-api", "--listen", "10.77.0.2:6443"])),
            environment: Vec::new(),
            services: false,
            place: std::env::temp_dir(),
        }
    }
}

/// A running cluster. Dropping it ends every process and removes every namespace and file.
#[derive(Debug)]
pub struct Cluster {
    // In the order in which they are taken down.
    daemons: Vec<Process>,
    api: Option<Process>,
    client: Client,
    observer: Observer,
    services: Option<Watched>,
    _echoes: Vec<Echo>,
    lan: Lan,
    work_dir: WorkDir,
    kubeconfig: PathBuf,
    settings: Settings,
    interrupt: Interrupt,
    /// Nodes whose daemon was ended on purpose and not started again yet.
    ended: BTreeSet<usize>,
}

impl Cluster {
    /// Builds the LAN and starts the API server, the client and the observer, but no daemon yet.
    ///
    /// The calling thread must outlive the cluster's processes: they die with it.
    pub fn start(settings: Settings, interrupt: Interrupt) -> Result<Self> {
        let lan = Lan::build(settings.nodes)?;
        let work_dir = WorkDir::create_in(&settings.place)?;
        let service = SocketAddr::new(settings.vip, SERVICE_PORT);
        let echo = |(node, identity)| Echo::start(node, service, identity);
        let cluster = Self {
            daemons: Vec::new(),
            api: (settings.api.as_ref()).map(|api| spawn(&lan.api, api, &work_dir, &[])).transpose()?,
            client: Client::start(&lan.client, service)?,
            observer: Observer::start(&lan.observer, settings.vip)?,
            services: None,
            _echoes: lan.nodes.iter().zip(0..).map(echo).collect::<Result<_>>()?,
            kubeconfig: work_dir.write("kubeconfig", KUBECONFIG)?,
            lan,
            work_dir,
            settings,
            interrupt,
            ended: BTreeSet::new(),
        };
        if cluster.api.is_some() {
            let interrupt = &cluster.interrupt;
            interrupt.wait("the API server answers", PATIENCE, || cluster.register_nodes())?;
        }
        Ok(cluster)
    }

    /// Starts a daemon on each node that has none.
    pub fn start_daemons(&mut self) -> Result<()> {
        for node in self.daemons.len()..self.settings.nodes {
            let daemon = self.spawn_daemon(node)?;
            self.daemons.push(daemon);
        }
        Ok(())
    }

    /// Whether there are to be Services.
    #[must_use]
    pub const fn has_services(&self) -> bool {
        self.settings.services
    }

    /// The node that answered the client last.
    pub fn holder(&mut self) -> Result<usize> {
        let last = self.client.last().map(|answer| usize::from(answer.node));
        last.ok_or_else(|| LabError::Waited("anybody answers".to_owned()))
    }

    /// A node.
    pub fn node(&self, node: usize) -> Result<&Host> {
        self.lan.nodes.get(node).ok_or(LabError::Nodes(node))
    }

    /// The daemon of a node.
    pub fn daemon(&mut self, node: usize) -> Result<&mut Process> {
        self.daemons.get_mut(node).ok_or(LabError::Nodes(node))
    }

    /// The API server's process, where it is the laboratory's.
    pub fn api(&mut self) -> Result<&mut Process> {
        self.api.as_mut().ok_or(LabError::NoApiServer)
    }

    /// Everything on the LAN.
    #[must_use]
    pub const fn lan(&self) -> &Lan {
        &self.lan
    }

    /// Pulls or plugs the cable of a node.
    pub fn cable(&self, node: usize, cable: Cable) -> Result<()> {
        self.lan.cable(self.node(node)?, cable)
    }

    /// From now on the daemon of this node may end: the laboratory is about to end it.
    pub fn expect_end(&mut self, node: usize) {
        self.ended.insert(node);
    }

    /// Starts the daemon of a node again after it was ended.
    pub fn restart(&mut self, node: usize) -> Result<()> {
        let daemon = self.spawn_daemon(node)?;
        *self.daemon(node)? = daemon;
        self.ended.remove(&node);
        Ok(())
    }

    /// The daemons that ended without having been told to, and how.
    pub fn unexpected_ends(&mut self) -> Result<Vec<String>> {
        let ended = &self.ended;
        let alive = self.daemons.iter_mut().enumerate().filter(|(node, _)| !ended.contains(node));
        let ends = alive.map(|(_, daemon)| {
            let status = daemon.exit_status()?;
            Ok(status.map(|status| format!("the daemon on {} ended: {status}", daemon.name())))
        });
        ends.filter_map(Result::transpose).collect()
    }

    /// Waits until one and the same node has answered without a pause for two seconds.
    pub fn settle(&mut self) -> Result<usize> {
        let interrupt = self.interrupt.clone();
        interrupt.wait("one node answers steadily", PATIENCE, || {
            let now = clock::now();
            let reach = self.client.reach(now - STEADY, now);
            let steady = reach.gap < HICCUP && reach.answerers.len() == 1;
            Ok(reach.answerers.first().filter(|_| steady).map(|node| usize::from(*node)))
        })
    }

    /// Waits for the first answer after `from` by a node that `accepted` likes; says who and when.
    pub fn wait_answer(
        &mut self,
        what: &str,
        from: Instant,
        patience: Duration,
        accepted: impl Fn(usize) -> bool,
    ) -> Result<(usize, Instant)> {
        let interrupt = self.interrupt.clone();
        interrupt.wait(what, patience, || {
            let answer = self.client.first_after(from, |node| accepted(node.into()));
            Ok(answer.map(|answer| (answer.node.into(), answer.at)))
        })
    }

    /// Waits until the kernel of a node has lost the VIP; nobody in it is asked for help.
    pub fn wait_address_gone(&self, node: usize, patience: Duration) -> Result<Instant> {
        self.interrupt
            .wait("the VIP has left the kernel", patience, || Ok((!self.has_address(node)?).then(clock::now)))
    }

    /// Whether the kernel of a node has the VIP.
    pub fn has_address(&self, node: usize) -> Result<bool> {
        Ok(self.node(node)?.addresses()?.contains(&self.settings.vip))
    }

    /// Lets `span` pass.
    pub fn linger(&self, span: Duration) -> Result<()> {
        self.interrupt.sleep_until(clock::now() + span)
    }

    /// What the client saw.
    pub fn reach(&mut self, from: Instant, to: Instant) -> Reach {
        self.client.reach(from, to)
    }

    /// What the observer saw.
    pub fn sightings(&mut self, from: Instant, to: Instant) -> Sightings {
        self.observer.sightings(from, to)
    }

    /// Creates the Services and asks for their addresses from now on.
    pub fn create_services(&mut self) -> Result<()> {
        self.services = Some(Watched::start(&self.lan)?);
        services::create(&self.lan, SocketAddr::new(self.lan.api.v4.into(), API_PORT))
    }

    /// Their addresses.
    pub fn services(&mut self) -> Result<&mut Watched> {
        self.services.as_mut().ok_or(LabError::NoServices)
    }

    /// Waits until `seen` finds what it looks for among what was seen of them since `from`.
    pub fn wait_services<T>(
        &mut self,
        what: &str,
        from: Instant,
        mut seen: impl FnMut(&mut Watched, Instant) -> Option<T>,
    ) -> Result<T> {
        let interrupt = self.interrupt.clone();
        interrupt.wait(what, PATIENCE, || Ok(seen(self.services()?, from)))
    }

    /// The node with this MAC address.
    pub fn node_of(&self, mac: Mac) -> Result<usize> {
        let found = self.lan.nodes.iter().position(|node| node.mac == mac);
        found.ok_or_else(|| LabError::Waited("a node of the laboratory answers".to_owned()))
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, node: usize) -> String {
        self.lan.nodes.get(node).map_or_else(|| format!("node number {node}"), |host| host.name.clone())
    }

    /// The last lines of every log, each under the name of its process.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> Vec<(String, Vec<String>)> {
        let processes = self.daemons.iter().chain(&self.api);
        processes.map(|process| (process.name().to_owned(), process.last_lines(count))).collect()
    }

    /// Where logs, sockets and the kubeconfig are.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.work_dir.file("")
    }

    /// Waits for Ctrl-C.
    pub fn keep(&self) {
        while self.linger(Duration::from_secs(1)).is_ok() {}
    }

    fn spawn_daemon(&self, node: usize) -> Result<Process> {
        let host = self.node(node)?;
        let mut environment = self.environment(&host.name);
        if self.settings.services {
            environment.extend(services::environment());
        }
        environment.extend(self.settings.environment.iter().cloned());
        spawn(host, &self.settings.daemon, &self.work_dir, &environment)
    }

    /// Everything a daemon is told; the rest it finds out. There is no API server on the nodes whose health could
    /// decide: what is shown is the Lease alone.
    fn environment(&self, node: &str) -> Vec<(String, String)> {
        let seconds = |span: Duration| span.as_secs().to_string();
        let path = |path: PathBuf| path.display().to_string();
        let settings = [
            ("vip_arp", "true".to_owned()),
            ("cp_enable", "true".to_owned()),
            ("address", self.settings.vip.to_string()),
            ("vip_leaseduration", seconds(LEASE_DURATION)),
            ("vip_renewdeadline", seconds(RENEW_DEADLINE)),
            ("vip_retryperiod", seconds(RETRY_PERIOD)),
            ("vip_nodename", node.to_owned()),
            ("k8s_config_file", path(self.kubeconfig.clone())),
            ("vipcast_health_enabled", "false".to_owned()),
            ("prometheus_server", ":2112".to_owned()),
            ("vipcast_admin_socket", path(self.work_dir.file(&format!("{node}.sock")))),
        ];
        settings.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// The API knows the nodes, as a real one does: a holder can tell that it has rivals. Nothing while the server
    /// does not answer yet.
    fn register_nodes(&self) -> Result<Option<()>> {
        let address = SocketAddr::new(self.lan.api.v4.into(), API_PORT);
        for node in &self.lan.nodes {
            let body = node_object(&node.name, node.v4.into());
            let created = self.lan.api.namespace.run(|| api_call::post(address, "/api/v1/nodes", &body))?;
            match created {
                Ok(200..=299 | 409) => {}
                Ok(status) => return Err(LabError::Api { status }),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(()))
    }
}

fn spawn(
    host: &Host,
    program: &Program,
    work_dir: &WorkDir,
    environment: &[(String, String)],
) -> Result<Process> {
    let mut command = host.namespace.command(&program.path)?;
    command.args(&program.arguments);
    // What the user's shell exports must not configure the daemons.
    command.env_clear().envs(environment.iter().cloned());
    Process::spawn(&host.name, command, &work_dir.file(&format!("{}.log", host.name)))
}

fn node_object(name: &str, address: IpAddr) -> String {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": name, "labels": { "node-role.kubernetes.io/control-plane": "" } },
        "status": {
            "addresses": [{ "type": "InternalIP", "address": address }],
            "conditions": [{ "type": "Ready", "status": "True" }],
        },
    })
    .to_string()
}

/// The VIP of the demo.
pub const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 100));
/// The port behind the VIP, where the responders listen.
const SERVICE_PORT: u16 = 7;
const API_PORT: u16 = 6443;
const PATIENCE: Duration = Duration::from_secs(15);
const STEADY: Duration = Duration::from_secs(2);
/// A pause that is not one.
const HICCUP: Duration = Duration::from_millis(200);
const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
clusters: [{ name: demo, cluster: { server: \"http://10.77.0.2:6443\" } }]
users: [{ name: demo, user: {} }]
contexts: [{ name: demo, context: { cluster: demo, user: demo } }]
current-context: demo
";
