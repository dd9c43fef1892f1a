//! The Ansible role on a node that kube-vip serves: what it waits for, and what it says when that does not come.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;

use super::role::{Cluster, names};
use super::said;

/// Afterwards kube-vip's manifest is gone and ours there, and a pod that is fit to hold the VIP has been seen.
pub(crate) fn ready() {
    let cluster = with_kube_vip(daemon(u64::MAX, "200 OK"), 30);
    let output = cluster.play(&[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(names(&cluster.manifests()), ["kube-apiserver.yaml", "vipcast.yml"]);
}

/// The play ends before the next node's turn: of the pod that is not ready, and of the one that ran before.
pub(crate) fn not_ready() {
    for (started, status) in [(u64::MAX, "503 Service Unavailable"), (0, "200 OK")] {
        let cluster = with_kube_vip(daemon(started, status), 2);
        let output = cluster.play(&[]);
        assert!(!output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("has not become ready on cp1 within 2 s"), "{}", said(&output));
    }
}

/// Whatever an earlier run has done to the manifest. One that serves what we are not asked for is not waited for.
pub(crate) fn still_there() {
    let for_services = "kube_vip_controlplane_enabled: false\nkube_vip_services_enabled: true\n";
    for (variables, other, same) in
        [("", "svc_enable", "cp_enable"), (for_services, "cp_enable", "svc_enable")]
    {
        let cluster = Cluster::with(variables);
        let programs = tempfile::tempdir().unwrap();
        let [mut other, mut same] =
            [("600", other), ("8", same)].map(|(seconds, switch)| kube_vip(programs.path(), seconds, switch));
        let output = cluster.play(&[]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(same.try_wait().unwrap().is_some(), "the manifest came while kube-vip ran");
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(cluster.manifest().exists());
    }
}

/// A node on which kube-vip is to make room for a pod whose metrics are at that port.
fn with_kube_vip(port: u16, patience: u32) -> Cluster {
    let cluster = Cluster::with(&format!(
        "kube_vip_metrics_enabled: true\nkube_vip_metrics_port: {port}\nvipcast_wait_seconds: {patience}\n"
    ));
    fs::create_dir_all(cluster.manifests()).unwrap();
    for name in ["kube-vip.yml", "vipcast.yaml", "kube-apiserver.yaml"] {
        fs::write(cluster.manifests().join(name), "kind: Pod\n").unwrap();
    }
    cluster
}

/// Answers as the daemon would, for as long as this program runs.
fn daemon(started: u64, readiness: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            let is_metrics = String::from_utf8_lossy(&request[..length]).starts_with("GET /metrics ");
            let (status, body) = match is_metrics {
                true => ("200 OK", format!("process_start_time_seconds {started}\n")),
                false => (readiness, String::new()),
            };
            // A client that is gone is nobody's loss.
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    port
}

/// A process of kube-vip's name that ends by itself.
fn kube_vip(folder: &Path, seconds: &str, switch: &str) -> Child {
    let program = folder.join("kube-vip");
    if !program.exists() {
        fs::copy("/bin/sleep", &program).unwrap();
    }
    Command::new(program).arg(seconds).env_clear().env(switch, "true").spawn().unwrap()
}
