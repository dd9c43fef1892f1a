//! The Kubernetes objects that a cluster needs to run the daemon, from its settings. Nothing here reads or writes anything.
//!
//! [`pod`], [`daemonset`], [`config_map`] and [`pod_monitor`] take settings that announce something; [`rbac`] and
//! [`service_account`] take any. [`render`] makes YAML or JSON of what they return.

mod container;
mod daemonset;
mod identity;
mod image;
mod mounts;
mod object;
mod placement;
mod pod;
mod rbac;
mod service;
mod services;
#[cfg(test)]
mod tests;

pub use daemonset::{SettingsIn, daemonset};
pub use identity::Names;
pub use image::{DEFAULT_REPOSITORY, complete as complete_image, is_reference};
pub use object::{Form, MetricsEndpoint, Object, PodMonitor, PodMonitorSpec, RenderError, render};
pub use placement::Placement;
pub use pod::pod;
pub use rbac::{Reach, Roles, rbac, service_account};
pub use service::{config_map, pod_monitor};

use crate::config::{HostFacts, Problem, Problems, Resolved};

/// What is said about the objects, beside the daemon's settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// The image with its tag or digest: see [`complete_image`].
    pub image: String,
    /// The namespace of the objects.
    pub namespace: String,
    /// What the objects are called.
    pub names: Names,
    /// Where the daemon's credentials come from.
    pub credentials: Credentials,
}

/// Where the daemon's credentials come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Credentials {
    /// A kubeconfig file of the host.
    Host,
    /// The pod's service account.
    ServiceAccount,
}

impl Options {
    /// What the daemon will find where these objects run it: settings are resolved against this, and not
    /// against the machine that the manifest is written on.
    #[must_use]
    pub fn host(&self) -> HostFacts {
        let service_account_namespace = match self.credentials {
            Credentials::Host => None,
            Credentials::ServiceAccount => Some(self.namespace.clone()),
        };
        HostFacts { hostname: PLACEHOLDER.to_owned(), service_account_namespace }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            image: complete_image(DEFAULT_REPOSITORY),
            namespace: "kube-system".to_owned(),
            names: Names::Own,
            credentials: Credentials::Host,
        }
    }
}

/// A problem with a setting that is right by itself, and does not go with the manifest.
fn blame(resolved: &Resolved, key: &str, reason: impl Into<String>, fix: impl Into<String>) -> Problem {
    let row = resolved.sources.iter().find(|row| row.key == key);
    let name = row.and_then(|row| row.source.name()).unwrap_or(key);
    Problem {
        setting: name.to_owned(),
        value: row.and_then(|row| row.value.clone()),
        source: row.map(|row| row.source.clone()),
        reason: reason.into(),
        fix: fix.into(),
    }
}

/// Whether somebody asked for this setting by name.
fn is_given(resolved: &Resolved, key: &str) -> bool {
    resolved.sources.iter().any(|row| row.key == key && row.source.name().is_some())
}

/// `Ok`, unless there is a problem.
fn checked<T>(value: T, problems: Vec<Problem>) -> Result<T, Problems> {
    if problems.is_empty() { Ok(value) } else { Err(Problems { problems, notices: Vec::new() }) }
}

/// The pod says its own node's name; this one only keeps the check of the host name from failing here.
const PLACEHOLDER: &str = "node";
