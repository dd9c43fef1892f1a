//! The first minutes of a cluster, on its first node: nothing is there yet, and nothing makes the daemon give up.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use vipcast::clock;

use super::REAL;
use super::bed::{Bed, SLACK, SOON, VIP, VIPCAST, ms, real_api, throughout, wait};
use super::kubernetes::Kubernetes;
use super::support::real_api::User;
use super::support::{Needs, Test, in_path, trial};

pub(crate) fn all() -> Vec<Test> {
    let needs = [REAL, &[Needs::Program("unshare"), Needs::Program("mount")]].concat();
    vec![
        trial("bootstrap::it_waits_for_files_server_and_permission_and_says_each_once", &needs, whole),
        trial(
            "bootstrap::without_a_super_admin_it_waits_until_permission_is_given",
            &needs,
            without_super_admin,
        ),
    ]
}

/// Missing, a directory, empty, refused, then there but forbidden, with the super-admin's file as a stand-in.
fn whole() {
    let (mut bed, folder) = first_node();
    let admin = folder.join("admin.conf");
    start(&mut bed);
    let pid = bed.daemon(0).pid();
    comes_to(&bed, "no credentials yet", "admin.conf is missing");
    fs::create_dir(&admin).unwrap();
    comes_to(&bed, "no credentials yet", "admin.conf is a directory");
    fs::remove_dir(&admin).unwrap();
    fs::write(&admin, "").unwrap();
    comes_to(&bed, "no credentials yet", "admin.conf is empty");
    bed.real.as_mut().unwrap().stop_api();
    copy(&bed, "ordinary", &folder, "admin.conf");
    copy(&bed, "admin", &folder, "super-admin.conf");
    comes_to(&bed, "unreachable", "refused");
    throughout(ms(3000), || assert!(!bed.has(0, VIP)));
    let quiet = bed.log(0).len();
    bed.real.as_mut().unwrap().restart_api().unwrap();
    up_in_time(&bed, clock::now());
    comes_to(&bed, "connected", "super-admin.conf");
    allow(&bed);
    comes_to(&bed, "connected", "/admin.conf");
    throughout(ms(2000), || assert!(bed.has(0, VIP), "the VIP stays"));
    assert_eq!((bed.daemon(0).exit_status().unwrap(), bed.daemon(0).pid()), (None, pid));
    assert_eq!(bed.logged(0, "vipcast starts").len(), 1);
    each_once(&bed, quiet);
}

fn without_super_admin() {
    let (mut bed, folder) = first_node();
    copy(&bed, "ordinary", &folder, "admin.conf");
    start(&mut bed);
    comes_to(&bed, "refuses", "403");
    throughout(ms(4000), || assert!(!bed.has(0, VIP)));
    allow(&bed);
    up_in_time(&bed, clock::now());
    assert_eq!(bed.logged(0, "API server refuses the credentials").len(), 1);
    assert_eq!(bed.logged(0, "API server connected").len(), 1);
    assert_eq!(bed.daemon(0).exit_status().unwrap(), None);
}

/// A node with its own API server, which knows an ordinary user without any rights, and a folder that the daemon
/// takes for /etc.
fn first_node() -> (Bed, PathBuf) {
    let mut bed = Bed::bare(1);
    let user = User { name: "ordinary".to_owned(), groups: vec!["kubeadm:cluster-admins".to_owned()] };
    bed.real = Some(real_api(&bed.lan.nodes[0], [0, 0, 0, 0].into(), vec![user]));
    let folder = bed.directory.file("etc/kubernetes");
    fs::create_dir_all(&folder).unwrap();
    (bed, folder)
}

/// As from kubeadm's manifest: no kubeconfig named, the health gate on.
fn start(bed: &mut Bed) {
    let etc = bed.directory.file("etc").display().to_string();
    let unshare = in_path("unshare").unwrap().display().to_string();
    let script = format!("mount --bind {etc} /etc && exec \"$@\"");
    let words = [unshare.as_str(), "--mount", "/bin/sh", "-c", &script, "sh"];
    let wrapper: Vec<String> = words.map(str::to_owned).into();
    let path = ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    bed.start_through(0, &wrapper, &[("k8s_config_file", ""), ("vipcast_health_enabled", "true"), path]);
    assert!(VIPCAST.starts_with('/') && !VIPCAST.starts_with("/etc"));
}

/// What the daemon was given is put in place at once, as kubeadm does not even promise.
fn copy(bed: &Bed, user: &str, folder: &std::path::Path, name: &str) {
    let content = fs::read(bed.real.as_ref().unwrap().kubeconfig(user)).unwrap();
    let content =
        String::from_utf8(content).unwrap().replace("https://127.0.0.1:6443", &format!("https://{VIP}:6443"));
    fs::write(folder.join("new"), content).unwrap();
    fs::rename(folder.join("new"), folder.join(name)).unwrap();
}

/// Waits until the status says so.
fn comes_to(bed: &Bed, condition: &str, word: &str) {
    wait(&format!("{condition}: {word}"), SOON, || {
        let status = bed.status(0);
        let told = status["kubernetes"]["condition"].as_str()?.to_owned();
        (told.contains(condition) && told.contains(word)).then_some(())
    });
}

fn up_in_time(bed: &Bed, ready: Instant) {
    let took = bed.wait_held(0).saturating_duration_since(ready);
    assert!(took < ms(1000) + SLACK, "{took:?}");
}

/// What `kubeadm init` does once the server answers.
fn allow(bed: &Bed) {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": { "name": "kubeadm:cluster-admins" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "kubeadm:cluster-admins" }],
    });
    let kubernetes = Kubernetes { namespace: &bed.lan.nodes[0].namespace, kubeconfig: bed.kubeconfig() };
    kubernetes.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding);
}

/// No condition is told twice in succession, and nothing is repeated as time goes by.
fn each_once(bed: &Bed, quiet: usize) {
    let log = bed.log(0);
    let told =
        |lines: &[Value], message: &str| lines.iter().filter(|line| line["message"] == message).count();
    assert_eq!(told(&log, "waiting for API credentials"), 3, "missing, directory, empty");
    // A server that is starting is refused first, and may then be unready in one or two ways.
    assert_eq!(told(&log[..quiet], "API server unreachable"), 1);
    assert_eq!(told(&log, "API server connected"), 2, "super-admin, then the ordinary one");
    assert_eq!(told(&log, "address held"), 1);
    let lines: Vec<String> = log.iter().map(without_time).collect();
    for (line, next) in lines.iter().zip(lines.iter().skip(1)) {
        assert_ne!(line, next);
    }
    assert!(lines.len() < 30, "{lines:#?}");
}

fn without_time(line: &Value) -> String {
    let mut line = line.clone();
    let _ = line.as_object_mut().unwrap().remove("timestamp");
    line.to_string()
}
