//! Raw requests and watches: what goes over the wire, without a typed client's help or hindrance.

use std::pin::Pin;
use std::time::Duration;

use axum::http::Request;
use futures::{AsyncBufRead, AsyncBufReadExt};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use vipcast::demo::api;

/// A client, and the embedded server behind it if it is that.
pub(crate) struct Client {
    pub(crate) kube: kube::Client,
    _server: JoinSet<std::io::Result<()>>,
}

impl Client {
    pub(crate) fn new(kube: kube::Client, embedded: Option<(TcpListener, api::Server)>) -> Self {
        let mut server = JoinSet::new();
        if let Some((listener, embedded)) = embedded {
            server.spawn(api::serve(listener, embedded));
        }
        Self {
            kube,
            _server: server,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", Vec::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, "application/json", body.to_string().into())
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, "application/json", body.to_string().into())
            .await
    }

    pub(crate) async fn merge(&self, path: &str, body: &Value) -> Answer {
        let kind = "application/merge-patch+json";
        self.send("PATCH", path, kind, body.to_string().into())
            .await
    }

    pub(crate) async fn apply(&self, path: &str, body: &Value) -> Answer {
        let path = format!("{path}?fieldManager=test&force=true");
        let kind = "application/apply-patch+yaml";
        self.send("PATCH", &path, kind, body.to_string().into())
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, "", Vec::new()).await
    }

    pub(crate) async fn delete_if(&self, path: &str, preconditions: Value) -> Answer {
        let body =
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions});
        self.send("DELETE", path, "application/json", body.to_string().into())
            .await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, kind: &str, body: Vec<u8>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let request = request.body(Body::from(body)).expect("is a request");
        let response = self.kube.send(request).await.expect("the server answers");
        let code = response.status().as_u16();
        let bytes = response
            .into_body()
            .collect_bytes()
            .await
            .expect("the answer ends");
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { code, body }
    }

    /// A watch; `query` without `watch=true`.
    pub(crate) async fn watch(&self, path: &str, query: &str) -> Watch {
        let request = Request::get(format!("{path}?watch=true&{query}")).body(Vec::new());
        let lines = self
            .kube
            .request_stream(request.expect("is a request"))
            .await;
        Watch(Box::pin(lines.expect("the watch is accepted")))
    }
}

/// Status code and body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The object of a request that must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(
            (200..300).contains(&self.code),
            "{} {}",
            self.code,
            self.body
        );
        self.body
    }

    /// What a `Status` says: HTTP code, code, reason.
    pub(crate) fn failure(&self) -> (u16, u64, &str) {
        let code = self.body["code"].as_u64().unwrap_or_default();
        (
            self.code,
            code,
            self.body["reason"].as_str().unwrap_or_default(),
        )
    }
}

/// A watch that is being read.
pub(crate) struct Watch(Pin<Box<dyn AsyncBufRead + Send>>);

impl Watch {
    /// The next event: its type and object. `None` where the watch has ended.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        let mut line = String::new();
        let read = timeout(EVENT_LIMIT, self.0.read_line(&mut line)).await;
        let read = read.expect("an event, or the end, comes in time");
        if read.expect("the watch ends cleanly") == 0 {
            return None;
        }
        let event: Value = serde_json::from_str(&line).expect("a line is an event");
        Some((
            event["type"].as_str().unwrap_or_default().to_owned(),
            event["object"].clone(),
        ))
    }

    /// The next events as type, name and resource version.
    pub(crate) async fn next_n(&mut self, count: usize) -> Vec<(String, String, u64)> {
        let mut events = Vec::new();
        for _ in 0..count {
            let (kind, object) = self.next().await.expect("there are more events");
            events.push((kind, text(&object, "name"), version(&object)));
        }
        events
    }
}

/// A string of `metadata`.
pub(crate) fn text(object: &Value, field: &str) -> String {
    object["metadata"][field]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The resource version of an object or a list.
#[track_caller]
pub(crate) fn version(object: &Value) -> u64 {
    text(object, "resourceVersion")
        .parse()
        .expect("a resource version is a number here")
}

/// The names in a list.
pub(crate) fn names(list: &Value) -> Vec<String> {
    let items = list["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    items.iter().map(|item| text(item, "name")).collect()
}

const EVENT_LIMIT: Duration = Duration::from_secs(20);
