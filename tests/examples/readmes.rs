//! Commands of the READMEs, verbatim.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use super::support::{ansible, readme};
use super::{command, copied, example, said};

/// The folders that a test of this program runs.
const RUN: [&str; 5] = ["cluster-api", "homelab-arp", "kubeadm", "kubeadm-bgp", "kubespray"];

pub(crate) fn complete() {
    let entries = fs::read_dir(example("")).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, RUN);
    for name in RUN {
        let blocks = readme::blocks(&example(name).join("README.md"));
        assert!(blocks.iter().any(|block| block.place == readme::Place::Anywhere), "{name}");
    }
}

/// Runs the commands in a copy; what the folder has already must come out the same.
pub(crate) fn run(name: &str, programs: &[PathBuf]) {
    let folder = copied(name);
    let output =
        shell(&readme::script(&example(name).join("README.md"), readme::Place::Anywhere), &folder, programs);
    assert!(output.status.success(), "{name}: {}", said(&output));
    for file in readme::files(&example(name)) {
        let [before, after] =
            [example(name), folder.path().to_owned()].map(|at| fs::read(at.join(&file)).unwrap());
        assert!(before == after, "examples/{name}/{} is not what its commands make", file.display());
    }
}

pub(crate) fn kubespray() {
    run("kubespray", &[ansible().unwrap()]);
}

pub(crate) fn failing() {
    let folder = copied("kubeadm");
    let text = "```sh\nfalse\n```\n\n```sh cluster\nexit 7\n```\n\n```sh\ntrue\n```\n";
    fs::write(folder.path().join("README.md"), text).unwrap();
    let script = readme::script(&folder.path().join("README.md"), readme::Place::Anywhere);
    assert_eq!(script, "set -eu\nfalse\ntrue\n");
    assert_eq!(shell(&script, &folder, &[]).status.code(), Some(1));
}

/// The line of the guides with the program's name changed, from the object that carries it.
pub(crate) fn cluster_api() {
    let text = fs::read_to_string(example("cluster-api").join("control-plane.yaml")).unwrap();
    let object: Value = serde_saphyr::from_str(&text).unwrap();
    let commands = object["spec"]["kubeadmConfigSpec"]["preKubeadmCommands"].as_array().unwrap();
    let line = commands.last().unwrap().as_str().unwrap();
    let (line, target) = line.split_once(" > ").unwrap();
    assert_eq!(
        (line, target),
        (
            "vipcast manifest pod --interface eth0 --address 192.168.1.100 --controlplane --arp --leaderElection",
            "/etc/kubernetes/manifests/vipcast.yaml"
        )
    );
    let folder = copied("cluster-api");
    let output = shell(line, &folder, &[]);
    let pod: Value = serde_saphyr::from_str(&said(&output)).unwrap();
    assert_eq!((pod["kind"].as_str(), pod["metadata"]["name"].as_str()), (Some("Pod"), Some("vipcast")));
}

fn shell(script: &str, folder: &tempfile::TempDir, programs: &[PathBuf]) -> Output {
    command("sh", folder.path(), programs).args(["-c", script]).output().unwrap()
}
