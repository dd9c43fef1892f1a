//! The API servers of other nodes, for when the usual one does not answer.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use kube::{Client, Config};

use crate::kube::client;

/// Credentials that every API server of the cluster accepts.
pub(super) struct Beside {
    config: Config,
    connect_timeout: Duration,
    /// Never dialled: reaching them would need what they are for.
    vips: BTreeSet<IpAddr>,
}

impl Beside {
    /// `limit` is how long a request may take.
    pub(super) fn new(config: Config, limit: Duration, vips: BTreeSet<IpAddr>) -> Self {
        // One that is dead leaves time for the next one.
        Self { config, connect_timeout: limit / 4, vips }
    }

    pub(super) fn client(&self, server: SocketAddr) -> Option<Client> {
        if self.vips.contains(&server.ip()) {
            return None;
        }
        let mut config = self.config.clone();
        let scheme = config.cluster_url.scheme_str().unwrap_or("https").to_owned();
        config.cluster_url = format!("{scheme}://{server}").parse().ok()?;
        // Every API server's certificate has this name; not every one has each address that it can be reached at.
        config.tls_server_name = (scheme == "https").then(|| "kubernetes".to_owned());
        client::build(&config, self.connect_timeout).ok()
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Beside")
    }
}
