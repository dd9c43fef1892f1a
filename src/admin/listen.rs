//! Serving without trusting the clients: bounded connections, bounded headers, bounded time.
//!
//! A port that is taken or a socket that cannot be made is said once and tried again for ever; the
//! VIPs do not depend on it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use hyper::body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::socket::{AdminSocket, SocketError};
use crate::clock;

/// Serves `router` on a TCP address, for ever.
pub async fn serve_tcp(address: SocketAddr, router: Router) -> Infallible {
    let mut trouble = Trouble::default();
    let listener = loop {
        match bind_tcp(address).await {
            Ok(listener) => break listener,
            Err(error) if trouble.first() => warn!(
                %address, %error, fix = "free the port, or set prometheus_server to another one",
                "metrics and health are not served yet, trying again"
            ),
            Err(error) => debug!(%address, %error, "still not served"),
        }
        clock::pause(trouble.backoff()).await;
    };
    info!(%address, "metrics and health served");
    accept(listener, router).await
}

/// Serves `router` on a Unix socket, for ever. The file is removed when this future is dropped.
pub async fn serve_unix(path: PathBuf, router: Router) -> Infallible {
    let mut trouble = Trouble::default();
    // The file outlives the listener, and goes with it when this future is dropped.
    let AdminSocket { file: _file, listener } = loop {
        match AdminSocket::bind(&path).await {
            Ok(socket) => break socket,
            Err(error) if trouble.first() => warn!(
                path = %path.display(), error = %in_full(&error),
                "vipcast status is not served yet, trying again"
            ),
            Err(error) => debug!(path = %path.display(), %error, "still not served"),
        }
        clock::pause(trouble.backoff()).await;
    };
    info!(path = %path.display(), "status served");
    accept(listener, router).await
}

/// The newest connections win: a crowd of idle ones cannot keep a kubelet's probe out.
async fn accept<L: Listener>(mut listener: L, router: Router) -> Infallible {
    let router = router.layer(from_fn(no_body));
    let mut connections = Connections::default();
    loop {
        let (stream, _) = listener.accept().await;
        connections.admit(stream, router.clone());
    }
}

/// What a connection is made of.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// Open connections, the oldest first.
#[derive(Default)]
pub(super) struct Connections {
    tasks: JoinSet<()>,
    oldest: VecDeque<AbortHandle>,
}

impl Connections {
    pub(super) fn admit(&mut self, stream: impl Stream, router: Router) {
        while self.tasks.try_join_next().is_some() {}
        self.oldest.retain(|connection| !connection.is_finished());
        while self.oldest.len() >= MAX_CONNECTIONS {
            if let Some(connection) = self.oldest.pop_front() {
                connection.abort();
            }
        }
        self.oldest.push_back(self.tasks.spawn(serve(stream, router)));
    }
}

async fn serve(stream: impl Stream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "connection ended"),
        Err(_) => debug!("connection cut off"),
    }
}

/// No handler reads a body, so none is accepted.
async fn no_body(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        next.run(request).await
    } else {
        ([(CONNECTION, "close")], StatusCode::PAYLOAD_TOO_LARGE).into_response()
    }
}

/// The unspecified IPv6 address serves both families; where IPv6 is off, IPv4 alone has to do.
async fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && no_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

/// Says a thing once and waits longer each time.
#[derive(Default)]
struct Trouble {
    attempts: u32,
}

impl Trouble {
    const fn first(&self) -> bool {
        self.attempts == 0
    }

    fn backoff(&mut self) -> Duration {
        let wait = FIRST_RETRY.saturating_mul(1 << self.attempts.min(6)).min(LAST_RETRY);
        self.attempts = self.attempts.saturating_add(1);
        wait
    }
}

fn in_full(error: &SocketError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Far more than one Prometheus, one kubelet and one operator need.
const MAX_CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_HEADERS: usize = 64;
/// The least that hyper permits.
const MAX_BUFFER: usize = 8192;
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(15);
