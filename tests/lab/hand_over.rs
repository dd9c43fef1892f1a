//! The order of a hand-over, against a real kube-apiserver: the VIP is gone before the Lease says so.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use serde_json::Value;
use vipcast::clock;
use vipcast::demo::lab::lan::Host;

use super::REAL;
use super::bed::{Bed, SLACK, SOON, VIP, ms};
use super::support::{Needs, Test, in_path, trial};

pub(crate) fn all() -> Vec<Test> {
    let needs = [REAL, &[Needs::Program("ip")]].concat();
    vec![
        trial("hand_over::on_sigterm_the_vip_is_gone_before_the_lease_is_free", &needs, on_sigterm),
        trial(
            "hand_over::on_loss_of_health_the_vip_is_gone_before_the_lease_is_free",
            &needs,
            on_loss_of_health,
        ),
    ]
}

fn on_sigterm() {
    let mut bed = Bed::real(2);
    bed.start(0, &[]);
    bed.wait_held(0);
    bed.start(1, &[]);
    bed.wait_standby(1);
    let held = bed.kubernetes().lease().unwrap();
    assert_eq!((&held["holderIdentity"], &held["leaseDurationSeconds"]), (&"node1".into(), &5.into()));
    let (lease, kernel) = (bed.kubernetes().watch_lease(), departures(&bed.lan.nodes[0]));
    // The first event is what is there already: from here on nothing is missed.
    let _ = lease.recv_timeout(SOON).unwrap();
    let (status, _) = bed.terminate(0);
    assert_eq!(status.code(), Some(0));
    let transitions = is_in_order(&lease, &kernel, "node2");
    assert_eq!(Some(transitions), held["leaseTransitions"].as_i64());
}

fn on_loss_of_health() {
    let mut bed = Bed::real(2);
    let health = Health::start(&bed.lan.nodes[0]);
    let address =
        [("vipcast_health_enabled", "true"), ("control_plane_health_check_address", "http://127.0.0.1:8080")];
    bed.start(0, &address);
    bed.wait_held(0);
    bed.start(1, &[]);
    bed.wait_standby(1);
    let (lease, kernel) = (bed.kubernetes().watch_lease(), departures(&bed.lan.nodes[0]));
    let _ = lease.recv_timeout(SOON).unwrap();
    health.healthy.store(false, Ordering::Relaxed);
    let sick = clock::now();
    is_in_order(&lease, &kernel, "node2");
    let took = clock::now() - sick;
    // Three failures in a row, a second apart.
    assert!(took > ms(1000) && took < ms(3500) + SLACK, "{took:?}");
    bed.wait_held(1);
    assert_eq!(bed.daemon(0).exit_status().unwrap(), None, "it goes on as a standby");
    assert_eq!(bed.logged(0, "local API server is not healthy").len(), 1);
}

/// The release is written as client-go writes it, after the address has left the kernel, and the next one counts on.
/// Returns the transitions at the release.
fn is_in_order(lease: &Receiver<(Instant, Value)>, kernel: &Departures, next: &str) -> i64 {
    let (released, spec) = find(lease, |spec| spec["holderIdentity"] == "");
    let gone = kernel.heard.recv_timeout(SOON).expect("the address leaves the kernel");
    assert!(gone < released, "released {:?} before the VIP was gone", gone.checked_duration_since(released));
    assert_eq!(spec["leaseDurationSeconds"], 1);
    assert!(spec["renewTime"].is_string() && spec["acquireTime"] == spec["renewTime"], "{spec}");
    let (_, taken) = find(lease, |spec| spec["holderIdentity"] == next);
    let transitions = spec["leaseTransitions"].as_i64().unwrap();
    assert_eq!(
        (&taken["leaseTransitions"], &taken["leaseDurationSeconds"]),
        (&(transitions + 1).into(), &5.into())
    );
    transitions
}

fn find(lease: &Receiver<(Instant, Value)>, wanted: impl Fn(&Value) -> bool) -> (Instant, Value) {
    loop {
        let (at, spec) = lease.recv_timeout(SOON).expect("the Lease comes to that");
        if wanted(&spec) {
            return (at, spec);
        }
    }
}

/// When the VIP leaves the kernel of a host, as `ip monitor` tells.
struct Departures {
    monitor: Child,
    heard: Receiver<Instant>,
}

impl Drop for Departures {
    fn drop(&mut self) {
        let _ = self.monitor.kill();
        let _ = self.monitor.wait();
    }
}

fn departures(host: &Host) -> Departures {
    let mut command = host.namespace.command(&in_path("ip").unwrap()).unwrap();
    command.args(["-4", "-o", "monitor", "address"]).stdout(Stdio::piped());
    let mut monitor = command.spawn().unwrap();
    let mut lines = BufReader::new(monitor.stdout.take().unwrap()).lines().map_while(Result::ok);
    // The address is extended all the time: the first line shows that it listens.
    assert!(lines.next().is_some_and(|line| line.contains(VIP)));
    let (report, heard) = channel();
    thread::spawn(move || {
        for line in lines {
            if line.starts_with("Deleted") && line.contains(VIP) && report.send(clock::now()).is_err() {
                break;
            }
        }
    });
    Departures { monitor, heard }
}

/// An API server's health, as one wants it.
struct Health {
    healthy: Arc<AtomicBool>,
}

impl Health {
    fn start(host: &Host) -> Self {
        let healthy = Arc::new(AtomicBool::new(true));
        let told = Arc::clone(&healthy);
        let serving = host.namespace.spawn(
            "health",
            || TcpListener::bind("127.0.0.1:8080"),
            move |listener| {
                for stream in listener.incoming().flatten() {
                    let _ = answer(stream, told.load(Ordering::Relaxed));
                }
            },
        );
        drop::<thread::JoinHandle<()>>(serving.unwrap());
        Self { healthy }
    }
}

fn answer(mut stream: std::net::TcpStream, healthy: bool) -> io::Result<()> {
    let _ = stream.read(&mut [0; 1024])?;
    let status = if healthy { "200 OK" } else { "500 Internal Server Error" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
}
