//! What each request means: from method, path, query and body to a store operation and its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::body::matches_path;
use super::failure::Failure;
use super::faults::{Faults, Mode};
use super::params::Params;
use super::resources::{Part, Target, target};
use super::store::{Key, Page, Preconditions, Written};
use super::watch::{Bookmarks, Watch};
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
    let _ = faults
        .wait_for(|faults| faults.mode != Mode::LoseAnswers)
        .await;
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
    let body = to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| Failure::too_large())?;
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
        ("POST", false) if target.namespace.is_some() || !target.resource.is_namespaced() => {
            Ok("create")
        }
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
    let limit = params
        .limit
        .filter(|&limit| limit > 0)
        .unwrap_or(usize::MAX);
    let store = shared.store();
    let asked = params.version()?;
    if params.resource_version_match == "Exact" && asked < Some(store.revision()) {
        return Err(Failure::expired(
            asked.unwrap_or_default(),
            store.revision(),
        ));
    }
    if after
        .as_ref()
        .is_some_and(|(revision, _)| *revision < store.compacted())
    {
        return Err(Failure::expired(
            asked.unwrap_or_default(),
            store.compacted(),
        ));
    }
    let (namespace, after) = (
        filter.namespace.as_deref(),
        after.as_ref().map(|(_, key)| key),
    );
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
    let timeout = params
        .timeout_seconds
        .filter(|&s| s > 0)
        .map(Duration::from_secs);
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
    let name = match (
        meta::text(&object, "name"),
        meta::text(&object, "generateName"),
    ) {
        (Some(name), _) if !name.is_empty() => name.to_owned(),
        (_, Some(prefix)) if !prefix.is_empty() => meta::generated(prefix),
        _ => {
            let message = "Required value: name or generateName is required";
            return Err(Failure::invalid(resource, "", "metadata.name", message));
        }
    };
    let target = Target {
        name: Some(name),
        ..target
    };
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
    let options = if body.is_empty() {
        Value::Null
    } else {
        parse(body)?
    };
    let given = |field| {
        options
            .get("preconditions")?
            .get(field)?
            .as_str()
            .map(str::to_owned)
    };
    let demanded = Preconditions {
        uid: given("uid"),
        resource_version: given("resourceVersion"),
    };
    let written = shared.write(|store| store.delete(target.resource, key(target), &demanded))?;
    Ok(answer_to_write(target, &written))
}

fn answer_to_write(target: &Target, written: &Written) -> Response {
    match written {
        Written::Created(object) => (StatusCode::CREATED, Json(&**object)).into_response(),
        Written::Updated(object) => Json(&**object).into_response(),
        Written::Deleted(object) if target.resource.returns_deleted => {
            Json(&**object).into_response()
        }
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
            let body = to_bytes(body, MAX_BODY)
                .await
                .map_err(|_| Failure::too_large())?;
            let faults: Faults = serde_json::from_slice(&body)
                .map_err(|error| Failure::bad_request(error.to_string()))?;
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

fn key(target: &Target) -> Key {
    let namespace = target.namespace.as_deref().unwrap_or_default();
    Key::new(
        target.resource,
        namespace,
        target.name.as_deref().unwrap_or_default(),
    )
}

fn object(head: &Parts, body: &[u8]) -> Result<Value, Failure> {
    match media_type(&head.headers) {
        "" | "application/json" => parse(body),
        _ => Err(Failure::unsupported_media_type(
            "accepted media types include: application/json",
        )),
    }
}

fn parse(body: &[u8]) -> Result<Value, Failure> {
    let why = |error| format!("the object provided is unrecognized: {error}");
    serde_json::from_slice(body).map_err(|error| Failure::bad_request(why(error)))
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
}

fn user_agent(headers: &HeaderMap) -> &str {
    headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

const PATCHES: &str = "accepted media types include: application/merge-patch+json, \
     application/strategic-merge-patch+json, application/apply-patch+yaml";
const MAX_BODY: usize = 1 << 20;
