//! Whether a body belongs to the path that it was sent to.

use serde_json::Value;

use super::failure::Failure;
use super::meta;
use super::resources::Target;

/// The body says the same as the path, or nothing.
pub(super) fn matches_path(target: &Target, object: &Value) -> Result<(), Failure> {
    let name = target.name.as_deref().unwrap_or_default();
    let resource = target.resource;
    let wrong = |field: &str| object.get(field).and_then(Value::as_str).map(str::to_owned);
    if !object.is_object() {
        return Err(Failure::bad_request("the body is not an object".to_owned()));
    }
    if name.len() > MAX_NAME || !name.bytes().all(is_name_byte) {
        let message = format!(
            "Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
        );
        return Err(Failure::invalid(resource, name, "metadata.name", &message));
    }
    if let Some(given) = meta::text(object, "name").filter(|n| !n.is_empty() && *n != name) {
        return Err(Failure::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    let namespace = meta::text(object, "namespace").unwrap_or_default();
    if !namespace.is_empty() && target.namespace.as_deref() != Some(namespace) {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
                .to_owned(),
        ));
    }
    let other_kind = wrong("kind").filter(|kind| kind != resource.kind);
    let other_version = wrong("apiVersion").filter(|version| *version != resource.api_version());
    match other_kind.or(other_version) {
        Some(other) => Err(Failure::bad_request(format!(
            "{other} in the body does not match the expected {}, Kind={}",
            resource.api_version(),
            resource.kind
        ))),
        None => Ok(()),
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.'
}

const MAX_NAME: usize = 253;
