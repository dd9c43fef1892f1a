//! What each object means to the catalog.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use vipcast_proto::ipam::{Assignment, Family, Port, Protocol, ServiceKey};
use vipcast_proto::service::{self, ASSIGNED, SliceKey, Terms, Written};

use super::object::{self, Metadata};

/// What is to be kept of a Service.
pub(super) fn service(from: object::Service, terms: &Terms) -> Option<service::Service> {
    let object::Service { metadata, spec, status } = from;
    let ports: Vec<Port> = spec.ports.iter().filter_map(port).collect();
    let ingress = status.load_balancer.ingress;
    let ports_shown = shows(&ingress, &ports);
    let ingress = ingress.into_iter().filter_map(|ingress| ingress.ip);
    let written = Written {
        key: service_key(&metadata),
        uid: metadata.uid,
        created: metadata.creation_timestamp.as_deref().map_or(0, seconds),
        deleting: metadata.deletion_timestamp.is_some(),
        labels: metadata.labels,
        record: record(metadata.annotations.get(ASSIGNED)),
        annotations: metadata.annotations,
        service_type: spec.service_type,
        load_balancer_class: spec.load_balancer_class,
        load_balancer_ip: spec.load_balancer_ip,
        source_ranges: spec.load_balancer_source_ranges,
        external_traffic_policy: spec.external_traffic_policy,
        selector: spec.selector,
        ports,
        ip_family_policy: spec.ip_family_policy,
        ip_families: spec.ip_families,
        cluster_ips: spec.cluster_ips,
        ingress: ingress.filter(|ip| !ip.is_empty()).collect(),
        ports_shown,
        status_writer: metadata.status_writer,
    };
    written.read(terms)
}

/// What is to be kept of an EndpointSlice; nothing of one without a Service, or of DNS names.
pub(super) fn slice(from: object::EndpointSlice) -> Option<service::EndpointSlice> {
    let family = match from.address_type.as_str() {
        "IPv4" => Family::V4,
        "IPv6" => Family::V6,
        _ => return None,
    };
    let service = from.metadata.labels.get(SERVICE_NAME)?;
    let endpoints = from.endpoints.iter().map(|endpoint| service::Endpoint {
        node: endpoint.node_name.as_deref(),
        ready: endpoint.conditions.ready,
        serving: endpoint.conditions.serving,
        terminating: endpoint.conditions.terminating,
    });
    Some(service::EndpointSlice::new(slice_key(&from.metadata), service.into(), family, endpoints))
}

/// What is to be kept of a Node.
pub(super) fn node(from: object::Node) -> Option<service::Node> {
    let object::Node { metadata, spec, status } = from;
    let is = |kind: &str| status.conditions.iter().any(|one| one.kind == kind && one.status == "True");
    let tainted = |key: &str| spec.taints.iter().any(|taint| taint.key == key);
    let of_kind = |kind| {
        let all = status.addresses.iter().filter(move |address| address.kind == kind);
        all.filter_map(|address| address.address.parse::<IpAddr>().ok()).collect()
    };
    Some(service::Node {
        ready: is("Ready"),
        network_unavailable: is("NetworkUnavailable"),
        out_of_service: tainted(OUT_OF_SERVICE),
        // The taint comes a moment after the field; somebody may set only one of them.
        cordoned: spec.unschedulable == Some(true) || tainted(UNSCHEDULABLE),
        excluded: metadata.labels.get(EXCLUDED).is_some(),
        addresses: of_kind("InternalIP"),
        external_addresses: of_kind("ExternalIP"),
        pod_networks: spec.pod_cidrs.iter().filter_map(|cidr| cidr.parse().ok()).collect(),
        name: metadata.name,
        labels: metadata.labels,
    })
}

/// What is to be kept of a Namespace.
pub(super) fn namespace(from: object::Namespace) -> Option<service::Namespace> {
    Some(service::Namespace { name: from.metadata.name, labels: from.metadata.labels })
}

/// The name of a Service.
pub(super) fn service_key(of: &Metadata) -> ServiceKey {
    ServiceKey { namespace: of.namespace.as_str().into(), name: of.name.as_str().into() }
}

/// The name of a slice.
pub(super) fn slice_key(of: &Metadata) -> SliceKey {
    SliceKey { namespace: of.namespace.as_str().into(), name: of.name.as_str().into() }
}

/// The name of what has no namespace.
pub(super) fn name(of: &Metadata) -> String {
    of.name.clone()
}

fn seconds(timestamp: &str) -> i64 {
    timestamp.parse::<Timestamp>().map_or(0, Timestamp::as_second)
}

fn port(from: &object::ServicePort) -> Option<Port> {
    Some(Port { protocol: protocol(from.protocol.as_deref())?, number: from.port })
}

fn protocol(text: Option<&str>) -> Option<Protocol> {
    match text {
        Some("TCP") | None => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(_) => None,
    }
}

/// Whether each address in a status has all of `ports`, and no others. Order means nothing.
fn shows(ingress: &[object::Ingress], ports: &[Port]) -> bool {
    let wanted: BTreeSet<Port> = ports.iter().copied().collect();
    let port = |it: &object::PortStatus| {
        Some(Port { protocol: protocol(it.protocol.as_deref())?, number: it.port.try_into().ok()? })
    };
    let shown = |it: &object::Ingress| it.ports.iter().map(port).collect::<Option<BTreeSet<Port>>>();
    let addresses = ingress.iter().filter(|it| it.ip.as_ref().is_some_and(|ip| !ip.is_empty()));
    addresses.map(shown).all(|shown| shown.as_ref() == Some(&wanted))
}

/// What our annotation says; `None`: nothing that can be read.
fn record(text: Option<&str>) -> Option<Vec<Assignment>> {
    let Some(text) = text else { return Some(vec![]) };
    let entries: Vec<Entry> = serde_json::from_str(text).ok()?;
    let assignment = |it: Entry| Assignment { address: it.address, pool: it.pool.map(Into::into) };
    Some(entries.into_iter().map(assignment).collect())
}

/// One of [`ASSIGNED`].
#[derive(Deserialize)]
struct Entry {
    address: IpAddr,
    pool: Option<String>,
}

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_status_shows_the_ports_where_each_address_has_all_of_them_and_no_others() {
        let (tcp, udp) =
            (Port { protocol: Protocol::Tcp, number: 53 }, Port { protocol: Protocol::Udp, number: 53 });
        let shown = |ingress: Value, ports: &[Port]| {
            let ingress: Vec<object::Ingress> = serde_json::from_value(ingress).unwrap();
            shows(&ingress, ports)
        };
        let both = json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]);
        let one = json!([{"port": 53, "protocol": "TCP"}]);
        let broken = json!([{"port": 65_589, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]);
        let cases = [
            (json!([{"ip": "192.0.2.7", "ports": both}, {"hostname": "lb.example.com"}]), true),
            (json!([{"ip": "192.0.2.7", "ports": both}, {"ip": "2001:db8::7", "ports": one}]), false),
            (json!([{"ip": "192.0.2.7", "ports": broken}]), false),
            (json!([{"ip": "192.0.2.7", "ports": null}]), false),
            (json!([]), true),
        ];
        for (ingress, expected) in cases {
            assert_eq!(shown(ingress.clone(), &[tcp, udp]), expected, "{ingress}");
        }
        assert!(!shown(json!([{"ip": "192.0.2.7", "ports": both}]), &[tcp]));
        assert!(shown(json!([{"ip": "192.0.2.7"}]), &[]));
    }
}
