//! Which API the server has: enough for `kubectl get leases -A`.

use serde_json::{Value, json};

use super::resources::{RESOURCES, Resource, StatusSubresource};

/// The document at `path`; `None` where there is none.
pub(super) fn document(path: &str) -> Option<Value> {
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').skip(1).collect();
    match segments.as_slice() {
        ["version"] => Some(version()),
        ["api"] => Some(json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        })),
        ["api", version] => resources("", version),
        ["apis"] => Some(json!({
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": groups().into_iter().map(group).collect::<Vec<_>>(),
        })),
        ["apis", name] => groups().into_iter().find(|g| g == name).map(group),
        ["apis", group, version] => resources(group, version),
        _ => None,
    }
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": concat!("v1.36.0+vipcast.", env!("CARGO_PKG_VERSION")),
        "platform": "linux/amd64",
    })
}

fn groups() -> Vec<&'static str> {
    let mut groups: Vec<_> = RESOURCES
        .iter()
        .map(|r| r.group)
        .filter(|g| !g.is_empty())
        .collect();
    groups.dedup();
    groups
}

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "versions": [version],
        "preferredVersion": version,
    })
}

fn resources(group: &str, version: &str) -> Option<Value> {
    let served: Vec<_> = RESOURCES
        .iter()
        .filter(|r| (r.group, r.version) == (group, version))
        .collect();
    let group_version = served.first()?.api_version();
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": served.into_iter().flat_map(entries).collect::<Vec<_>>(),
    }))
}

fn entries(resource: &Resource) -> Vec<Value> {
    let entry = |name: String, verbs: &[&str], short_names: &[&str]| {
        json!({
            "name": name,
            "singularName": resource.kind.to_lowercase(),
            "namespaced": resource.is_namespaced(),
            "kind": resource.kind,
            "verbs": verbs,
            "shortNames": short_names,
        })
    };
    let mut entries = vec![entry(
        resource.plural.to_owned(),
        &VERBS,
        resource.short_names,
    )];
    if resource.status != StatusSubresource::None {
        let name = format!("{}/status", resource.plural);
        entries.push(entry(name, &["get", "patch", "update"], &[]));
    }
    entries
}

const VERBS: [&str; 7] = [
    "create", "delete", "get", "list", "patch", "update", "watch",
];
