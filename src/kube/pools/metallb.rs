//! MetalLB's `IPAddressPool`: as much of it as we read, decoded object by object, so that a bad one hides no good one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{self as meta, ObjectMeta};
use kube::{Resource, ResourceExt as _};
use serde::Deserialize;
use serde_json::Value;
use vipcast_proto::ipam::metallb::{self, ServiceAllocation};
use vipcast_proto::ipam::{LabelSelector, Operator, Pool, Problem, Requirement, Severity};

use crate::kube::follow::Step;

/// An `IPAddressPool` as the API has it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct IpAddressPool {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
}

/// All of them, by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Objects(BTreeMap<(Option<String>, String), IpAddressPool>);

impl Objects {
    /// What the pools are after `step`.
    pub(super) fn apply(&mut self, step: Step<IpAddressPool>) -> (Vec<Pool>, Vec<Problem>) {
        match step {
            Step::Listed(all) => self.0 = all.into_iter().map(|it| (key(&it), it)).collect(),
            Step::Applied(it) => drop(self.0.insert(key(&it), it)),
            Step::Deleted(it) => drop(self.0.remove(&key(&it))),
        }
        let (mut pools, mut problems) = (vec![], vec![]);
        for object in self.0.values() {
            match decode(object) {
                Ok(object) => {
                    let (pool, found) = metallb::pool(&object);
                    pools.extend(pool);
                    problems.extend(found);
                }
                Err(problem) => problems.push(problem),
            }
        }
        (pools, problems)
    }
}

impl Resource for IpAddressPool {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "IPAddressPool".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "metallb.io".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1beta1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "ipaddresspools".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The fields of the spec that decide anything.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    addresses: Vec<String>,
    auto_assign: Option<bool>,
    #[serde(rename = "avoidBuggyIPs")]
    avoid_buggy_ips: Option<bool>,
    service_allocation: Option<Allocation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Allocation {
    priority: Option<u32>,
    namespaces: Option<BTreeSet<String>>,
    namespace_selectors: Option<Vec<meta::LabelSelector>>,
    service_selectors: Option<Vec<meta::LabelSelector>>,
}

fn key(object: &IpAddressPool) -> (Option<String>, String) {
    (object.metadata.namespace.clone(), object.name_any())
}

fn decode(object: &IpAddressPool) -> Result<metallb::IpAddressPool, Problem> {
    let name = object.name_any();
    let spec = Spec::deserialize(&object.spec).map_err(|error| problem(&name, &error.to_string()))?;
    let allocation = spec.service_allocation.map(allocation).transpose();
    Ok(metallb::IpAddressPool {
        addresses: spec.addresses,
        auto_assign: spec.auto_assign.unwrap_or(true),
        avoid_buggy_ips: spec.avoid_buggy_ips.unwrap_or(false),
        service_allocation: allocation.map_err(|reason| problem(&name, &reason))?,
        name,
    })
}

fn allocation(written: Allocation) -> Result<ServiceAllocation, String> {
    let selectors = |written: Option<Vec<meta::LabelSelector>>| {
        written.unwrap_or_default().into_iter().map(selector).collect::<Result<Vec<_>, _>>()
    };
    Ok(ServiceAllocation {
        priority: written.priority.unwrap_or(0),
        namespaces: written.namespaces.unwrap_or_default(),
        namespace_selectors: selectors(written.namespace_selectors)?,
        service_selectors: selectors(written.service_selectors)?,
    })
}

/// A selector that is misread would serve the wrong Services, so a pool with an unknown operator serves none.
fn selector(written: meta::LabelSelector) -> Result<LabelSelector, String> {
    let requirement = |it: meta::LabelSelectorRequirement| {
        let values = || it.values.clone().unwrap_or_default().into_iter().collect();
        let operator = match it.operator.as_str() {
            "In" => Operator::In(values()),
            "NotIn" => Operator::NotIn(values()),
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => return Err(format!("{other:?} is not an operator of a label selector")),
        };
        Ok(Requirement { key: it.key, operator })
    };
    let expressions = written.match_expressions.unwrap_or_default();
    Ok(LabelSelector {
        match_labels: written.match_labels.unwrap_or_default(),
        match_expressions: expressions.into_iter().map(requirement).collect::<Result<_, _>>()?,
    })
}

fn problem(name: &str, reason: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        key: format!("{name}.spec"),
        value: String::new(),
        reason: reason.to_owned(),
        fix: "write it as MetalLB's IPAddressPool has it; the pool is left out".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_decides_is_read() {
        let object = json!({
            "metadata": {"name": "first", "namespace": "metallb-system"},
            "spec": {
                "addresses": ["192.0.2.0/24"], "autoAssign": false, "avoidBuggyIPs": true,
                "serviceAllocation": {
                    "priority": 50, "namespaces": ["web"],
                    "namespaceSelectors": [{"matchLabels": {"tier": "front"}}],
                    "serviceSelectors": [{"matchExpressions": [{"key": "app", "operator": "In", "values": ["a"]}]}],
                },
            },
            "status": {"assignedIPv4": 3},
        });
        let app = Requirement { key: "app".into(), operator: Operator::In(["a".to_owned()].into()) };
        let expected = metallb::IpAddressPool {
            name: "first".into(),
            addresses: vec!["192.0.2.0/24".into()],
            auto_assign: false,
            avoid_buggy_ips: true,
            service_allocation: Some(ServiceAllocation {
                priority: 50,
                namespaces: ["web".to_owned()].into(),
                namespace_selectors: vec![LabelSelector {
                    match_labels: [("tier".to_owned(), "front".to_owned())].into(),
                    match_expressions: vec![],
                }],
                service_selectors: vec![LabelSelector {
                    match_labels: BTreeMap::new(),
                    match_expressions: vec![app],
                }],
            }),
        };
        assert_eq!(decode(&serde_json::from_value(object).unwrap()), Ok(expected));
    }

    #[test]
    fn a_pool_whose_selector_makes_no_sense_serves_nobody() {
        let object = json!({
            "metadata": {"name": "first"},
            "spec": {"addresses": [], "serviceAllocation": {
                "serviceSelectors": [{"matchExpressions": [{"key": "app", "operator": "Like"}]}],
            }},
        });
        let problem = decode(&serde_json::from_value(object).unwrap()).unwrap_err();
        assert_eq!(
            (&*problem.key, &*problem.reason),
            ("first.spec", "\"Like\" is not an operator of a label selector")
        );
    }
}
