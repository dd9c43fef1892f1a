//! What is served: health and metrics for everybody, the status for those who may open the socket.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::watch;

use super::board::StatusReader;
use super::exposition::Exposition;
use super::metrics::Metrics;
use super::status::Status;
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
}

impl Admin {
    /// For the network: nothing that only an operator should see.
    pub fn public(self) -> Router {
        routes().with_state(self)
    }

    /// For the Unix socket: the same, and `/v1/status`.
    pub fn private(self) -> Router {
        routes().route("/v1/status", get(status)).with_state(self)
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
    Json(admin.status.status())
}

/// A heartbeat older than this means that the supervised tasks are stuck.
pub const STALE: Duration = Duration::from_secs(10);

const INDEX: &str = "\
vipcast

/metrics   Prometheus metrics
/livez     200 while the daemon makes progress (also /healthz)
/readyz    200 once this node can do its job; the body says why not
";
