//! Which resources the API serves, what distinguishes each on a write, and how a request path names one.

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::Value;

/// One resource, with what its registry strategy says in Kubernetes (`pkg/registry/.../strategy.go`).
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) short_names: &'static [&'static str],
    pub(super) scope: Scope,
    pub(super) status: StatusSubresource,
    /// A PUT of an object that does not exist creates it.
    pub(super) create_on_update: bool,
    /// A PUT without `metadata.resourceVersion` is accepted, and wins.
    pub(super) unconditional_update: bool,
    /// DELETE answers with the object rather than with a `Status`.
    pub(super) returns_deleted: bool,
    /// Field labels that a `fieldSelector` may name beside the object's name and namespace.
    pub(super) field_labels: &'static [&'static str],
    /// Checks an object and puts it into the form in which it is read back.
    pub(super) admit: fn(Value) -> Result<Value, Inadmissible>,
}

impl Resource {
    /// `v1` or `GROUP/VERSION`.
    pub(super) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The name that error messages use: `leases.coordination.k8s.io`.
    pub(super) fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    pub(super) fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        (self.group, self.plural) == (other.group, other.plural)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Namespaced,
    Cluster,
}

/// Whether there is a status that only `/status` writes, and whether a create may carry one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatusSubresource {
    None,
    KeptOnCreate,
    ClearedOnCreate,
}

/// Why an object was not admitted.
#[derive(Debug)]
pub(super) enum Inadmissible {
    /// It is no object of its kind.
    Malformed(String),
    /// It is one, with a value that is not allowed.
    Invalid { field: &'static str, message: String },
}

/// What a request path names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    pub(super) resource: &'static Resource,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Status,
}

/// Reads a request path; `None` where it names nothing that is served.
pub(super) fn target(path: &str) -> Option<Target> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
        rest => (None, rest),
    };
    let (plural, name, part) = match rest {
        [plural] => (*plural, None, Part::Whole),
        [plural, name] => (*plural, Some(*name), Part::Whole),
        [plural, name, "status"] => (*plural, Some(*name), Part::Status),
        _ => return None,
    };
    let resource = RESOURCES.iter().find(|r| (r.group, r.version, r.plural) == (group, version, plural))?;
    let in_place = match resource.scope {
        Scope::Namespaced => namespace.is_some() || name.is_none(),
        Scope::Cluster => namespace.is_none(),
    };
    let has_part = part == Part::Whole || resource.status != StatusSubresource::None;
    (in_place && has_part && name != Some("")).then(|| Target {
        resource,
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        part,
    })
}

/// Leases are read into their type: times come back with microseconds, and what is no Lease is refused.
fn lease(object: Value) -> Result<Value, Inadmissible> {
    let malformed = |error: serde_json::Error| Inadmissible::Malformed(error.to_string());
    for field in ["acquireTime", "renewTime"] {
        let time = object.get("spec").and_then(|spec| spec.get(field)?.as_str());
        if let Some(time) = time.filter(|time| !has_microseconds(time)) {
            let why = format!("parsing time \"{time}\": microseconds, six digits, are wanted");
            return Err(Inadmissible::Malformed(why));
        }
    }
    let lease: Lease = serde_json::from_value(object).map_err(malformed)?;
    let spec = lease.spec.as_ref();
    if let Some(seconds) = spec.and_then(|s| s.lease_duration_seconds).filter(|&s| s <= 0) {
        return Err(Inadmissible::Invalid {
            field: "spec.leaseDurationSeconds",
            message: format!("Invalid value: {seconds}: must be greater than 0"),
        });
    }
    if let Some(count) = spec.and_then(|s| s.lease_transitions).filter(|&n| n < 0) {
        return Err(Inadmissible::Invalid {
            field: "spec.leaseTransitions",
            message: format!("Invalid value: {count}: must be greater than or equal to 0"),
        });
    }
    serde_json::to_value(lease).map_err(malformed)
}

/// A real server's `MicroTime` has exactly six digits after the point.
fn has_microseconds(time: &str) -> bool {
    let fraction = time.split_once('.').map(|(_, fraction)| fraction);
    fraction.and_then(|f| f.find(|c: char| !c.is_ascii_digit())) == Some(6)
}

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "reason",
    "type",
];

/// A namespaced resource of the commonest behaviour, to be varied.
const COMMON: Resource = Resource {
    group: "",
    version: "v1",
    plural: "",
    kind: "",
    short_names: &[],
    scope: Scope::Namespaced,
    status: StatusSubresource::None,
    create_on_update: false,
    unconditional_update: true,
    returns_deleted: false,
    field_labels: &[],
    admit: Ok,
};

pub(super) static RESOURCES: [Resource; 8] = [
    Resource { plural: "configmaps", kind: "ConfigMap", short_names: &["cm"], ..COMMON },
    Resource {
        plural: "events",
        kind: "Event",
        short_names: &["ev"],
        create_on_update: true,
        field_labels: EVENT_FIELDS,
        ..COMMON
    },
    Resource {
        plural: "namespaces",
        kind: "Namespace",
        short_names: &["ns"],
        scope: Scope::Cluster,
        status: StatusSubresource::ClearedOnCreate,
        field_labels: &["status.phase"],
        ..COMMON
    },
    Resource {
        plural: "nodes",
        kind: "Node",
        short_names: &["no"],
        scope: Scope::Cluster,
        status: StatusSubresource::KeptOnCreate,
        field_labels: &["spec.unschedulable"],
        ..COMMON
    },
    Resource {
        plural: "services",
        kind: "Service",
        short_names: &["svc"],
        status: StatusSubresource::ClearedOnCreate,
        create_on_update: true,
        returns_deleted: true,
        field_labels: &["spec.clusterIP", "spec.type"],
        ..COMMON
    },
    Resource {
        group: "coordination.k8s.io",
        plural: "leases",
        kind: "Lease",
        create_on_update: true,
        unconditional_update: false,
        admit: lease,
        ..COMMON
    },
    Resource { group: "discovery.k8s.io", plural: "endpointslices", kind: "EndpointSlice", ..COMMON },
    Resource {
        group: "events.k8s.io",
        plural: "events",
        kind: "Event",
        short_names: &["ev"],
        create_on_update: true,
        ..COMMON
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<(String, Option<String>, Option<String>, Part)> {
        target(path).map(|t| (t.resource.qualified(), t.namespace, t.name, t.part))
    }

    #[test]
    fn a_path_names_a_resource_its_namespace_its_name_and_its_status() {
        let leases = || "leases.coordination.k8s.io".to_owned();
        let some = |text: &str| Some(text.to_owned());
        let leases_in = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
        assert_eq!(
            found(&format!("{leases_in}/a")),
            Some((leases(), some("kube-system"), some("a"), Part::Whole))
        );
        assert_eq!(found("/apis/coordination.k8s.io/v1/leases"), Some((leases(), None, None, Part::Whole)));
        assert_eq!(
            found("/api/v1/nodes/n1/status"),
            Some(("nodes".to_owned(), None, some("n1"), Part::Status))
        );
    }

    #[test]
    fn a_path_that_names_nothing_served_is_none() {
        for path in [
            "",
            "/",
            "/api/v1",
            "/api/v2/nodes",
            "/api/v1/namespaces/default/nodes",
            "/api/v1/services/a",
            "/api/v1/namespaces/default/configmaps/a/status",
            "/api/v1/nodes/",
            "/api/v1/nodes/a/proxy",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
