//! The objects as a value, and as text.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Serialize;
use serde_json::{Value, json};

/// An object of any kind that a manifest can have.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "they say what they are")]
pub enum Object {
    Pod(Box<Pod>),
    DaemonSet(Box<DaemonSet>),
    ServiceAccount(Box<ServiceAccount>),
    Role(Box<Role>),
    RoleBinding(Box<RoleBinding>),
    ClusterRole(Box<ClusterRole>),
    ClusterRoleBinding(Box<ClusterRoleBinding>),
    ConfigMap(Box<ConfigMap>),
    PodMonitor(Box<PodMonitor>),
}

/// A resource of the Prometheus operator: as much of it as is written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodMonitor {
    /// `monitoring.coreos.com/v1`.
    pub api_version: &'static str,
    /// `PodMonitor`.
    pub kind: &'static str,
    /// Its name, namespace and labels.
    pub metadata: ObjectMeta,
    /// What is read.
    pub spec: PodMonitorSpec,
}

/// Which pods are read, and where.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodMonitorSpec {
    /// Of the pods in its namespace.
    pub selector: LabelSelector,
    /// Each of them is read at `/metrics`.
    pub pod_metrics_endpoints: Vec<MetricsEndpoint>,
}

/// A port of a pod.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricsEndpoint {
    /// By its name.
    pub port: &'static str,
}

/// The form of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// A document for each object.
    Yaml,
    /// The object; several as a `List`.
    Json,
}

/// The objects as `kubectl apply -f -` and the kubelet read them. Keys are sorted, so that the text says only what the
/// objects say.
///
/// # Errors
///
/// An object cannot be written.
pub fn render(objects: &[Object], form: Form) -> Result<String, RenderError> {
    let values: Vec<Value> = objects.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    match (form, values.as_slice()) {
        (Form::Yaml, _) => {
            let documents: Result<Vec<_>, _> = values.iter().map(serde_saphyr::to_string).collect();
            Ok(documents?.join("---\n"))
        }
        (Form::Json, [one]) => Ok(format!("{one:#}\n")),
        (Form::Json, all) => {
            Ok(format!("{:#}\n", json!({ "apiVersion": "v1", "kind": "List", "items": all })))
        }
    }
}

/// Why an object cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// As a value.
    #[error("object cannot be written")]
    Json(#[from] serde_json::Error),
    /// As YAML.
    #[error("object cannot be written as YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),
}
