//! The real API server on the LAN, and what the benchmark asks it.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use vipcast::clock;
use vipcast::demo::lab::lan::{Host, Lan};

use crate::support::real_api::{Launch, RealApi};

/// kube-apiserver and etcd on the API host of a LAN.
#[derive(Debug)]
pub(crate) struct ApiServer {
    pub(crate) real: RealApi,
}

/// The health gate, told where this server is: the nodes have none of their own.
pub(crate) const GATE: [(&str, &str); 2] =
    [("vipcast_health_enabled", "true"), ("control_plane_health_check_address", "https://10.77.0.2:6443")];

/// The times in a Lease, in microseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) acquired: i64,
    pub(crate) renewed: i64,
}

impl ApiServer {
    /// Starts both, registers the nodes, and writes a kubeconfig for the daemons.
    pub(crate) fn start(lan: &Lan, kubeconfig: &Path, arguments: Vec<String>) -> anyhow::Result<Self> {
        let process = std::process::id();
        let namespace = format!("--net=/proc/{process}/fd/{}", lan.api.namespace.number());
        let launch = Launch {
            wrapper: vec!["nsenter".to_owned(), namespace],
            address: lan.api.v4.into(),
            arguments,
            ..Launch::default()
        };
        let api = Self { real: RealApi::start(launch)? };
        fs::copy(api.real.kubeconfig("admin"), kubeconfig)?;
        for node in &lan.nodes {
            api.register(lan, node)?;
        }
        Ok(api)
    }

    /// The Lease of the control-plane VIP.
    pub(crate) fn lease(&self, lan: &Lan) -> anyhow::Result<Times> {
        let spec = self.ask(lan, async |client| {
            let lease = Api::<Lease>::namespaced(client, "kube-system").get("plndr-cp-lock").await?;
            lease.spec.context("the Lease is empty")
        })?;
        let micros = |time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime>| {
            time.map(|time| time.0.as_microsecond()).context("a time is missing in the Lease")
        };
        Ok(Times { acquired: micros(spec.acquire_time)?, renewed: micros(spec.renew_time)? })
    }

    /// Says when `/readyz` is answered with success for the first time from now on.
    pub(crate) fn first_ready(&self, api: &Host) -> anyhow::Result<Receiver<Instant>> {
        let kubeconfig = self.real.kubeconfig("admin");
        let (report, ready) = channel();
        let work = move |()| drop(run(async { Ok(report.send(poll_ready(&kubeconfig).await?)?) }));
        api.namespace.spawn("readyz", || Ok(()), work)?;
        Ok(ready)
    }

    fn register(&self, lan: &Lan, node: &Host) -> anyhow::Result<()> {
        let node: Node = serde_json::from_value(serde_json::json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": { "name": node.name, "labels": { "node-role.kubernetes.io/control-plane": "" } },
        }))?;
        self.ask(lan, async |client| {
            Api::<Node>::all(client).create(&PostParams::default(), &node).await?;
            Ok(())
        })
    }

    fn ask<T: Send>(
        &self,
        lan: &Lan,
        request: impl AsyncFnOnce(Client) -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        let kubeconfig = self.real.kubeconfig("admin");
        lan.api.namespace.run(|| run(async { request(client(&kubeconfig).await?).await }))?
    }
}

async fn poll_ready(kubeconfig: &Path) -> anyhow::Result<Instant> {
    let client = client(kubeconfig).await?;
    loop {
        let request = axum::http::Request::get("/readyz").body(Vec::new())?;
        let answer = tokio::time::timeout(PATIENCE, client.request_text(request)).await;
        if answer.is_ok_and(|answer| answer.is_ok()) {
            return Ok(clock::now());
        }
        clock::pause(PAUSE).await;
    }
}

async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    Ok(Client::try_from(kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?)?)
}

fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(10);
