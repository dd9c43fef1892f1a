//! One request over a stream that is already connected: what `vipcast status` needs and no more.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::server::REFUSALS;
use super::status::Status;

/// Why the daemon's status is not known.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no socket.
    #[error(
        "no socket at {0}: vipcast does not run on this node, or it runs in a pod that does not share the directory"
    )]
    Missing(PathBuf),
    /// The socket belongs to somebody else.
    #[error("permission denied on {0}: run this as root")]
    Forbidden(PathBuf),
    /// The socket is left over.
    #[error("nobody answers on {0}: the daemon that made this socket is gone; look at its log")]
    Dead(PathBuf),
    /// The daemon took too long.
    #[error("no answer on {0} within 3 s: the daemon is frozen or overloaded")]
    Silent(PathBuf),
    /// The connection failed.
    #[error("cannot talk to the daemon on {path}: {source}")]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// It says no.
    #[error("{0}")]
    Refused(String),
    /// Something else listens there, or another version of vipcast.
    #[error("what answers on {path} is not vipcast, or another version of it: {reason}")]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// What is wrong with the answer.
        reason: String,
    },
}

/// The status of the daemon behind `socket`.
///
/// # Errors
/// It does not answer, or not with a status.
pub async fn status(socket: &Path) -> Result<Status, ClientError> {
    fetch(socket, "/v1/status").await
}

/// What the daemon behind `socket` answers to a GET.
///
/// # Errors
/// It does not answer, or not with what is wanted.
pub async fn fetch<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, ClientError> {
    let body = ask(socket, Method::GET, path).await?;
    let foreign = |error: serde_json::Error| ClientError::Foreign {
        path: socket.to_owned(),
        reason: error.to_string(),
    };
    serde_json::from_slice(&body).map_err(foreign)
}

/// Has the daemon behind `socket` do something.
///
/// # Errors
/// It does not answer, or refuses.
pub async fn order(socket: &Path, path: &str) -> Result<(), ClientError> {
    ask(socket, Method::POST, path).await.map(drop)
}

async fn ask(socket: &Path, method: Method, path: &str) -> Result<Bytes, ClientError> {
    let answer = timeout(TIMEOUT, async {
        let stream = UnixStream::connect(socket).await?;
        request(stream, method, path).await
    });
    let at = socket.to_owned();
    match answer.await {
        Err(_) => Err(ClientError::Silent(at)),
        Ok(Err(error)) => Err(broken(at, error)),
        Ok(Ok((StatusCode::OK, body))) => Ok(body),
        Ok(Ok((StatusCode::NOT_FOUND, body)))
            if REFUSALS.iter().any(|begin| body.starts_with(begin.as_bytes())) =>
        {
            Err(ClientError::Refused(String::from_utf8_lossy(&body).trim().to_owned()))
        }
        Ok(Ok((code, _))) => Err(ClientError::Foreign { path: at, reason: format!("it answers {code}") }),
    }
}

/// A GET; status code and body.
///
/// # Errors
/// The connection breaks, or what comes back is not HTTP or too long.
pub async fn get<S>(stream: S, path: &str) -> io::Result<(StatusCode, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    request(stream, Method::GET, path).await
}

async fn request<S>(stream: S, method: Method, path: &str) -> io::Result<(StatusCode, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let request =
        Request::builder().method(method).uri(path).header(HOST, "vipcast").body(Empty::<Bytes>::new());
    let request = request.map_err(io::Error::other)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let code = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        Ok((code, body.map_err(io::Error::other)?.to_bytes()))
    };
    let driver = async {
        // Its errors reach the exchange as well.
        drop(connection.await);
        std::future::pending().await
    };
    tokio::select! {
        answer = exchange => answer,
        never = driver => never,
    }
}

fn broken(path: PathBuf, source: io::Error) -> ClientError {
    match source.raw_os_error() {
        Some(libc::ENOENT) => ClientError::Missing(path),
        Some(libc::EACCES | libc::EPERM) => ClientError::Forbidden(path),
        Some(libc::ECONNREFUSED) => ClientError::Dead(path),
        Some(_) | None => ClientError::Broken { path, source },
    }
}

/// Named in [`ClientError::Silent`].
const TIMEOUT: Duration = Duration::from_secs(3);

/// Room for some hundred thousand routes.
const MAX_ANSWER: usize = 128 << 20;
