//! The cases. Each makes objects of its own name, since all of them share one real server.

mod leases;
mod lists;
mod objects;
mod watches;

use std::pin::Pin;

use serde_json::{Value, json};

use crate::client::Client;

pub(crate) type Case = fn(Client) -> Pin<Box<dyn Future<Output = ()>>>;

/// A list of cases by name. A case that is not in its list is dead code, which the compiler reports.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn all() -> Vec<(&'static str, crate::cases::Case)> {
            vec![$((stringify!($name), |client| Box::pin($name(client)))),*]
        }
    };
}
use cases;

pub(crate) fn all() -> Vec<(&'static str, Case)> {
    [leases::all(), lists::all(), objects::all(), watches::all()].concat()
}

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const NODES: &str = "/api/v1/nodes";

fn lease(name: &str, holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 5,
            "acquireTime": "2026-01-02T03:04:05.678901Z",
            "renewTime": "2026-01-02T03:04:06.000001Z",
            "leaseTransitions": 3,
        },
    })
}

fn config_map(name: &str, labels: Value) -> Value {
    json!({
        "metadata": {"name": name, "labels": labels},
        "data": {"key": "value"},
    })
}

fn service(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "type": "LoadBalancer",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
    })
}
