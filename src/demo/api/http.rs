//! What each request means: from method, path, query and body to a store operation and its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::Failure;
use super::faults::{Faults, Mode};
use super::resources::{Part, Target, target};
use super::selector::Selector;
use super::store::{Key, Page, Preconditions, Written};
use super::watch::{Bookmarks, Filter, Start, Watch};
use super::{Shared, discovery, meta};
use crate::clock::pause;

/// Answers every request there is.
pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    if request.uri().path().starts_with("/demo/") {
        return control(&shared, request).await.into_response();
    }
    let response = match admit(&shared, request.uri().path()).await {
        Ok(()) => serve(&shared, request).await.into_response(),
        Err(failure) => failure.into_response(),
    };
    let mut faults = shared.faults.subscribe();
    // The server ends when its faults do, and then nobody is left to answer.
    let _ = faults.wait_for(|faults| faults.mode != Mode::LoseAnswers).await;
    response
}

/// Applies what is wrong with the server at present.
async fn admit(shared: &Shared, path: &str) -> Result<(), Failure> {
    let mut faults = shared.faults.subscribe();
    let latency = faults.borrow().latency();
    if let Some(latency) = latency {
        pause(latency).await;
    }
    let thawed = faults.wait_for(|faults| faults.mode != Mode::Freeze).await;
    let mode = thawed.map(|faults| faults.mode.clone());
    match mode {
        Ok(Mode::Forbid(allowed)) if !allowed.iter().any(|a| path.starts_with(a.as_str())) => {
            Err(Failure::forbidden(path))
        }
        Ok(Mode::Serve | Mode::Freeze | Mode::LoseAnswers | Mode::Forbid(_)) => Ok(()),
        Ok(Mode::Refuse) | Err(_) => Err(Failure::unavailable()),
    }
}

async fn serve(shared: &Arc<Shared>, request: Request<Body>) -> Result<Response, Failure> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if let "/livez" | "/healthz" | "/readyz" = path {
        return Ok(health(shared, path));
    }
    if let Some(document) = discovery::document(path) {
        return Ok(Json(document).into_response());
    }
    let target = target(path).ok_or_else(Failure::unknown_path)?;
    let params = Params::read(&head.uri)?;
    let verb = verb(&head.method, &target, &params)?;
    shared.count(verb, &target, user_agent(&head.headers));
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| Failure::too_large())?;
    match verb {
        "watch" => watch(shared, target, &params),
        "list" => list(shared, target, &params),
        "get" => get(shared, &target),
        "create" => create(shared, target, object(&head, &body)?),
        "update" => update(shared, &target, object(&head, &body)?),
        "patch" => patch(shared, &target, &head, &body),
        _ => delete(shared, &target, &body),
    }
}

/// The verb, in the words of RBAC.
fn verb(method: &Method, target: &Target, params: &Params) -> Result<&'static str, Failure> {
    match (method.as_str(), target.name.is_some()) {
        ("GET", _) if params.watch() => Ok("watch"),
        ("GET", true) => Ok("get"),
        ("GET", false) => Ok("list"),
        ("POST", false) if target.namespace.is_some() || !target.resource.is_namespaced() => Ok("create"),
        ("PUT", true) => Ok("update"),
        ("PATCH", true) => Ok("patch"),
        ("DELETE", true) if target.part == Part::Whole => Ok("delete"),
        _ => Err(Failure::method_not_allowed()),
    }
}

fn health(shared: &Shared, path: &str) -> Response {
    if path == "/readyz" && !shared.faults.borrow().ready {
        let body = "[-]ping failed: told not to be ready\nreadyz check failed\n";
        return (StatusCode::INTERNAL_SERVER_ERROR, body).into_response();
    }
    "ok".into_response()
}

fn get(shared: &Shared, target: &Target) -> Result<Response, Failure> {
    let object = shared.store().get(target.resource, &key(target))?;
    Ok(Json(&*object).into_response())
}

fn list(shared: &Shared, target: Target, params: &Params) -> Result<Response, Failure> {
    let filter = params.filter(target)?;
    let resource = filter.resource;
    let after = params.continued(&filter)?;
    let limit = params.limit.filter(|&limit| limit > 0).unwrap_or(usize::MAX);
    let store = shared.store();
    let asked = params.version()?;
    if params.resource_version_match == "Exact" && asked < Some(store.revision()) {
        return Err(Failure::expired(asked.unwrap_or_default(), store.revision()));
    }
    if after.as_ref().is_some_and(|(revision, _)| *revision < store.compacted()) {
        return Err(Failure::expired(asked.unwrap_or_default(), store.compacted()));
    }
    let (namespace, after) = (filter.namespace.as_deref(), after.as_ref().map(|(_, key)| key));
    let page = store.list(resource, namespace, &filter.selector, after, limit);
    drop(store);
    Ok(Json(json!({
        "kind": format!("{}List", resource.kind),
        "apiVersion": resource.api_version(),
        "metadata": list_meta(&page, params),
        "items": page.items.iter().map(|object| item(object)).collect::<Vec<_>>(),
    }))
    .into_response())
}

fn list_meta(page: &Page, params: &Params) -> Value {
    let version = page.revision.to_string();
    let Some((last, left)) = &page.rest else {
        return json!({"resourceVersion": version});
    };
    let token = format!("{version}/{}/{}", last.namespace, last.name);
    if params.label_selector.is_empty() && params.field_selector.is_empty() {
        json!({"resourceVersion": version, "continue": token, "remainingItemCount": left})
    } else {
        json!({"resourceVersion": version, "continue": token})
    }
}

/// An object in a list does not repeat its type.
fn item(object: &Value) -> Value {
    let mut item = object.clone();
    if let Value::Object(fields) = &mut item {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    item
}

fn watch(shared: &Arc<Shared>, target: Target, params: &Params) -> Result<Response, Failure> {
    let start = params.start(&target)?;
    let filter = params.filter(target)?;
    let bookmarks = match params.allow_watch_bookmarks.as_str() {
        "true" | "1" => Bookmarks::Wanted,
        _ => Bookmarks::NotWanted,
    };
    let timeout = params.timeout_seconds.filter(|&s| s > 0).map(Duration::from_secs);
    let watch = Watch::new(shared.clone(), filter, start, bookmarks, timeout);
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, watch.into_body()).into_response())
}

fn create(shared: &Shared, target: Target, object: Value) -> Result<Response, Failure> {
    let resource = target.resource;
    if meta::text(&object, "resourceVersion").is_some_and(|v| !v.is_empty()) {
        let message = "resourceVersion should not be set on objects to be created";
        return Err(Failure::bad_request(message.to_owned()));
    }
    let name = match (meta::text(&object, "name"), meta::text(&object, "generateName")) {
        (Some(name), _) if !name.is_empty() => name.to_owned(),
        (_, Some(prefix)) if !prefix.is_empty() => meta::generated(prefix),
        _ => {
            let message = "Required value: name or generateName is required";
            return Err(Failure::invalid(resource, "", "metadata.name", message));
        }
    };
    let target = Target { name: Some(name), ..target };
    matches_path(&target, &object)?;
    let written = shared.write(|store| store.create(resource, key(&target), object))?;
    Ok(answer_to_write(&target, &written))
}

fn update(shared: &Shared, target: &Target, object: Value) -> Result<Response, Failure> {
    matches_path(target, &object)?;
    let part = target.part;
    let written = shared.write(|store| store.update(target.resource, key(target), object, part))?;
    Ok(answer_to_write(target, &written))
}

fn patch(shared: &Shared, target: &Target, head: &Parts, body: &[u8]) -> Result<Response, Failure> {
    let apply = match media_type(&head.headers) {
        "application/merge-patch+json" | "application/strategic-merge-patch+json" => false,
        "application/apply-patch+yaml" => true,
        _ => return Err(Failure::unsupported_media_type(PATCHES)),
    };
    let patch = parse(body)?;
    matches_path(target, &patch)?;
    let (resource, part) = (target.resource, target.part);
    let written = shared.write(|store| match store.get(resource, &key(target)) {
        Err(_) if apply && part == Part::Whole => store.create(resource, key(target), patch),
        Ok(_) | Err(_) => store.patch(resource, key(target), part, |o| meta::merge(o, &patch)),
    })?;
    Ok(answer_to_write(target, &written))
}

fn delete(shared: &Shared, target: &Target, body: &[u8]) -> Result<Response, Failure> {
    let options = if body.is_empty() { Value::Null } else { parse(body)? };
    let given = |field| options.get("preconditions")?.get(field)?.as_str().map(str::to_owned);
    let demanded = Preconditions { uid: given("uid"), resource_version: given("resourceVersion") };
    let written = shared.write(|store| store.delete(target.resource, key(target), &demanded))?;
    Ok(answer_to_write(target, &written))
}

fn answer_to_write(target: &Target, written: &Written) -> Response {
    match written {
        Written::Created(object) => (StatusCode::CREATED, Json(&**object)).into_response(),
        Written::Updated(object) => Json(&**object).into_response(),
        Written::Deleted(object) if target.resource.returns_deleted => Json(&**object).into_response(),
        Written::Deleted(object) => Json(json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {
                "name": target.name,
                "group": target.resource.group,
                "kind": target.resource.plural,
                "uid": meta::text(object, "uid"),
            },
        }))
        .into_response(),
    }
}

/// The controls of the demo, which no fault touches.
async fn control(shared: &Shared, request: Request<Body>) -> Result<Response, Failure> {
    let (head, body) = request.into_parts();
    match (head.method.as_str(), head.uri.path()) {
        ("GET", "/demo/requests") => Ok(Json(shared.requests().all()).into_response()),
        ("GET", "/demo/faults") => Ok(Json(shared.faults.borrow().clone()).into_response()),
        ("PUT", "/demo/faults") => {
            let body = to_bytes(body, MAX_BODY).await.map_err(|_| Failure::too_large())?;
            let faults: Faults =
                serde_json::from_slice(&body).map_err(|error| Failure::bad_request(error.to_string()))?;
            shared.faults.send_replace(faults.clone());
            Ok(Json(faults).into_response())
        }
        ("POST", "/demo/compact") => {
            shared.compact();
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => Err(Failure::unknown_path()),
    }
}

/// The query of a list or a watch.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Params {
    watch: String,
    resource_version: String,
    resource_version_match: String,
    label_selector: String,
    field_selector: String,
    limit: Option<usize>,
    #[serde(rename = "continue")]
    token: String,
    timeout_seconds: Option<u64>,
    allow_watch_bookmarks: String,
    send_initial_events: String,
}

impl Params {
    fn read(uri: &Uri) -> Result<Self, Failure> {
        let query = Query::try_from_uri(uri);
        query.map(|Query(params)| params).map_err(|e| Failure::bad_request(e.body_text()))
    }

    fn watch(&self) -> bool {
        matches!(self.watch.as_str(), "true" | "1")
    }

    fn version(&self) -> Result<Option<u64>, Failure> {
        if self.resource_version.is_empty() {
            return Ok(None);
        }
        let why = || format!("Invalid value: \"{}\": invalid", self.resource_version);
        self.resource_version.parse().map(Some).map_err(|_| Failure::bad_request(why()))
    }

    fn start(&self, target: &Target) -> Result<Start, Failure> {
        let streaming = !self.send_initial_events.is_empty();
        if streaming && self.resource_version_match != "NotOlderThan" {
            let message =
                "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let field = "resourceVersionMatch";
            return Err(Failure::invalid(target.resource, "", field, message));
        }
        Ok(match (self.send_initial_events.as_str(), self.version()?) {
            ("true" | "1", _) => Start::StateAndBookmark,
            (_, None) if streaming => Start::Now,
            (_, None | Some(0)) => Start::State,
            (_, Some(version)) => Start::After(version),
        })
    }

    fn filter(&self, target: Target) -> Result<Filter, Failure> {
        let mut fields = self.field_selector.clone();
        if let Some(name) = &target.name {
            fields = format!("{fields},metadata.name={name}");
        }
        let selector = Selector::parse(target.resource, &self.label_selector, &fields);
        Ok(Filter {
            resource: target.resource,
            namespace: target.namespace,
            selector: selector.map_err(Failure::bad_request)?,
        })
    }

    /// Where the next page starts: the version of the first one, and the last key read.
    fn continued(&self, filter: &Filter) -> Result<Option<(u64, Key)>, Failure> {
        if self.token.is_empty() {
            return Ok(None);
        }
        let mut parts = self.token.splitn(3, '/');
        let version = parts.next().and_then(|version| version.parse().ok());
        match (version, parts.next(), parts.next()) {
            (Some(version), Some(namespace), Some(name)) => {
                Ok(Some((version, Key::new(filter.resource, namespace, name))))
            }
            _ => Err(Failure::bad_request("continue key is not valid".to_owned())),
        }
    }
}

/// The body says the same as the path, or nothing.
fn matches_path(target: &Target, object: &Value) -> Result<(), Failure> {
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

fn key(target: &Target) -> Key {
    let namespace = target.namespace.as_deref().unwrap_or_default();
    Key::new(target.resource, namespace, target.name.as_deref().unwrap_or_default())
}

fn object(head: &Parts, body: &[u8]) -> Result<Value, Failure> {
    match media_type(&head.headers) {
        "" | "application/json" => parse(body),
        _ => Err(Failure::unsupported_media_type("accepted media types include: application/json")),
    }
}

fn parse(body: &[u8]) -> Result<Value, Failure> {
    let why = |error| format!("the object provided is unrecognized: {error}");
    serde_json::from_slice(body).map_err(|error| Failure::bad_request(why(error)))
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).unwrap_or_default().trim()
}

fn user_agent(headers: &HeaderMap) -> &str {
    headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

const PATCHES: &str = "accepted media types include: application/merge-patch+json, \
     application/strategic-merge-patch+json, application/apply-patch+yaml";
const MAX_BODY: usize = 1 << 20;
const MAX_NAME: usize = 253;
