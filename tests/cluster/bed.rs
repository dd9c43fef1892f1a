//! A cluster for tests: what can be done to it, and what can be learned of it.
//!
//! ```ignore
//! let mut bed = Bed::up(3, &["--lease", "5/3/1"]);
//! let holder = bed.holder();                       // from the Lease
//! let begin = clock::now();
//! bed.cable(holder, Cable::Unplugged);
//! bed.wait_answered_by(begin, SOON, |node| node != holder);
//! let reach = bed.probes.reach(begin, clock::now()); // longest gap, who answered
//! let sightings = bed.probes.sightings(begin, clock::now()); // rounds with two owners on the wire
//! ```
//! Nodes have the numbers 1, 2, 3 as in their names. Dropping the bed removes the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use vipcast::clock;
use vipcast::demo::lab::sys::Signal;

use super::api::Api;
use super::command::Script;
use super::probes::Probes;
use super::processes::{self, Process};
use super::routers::Routers;

/// The number of a node: 1 for `n1`.
pub(crate) type Node = u8;

/// A cluster with client and observer at work. Dropping it removes the cluster.
#[derive(Debug)]
pub(crate) struct Bed {
    /// Runs `tools/cluster`.
    pub(crate) script: Script,
    /// The API, by whichever of its servers answers.
    pub(crate) api: Api,
    /// The client and the observer.
    pub(crate) probes: Probes,
    /// What the racks' routers have heard, where there are any.
    pub(crate) routers: Option<Routers>,
    nodes: Vec<Node>,
    begun: Instant,
    left: bool,
}

/// What a cable between a node and the switch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cable {
    /// Carries frames.
    Plugged,
    /// Is out: both ends lose the carrier and know it.
    Unplugged,
    /// Loses every frame, and neither end knows.
    Lossy,
}

/// What runs on a node under supervision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Kubelet,
    Containerd,
    KubeProxy,
}

impl Bed {
    /// LAN and nodes, with the static pod in place on n1 unless the options say otherwise, and nothing started by kubeadm.
    /// The options are those of `tools/cluster prepare`.
    pub(crate) fn prepare(nodes: u8, options: &[&str]) -> Self {
        let script = script();
        // What a test that was killed has left.
        script.run("down", &[]);
        let count = nodes.to_string();
        let mut arguments = vec!["-n", &count, "--binary", VIPCAST];
        arguments.extend(options);
        // Dropped, and with it the cluster, if what follows panics.
        let cleanup = Cleanup(script.clone());
        script.run("prepare", &arguments);
        let bed = Self::in_place(script, nodes);
        std::mem::forget(cleanup);
        bed
    }

    /// Client and observer in a cluster that is there.
    fn in_place(script: Script, nodes: u8) -> Self {
        let nodes: Vec<Node> = (1..=nodes).collect();
        let probes = Probes::start(&script, &nodes);
        let api = Api::new(&script, &nodes);
        let routers = script.is_routed().then(|| Routers::watch(&script, &nodes, VIP.parse().unwrap()));
        Self { script, api, probes, routers, nodes, begun: clock::now(), left: false }
    }

    /// A whole cluster; with `$VIPCAST_KEEP` the one that an earlier run has left, where there is one.
    pub(crate) fn up(nodes: u8, options: &[&str]) -> Self {
        let left = script();
        if keeps() && left.folder().join(format!("{}.conf", host(nodes))).exists() {
            return Self::in_place(left, nodes);
        }
        let bed = Self::prepare(nodes, options);
        bed.init();
        for node in 2..=nodes {
            bed.join(node);
        }
        bed.settle();
        bed
    }

    /// Ends client and observer, and leaves the cluster to what is returned: dropping that removes it.
    pub(crate) fn leave(mut self) -> Cleanup {
        self.left = true;
        Cleanup(self.script.clone())
    }

    /// `kubeadm init` on n1, and how long it took.
    pub(crate) fn init(&self) -> Duration {
        let begin = clock::now();
        self.script.run("init", &[]);
        clock::now() - begin
    }

    /// `kubeadm join` as a control-plane node, and how long it took.
    pub(crate) fn join(&self, node: Node) -> Duration {
        let begin = clock::now();
        self.script.run("join", &[&host(node)]);
        clock::now() - begin
    }

    /// `kubeadm reset`; the node can join again.
    pub(crate) fn reset(&self, node: Node) {
        self.script.run("reset", &[&host(node)]);
    }

    /// All nodes.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All but this one.
    pub(crate) fn others(&self, node: Node) -> Vec<Node> {
        self.nodes.iter().copied().filter(|other| *other != node).collect()
    }

    /// Waits until all is well: nodes ready, every daemon's pod ready, etcd and the API server of every node healthy, one owner
    /// of the VIP who is the holder of the Lease, or all of them where there is none. Scenarios begin and end so.
    pub(crate) fn settle(&self) {
        self.settle_within(PATIENCE);
    }

    /// The same with another patience.
    pub(crate) fn settle_within(&self, patience: Duration) {
        let mut since = None;
        wait("the cluster has settled", patience, || {
            let quiet = self.is_settled();
            since = quiet.then(|| since.unwrap_or_else(clock::now));
            thread::sleep(ms(200));
            since.filter(|since| clock::now() - *since > ms(1500)).map(drop)
        });
    }

    /// Whether all of that is so now.
    pub(crate) fn is_settled(&self) -> bool {
        let members = self.members();
        let ready = |node: &Node| self.api.ready(*node);
        self.api.ready_nodes().as_ref() == Some(&members)
            && members.iter().all(ready)
            && self.is_announced_as_it_should()
            && (!self.has_pods() || self.api.ready_pods().as_ref() == Some(&members))
            // What the API says of a pod that has just been replaced is old.
            && (!self.has_pods() || members.iter().all(|node| self.says_fine(*node)))
    }

    /// By the holder of the Lease and nobody else, or by all.
    fn is_announced_as_it_should(&self) -> bool {
        let wanted = match self.script.elects() {
            true => self.holder_now().map(|holder| BTreeSet::from([holder])),
            false => Some(self.members()),
        };
        let announcers = match &self.routers {
            Some(routers) => routers.announcers(),
            None => self.owners(ms(300)),
        };
        wanted == Some(announcers)
    }

    /// By the exit code of `vipcast status`.
    fn says_fine(&self, node: Node) -> bool {
        self.process(node, "vipcast").is_some() && self.try_exec(node, &[VIPCAST, "status"]).status.success()
    }

    /// The nodes that have joined and were not reset.
    pub(crate) fn members(&self) -> BTreeSet<Node> {
        let joined = |node: &Node| self.script.folder().join(format!("{}.conf", host(*node))).exists();
        self.nodes.iter().copied().filter(joined).collect()
    }

    /// Not where another program plays our part.
    fn has_pods(&self) -> bool {
        self.script.folder().join("vipcast.tar").exists()
    }

    // --- what is the case ---

    /// Whom the Lease names.
    pub(crate) fn holder(&self) -> Node {
        wait("the Lease has a holder", SOON, || self.holder_now())
    }

    /// The same at this moment; nobody where the API does not answer, or nobody holds it.
    pub(crate) fn holder_now(&self) -> Option<Node> {
        let lease = self.api.lease()?;
        number(lease["spec"]["holderIdentity"].as_str()?)
    }

    /// Who answered for the VIP on the wire during the last `span`.
    pub(crate) fn owners(&self, span: Duration) -> BTreeSet<Node> {
        let now = clock::now();
        self.probes.owners(now - span, now)
    }

    /// Whether the kernel of the node has the VIP, and in which others it is, is all in one: the nodes whose kernel has it.
    pub(crate) fn in_kernel(&self) -> BTreeSet<Node> {
        let vip: IpAddr = VIP.parse().unwrap();
        let has = |node: &Node| self.probes.host(*node).addresses().unwrap().contains(&vip);
        self.nodes.iter().copied().filter(has).collect()
    }

    /// How often the kubelet has restarted our container on each node, as the API says it.
    pub(crate) fn restarts(&self) -> BTreeMap<Node, u64> {
        let count = |pod: &Value| {
            let node = number(pod["spec"]["nodeName"].as_str()?)?;
            Some((node, pod["status"]["containerStatuses"][0]["restartCount"].as_u64()?))
        };
        wait("the API lists our pods", SOON, || self.api.pods()).iter().filter_map(count).collect()
    }

    /// Our process on a node.
    pub(crate) fn daemon(&self, node: Node) -> Process {
        wait(&format!("our container runs on n{node}"), SOON, || self.process(node, "vipcast"))
    }

    /// The process of that name in a pod of the node: `etcd`, `kube-apiserver`, `vipcast`.
    pub(crate) fn process(&self, node: Node, command: &str) -> Option<Process> {
        processes::in_pods(&self.script.namespace(&host(node)), command).into_iter().next()
    }

    /// What a node would leave behind.
    pub(crate) fn remains(&self) -> Remains {
        Remains {
            vips: self.in_kernel(),
            leases: self.api.lease_names().unwrap_or_default(),
            events: self.api.event_count("vipcast").unwrap_or_default(),
        }
    }

    /// What our container on a node has logged in all its lives, oldest first.
    pub(crate) fn log(&self, node: Node) -> String {
        let pods = self.script.folder().join(host(node)).join("changes/var/log/pods");
        let mut files: Vec<PathBuf> = Vec::new();
        collect(&pods, &mut files);
        let ours = |file: &PathBuf| file.to_string_lossy().contains("/vipcast/");
        let mut files: Vec<PathBuf> = files.into_iter().filter(ours).collect();
        files.sort();
        files.iter().map(|file| std::fs::read_to_string(file).unwrap_or_default()).collect()
    }

    // --- what is done to it ---

    /// Runs something on a node that has to succeed; what it prints is returned.
    pub(crate) fn exec(&self, node: Node, command: &[&str]) -> String {
        let host = host(node);
        let arguments: Vec<&str> = [host.as_str()].into_iter().chain(command.iter().copied()).collect();
        self.script.run("exec", &arguments)
    }

    /// The same, and it may fail.
    pub(crate) fn try_exec(&self, node: Node, command: &[&str]) -> Output {
        let host = host(node);
        let arguments: Vec<&str> = [host.as_str()].into_iter().chain(command.iter().copied()).collect();
        self.script.try_run("exec", &arguments)
    }

    /// kubectl on the client, through the VIP.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.script.run("kubectl", arguments)
    }

    /// Puts the cable of a node into this condition.
    pub(crate) fn cable(&self, node: Node, cable: Cable) {
        let condition = match cable {
            Cable::Plugged => "plugged",
            Cable::Unplugged => "unplugged",
            Cable::Lossy => "lossy",
        };
        self.script.run("cable", &[&host(node), condition]);
    }

    /// SIGKILL; the service is started again, as by systemd.
    pub(crate) fn kill_service(&self, node: Node, service: Service) {
        self.service(node, "kill", service);
    }

    /// Stops a service, and it stays so.
    pub(crate) fn stop_service(&self, node: Node, service: Service) {
        self.service(node, "stop", service);
    }

    /// Starts it again.
    pub(crate) fn start_service(&self, node: Node, service: Service) {
        self.service(node, "start", service);
    }

    fn service(&self, node: Node, verb: &str, service: Service) {
        let name = match service {
            Service::Kubelet => "kubelet",
            Service::Containerd => "containerd",
            Service::KubeProxy => "kube-proxy",
        };
        self.script.run("service", &[&host(node), verb, name]);
    }

    /// SIGKILL to our process, as the runtime does it.
    pub(crate) fn kill_daemon(&self, node: Node) {
        self.daemon(node).signal(Signal::Kill);
    }

    /// Moves our static pod's manifest out of the kubelet's sight.
    pub(crate) fn remove_manifest(&self, node: Node) {
        self.exec(node, &["mv", MANIFEST, PARKED]);
    }

    /// Puts it back.
    pub(crate) fn restore_manifest(&self, node: Node) {
        self.exec(node, &["mv", PARKED, MANIFEST]);
    }

    /// Freezes etcd on these nodes; a majority of them means that nothing can be written.
    pub(crate) fn freeze_etcd(&self, nodes: &[Node]) {
        nodes.iter().for_each(|node| self.process(*node, "etcd").unwrap().signal(Signal::Stop));
    }

    /// Thaws it.
    pub(crate) fn thaw_etcd(&self, nodes: &[Node]) {
        nodes.iter().for_each(|node| self.process(*node, "etcd").unwrap().signal(Signal::Continue));
    }

    /// Waits until the client is answered by a node that `accepted` likes, and says which it was and when.
    pub(crate) fn wait_answered_by(
        &self,
        from: Instant,
        patience: Duration,
        accepted: impl Fn(Node) -> bool,
    ) -> (Node, Instant) {
        wait("the VIP answers", patience, || self.probes.first_after(from, &accepted))
    }
}

impl Bed {
    /// What the first API server that answers says of the pods, and what has happened.
    fn tell_pods(&self) {
        let ask = "for file in \"$0\"/n*.conf; do kubectl --kubeconfig \"$file\" --request-timeout=5s get pods -A -o wide && \
                   kubectl --kubeconfig \"$file\" --request-timeout=5s get events -A --sort-by=.lastTimestamp | tail -25 && break; done";
        let folder = self.script.folder();
        let said =
            self.script.try_run("exec", &["client", "bash", "-c", ask, folder.to_str().unwrap_or_default()]);
        eprintln!("--- pods and events\n{}", String::from_utf8_lossy(&said.stdout));
    }
}

impl Drop for Bed {
    /// A test that fails shows what the daemons said.
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the cluster lived for {:?}", clock::now() - self.begun);
            for node in &self.nodes {
                let log = self.log(*node);
                let lines: Vec<&str> = log.lines().collect();
                let tail = &lines[lines.len().saturating_sub(60)..];
                eprintln!("--- vipcast on n{node}\n{}", tail.join("\n"));
            }
            self.tell_pods();
        }
        // Who is asked has to be there.
        self.routers = None;
        if !self.left && !keeps() {
            remove(&self.script);
        }
    }
}

/// A cluster that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Cleanup(pub(crate) Script);

impl Drop for Cleanup {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// A cluster that stays would take the machine's memory from what comes after it.
fn remove(script: &Script) {
    let output = script.try_run("down", &[]);
    assert!(
        output.status.success() || thread::panicking(),
        "the cluster cannot be removed: {}",
        output.status
    );
}

/// What of us is in the nodes' kernels and in the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remains {
    /// Nodes whose kernel has the VIP.
    pub(crate) vips: BTreeSet<Node>,
    /// The Leases in kube-system that are not of Kubernetes itself.
    pub(crate) leases: BTreeSet<String>,
    /// Event objects that we wrote.
    pub(crate) events: usize,
}

/// Waits until `probe` has something.
pub(crate) fn wait<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::now() + patience;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(clock::now() < deadline, "waited in vain until {what}");
        thread::sleep(ms(10));
    }
}

/// The name of a node.
pub(crate) fn host(node: Node) -> String {
    format!("n{node}")
}

/// The number of a node by its name.
pub(crate) fn number(name: &str) -> Option<Node> {
    name.strip_prefix('n')?.parse().ok()
}

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Clusters are left for the next run, and for whoever wants to see what is wrong.
fn keeps() -> bool {
    std::env::var_os("VIPCAST_KEEP").is_some()
}

/// The cluster of this run: `$VIPCAST_CLUSTER` where several are to be there at a time.
pub(crate) fn script() -> Script {
    let name = std::env::var("VIPCAST_CLUSTER").unwrap_or_else(|_| CLUSTER_NAME.to_owned());
    Script::new(&name, directory())
}

/// Where the test's clusters are kept; not with those that people make.
fn directory() -> PathBuf {
    std::env::temp_dir().join("vipcast-test-clusters")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // Links lead back to the same files.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&entry.path(), files),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

/// The VIP of every test cluster.
pub(crate) const VIP: &str = "10.88.0.100";
pub(crate) const VIPCAST: &str = env!("CARGO_BIN_EXE_vipcast");
const CLUSTER_NAME: &str = "test";
pub(crate) const MANIFEST: &str = "/etc/kubernetes/manifests/vipcast.yaml";
const PARKED: &str = "/etc/kubernetes/vipcast.yaml";
/// For what must happen, when the moment does not matter.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Kubernetes' own time-outs, and two cores for everything.
const PATIENCE: Duration = Duration::from_secs(180);
