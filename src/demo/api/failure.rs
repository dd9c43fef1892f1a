//! How a request fails: the `Status` object that a real API server answers with.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::resources::{Inadmissible, Resource};

/// A failed request, in the words of `k8s.io/apimachinery/pkg/api/errors`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Failure {
    pub(super) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::about(resource, name, StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(super) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::about(resource, name, StatusCode::CONFLICT, "AlreadyExists", message)
    }

    /// The object is another than the writer thinks.
    pub(super) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::about(resource, name, StatusCode::CONFLICT, "Conflict", message)
    }

    pub(super) fn invalid(resource: &Resource, name: &str, field: &str, message: &str) -> Self {
        let text = format!(
            "{} \"{name}\" is invalid: {field}: {message}",
            match resource.group {
                "" => resource.kind.to_owned(),
                group => format!("{}.{group}", resource.kind),
            }
        );
        let code = StatusCode::UNPROCESSABLE_ENTITY;
        let mut failure = Self::about(resource, name, code, "Invalid", text);
        if let Value::Object(details) = &mut failure.details {
            details.insert("kind".to_owned(), json!(resource.kind));
            let cause = json!({"reason": "FieldValueInvalid", "message": message, "field": field});
            details.insert("causes".to_owned(), json!([cause]));
        }
        failure
    }

    pub(super) fn inadmissible(resource: &Resource, name: &str, why: &Inadmissible) -> Self {
        match why {
            Inadmissible::Malformed(why) => Self::bad_request(format!(
                "{} in version \"{}\" cannot be handled as a {}: {why}",
                resource.kind, resource.version, resource.kind
            )),
            Inadmissible::Invalid { field, message } => Self::invalid(resource, name, field, message),
        }
    }

    pub(super) fn forbidden(path: &str) -> Self {
        let message = format!("forbidden: User \"demo\" cannot access path \"{path}\"");
        Self::plain(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    pub(super) fn bad_request(message: String) -> Self {
        Self::plain(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        let code = StatusCode::METHOD_NOT_ALLOWED;
        Self::plain(code, "MethodNotAllowed", message.to_owned())
    }

    pub(super) fn unknown_path() -> Self {
        let message = "the server could not find the requested resource";
        Self::plain(StatusCode::NOT_FOUND, "NotFound", message.to_owned())
    }

    pub(super) fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!("the body of the request was in an unknown format - {accepted}");
        let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::plain(code, "UnsupportedMediaType", message)
    }

    pub(super) fn too_large() -> Self {
        let message = "Request entity too large: limit is 1048576".to_owned();
        let code = StatusCode::PAYLOAD_TOO_LARGE;
        Self::plain(code, "RequestEntityTooLarge", message)
    }

    pub(super) fn unavailable() -> Self {
        let message = "the server is currently unable to handle the request".to_owned();
        Self::plain(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    pub(super) fn full() -> Self {
        let message = "the embedded API holds as many objects as it will".to_owned();
        Self::plain(StatusCode::INSUFFICIENT_STORAGE, "InternalError", message)
    }

    /// The version asked for has been compacted.
    pub(super) fn expired(asked: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {asked} ({oldest})");
        Self::plain(StatusCode::GONE, "Expired", message)
    }

    /// The body: `kind: Status`.
    pub(super) fn status(&self) -> Value {
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code.as_u16(),
        })
    }

    fn about(
        resource: &Resource,
        name: &str,
        code: StatusCode,
        reason: &'static str,
        message: String,
    ) -> Self {
        let details = json!({"name": name, "group": resource.group, "kind": resource.plural});
        Self { code, reason, message, details }
    }

    fn plain(code: StatusCode, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, details: json!({}) }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.code, Json(self.status())).into_response()
    }
}
