//! A Lease that can be had from several API servers.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::get;
use axum::{Json, Router};
use kube::Config;
use serde_json::{Value, json};
use vipcast_proto::election::{Intent, Stamp};

use super::route::Routes;
use super::*;
use crate::kube::testing::{Server, unused_address};

const LIMIT: Duration = Duration::from_secs(5);
const ONE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}";

/// A server that accepts every write, and counts what it is asked.
async fn server() -> (Server, Arc<AtomicUsize>) {
    let count = Arc::<AtomicUsize>::default();
    let (reads, writes) = (Arc::clone(&count), Arc::clone(&count));
    let found = move |_: Path<String>| async move {
        reads.fetch_add(1, Ordering::SeqCst);
        Json(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "l", "namespace": "kube-system", "resourceVersion": "7"},
        }))
    };
    let put = move |_: Path<String>, Json(body): Json<Value>| async move {
        writes.fetch_add(1, Ordering::SeqCst);
        Json(body)
    };
    (Server::start(Router::new().route(ONE, get(found).put(put))).await, count)
}

fn store(own: SocketAddr, others: &[SocketAddr], vips: &[IpAddr]) -> LeaseStore {
    let config = Config::new(format!("http://{own}").parse().unwrap());
    let connection = Connection::of_many(config, vips.iter().copied().collect());
    let holder = Holder { identity: "node-b".into(), lease_duration: LIMIT };
    let name = LeaseName { namespace: "kube-system".into(), name: "l".into() };
    let (_, connections) = channel::channel(Some(connection));
    let (_, observed) = channel::channel(None);
    let mut store = LeaseStore::new(name, holder, BTreeMap::new(), connections, observed);
    // On loopback every server is this node's.
    store.requests.routes = Routes::new(channel::channel(others.iter().copied().collect()).1, |_| false);
    store
}

fn renewal() -> Write {
    Write { based_on: Some("7".into()), intent: Intent::Renew }
}

async fn is_renewed(store: &mut LeaseStore) -> bool {
    matches!(store.write(&renewal(), LIMIT).await.answer, Answer::Written(_))
}

fn counts(servers: [&Arc<AtomicUsize>; 2]) -> [usize; 2] {
    servers.map(|count| count.swap(0, Ordering::SeqCst))
}

#[tokio::test]
async fn where_nobody_listens_another_nodes_server_is_asked_in_the_same_request() {
    let (other, asked) = server().await;
    let mut store = store(unused_address().await, &[unused_address().await, other.address], &[]);
    assert!(is_renewed(&mut store).await);
    assert!(asked.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn another_nodes_server_is_not_asked_while_our_own_answers_and_no_longer_when_it_does_again() {
    let ((own, ours), (other, theirs)) = (server().await, server().await);
    let mut store = store(own.address, &[other.address], &[]);
    assert!(is_renewed(&mut store).await);
    assert_eq!(counts([&ours, &theirs]), [2, 0]);
    let connection = store.requests.connections.borrow().clone().unwrap();
    connection.suspect();
    assert!(is_renewed(&mut store).await);
    assert_eq!(counts([&ours, &theirs]), [0, 1]);
    connection.trust();
    assert!(is_renewed(&mut store).await);
    assert_eq!(counts([&ours, &theirs]), [1, 0]);
}

#[tokio::test]
async fn a_server_that_may_have_written_is_not_followed_by_another_one() {
    let failing = get(|| async { StatusCode::SERVICE_UNAVAILABLE })
        .put(|_: Path<String>| async { StatusCode::SERVICE_UNAVAILABLE.into_response() });
    let own = Server::start(Router::new().route(ONE, failing)).await;
    let (other, asked) = server().await;
    let mut store = store(own.address, &[other.address], &[]);
    store.base = Some(blank("kube-system", "l", &BTreeMap::new()));
    store.base.as_mut().unwrap().metadata.resource_version = Some("7".into());
    let answer = store.write(&renewal(), LIMIT).await.answer;
    assert!(matches!(answer, Answer::Unknown(Some(Stamp(_)))), "{answer:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert!(is_renewed(&mut store).await, "the next request does not go to another server");
}

#[tokio::test]
async fn a_server_that_is_silent_is_asked_last_the_next_time() {
    let (silent, slow) = (server_without_answers().await, Duration::from_millis(200));
    let (other, _) = server().await;
    let addresses = [silent.address, other.address];
    let mut store = store(unused_address().await, &addresses, &[]);
    store.base = Some(blank("kube-system", "l", &BTreeMap::new()));
    store.base.as_mut().unwrap().metadata.resource_version = Some("7".into());
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(store.write(&renewal(), slow).await.answer);
    }
    let written = answers.iter().any(|answer| matches!(answer, Answer::Written(_)));
    assert!(written, "{answers:?}");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_leaves_time_for_the_next_one() {
    let (other, asked) = server().await;
    let unreachable = full_listener();
    let addresses = [unreachable.0.local_addr().unwrap(), other.address];
    let mut store = store(unused_address().await, &addresses, &[]);
    store.requests.routes.failed(Some(other.address));
    let outcome = store.read(Duration::from_millis(400)).await;
    assert!(matches!(outcome.answer, Answer::Read(Some(_))), "{outcome:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_vip_of_ours_is_never_dialled() {
    let (other, asked) = server().await;
    let mut store = store(unused_address().await, &[other.address], &[other.address.ip()]);
    let outcome = store.write(&renewal(), LIMIT).await;
    assert_eq!(outcome.answer, Answer::Refused);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// Who dials it hears nothing, as of a node that is cut off: its queue has no room.
fn full_listener() -> (std::net::TcpListener, Vec<socket2::Socket>) {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let dial = |_| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        drop(socket.connect(&address));
        socket
    };
    let queue = (0..2).map(dial).collect();
    (listener.into(), queue)
}

async fn server_without_answers() -> Server {
    let never = get(std::future::pending::<StatusCode>).put(std::future::pending::<StatusCode>);
    Server::start(Router::new().route(ONE, never)).await
}
