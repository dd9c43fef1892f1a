//! What the objects are called, and the labels by which they are found.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Options, image};

/// What the objects are called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Names {
    /// After this program.
    Own,
    /// As kube-vip's generator calls them, for guides and scripts that look for those.
    KubeVip,
}

impl Names {
    /// The Pod, its container, the ConfigMap, the PodMonitor, and the label by which pods are found.
    pub(super) fn app(self) -> &'static str {
        self.either("vipcast", "kube-vip")
    }

    pub(super) fn daemonset(self) -> &'static str {
        self.either("vipcast", "kube-vip-ds")
    }

    pub(super) fn service_account(self) -> &'static str {
        self.app()
    }

    pub(super) fn cluster_role(self) -> &'static str {
        self.either("vipcast", "system:kube-vip-role")
    }

    pub(super) fn cluster_role_binding(self) -> &'static str {
        self.either("vipcast", "system:kube-vip-binding")
    }

    pub(super) fn lease_role(self) -> &'static str {
        self.either("vipcast-lease", "kube-vip")
    }

    pub(super) fn events_role(self) -> &'static str {
        self.either("vipcast-events", "kube-vip-events")
    }

    pub(super) fn secrets_role(self) -> &'static str {
        self.either("vipcast-secrets", "kube-vip-secrets")
    }

    pub(super) fn services_role(self) -> &'static str {
        self.either("vipcast-services", "kube-vip-services")
    }

    pub(super) fn members_role(self) -> &'static str {
        self.either("vipcast-members", "kube-vip-members")
    }

    pub(super) fn pools_role(self) -> &'static str {
        self.either("vipcast-pools", "kube-vip-pools")
    }

    fn either(self, own: &'static str, kube_vip: &'static str) -> &'static str {
        match self {
            Self::Own => own,
            Self::KubeVip => kube_vip,
        }
    }
}

/// Name, namespace and labels of an object; cluster-wide where there is no namespace.
pub(super) fn metadata(name: &str, namespace: Option<&str>, options: &Options) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        labels: Some(labels(options)),
        ..ObjectMeta::default()
    }
}

pub(super) fn labels(options: &Options) -> BTreeMap<String, String> {
    let mut labels = selector(options);
    labels.insert("app.kubernetes.io/component".to_owned(), "control-plane-vip".to_owned());
    if let Some(version) = image::version(&options.image) {
        labels.insert("app.kubernetes.io/version".to_owned(), version.to_owned());
    }
    labels
}

/// The part of the labels that never changes, since a DaemonSet's selector cannot.
pub(super) fn selector(options: &Options) -> BTreeMap<String, String> {
    BTreeMap::from([("app.kubernetes.io/name".to_owned(), options.names.app().to_owned())])
}
