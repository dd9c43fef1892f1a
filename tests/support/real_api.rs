//! A real kube-apiserver with its etcd, for one test or for a whole test program.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use std::{env, fmt};

use k8s_openapi::ByteString;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tempfile::TempDir;

use super::process::Process;
use super::{certificates, in_path, is_executable};

/// The programs that a real API server is made of.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub kube_apiserver: PathBuf,
    pub etcd: PathBuf,
}

/// A program that is not here.
#[derive(Debug)]
pub struct Missing(&'static str);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kubernetes/build.sh");
        write!(f, "{} is missing: build it with {script} (needs Go)", self.0)
    }
}

impl Binaries {
    /// Looks where `tests/kubernetes/build.sh` builds to, in `$KUBEBUILDER_ASSETS` and in `$PATH`. An etcd from `$PATH` may be
    /// too old for kube-apiserver to serve watches, so only the first two are asked for that one.
    pub fn find() -> Result<Self, Missing> {
        let built = [cache(), env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from)];
        let find = |name: &str| {
            let mut files = built.iter().flatten().map(|folder| folder.join(name));
            files.find(|file| is_executable(file))
        };
        let kube_apiserver = find("kube-apiserver").or_else(|| in_path("kube-apiserver"));
        Ok(Self {
            kube_apiserver: kube_apiserver.ok_or(Missing("kube-apiserver"))?,
            etcd: find("etcd").ok_or(Missing("etcd (3.5 or later)"))?,
        })
    }
}

/// How to start it; the default is loopback, free ports, and only the administrator.
#[derive(Debug, Clone)]
pub struct Launch {
    /// What both programs are started through, such as `ip netns exec NAME`; it must `exec`, not fork.
    pub wrapper: Vec<String>,
    /// Where kube-apiserver listens.
    pub address: IpAddr,
    /// Its port; a free one where there is none.
    pub port: Option<u16>,
    /// Subject alternative names beside `kubernetes`, `localhost`, `127.0.0.1` and the address: the VIPs.
    pub names: Vec<String>,
    /// Users beside `admin`, who is in `system:masters`.
    pub users: Vec<User>,
    /// Added to kube-apiserver's command line.
    pub arguments: Vec<String>,
}

/// Someone with a token; RBAC says what they may do.
#[derive(Debug, Clone)]
pub struct User {
    pub name: String,
    pub groups: Vec<String>,
}

impl Default for Launch {
    fn default() -> Self {
        Self {
            wrapper: Vec::new(),
            address: Ipv4Addr::LOCALHOST.into(),
            port: None,
            names: Vec::new(),
            users: Vec::new(),
            arguments: Vec::new(),
        }
    }
}

/// A running API server. Both its processes are killed on drop.
#[derive(Debug)]
pub struct RealApi {
    /// SIGKILL is the only signal that ends it without its etcd.
    pub kube_apiserver: Process,
    pub etcd: Process,
    binaries: Binaries,
    launch: Launch,
    ports: Ports,
    folder: TempDir,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    api: u16,
    etcd: u16,
    etcd_peer: u16,
}

impl RealApi {
    /// Starts both and waits until kube-apiserver is ready: two to three seconds.
    pub fn start(launch: Launch) -> io::Result<Self> {
        let binaries = Binaries::find().map_err(|missing| io::Error::other(missing.to_string()))?;
        let folder = TempDir::with_prefix("vipcast-api-")?;
        let ports = ports(&launch)?;
        certificates::write(folder.path(), names(&launch))?;
        fs::write(folder.path().join("tokens.csv"), tokens(&launch.users))?;
        let start = |command: Vec<String>, log: &str| {
            let command: Vec<String> = launch.wrapper.iter().cloned().chain(command).collect();
            Process::start(&command, &folder.path().join(log))
        };
        let etcd = start(etcd_command(&binaries, ports, folder.path()), "etcd.log")?;
        inside(&launch, etcd.id(), || age(ports.etcd))?;
        let command = api_command(&binaries, &launch, ports, folder.path());
        let kube_apiserver = start(command, "kube-apiserver.log")?;
        let mut api = Self { kube_apiserver, etcd, binaries, launch, ports, folder };
        api.write_kubeconfigs()?;
        api.wait_until_ready()?;
        Ok(api)
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        let address = match self.launch.address {
            any if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            address => address,
        };
        format!("https://{}", SocketAddr::new(address, self.ports.api))
    }

    pub fn port(&self) -> u16 {
        self.ports.api
    }

    /// The certificate authority's file.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// The kubeconfig file of `admin` or of another user.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.path().join(format!("{user}.conf"))
    }

    /// A kubeconfig file that says another server, such as `https://VIP:6443`.
    pub fn kubeconfig_for(&self, user: &str, server: &str) -> io::Result<PathBuf> {
        let host: String = server.chars().filter(char::is_ascii_alphanumeric).collect();
        let file = self.folder.path().join(format!("{user}-{host}.conf"));
        fs::write(&file, kubeconfig(user, server, &self.ca()))?;
        Ok(file)
    }

    /// A client of that user. Within a network namespace, call this and use it in [`RealApi::inside`].
    pub async fn client(&self, user: &str) -> io::Result<kube::Client> {
        client(&self.kubeconfig(user)).await
    }

    /// Runs `body` in the network namespace that the API server is in, on a thread of its own.
    pub fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        inside(&self.launch, self.kube_apiserver.id(), body)
    }

    /// Kills kube-apiserver and leaves etcd.
    pub fn stop_api(&mut self) {
        self.kube_apiserver.kill();
    }

    /// Starts kube-apiserver again with the same data, and waits until it is ready.
    pub fn restart_api(&mut self) -> io::Result<()> {
        self.kube_apiserver.kill();
        let command = api_command(&self.binaries, &self.launch, self.ports, self.folder.path());
        let command: Vec<String> = self.launch.wrapper.iter().cloned().chain(command).collect();
        let log = self.folder.path().join("kube-apiserver.log");
        self.kube_apiserver = Process::start(&command, &log)?;
        self.wait_until_ready()
    }

    /// Removes an object from etcd, such as `services/specs/default/web`, and every trace of it: whoever follows a watch of
    /// before can only list again. To be called while kube-apiserver is stopped.
    pub fn vanish(&self, object: &str) -> io::Result<()> {
        let key = ByteString(format!("/registry/{object}").into_bytes());
        let body = serde_json::json!({ "key": key }).to_string();
        let compact = || {
            let answer = post(self.ports.etcd, "/v3/kv/deleterange", &body)?;
            let answer: serde_json::Value = serde_json::from_str(&answer)?;
            let revision = serde_json::json!({ "revision": answer.pointer("/header/revision") });
            match answer.pointer("/deleted").and_then(serde_json::Value::as_str) {
                Some("1") => post(self.ports.etcd, "/v3/kv/compaction", &revision.to_string()).map(|_| ()),
                _ => Err(io::Error::new(io::ErrorKind::NotFound, object.to_owned())),
            }
        };
        inside(&self.launch, self.etcd.id(), compact)
    }

    /// SIGSTOP to both: connections are accepted and nothing is answered.
    pub fn freeze(&self) {
        self.kube_apiserver.freeze();
        self.etcd.freeze();
    }

    /// SIGCONT to both.
    pub fn thaw(&self) {
        self.etcd.thaw();
        self.kube_apiserver.thaw();
    }

    fn write_kubeconfigs(&self) -> io::Result<()> {
        let users = self.launch.users.iter().map(|user| user.name.as_str());
        for user in users.chain(["admin"]) {
            fs::write(self.kubeconfig(user), kubeconfig(user, &self.url(), &self.ca()))?;
        }
        Ok(())
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let admin = self.kubeconfig("admin");
        for _ in 0..READY_TRIES {
            if self.kube_apiserver.has_ended() {
                break;
            }
            if self.inside(|| is_ready(&admin)) {
                return Ok(());
            }
            thread::sleep(READY_INTERVAL);
        }
        let log = fs::read_to_string(self.folder.path().join("kube-apiserver.log"))?;
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        Err(io::Error::other(format!("kube-apiserver does not get ready; its log ends:\n{tail}")))
    }
}

fn cache() -> Option<PathBuf> {
    let named = env::var_os("VIPCAST_TEST_CACHE").map(PathBuf::from);
    named.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cache/vipcast").join(version()?)))
}

/// The folder of `tests/kubernetes/build.sh`: `kubernetes-1.36.3`.
fn version() -> Option<String> {
    let module = include_str!("../kubernetes/go.mod").lines();
    let required = module.map(str::trim).find_map(|line| line.strip_prefix("k8s.io/kubernetes v"));
    required.map(|version| format!("kubernetes-{version}"))
}

/// Free ports on loopback; in a namespace of their own the usual ones.
fn ports(launch: &Launch) -> io::Result<Ports> {
    if !launch.wrapper.is_empty() {
        let api = launch.port.unwrap_or(6443);
        return Ok(Ports { api, etcd: 2379, etcd_peer: 2380 });
    }
    // Held together until all are known, so that they differ.
    let sockets = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let [api, etcd, etcd_peer] = sockets.map(|s| s.and_then(|s| Ok((s.local_addr()?.port(), s))));
    let ((api, _api), (etcd, _etcd), (etcd_peer, _etcd_peer)) = (api?, etcd?, etcd_peer?);
    let api = launch.port.unwrap_or(api);
    Ok(Ports { api, etcd, etcd_peer })
}

fn names(launch: &Launch) -> Vec<String> {
    let address = launch.address.to_string();
    let usual = ["kubernetes", "kubernetes.default", "localhost", "127.0.0.1", &address];
    let mut names: Vec<String> = usual.map(str::to_owned).into();
    names.extend(launch.names.iter().cloned());
    names.sort();
    names.dedup();
    names
}

fn tokens(users: &[User]) -> String {
    let mut lines = "token-of-admin,admin,admin,\"system:masters\"\n".to_owned();
    for User { name, groups } in users {
        lines += &format!("token-of-{name},{name},{name},\"{}\"\n", groups.join(","));
    }
    lines
}

fn kubeconfig(user: &str, server: &str, ca: &Path) -> String {
    let ca = ca.display();
    format!(
        r#"apiVersion: v1
kind: Config
clusters:
- name: test
  cluster:
    server: "{server}"
    certificate-authority: "{ca}"
users:
- name: "{user}"
  user:
    token: "token-of-{user}"
contexts:
- name: test
  context:
    cluster: test
    user: "{user}"
current-context: test
"#
    )
}

fn etcd_command(binaries: &Binaries, ports: Ports, folder: &Path) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    vec![
        binaries.etcd.display().to_string(),
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn api_command(binaries: &Binaries, launch: &Launch, ports: Ports, folder: &Path) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    // Advertised to nobody (no endpoint reconciler), yet looked for, in vain where there is no default route.
    let (services, advertised) = match launch.address {
        IpAddr::V4(_) => ("10.96.0.0/16,fd00:10:96::/112", "192.0.2.1"),
        IpAddr::V6(_) => ("fd00:10:96::/112,10.96.0.0/16", "2001:db8::1"),
    };
    let mut command = vec![
        binaries.kube_apiserver.display().to_string(),
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        format!("--bind-address={}", launch.address),
        format!("--secure-port={}", ports.api),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        format!("--service-cluster-ip-range={services}"),
        format!("--advertise-address={advertised}"),
        "--endpoint-reconciler-type=none".to_owned(),
        "--profiling=false".to_owned(),
    ];
    command.extend(launch.arguments.iter().cloned());
    command
}

/// Gives etcd a past that is compacted, as every cluster's has: so the first versions are too old from the start.
fn age(port: u16) -> io::Result<()> {
    let put = r#"{"key": "dmlwY2FzdA==", "value": "dmlwY2FzdA=="}"#;
    let mut tries = 0;
    while let Err(error) = post(port, "/v3/kv/put", put) {
        tries += 1;
        if tries > READY_TRIES {
            return Err(error);
        }
        thread::sleep(READY_INTERVAL);
    }
    for _ in 0..PAST {
        post(port, "/v3/kv/put", put)?;
    }
    post(port, "/v3/kv/compaction", &format!(r#"{{"revision": "{PAST}"}}"#)).map(|_| ())
}

/// One request to etcd's HTTP gateway; returns the body of its answer.
fn post(port: u16, path: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(io::Error::other(answer)),
    }
}

fn is_ready(kubeconfig: &Path) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ready = async {
        let request = axum::http::Request::get("/readyz").body(Vec::new());
        let client = client(kubeconfig).await?;
        let request = request.map_err(io::Error::other)?;
        client.request_text(request).await.map_err(io::Error::other)
    };
    runtime.is_ok_and(|runtime| runtime.block_on(ready).is_ok())
}

async fn client(kubeconfig: &Path) -> io::Result<kube::Client> {
    let file = Kubeconfig::read_from(kubeconfig).map_err(io::Error::other)?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    kube::Client::try_from(config.map_err(io::Error::other)?).map_err(io::Error::other)
}

/// On a thread of its own: a namespace is entered for good, and `body` may start a runtime where the caller is within one.
fn inside<T: Send>(launch: &Launch, process: u32, body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if !launch.wrapper.is_empty() {
                enter(process).expect("root may enter the namespace");
            }
            body()
        });
        let result = thread.join();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[expect(unsafe_code, reason = "setns(2) has no safe wrapper among our dependencies")]
fn enter(process: u32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // The wrapper enters the namespace before it runs the program: wait until it has.
    let program = PathBuf::from(format!("/proc/{process}/exe"));
    let is_it = |file: &Path| file.ends_with("etcd") || file.ends_with("kube-apiserver");
    for _ in 0..READY_TRIES {
        if fs::read_link(&program).is_ok_and(|file| is_it(&file)) {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let namespace = fs::File::open(format!("/proc/{process}/ns/net"))?;
    // SAFETY: setns(2) takes a descriptor that is open, and changes this thread only.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

const READY_TRIES: u32 = 600;
const READY_INTERVAL: Duration = Duration::from_millis(100);
/// How many revisions are compacted at the start.
const PAST: u32 = 20;
