//! What an administrator asks of the API: on the client, of whichever node's API server answers, never through the VIP.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Request;
use serde_json::Value;
use vipcast::demo::lab::lan::Host;

use super::bed::{Node, host, number};
use super::command::Script;
use super::probes;

/// The API of a cluster.
#[derive(Debug)]
pub(crate) struct Api {
    client: Host,
    folder: PathBuf,
    nodes: Vec<Node>,
}

impl Api {
    pub(crate) fn new(script: &Script, nodes: &[Node]) -> Self {
        Self { client: probes::existing(script, "client"), folder: script.folder(), nodes: nodes.to_vec() }
    }

    /// The answer of the first node that gives one.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.nodes.iter().find_map(|node| self.request(*node, "GET", path, None))
    }

    /// Sends an object; nothing where nobody accepts it.
    pub(crate) fn send(&self, method: &str, path: &str, object: &Value) -> Option<Value> {
        self.nodes.iter().find_map(|node| self.request(*node, method, path, Some(object)))
    }

    /// Deletes an object.
    pub(crate) fn delete(&self, path: &str) -> Option<Value> {
        self.nodes.iter().find_map(|node| self.request(*node, "DELETE", path, None))
    }

    /// Whether the API server of that node says that it is ready, and its etcd with it.
    pub(crate) fn ready(&self, node: Node) -> bool {
        self.text(node, "/readyz").is_some_and(|answer| answer == "ok")
    }

    /// The nodes whose condition Ready is true.
    pub(crate) fn ready_nodes(&self) -> Option<BTreeSet<Node>> {
        let nodes = self.get("/api/v1/nodes")?;
        Some(ready(nodes["items"].as_array()?, |node| node["metadata"]["name"].as_str()))
    }

    /// The nodes on which our pod is ready.
    pub(crate) fn ready_pods(&self) -> Option<BTreeSet<Node>> {
        Some(ready(&self.pods()?, |pod| pod["spec"]["nodeName"].as_str()))
    }

    /// Our pods.
    pub(crate) fn pods(&self) -> Option<Vec<Value>> {
        let path = "/api/v1/namespaces/kube-system/pods?labelSelector=app.kubernetes.io/name%3Dvipcast";
        self.get(path)?["items"].as_array().cloned()
    }

    /// The Lease of the control-plane VIP.
    pub(crate) fn lease(&self) -> Option<Value> {
        self.get(&format!("{LEASES}/plndr-cp-lock"))
    }

    /// The Leases in kube-system that are not Kubernetes' own.
    pub(crate) fn lease_names(&self) -> Option<BTreeSet<String>> {
        let leases = self.get(LEASES)?;
        let names = leases["items"].as_array()?.iter().filter_map(|lease| lease["metadata"]["name"].as_str());
        let own = |name: &&str| !name.starts_with("kube-") && !name.starts_with("apiserver-");
        Some(names.filter(own).map(str::to_owned).collect())
    }

    /// How many Event objects this component wrote.
    pub(crate) fn event_count(&self, component: &str) -> Option<usize> {
        let events = self.get("/apis/events.k8s.io/v1/events?limit=5000")?;
        let wrote = |event: &&Value| {
            event["reportingController"].as_str().is_some_and(|name| name.contains(component))
                || event["deprecatedSource"]["component"] == component
        };
        Some(events["items"].as_array()?.iter().filter(wrote).count())
    }

    fn request(&self, node: Node, method: &str, path: &str, object: Option<&Value>) -> Option<Value> {
        let body = object.map(|object| object.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(body).unwrap();
        self.ask(node, async move |client| client.request::<Value>(request).await)
    }

    fn text(&self, node: Node, path: &str) -> Option<String> {
        let request = Request::get(path).body(Vec::new()).unwrap();
        self.ask(node, async move |client| client.request_text(request).await)
    }

    /// Nothing where the node has not joined, does not answer in time, or refuses.
    fn ask<T: Send, F>(&self, node: Node, question: F) -> Option<T>
    where
        F: AsyncFnOnce(kube::Client) -> Result<T, kube::Error> + Send,
    {
        let kubeconfig = self.folder.join(format!("{}.conf", host(node)));
        if !kubeconfig.exists() {
            return None;
        }
        let asking = || block_on(async { question(client(&kubeconfig).await?).await });
        self.client.namespace.run(asking).unwrap().ok()
    }
}

/// What a server answers to somebody without credentials who trusts any certificate; nothing unless it is 200.
pub(crate) fn anonymous(server: &str, path: &str) -> Option<String> {
    let mut config = kube::Config::new(server.parse().unwrap());
    config.accept_invalid_certs = true;
    config.connect_timeout = Some(PATIENCE);
    config.read_timeout = Some(PATIENCE);
    let request = Request::get(path).body(Vec::new()).unwrap();
    block_on(async { kube::Client::try_from(config)?.request_text(request).await }).ok()
}

fn ready<'a>(objects: &'a [Value], node: impl Fn(&'a Value) -> Option<&'a str>) -> BTreeSet<Node> {
    let is_ready = |object: &&Value| {
        let conditions = object["status"]["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    objects.iter().filter(is_ready).filter_map(|object| number(node(object)?)).collect()
}

async fn client(kubeconfig: &Path) -> Result<kube::Client, kube::Error> {
    let file = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(file, &Default::default()).await.unwrap();
    config.connect_timeout = Some(PATIENCE);
    config.read_timeout = Some(PATIENCE);
    kube::Client::try_from(config)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
/// Of one server.
const PATIENCE: Duration = Duration::from_secs(2);
