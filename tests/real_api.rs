//! The harness that tests against a real API server stand on: how it starts, stops, freezes and comes back.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::net::Ipv4Addr;
use std::process::{Command, ExitCode};
use std::time::Duration;

use axum::http::Request;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use self::support::real_api::{Launch, RealApi, User};
use self::support::{Needs, trial};

fn main() -> ExitCode {
    support::run(vec![
        trial("a_user_may_do_what_rbac_says", &[Needs::RealApi], users),
        trial(
            "a_frozen_server_answers_when_it_thaws",
            &[Needs::RealApi],
            freeze,
        ),
        trial(
            "a_restarted_server_has_its_data",
            &[Needs::RealApi],
            restart,
        ),
        trial(
            "it_runs_in_a_network_namespace_under_the_name_of_a_vip",
            &[Needs::RealApi, Needs::Root, Needs::Program("ip")],
            namespace,
        ),
    ])
}

fn users() {
    let users = vec![User {
        name: "restricted".to_owned(),
        groups: Vec::new(),
    }];
    let api = RealApi::start(Launch {
        users,
        ..Launch::default()
    })
    .expect("starts");
    block_on(async {
        let client = api.client("restricted").await.expect("has a kubeconfig");
        let read = Api::<ConfigMap>::default_namespaced(client)
            .get("any")
            .await;
        let forbidden = matches!(&read, Err(kube::Error::Api(status)) if status.is_forbidden());
        assert!(forbidden, "{read:?}");
    });
}

fn freeze() {
    let api = RealApi::start(Launch::default()).expect("starts");
    block_on(async {
        let client = api.client("admin").await.expect("has a kubeconfig");
        let mut ready = Box::pin(ready(client));
        api.freeze();
        assert!(
            timeout(Duration::from_millis(500), &mut ready)
                .await
                .is_err()
        );
        api.thaw();
        assert_eq!(ready.await, "ok");
    });
}

fn restart() {
    let mut api = RealApi::start(Launch::default()).expect("starts");
    let runtime = Runtime::new().expect("threads can be started");
    let object: ConfigMap =
        serde_json::from_value(serde_json::json!({"metadata": {"name": "kept"}}))
            .expect("is a config map");
    runtime.block_on(async {
        let client = api.client("admin").await.expect("has a kubeconfig");
        let maps = Api::<ConfigMap>::default_namespaced(client);
        maps.create(&Default::default(), &object)
            .await
            .expect("is new");
    });
    api.stop_api();
    api.restart_api().expect("starts again");
    runtime.block_on(async {
        let client = api.client("admin").await.expect("has a kubeconfig");
        Api::<ConfigMap>::default_namespaced(client)
            .get("kept")
            .await
            .expect("is kept");
    });
}

fn namespace() {
    let namespace = Namespace::new();
    let launch = Launch {
        wrapper: ["ip", "netns", "exec", &namespace.0]
            .map(str::to_owned)
            .into(),
        address: Ipv4Addr::UNSPECIFIED.into(),
        names: vec!["192.0.2.10".to_owned()],
        ..Launch::default()
    };
    let api = RealApi::start(launch).expect("starts");
    ip(&[
        "-n",
        &namespace.0,
        "address",
        "add",
        "192.0.2.10/32",
        "dev",
        "lo",
    ]);
    let vip = api
        .kubeconfig_for("admin", "https://192.0.2.10:6443")
        .expect("is written");
    let answer = api.inside(|| {
        block_on(async {
            let file = kube::config::Kubeconfig::read_from(vip).expect("was just written");
            let config = kube::Config::from_custom_kubeconfig(file, &Default::default()).await;
            let client = kube::Client::try_from(config.expect("is complete"));
            ready(client.expect("has a CA")).await
        })
    });
    assert_eq!(answer, "ok");
}

/// A network namespace with loopback; deleted on drop.
struct Namespace(String);

impl Namespace {
    fn new() -> Self {
        let name = format!("vipcast-real-api-{}", std::process::id());
        ip(&["netns", "add", &name]);
        ip(&["-n", &name, "link", "set", "lo", "up"]);
        Self(name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["netns", "delete", &self.0]);
    }
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip")
        .args(arguments)
        .status()
        .expect("ip is there");
    assert!(status.success(), "ip {arguments:?}");
}

async fn ready(client: kube::Client) -> String {
    let request = Request::get("/readyz")
        .body(Vec::new())
        .expect("is a request");
    client.request_text(request).await.expect("is ready")
}

fn block_on<T>(body: impl Future<Output = T>) -> T {
    Runtime::new()
        .expect("threads can be started")
        .block_on(body)
}
