//! What an administrator asks of the API server, and the Lease as a bystander sees it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use axum::http::Request;
use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use vipcast::clock;
use vipcast::demo::lab::namespace::Namespace;

/// An API server, and with whose credentials it is asked.
pub(crate) struct Kubernetes<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) kubeconfig: PathBuf,
}

impl Kubernetes<'_> {
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.request("GET", path, None).ok()
    }

    pub(crate) fn create(&self, path: &str, object: &Value) {
        self.request("POST", path, Some(object)).unwrap();
    }

    /// Many at once, in no order.
    pub(crate) fn create_all(&self, objects: &[(String, Value)]) {
        self.all("POST", objects.iter().map(|(path, object)| (path.as_str(), object.to_string())));
    }

    /// Many at once, in no order.
    #[allow(dead_code, reason = "only a benchmark deletes many")]
    pub(crate) fn delete_all(&self, paths: &[String]) {
        self.all("DELETE", paths.iter().map(|path| (path.as_str(), String::new())));
    }

    fn all<'a>(&self, method: &str, what: impl Iterator<Item = (&'a str, String)>) {
        let what: Vec<_> = what.collect();
        let all = async move {
            let client = client(&self.kubeconfig).await;
            let asking: Vec<_> =
                what.into_iter().map(|(path, body)| request(&client, method, path, body)).collect();
            futures::stream::iter(asking).buffer_unordered(16).for_each(|_| async {}).await;
        };
        self.namespace.run(|| block_on(all)).unwrap();
    }

    pub(crate) fn delete(&self, path: &str) {
        self.request("DELETE", path, None).unwrap();
    }

    /// In place of whatever is there.
    pub(crate) fn replace(&self, path: &str, object: &Value) {
        self.request("PUT", path, Some(object)).unwrap();
    }

    /// The same, unless somebody else was faster.
    pub(crate) fn try_replace(&self, path: &str, object: &Value) -> bool {
        match self.request("PUT", path, Some(object)) {
            Err(kube::Error::Api(status)) if status.code == 409 => false,
            answer => answer.map(|_| true).unwrap(),
        }
    }

    /// Reads an object and writes it as `change` leaves it, over one connection; returns when the writing began.
    #[allow(dead_code, reason = "only a benchmark asks when it began")]
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Value) + Send) -> Instant {
        let changing = async {
            let client = client(&self.kubeconfig).await;
            let mut object = request(&client, "GET", path, String::new()).await;
            change(&mut object);
            let begin = clock::now();
            request(&client, "PUT", path, object.to_string()).await;
            begin
        };
        self.namespace.run(|| block_on(changing)).unwrap()
    }

    /// `spec` of the Lease; nothing where there is none.
    pub(crate) fn lease(&self) -> Option<Value> {
        self.get(&format!("{LEASES}/{LEASE}")).map(|lease| lease["spec"].clone())
    }

    /// Writes the Lease as client-go's candidate `identity` does, over whatever is there.
    pub(crate) fn write_lease(&self, identity: &str, seconds: u64) {
        let path = format!("{LEASES}/{LEASE}");
        let known = self.get(&path);
        let version = known.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        let object = lease(identity, seconds, version);
        let (method, path) = match known {
            Some(_) => ("PUT", path.as_str()),
            None => ("POST", LEASES),
        };
        self.request(method, path, Some(&object)).unwrap();
    }

    /// Every `spec` of the Lease from now on, and when it was heard of.
    pub(crate) fn watch_lease(&self) -> Receiver<(Instant, Value)> {
        let (report, heard) = channel();
        let kubeconfig = self.kubeconfig.clone();
        let setup = || Ok(());
        let watching = self.namespace.spawn("lease-watch", setup, move |()| {
            // Ends with the server, or when nobody listens any more.
            let _ = block_on(watch(&kubeconfig, |spec| report.send((clock::now(), spec)).is_ok()));
        });
        drop::<thread::JoinHandle<()>>(watching.unwrap());
        heard
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, kube::Error> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(body).unwrap();
        self.namespace
            .run(|| block_on(async { client(&self.kubeconfig).await.request(request).await }))
            .unwrap()
    }
}

/// One that the server has to grant.
pub(crate) async fn request(client: &kube::Client, method: &str, path: &str, body: String) -> Value {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    client.request(request.body(body.into_bytes()).unwrap()).await.unwrap()
}

async fn watch(kubeconfig: &Path, mut told: impl FnMut(Value) -> bool) -> std::io::Result<()> {
    let query = format!("{LEASES}?watch=1&fieldSelector=metadata.name%3D{LEASE}");
    let request = Request::get(query).body(Vec::new()).unwrap();
    let stream = client(kubeconfig).await.request_stream(request).await.map_err(std::io::Error::other)?;
    let mut lines = stream.lines();
    while let Some(line) = lines.try_next().await? {
        let event: Value = serde_json::from_str(&line)?;
        if !told(event["object"]["spec"].clone()) {
            break;
        }
    }
    Ok(())
}

pub(crate) async fn client(kubeconfig: &Path) -> kube::Client {
    let file = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &Default::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn lease(identity: &str, seconds: u64, version: Option<Value>) -> Value {
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": LEASE, "namespace": "kube-system", "resourceVersion": version },
        "spec": {
            "holderIdentity": identity, "leaseDurationSeconds": seconds, "leaseTransitions": 3,
            "acquireTime": micro(&now), "renewTime": micro(&now),
        },
    })
}

/// MicroTime has exactly six digits.
fn micro(now: &str) -> String {
    let now = now.trim_end_matches('Z');
    let (seconds, fraction) = now.split_once('.').unwrap_or((now, ""));
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    format!("{seconds}.{digits}Z")
}

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const LEASE: &str = "plndr-cp-lock";
