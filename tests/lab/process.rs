//! The daemon as a process: how it ends, what it refuses, and what it tells those who ask.

use std::process::Command;

use vipcast::clock;

use super::LAN;
use super::bed::{Bed, SLACK, SOON, VIP, VIPCAST, http, ms, wait};
use super::support::{Test, trial};

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("process::sigterm_ends_it_in_order_within_a_second", LAN, sigterm),
        trial("process::a_second_signal_ends_it_at_once", LAN, second_signal),
        trial("process::a_wrong_configuration_names_every_problem", &[], wrong_configuration),
        trial("process::status_exits_with_0_1_or_3", LAN, status),
        trial("process::probes_and_metrics_are_served_over_tcp", LAN, served),
    ]
}

fn sigterm() {
    let mut bed = Bed::embedded(1);
    bed.start(0, &[]);
    bed.wait_held(0);
    let (status, took) = bed.terminate(0);
    assert_eq!(status.code(), Some(0));
    assert!(took < ms(1000) + SLACK, "{took:?}");
    assert!(!bed.has(0, VIP));
    assert_eq!(bed.kubernetes().lease().unwrap()["holderIdentity"], "");
}

/// The release cannot be written, so there is something to wait for.
fn second_signal() {
    let mut bed = Bed::embedded(1);
    bed.start(0, &[("vipcast_shutdown_wait", "1s")]);
    bed.wait_held(0);
    bed.freeze_api();
    bed.daemon(0).term().unwrap();
    bed.wait_gone(0, VIP, ms(500));
    assert_eq!(bed.daemon(0).exit_status().unwrap(), None, "it waits for the release");
    let again = clock::now();
    bed.daemon(0).term().unwrap();
    let status = bed.daemon(0).wait(SOON).unwrap().expect("it ends");
    let took = clock::now() - again;
    assert_eq!(status.code(), Some(1));
    assert!(took < ms(300), "{took:?}");
    assert_eq!(bed.logged(0, "stopped at once, asked twice; the kernel removes what is left").len(), 1);
}

fn wrong_configuration() {
    let wrong = [
        ("cp_enable", "true"),
        ("vip_arp", "perhaps"),
        ("address", "10.77.0.300"),
        ("vip_leaseduration", "3"),
        ("vip_renewdeadline", "9"),
        ("vip_leesename", "typo"),
        ("prometheus_server", "nonsense"),
    ];
    let output = Command::new(VIPCAST).arg("run").env_clear().envs(wrong).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    for name in ["vip_arp", "address", "vip_renewdeadline", "vip_leesename", "prometheus_server"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} in {text}");
    }
    assert!(text.contains("vip_leasename"), "the nearest name is a hint: {text}");
}

fn status() {
    let mut bed = Bed::embedded(1);
    assert_eq!(bed.status_command(0).status.code(), Some(1), "nobody is there");
    bed.start(0, &[]);
    bed.wait_held(0);
    wait("all is well", SOON, || (bed.status_command(0).status.code() == Some(0)).then_some(()));
    let status = bed.status(0);
    let vip = &status["vips"][0];
    assert_eq!((&vip["address"], &vip["state"]), (&VIP.into(), &"held".into()));
    assert_eq!(status["scopes"][0]["holder"], "node1");
    bed.freeze_api();
    wait("it says that something is wrong", SOON, || {
        (bed.status_command(0).status.code() == Some(3)).then_some(())
    });
    bed.terminate(0);
    assert_eq!(bed.status_command(0).status.code(), Some(1), "nobody is there any more");
}

fn served() {
    let mut bed = Bed::bare(1);
    let none = bed.directory.file("none.conf").display().to_string();
    bed.start(0, &[("k8s_config_file", &none), ("prometheus_server", ":2112")]);
    let answer = |bed: &Bed, path: &str| http(&bed.lan.nodes[0].namespace, "127.0.0.1:2112", path);
    wait("it serves", SOON, || (answer(&bed, "/livez").0 == 200).then_some(()));
    assert_eq!(answer(&bed, "/readyz").0, 503, "no API server has answered yet");
    bed.start_embedded();
    std::fs::copy(bed.kubeconfig(), none).unwrap();
    bed.wait_held(0);
    wait("it is ready", SOON, || (answer(&bed, "/readyz").0 == 200).then_some(()));
    let (code, metrics) = answer(&bed, "/metrics");
    assert_eq!(code, 200);
    for line in ["vipcast_ready 1", "kube_vip_is_leader", "process_resident_memory_bytes"] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(
        metrics.lines().any(|line| line.starts_with("vipcast_vip_held{") && line.ends_with(" 1.0")),
        "{metrics}"
    );
    // From another host, as Prometheus does it.
    let node = format!("{}:2112", bed.lan.nodes[0].v4);
    assert_eq!(http(&bed.lan.client.namespace, &node, "/metrics").0, 200);
}
