//! The objects that Services are made of, and where they are.

use std::net::IpAddr;

use serde_json::{Value, json};

/// A Service with `more` in its specification and ready endpoints on `nodes`, each object with where it is created.
pub(crate) fn objects(name: &str, more: &Value, nodes: &[&str]) -> [(String, Value); 2] {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "type": "LoadBalancer", "ports": [{ "port": 80, "protocol": "TCP" }],
            "allocateLoadBalancerNodePorts": false,
        },
    });
    for (key, value) in more.as_object().unwrap() {
        service["spec"][key] = value.clone();
    }
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices".to_owned();
    [("/api/v1/namespaces/default/services".to_owned(), service), (slices, slice(name, nodes))]
}

pub(crate) fn slice(name: &str, nodes: &[&str]) -> Value {
    slice_of("IPv4", "10.244.0.7", name, nodes)
}

/// One of IPv6 endpoints.
pub(crate) fn slice6(name: &str, nodes: &[&str]) -> Value {
    slice_of("IPv6", "fd00:244::7", name, nodes)
}

fn slice_of(family: &str, address: &str, name: &str, nodes: &[&str]) -> Value {
    let endpoint =
        |node: &&str| json!({ "addresses": [address], "nodeName": node, "conditions": { "ready": true } });
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
        "metadata": { "name": name, "namespace": "default", "labels": { "kubernetes.io/service-name": name } },
        "ports": [{ "port": 80, "protocol": "TCP", "name": "" }],
        "endpoints": nodes.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

pub(crate) fn pool() -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "kubevip", "namespace": "kube-system" },
        "data": { "range-global": "10.77.1.1-10.77.1.250,fd00:77::1000-fd00:77::10ff" },
    })
}

pub(crate) fn service_path(name: &str) -> String {
    format!("/api/v1/namespaces/default/services/{name}")
}

pub(crate) fn slice_path(name: &str) -> String {
    format!("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/{name}")
}

pub(crate) fn ingress(service: &Value) -> Option<IpAddr> {
    service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str()?.parse().ok()
}
