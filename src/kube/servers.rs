//! Where the cluster's API servers are, as they say themselves: the endpoints of the Service `kubernetes`.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use tokio::sync::watch;

use super::access::Connection;
use super::follow::{Objects, Step, follow};
use crate::change::publish;

/// Publishes where they are. What was known last stays while nobody can be asked. Asks only through connections that can
/// use the answer, and returns only when nobody publishes connections any more.
pub async fn watch_servers(
    connections: watch::Receiver<Option<Connection>>,
    out: watch::Sender<BTreeSet<SocketAddr>>,
) {
    let useful = |now: &Option<Connection>| now.as_ref().is_some_and(Connection::is_one_of_many);
    let mut changes = connections.clone();
    while changes.wait_for(useful).await.is_ok() {
        let source = |connection: &Connection| Objects::<EndpointSlice> {
            api: Api::namespaced(connection.watch.clone(), "default"),
            fields: format!("metadata.name={NAME}"),
        };
        let publish = |step| publish(&out, servers(step));
        tokio::select! {
            () = follow("API servers", connections.clone(), source, publish) => return,
            _ = changes.wait_for(|now| !useful(now)) => {}
        }
    }
}

fn servers(step: Step<EndpointSlice>) -> BTreeSet<SocketAddr> {
    let ours = |slice: &EndpointSlice| slice.metadata.name.as_deref() == Some(NAME);
    let slice = match step {
        Step::Listed(slices) => slices.into_iter().find(ours),
        Step::Applied(slice) => Some(slice),
        Step::Deleted(_) => None,
    };
    slice.as_ref().map(addresses).unwrap_or_default()
}

fn addresses(slice: &EndpointSlice) -> BTreeSet<SocketAddr> {
    let ports = slice.ports.iter().flatten().filter(|port| port.name.as_deref() == Some("https"));
    let ports: Vec<u16> = ports.filter_map(|port| u16::try_from(port.port?).ok()).collect();
    let ready = slice.endpoints.iter().filter(|endpoint| {
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) != Some(false)
    });
    let addresses = ready.flat_map(|endpoint| &endpoint.addresses).filter_map(|ip| ip.parse::<IpAddr>().ok());
    addresses.flat_map(|ip| ports.iter().map(move |port| SocketAddr::new(ip, *port))).collect()
}

/// What API servers call their own slice.
const NAME: &str = "kubernetes";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slice(name: &str) -> EndpointSlice {
        let value = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "namespace": "default"},
            "endpoints": [
                {"addresses": ["192.0.2.1"], "conditions": {"ready": true}},
                {"addresses": ["192.0.2.2", "api.example.org"]},
                {"addresses": ["192.0.2.3"], "conditions": {"ready": false}},
            ],
            "ports": [{"name": "https", "port": 6443}, {"name": "other", "port": 1}, {"name": "https"}],
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_ready_endpoints_of_the_https_port_are_the_servers() {
        let expected = ["192.0.2.1:6443", "192.0.2.2:6443"].map(|address| address.parse().unwrap());
        assert_eq!(servers(Step::Applied(slice(NAME))), expected.into());
        assert_eq!(servers(Step::Listed(vec![slice("other"), slice(NAME)])), expected.into());
        assert_eq!(servers(Step::Listed(vec![slice("other")])), BTreeSet::new());
        assert_eq!(servers(Step::Deleted(slice(NAME))), BTreeSet::new());
    }
}
