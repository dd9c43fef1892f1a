//! The Pod, by itself and as the template of a DaemonSet.

use k8s_openapi::api::core::v1::{Pod, PodSecurityContext, PodSpec, SeccompProfile, Toleration};

use super::container::{Input, container};
use super::identity::metadata;
use super::mounts::{Mount, mounts};
use super::object::Object;
use super::{Credentials, Options, checked};
use crate::config::{Problem, Problems, Resolved};

/// A Pod: a static one where it goes into the kubelet's directory of manifests.
///
/// # Errors
///
/// Settings that do not go with a pod.
pub fn pod(resolved: &Resolved, options: &Options) -> Result<Vec<Object>, Problems> {
    let (spec, problems) = split(spec(resolved, options, &Input::Environment));
    let metadata = metadata(options.names.app(), Some(&options.namespace), options);
    let pod = Pod { metadata, spec, status: None };
    checked(vec![Object::Pod(Box::new(pod))], problems)
}

/// What every pod has in common.
pub(super) fn spec(resolved: &Resolved, options: &Options, input: &Input) -> Result<PodSpec, Vec<Problem>> {
    let mounts = mounts(resolved, options)?;
    let in_cluster = options.credentials == Credentials::ServiceAccount;
    Ok(PodSpec {
        containers: vec![container(resolved, options, &mounts, input)],
        volumes: Some(mounts.iter().map(Mount::volume).collect()),
        host_network: Some(true),
        // The node's: a name in a kubeconfig is needed before the cluster's own DNS is there.
        dns_policy: Some("Default".to_owned()),
        // Services called `vip` would put variables such as VIP_SERVICE_HOST into the container.
        enable_service_links: Some(false),
        automount_service_account_token: Some(in_cluster),
        service_account_name: in_cluster.then(|| options.names.service_account().to_owned()),
        priority_class_name: Some("system-node-critical".to_owned()),
        termination_grace_period_seconds: Some(grace(resolved)),
        security_context: Some(PodSecurityContext {
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        tolerations: Some(["NoSchedule", "NoExecute"].map(any_taint).to_vec()),
        ..PodSpec::default()
    })
}

/// The value, or what is wrong with it.
pub(super) fn split<T>(result: Result<T, Vec<Problem>>) -> (Option<T>, Vec<Problem>) {
    match result {
        Ok(value) => (Some(value), Vec::new()),
        Err(problems) => (None, problems),
    }
}

/// A control plane that is cordoned, drained or not ready needs its VIP all the more.
fn any_taint(effect: &str) -> Toleration {
    Toleration {
        effect: Some(effect.to_owned()),
        operator: Some("Exists".to_owned()),
        ..Toleration::default()
    }
}

/// Routers are told before they are left, and are given time.
fn grace(resolved: &Resolved) -> i64 {
    let drain = resolved.config.bgp.as_ref().map(|bgp| bgp.drain.wait).unwrap_or_default();
    GRACE + i64::try_from(drain.as_millis().div_ceil(1_000)).unwrap_or_default()
}

/// An ordered shutdown takes at most a second (`shutdown.wait`) beside that; the kubelet kills what is still there after
/// this.
const GRACE: i64 = 5;
