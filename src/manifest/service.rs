//! What stands beside the pods: their settings as a ConfigMap, and who reads their metrics.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::container::METRICS;
use super::identity::{metadata, selector};
use super::object::{MetricsEndpoint, Object, PodMonitor, PodMonitorSpec};
use super::{Options, blame, checked, is_given};
use crate::config::{Problem, Problems, Resolved, print};

/// A ConfigMap with a file of our own that says what was given.
///
/// # Errors
///
/// Settings that cannot be those of several nodes, and passwords.
pub fn config_map(resolved: &Resolved, options: &Options) -> Result<Vec<Object>, Problems> {
    let file = print::file(&resolved.sources);
    let config_map = ConfigMap {
        metadata: metadata(options.names.app(), Some(&options.namespace), options),
        data: Some(BTreeMap::from([(CONFIG_FILE.to_owned(), file)])),
        ..ConfigMap::default()
    };
    let mut problems = refuse_one_node(resolved);
    problems.extend(refuse_secrets(resolved));
    checked(vec![Object::ConfigMap(Box::new(config_map))], problems)
}

/// A PodMonitor of the Prometheus operator.
///
/// # Errors
///
/// There is nothing that Prometheus could read.
pub fn pod_monitor(resolved: &Resolved, options: &Options) -> Result<Vec<Object>, Problems> {
    let monitor = PodMonitor {
        api_version: "monitoring.coreos.com/v1",
        kind: "PodMonitor",
        metadata: metadata(options.names.app(), Some(&options.namespace), options),
        spec: PodMonitorSpec {
            selector: LabelSelector { match_labels: Some(selector(options)), match_expressions: None },
            pod_metrics_endpoints: vec![MetricsEndpoint { port: METRICS }],
        },
    };
    checked(vec![Object::PodMonitor(Box::new(monitor))], unreadable(resolved).into_iter().collect())
}

/// A problem for each setting that is one node's, where the settings are for several.
pub(super) fn refuse_one_node(resolved: &Resolved) -> Vec<Problem> {
    let refusal = |(key, what, fix): &(&str, &str, &str)| {
        let reason = format!("the pods run on several nodes, and each has {what} of its own");
        is_given(resolved, key).then(|| blame(resolved, key, reason, *fix))
    };
    OF_ONE_NODE.iter().filter_map(refusal).collect()
}

/// Everybody reads ConfigMaps.
fn refuse_secrets(resolved: &Resolved) -> impl Iterator<Item = Problem> {
    resolved.sources.iter().filter(|row| row.holds_secret()).map(|row| {
        let fix = "name a Secret in bgp.passwordSecret, or a file in bgp.passwordFile";
        blame(resolved, row.key, "a password, and a ConfigMap is no place for it", fix)
    })
}

fn unreadable(resolved: &Resolved) -> Option<Problem> {
    let listen = resolved.config.admin.metrics;
    let reason = match listen {
        None => "there are no metrics to read",
        Some(listen) if listen.host.is_some_and(|host| host.is_loopback()) => {
            "no Prometheus reaches metrics on loopback"
        }
        Some(_) => return None,
    };
    Some(blame(resolved, METRICS_LISTENER, reason, "write for example :2112"))
}

/// The key of the ConfigMap.
pub(super) const CONFIG_FILE: &str = "vipcast.yaml";
/// Where a pod sees it.
pub(super) const CONFIG_PATH: &str = "/etc/vipcast/vipcast.yaml";
/// Settings, what of a node they are, and what to do without them.
const OF_ONE_NODE: &[(&str, &str, &str)] = &[
    ("node.name", "a name", "leave it out: each pod is told the name of its node"),
    ("bgp.routerId", "a router ID", "leave it out: each pod finds the one of its node"),
    ("bgp.sourceAddress", "an address", "leave it out, or name an interface in bgp.sourceInterface"),
];
const METRICS_LISTENER: &str = "admin.metrics";
