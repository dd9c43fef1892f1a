//! Which API server is asked for the Lease: that of the credentials, this node's own as a rule, and others while it does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use kube::Client;
use tokio::sync::watch;
use tracing::info;

use crate::kube::access::Connection;

/// The API servers of all nodes, and which of them answered last.
#[derive(Debug)]
pub(super) struct Routes {
    servers: watch::Receiver<BTreeSet<SocketAddr>>,
    /// Whether an address is this node's.
    is_ours: fn(IpAddr) -> bool,
    /// Of which connection the clients are.
    generation: u64,
    clients: Clients,
    /// Who does not answer goes to the end.
    failed: Vec<SocketAddr>,
    /// Where the last answer came from, if not from this node.
    detour: Option<SocketAddr>,
}

#[derive(Default)]
struct Clients(BTreeMap<SocketAddr, Client>);

/// One server to ask.
pub(super) struct Route {
    pub(super) client: Client,
    /// `None`: this node's own, or whatever the credentials lead to.
    pub(super) server: Option<SocketAddr>,
}

impl Routes {
    pub(super) fn new(servers: watch::Receiver<BTreeSet<SocketAddr>>, is_ours: fn(IpAddr) -> bool) -> Self {
        Self {
            servers,
            is_ours,
            generation: 0,
            clients: Clients::default(),
            failed: Vec::new(),
            detour: None,
        }
    }

    /// The servers in the order in which to ask them.
    pub(super) fn of(&mut self, connection: &Connection) -> Vec<Route> {
        let own = Route { client: connection.lease.clone(), server: None };
        let mut routes = self.others(connection);
        let place = if connection.is_suspected() { routes.len() } else { 0 };
        routes.insert(place, own);
        routes
    }

    /// That server did not answer.
    pub(super) fn failed(&mut self, server: Option<SocketAddr>) {
        let Some(server) = server else {
            return;
        };
        self.failed.retain(|other| *other != server);
        self.failed.push(server);
    }

    /// That server answered.
    pub(super) fn answered(&mut self, server: Option<SocketAddr>) {
        if let Some(server) = server {
            self.failed.retain(|other| *other != server);
        }
        if self.detour == server {
            return;
        }
        self.detour = server;
        match server {
            Some(server) => info!(%server, "asking another node's API server for the lease"),
            None => info!("asking the usual API server for the lease again"),
        }
    }

    fn others(&mut self, connection: &Connection) -> Vec<Route> {
        if self.generation != connection.generation {
            self.generation = connection.generation;
            self.clients.0.clear();
        }
        let servers = self.servers.borrow().clone();
        self.clients.0.retain(|server, _| servers.contains(server));
        self.failed.retain(|server| servers.contains(server));
        let mut servers: Vec<SocketAddr> =
            servers.into_iter().filter(|server| !(self.is_ours)(server.ip())).collect();
        servers.sort_by_key(|server| {
            self.failed.iter().position(|failed| failed == server).map_or(0, |at| at + 1)
        });
        servers.into_iter().filter_map(|server| self.route(connection, server)).collect()
    }

    fn route(&mut self, connection: &Connection, server: SocketAddr) -> Option<Route> {
        let client = match self.clients.0.get(&server) {
            Some(client) => client.clone(),
            None => connection.beside(server)?,
        };
        self.clients.0.insert(server, client.clone());
        Some(Route { client, server: Some(server) })
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
