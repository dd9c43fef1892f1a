//! A web server in Pods, the Services before it, and who visits it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vipcast::clock;
use vipcast::demo::lab::lan::Host;

use super::bed::{Bed, Node, SOON, host, ms, number, wait};
use super::image;

/// Runs Pods, on one node or on all of them alike, and waits until they are ready. What is there already stays.
pub(crate) fn serve(bed: &Bed, name: &str, replicas: usize, node: Option<Node>) {
    image::load_component(bed, "web", IMAGE);
    if bed.api.get(&format!("{DEPLOYMENTS}/{name}")).is_none() {
        let made = bed.api.send("POST", DEPLOYMENTS, &deployment(name, replicas, node));
        assert!(made.is_some(), "the Deployment {name} is refused");
    }
    rolled_out(bed, name);
}

/// Has the Pods of a Deployment replaced by others on that node.
pub(crate) fn move_to(bed: &Bed, name: &str, node: Node) {
    let patch = json!({ "spec": { "template": { "spec": { "nodeName": host(node) } } } });
    bed.kubectl(&["patch", "deployment", name, "-p", &patch.to_string()]);
}

/// Waits until a Deployment is as it should be, and nothing is left of how it was.
pub(crate) fn rolled_out(bed: &Bed, name: &str) {
    wait(&format!("{name} has rolled out"), SOON, || {
        let deployment = bed.api.get(&format!("{DEPLOYMENTS}/{name}"))?;
        let (wanted, status) = (&deployment["spec"]["replicas"], &deployment["status"]);
        let count = |field: &str| status[field].as_u64().unwrap_or_default();
        let pods = bed.api.get(&format!("/api/v1/namespaces/default/pods?labelSelector=app%3D{name}"))?;
        let there = u64::try_from(pods["items"].as_array()?.len()).unwrap();
        let observed = status["observedGeneration"] == deployment["metadata"]["generation"];
        let all = [count("updatedReplicas"), count("readyReplicas"), there];
        (observed && all.iter().all(|count| wanted.as_u64() == Some(*count))).then_some(())
    });
}

/// Creates a Service of type LoadBalancer before the Pods of that Deployment, and waits for its addresses.
pub(crate) fn expose(bed: &Bed, name: &str, pods: &str, annotations: &Value, more: &Value) -> Vec<IpAddr> {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "annotations": annotations },
        "spec": {
            "type": "LoadBalancer", "selector": { "app": pods }, "ports": [{ "port": 80, "targetPort": 8080 }],
        },
    });
    for (key, value) in more.as_object().unwrap() {
        service["spec"][key] = value.clone();
    }
    assert!(bed.api.send("POST", SERVICES, &service).is_some(), "the Service {name} is refused");
    addresses(bed, name)
}

/// The addresses of a Service, once it has them.
pub(crate) fn addresses(bed: &Bed, name: &str) -> Vec<IpAddr> {
    wait(&format!("{name} has an address"), SOON, || {
        let service = bed.api.get(&format!("{SERVICES}/{name}"))?;
        let ingress = service["status"]["loadBalancer"]["ingress"].as_array()?;
        Some(ingress.iter().map(|each| each["ip"].as_str().unwrap().parse().unwrap()).collect())
    })
}

/// The address of a Service in the cluster.
pub(crate) fn cluster_ip(bed: &Bed, name: &str) -> IpAddr {
    bed.api.get(&format!("{SERVICES}/{name}")).unwrap()["spec"]["clusterIP"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// Deletes Services.
pub(crate) fn unexpose(bed: &Bed, names: &[&str]) {
    for name in names {
        assert!(
            bed.api.delete(&format!("{SERVICES}/{name}")).is_some(),
            "the Service {name} cannot be deleted"
        );
    }
}

/// What an answer tells: the node whose Pod gave it, and whom that Pod took for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) node: Node,
    pub(crate) client: IpAddr,
}

/// One request, on a connection of its own.
pub(crate) fn ask(from: &Host, server: SocketAddr) -> Option<Answer> {
    from.namespace.run(|| exchange(server)).unwrap()
}

fn exchange(server: SocketAddr) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, said) = answer.split_once("\r\n\r\n")?;
    let (node, client) = said.split_once(' ')?;
    Some(Answer { node: number(node)?, client: client.parse().ok()? })
}

/// Asks again and again, each time by a new connection. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Visitor {
    visits: Arc<Mutex<Vec<Visit>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Clone, Copy)]
struct Visit {
    asked: Instant,
    told: Instant,
    answer: Option<Answer>,
}

/// What visits have led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) asked: usize,
    /// Without an answer.
    pub(crate) lost: usize,
    /// The longest time between two answers.
    pub(crate) silence: Duration,
    /// Whose Pods answered.
    pub(crate) nodes: BTreeSet<Node>,
    /// Whom the Pods took for their client.
    pub(crate) clients: BTreeSet<IpAddr>,
}

impl Visitor {
    /// Begins, on that host, once kube-proxy has heard of the Service there.
    pub(crate) fn start(from: &Host, server: SocketAddr) -> Self {
        wait(&format!("{server} answers"), SOON, || ask(from, server));
        let (visits, stop) = (Arc::<Mutex<Vec<Visit>>>::default(), Arc::<AtomicBool>::default());
        let (noted, stopped) = (Arc::clone(&visits), Arc::clone(&stop));
        let visit = move |()| {
            while !stopped.load(Ordering::Relaxed) {
                let asked = clock::now();
                let answer = exchange(server);
                let visit = Visit { asked, told: clock::now(), answer };
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(visit);
                std::thread::sleep(PAUSE);
            }
        };
        let thread = from.namespace.spawn("visitor", || Ok(()), visit).unwrap();
        Self { visits, stop, thread: Some(thread) }
    }

    /// What the visits that began after `from` have led to so far.
    pub(crate) fn tally(&self, from: Instant) -> Tally {
        let visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        let visits: Vec<&Visit> = visits.iter().filter(|visit| visit.asked >= from).collect();
        let answers = || visits.iter().filter_map(|visit| visit.answer);
        let told = visits.iter().filter(|visit| visit.answer.is_some()).map(|visit| visit.told);
        let times: Vec<Instant> = [from].into_iter().chain(told).chain([clock::now()]).collect();
        Tally {
            asked: visits.len(),
            lost: visits.len() - answers().count(),
            silence: times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap(),
            nodes: answers().map(|answer| answer.node).collect(),
            clients: answers().map(|answer| answer.client).collect(),
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Before a Pod ends it serves until whoever sends it something has learned that.
fn deployment(name: &str, replicas: usize, node: Option<Node>) -> Value {
    let labels = json!({ "app": name });
    let container = json!({
        "name": "web", "image": IMAGE, "imagePullPolicy": "Never",
        "env": [{ "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } }],
        "readinessProbe": { "httpGet": { "path": "/", "port": 8080 }, "periodSeconds": 1 },
        "lifecycle": { "preStop": { "sleep": { "seconds": 4 } } },
    });
    let spread = json!({
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": { "matchLabels": labels }, "matchLabelKeys": ["pod-template-hash"],
    });
    let mut pod = json!({ "containers": [container], "terminationGracePeriodSeconds": 10 });
    match node {
        Some(node) => pod["nodeName"] = host(node).into(),
        None => pod["topologySpreadConstraints"] = json!([spread]),
    }
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": labels },
            "strategy": { "rollingUpdate": { "maxUnavailable": 0, "maxSurge": "100%" } },
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    })
}

const IMAGE: &str = "vipcast.test/web:1";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const SERVICES: &str = "/api/v1/namespaces/default/services";
/// A packet that was lost is sent again after a second: that counts as lost.
const PATIENCE: Duration = ms(900);
const PAUSE: Duration = ms(10);
