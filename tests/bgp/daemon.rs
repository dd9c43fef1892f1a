//! The daemon in a namespace, configured by a file, beside an API server that the test makes healthy or not.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};
use vipcast::clock;
use vipcast::demo::lab::process::Process;
use vipcast::demo::lab::work_dir::WorkDir;

use super::net::Net;
use super::setup::{Family, Peer, Restart, Setup};
use super::wait::SOON;

/// It, and what belongs to it.
#[derive(Debug)]
pub(crate) struct Daemon {
    net: Net,
    node: String,
    process: Option<Process>,
    directory: WorkDir,
    api: Api,
}

impl Daemon {
    pub(crate) fn start(net: &Net, setup: &Setup) -> Self {
        let directory = WorkDir::create().unwrap();
        let node = setup.election.as_ref().map_or("node1", |election| &election.node).to_owned();
        let mut daemon = Self { net: Net::clone(net), node, process: None, directory, api: Api::serve(net) };
        daemon.configure(setup);
        daemon.start_again();
        daemon
    }

    fn configure(&self, setup: &Setup) {
        let text = serde_json::to_string_pretty(&config(setup)).unwrap();
        // A file that is being written is nobody's configuration.
        let new = self.directory.write("config.new", &text).unwrap();
        std::fs::rename(new, self.directory.file("config.yaml")).unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        let mut command = self.net.command(&program()).unwrap();
        command.args(["run", "--config"]).arg(self.directory.file("config.yaml")).env_clear();
        command.env("vipcast_admin_socket", self.directory.file("socket")).env("vip_nodename", &self.node);
        command.env("vip_loglevel", "5");
        self.process = Some(Process::spawn("vipcast", command, &self.directory.file("log")).unwrap());
    }

    /// Its file changes, and it is told.
    pub(crate) fn reload(&mut self, setup: &Setup) {
        self.configure(setup);
        let pid = self.process().pid().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    pub(crate) fn net(&self) -> &Net {
        &self.net
    }

    pub(crate) fn is_established(&self, router: IpAddr) -> bool {
        self.peer(router)["state"] == "established"
    }

    pub(crate) fn last_error(&self, router: IpAddr) -> Option<String> {
        self.peer(router)["lastError"]["why"].as_str().map(ToOwned::to_owned)
    }

    fn peer(&self, router: IpAddr) -> Value {
        let (said, router) = (self.ask(&["peers"]), router.to_string());
        let mut peers = said["peers"].as_array().into_iter().flatten();
        peers.find(|peer| peer["address"] == *router).cloned().unwrap_or_default()
    }

    pub(crate) fn term(&mut self) {
        let begin = clock::now();
        self.process().term().unwrap();
        let status = self.process().wait(SOON).unwrap().expect("the daemon ends");
        assert!(status.success(), "{status} after {:?}", clock::now() - begin);
        self.process = None;
    }

    /// Asks it to end, and does not wait.
    pub(crate) fn ask_to_end(&mut self) {
        self.process().term().unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// SIGSTOP.
    pub(crate) fn freeze(&mut self) {
        self.process().stop().unwrap();
    }

    /// SIGCONT.
    pub(crate) fn thaw(&mut self) {
        self.process().cont().unwrap();
    }

    pub(crate) fn api_is(&mut self, healthy: bool) {
        self.api.healthy.store(healthy, Ordering::Relaxed);
    }

    /// `vipcast peers -o json` and the like.
    pub(crate) fn ask(&self, words: &[&str]) -> Value {
        let mut command = Command::new(program());
        command.args(words).args(["-o", "json", "--socket"]).arg(self.directory.file("socket"));
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap_or_default()
    }

    pub(crate) fn complaint(&self) -> String {
        let lines = self.process.as_ref().map(|process| process.last_lines(40)).unwrap_or_default();
        format!("--- vipcast: {}\n{}", self.ask(&["peers"]), lines.join("\n"))
    }
}

/// The one that was built with this; `VIPCAST_BGP_DAEMON` names another one.
fn program() -> PathBuf {
    std::env::var_os("VIPCAST_BGP_DAEMON").unwrap_or_else(|| VIPCAST.into()).into()
}

/// A configuration file; JSON is YAML.
fn config(setup: &Setup) -> Value {
    let vips: Vec<String> = setup.routes.iter().map(|vip| vip.addr().to_string()).collect();
    let mut config = json!({
        "controlPlane": { "enabled": true, "address": vips.join(",") },
        "health": { "address": API, "interval": "100ms", "failureThreshold": 1, "successThreshold": 1 },
        "events": { "enabled": false },
        "bgp": {
            "enabled": true,
            "localAs": setup.local_as,
            "routerId": setup.router_id,
            "peers": setup.peers.iter().map(peer).collect::<Vec<Value>>(),
            "drain": { "wait": format!("{}ms", setup.drain_wait_ms) },
        },
    });
    if let Some(election) = &setup.election {
        config["election"] =
            json!({ "enabled": true, "leaseDuration": "5s", "renewDeadline": "3s", "retryPeriod": "1s" });
        config["kubernetes"] = json!({ "kubeconfig": election.kubeconfig });
    }
    config
}

fn peer(peer: &Peer) -> Value {
    let mut said = Map::new();
    let mut say = |name: &str, value: Value| said.insert(name.to_owned(), value);
    match peer.unnumbered {
        None => {
            say("address", json!(peer.address));
            say("sourceAddress", json!(peer.local));
        }
        Some(interface) => {
            say("address", json!(format!("unnumbered:{interface}")));
        }
    }
    say("as", json!(peer.remote_as));
    say("holdTime", json!(peer.hold));
    say("connectRetry", json!("1s"));
    say("families", peer.families.iter().map(|family| family.name()).collect());
    if peer.local.is_ipv4() && peer.has(Family::V6) || peer.local.is_ipv6() && !peer.extended_next_hop {
        say("nextHop", json!({ "mode": "found" }));
    }
    if let Some(password) = &peer.password {
        say("password", json!(password));
    }
    if peer.gtsm {
        say("gtsm", json!(true));
    }
    if let Some(hops) = peer.hops {
        say("multihop", json!(hops));
    }
    if peer.restart == Restart::Restarts {
        say("gracefulRestart", json!({ "enabled": true, "restartTime": "30s" }));
    }
    if let Some(interval) = peer.bfd {
        let interval = format!("{interval}ms");
        let bfd = json!({ "enabled": true, "transmitInterval": interval, "receiveInterval": interval, "multiplier": 3 });
        say("bfd", bfd);
    }
    if !peer.communities.is_empty() {
        let communities: Vec<String> =
            peer.communities.iter().map(|(high, low)| format!("{high}:{low}")).collect();
        say("communities", json!(communities));
    }
    if let Some(med) = peer.med {
        say("med", json!(med));
    }
    said.into()
}

/// Something that answers `/readyz` on the node's loopback.
#[derive(Debug)]
struct Api {
    healthy: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl Api {
    fn serve(net: &Net) -> Self {
        let (healthy, ended) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let (state, end) = (Arc::clone(&healthy), Arc::clone(&ended));
        let listen = || {
            let listener = TcpListener::bind(API_SOCKET)?;
            listener.set_nonblocking(true).map(|()| listener)
        };
        let work = move |listener: TcpListener| {
            while !end.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => answer(stream, state.load(Ordering::Relaxed)),
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        };
        net.spawn("api", listen, work).unwrap();
        Self { healthy, ended }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// A client that hangs up is a client that has got what it wanted.
fn answer(mut stream: std::net::TcpStream, healthy: bool) {
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    let _ = stream.read(&mut [0; 4096]);
    let status = if healthy { "200 OK" } else { "500 Internal Server Error" };
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
}

pub(crate) const VIPCAST: &str = env!("CARGO_BIN_EXE_vipcast");
const API_SOCKET: &str = "127.0.0.1:16443";
const API: &str = "http://127.0.0.1:16443/readyz";
