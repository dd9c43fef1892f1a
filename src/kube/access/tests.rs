//! Bootstrap and everyday life of credentials, against servers and files that change underneath.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::*;
use crate::kube::health::{Probe, Target};
use crate::kube::testing::{Server, Tls, listen_again, unused_address, write_kubeconfig};

const LIMIT: Duration = Duration::from_secs(10);
const SECRET: &str = "c2VjcmV0LXRva2Vu";

/// An API server that knows tokens, and what it says to each.
#[derive(Clone, Default)]
struct Api(Arc<Mutex<Vec<(String, u16)>>>);

impl Api {
    fn answer(&self, token: &str, code: u16) {
        let mut known = self.0.lock().unwrap();
        known.retain(|(known, _)| known != token);
        known.push((token.to_owned(), code));
    }

    fn router(&self) -> Router {
        let path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}";
        Router::new().route(path, get(Self::lease)).with_state(self.clone())
    }

    async fn lease(State(Self(known)): State<Self>, headers: HeaderMap) -> Response {
        let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let known = known.lock().unwrap();
        let code = known.iter().find(|(known, _)| token.as_deref() == Some(&format!("Bearer {known}")));
        let code = code.map_or(401, |(_, code)| *code);
        // A 404 that is not Kubernetes' own, as from some other server, has no such reason.
        let reason = if code == 404 { "NotFound" } else { "" };
        let body = json!({"reason": reason, "kind": "Status", "status": "Failure", "code": code, "message": format!("says {code}")});
        (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
    }
}

/// A running [`run`] with its own file system.
struct Running {
    root: TempDir,
    conditions: mpsc::UnboundedReceiver<String>,
    connections: watch::Receiver<Option<Connection>>,
    _task: JoinSet<()>,
}

fn settings(root: &Path) -> AccessSettings {
    AccessSettings {
        root: root.to_owned(),
        configured: None,
        environment: Vec::new(),
        home: None,
        in_cluster: None,
        endpoint: EndpointSettings::default(),
        touchstone: Touchstone::Lease(LeaseName {
            namespace: "kube-system".into(),
            name: "plndr-cp-lock".into(),
        }),
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(5),
    }
}

fn start(root: TempDir, settings: AccessSettings) -> Running {
    let (told, conditions) = mpsc::unbounded_channel();
    let (out, connections) = watch::channel(None);
    let mut task = JoinSet::new();
    let short = root.path().display().to_string();
    task.spawn(run(settings, out, move |condition| {
        let _ = told.send(condition.to_string().replace(&short, ""));
    }));
    Running { root, conditions, connections, _task: task }
}

impl Running {
    fn with(adapt: impl FnOnce(&mut AccessSettings)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut settings = settings(root.path());
        adapt(&mut settings);
        start(root, settings)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    async fn told(&mut self) -> String {
        timeout(LIMIT, self.conditions.recv()).await.expect("nothing told in time").unwrap()
    }

    async fn generation(&mut self, generation: u64) -> Connection {
        let found =
            self.connections.wait_for(|now| now.as_ref().is_some_and(|now| now.generation == generation));
        timeout(LIMIT, found).await.expect("no such generation in time").unwrap().clone().unwrap()
    }
}

fn configured(root: &TempDir) -> (PathBuf, AccessSettings) {
    let path = root.path().join("admin.conf");
    let settings = AccessSettings { configured: Some(path.clone()), ..settings(root.path()) };
    (path, settings)
}

#[tokio::test]
async fn bootstrap_tells_each_state_of_the_file_and_of_the_server_once_and_never_gives_up() {
    let api = Api::default();
    let address = unused_address().await;
    let url = format!("http://{address}");
    let root = tempfile::tempdir().unwrap();
    let (path, settings) = configured(&root);
    let mut running = start(root, settings);
    let mut told = vec![running.told().await];
    std::fs::create_dir(&path).unwrap();
    told.push(running.told().await);
    std::fs::remove_dir(&path).unwrap();
    told.push(running.told().await);
    std::fs::write(&path, "").unwrap();
    told.push(running.told().await);
    std::fs::write(&path, format!("users: [{{token: {SECRET}")).unwrap();
    told.push(running.told().await);
    std::fs::write(&path, "apiVersion: v1\n").unwrap();
    told.push(running.told().await);
    replace_kubeconfig(&path, &url, SECRET);
    told.push(running.told().await);
    let _server = Server::on(listen_again(address), api.router(), None);
    told.push(running.told().await);
    api.answer(SECRET, 403);
    told.push(running.told().await);
    api.answer(SECRET, 503);
    told.push(running.told().await);
    assert!(running.connections.borrow().is_none());
    api.answer(SECRET, 404);
    told.push(running.told().await);
    let expected = [
        "no credentials yet; /admin.conf is missing".to_owned(),
        "no credentials yet; /admin.conf is a directory".to_owned(),
        "no credentials yet; /admin.conf is missing".to_owned(),
        "no credentials yet; /admin.conf is empty".to_owned(),
        "no credentials yet; /admin.conf is unusable: not a kubeconfig".to_owned(),
        "no credentials yet; /admin.conf is unusable: current-context is not set".to_owned(),
        format!("{url}/ unreachable with /admin.conf: connection refused"),
        format!("{url}/ refuses /admin.conf: status 401: says 401"),
        format!("{url}/ refuses /admin.conf: status 403: says 403"),
        format!("{url}/ not ready for /admin.conf: status 503: says 503"),
        format!("connected to {url}/ with /admin.conf (first usable credentials; as the credentials say)"),
    ];
    assert_eq!(told, expected);
    assert_eq!(running.generation(1).await.endpoint, format!("{url}/"));
}

/// As kubeadm and every careful program writes: the file appears complete.
fn replace_kubeconfig(path: &Path, url: &str, token: &str) {
    let next = path.with_extension("new");
    write_kubeconfig(&next, url, token, None);
    std::fs::rename(next, path).unwrap();
}

#[tokio::test]
async fn a_forbidden_admin_file_is_stood_in_for_and_returned_to() {
    let api = Api::default();
    let server = Server::start(api.router()).await;
    let root = tempfile::tempdir().unwrap();
    for (name, token, code) in [("admin", "ordinary", 403), ("super-admin", "super", 404)] {
        write_kubeconfig(
            &root.path().join(format!("etc/kubernetes/{name}.conf")),
            &server.url(),
            token,
            None,
        );
        api.answer(token, code);
    }
    let settings = settings(root.path());
    let mut running = start(root, settings);
    let (admin, stand_in) = ("/etc/kubernetes/admin.conf", "/etc/kubernetes/super-admin.conf");
    let url = format!("{}/", server.url());
    assert_eq!(
        running.told().await,
        format!(
            "connected to {url} with {stand_in} (admin.conf is forbidden, using this until it is not; as the credentials say)"
        )
    );
    assert!(running.generation(1).await.source.ends_with(stand_in));
    api.answer("ordinary", 404);
    assert_eq!(
        running.told().await,
        format!("connected to {url} with {admin} (first usable credentials; as the credentials say)")
    );
    assert!(running.generation(2).await.source.ends_with(admin));
}

#[tokio::test]
async fn without_a_file_to_stand_in_a_forbidden_one_is_tried_until_it_is_permitted() {
    let api = Api::default();
    let server = Server::start(api.router()).await;
    api.answer(SECRET, 403);
    let mut running = Running::with(|_| {});
    replace_in(&running, "etc/kubernetes/admin.conf", &server.url(), SECRET);
    let refused = format!("{}/ refuses /etc/kubernetes/admin.conf: status 403: says 403", server.url());
    while running.told().await != refused {}
    api.answer(SECRET, 404);
    assert!(running.told().await.starts_with("connected"));
}

fn replace_in(running: &Running, path: &str, url: &str, token: &str) {
    let path = running.path(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    replace_kubeconfig(&path, url, token);
}

#[tokio::test]
async fn credentials_that_rotate_are_read_again_at_once_when_the_old_ones_stop_working() {
    let api = Api::default();
    let server = Server::start(api.router()).await;
    let root = tempfile::tempdir().unwrap();
    let (path, settings) = configured(&root);
    write_kubeconfig(&path, &server.url(), "old", None);
    api.answer("old", 404);
    let mut running = start(root, settings);
    let connection = running.generation(1).await;
    api.answer("old", 401);
    api.answer("new", 404);
    replace_kubeconfig(&path, &server.url(), "new");
    let before = clock::now();
    connection.suspect();
    let renewed = running.generation(2).await;
    assert!(clock::now() - before < Duration::from_secs(3), "it waited for the next poll");
    test(&settings_of(&running), &renewed.lease).await.unwrap();
    running.told().await;
    assert_eq!(running.conditions.try_recv().ok(), None);
}

fn settings_of(running: &Running) -> AccessSettings {
    settings(running.root.path())
}

#[tokio::test]
async fn credentials_that_rotate_quietly_are_read_again_by_the_next_poll() {
    let api = Api::default();
    let server = Server::start(api.router()).await;
    let root = tempfile::tempdir().unwrap();
    let (path, settings) = configured(&root);
    write_kubeconfig(&path, &server.url(), "old", None);
    api.answer("old", 404);
    api.answer("new", 404);
    let mut running = start(root, settings);
    running.generation(1).await;
    replace_kubeconfig(&path, &server.url(), "new");
    let renewed = running.generation(2).await;
    api.answer("old", 401);
    test(&settings_of(&running), &renewed.lease).await.unwrap();
}

#[tokio::test]
async fn a_server_that_comes_and_goes_is_told_twice_and_keeps_its_clients() {
    let api = Api::default();
    let server = Server::start(api.router()).await;
    let (address, url) = (server.address, format!("{}/", server.url()));
    let root = tempfile::tempdir().unwrap();
    let (path, settings) = configured(&root);
    write_kubeconfig(&path, &server.url(), SECRET, None);
    api.answer(SECRET, 404);
    let mut running = start(root, settings);
    let connected = running.told().await;
    let connection = running.generation(1).await;
    server.stop().await;
    connection.suspect();
    let away = running.told().await;
    assert_eq!(away, format!("{url} unreachable with /admin.conf: connection refused"));
    let _server = Server::on(listen_again(address), api.router(), None);
    assert_eq!(running.told().await, connected);
    assert_eq!(running.connections.borrow().as_ref().unwrap().generation, 1);
}

#[tokio::test]
async fn on_a_control_plane_node_the_local_server_is_dialled_by_the_name_kubernetes() {
    let api = Api::default();
    api.answer(SECRET, 404);
    let tls = Tls::new("kubernetes");
    let server = Server::start_tls(api.router(), &tls).await;
    let root = tempfile::tempdir().unwrap();
    let ca = root.path().join("ca.crt");
    std::fs::write(&ca, &tls.ca_pem).unwrap();
    // The VIP that the file names does not exist: only the local server can answer.
    let vip = format!("https://192.0.2.1:{}", server.address.port());
    write_kubeconfig(&root.path().join("etc/kubernetes/admin.conf"), &vip, SECRET, Some(&ca));
    let mut settings = settings(root.path());
    settings.endpoint.control_plane = true;
    let mut running = start(root, settings);
    let expected = format!(
        "connected to {} with /etc/kubernetes/admin.conf \
         (first usable credentials; the local server, since this is a control-plane node)",
        server.url()
    );
    assert_eq!(running.told().await, expected);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_accepted() {
    let api = Api::default();
    api.answer(SECRET, 404);
    let tls = Tls::new("impostor");
    let server = Server::start_tls(api.router(), &tls).await;
    let root = tempfile::tempdir().unwrap();
    let (path, mut settings) = configured(&root);
    let ca = root.path().join("ca.crt");
    std::fs::write(&ca, &tls.ca_pem).unwrap();
    write_kubeconfig(&path, &server.url(), SECRET, Some(&ca));
    settings.endpoint.kubernetes_addr = Some(server.url());
    let mut running = start(root, settings);
    let told = running.told().await;
    assert!(told.contains("unreachable") && told.contains("not valid for name"), "{told}");
    assert!(running.connections.borrow().is_none());
}

#[tokio::test]
async fn a_service_account_reads_its_token_and_authority_from_the_pod() {
    let api = Api::default();
    api.answer(SECRET, 404);
    let tls = Tls::new("127.0.0.1");
    let server = Server::start_tls(api.router(), &tls).await;
    let port = server.address.port();
    let mut running = Running::with(|settings| {
        let dir = settings.root.join("var/run/secrets/kubernetes.io/serviceaccount");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("token"), SECRET).unwrap();
        std::fs::write(dir.join("ca.crt"), &tls.ca_pem).unwrap();
        settings.in_cluster = Some(InCluster { host: "127.0.0.1".into(), port });
    });
    let expected = format!(
        "connected to https://127.0.0.1:{port}/ with service account \
         (first usable credentials; as the credentials say)"
    );
    assert_eq!(running.told().await, expected);
}

#[tokio::test]
async fn keys_that_cannot_be_read_are_not_quoted() {
    let root = tempfile::tempdir().unwrap();
    let (path, settings) = configured(&root);
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         contexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         clusters: [{{name: k, cluster: {{server: 'https://127.0.0.1:1', certificate-authority-data: {SECRET}}}}}]\n\
         users: [{{name: u, user: {{client-certificate-data: {SECRET}, client-key-data: {SECRET}}}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    let mut running = start(root, settings);
    let told = running.told().await;
    assert!(told.starts_with("no credentials yet; /admin.conf is unusable: "), "{told}");
    assert!(!told.contains(SECRET) && !told.contains("secret-token"), "{told}");
}

#[tokio::test]
async fn permission_that_is_taken_away_later_is_looked_for_elsewhere_at_once() {
    let api = Api::default();
    let server = Server::start(api.router()).await;
    let root = tempfile::tempdir().unwrap();
    for (name, token) in [("admin", "ordinary"), ("super-admin", "super")] {
        let path = root.path().join(format!("etc/kubernetes/{name}.conf"));
        write_kubeconfig(&path, &server.url(), token, None);
        api.answer(token, 404);
    }
    let settings = settings(root.path());
    let mut running = start(root, settings);
    let connection = running.generation(1).await;
    assert!(connection.source.ends_with("/admin.conf"));
    api.answer("ordinary", 403);
    connection.suspect();
    let source = running.generation(2).await.source;
    assert!(source.ends_with("/super-admin.conf"));
}

/// An API server whose health is told by its `/readyz`, to those who have the token alone.
fn with_readyz(api: &Api, readyz: u16) -> Router {
    let answer = move |headers: HeaderMap| async move {
        let known = headers.get("authorization").is_some_and(|given| given == &format!("Bearer {SECRET}"));
        StatusCode::from_u16(if known { readyz } else { 401 }).unwrap()
    };
    api.router().route("/readyz", get(answer))
}

/// What the gate finds where the Service leads to one server, and the node has another or, for `None`, no longer any.
/// No address but 0.0.0.0 leads here everywhere and is none of loopback's.
async fn probed_beside_the_service(service: u16, local: Option<u16>) -> Result<(), String> {
    let api = Api::default();
    api.answer(SECRET, 404);
    let (service_tls, local_tls) = (Tls::new("0.0.0.0"), Tls::new("kubernetes"));
    let service = Server::start_tls(with_readyz(&api, service), &service_tls).await;
    let own = Server::start_tls(with_readyz(&api, local.unwrap_or(200)), &local_tls).await;
    let mut running = Running::with(|settings| {
        let dir = settings.root.join("var/run/secrets/kubernetes.io/serviceaccount");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("token"), SECRET).unwrap();
        std::fs::write(dir.join("ca.crt"), format!("{}{}", service_tls.ca_pem, local_tls.ca_pem)).unwrap();
        settings.in_cluster = Some(InCluster { host: "0.0.0.0".into(), port: service.address.port() });
        settings.endpoint.api_port = Some(own.address.port());
    });
    let connection = running.generation(1).await;
    assert_eq!(connection.endpoint, format!("https://0.0.0.0:{}/", service.address.port()));
    test(&settings_of(&running), &connection.lease).await.unwrap();
    if local.is_none() {
        own.stop().await;
    }
    probe(&running).await
}

async fn probe(running: &Running) -> Result<(), String> {
    let target = Target::Local { path: "/readyz".into() };
    Probe::new(target, Duration::from_secs(5), running.connections.clone()).probe().await
}

#[tokio::test]
async fn the_gate_judges_this_nodes_server_and_not_the_one_behind_the_service() {
    assert_eq!(probed_beside_the_service(200, None).await, Err("connection refused".into()));
    assert_eq!(probed_beside_the_service(200, Some(500)).await, Err("readyz says 500".into()));
    assert_eq!(probed_beside_the_service(500, Some(200)).await, Ok(()));
}

#[tokio::test]
async fn a_connection_to_loopback_is_probed_itself_whatever_the_port() {
    let api = Api::default();
    api.answer(SECRET, 404);
    let server = Server::start(with_readyz(&api, 200)).await;
    let root = tempfile::tempdir().unwrap();
    let (path, mut settings) = configured(&root);
    write_kubeconfig(&path, &server.url(), SECRET, None);
    settings.endpoint.api_port = Some(unused_address().await.port());
    let mut running = start(root, settings);
    running.generation(1).await;
    assert_eq!(probe(&running).await, Ok(()));
    assert_eq!(server.accepted(), 1, "and over the same client");
}
