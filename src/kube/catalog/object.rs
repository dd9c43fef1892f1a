//! Objects as the API server sends them, reduced to what is read.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use vipcast_proto::ipam::Labels;
use vipcast_proto::service::is_read;

use crate::kube::FIELD_MANAGER;

/// Of `metadata`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    #[serde(rename = "resourceVersion")]
    pub(super) version: Option<String>,
    pub(super) creation_timestamp: Option<String>,
    pub(super) deletion_timestamp: Option<String>,
    #[serde(deserialize_with = "labels")]
    pub(super) labels: Labels,
    #[serde(deserialize_with = "annotations")]
    pub(super) annotations: Labels,
    #[serde(rename = "managedFields", deserialize_with = "status_writer")]
    pub(super) status_writer: Option<String>,
}

/// Of one of `managedFields`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ManagedFields {
    manager: Option<String>,
    time: Option<String>,
    #[serde(rename = "fieldsV1")]
    fields: Option<OwnedFields>,
}

/// Of these, whether the addresses are among them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OwnedFields {
    #[serde(rename = "f:status")]
    status: OwnedStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OwnedStatus {
    #[serde(rename = "f:loadBalancer")]
    load_balancer: Option<IgnoredAny>,
}

impl ManagedFields {
    fn has_addresses(&self) -> bool {
        self.fields.as_ref().is_some_and(|fields| fields.status.load_balancer.is_some())
    }
}

/// Of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Service {
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: ServiceSpec,
    #[serde(default)]
    pub(super) status: ServiceStatus,
}

/// Of `spec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ServiceSpec {
    #[serde(rename = "type")]
    pub(super) service_type: String,
    pub(super) load_balancer_class: Option<String>,
    #[serde(rename = "loadBalancerIP")]
    pub(super) load_balancer_ip: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) load_balancer_source_ranges: Vec<String>,
    pub(super) external_traffic_policy: Option<String>,
    #[serde(deserialize_with = "labels")]
    pub(super) selector: Labels,
    #[serde(deserialize_with = "nullable")]
    pub(super) ports: Vec<ServicePort>,
    pub(super) ip_family_policy: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) ip_families: Vec<String>,
    #[serde(rename = "clusterIPs", deserialize_with = "nullable")]
    pub(super) cluster_ips: Vec<String>,
}

/// Of one of `spec.ports`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServicePort {
    pub(super) protocol: Option<String>,
    pub(super) port: u16,
}

/// Of `status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ServiceStatus {
    pub(super) load_balancer: LoadBalancer,
}

/// Of `status.loadBalancer`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoadBalancer {
    #[serde(deserialize_with = "nullable")]
    pub(super) ingress: Vec<Ingress>,
}

/// Of one of `status.loadBalancer.ingress`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ingress {
    pub(super) ip: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) ports: Vec<PortStatus>,
}

/// Of one of `status.loadBalancer.ingress[].ports`. Nobody checks whether it is the number of a port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PortStatus {
    pub(super) protocol: Option<String>,
    pub(super) port: i32,
}

/// Of an EndpointSlice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointSlice {
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) address_type: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) endpoints: Vec<Endpoint>,
}

/// Of one of `endpoints`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Endpoint {
    pub(super) node_name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) conditions: Conditions,
}

/// Of `conditions`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Conditions {
    pub(super) ready: Option<bool>,
    pub(super) serving: Option<bool>,
    pub(super) terminating: Option<bool>,
}

/// Of a Node.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Node {
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: NodeSpec,
    #[serde(default)]
    pub(super) status: NodeStatus,
}

/// Of `spec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NodeSpec {
    pub(super) unschedulable: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    pub(super) taints: Vec<Taint>,
    #[serde(rename = "podCIDRs", deserialize_with = "nullable")]
    pub(super) pod_cidrs: Vec<String>,
}

/// Of one of `spec.taints`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Taint {
    pub(super) key: String,
}

/// Of `status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeStatus {
    #[serde(deserialize_with = "nullable")]
    pub(super) conditions: Vec<NodeCondition>,
    #[serde(deserialize_with = "nullable")]
    pub(super) addresses: Vec<NodeAddress>,
}

/// Of one of `status.conditions`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeCondition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
}

/// Of one of `status.addresses`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeAddress {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) address: String,
}

/// Of a Namespace.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Namespace {
    pub(super) metadata: Metadata,
}

impl Metadata {
    /// What can be read of an object whose form is not that of its kind.
    pub(super) fn salvage(object: &Value) -> Self {
        let text = |field| object.get("metadata")?.get(field)?.as_str().map(str::to_owned);
        Self {
            namespace: text("namespace").unwrap_or_default(),
            name: text("name").unwrap_or_default(),
            version: text("resourceVersion"),
            ..Self::default()
        }
    }
}

impl AsRef<Metadata> for Service {
    fn as_ref(&self) -> &Metadata {
        &self.metadata
    }
}

impl AsRef<Metadata> for EndpointSlice {
    fn as_ref(&self) -> &Metadata {
        &self.metadata
    }
}

impl AsRef<Metadata> for Node {
    fn as_ref(&self) -> &Metadata {
        &self.metadata
    }
}

impl AsRef<Metadata> for Namespace {
    fn as_ref(&self) -> &Metadata {
        &self.metadata
    }
}

/// Servers write `null` for what is empty.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    nullable::<_, BTreeMap<String, String>>(deserializer).map(|all| all.into_iter().collect())
}

/// Who wrote the addresses of the status last, of those who are not us. The times are of one form, and so in the order of their texts.
fn status_writer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let all: Vec<ManagedFields> = nullable(deserializer)?;
    let others = all.into_iter().filter(ManagedFields::has_addresses);
    let others = others.filter_map(|it| Some((it.time, it.manager?)));
    Ok(others.filter(|(_, manager)| !manager.starts_with(FIELD_MANAGER)).max().map(|(_, manager)| manager))
}

/// `kubectl apply` leaves whole objects in an annotation.
fn annotations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    let all: BTreeMap<String, String> = nullable(deserializer)?;
    Ok(all.into_iter().filter(|(annotation, _)| is_read(annotation)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_else_wrote_the_status_last_is_known() {
        let entry = |manager: &str, subresource: Option<&str>, second: u8| {
            let time = format!("2026-01-01T00:00:{second:02}Z");
            let fields = json!({"f:status": {"f:loadBalancer": {"f:ingress": {}}}});
            json!({"manager": manager, "subresource": subresource, "time": time, "fieldsV1": fields})
        };
        let all = json!([
            entry("vipcast", Some("status"), 9),
            {"manager": "finalizers", "subresource": "status", "time": "2026-01-01T00:00:08Z", "fieldsV1": {"f:metadata": {}}},
            entry("cloud", Some("status"), 7),
            entry("older", Some("status"), 6),
            {"subresource": "status"},
        ]);
        let writer = |managed_fields| {
            let metadata: Metadata =
                serde_json::from_value(json!({"managedFields": managed_fields})).unwrap();
            metadata.status_writer
        };
        assert_eq!(writer(all), Some("cloud".to_owned()));
        assert_eq!([json!(null), json!([])].map(writer), [None, None]);
    }
}
