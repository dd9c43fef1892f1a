//! The DaemonSet: the same pod on every control-plane node.

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet};
use k8s_openapi::api::core::v1::{ConfigMapVolumeSource, PodSpec, PodTemplateSpec, Volume, VolumeMount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::container::Input;
use super::identity::{labels, metadata, selector};
use super::mounts::KUBECONFIG;
use super::object::Object;
use super::placement::{Placement, placed};
use super::pod::{spec, split};
use super::service::{CONFIG_FILE, CONFIG_PATH, refuse_one_node};
use super::{Credentials, Options, blame, checked, is_given};
use crate::config::{Problem, Problems, Resolved};

/// Where the pods read their settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SettingsIn {
    /// In their environment.
    Environment,
    /// In the object that [`config_map`](super::config_map) makes.
    ConfigMap,
}

/// A DaemonSet.
///
/// # Errors
///
/// Settings that do not go with a pod on each of several nodes.
pub fn daemonset(
    resolved: &Resolved,
    options: &Options,
    placement: Placement,
    settings: SettingsIn,
) -> Result<Vec<Object>, Problems> {
    let input = match settings {
        SettingsIn::Environment => Input::Environment,
        SettingsIn::ConfigMap => Input::File(CONFIG_PATH),
    };
    let (pod, mut problems) = split(spec(resolved, options, &input));
    problems.extend(refuse_one_node(resolved));
    problems.extend(refuse_hosts_credentials(resolved, options, placement));
    let pod = pod.map(|pod| placed(pod, placement)).map(|pod| match settings {
        SettingsIn::Environment => pod,
        SettingsIn::ConfigMap => with_config_map(pod, options.names.app()),
    });
    let daemonset = DaemonSet {
        metadata: metadata(options.names.daemonset(), Some(&options.namespace), options),
        spec: Some(daemonset_spec(pod, options)),
        status: None,
    };
    checked(vec![Object::DaemonSet(Box::new(daemonset))], problems)
}

/// Only nodes of the control plane have a kubeconfig that may do what is needed; elsewhere the kubelet would wait for it.
fn refuse_hosts_credentials(resolved: &Resolved, options: &Options, placement: Placement) -> Option<Problem> {
    let needs_one = placement == Placement::Everywhere && options.credentials == Credentials::Host;
    let reason =
        "the pods run on all nodes, and only those of the control plane have an administrator's kubeconfig";
    let fix = "add --inCluster, or name a kubeconfig that every node has in --k8sConfigPath";
    (needs_one && !is_given(resolved, KUBECONFIG)).then(|| blame(resolved, KUBECONFIG, reason, fix))
}

fn daemonset_spec(pod: Option<PodSpec>, options: &Options) -> DaemonSetSpec {
    let one = Some(IntOrString::Int(1));
    DaemonSetSpec {
        selector: LabelSelector { match_labels: Some(selector(options)), match_expressions: None },
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta { labels: Some(labels(options)), ..ObjectMeta::default() }),
            spec: pod,
        },
        // Two on one node would fight for its port and its status socket, so never a new one before the old one ends.
        update_strategy: Some(DaemonSetUpdateStrategy {
            type_: Some("RollingUpdate".to_owned()),
            rolling_update: Some(RollingUpdateDaemonSet { max_unavailable: one, max_surge: None }),
        }),
        revision_history_limit: Some(3),
        min_ready_seconds: None,
    }
}

/// The whole object as a directory, which follows its changes; a single file would not.
fn with_config_map(mut pod: PodSpec, name: &str) -> PodSpec {
    let config_map = ConfigMapVolumeSource { name: name.to_owned(), ..ConfigMapVolumeSource::default() };
    let volume = Volume { name: "config".to_owned(), config_map: Some(config_map), ..Volume::default() };
    pod.volumes.get_or_insert_default().push(volume);
    let directory = CONFIG_PATH.trim_end_matches(CONFIG_FILE).trim_end_matches('/');
    for container in &mut pod.containers {
        container.volume_mounts.get_or_insert_default().push(VolumeMount {
            name: "config".to_owned(),
            mount_path: directory.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
    pod
}
