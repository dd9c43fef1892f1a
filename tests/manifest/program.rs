//! As a program among others: what it says, where, and how it ends.

use std::fs::File;
use std::process::{Command, Stdio};

use super::bed::VIPCAST;
use super::{LINE, manifest};

pub(crate) fn refusals() {
    let refused = |line: &str| {
        let output = manifest(line);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{line}: {errors}");
        errors
    };
    for (flag, feature) in [
        ("--enableLoadBalancer", "the IPVS load balancer"),
        ("--table", "the routing table mode"),
        ("--wireguard", "WireGuard"),
    ] {
        for kind in ["pod", "daemonset", "rbac", "service-account", "configmap", "podmonitor"] {
            let errors = refused(&format!("{kind} {LINE} {flag}"));
            let expected = format!("{flag} (flag): {feature} is not built into this version");
            assert!(errors.starts_with(&expected), "{kind}: {errors}");
        }
    }
    assert!(refused("pod --controlplane --arp").starts_with("address: "));
    assert!(
        refused(&format!("pod {LINE} --bgp")).starts_with("bgp_peers: BGP is switched on without a router")
    );
    assert!(
        refused(&format!("pod {LINE} --leaseDuration 3")).starts_with("vip_renewdeadline=10s (default): ")
    );
    assert!(refused(&format!("pod {LINE} --unknown")).contains("--unknown"));
    assert!(refused("rbac --manifest-namespace Kube_System").contains("not a namespace"));
}

pub(crate) fn environment() {
    let mut command = Command::new(VIPCAST);
    command.args(["manifest", "pod", "--arp", "--controlplane"]).env_clear();
    let output = command.envs([("address", "192.0.2.9"), ("vip_leaseduration", "30")]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in
        ["name: address\n      value: \"192.0.2.9\"\n", "name: vip_leaseduration\n      value: \"30\"\n"]
    {
        assert!(text.contains(line), "{text}");
    }
}

pub(crate) fn broken_pipe() {
    let mut command = Command::new(VIPCAST);
    command.args(["manifest", "rbac"]).env_clear().stderr(Stdio::piped());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
    let full = command.stdout(File::options().write(true).open("/dev/full").unwrap()).output().unwrap();
    assert_eq!(full.status.code(), Some(1));
}
