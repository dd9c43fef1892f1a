//! Probes the local API server once; when the answers add up to a verdict is `vipcast_proto::health`'s to say.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::{Request, StatusCode, Uri};
use kube::client::Body;
use kube::{Client, Config};
use tokio::sync::watch;
use tokio::time::timeout;

use super::access::Connection;
use super::client;
use super::failure::Failure;

/// What is probed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// The server of this node, with our credentials: it is the one that the VIP's traffic arrives at.
    Local {
        /// `/readyz` or `/livez`.
        path: String,
    },
    /// Another address, without credentials.
    Address {
        /// `control_plane_health_check_address`: http or https, with a path.
        url: Uri,
        /// `control_plane_health_check_ca_path`. Without it a server's certificate is not verified:
        /// nothing is told to that server, and nothing but "well" or "not well" is taken from it.
        ca: Option<PathBuf>,
    },
}

/// Probes one target again and again over the same connection.
#[derive(Debug)]
pub struct Probe {
    target: Target,
    limit: Duration,
    connections: watch::Receiver<Option<Connection>>,
    /// The client for [`Target::Address`], once there is one.
    client: Option<Separate>,
}

impl Probe {
    /// `limit` bounds each probe from its departure to the end of its answer.
    #[must_use]
    pub fn new(target: Target, limit: Duration, connections: watch::Receiver<Option<Connection>>) -> Self {
        Self { target, limit, connections, client: None }
    }

    /// Asks once. The error is a reason for an operator.
    ///
    /// # Errors
    /// Whatever is not a success in time: "connection refused", "timed out", "readyz says 500: etcd failed".
    pub async fn probe(&mut self) -> Result<(), String> {
        let (client, path) = self.client()?;
        let answer = timeout(self.limit, ask(client, &path)).await;
        answer.map_err(|_| "timed out".to_owned())?.map_err(|why| match why {
            Unfit::Failed(failure) => failure.to_string(),
            Unfit::Says(status, detail) if detail.is_empty() => {
                format!("{} says {status}", name(&path))
            }
            Unfit::Says(status, detail) => format!("{} says {status}: {detail}", name(&path)),
        })
    }

    fn client(&mut self) -> Result<(Client, String), String> {
        match &self.target {
            Target::Local { path } => {
                let connection = self.connections.borrow().clone();
                let connection = connection.ok_or("no API server yet")?;
                Ok((connection.local, path.clone()))
            }
            Target::Address { url, ca } => {
                let path = url.path_and_query().map_or("/", |path| path.as_str()).to_owned();
                if let Some(Separate(client)) = &self.client {
                    return Ok((client.clone(), path));
                }
                let client = separate(url, ca.as_ref(), self.limit)?;
                self.client = Some(Separate(client.clone()));
                Ok((client, path))
            }
        }
    }
}

struct Separate(Client);

impl std::fmt::Debug for Separate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

enum Unfit {
    Failed(Failure),
    Says(u16, String),
}

impl From<kube::Error> for Unfit {
    fn from(error: kube::Error) -> Self {
        Self::Failed(error.into())
    }
}

async fn ask(client: Client, path: &str) -> Result<(), Unfit> {
    let request = Request::get(path).body(Body::empty()).map_err(kube::Error::HttpError)?;
    let response = client.send(request).await?;
    let status = response.status();
    // Read to the end in any case, so that the connection can be used again.
    let body = Limited::new(response.into_body(), BODY).collect().await;
    match (status, body) {
        (StatusCode::OK, Ok(_)) => Ok(()),
        (StatusCode::OK, Err(_)) => Err(Unfit::Failed(Failure::Broken("answer broken off".into()))),
        (status, body) => {
            let text = body.map(|body| body.to_bytes()).unwrap_or_default();
            Err(Unfit::Says(status.as_u16(), failing_checks(&String::from_utf8_lossy(&text))))
        }
    }
}

/// The names of the checks that a Kubernetes server marks with `[-]`.
fn failing_checks(body: &str) -> String {
    let names = body.lines().filter_map(|line| line.strip_prefix("[-]")?.split_whitespace().next());
    let names: Vec<_> = names.take(CHECKS).collect();
    if names.is_empty() { String::new() } else { format!("{} failed", names.join(", ")) }
}

fn name(path: &str) -> &str {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    path.trim_matches('/')
}

fn separate(url: &Uri, ca: Option<&PathBuf>, limit: Duration) -> Result<Client, String> {
    let authority = url.authority().ok_or("the address has no host")?;
    let base = format!("{}://{authority}", url.scheme_str().unwrap_or("https"));
    let mut config = Config::new(base.parse().map_err(|_| "the address is not a URL")?);
    config.root_cert = Some(Vec::new());
    config.root_cert_file = ca.cloned();
    config.accept_invalid_certs = ca.is_none();
    client::build(&config, limit).map_err(|_| match ca {
        Some(ca) => format!("{} is not a certificate authority", ca.display()),
        None => "no client can be made for the address".into(),
    })
}

const BODY: usize = 64 << 10;
const CHECKS: usize = 8;

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;
    use crate::kube::testing::{Server, Tls, connection, unused_address};

    const LIMIT: Duration = Duration::from_secs(5);

    fn locally(url: &str) -> Probe {
        let (_, connections) = watch::channel(Some(connection(url, 1)));
        Probe::new(Target::Local { path: "/readyz".into() }, LIMIT, connections)
    }

    fn separately(url: String, ca: Option<PathBuf>) -> Probe {
        let (_, connections) = watch::channel(None);
        Probe::new(Target::Address { url: url.parse().unwrap(), ca }, LIMIT, connections)
    }

    #[tokio::test]
    async fn a_ready_server_passes_again_and_again_over_one_connection() {
        let server = Server::start(Router::new().route("/readyz", get(|| async { "ok" }))).await;
        let mut probe = locally(&server.url());
        for _ in 0..3 {
            assert_eq!(probe.probe().await, Ok(()));
        }
        assert_eq!(server.accepted(), 1);
    }

    #[tokio::test]
    async fn the_checks_that_fail_are_named() {
        let body =
            "[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac failed\nreadyz check failed";
        let answer = get(move || async move { (StatusCode::INTERNAL_SERVER_ERROR, body) });
        let server = Server::start(Router::new().route("/readyz", answer)).await;
        let expected = Err("readyz says 500: etcd, poststarthook/rbac failed".to_owned());
        assert_eq!(locally(&server.url()).probe().await, expected);
    }

    #[tokio::test]
    async fn a_refused_connection_is_called_so() {
        let url = format!("http://{}", unused_address().await);
        assert_eq!(locally(&url).probe().await, Err("connection refused".into()));
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_given_up_at_the_limit() {
        let server = Server::start(Router::new().route("/readyz", get(std::future::pending::<()>))).await;
        let (_, connections) = watch::channel(Some(connection(&server.url(), 1)));
        let limit = Duration::from_millis(50);
        let mut probe = Probe::new(Target::Local { path: "/readyz".into() }, limit, connections);
        assert_eq!(probe.probe().await, Err("timed out".into()));
    }

    #[tokio::test]
    async fn without_a_connection_there_is_nothing_to_probe() {
        let (_, connections) = watch::channel(None);
        let mut probe = Probe::new(Target::Local { path: "/readyz".into() }, LIMIT, connections);
        assert_eq!(probe.probe().await, Err("no API server yet".into()));
    }

    #[tokio::test]
    async fn a_separate_address_is_verified_by_its_own_authority() {
        let tls = Tls::new("127.0.0.1");
        let server = Server::start_tls(Router::new().route("/healthz", get(|| async { "ok" })), &tls).await;
        let dir = tempfile::tempdir().unwrap();
        let (right, wrong) = (dir.path().join("right.crt"), dir.path().join("wrong.crt"));
        std::fs::write(&right, &tls.ca_pem).unwrap();
        std::fs::write(&wrong, Tls::new("127.0.0.1").ca_pem).unwrap();
        let url = format!("{}/healthz", server.url());
        assert_eq!(separately(url.clone(), Some(right)).probe().await, Ok(()));
        assert_eq!(separately(url.clone(), None).probe().await, Ok(()));
        let refused = separately(url.clone(), Some(wrong)).probe().await;
        assert!(refused.is_err_and(|why| why.contains("certificate")));
        let missing = separately(url, Some("/nonexistent/ca.crt".into())).probe().await;
        assert_eq!(missing, Err("/nonexistent/ca.crt is not a certificate authority".into()));
    }

    #[tokio::test]
    async fn a_separate_address_may_be_plain_http() {
        let server = Server::start(Router::new().route("/healthz", get(|| async { "ok" }))).await;
        assert_eq!(separately(format!("{}/healthz?verbose", server.url()), None).probe().await, Ok(()));
    }
}
