//! One list of cases about the Kubernetes API, against the embedded server and against a real kube-apiserver with etcd: what the
//! first promises, the second keeps.

#![allow(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "conformance/cases/mod.rs"]
mod cases;
#[path = "conformance/client.rs"]
mod client;
#[path = "conformance/embedded.rs"]
mod embedded;
mod support;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use vipcast::demo::api;

use self::client::Client;
use self::support::real_api::{Launch, RealApi};
use self::support::{Needs, Test, trial};

fn main() -> ExitCode {
    let mut tests: Vec<Test> = Vec::new();
    for (name, case) in cases::all() {
        let real = format!("real::{name}");
        let body = move || block_on(async move { case(real_client().await).await });
        tests.push(trial(real, &[Needs::RealApi], body));
        let body = move || {
            block_on(async move {
                let (client, _) = embedded().await;
                case(client).await;
            });
        };
        tests.push(trial(format!("embedded::{name}"), &[], body));
    }
    for (name, case) in embedded::all() {
        let body = move || {
            block_on(async move {
                let (client, handle) = embedded().await;
                case(client, handle).await;
            });
        };
        tests.push(trial(format!("embedded::{name}"), &[], body));
    }
    let code = support::run(tests);
    // A static is not dropped at the end.
    drop(REAL.lock().unwrap_or_else(PoisonError::into_inner).take());
    code
}

/// An embedded server of the case's own.
async fn embedded() -> (Client, api::Handle) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("loopback is up");
    let address = listener.local_addr().expect("is bound");
    let server = api::Server::new();
    let handle = server.handle();
    let url = format!("http://{address}").parse().expect("is a URL");
    let client = client_of(kube::Config::new(url));
    (Client::new(client, Some((listener, server))), handle)
}

/// A client of the one real server, which the first case starts.
async fn real_client() -> Client {
    let file = real_kubeconfig().expect("the real API server starts");
    let file = kube::config::Kubeconfig::read_from(file).expect("was written just now");
    let config = kube::Config::from_custom_kubeconfig(file, &Default::default()).await;
    Client::new(client_of(config.expect("is complete")), None)
}

fn client_of(mut config: kube::Config) -> kube::Client {
    // What is tested is what the server answers, not what the client makes of it.
    config.default_retry = false;
    kube::Client::try_from(config).expect("has a CA, or needs none")
}

fn real_kubeconfig() -> Result<PathBuf, String> {
    let mut real = REAL.lock().unwrap_or_else(PoisonError::into_inner);
    let started = real.get_or_insert_with(|| {
        RealApi::start(Launch::default()).map_err(|error| error.to_string())
    });
    started
        .as_ref()
        .map(|api| api.kubeconfig("admin"))
        .map_err(Clone::clone)
}

fn block_on(case: impl Future<Output = ()>) {
    let runtime = Runtime::new().expect("threads can be started");
    let limited = async { tokio::time::timeout(CASE_LIMIT, case).await };
    runtime.block_on(limited).expect("the case ends in time");
}

static REAL: Mutex<Option<Result<RealApi, String>>> = Mutex::new(None);
const CASE_LIMIT: Duration = Duration::from_secs(60);
