//! What a watch sees: everything after its version, in order, once; or an error that says so.

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::watcher;
use serde_json::json;

use super::{CONFIG_MAPS, LEASES, config_map, lease};
use crate::client::{Client, text, version};

super::cases![
    a_watch_from_a_list_sees_exactly_what_comes_after_it,
    a_watch_resumes_from_an_events_version,
    a_watch_without_a_version_starts_with_what_is_there,
    a_watch_of_one_namespace_sees_no_other,
    a_watch_from_a_compacted_version_gets_an_expired_error,
    a_bookmark_comes_before_the_watch_ends,
    a_watch_without_bookmarks_gets_none,
    a_streaming_list_ends_with_a_bookmark,
    a_streaming_list_must_say_which_versions_will_do,
    leaving_the_selector_is_a_deletion,
    a_release_reaches_a_watch,
    a_put_that_changes_nothing_is_no_event,
    a_typed_watcher_lists_and_then_follows,
];

async fn a_watch_from_a_list_sees_exactly_what_comes_after_it(client: Client) {
    client
        .post(LEASES, &lease("watched-before", "n1"))
        .await
        .ok();
    let from = version(&client.get(LEASES).await.ok());
    let query = format!("resourceVersion={from}&fieldSelector=metadata.name%3Dwatched");
    let mut watch = client.watch(LEASES, &query).await;
    let created = client.post(LEASES, &lease("watched", "n1")).await.ok();
    let mut object = created.clone();
    object["spec"]["holderIdentity"] = json!("n2");
    let updated = client.put(&format!("{LEASES}/watched"), &object).await.ok();
    client.delete(&format!("{LEASES}/watched")).await.ok();
    let again = client.post(LEASES, &lease("watched", "n3")).await.ok();
    let events = watch.next_n(4).await;
    let deleted = events[2].2;
    assert!(
        version(&updated) < deleted && deleted < version(&again),
        "{events:?}"
    );
    let event = |kind: &str, version| (kind.to_owned(), "watched".to_owned(), version);
    let expected = [
        event("ADDED", version(&created)),
        event("MODIFIED", version(&updated)),
        event("DELETED", deleted),
        event("ADDED", version(&again)),
    ];
    assert_eq!(events, expected);
}

async fn a_watch_resumes_from_an_events_version(client: Client) {
    let mut versions = Vec::new();
    for n in 0..3 {
        let object = config_map(&format!("resumed-{n}"), json!({"case": "resumed"}));
        versions.push(version(&client.post(CONFIG_MAPS, &object).await.ok()));
    }
    let query = format!(
        "resourceVersion={}&labelSelector=case%3Dresumed",
        versions[0]
    );
    let events = client.watch(CONFIG_MAPS, &query).await.next_n(2).await;
    let seen: Vec<u64> = events.iter().map(|event| event.2).collect();
    assert_eq!(seen, versions[1..]);
}

async fn a_watch_without_a_version_starts_with_what_is_there(client: Client) {
    client
        .post(CONFIG_MAPS, &config_map("there", json!({"case": "there"})))
        .await
        .ok();
    for query in ["", "&resourceVersion=0"] {
        let query = format!("labelSelector=case%3Dthere{query}");
        let mut watch = client.watch(CONFIG_MAPS, &query).await;
        let (kind, object) = watch.next().await.expect("there is an event");
        assert_eq!(
            (kind.as_str(), text(&object, "name").as_str()),
            ("ADDED", "there")
        );
        assert_eq!(
            object["kind"], "ConfigMap",
            "an event's object has its type"
        );
    }
}

async fn a_watch_of_one_namespace_sees_no_other(client: Client) {
    let from = version(&client.get(CONFIG_MAPS).await.ok());
    let query = format!("resourceVersion={from}&labelSelector=case%3Dhere");
    let mut watch = client.watch(CONFIG_MAPS, &query).await;
    for (namespace, name) in [("kube-system", "elsewhere"), ("default", "here")] {
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        client
            .post(&path, &config_map(name, json!({"case": "here"})))
            .await
            .ok();
    }
    assert_eq!(watch.next_n(1).await[0].1, "here");
}

async fn a_watch_from_a_compacted_version_gets_an_expired_error(client: Client) {
    let mut watch = client.watch(LEASES, "resourceVersion=1").await;
    let (kind, status) = watch.next().await.expect("there is an event");
    assert_eq!(kind, "ERROR");
    assert_eq!(status["kind"], "Status");
    assert_eq!(
        (&status["code"], &status["reason"]),
        (&json!(410), &json!("Expired"))
    );
    assert_eq!(watch.next().await, None);
}

/// A real server "doesn't provide any guarantees on sending bookmarks" (cacher.go) and misses some when it is busy: one of a few
/// watches must get one.
async fn a_bookmark_comes_before_the_watch_ends(client: Client) {
    let from = version(&client.post(LEASES, &lease("marked", "n1")).await.ok());
    let query = format!(
        "resourceVersion={from}&allowWatchBookmarks=true&timeoutSeconds=4&fieldSelector=metadata.name%3Dnone"
    );
    for _ in 0..5 {
        if let Some((kind, object)) = client.watch(LEASES, &query).await.next().await {
            assert_eq!(
                (kind.as_str(), &object["kind"]),
                ("BOOKMARK", &json!("Lease"))
            );
            assert_eq!(object["metadata"].get("name"), None);
            assert!(version(&object) >= from);
            return;
        }
    }
    panic!("no bookmark came");
}

async fn a_watch_without_bookmarks_gets_none(client: Client) {
    let from = version(&client.get(LEASES).await.ok());
    let query =
        format!("resourceVersion={from}&timeoutSeconds=3&fieldSelector=metadata.name%3Dnone");
    assert_eq!(client.watch(LEASES, &query).await.next().await, None);
}

async fn a_streaming_list_ends_with_a_bookmark(client: Client) {
    let object = config_map("streamed", json!({"case": "streamed"}));
    let created = client.post(CONFIG_MAPS, &object).await.ok();
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true\
         &labelSelector=case%3Dstreamed";
    let mut watch = client.watch(CONFIG_MAPS, query).await;
    let first = watch.next_n(1).await;
    assert_eq!(
        first,
        [("ADDED".to_owned(), "streamed".to_owned(), version(&created))]
    );
    let (kind, bookmark) = watch.next().await.expect("a bookmark comes");
    assert_eq!(kind, "BOOKMARK");
    let end = json!({"k8s.io/initial-events-end": "true"});
    assert_eq!(bookmark["metadata"]["annotations"], end);
    assert!(version(&bookmark) >= version(&created));
}

async fn a_streaming_list_must_say_which_versions_will_do(client: Client) {
    let path = format!("{CONFIG_MAPS}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true");
    assert_eq!(client.get(&path).await.failure(), (422, 422, "Invalid"));
}

async fn leaving_the_selector_is_a_deletion(client: Client) {
    let from = version(&client.get(CONFIG_MAPS).await.ok());
    let query = format!("resourceVersion={from}&labelSelector=case%3Dleaving");
    let mut watch = client.watch(CONFIG_MAPS, &query).await;
    let path = format!("{CONFIG_MAPS}/leaving");
    let mut versions = Vec::new();
    let created = client
        .post(CONFIG_MAPS, &config_map("leaving", json!({})))
        .await
        .ok();
    assert_ne!(version(&created), 0);
    for label in ["leaving", "left", "leaving"] {
        let patch = json!({"metadata": {"labels": {"case": label}}});
        versions.push(version(&client.merge(&path, &patch).await.ok()));
    }
    let events: Vec<(String, u64)> = watch
        .next_n(3)
        .await
        .into_iter()
        .map(|(kind, _, version)| (kind, version))
        .collect();
    let kinds = ["ADDED", "DELETED", "ADDED"].map(str::to_owned);
    assert_eq!(events, kinds.into_iter().zip(versions).collect::<Vec<_>>());
}

async fn a_release_reaches_a_watch(client: Client) {
    let mut object = client.post(LEASES, &lease("handed-over", "n1")).await.ok();
    let query = format!(
        "resourceVersion={}&fieldSelector=metadata.name%3Dhanded-over",
        text(&object, "resourceVersion")
    );
    let mut watch = client.watch(LEASES, &query).await;
    object["spec"]["holderIdentity"] = json!("");
    client
        .put(&format!("{LEASES}/handed-over"), &object)
        .await
        .ok();
    let (kind, seen) = watch.next().await.expect("the release is seen");
    assert_eq!(kind, "MODIFIED");
    assert_eq!(seen["spec"], object["spec"]);
}

async fn a_put_that_changes_nothing_is_no_event(client: Client) {
    let created = client.post(LEASES, &lease("idle", "n1")).await.ok();
    let query = format!(
        "resourceVersion={}&fieldSelector=metadata.name%3Didle",
        text(&created, "resourceVersion")
    );
    let mut watch = client.watch(LEASES, &query).await;
    client.put(&format!("{LEASES}/idle"), &created).await.ok();
    client.delete(&format!("{LEASES}/idle")).await.ok();
    assert_eq!(watch.next_n(1).await[0].0, "DELETED");
}

async fn a_typed_watcher_lists_and_then_follows(client: Client) {
    let labels = json!({"case": "followed"});
    client
        .post(CONFIG_MAPS, &config_map("followed-0", labels.clone()))
        .await
        .ok();
    let api = Api::<ConfigMap>::namespaced(client.kube.clone(), "default");
    let config = watcher::Config::default().labels("case=followed");
    let mut events = Box::pin(watcher(api, config));
    let mut seen = Vec::new();
    let mut step = async || seen.push(described(events.next().await));
    for _ in 0..3 {
        step().await;
    }
    client
        .post(CONFIG_MAPS, &config_map("followed-1", labels))
        .await
        .ok();
    step().await;
    client
        .delete(&format!("{CONFIG_MAPS}/followed-0"))
        .await
        .ok();
    step().await;
    let expected = [
        "init",
        "init followed-0",
        "init done",
        "apply followed-1",
        "delete followed-0",
    ];
    assert_eq!(seen, expected);
}

fn described(event: Option<Result<watcher::Event<ConfigMap>, watcher::Error>>) -> String {
    let name = |object: ConfigMap| object.metadata.name.unwrap_or_default();
    match event
        .expect("a watcher does not end")
        .expect("the server answers")
    {
        watcher::Event::Init => "init".to_owned(),
        watcher::Event::InitApply(object) => format!("init {}", name(object)),
        watcher::Event::InitDone => "init done".to_owned(),
        watcher::Event::Apply(object) => format!("apply {}", name(object)),
        watcher::Event::Delete(object) => format!("delete {}", name(object)),
    }
}
