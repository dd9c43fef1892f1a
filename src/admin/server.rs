//! What is served: health and metrics for everybody, the status for those who may open the socket.

use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use vipcast_proto::ipam::ServiceKey;

use super::board::StatusReader;
use super::exposition::Exposition;
use super::metrics::Metrics;
use super::peers::{Peers, Routes};
use super::services::{Ask, NO_SERVICE, Pools, ServiceExplanation, Services, Told};
use super::status::Status;
use crate::announce::bgp::Command;
use crate::clock;

/// What the handlers read.
#[derive(Clone, Debug)]
pub struct Admin {
    /// State of this node.
    pub status: StatusReader,
    /// Counters.
    pub metrics: Metrics,
    /// Set to the present by the owner of the supervised tasks, more often than [`STALE`].
    pub heartbeat: watch::Receiver<Instant>,
    /// To the BGP speaker, where there is one.
    pub speaker: Option<mpsc::Sender<Command>>,
    /// To whoever knows about Services, where they are on.
    pub services: Option<mpsc::Sender<Ask>>,
}

impl Admin {
    /// For the network: nothing that only an operator should see.
    pub fn public(self) -> Router {
        routes().with_state(self)
    }

    /// For the Unix socket: the same, and what only operators may see and do.
    pub fn private(self) -> Router {
        routes()
            .route("/v1/status", get(status))
            .route("/v1/peers", get(peers))
            .route("/v1/routes", get(all_routes))
            .route("/v1/routes/{peer}", get(routes_of))
            .route("/v1/peers/{peer}/reset", post(reset))
            .route("/v1/services", get(services))
            .route("/v1/services/{namespace}/{name}", get(service))
            .route("/v1/pools", get(pools))
            .with_state(self)
    }

    /// What Services are asked about, answered.
    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        let Some(services) = &self.services else {
            return Err((StatusCode::NOT_FOUND, format!("{SERVICES_OFF}: set svc_enable=true\n")));
        };
        let stopping = || {
            (StatusCode::SERVICE_UNAVAILABLE, "Services are no longer looked at: the daemon stops\n".into())
        };
        services.send(question(answer)).await.map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())
    }

    fn node(&self) -> String {
        self.status.status().node
    }

    /// How long the supervised tasks have shown no progress, where that is too long.
    fn stalled(&self) -> Option<Duration> {
        let silent = clock::now().saturating_duration_since(*self.heartbeat.borrow());
        Some(silent).filter(|silent| *silent > STALE)
    }
}

fn routes() -> Router<Admin> {
    Router::new()
        .route("/", get(async || INDEX))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/healthz", get(livez))
        .route("/readyz", get(readyz))
}

async fn metrics(State(admin): State<Admin>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let exposition = Exposition::accepted(accept);
    ([(CONTENT_TYPE, exposition.content_type())], exposition.render(admin.metrics.render()))
}

async fn livez(State(admin): State<Admin>) -> (StatusCode, String) {
    match admin.stalled() {
        None => (StatusCode::OK, "ok\n".into()),
        Some(silent) => {
            let why = format!("no progress for {:.1} s, limit {} s\n", silent.as_secs_f64(), STALE.as_secs());
            (StatusCode::INTERNAL_SERVER_ERROR, why)
        }
    }
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, String) {
    match admin.status.ready() {
        Ok(why) => (StatusCode::OK, format!("ok: {why}\n")),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

async fn status(State(admin): State<Admin>) -> Json<Status> {
    // The rest is told, too, when Services are stuck.
    let services = timeout(PATIENCE, admin.ask(Ask::Summary)).await.ok().and_then(Result::ok);
    let services_silent = admin.services.is_some() && services.is_none();
    Json(Status { services, services_silent, ..admin.status.status() })
}

async fn peers(State(admin): State<Admin>) -> Json<Peers> {
    Json(admin.status.peers())
}

async fn all_routes(State(admin): State<Admin>) -> Json<Routes> {
    Json(admin.status.routes(None))
}

async fn routes_of(State(admin): State<Admin>, Path(peer): Path<String>) -> Result<Json<Routes>, Refusal> {
    if admin.status.peers().peers.iter().all(|known| known.peer != peer) {
        return Err(no_such_peer(&peer));
    }
    Ok(Json(admin.status.routes(Some(&peer))))
}

async fn reset(State(admin): State<Admin>, Path(peer): Path<String>) -> Result<(), Refusal> {
    let (answer, answered) = oneshot::channel();
    let speaker = admin.speaker.as_ref().ok_or_else(|| no_such_peer(&peer))?;
    if speaker.send(Command::Reset(peer.clone(), answer)).await.is_err() {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "the BGP speaker is stopping\n".into()));
    }
    if answered.await.unwrap_or(false) { Ok(()) } else { Err(no_such_peer(&peer)) }
}

/// Which Services are asked for.
#[derive(Debug, Deserialize)]
struct Wanted {
    namespace: Option<String>,
}

async fn services(
    State(admin): State<Admin>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Services>, Refusal> {
    let Told { all: services, notes } = admin.ask(|answer| Ask::Services(wanted.namespace, answer)).await?;
    Ok(Json(Services { node: admin.node(), now: clock::wall().into(), services, notes }))
}

async fn service(
    State(admin): State<Admin>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<ServiceExplanation>, Refusal> {
    let key = ServiceKey { namespace: namespace.into(), name: name.into() };
    let explanation = admin.ask(|answer| Ask::Explain(key, answer)).await?;
    explanation.map(Json).map_err(|why| (StatusCode::NOT_FOUND, why + "\n"))
}

async fn pools(State(admin): State<Admin>) -> Result<Json<Pools>, Refusal> {
    let (Told { all: pools, notes }, why_none) = match admin.ask(Ask::Pools).await? {
        Ok(told) => (told, None),
        Err(why) => (Told { all: vec![], notes: vec![] }, Some(why)),
    };
    Ok(Json(Pools { node: admin.node(), now: clock::wall().into(), pools, why_none, notes }))
}

/// What is wrong with a request.
type Refusal = (StatusCode, String);

fn no_such_peer(peer: &str) -> Refusal {
    (StatusCode::NOT_FOUND, format!("{NO_PEER} {peer}\n"))
}

/// A heartbeat older than this means that the supervised tasks are stuck.
pub const STALE: Duration = Duration::from_secs(10);

/// Less than the client has.
const PATIENCE: Duration = Duration::from_secs(1);

/// How refusals begin that are not only a wrong path.
pub(super) const REFUSALS: [&str; 3] = [NO_PEER, NO_SERVICE, SERVICES_OFF];
const NO_PEER: &str = "there is no peer";
const SERVICES_OFF: &str = "Services are switched off on this node";

const INDEX: &str = "\
vipcast

/metrics   Prometheus metrics
/livez     200 while the daemon makes progress (also /healthz)
/readyz    200 once this node can do its job; the body says why not
";
