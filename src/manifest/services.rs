//! What Services take beside the control plane's permissions: reading them, writing their status, Leases and pools.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::rbac::rule;
use crate::config::services::{Distribution, Services};

/// On Services, and what belongs to them: in all namespaces, or in the one whose Services are looked at.
pub(super) fn rules(services: &Services, events: bool) -> Vec<PolicyRule> {
    let mut rules = vec![rule("", "services", READ), rule("discovery.k8s.io", "endpointslices", READ)];
    if services.allocate || services.host_annotation {
        // The addresses, and an annotation that says where they come from, in one request; and who announces them.
        rules.push(rule("", "services/status", &["patch"]));
    }
    if has_own_leases(services) {
        // They are called after their Services, and each lies beside its own.
        let verbs = &["get", "list", "watch", "create", "update", "delete"];
        rules.push(rule("coordination.k8s.io", "leases", verbs));
    }
    if events && services.allocate {
        rules.push(rule("events.k8s.io", "events", &["create", "patch"]));
    }
    rules
}

/// On what lies in no namespace, or in one that nobody knows before.
pub(super) fn cluster_rules(services: &Services) -> Vec<PolicyRule> {
    let mut rules = vec![rule("networking.k8s.io", "servicecidrs", READ)];
    if services.allocate && services.metallb_pools {
        rules.push(rule("metallb.io", "ipaddresspools", READ));
    }
    if services.selects_namespaces() {
        rules.push(rule("", "namespaces", READ));
    }
    rules
}

/// On Leases, in the namespace of that of Services. Leases of members are called after their nodes, which nobody knows
/// before; only `create` cannot be limited to a name anyway.
pub(super) fn lease_rules(services: &Services) -> Vec<PolicyRule> {
    let leases = |verbs| rule("coordination.k8s.io", "leases", verbs);
    let mut verbs = vec!["get", "list", "watch", "update"];
    if services.distribution == Distribution::Spread && services.allocate {
        // Those of members whose Nodes are gone.
        verbs.push("delete");
    }
    let allocator = services.allocate.then_some(ALLOCATOR);
    let shared = (services.distribution == Distribution::Lease).then_some(services.lease.name.as_str());
    let names: Vec<String> = allocator.into_iter().chain(shared).map(str::to_owned).collect();
    let mut ours = leases(&verbs);
    match services.distribution {
        Distribution::Spread => {}
        _ if names.is_empty() => return Vec::new(),
        Distribution::Lease | Distribution::EveryNode | Distribution::LeasePerService => {
            ours.resource_names = Some(names);
        }
    }
    vec![leases(&["create"]), ours]
}

/// On ConfigMaps with pools, by namespace.
pub(super) fn pool_rules(services: &Services) -> BTreeMap<&str, PolicyRule> {
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for object in services.pool_config_maps.iter().filter(|_| services.allocate) {
        names.entry(&object.namespace).or_default().insert(&object.name);
    }
    let read = |names: BTreeSet<&str>| PolicyRule {
        resource_names: Some(names.into_iter().map(str::to_owned).collect()),
        ..rule("", "configmaps", READ)
    };
    names.into_iter().map(|(namespace, names)| (namespace, read(names))).collect()
}

/// Whether any Service may have a Lease of its own.
fn has_own_leases(services: &Services) -> bool {
    match services.distribution {
        Distribution::LeasePerService => true,
        Distribution::Lease => services.lease_on_demand,
        Distribution::Spread | Distribution::EveryNode => false,
    }
}

const READ: &[&str] = &["list", "watch"];
/// The Lease of whoever assigns addresses.
const ALLOCATOR: &str = "vipcast-allocator";
