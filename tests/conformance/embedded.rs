//! The controls that only the embedded server has: faults, compaction, counts.

use std::pin::Pin;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use vipcast::demo::api::{Count, Faults, Handle, Mode};

use crate::client::{Client, version};

type Case = fn(Client, Handle) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn all() -> Vec<(&'static str, Case)> {
            vec![$((stringify!($name), |client, handle| Box::pin($name(client, handle)))),*]
        }
    };
}

cases![
    a_compaction_expires_the_versions_before_it,
    closing_the_watches_ends_them,
    a_frozen_server_answers_when_it_thaws,
    a_frozen_watch_is_silent_until_it_thaws,
    a_lost_answer_has_taken_effect,
    a_refusing_server_says_503_and_ends_watches,
    a_forbidding_server_lets_the_named_paths_through,
    readiness_follows_its_switch,
    requests_are_counted_by_verb_resource_and_user_agent,
    faults_are_set_over_http,
    a_body_over_the_limit_is_refused,
];

async fn a_compaction_expires_the_versions_before_it(client: Client, handle: Handle) {
    let from = handle.resource_version();
    client.post(MAPS, &map("a")).await.ok();
    handle.compact();
    let mut watch = client.watch(MAPS, &format!("resourceVersion={from}")).await;
    let (kind, status) = watch.next().await.expect("there is an event");
    assert_eq!((kind.as_str(), &status["code"]), ("ERROR", &json!(410)));
    let mut watch = client.watch(MAPS, &format!("resourceVersion={}", handle.resource_version())).await;
    let created = client.post(MAPS, &map("b")).await.ok();
    let expected = [("ADDED".to_owned(), "b".to_owned(), version(&created))];
    assert_eq!(watch.next_n(1).await, expected);
}

async fn closing_the_watches_ends_them(client: Client, handle: Handle) {
    let mut watch = client.watch(MAPS, "").await;
    handle.close_watches();
    assert_eq!(watch.next().await, None);
}

async fn a_frozen_server_answers_when_it_thaws(client: Client, handle: Handle) {
    handle.set_mode(Mode::Freeze);
    let mut request = Box::pin(client.get("/livez"));
    assert!(timeout(A_WHILE, &mut request).await.is_err());
    handle.set_mode(Mode::Serve);
    assert_eq!(request.await.code, 200);
}

async fn a_frozen_watch_is_silent_until_it_thaws(client: Client, handle: Handle) {
    client.post(MAPS, &map("a")).await.ok();
    let mut watch = client.watch(MAPS, "").await;
    watch.next_n(1).await;
    let object = map("b");
    let mut write = Box::pin(client.post(MAPS, &object));
    handle.set_mode(Mode::Freeze);
    assert!(timeout(A_WHILE, &mut write).await.is_err());
    assert!(timeout(A_WHILE, watch.next()).await.is_err());
    handle.set_mode(Mode::Serve);
    write.await.ok();
    assert_eq!(watch.next_n(1).await[0].1, "b");
}

async fn a_lost_answer_has_taken_effect(client: Client, handle: Handle) {
    handle.set_mode(Mode::LoseAnswers);
    assert!(timeout(A_WHILE, client.post(MAPS, &map("a"))).await.is_err());
    handle.set_mode(Mode::Serve);
    assert_eq!(client.get(&format!("{MAPS}/a")).await.code, 200);
}

async fn a_refusing_server_says_503_and_ends_watches(client: Client, handle: Handle) {
    let mut watch = client.watch(MAPS, "").await;
    handle.set_mode(Mode::Refuse);
    assert_eq!(client.get("/readyz").await.failure(), (503, 503, "ServiceUnavailable"));
    assert_eq!(watch.next().await, None);
}

async fn a_forbidding_server_lets_the_named_paths_through(client: Client, handle: Handle) {
    handle.set_mode(Mode::Forbid(vec!["/readyz".to_owned()]));
    assert_eq!(client.get("/readyz").await.code, 200);
    assert_eq!(client.get(MAPS).await.failure(), (403, 403, "Forbidden"));
}

async fn readiness_follows_its_switch(client: Client, handle: Handle) {
    let ready = false;
    handle.set_faults(Faults { ready, ..Faults::default() });
    let codes = [client.get("/readyz").await.code, client.get("/livez").await.code];
    assert_eq!(codes, [500, 200]);
    handle.set_faults(Faults::default());
    assert_eq!(client.get("/readyz").await.code, 200);
}

async fn requests_are_counted_by_verb_resource_and_user_agent(client: Client, handle: Handle) {
    client.post(MAPS, &map("a")).await.ok();
    client.get(&format!("{MAPS}/a")).await.ok();
    client.get(&format!("{MAPS}/b")).await;
    client.get("/api/v1/nodes").await.ok();
    client.watch("/api/v1/nodes", "").await;
    let counts = handle.requests();
    let user_agent = counts.first().map(|count| count.user_agent.clone()).unwrap_or_default();
    let expected =
        [("create", "configmaps", 1), ("get", "configmaps", 2), ("list", "nodes", 1), ("watch", "nodes", 1)]
            .map(|(verb, resource, count)| Count {
                verb: verb.to_owned(),
                resource: resource.to_owned(),
                user_agent: user_agent.clone(),
                count,
            });
    assert_eq!(counts, expected);
    assert_eq!(client.get("/demo/requests").await.ok(), json!(expected));
}

async fn faults_are_set_over_http(client: Client, _: Handle) {
    let faults = json!({"mode": {"forbid": ["/livez"]}, "latencyMillis": 1, "ready": true});
    assert_eq!(client.put("/demo/faults", &faults).await.ok(), faults);
    assert_eq!(client.get(MAPS).await.code, 403);
    assert_eq!(client.put("/demo/faults", &json!({"mood": "bad"})).await.code, 400);
    client.put("/demo/faults", &json!({})).await.ok();
    assert_eq!(client.get(MAPS).await.code, 200);
    assert_eq!(client.post("/demo/compact", &json!({})).await.code, 204);
}

async fn a_body_over_the_limit_is_refused(client: Client, _: Handle) {
    let mut object = map("big");
    object["data"] = json!({"a": "x".repeat(1 << 20)});
    assert_eq!(client.post(MAPS, &object).await.code, 413);
}

fn map(name: &str) -> serde_json::Value {
    json!({"metadata": {"name": name}})
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Long enough for an answer that would come.
const A_WHILE: Duration = Duration::from_millis(200);
