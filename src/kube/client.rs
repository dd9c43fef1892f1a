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
    // A server that vanished without a word is noticed after four seconds, on an idle watch by the keep-alives: other
    // members wait hardly longer before they take over. Where there is a user time-out, Linux gives a connection up by
    // that, and does not count the keep-alives.
    tcp.set_keepalive(Some(KEEPALIVE_IDLE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
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
const USER_TIMEOUT: Duration = Duration::from_secs(4);
const POOL_IDLE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use futures::StreamExt as _;
    use k8s_openapi::api::coordination::v1::Lease;
    use kube::Api;
    use kube::api::WatchParams;
    use tokio::time::timeout;

    use super::*;
    use crate::clock;
    use crate::net::namespace::Namespace;
    use crate::net::wiring::LinkState;

    const SERVER: &str = "192.0.2.1";

    /// A cable between whoever asks and a server that begins to answer a watch, and says no more.
    fn silent_server() -> (Namespace, Namespace) {
        let [client, server] = [(); 2].map(|()| Namespace::create().unwrap());
        client.add_veth("eth0", &server, "eth0").unwrap();
        for (namespace, address) in [(&server, SERVER), (&client, "192.0.2.2")] {
            namespace.add_address("eth0", format!("{address}/24").parse().unwrap()).unwrap();
            namespace.set_link("eth0", LinkState::Up).unwrap();
        }
        let listener = server.run(|| TcpListener::bind((SERVER, 6443)).unwrap()).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let head =
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            stream.write_all(head).unwrap();
            // Until the other end is gone, which it never hears of.
            drop(stream.read(&mut [0; 1]));
        });
        (client, server)
    }

    #[test]
    #[ignore = "needs root, for network namespaces: tools/test runs it"]
    fn a_server_that_vanished_is_noticed_on_an_idle_watch_before_a_member_lease_runs_out() {
        let (client, server) = silent_server();
        let noticed = client.block_on(|| async {
            let config = Config::new(format!("http://{SERVER}:6443").parse().unwrap());
            let leases: Api<Lease> = Api::default_namespaced(build(&config, Duration::from_secs(1)).unwrap());
            let mut watch = leases.watch(&WatchParams::default(), "0").await.unwrap().boxed();
            server.set_link("eth0", LinkState::Down).unwrap();
            let gone = clock::now();
            let end = timeout(Duration::from_secs(20), watch.next()).await.expect("it is noticed at all");
            assert!(end.is_none_or(|change| change.is_err()));
            clock::now() - gone
        });
        let noticed = noticed.unwrap();
        assert!((Duration::from_secs(3)..Duration::from_secs(5)).contains(&noticed), "after {noticed:?}");
    }
}
