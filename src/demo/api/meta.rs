//! `metadata` and `status` of an object that is otherwise none of the server's business.

use k8s_openapi::jiff;
use serde_json::{Map, Value, json};

use super::resources::Resource;
use super::store::{Key, Preconditions};

/// A string of `metadata`.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get("metadata")?.get(field)?.as_str()
}

/// What a PUT or a patch demands of the stored object.
pub(super) fn preconditions(object: &Value) -> Preconditions {
    let given = |field| text(object, field).filter(|v| !v.is_empty() && *v != "0").map(str::to_owned);
    Preconditions { uid: given("uid"), resource_version: given("resourceVersion") }
}

/// Gives a new object its identity.
pub(super) fn begin(object: &mut Value, resource: &Resource, key: &Key) {
    identify(object, resource, key);
    let metadata = metadata(object);
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"] {
        metadata.remove(field);
    }
    metadata.insert("uid".to_owned(), json!(uid()));
    metadata.insert("creationTimestamp".to_owned(), json!(timestamp()));
}

/// Keeps what a writer may not change.
pub(super) fn carry_over(object: &mut Value, old: &Value, resource: &Resource, key: &Key) {
    identify(object, resource, key);
    let metadata = metadata(object);
    metadata.remove("managedFields");
    for field in KEPT {
        match old.get("metadata").and_then(|m| m.get(field)) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
}

/// A write of the status may change labels and annotations too, and nothing else.
pub(super) fn adopt_from_status_write(object: &mut Value, written: Option<&Value>) {
    let metadata = metadata(object);
    for field in ["labels", "annotations"] {
        match written.and_then(|m| m.get(field)) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
}

pub(super) fn status(object: &Value) -> Option<Value> {
    object.get("status").cloned()
}

pub(super) fn set_status(object: &mut Value, status: Option<Value>) {
    if let Value::Object(fields) = object {
        match status {
            Some(status) => fields.insert("status".to_owned(), status),
            None => fields.remove("status"),
        };
    }
}

pub(super) fn set_revision(object: &mut Value, revision: u64) {
    metadata(object).insert("resourceVersion".to_owned(), json!(revision.to_string()));
}

pub(super) fn has_finalizers(object: &Value) -> bool {
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    finalizers.is_some_and(|list| !list.is_empty())
}

pub(super) fn is_deleted(object: &Value) -> bool {
    text(object, "deletionTimestamp").is_some()
}

pub(super) fn mark_deleted(object: &mut Value) {
    let metadata = metadata(object);
    metadata.entry("deletionTimestamp").or_insert_with(|| json!(timestamp()));
    metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
}

/// A name from `generateName`.
pub(super) fn generated(prefix: &str) -> String {
    let suffix = std::iter::repeat_with(|| fastrand::choice(ALPHABET).copied().unwrap_or(b'x'));
    prefix.chars().chain(suffix.take(5).map(char::from)).collect()
}

/// RFC 7386.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else {
        return;
    };
    for (field, change) in changes {
        if change.is_null() {
            fields.remove(field);
        } else {
            merge(fields.entry(field).or_insert(Value::Null), change);
        }
    }
}

/// `metadata`, made where it is missing or no object.
fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = json!({});
    }
    let metadata = &mut object["metadata"];
    if !metadata.is_object() {
        *metadata = json!({});
    }
    #[expect(clippy::expect_used, reason = "it was made an object above")]
    metadata.as_object_mut().expect("metadata is an object")
}

fn identify(object: &mut Value, resource: &Resource, key: &Key) {
    let fields = metadata(object);
    fields.insert("name".to_owned(), json!(key.name));
    if resource.is_namespaced() {
        fields.insert("namespace".to_owned(), json!(key.namespace));
    } else {
        fields.remove("namespace");
    }
    if let Value::Object(object) = object {
        object.insert("apiVersion".to_owned(), json!(resource.api_version()));
        object.insert("kind".to_owned(), json!(resource.kind));
    }
}

/// A random identifier in the form of RFC 9562 version 4.
fn uid() -> String {
    let n = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        n >> 96,
        n >> 80 & 0xffff,
        n >> 64 & 0xffff,
        n >> 48 & 0xffff,
        n & 0xffff_ffff_ffff
    )
}

/// The time of day, as `metav1.Time` has it: whole seconds.
fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

const KEPT: [&str; 5] =
    ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"];
/// What Kubernetes makes generated names of: no vowels, so that they spell no words.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_replaces_removes_and_descends() {
        let mut object = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        merge(&mut object, &json!({"a": {"b": null, "c": [3], "e": {"f": 1, "g": null}}, "d": {"h": 2}}));
        assert_eq!(object, json!({"a": {"c": [3], "e": {"f": 1}}, "d": {"h": 2}}));
    }

    #[test]
    fn an_identifier_is_of_version_4_and_of_the_rfc_variant() {
        for _ in 0..100 {
            let uid = uid();
            assert_eq!(uid.len(), 36);
            assert_eq!(&uid[14..15], "4", "{uid}");
            assert!("89ab".contains(&uid[19..20]), "{uid}");
        }
    }
}
