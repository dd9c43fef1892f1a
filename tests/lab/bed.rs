//! A LAN with an API server and daemons that each test configures as it likes.

use std::collections::BTreeMap;
use std::net::{IpAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vipcast::clock;
use vipcast::demo::lab::lan::{Host, Lan};
use vipcast::demo::lab::namespace::Namespace;
use vipcast::demo::lab::process::Process;
use vipcast::demo::lab::work_dir::WorkDir;

use super::kernel::{self, Address};
use super::kubernetes::Kubernetes;
use super::support::in_path;
use super::support::real_api::{Launch, RealApi, User};

/// Everything on the LAN. Dropping it ends every process and removes every namespace and file.
pub(crate) struct Bed {
    daemons: BTreeMap<usize, Process>,
    embedded: Option<Process>,
    pub(crate) real: Option<RealApi>,
    pub(crate) lan: Lan,
    pub(crate) directory: WorkDir,
    /// The program of the daemons.
    pub(crate) program: PathBuf,
}

impl Bed {
    /// A LAN of `nodes` without API server.
    pub(crate) fn bare(nodes: usize) -> Self {
        Self {
            daemons: BTreeMap::new(),
            embedded: None,
            real: None,
            lan: Lan::build(nodes).unwrap(),
            directory: WorkDir::create().unwrap(),
            program: VIPCAST.into(),
        }
    }

    /// With the embedded API server, which knows the nodes.
    pub(crate) fn embedded(nodes: usize) -> Self {
        let mut bed = Self::bare(nodes);
        bed.start_embedded();
        bed
    }

    /// With a real one on the host `api`, which knows the nodes.
    pub(crate) fn real(nodes: usize) -> Self {
        Self::real_told(nodes, Vec::new())
    }

    /// The same; kube-apiserver gets these arguments as well.
    pub(crate) fn real_told(nodes: usize, arguments: Vec<String>) -> Self {
        let mut bed = Self::bare(nodes);
        let launch = Launch { arguments, ..launch(&bed.lan.api, bed.lan.api.v4.into()) };
        bed.real = Some(RealApi::start(launch).unwrap());
        bed.register_nodes();
        bed
    }

    /// Starts the embedded API server on the host `api`, on all its addresses.
    pub(crate) fn start_embedded(&mut self) {
        let mut command = self.lan.api.namespace.command(Path::new(VIPCAST)).unwrap();
        command.args(["demo-api", "--listen", "0.0.0.0:6443"]).env_clear();
        let log = self.directory.file("api.log");
        self.embedded = Some(Process::spawn("api", command, &log).unwrap());
        self.directory.write("embedded.conf", &kubeconfig("http://10.77.0.2:6443")).unwrap();
        let listening = || TcpStream::connect("127.0.0.1:6443").is_ok();
        wait("the API server listens", SOON, || self.lan.api.namespace.run(listening).unwrap().then_some(()));
        self.register_nodes();
    }

    /// Freezes whatever API server there is.
    pub(crate) fn freeze_api(&mut self) {
        match (&self.real, &mut self.embedded) {
            (Some(real), _) => real.freeze(),
            (None, api) => api.as_mut().unwrap().stop().unwrap(),
        }
    }

    /// Thaws it.
    pub(crate) fn thaw_api(&mut self) {
        match (&self.real, &mut self.embedded) {
            (Some(real), _) => real.thaw(),
            (None, api) => api.as_mut().unwrap().cont().unwrap(),
        }
    }

    /// Requests of the administrator, from the host `api`.
    pub(crate) fn kubernetes(&self) -> Kubernetes<'_> {
        Kubernetes { namespace: &self.lan.api.namespace, kubeconfig: self.kubeconfig() }
    }

    /// The administrator's.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.real
            .as_ref()
            .map_or_else(|| self.directory.file("embedded.conf"), |real| real.kubeconfig("admin"))
    }

    /// The API knows the nodes, as in a cluster.
    pub(crate) fn register_nodes(&self) {
        for node in &self.lan.nodes {
            self.kubernetes().create("/api/v1/nodes", &node_object(&node.name, node.v4.into()));
        }
    }

    /// Starts the daemon of `node` with this environment beside and over the usual one.
    pub(crate) fn start(&mut self, node: usize, environment: &[(&str, &str)]) {
        self.start_through(node, &[], environment);
    }

    /// The same through a program that ends by executing the daemon.
    pub(crate) fn start_through(&mut self, node: usize, wrapper: &[String], environment: &[(&str, &str)]) {
        let host = &self.lan.nodes[node];
        let daemon = [self.program.display().to_string(), "run".to_owned()];
        let words: Vec<String> = wrapper.iter().cloned().chain(daemon).collect();
        let mut command = host.namespace.command(Path::new(&words[0])).unwrap();
        command.args(&words[1..]).env_clear().envs(self.usual_environment(host));
        for (name, value) in environment {
            match value.is_empty() {
                true => command.env_remove(name),
                false => command.env(name, value),
            };
        }
        let daemon = Process::spawn(&host.name, command, &self.log_file(node)).unwrap();
        self.daemons.insert(node, daemon);
    }

    fn usual_environment(&self, host: &Host) -> Vec<(String, String)> {
        let settings = [
            ("vip_arp", "true".to_owned()),
            ("cp_enable", "true".to_owned()),
            ("address", VIP.to_owned()),
            ("vip_leaseduration", "5".to_owned()),
            ("vip_renewdeadline", "3".to_owned()),
            ("vip_retryperiod", "1".to_owned()),
            ("vip_nodename", host.name.clone()),
            ("k8s_config_file", self.kubeconfig().display().to_string()),
            ("vipcast_health_enabled", "false".to_owned()),
            ("vipcast_log_format", "json".to_owned()),
            ("vipcast_admin_socket", self.socket(&host.name).display().to_string()),
        ];
        settings.map(|(name, value)| (name.to_owned(), value)).into()
    }

    pub(crate) fn socket(&self, host: &str) -> PathBuf {
        self.directory.file(&format!("{host}.sock"))
    }

    fn log_file(&self, node: usize) -> PathBuf {
        self.directory.file(&format!("{}.log", self.lan.nodes[node].name))
    }

    /// The daemon of `node`.
    pub(crate) fn daemon(&mut self, node: usize) -> &mut Process {
        self.daemons.get_mut(&node).unwrap()
    }

    /// What the daemons of `node` have logged.
    pub(crate) fn log(&self, node: usize) -> Vec<Value> {
        let text = std::fs::read_to_string(self.log_file(node)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Those of them with this message.
    pub(crate) fn logged(&self, node: usize, message: &str) -> Vec<Value> {
        self.log(node).into_iter().filter(|line| line["message"] == message).collect()
    }

    /// `vipcast status` for the daemon of `node`.
    pub(crate) fn status_command(&self, node: usize) -> Output {
        let mut command = std::process::Command::new(VIPCAST);
        command.args(["status", "-o", "json", "--socket"]);
        command.arg(self.socket(&self.lan.nodes[node].name)).output().unwrap()
    }

    /// What it prints.
    pub(crate) fn status(&self, node: usize) -> Value {
        serde_json::from_slice(&self.status_command(node).stdout).unwrap_or_default()
    }

    /// Waits until the daemon of `node` knows who holds the Lease, and it is not itself.
    pub(crate) fn wait_standby(&self, node: usize) {
        wait("it stands by", SOON, || {
            let status = self.status(node);
            let holder = &status["scopes"][0]["holder"];
            (status["scopes"][0]["state"] == "standby" && holder.is_string()).then_some(())
        });
    }

    /// Waits until the kernel of `node` has the VIP.
    pub(crate) fn wait_held(&self, node: usize) -> Instant {
        self.wait_address(node, VIP, SOON)
    }

    /// The same for another address and patience.
    pub(crate) fn wait_address(&self, node: usize, address: &str, patience: Duration) -> Instant {
        let what = format!("{} has {address}", self.lan.nodes[node].name);
        wait(&what, patience, || self.has(node, address).then(clock::now))
    }

    /// Waits until it has not.
    pub(crate) fn wait_gone(&self, node: usize, address: &str, patience: Duration) -> Instant {
        let what = format!("{address} has left {}", self.lan.nodes[node].name);
        wait(&what, patience, || (!self.has(node, address)).then(clock::now))
    }

    /// Whether the kernel of `node` has the address.
    pub(crate) fn has(&self, node: usize, address: &str) -> bool {
        self.kernel(node, address).is_some()
    }

    /// What the kernel of `node` says about the address.
    pub(crate) fn kernel(&self, node: usize, address: &str) -> Option<Address> {
        let address: IpAddr = address.parse().unwrap();
        kernel::addresses(&self.lan.nodes[node].namespace).into_iter().find(|known| known.address == address)
    }

    /// SIGTERM, and how and after how long it ended.
    pub(crate) fn terminate(&mut self, node: usize) -> (ExitStatus, Duration) {
        let begin = clock::now();
        self.daemon(node).term().unwrap();
        let status = self.daemon(node).wait(SOON).unwrap().expect("the daemon ends");
        (status, clock::now() - begin)
    }
}

impl Drop for Bed {
    /// A test that fails shows what the daemons said.
    fn drop(&mut self) {
        if thread::panicking() {
            for daemon in self.daemons.values() {
                eprintln!("--- {}\n{}", daemon.name(), daemon.last_lines(60).join("\n"));
            }
        }
    }
}

/// A real API server inside the namespace of `host`.
pub(crate) fn real_api(host: &Host, address: IpAddr, users: Vec<User>) -> RealApi {
    RealApi::start(Launch { users, ..launch(host, address) }).unwrap()
}

fn launch(host: &Host, address: IpAddr) -> Launch {
    let namespace = format!("--net=/proc/{}/fd/{}", std::process::id(), host.namespace.number());
    let nsenter = in_path("nsenter").unwrap().display().to_string();
    Launch { wrapper: vec![nsenter, namespace], address, names: vec![VIP.to_owned()], ..Launch::default() }
}

/// Waits until `probe` has something.
pub(crate) fn wait<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::now() + patience;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(clock::now() < deadline, "waited in vain until {what}");
        thread::sleep(GLANCE);
    }
}

/// Asserts for all of `span` that nothing breaks.
pub(crate) fn throughout(span: Duration, mut check: impl FnMut()) {
    let end = clock::now() + span;
    while clock::now() < end {
        check();
        thread::sleep(GLANCE);
    }
}

/// A kubeconfig without credentials.
pub(crate) fn kubeconfig(server: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "lab",
        "clusters": [{ "name": "lab", "cluster": { "server": server } }],
        "users": [{ "name": "lab", "user": {} }],
        "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": "lab" } }],
    })
    .to_string()
}

/// One answer of an HTTP server in `namespace`: status and body.
pub(crate) fn http(namespace: &Namespace, address: &str, path: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let exchange = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SOON))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    let answer = namespace.run(exchange).unwrap().unwrap_or_else(|error: std::io::Error| error.to_string());
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (code, answer)
}

fn node_object(name: &str, address: IpAddr) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "labels": { "node-role.kubernetes.io/control-plane": "" } },
        "status": {
            "addresses": [{ "type": "InternalIP", "address": address }],
            "conditions": [{ "type": "Ready", "status": "True" }],
        },
    })
}

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) const VIPCAST: &str = env!("CARGO_BIN_EXE_vipcast");
pub(crate) const VIP: &str = "10.77.0.100";
pub(crate) const VIP6: &str = "fd00:77::100";
/// For what must happen, when the moment does not matter.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// What a loaded machine may add to a figure.
pub(crate) const SLACK: Duration = ms(500);
const GLANCE: Duration = ms(3);
