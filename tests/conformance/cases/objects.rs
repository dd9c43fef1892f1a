//! Objects beside Leases: status, patches, Events, finalizers, names.

use serde_json::{Value, json};

use super::{CONFIG_MAPS, LEASES, NODES, SERVICES, config_map, lease, service};
use crate::client::{Client, text, version};

super::cases![
    a_service_is_created_without_a_status,
    a_put_of_a_service_leaves_its_status,
    a_put_of_a_status_leaves_the_service,
    a_patch_of_a_status_leaves_the_service,
    a_node_may_be_created_with_a_status,
    a_put_of_a_node_leaves_its_status,
    a_resource_without_status_has_none_to_write,
    annotations_are_merged_and_removed_by_null,
    a_strategic_merge_patch_merges_too,
    a_patch_of_what_is_absent_is_not_found,
    a_patch_of_an_unknown_kind_is_refused,
    applying_creates_and_then_merges,
    a_config_map_put_without_a_version_wins,
    a_config_map_put_where_none_exists_is_not_found,
    an_event_is_created_and_counted_up,
    a_series_of_events_is_patched,
    a_name_is_generated,
    a_name_that_is_none_is_invalid,
    a_body_for_another_name_is_a_bad_request,
    a_body_that_is_no_json_is_refused,
    an_object_with_a_version_cannot_be_created,
    a_finalizer_holds_an_object_back,
    one_version_counts_the_changes_of_all_resources,
];

async fn a_service_is_created_without_a_status(client: Client) {
    let mut object = service("no-status");
    object["status"] = ingress("192.0.2.1");
    let created = client.post(SERVICES, &object).await.ok();
    assert_eq!(created.pointer("/status/loadBalancer/ingress"), None);
}

async fn a_put_of_a_service_leaves_its_status(client: Client) {
    let path = format!("{SERVICES}/keeps-status");
    let mut object = client.post(SERVICES, &service("keeps-status")).await.ok();
    object["status"] = ingress("192.0.2.1");
    let mut object = client.put(&format!("{path}/status"), &object).await.ok();
    assert_eq!(object["status"], ingress("192.0.2.1"));
    object["status"] = ingress("192.0.2.9");
    object["metadata"]["annotations"] = json!({"a": "b"});
    let put = client.put(&path, &object).await.ok();
    assert_eq!(put["status"], ingress("192.0.2.1"));
    assert_eq!(put["metadata"]["annotations"], json!({"a": "b"}));
}

async fn a_put_of_a_status_leaves_the_service(client: Client) {
    let mut object = client.post(SERVICES, &service("keeps-spec")).await.ok();
    object["spec"]["sessionAffinity"] = json!("ClientIP");
    object["status"] = ingress("192.0.2.2");
    let put = client
        .put(&format!("{SERVICES}/keeps-spec/status"), &object)
        .await
        .ok();
    assert_ne!(put["spec"]["sessionAffinity"], "ClientIP");
    assert_eq!(put["status"], ingress("192.0.2.2"));
}

async fn a_patch_of_a_status_leaves_the_service(client: Client) {
    client.post(SERVICES, &service("patched-status")).await.ok();
    let patch = json!({"spec": {"externalName": "x"}, "status": ingress("192.0.2.3")});
    let patched = client
        .merge(&format!("{SERVICES}/patched-status/status"), &patch)
        .await
        .ok();
    assert_eq!(patched["status"], ingress("192.0.2.3"));
    assert_eq!(patched["spec"].get("externalName"), None);
}

async fn a_node_may_be_created_with_a_status(client: Client) {
    let created = client.post(NODES, &node("born-ready")).await.ok();
    assert_eq!(
        created["status"]["addresses"],
        node("")["status"]["addresses"]
    );
    assert_eq!(created["metadata"].get("namespace"), None);
}

async fn a_put_of_a_node_leaves_its_status(client: Client) {
    let mut object = client.post(NODES, &node("labelled-node")).await.ok();
    object["status"]["addresses"] = json!([]);
    object["metadata"]["labels"] = json!({"zone": "a"});
    let put = client
        .put(&format!("{NODES}/labelled-node"), &object)
        .await
        .ok();
    assert_eq!(put["status"]["addresses"], node("")["status"]["addresses"]);
    let mut object = put;
    object["status"]["addresses"] = json!([{"type": "Hostname", "address": "x"}]);
    let put = client
        .put(&format!("{NODES}/labelled-node/status"), &object)
        .await
        .ok();
    assert_eq!(put["status"]["addresses"], object["status"]["addresses"]);
}

async fn a_resource_without_status_has_none_to_write(client: Client) {
    let object = client.post(LEASES, &lease("statusless", "n1")).await.ok();
    let put = client
        .put(&format!("{LEASES}/statusless/status"), &object)
        .await;
    assert_eq!(put.code, 404);
}

async fn annotations_are_merged_and_removed_by_null(client: Client) {
    let path = format!("{CONFIG_MAPS}/annotated");
    client
        .post(CONFIG_MAPS, &config_map("annotated", json!({"l": "1"})))
        .await
        .ok();
    let annotate = |annotations: Value| json!({"metadata": {"annotations": annotations}});
    client
        .merge(&path, &annotate(json!({"a": "1", "b": "2"})))
        .await
        .ok();
    let patched = client
        .merge(&path, &annotate(json!({"a": null, "c": "3"})))
        .await
        .ok();
    assert_eq!(
        patched["metadata"]["annotations"],
        json!({"b": "2", "c": "3"})
    );
    assert_eq!(patched["metadata"]["labels"], json!({"l": "1"}));
    assert_eq!(patched["data"], json!({"key": "value"}));
}

async fn a_strategic_merge_patch_merges_too(client: Client) {
    let path = format!("{CONFIG_MAPS}/strategic");
    client
        .post(CONFIG_MAPS, &config_map("strategic", json!({})))
        .await
        .ok();
    let patch = json!({"data": {"other": "x"}}).to_string();
    let kind = "application/strategic-merge-patch+json";
    let patched = client.send("PATCH", &path, kind, patch.into()).await.ok();
    assert_eq!(patched["data"], json!({"key": "value", "other": "x"}));
}

async fn a_patch_of_what_is_absent_is_not_found(client: Client) {
    let patched = client
        .merge(&format!("{CONFIG_MAPS}/absent"), &json!({"data": {}}))
        .await;
    assert_eq!(patched.failure(), (404, 404, "NotFound"));
}

async fn a_patch_of_an_unknown_kind_is_refused(client: Client) {
    client
        .post(CONFIG_MAPS, &config_map("oddly-patched", json!({})))
        .await
        .ok();
    let path = format!("{CONFIG_MAPS}/oddly-patched");
    let patched = client
        .send("PATCH", &path, "application/odd", b"{}".to_vec())
        .await;
    assert_eq!(patched.failure(), (415, 415, "UnsupportedMediaType"));
}

async fn applying_creates_and_then_merges(client: Client) {
    let path = format!("{CONFIG_MAPS}/applied");
    let apply = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": data});
    let created = client.apply(&path, &apply(json!({"a": "1"}))).await;
    assert_eq!(created.code, 201);
    let applied = client.apply(&path, &apply(json!({"a": "2"}))).await;
    assert_eq!(
        (applied.code, &applied.body["data"]),
        (200, &json!({"a": "2"}))
    );
}

async fn a_config_map_put_without_a_version_wins(client: Client) {
    client
        .post(CONFIG_MAPS, &config_map("unconditional", json!({})))
        .await
        .ok();
    let mut object = config_map("unconditional", json!({}));
    object["data"] = json!({"new": "1"});
    let put = client
        .put(&format!("{CONFIG_MAPS}/unconditional"), &object)
        .await
        .ok();
    assert_eq!(put["data"], json!({"new": "1"}));
}

async fn a_config_map_put_where_none_exists_is_not_found(client: Client) {
    let object = config_map("never-created", json!({}));
    let put = client
        .put(&format!("{CONFIG_MAPS}/never-created"), &object)
        .await;
    assert_eq!(put.failure(), (404, 404, "NotFound"));
}

async fn an_event_is_created_and_counted_up(client: Client) {
    let events = "/api/v1/namespaces/default/events";
    let event = json!({
        "metadata": {"name": "vip.1"},
        "involvedObject": {"kind": "Node", "name": "n1"},
        "reason": "TookOver",
        "message": "holds 192.0.2.1",
        "type": "Normal",
        "source": {"component": "vipcast"},
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "lastTimestamp": "2026-01-02T03:04:05Z",
        "count": 1,
    });
    let created = client.post(events, &event).await.ok();
    let patched = client
        .merge(&format!("{events}/vip.1"), &json!({"count": 2}))
        .await
        .ok();
    assert_eq!(patched["count"], 2);
    assert_eq!(patched["reason"], "TookOver");
    assert!(version(&patched) > version(&created));
    let path = format!("{events}?fieldSelector=involvedObject.name%3Dn1,reason%3DTookOver");
    assert_eq!(
        crate::client::names(&client.get(&path).await.ok()),
        ["vip.1"]
    );
}

async fn a_series_of_events_is_patched(client: Client) {
    let events = "/apis/events.k8s.io/v1/namespaces/default/events";
    let event = json!({
        "metadata": {"name": "vip.2"},
        "eventTime": "2026-01-02T03:04:05.000000Z",
        "reportingController": "vipcast",
        "reportingInstance": "n1",
        "action": "TakeOver",
        "reason": "TookOver",
        "regarding": {"kind": "Service", "namespace": "default", "name": "web"},
        "note": "holds 192.0.2.1",
        "type": "Normal",
    });
    client.post(events, &event).await.ok();
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-02T03:05:05.000000Z"}});
    let patched = client.merge(&format!("{events}/vip.2"), &series).await.ok();
    assert_eq!(patched["series"], series["series"]);
    assert_eq!(patched["note"], "holds 192.0.2.1");
}

async fn a_name_is_generated(client: Client) {
    let object = json!({"metadata": {"generateName": "made-"}});
    let first = client.post(CONFIG_MAPS, &object).await.ok();
    let second = client.post(CONFIG_MAPS, &object).await.ok();
    for object in [&first, &second] {
        assert!(text(object, "name").starts_with("made-"));
        assert_eq!(text(object, "name").len(), "made-".len() + 5);
    }
    assert_ne!(text(&first, "name"), text(&second, "name"));
}

async fn a_name_that_is_none_is_invalid(client: Client) {
    for name in ["", "Upper", "under_score"] {
        let created = client.post(CONFIG_MAPS, &config_map(name, json!({}))).await;
        assert_eq!(created.failure(), (422, 422, "Invalid"), "{name}");
    }
}

async fn a_body_for_another_name_is_a_bad_request(client: Client) {
    client
        .post(CONFIG_MAPS, &config_map("mine", json!({})))
        .await
        .ok();
    let put = client
        .put(
            &format!("{CONFIG_MAPS}/mine"),
            &config_map("yours", json!({})),
        )
        .await;
    assert_eq!(put.failure(), (400, 400, "BadRequest"));
    let mut elsewhere = config_map("mine-elsewhere", json!({}));
    elsewhere["metadata"]["namespace"] = json!("kube-system");
    let created = client.post(CONFIG_MAPS, &elsewhere).await;
    assert_eq!(created.failure(), (400, 400, "BadRequest"));
}

async fn a_body_that_is_no_json_is_refused(client: Client) {
    let answer = client
        .send(
            "POST",
            CONFIG_MAPS,
            "application/json",
            b"{\"metadata\"".to_vec(),
        )
        .await;
    assert_eq!(answer.failure(), (400, 400, "BadRequest"));
    let answer = client
        .send("POST", CONFIG_MAPS, "text/plain", b"x".to_vec())
        .await;
    assert_eq!(answer.failure(), (415, 415, "UnsupportedMediaType"));
}

async fn an_object_with_a_version_cannot_be_created(client: Client) {
    let mut object = config_map("versioned", json!({}));
    object["metadata"]["resourceVersion"] = json!("7");
    let created = client.post(CONFIG_MAPS, &object).await;
    assert!(created.code >= 400, "{created:?}");
    assert_eq!(
        client.get(&format!("{CONFIG_MAPS}/versioned")).await.code,
        404
    );
}

async fn a_finalizer_holds_an_object_back(client: Client) {
    let path = format!("{CONFIG_MAPS}/finalized");
    let mut object = config_map("finalized", json!({}));
    object["metadata"]["finalizers"] = json!(["vipcast.test/hold"]);
    client.post(CONFIG_MAPS, &object).await.ok();
    client.delete(&path).await.ok();
    let held = client.get(&path).await.ok();
    assert_ne!(text(&held, "deletionTimestamp"), "");
    let release = json!({"metadata": {"finalizers": null}});
    client.merge(&path, &release).await.ok();
    assert_eq!(client.get(&path).await.code, 404);
}

async fn one_version_counts_the_changes_of_all_resources(client: Client) {
    let first = client.post(LEASES, &lease("counted", "n1")).await.ok();
    let second = client
        .post(CONFIG_MAPS, &config_map("counted", json!({})))
        .await
        .ok();
    let third = client
        .post(NODES, &json!({"metadata": {"name": "counted"}}))
        .await
        .ok();
    let list = client.get(LEASES).await.ok();
    let versions = [&first, &second, &third, &list].map(version);
    assert!(
        versions[0] < versions[1] && versions[1] < versions[2],
        "{versions:?}"
    );
    assert!(versions[3] >= versions[0], "{versions:?}");
}

fn ingress(address: &str) -> Value {
    json!({"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}})
}

fn node(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.7"}]},
    })
}
