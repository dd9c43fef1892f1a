//! On which nodes a pod may be that the scheduler places.

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec,
};

use crate::config::Config;

/// On which nodes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Placement {
    /// On those of the control plane, whatever their taints.
    ControlPlane,
    /// On all without a taint, as kube-vip's generator has it without `--taint`.
    Untainted,
    /// On all, whatever their taints.
    Everywhere,
}

impl Placement {
    /// Where the pods belong unless somebody says otherwise: a VIP of the control plane is of no use on other nodes, and
    /// Services are served by all.
    #[must_use]
    pub fn usual(config: &Config) -> Self {
        match (&config.control_plane, &config.services) {
            (None, Some(_)) => Self::Everywhere,
            (Some(_), _) | (None, None) => Self::ControlPlane,
        }
    }
}

/// The pod, bound to those nodes.
pub(super) fn placed(mut pod: PodSpec, placement: Placement) -> PodSpec {
    match placement {
        Placement::ControlPlane => pod.affinity = Some(control_plane()),
        Placement::Untainted => pod.tolerations = None,
        Placement::Everywhere => {}
    }
    pod
}

/// By the label alone that there is since Kubernetes 1.20: an API server warns of each object that names the older one.
fn control_plane() -> Affinity {
    let term = NodeSelectorTerm {
        match_expressions: Some(vec![NodeSelectorRequirement {
            key: "node-role.kubernetes.io/control-plane".to_owned(),
            operator: "Exists".to_owned(),
            values: None,
        }]),
        match_fields: None,
    };
    let terms = NodeSelector { node_selector_terms: vec![term] };
    Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(terms),
            preferred_during_scheduling_ignored_during_execution: None,
        }),
        ..Affinity::default()
    }
}
