//! Services, slices and Nodes in few words.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use vipcast_proto::ipam::{Family, Forbidden, Labels, ServiceKey, TrafficPolicy};
use vipcast_proto::placement::{Facts, Key, MemberId};
use vipcast_proto::service::{
    Catalog, Change, Changes, Endpoint, EndpointSlice, Event, Exclusion, NamespaceLabels, Node, Options,
    Owner, Part, Plan, Service, SliceKey, Terms, Withheld, Written,
};

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn key(text: &str) -> ServiceKey {
    let (namespace, name) = text.split_once('/').unwrap();
    ServiceKey { namespace: namespace.into(), name: name.into() }
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

pub(crate) fn members(nodes: &[&str]) -> BTreeSet<MemberId> {
    nodes.iter().map(|node| MemberId::of(node)).collect()
}

/// A Service of type LoadBalancer, without class, with these addresses in its status.
pub(crate) fn written(name: &str, ingress: &[&str]) -> Written {
    Written {
        key: key(name),
        uid: name.to_owned(),
        service_type: "LoadBalancer".into(),
        ingress: ingress.iter().map(|&text| text.to_owned()).collect(),
        ..Written::default()
    }
}

pub(crate) fn annotated(name: &str, ingress: &[&str], annotations: &[(&str, &str)]) -> Written {
    Written { annotations: labels(annotations), ..written(name, ingress) }
}

pub(crate) fn local(written: Written) -> Written {
    Written { external_traffic_policy: Some("Local".into()), ..written }
}

pub(crate) fn read(written: Written) -> Service {
    written.read(&Terms::default()).unwrap()
}

pub(crate) fn slice_key(namespace: &str, name: &str) -> SliceKey {
    SliceKey { namespace: namespace.into(), name: name.into() }
}

/// An endpoint that is ready on each of these nodes.
pub(crate) fn slice(service: &str, family: Family, nodes: &[&str]) -> EndpointSlice {
    let owner = key(service);
    let name = format!("{}-{family}", owner.name);
    let endpoint = |node| Endpoint { node: Some(node), ready: Some(true), serving: None, terminating: None };
    let endpoints = nodes.iter().map(|&node| endpoint(node));
    EndpointSlice::new(slice_key(&owner.namespace, &name), owner.name.as_ref().into(), family, endpoints)
}

pub(crate) fn node(name: &str) -> Node {
    Node { name: name.to_owned(), ready: true, ..Node::default() }
}

pub(crate) const OPTIONS: Options =
    Options { exclusion: Exclusion::Respected, namespace_labels: NamespaceLabels::Unused };

/// One that has had all its lists.
pub(crate) fn catalog(services: Vec<Written>, slices: Vec<EndpointSlice>, nodes: Vec<Node>) -> Catalog {
    let mut catalog = Catalog::new(OPTIONS, Forbidden::default());
    let services = services.into_iter().map(read).collect();
    for event in [
        Event::Services(Change::Listed(services)),
        Event::Slices(Change::Listed(slices)),
        Event::Nodes(Change::Listed(nodes)),
    ] {
        let _ = catalog.handle(event);
    }
    assert!(catalog.is_complete());
    catalog
}

pub(crate) fn apply(catalog: &mut Catalog, written: Written) -> Changes {
    catalog.handle(Event::Services(Change::Applied(read(written))))
}

pub(crate) fn apply_node(catalog: &mut Catalog, node: Node) -> Changes {
    catalog.handle(Event::Nodes(Change::Applied(node)))
}

pub(crate) fn apply_slice(catalog: &mut Catalog, slice: EndpointSlice) -> Changes {
    catalog.handle(Event::Slices(Change::Applied(slice)))
}

pub(crate) fn facts(address: &str, eligible: Option<&[&str]>, preferred: &[&str]) -> Facts {
    Facts {
        key: Key::of_address(ip(address)),
        eligible: eligible.map(members),
        preferred: members(preferred),
        unable: false,
        lease: None,
    }
}

pub(crate) fn plan(owners: &[(&str, Part)], placement: Result<Facts, Withheld>) -> Plan {
    let owners = owners.iter().map(|&(name, part)| Owner { key: key(name), part }).collect();
    Plan { owners, interface: None, placement }
}

pub(crate) fn found(catalog: &Catalog, address: &str) -> Option<Plan> {
    catalog.plan(&ip(address)).map(Arc::as_ref).cloned()
}

pub(crate) fn placed(catalog: &Catalog, address: &str) -> Option<Facts> {
    found(catalog, address).and_then(|plan| plan.placement.ok())
}

pub(crate) fn changed(services: &[&str], addresses: &[&str], guarded: &[&str]) -> Changes {
    Changes {
        services: services.iter().map(|name| key(name)).collect(),
        addresses: addresses.iter().map(|text| ip(text)).collect(),
        guarded: guarded.iter().map(|text| ip(text)).collect(),
        ..Changes::default()
    }
}

pub(crate) fn is_local(service: &Service) -> bool {
    matches!(service.view.traffic, TrafficPolicy::Local { .. })
}
