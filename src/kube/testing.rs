//! Small API servers for the tests of this module, plain and with TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use kube::Config;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::access::Connection;
use super::client;

/// A server on loopback that ends, with all its connections, when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    accepted: Arc<AtomicUsize>,
    task: JoinSet<()>,
}

/// A certificate authority, and a certificate of its own for one name.
pub(crate) struct Tls {
    pub(crate) ca_pem: String,
    config: Arc<ServerConfig>,
}

impl Server {
    pub(crate) async fn start(app: Router) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), app, None)
    }

    pub(crate) async fn start_tls(app: Router, tls: &Tls) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), app, Some(tls))
    }

    pub(crate) fn on(listener: TcpListener, app: Router, tls: Option<&Tls>) -> Self {
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut task = JoinSet::new();
        let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::clone(&tls.config)));
        task.spawn(accept(listener, app, acceptor, Arc::clone(&accepted)));
        Self { address, scheme: if tls.is_some() { "https" } else { "http" }, accepted, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Ends it; its address can be used again at once.
    pub(crate) async fn stop(mut self) {
        self.task.shutdown().await;
    }

    /// How many TCP connections there have been.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Tls {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap();
        let issuer = Issuer::from_params(&params, &key);
        let own = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()));
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        Self { ca_pem: ca.pem(), config: Arc::new(config) }
    }
}

/// A connection to a server that asks for no credentials.
pub(crate) fn connection(url: &str, generation: u64) -> Connection {
    let config = Config::new(url.parse().unwrap());
    let client = client::build(&config, Duration::from_secs(2)).unwrap();
    Connection::of(client.clone(), client, url, generation)
}

/// Where nobody listens.
pub(crate) async fn unused_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A listener on an address that another server has just left.
pub(crate) fn listen_again(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(16).unwrap()
}

/// A kubeconfig for `server`, with a token and, where given, an authority.
pub(crate) fn write_kubeconfig(path: &Path, server: &str, token: &str, ca: Option<&Path>) {
    let ca = ca.map(|ca| format!(", certificate-authority: {}", ca.display())).unwrap_or_default();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         contexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         clusters: [{{name: k, cluster: {{server: '{server}'{ca}}}}}]\n\
         users: [{{name: u, user: {{token: {token}}}}}]\n"
    );
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

async fn accept(listener: TcpListener, app: Router, tls: Option<TlsAcceptor>, accepted: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        accepted.fetch_add(1, Ordering::SeqCst);
        let (app, tls) = (app.clone(), tls.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, app).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, app).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, app: Router) {
    let service = TowerToHyperService::new(app);
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client that goes away is no concern of a test server.
    let _ = connection.await;
}
