//! The task as it runs: against a server that answers as it is told.

use std::sync::Mutex;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::patch;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::kube::testing::{Server, connection};

/// Bodies as they came, and Services that are never answered.
#[derive(Clone, Default)]
struct Script {
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    hanging: &'static str,
}

async fn service(
    State(script): State<Script>,
    Path((namespace, name)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Response {
    if !script.hanging.is_empty() && name.starts_with(script.hanging) {
        return std::future::pending().await;
    }
    script.seen.lock().unwrap().push((name.clone(), body));
    (StatusCode::OK, Json(json!({"metadata": {"namespace": namespace, "name": name}}))).into_response()
}

/// The task, led by a test.
struct Running {
    feed: mpsc::Sender<Feed>,
    asks: mpsc::Sender<Ask>,
    rulings: watch::Sender<Ruling>,
    report: watch::Receiver<AllocatorReport>,
    script: Script,
    _server: Server,
    _connections: watch::Sender<Option<Connection>>,
    _notices: mpsc::Receiver<Notice>,
    _task: JoinSet<()>,
}

impl Running {
    async fn start(hanging: &'static str) -> Self {
        let script = Script { hanging, ..Script::default() };
        let route = "/api/v1/namespaces/{namespace}/services/{name}/status";
        let server =
            Server::start(Router::new().route(route, patch(service)).with_state(script.clone())).await;
        let (connections_out, connections) = watch::channel(Some(connection(&server.url(), 1)));
        let (feed, fed) = mpsc::channel(16);
        let (asks, asked) = mpsc::channel(16);
        let (rulings_out, rulings) = watch::channel(ruling(1, true));
        let (_, pools) = watch::channel(pools("192.0.2.1-192.0.2.250"));
        let (outputs, notices, _, report) = outputs();
        let inputs = Inputs { feed: fed, pools, rulings, connections, asks: asked };
        let mut task = JoinSet::new();
        task.spawn(run(ipam::Settings::default(), inputs, outputs));
        feed.send(Feed::Forbidden(Forbidden::default())).await.unwrap();
        Self {
            feed,
            asks,
            rulings: rulings_out,
            report,
            script,
            _server: server,
            _connections: connections_out,
            _notices: notices,
            _task: task,
        }
    }

    /// What came when so many have.
    async fn seen(&self, count: usize) -> Vec<(String, Value)> {
        let came = async {
            while self.script.seen.lock().unwrap().len() < count {
                clock::pause(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(10), came).await.expect("in time");
        self.script.seen.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn the_task_writes_to_the_status_and_answers_questions() {
    let mut running = Running::start("").await;
    running.feed.send(Feed::Loaded(vec![view("a")])).await.unwrap();
    let body = json!({
        "metadata": {"uid": "uid-a", "annotations": {ASSIGNED: r#"[{"address":"192.0.2.1","pool":"lab"}]"#}},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}},
    });
    assert_eq!(running.seen(1).await, [("a".to_owned(), body)]);
    let (answer, answered) = oneshot::channel();
    running.asks.send(Ask::Decision(key("a"), answer)).await.unwrap();
    assert_eq!(answered.await.unwrap().unwrap().assigned[0].pool.as_deref(), Some("lab"));
    let (answer, answered) = oneshot::channel();
    running.asks.send(Ask::Pools(answer)).await.unwrap();
    assert_eq!(answered.await.unwrap().pools[0].usage[0].used, 1);
    let full =
        running.report.wait_for(|report| report.is_us && report.unwritten == 0 && !report.pools.is_empty());
    timeout(Duration::from_secs(10), full).await.expect("in time").unwrap();
}

#[tokio::test]
async fn services_whose_writes_hang_delay_no_other_for_longer_than_a_time_out() {
    let running = Running::start("bad").await;
    let bad = (0..16).map(|number| view(&format!("bad-{number:02}")));
    running.feed.send(Feed::Loaded(bad.collect())).await.unwrap();
    running.feed.send(Feed::Upsert(view("good-1"))).await.unwrap();
    assert_eq!(running.seen(1).await[0].0, "good-1");
    // From the second attempt on they have a quarter of the places.
    running.feed.send(Feed::Upsert(view("good-2"))).await.unwrap();
    let quick = timeout(Duration::from_secs(1), running.seen(2)).await;
    assert_eq!(quick.expect("at once")[1].0, "good-2");
}

#[tokio::test]
async fn who_does_not_lead_sends_nothing() {
    let running = Running::start("").await;
    running.rulings.send_replace(ruling(2, false));
    running.feed.send(Feed::Loaded(vec![view("a")])).await.unwrap();
    let (answer, answered) = oneshot::channel();
    running.asks.send(Ask::Decision(key("a"), answer)).await.unwrap();
    assert!(answered.await.unwrap().is_some());
    running.rulings.send_replace(ruling(3, true));
    assert_eq!(running.seen(1).await.len(), 1);
}
