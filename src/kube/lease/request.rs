//! One request about one Lease, to whichever API server answers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use tokio::sync::watch;
use tokio::time::timeout;

use super::LeaseName;
use super::route::{Route, Routes};
use crate::clock;
use crate::kube::access::Connection;
use crate::kube::failure::Failure;
use crate::net::is_ours;

/// Whoever asks for one Lease, through whatever connection is newest.
#[derive(Debug)]
pub(in crate::kube) struct Requests {
    pub(in crate::kube) name: LeaseName,
    pub(super) connections: watch::Receiver<Option<Connection>>,
    pub(super) routes: Routes,
}

/// What a server is asked.
#[derive(Clone, Copy)]
pub(in crate::kube) enum Request<'a> {
    Read,
    /// A PUT with the version it is based on; a POST where the Lease must not exist yet.
    Write(&'a Lease),
}

impl Requests {
    pub(in crate::kube) fn new(name: LeaseName, connections: watch::Receiver<Option<Connection>>) -> Self {
        let routes = Routes::new(watch::channel(BTreeSet::new()).1, is_ours);
        Self { name, connections, routes }
    }

    /// Asks the API server of another node while this node's own does not answer.
    pub(in crate::kube) fn with_others(self, servers: watch::Receiver<BTreeSet<SocketAddr>>) -> Self {
        Self { routes: Routes::new(servers, is_ours), ..self }
    }

    /// Asks one server after the other, as long as a request has certainly not left; `limit` is for all of them.
    pub(in crate::kube) async fn send(
        &mut self,
        limit: Duration,
        request: Request<'_>,
    ) -> Result<Option<Lease>, Failure> {
        let Some(connection) = self.connections.borrow().clone() else {
            return Err(Failure::NoServer);
        };
        let departed = clock::now();
        let mut result = Err(Failure::NoServer);
        for Route { client, server } in self.routes.of(&connection) {
            let left = limit.saturating_sub(clock::now().saturating_duration_since(departed));
            let api = Api::namespaced(client, &self.name.namespace);
            let answer = timeout(left, request.send(&api, &self.name.name)).await;
            result = answer.map_err(|_| Failure::TimedOut).and_then(|result| result.map_err(Failure::from));
            self.judge(&connection, server, result.as_ref().err());
            if !matches!(result, Err(Failure::NotSent(_))) {
                break;
            }
        }
        result
    }

    fn judge(&mut self, connection: &Connection, server: Option<SocketAddr>, failure: Option<&Failure>) {
        match failure.map(Failure::code) {
            None | Some(Some(404 | 409)) => self.routes.answered(server),
            Some(_) if server.is_none() => connection.suspect(),
            Some(_) => self.routes.failed(server),
        }
    }
}

impl Request<'_> {
    /// The Lease as it is then; `None` only of a read: there is no such Lease.
    async fn send(self, api: &Api<Lease>, name: &str) -> kube::Result<Option<Lease>> {
        match self {
            Self::Read => api.get_opt(name).await,
            Self::Write(lease) if lease.metadata.resource_version.is_some() => {
                api.replace(name, &PostParams::default(), lease).await.map(Some)
            }
            Self::Write(lease) => api.create(&PostParams::default(), lease).await.map(Some),
        }
    }
}
