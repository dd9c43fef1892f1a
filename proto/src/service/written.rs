//! How a Service is read: annotations, policies and families, as they are written.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::object::{CLUSTER_ONLY, Endpointless, Note, Security, Service};
use super::selector::parse_selector;
use super::terms::Terms;
use crate::ipam::{
    Assignment, Family, FamilyPolicy, Labels, Port, Request, RequestFields, ServiceKey, ServiceView,
    Standing, TrafficPolicy,
};

/// A Service as it is written, as far as it is read. Decoding is the caller's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// Its name.
    pub key: ServiceKey,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.creationTimestamp`, in seconds since any fixed date.
    pub created: i64,
    /// Whether there is a `metadata.deletionTimestamp`.
    pub deleting: bool,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations; only those that [`is_read`] names are needed.
    pub annotations: Labels,
    /// What [`ASSIGNED`] says; `None`: it cannot be read.
    pub record: Option<Vec<Assignment>>,
    /// `spec.type`.
    pub service_type: String,
    /// `spec.loadBalancerClass`.
    pub load_balancer_class: Option<String>,
    /// `spec.loadBalancerIP`.
    pub load_balancer_ip: Option<String>,
    /// `spec.loadBalancerSourceRanges`.
    pub source_ranges: Vec<String>,
    /// `spec.externalTrafficPolicy`.
    pub external_traffic_policy: Option<String>,
    /// `spec.selector`.
    pub selector: Labels,
    /// `spec.ports`.
    pub ports: Vec<Port>,
    /// `spec.ipFamilyPolicy`.
    pub ip_family_policy: Option<String>,
    /// `spec.ipFamilies`.
    pub ip_families: Vec<String>,
    /// `spec.clusterIPs`.
    pub cluster_ips: Vec<String>,
    /// `status.loadBalancer.ingress[].ip`.
    pub ingress: Vec<String>,
    /// Whether each of these comes with all of `spec.ports`, and no others.
    pub ports_shown: bool,
    /// Who wrote the status last, of those who are not us, as far as `metadata.managedFields` say so.
    pub status_writer: Option<String>,
}

/// What we assigned, as JSON: `[{"address":"192.0.2.7","pool":"lab"}]`.
pub const ASSIGNED: &str = "vipcast.io/assigned";
/// A label selector; the nodes that it selects come first.
pub const PREFERRED_NODES: &str = "vipcast.io/preferred-nodes";
/// The interface that answers for the Service's addresses, or `auto`.
pub const INTERFACE: &str = "kube-vip.io/serviceInterface";
/// Services with one name here go together.
pub const LEASE_NAME: &str = "kube-vip.io/leaseName";
/// A Service that says so has a Lease of its own, where that is done on demand.
pub const OWN_LEASE: &str = "kube-vip.io/forcePerServiceElection";
/// The node that announces the Service says so here.
pub const VIP_HOST: &str = "kube-vip.io/vipHost";
/// Not ours, whatever else is written.
pub const IGNORE: &str = "kube-vip.io/ignore";
/// Announced even where there is no endpoint.
pub const ENDPOINTLESS: &str = "kube-vip.io/allow-reconcile-without-endpoints";
/// Takes packets to all ports, also where other Services do not.
pub const INSECURE: &str = "kube-vip.io/ignore-service-security";

/// Whether anything here reads this annotation of a Service; the others need not be kept.
#[must_use]
pub fn is_read(annotation: &str) -> bool {
    let ours = [
        ASSIGNED,
        PREFERRED_NODES,
        INTERFACE,
        LEASE_NAME,
        OWN_LEASE,
        VIP_HOST,
        IGNORE,
        ENDPOINTLESS,
        INSECURE,
    ];
    let others = [LOADBALANCER_IPS, METALLB_IPS[0], METALLB_IPS[1]];
    let pools = [METALLB_POOL[0], METALLB_POOL[1], METALLB_SHARING[0], METALLB_SHARING[1]];
    ours.contains(&annotation) || others.contains(&annotation) || pools.contains(&annotation)
}

impl Default for Written {
    fn default() -> Self {
        Self {
            key: ServiceKey { namespace: "".into(), name: "".into() },
            uid: String::new(),
            created: 0,
            deleting: false,
            labels: Labels::new(),
            annotations: Labels::new(),
            record: Some(vec![]),
            service_type: String::new(),
            load_balancer_class: None,
            load_balancer_ip: None,
            source_ranges: vec![],
            external_traffic_policy: None,
            selector: Labels::new(),
            ports: vec![],
            ip_family_policy: None,
            ip_families: vec![],
            cluster_ips: vec![],
            ingress: vec![],
            ports_shown: true,
            status_writer: None,
        }
    }
}

impl Written {
    /// What is to be kept; `None`: a Service that has nothing to do with load balancers, nor had before.
    #[must_use]
    pub fn read(self, terms: &Terms) -> Option<Service> {
        let other = self.service_type != "LoadBalancer";
        if other && self.ingress.is_empty() && self.annotations.get(ASSIGNED).is_none() {
            return None;
        }
        let mut notes = self.misplaced();
        let preferred = self.text(PREFERRED_NODES).map(parse_selector).transpose();
        let preferred = preferred.unwrap_or_else(|error| {
            notes.push(Note::PreferredNodes(error));
            None
        });
        let source_ranges = usable(&self.source_ranges, network, Note::SourceRange, &mut notes);
        let ingress = usable(&self.ingress, |text| text.parse().ok(), Note::Ingress, &mut notes);
        if self.record.is_none() {
            notes.push(Note::Assigned);
        }
        let cluster = self.is_cluster();
        Some(Service {
            ownership: terms.ownership(&self),
            interface: self.text(INTERFACE).map(Arc::from),
            group: self.text(LEASE_NAME).filter(|_| cluster).map(|name| self.qualified(name)),
            own_lease: self.says(OWN_LEASE),
            vip_host: self.text(VIP_HOST).map(Arc::from),
            endpointless: match cluster && self.says(ENDPOINTLESS) {
                true => Endpointless::Announced,
                false => Endpointless::Withheld,
            },
            preferred: preferred.map(Arc::new),
            source_ranges,
            security: if self.says(INSECURE) { Security::Ignored } else { Security::Respected },
            notes,
            view: Arc::new(self.view(terms, ingress)),
        })
    }

    /// Whether an annotation says `true`.
    pub(super) fn says(&self, annotation: &str) -> bool {
        self.text(annotation) == Some("true")
    }

    /// What an annotation says, if anything.
    fn text(&self, annotation: &str) -> Option<&str> {
        self.annotations.get(annotation).map(str::trim).filter(|text| !text.is_empty())
    }

    fn first(&self, annotations: [&str; 2]) -> Option<String> {
        annotations.into_iter().find_map(|annotation| self.text(annotation)).map(str::to_owned)
    }

    fn is_cluster(&self) -> bool {
        self.external_traffic_policy.as_deref() != Some("Local")
    }

    /// A name without a namespace is in the Service's own.
    fn qualified(&self, name: &str) -> Arc<str> {
        if name.contains('/') { name.into() } else { format!("{}/{name}", self.key.namespace).into() }
    }

    fn misplaced(&self) -> Vec<Note> {
        let set = CLUSTER_ONLY.into_iter().filter(|annotation| self.text(annotation).is_some());
        set.filter(|_| !self.is_cluster()).map(Note::NeedsCluster).collect()
    }

    fn view(self, terms: &Terms, ingress: Vec<IpAddr>) -> ServiceView {
        let request = Request::from_fields(RequestFields {
            kube_vip: self.text(LOADBALANCER_IPS),
            metallb: self.text(METALLB_IPS[0]),
            metallb_older: self.text(METALLB_IPS[1]),
            load_balancer_ip: self.load_balancer_ip.as_deref().filter(|text| !text.is_empty()),
        });
        ServiceView {
            standing: if terms.ownership(&self).is_ours() { Standing::Ours } else { Standing::Foreign },
            request,
            pool: self.first(METALLB_POOL),
            sharing_key: self.first(METALLB_SHARING),
            families: self.families(),
            family_policy: self.family_policy(),
            traffic: match self.is_cluster() {
                true => TrafficPolicy::Cluster,
                false => TrafficPolicy::Local { selector: self.selector },
            },
            key: self.key,
            uid: self.uid,
            created: self.created,
            labels: self.labels,
            namespace_labels: Arc::default(),
            ports: self.ports,
            ingress,
            ports_shown: self.ports_shown,
            status_writer: self.status_writer.map(Arc::from),
            record: self.record.unwrap_or_default(),
        }
    }

    fn families(&self) -> Vec<Family> {
        let named = self.ip_families.iter().filter_map(|text| match text.as_str() {
            "IPv4" => Some(Family::V4),
            "IPv6" => Some(Family::V6),
            _ => None,
        });
        let named: Vec<_> = named.collect();
        if named.is_empty() {
            self.cluster_ips.iter().filter_map(|text| text.parse().ok()).map(Family::of).collect()
        } else {
            named
        }
    }

    fn family_policy(&self) -> FamilyPolicy {
        match self.ip_family_policy.as_deref() {
            Some("PreferDualStack") => FamilyPolicy::PreferDualStack,
            Some("RequireDualStack") => FamilyPolicy::RequireDualStack,
            Some(_) | None => FamilyPolicy::SingleStack,
        }
    }
}

fn usable<T: PartialEq>(
    texts: &[String],
    parse: impl Fn(&str) -> Option<T>,
    unusable: impl Fn(String) -> Note,
    notes: &mut Vec<Note>,
) -> Vec<T> {
    let mut found = Vec::with_capacity(texts.len());
    for text in texts {
        match parse(text.trim()) {
            Some(value) if !found.contains(&value) => found.push(value),
            Some(_) => {}
            None => notes.push(unusable(text.chars().take(MAX_SHOWN).collect())),
        }
    }
    found
}

/// With host bits set, as the API server permits it.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().map(|net: IpNet| net.trunc())
}

const LOADBALANCER_IPS: &str = "kube-vip.io/loadbalancerIPs";
const METALLB_IPS: [&str; 2] = ["metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs"];
const METALLB_POOL: [&str; 2] = ["metallb.io/address-pool", "metallb.universe.tf/address-pool"];
const METALLB_SHARING: [&str; 2] = ["metallb.io/allow-shared-ip", "metallb.universe.tf/allow-shared-ip"];
/// How much of what cannot be read is kept.
const MAX_SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipam::{LabelSelector, Protocol, RequestSource};
    use crate::service::{Because, Ownership, SelectorError};

    fn annotations(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn written() -> Written {
        Written {
            key: ServiceKey { namespace: "shop".into(), name: "web".into() },
            uid: "u".into(),
            created: 7,
            service_type: "LoadBalancer".into(),
            ports: vec![Port { protocol: Protocol::Tcp, number: 80 }],
            cluster_ips: vec!["10.96.0.9".into(), "fd00::9".into()],
            ..Written::default()
        }
    }

    fn view() -> ServiceView {
        ServiceView {
            key: ServiceKey { namespace: "shop".into(), name: "web".into() },
            uid: "u".into(),
            created: 7,
            standing: Standing::Ours,
            labels: Labels::new(),
            namespace_labels: Arc::default(),
            request: None,
            pool: None,
            sharing_key: None,
            ports: vec![Port { protocol: Protocol::Tcp, number: 80 }],
            traffic: TrafficPolicy::Cluster,
            family_policy: FamilyPolicy::SingleStack,
            families: vec![Family::V4, Family::V6],
            ingress: vec![],
            ports_shown: true,
            status_writer: None,
            record: vec![],
        }
    }

    fn service(view: ServiceView) -> Service {
        Service {
            view: Arc::new(view),
            ownership: Ownership::Ours(Because::NoClass),
            interface: None,
            group: None,
            own_lease: false,
            vip_host: None,
            endpointless: Endpointless::Withheld,
            preferred: None,
            source_ranges: vec![],
            security: Security::Respected,
            notes: vec![],
        }
    }

    #[test]
    fn everything_that_is_written_is_read() {
        let record = Assignment { address: "192.0.2.7".parse().unwrap(), pool: Some("lab".into()) };
        let full = Written {
            annotations: annotations(&[
                ("kube-vip.io/loadbalancerIPs", " 192.0.2.7 "),
                ("metallb.universe.tf/address-pool", "lab"),
                ("metallb.io/allow-shared-ip", "k"),
                (INTERFACE, "auto"),
                (LEASE_NAME, "front"),
                (OWN_LEASE, "true"),
                (VIP_HOST, "n1"),
                (ENDPOINTLESS, "true"),
                (INSECURE, "true"),
                (PREFERRED_NODES, "disk=ssd"),
            ]),
            record: Some(vec![record.clone()]),
            source_ranges: vec!["10.1.2.3/8".into()],
            ip_family_policy: Some("PreferDualStack".into()),
            ip_families: vec!["IPv6".into(), "IPv4".into()],
            ingress: vec!["192.0.2.7".into(), "192.0.2.7".into()],
            ports_shown: false,
            status_writer: Some("cloud".into()),
            ..written()
        };
        let match_labels = [("disk".to_owned(), "ssd".to_owned())].into();
        let view = ServiceView {
            request: Some(Request {
                source: RequestSource::KubeVip,
                addresses: vec![record.address],
                unusable: vec![],
            }),
            pool: Some("lab".into()),
            sharing_key: Some("k".into()),
            family_policy: FamilyPolicy::PreferDualStack,
            families: vec![Family::V6, Family::V4],
            ingress: vec![record.address],
            ports_shown: false,
            status_writer: Some("cloud".into()),
            record: vec![record],
            ..view()
        };
        let expected = Service {
            interface: Some("auto".into()),
            group: Some("shop/front".into()),
            own_lease: true,
            vip_host: Some("n1".into()),
            endpointless: Endpointless::Announced,
            preferred: Some(Arc::new(LabelSelector { match_labels, ..LabelSelector::default() })),
            source_ranges: vec!["10.0.0.0/8".parse().unwrap()],
            security: Security::Ignored,
            ..service(view)
        };
        assert!(full.annotations.iter().all(|(annotation, _)| is_read(annotation)));
        assert_eq!(full.read(&Terms::default()), Some(expected));
    }

    #[test]
    fn what_does_not_count_is_said() {
        let poor = Written {
            annotations: annotations(&[
                (LEASE_NAME, "front"),
                (ENDPOINTLESS, "true"),
                (PREFERRED_NODES, "=ssd"),
                (ASSIGNED, "?"),
            ]),
            record: None,
            source_ranges: vec!["office".into()],
            external_traffic_policy: Some("Local".into()),
            ingress: vec!["lb.example.com".into()],
            ..written()
        };
        let view = ServiceView { traffic: TrafficPolicy::Local { selector: Labels::new() }, ..view() };
        let notes = vec![
            Note::NeedsCluster(LEASE_NAME),
            Note::NeedsCluster(ENDPOINTLESS),
            Note::PreferredNodes(SelectorError("=ssd".into())),
            Note::SourceRange("office".into()),
            Note::Ingress("lb.example.com".into()),
            Note::Assigned,
        ];
        assert_eq!(poor.read(&Terms::default()), Some(Service { notes, ..service(view) }));
    }

    #[test]
    fn of_other_types_only_what_has_something_of_a_load_balancer_is_kept() {
        let other = Written { service_type: "ClusterIP".into(), ..written() };
        assert_eq!(other.clone().read(&Terms::default()), None);
        let left = Written { ingress: vec!["192.0.2.7".into()], ..other.clone() };
        let recorded = Written { annotations: annotations(&[(ASSIGNED, "[]")]), ..other };
        for left in [left, recorded] {
            let standing = left.read(&Terms::default()).map(|service| service.view.standing);
            assert_eq!(standing, Some(Standing::Foreign));
        }
    }
}
