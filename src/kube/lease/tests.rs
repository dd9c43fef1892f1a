//! The store and the watch against small servers that misbehave in known ways.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use vipcast_proto::election::{Intent, Record};

use super::*;
use crate::kube::testing::{Server, connection, listen_again, unused_address};

const LIMIT: Duration = Duration::from_secs(5);
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const ONE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}";

fn name() -> LeaseName {
    LeaseName { namespace: "kube-system".into(), name: "plndr-cp-lock".into() }
}

fn lease(version: u32, holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {
            "name": "plndr-cp-lock", "namespace": "kube-system", "resourceVersion": version.to_string(),
            "labels": {"app": "vip"},
        },
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 5, "leaseTransitions": 1},
    })
}

fn seen(version: u32, holder: &str) -> Record {
    record(&serde_json::from_value(lease(version, holder)).unwrap())
}

fn status(code: u16, message: &str) -> Response {
    let body = json!({"kind": "Status", "status": "Failure", "code": code, "message": message});
    (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
}

fn store_for(url: &str) -> LeaseStore {
    let (_, connections) = channel::channel(Some(connection(url, 1)));
    let (_, observed) = channel::channel(None);
    let holder = Holder { identity: "node-b".into(), lease_duration: Duration::from_secs(5) };
    let annotations = BTreeMap::from([("team".to_owned(), "net".to_owned())]);
    LeaseStore::new(name(), holder, annotations, connections, observed)
}

fn update(version: &str) -> Write {
    Write { based_on: Some(version.into()), intent: Intent::Claim { transitions: 2 } }
}

fn create() -> Write {
    Write { based_on: None, intent: Intent::Claim { transitions: 0 } }
}

/// Answers every write with `code`; a read finds version 7.
async fn answering(code: u16) -> Server {
    let put = move |_: Path<String>| async move { status(code, "etcdserver: request timed out") };
    let router = Router::new()
        .route(ONE, get(|_: Path<String>| async { Json(lease(7, "node-a")) }).put(put))
        .route(LEASES, post(move || async move { status(code, "no") }));
    Server::start(router).await
}

fn without_stamp(answer: Answer) -> Answer {
    match answer {
        Answer::Unknown(Some(_)) => Answer::Unknown(Some(Stamp(0))),
        other @ (Answer::Read(_)
        | Answer::Written(_)
        | Answer::Conflict
        | Answer::Refused
        | Answer::Unknown(None)) => other,
    }
}

#[tokio::test]
async fn a_status_is_a_conflict_a_refusal_or_an_unknown_outcome_by_what_the_server_can_have_done() {
    let unknown = Answer::Unknown(Some(Stamp(0)));
    let cases = [
        (409, Answer::Conflict, Answer::Conflict),
        (404, Answer::Conflict, Answer::Refused),
        (401, Answer::Refused, Answer::Refused),
        (403, Answer::Refused, Answer::Refused),
        (422, Answer::Refused, Answer::Refused),
        (429, Answer::Refused, Answer::Refused),
        (408, unknown.clone(), unknown.clone()),
        (500, unknown.clone(), unknown.clone()),
        (503, unknown.clone(), unknown.clone()),
        (504, unknown.clone(), unknown),
    ];
    for (code, updated, created) in cases {
        let server = answering(code).await;
        let mut store = store_for(&server.url());
        assert_eq!(without_stamp(store.write(&update("7"), LIMIT).await.answer), updated, "update, {code}");
        assert_eq!(without_stamp(store.write(&create(), LIMIT).await.answer), created, "create, {code}");
    }
}

#[tokio::test]
async fn nobody_listening_is_a_refusal_of_reads_and_writes() {
    let mut store = store_for(&format!("http://{}", unused_address().await));
    for answer in [store.read(LIMIT).await, store.write(&create(), LIMIT).await] {
        assert_eq!(answer.answer, Answer::Refused);
        assert_eq!(answer.failure, Some(Failure::NotSent("connection refused".into())));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_leaves_the_outcome_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 64];
            // Reads the beginning of the request and hangs up.
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await;
        }
    });
    let mut store = store_for(&url);
    assert_eq!(without_stamp(store.write(&create(), LIMIT).await.answer), Answer::Unknown(Some(Stamp(0))));
    assert_eq!(store.read(LIMIT).await.answer, Answer::Unknown(None));
}

#[tokio::test]
async fn silence_past_the_limit_leaves_the_outcome_unknown_with_the_stamp_of_the_write() {
    let (sent, mut written) = mpsc::channel(1);
    let swallow = post(move |Json(body): Json<Value>| async move {
        sent.send(body).await.unwrap();
        std::future::pending::<()>().await;
    });
    let server = Server::start(Router::new().route(LEASES, swallow)).await;
    let outcome = store_for(&server.url()).write(&create(), Duration::from_millis(100)).await;
    let body: Lease = serde_json::from_value(written.recv().await.unwrap()).unwrap();
    assert_eq!(outcome.answer, Answer::Unknown(record(&body).renewed));
    assert_eq!(outcome.failure, Some(Failure::TimedOut));
    assert!(outcome.latency >= Duration::from_millis(100));
}

#[tokio::test]
async fn without_a_connection_nothing_is_sent() {
    let (_, connections) = channel::channel(None);
    let (_, observed) = channel::channel(None);
    let holder = Holder { identity: "node-b".into(), lease_duration: LIMIT };
    let mut store = LeaseStore::new(name(), holder, BTreeMap::new(), connections, observed);
    assert_eq!(store.read(LIMIT).await.answer, Answer::Refused);
    assert_eq!(store.write(&update("7"), LIMIT).await.answer, Answer::Refused);
}

#[tokio::test]
async fn what_is_written_carries_the_version_and_the_labels_of_what_it_is_based_on() {
    let (sent, mut written) = mpsc::channel(4);
    let put = move |_: Path<String>, Json(mut body): Json<Value>| async move {
        sent.send(body.clone()).await.unwrap();
        body["metadata"]["resourceVersion"] = json!("8");
        Json(body)
    };
    let found = |_: Path<String>| async { Json(lease(7, "node-a")) };
    let server = Server::start(Router::new().route(ONE, get(found).put(put))).await;
    let mut store = store_for(&server.url());
    assert_eq!(store.read(LIMIT).await.answer, Answer::Read(Some(seen(7, "node-a"))));
    let claimed = store.write(&update("7"), LIMIT).await;
    let body = written.recv().await.unwrap();
    assert_eq!(body["metadata"], lease(7, "")["metadata"]);
    let mut expected: Lease = serde_json::from_value(body).unwrap();
    expected.metadata.resource_version = Some("8".into());
    assert_eq!(claimed.answer, Answer::Written(record(&expected)));
    let renewed = store.write(&Write { based_on: Some("8".into()), intent: Intent::Renew }, LIMIT).await;
    let stamps = [claimed.answer, renewed.answer].map(|answer| match answer {
        Answer::Written(record) => record.renewed,
        Answer::Read(_) | Answer::Conflict | Answer::Refused | Answer::Unknown(_) => None,
    });
    assert!(stamps[0].is_some() && stamps[0] < stamps[1]);
}

#[tokio::test]
async fn a_lease_that_moved_on_is_a_conflict_before_anything_is_written() {
    let found = |_: Path<String>| async { Json(lease(9, "node-c")) };
    let server = Server::start(Router::new().route(ONE, get(found))).await;
    let outcome = store_for(&server.url()).write(&update("7"), LIMIT).await;
    assert_eq!((outcome.answer, outcome.failure), (Answer::Conflict, None));
}

#[tokio::test]
async fn a_write_based_on_what_only_the_watch_saw_needs_no_read() {
    let put = |_: Path<String>, Json(body): Json<Value>| async { Json(body) };
    let server = Server::start(Router::new().route(ONE, axum::routing::put(put))).await;
    let mut store = store_for(&server.url());
    let observed = Observed::new(Some(Arc::new(serde_json::from_value(lease(7, "")).unwrap())));
    store.observed = channel::channel(Some(observed)).1;
    let outcome = store.write(&update("7"), LIMIT).await;
    assert!(matches!(outcome.answer, Answer::Written(record) if record.holder.as_deref() == Some("node-b")));
}

#[tokio::test]
async fn a_lease_that_we_create_has_the_configured_annotations_and_no_version() {
    let (sent, mut written) = mpsc::channel(1);
    let created = post(move |Json(body): Json<Value>| async move {
        sent.send(body.clone()).await.unwrap();
        (StatusCode::CREATED, Json(body))
    });
    let server = Server::start(Router::new().route(LEASES, created)).await;
    store_for(&server.url()).write(&create(), LIMIT).await;
    let expected = json!({
        "name": "plndr-cp-lock", "namespace": "kube-system", "annotations": {"team": "net"},
    });
    assert_eq!(written.recv().await.unwrap()["metadata"], expected);
}

/// A server of lists and watches that a test writes line by line.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    list: Vec<Value>,
    lists: usize,
    /// `resourceVersion` and the selector of each watch.
    asked: Vec<(String, String)>,
    watch: Option<mpsc::Sender<Bytes>>,
    gone: bool,
}

impl Script {
    fn router(&self) -> Router {
        Router::new().route(LEASES, get(Self::answer)).with_state(self.clone())
    }

    async fn answer(
        State(Self(pages)): State<Self>,
        Query(query): Query<BTreeMap<String, String>>,
    ) -> Response {
        let mut pages = pages.lock().unwrap();
        if !query.contains_key("watch") {
            pages.lists += 1;
            let list = json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "LeaseList",
                "metadata": {"resourceVersion": (100 + pages.lists).to_string()}, "items": pages.list,
            });
            return Json(list).into_response();
        }
        pages.asked.push((query["resourceVersion"].clone(), query["fieldSelector"].clone()));
        if std::mem::take(&mut pages.gone) {
            return status(410, "too old resource version");
        }
        let (sender, receiver) = mpsc::channel(8);
        pages.watch = Some(sender);
        let lines = futures::stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|line| (Ok::<_, std::io::Error>(line), receiver))
        });
        Body::from_stream(lines.boxed()).into_response()
    }

    async fn send(&self, kind: &str, object: Value) {
        let watch = loop {
            let watch = self.0.lock().unwrap().watch.clone();
            match watch {
                Some(watch) if !watch.is_closed() => break watch,
                _ => tokio::task::yield_now().await,
            }
        };
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        watch.send(line.into()).await.unwrap();
    }

    fn hang_up(&self) {
        self.0.lock().unwrap().watch = None;
    }
}

struct Watching {
    connections: channel::Sender<Option<Connection>>,
    newest: channel::Receiver<Option<Observed>>,
    _task: JoinSet<()>,
}

fn watching(url: &str) -> Watching {
    let (connections, receiver) = channel::channel(Some(connection(url, 1)));
    let (sender, newest) = channel::channel(None);
    let mut task = JoinSet::new();
    task.spawn(watch_lease(name(), receiver, sender));
    Watching { connections, newest, _task: task }
}

impl Watching {
    async fn next(&mut self) -> Option<Record> {
        let changed = timeout(LIMIT, self.newest.changed()).await;
        changed.expect("nothing new in time").unwrap();
        self.newest.borrow_and_update().clone().unwrap().record
    }
}

#[tokio::test]
async fn the_watch_tells_every_state_and_asks_for_this_lease_only() {
    let script = Script::default();
    let server = Server::start(script.router()).await;
    let mut watching = watching(&server.url());
    assert_eq!(watching.next().await, None);
    for (kind, version, holder) in [("ADDED", 102, "node-a"), ("MODIFIED", 103, "")] {
        script.send(kind, lease(version, holder)).await;
        assert_eq!(watching.next().await, Some(seen(version, holder)));
    }
    script.send("DELETED", lease(104, "")).await;
    assert_eq!(watching.next().await, None);
    let pages = script.0.lock().unwrap();
    assert_eq!(pages.asked, [("101".to_owned(), "metadata.name=plndr-cp-lock".to_owned())]);
}

#[tokio::test]
async fn a_broken_watch_goes_on_from_the_newest_version_without_a_list() {
    let script = Script::default();
    let server = Server::start(script.router()).await;
    let mut watching = watching(&server.url());
    assert_eq!(watching.next().await, None);
    let mark = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"resourceVersion": "150"}});
    script.send("ADDED", lease(102, "node-a")).await;
    assert_eq!(watching.next().await, Some(seen(102, "node-a")));
    script.send("BOOKMARK", mark).await;
    script.hang_up();
    script.send("MODIFIED", lease(151, "node-b")).await;
    assert_eq!(watching.next().await, Some(seen(151, "node-b")));
    let pages = script.0.lock().unwrap();
    assert_eq!(pages.lists, 1);
    assert_eq!(pages.asked[1].0, "150");
}

#[tokio::test]
async fn a_version_that_is_gone_is_listed_again_whichever_way_the_server_says_so() {
    for in_stream in [false, true] {
        let script = Script::default();
        let server = Server::start(script.router()).await;
        let mut watching = watching(&server.url());
        assert_eq!(watching.next().await, None);
        script.send("ADDED", lease(102, "node-a")).await;
        assert_eq!(watching.next().await, Some(seen(102, "node-a")));
        script.0.lock().unwrap().list = vec![lease(180, "node-c")];
        script.0.lock().unwrap().gone = !in_stream;
        if in_stream {
            let gone = json!({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "old"});
            script.send("ERROR", gone).await;
        }
        script.hang_up();
        assert_eq!(watching.next().await, Some(seen(180, "node-c")));
        assert_eq!(script.0.lock().unwrap().lists, 2);
    }
}

#[tokio::test]
async fn a_new_connection_is_followed_at_once() {
    let (old, new) = (Script::default(), Script::default());
    let (first, second) = (Server::start(old.router()).await, Server::start(new.router()).await);
    let mut watching = watching(&first.url());
    assert_eq!(watching.next().await, None);
    old.send("ADDED", lease(102, "node-a")).await;
    assert_eq!(watching.next().await, Some(seen(102, "node-a")));
    watching.connections.send_replace(Some(connection(&second.url(), 2)));
    new.send("MODIFIED", lease(103, "node-b")).await;
    assert_eq!(watching.next().await, Some(seen(103, "node-b")));
}

#[tokio::test]
async fn a_server_that_went_away_is_found_again_where_it_was() {
    let script = Script::default();
    let server = Server::start(script.router()).await;
    let (address, mut watching) = (server.address, watching(&server.url()));
    assert_eq!(watching.next().await, None);
    server.stop().await;
    script.hang_up();
    let _server = Server::on(listen_again(address), script.router(), None);
    script.send("ADDED", lease(102, "node-a")).await;
    assert_eq!(watching.next().await, Some(seen(102, "node-a")));
}

#[tokio::test]
async fn no_write_has_the_stamp_of_another_or_of_the_record_before_it() {
    let mut store = store_for("http://127.0.0.1:1");
    let future = Stamp(clock::wall_micros() + 3_600_000_000);
    store.last = future;
    let holder = store.holder.clone();
    let base = |stamp| apply(Lease::default(), Intent::Renew, &holder, Stamp(stamp));
    assert_eq!(store.stamp(&Lease::default()), Stamp(future.0 + 1));
    assert_eq!(store.stamp(&base(future.0 + 2)), Stamp(future.0 + 3));
    assert_eq!(store.stamp(&base(future.0)), Stamp(future.0 + 4));
}
