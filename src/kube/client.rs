//! The transport under every API client: bounded connects, dead peers noticed, no retries, no log lines.
//!
//! `kube::Client::try_from` has no TCP options, logs each failure by itself, and cannot be built for
//! plain http without a CA; hence our own stack of kube's own layers.

use std::time::Duration;

use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use tower::{BoxError, ServiceExt as _};

/// A client for `config`. Requests have no time-out of their own: every caller sets one.
pub(super) fn build(config: &Config, connect_timeout: Duration) -> kube::Result<Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    // A server that vanished without a word is noticed on an idle watch by keep-alives, after four seconds: other
    // members wait hardly longer before they take over. On a request it is noticed by the user time-out, after ten.
    tcp.set_keepalive(Some(KEEPALIVE_IDLE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
    match config.cluster_url.scheme_str() {
        Some("http") => stack(config, tcp),
        _ => stack(config, config.rustls_https_connector_with_connector(tcp)?),
    }
}

fn stack<C: Connect + Clone + Send + Sync + 'static>(config: &Config, connector: C) -> kube::Result<Client> {
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .build(connector);
    let http = http.map_err(BoxError::from);
    let bottom =
        ClientBuilder::new(http, config.default_namespace.clone()).with_layer(&config.extra_headers_layer()?);
    Ok(match config.auth_layer()? {
        Some(auth) => bottom.with_layer(&auth).with_layer(&config.base_uri_layer()).build(),
        None => bottom.with_layer(&config.base_uri_layer()).build(),
    })
}

const KEEPALIVE_IDLE: Duration = Duration::from_secs(2);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEPALIVE_RETRIES: u32 = 2;
const USER_TIMEOUT: Duration = Duration::from_secs(10);
const POOL_IDLE: Duration = Duration::from_secs(60);
