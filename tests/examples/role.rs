//! The Ansible role, run by real ansible-core on this machine, into a folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use super::support::ansible;
use super::{command, copied, said};

/// Sets of variables that a cluster can have.
const SETS: [&str; 12] = [
    "",
    "kube_vip_interface: ens160\nkube_vip_cidr: '24,64'\nkube_vip_address: '192.168.1.100,2001:db8::100'\n",
    "kube_vip_metrics_enabled: true\nkube_vip_metrics_port: 9100\n",
    "kube_vip_leader_election_enabled: false\n",
    "kube_vip_leasename: vips/mine\nkube_vip_leaseduration: 15\nkube_vip_renewdeadline: '10'\nkube_vip_retryperiod: 2\n",
    "kube_apiserver_port: 6444\nkube_vip_cidr:\nkube_proxy_mode: iptables\nkube_proxy_strict_arp: false\n\
     loadbalancer_apiserver: {address: '{{ kube_vip_address }}', port: '{{ kube_apiserver_port }}'}\n",
    "kube_vip_arp_enabled: false\nkube_vip_bgp_enabled: true\nkube_vip_bgp_peeraddress: 192.168.1.1\n\
     kube_vip_bgp_peerpass: 'a$(b)c'\nkube_vip_bgp_sourceif: ens160\nkube_vip_bgp_routerid: None\n",
    "kube_vip_arp_enabled: false\nkube_vip_bgp_enabled: true\nkube_vip_local_as: 65001\n\
     kube_vip_leader_election_enabled: true\n\
     kube_vip_bgppeers: ['192.168.1.1:65000::false', '192.168.1.2:65000:x:true:179::true;300;300;3']\n",
    "kube_vip_services_enabled: true\nkube_vip_services_interface: ens192\nkube_vip_svc_leasename: vips/services\n",
    "kube_vip_services_enabled: true\nkube_vip_controlplane_enabled: false\nkube_vip_address:\n",
    "kube_vip_services_enabled: true\nkube_vip_enableServicesElection: true\n",
    "kube_vip_services_interface: ens192\nkube_vip_enableServicesElection: true\n",
];

/// A copy of the example in which the role runs.
pub(super) struct Cluster {
    pub(super) folder: tempfile::TempDir,
}

impl Cluster {
    /// With variables in a file that wins over the example's.
    pub(super) fn with(variables: &str) -> Self {
        let folder = copied("kubespray");
        fs::write(folder.path().join("group_vars/k8s_cluster/zz.yml"), format!("---\n{variables}")).unwrap();
        Self { folder }
    }

    pub(super) fn play(&self, more: &[&str]) -> Output {
        let manifests = format!("kube_manifest_dir={}", self.manifests().display());
        let mut command = command("ansible-playbook", self.folder.path(), &[ansible().unwrap()]);
        command.args(["-i", "inventory.yml", "vipcast.yml", "-e", &manifests]).args(more).output().unwrap()
    }

    /// Runs the role, which has to succeed, and reads what it has written.
    fn pod(&self, more: &[&str]) -> Value {
        let output = self.play(more);
        assert!(output.status.success(), "{}", said(&output));
        let text = fs::read_to_string(self.manifest()).unwrap();
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// What a subcommand of the program says about the same files.
    fn vipcast(&self, words: &[&str]) -> String {
        let files = ["addons", "k8s-cluster", "zz"].map(|name| format!("group_vars/k8s_cluster/{name}.yml"));
        let mut command = command("vipcast", self.folder.path(), &[]);
        let output = command.args(words).arg("--from-kubespray").args(files).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) fn manifests(&self) -> PathBuf {
        self.folder.path().join("manifests")
    }

    pub(super) fn manifest(&self) -> PathBuf {
        self.manifests().join("vipcast.yml")
    }
}

pub(crate) fn same_as_the_program() {
    for set in SETS {
        let cluster = Cluster::with(set);
        let mut role = cluster.pod(&[]);
        let mut program: Value = serde_saphyr::from_str(&cluster.vipcast(&["manifest", "pod"])).unwrap();
        let environments = [&mut role, &mut program].map(|pod| {
            let env = &mut pod["spec"]["containers"][0]["env"];
            let mut entries = env.take().as_array().unwrap().clone();
            entries.sort_by_key(|entry| entry["name"].as_str().unwrap().to_owned());
            entries
        });
        assert_eq!(environments[0], environments[1], "{set}");
        assert_eq!(role, program, "{set}");
    }
}

/// By way of the pod's environment, and by way of the files.
pub(crate) fn effective() {
    for set in SETS {
        let cluster = Cluster::with(set);
        let pod = cluster.pod(&[]);
        let mut command = command("vipcast", cluster.folder.path(), &[]);
        let output = command.args(["config", "-o", "json"]).envs(environment(&pod)).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let by_pod = values(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(by_pod, values(&cluster.vipcast(&["config", "-o", "json"])), "{set}");
    }
}

/// A label cannot have what a digest has.
pub(crate) fn digest() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let pod = Cluster::with("").pod(&["-e", &format!("vipcast_image_tag=1.2.3@{digest}")]);
    assert_eq!(pod["metadata"]["labels"]["app.kubernetes.io/version"], "1.2.3");
    let image = &pod["spec"]["containers"][0]["image"];
    assert_eq!(image, &json!(format!("ghcr.io/vipcast/vipcast:1.2.3@{digest}")));
}

/// What Kubespray has no variable for reaches the daemon as well, whatever it is made of.
pub(crate) fn more_settings() {
    let cluster = Cluster::with(
        "kube_vip_services_enabled: true
vipcast_environment:
  vipcast_services_distribution: spread
  vipcast_services_weight: 2
  lb_class_only: true
  vipcast_services_pools: [{name: lan, addresses: 192.168.1.128/26, autoAssign: false}]
",
    );
    let pod = cluster.pod(&[]);
    let mut command = command("vipcast", cluster.folder.path(), &[]);
    let output = command.args(["config", "-o", "json"]).envs(environment(&pod)).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let values = values(&String::from_utf8(output.stdout).unwrap());
    let said = ["distribution", "weight", "class.only"].map(|key| values[&format!("services.{key}")].clone());
    assert_eq!(said, [json!("spread"), json!(2), json!(true)]);
    let pool = json!({"name": "lan", "addresses": "192.168.1.128/26", "autoAssign": false});
    assert_eq!(values["services.pools"], json!([pool]));
}

pub(crate) fn booleans() {
    let cluster = Cluster::with("");
    let plain = cluster.pod(&[]);
    for texts in [
        &[
            "-e",
            "kube_vip_arp_enabled=True",
            "-e",
            "kube_vip_services_enabled=false",
            "-e",
            "kube_vip_bgp_enabled=no",
        ][..],
        &["-e", "kube_vip_enabled=yes kube_vip_controlplane_enabled=1 kube_vip_metrics_enabled=False"],
        &["-e", "kube_proxy_strict_arp=on kube_vip_lb_enable=off"],
    ] {
        assert_eq!(cluster.pod(texts), plain, "{texts:?}");
    }
    let off = cluster.play(&["-e", "kube_vip_controlplane_enabled=false"]);
    assert!(!off.status.success() && said(&off).contains("set kube_vip_controlplane_enabled to true"));
}

pub(crate) fn removal() {
    let cluster = Cluster::with("");
    let first = cluster.play(&[]);
    assert!(said(&first).contains("changed=2"), "{}", said(&first));
    let mode = fs::metadata(cluster.manifest()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640);
    let again = cluster.play(&[]);
    assert!(said(&again).contains("changed=0"), "{}", said(&again));
    for name in ["vipcast.yaml", "kube-vip.yml", "kube-apiserver.yaml"] {
        fs::write(cluster.manifests().join(name), "kind: Pod\n").unwrap();
    }
    let tagged = cluster.play(&["--tags", "kube-vip", "-e", "kube_vip_enabled=false"]);
    assert!(tagged.status.success(), "{}", said(&tagged));
    // Whoever does not want it may still want kube-vip.
    assert_eq!(names(&cluster.manifests()), ["kube-apiserver.yaml", "kube-vip.yml"]);
}

pub(crate) fn refusals() {
    let table = [
        ("kube_vip_controlplane_enabled: false\n", "or kube_vip_services_enabled to true"),
        ("kube_vip_address:\n", "set kube_vip_address to the VIP"),
        ("kube_vip_address: 'None'\n", "set kube_vip_address to the VIP"),
        ("kube_vip_address: vip.example.org\n", "has to be an IP address"),
        ("kube_vip_address: [192.0.2.10]\n", "has to be an IP address"),
        ("kube_vip_address: 300.1.1.1\n", "has to be an IP address"),
        ("kube_vip_address: 1.2.3\n", "has to be an IP address"),
        ("kube_vip_address: 0.0.0.0\n", "has to be an IP address"),
        ("kube_vip_address: ':::'\n", "has to be an IP address"),
        ("kube_vip_address: 192.0.2.10,192.0.2.10\n", "several different ones"),
        ("kube_vip_cidr: 129\n", "prefix lengths"),
        ("kube_apiserver_port: 0\nloadbalancer_apiserver: {port: 0}\n", "have to be ports"),
        ("kube_vip_metrics_port: abc\n", "have to be ports"),
        ("kube_vip_leaseduration: 5\nkube_vip_renewdeadline: 5\n", "longer than the renew deadline"),
        ("kube_vip_leaseduration: '5.5'\n", "whole seconds"),
        ("kube_vip_interface: lo\n", "no place on lo"),
        ("kube_vip_interface: sixteen-letters-\n", "15 letters at most"),
        (
            "kube_vip_services_interface: lo\n",
            "kube_vip_services_interface has to be an interface of the node",
        ),
        ("kube_apiserver_bind_address: 10.0.0.9\n", "one address and not the VIP"),
        ("kube_vip_arp_enabled: false\n", "set kube_vip_arp_enabled or kube_vip_bgp_enabled to true"),
        ("kube_vip_bgp_enabled: true\n", "set kube_vip_bgppeers, or kube_vip_bgp_peeraddress"),
        ("kube_proxy_strict_arp: false\n", "would let every node answer for the VIP"),
        ("kube_vip_enabled: maybe\n", "kube_vip_enabled has to be true or false, and is maybe"),
        ("kube_proxy_mode: IPVS\nkube_proxy_strict_arp: false\n", "would let every node answer for the VIP"),
        ("kube_proxy_strict_arp: 'false'\n", "would let every node answer for the VIP"),
        ("vipcast_environment: vipcast_services_weight=2\n", "vipcast_environment has to be a mapping"),
        (
            "kube_vip_ddns_enabled: 'true'\nkube_vip_lb_enable: true\n",
            "set to false: kube_vip_ddns_enabled, kube_vip_lb_enable",
        ),
        ("loadbalancer_apiserver: {port: 8443}\n", "it has to be kube_apiserver_port"),
        (
            "kube_vip_bgp_enabled: true\nkube_vip_bgp_peeraddress: 192.0.2.254\nkube_vip_bgp_sourceip: 192.0.2.1\n\
             kube_vip_bgp_sourceif: eth0\n",
            "exclude each other",
        ),
        (
            "kube_vip_bgp_enabled: true\nkube_vip_bgppeers: '192.0.2.1:65000::false'\n",
            "kube_vip_bgppeers has to be a list",
        ),
    ];
    for (variables, message) in table {
        let cluster = Cluster::with(variables);
        let output = cluster.play(&[]);
        assert!(!output.status.success() && said(&output).contains(message), "{variables}{}", said(&output));
        assert!(!cluster.manifest().exists(), "{variables}");
    }
}

pub(crate) fn bgp() {
    let cluster = Cluster::with(
        "kube_vip_arp_enabled: false
kube_vip_bgp_enabled: true
kube_vip_bgp_routerid:
kube_vip_local_as: 65001
kube_vip_bgp_peerpass: 'a$(b)c'
kube_vip_bgppeers:
  - 192.168.1.1:65000::false
  - 192.168.1.2:65000::false
kube_vip_bgp_sourceip: ' '
kube_vip_bgp_sourceif: eth0
",
    );
    let pod = cluster.pod(&[]);
    let expected = [
        ("address", "192.168.1.100"),
        ("bgp_as", "65001"),
        ("bgp_enable", "true"),
        ("bgp_peeras", "65000"),
        ("bgp_peerpass", "a$$(b)c"),
        ("bgp_peers", "192.168.1.1:65000::false,192.168.1.2:65000::false"),
        ("bgp_sourceif", "eth0"),
        ("cp_enable", "true"),
        ("cp_namespace", "kube-system"),
        ("port", "6443"),
        ("prometheus_server", ":2112"),
        ("svc_leasename", "plndr-svcs-lock"),
        ("vip_arp", "false"),
        ("vip_leaderelection", "false"),
        ("vip_subnet", "32"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(environment(&pod), BTreeMap::from(expected));
}

/// What the kubelet puts into the environment, but for the name of the node, which is only known there.
fn environment(pod: &Value) -> BTreeMap<String, String> {
    let entries = pod["spec"]["containers"][0]["env"].as_array().unwrap();
    let node = json!({"fieldRef": {"fieldPath": "spec.nodeName"}});
    assert!(entries.iter().any(|entry| entry["name"] == "vip_nodename" && entry["valueFrom"] == node));
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned();
    let plain = entries.iter().filter(|entry| entry.get("value").is_some());
    plain.map(|entry| (text(&entry["name"]), text(&entry["value"]))).collect()
}

/// The settings in effect, without where they came from.
fn values(config: &str) -> BTreeMap<String, Value> {
    let settings: BTreeMap<String, Value> = serde_json::from_str(config).unwrap();
    settings.into_iter().map(|(key, row)| (key, row["value"].clone())).collect()
}

pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
