//! What an elector leans on: a Lease is written only by who has read its newest version.

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{LEASES, lease};
use crate::client::{Client, text, version};

super::cases![
    a_created_lease_reads_back_as_it_was_written,
    creating_a_lease_that_exists_is_refused,
    reading_a_lease_that_is_absent_is_not_found,
    a_put_with_the_newest_version_wins_and_makes_a_newer_one,
    a_put_with_a_stale_version_is_a_conflict_and_changes_nothing,
    a_lease_put_without_a_version_is_invalid,
    a_lease_put_where_none_exists_creates_it,
    a_lease_put_after_its_deletion_is_a_conflict,
    a_put_that_changes_nothing_keeps_the_version,
    times_come_back_in_utc_with_microseconds,
    a_time_without_microseconds_is_a_bad_request,
    a_released_lease_keeps_an_empty_holder,
    a_duration_of_zero_is_invalid,
    a_time_that_is_none_is_a_bad_request,
    one_of_twenty_concurrent_writers_wins,
    one_of_twenty_concurrent_creators_wins,
    a_lease_made_again_has_another_identity,
    a_deletion_says_what_was_deleted,
    a_deletion_with_another_uid_is_a_conflict,
    a_deletion_with_a_stale_version_is_a_conflict,
    a_patch_with_a_stale_version_is_a_conflict,
];

async fn a_created_lease_reads_back_as_it_was_written(client: Client) {
    let path = format!("{LEASES}/read-back");
    let created = client.post(LEASES, &lease("read-back", "n1")).await;
    assert_eq!(created.code, 201);
    let read = client.get(&path).await.ok();
    assert_eq!(
        without_managed_fields(&read),
        without_managed_fields(&created.body)
    );
    assert_eq!(read["spec"], lease("read-back", "n1")["spec"]);
    assert_eq!(read["kind"], "Lease");
    assert_eq!(read["apiVersion"], "coordination.k8s.io/v1");
    assert_eq!(text(&read, "uid").len(), 36);
    assert_eq!(
        text(&read, "creationTimestamp").len(),
        "2026-01-02T03:04:05Z".len()
    );
}

async fn creating_a_lease_that_exists_is_refused(client: Client) {
    client.post(LEASES, &lease("twice", "n1")).await.ok();
    let again = client.post(LEASES, &lease("twice", "n2")).await;
    assert_eq!(again.failure(), (409, 409, "AlreadyExists"));
    assert_eq!(
        again.body["message"],
        "leases.coordination.k8s.io \"twice\" already exists"
    );
    let details = json!({"name": "twice", "group": "coordination.k8s.io", "kind": "leases"});
    assert_eq!(again.body["details"], details);
    assert_eq!(holder(&client, "twice").await, "n1");
}

async fn reading_a_lease_that_is_absent_is_not_found(client: Client) {
    let read = client.get(&format!("{LEASES}/absent")).await;
    assert_eq!(read.failure(), (404, 404, "NotFound"));
    assert_eq!(read.body["kind"], "Status");
    assert_eq!(read.body["status"], "Failure");
    assert_eq!(
        read.body["message"],
        "leases.coordination.k8s.io \"absent\" not found"
    );
}

async fn a_put_with_the_newest_version_wins_and_makes_a_newer_one(client: Client) {
    let created = client.post(LEASES, &lease("renewed", "n1")).await.ok();
    let mut renewed = created.clone();
    renewed["spec"]["renewTime"] = json!("2026-01-02T03:04:09.000002Z");
    let put = client.put(&format!("{LEASES}/renewed"), &renewed).await;
    assert_eq!(put.code, 200);
    assert_eq!(put.body["spec"], renewed["spec"]);
    assert_eq!(text(&put.body, "uid"), text(&created, "uid"));
    assert!(version(&put.body) > version(&created));
}

async fn a_put_with_a_stale_version_is_a_conflict_and_changes_nothing(client: Client) {
    let path = format!("{LEASES}/stale");
    let first = client.post(LEASES, &lease("stale", "n1")).await.ok();
    let mut second = first.clone();
    second["spec"]["holderIdentity"] = json!("n2");
    client.put(&path, &second).await.ok();
    let mut late = first;
    late["spec"]["holderIdentity"] = json!("n3");
    let put = client.put(&path, &late).await;
    assert_eq!(put.failure(), (409, 409, "Conflict"));
    let message = "Operation cannot be fulfilled on leases.coordination.k8s.io \"stale\": the object has been modified; \
         please apply your changes to the latest version and try again";
    assert_eq!(put.body["message"], message);
    assert_eq!(holder(&client, "stale").await, "n2");
}

async fn a_lease_put_without_a_version_is_invalid(client: Client) {
    client.post(LEASES, &lease("blind", "n1")).await.ok();
    let put = client
        .put(&format!("{LEASES}/blind"), &lease("blind", "n2"))
        .await;
    assert_eq!(put.failure(), (422, 422, "Invalid"));
    assert_eq!(holder(&client, "blind").await, "n1");
}

async fn a_lease_put_where_none_exists_creates_it(client: Client) {
    let put = client
        .put(&format!("{LEASES}/put-first"), &lease("put-first", "n1"))
        .await;
    assert_eq!(put.code, 201);
    assert_eq!(holder(&client, "put-first").await, "n1");
}

async fn a_lease_put_after_its_deletion_is_a_conflict(client: Client) {
    let path = format!("{LEASES}/deleted-meanwhile");
    let created = client
        .post(LEASES, &lease("deleted-meanwhile", "n1"))
        .await
        .ok();
    client.delete(&path).await.ok();
    let put = client.put(&path, &created).await;
    assert_eq!(put.failure(), (409, 409, "Conflict"));
    assert_eq!(client.get(&path).await.code, 404);
}

async fn a_put_that_changes_nothing_keeps_the_version(client: Client) {
    let created = client.post(LEASES, &lease("same", "n1")).await.ok();
    let put = client.put(&format!("{LEASES}/same"), &created).await.ok();
    assert_eq!(version(&put), version(&created));
}

async fn times_come_back_in_utc_with_microseconds(client: Client) {
    let mut object = lease("micro", "n1");
    object["spec"]["renewTime"] = json!("2026-01-02T04:04:05.120000+01:00");
    let created = client.post(LEASES, &object).await.ok();
    assert_eq!(created["spec"]["renewTime"], "2026-01-02T03:04:05.120000Z");
    let api = Api::<Lease>::namespaced(client.kube.clone(), "default");
    let typed = api.get("micro").await.expect("was created");
    let renew_time = typed.spec.and_then(|spec| spec.renew_time).expect("is set");
    assert_eq!(renew_time.0.to_string(), "2026-01-02T03:04:05.12Z");
}

async fn a_released_lease_keeps_an_empty_holder(client: Client) {
    let mut object = client.post(LEASES, &lease("released", "n1")).await.ok();
    object["spec"]["holderIdentity"] = json!("");
    object["spec"]["leaseDurationSeconds"] = json!(1);
    client
        .put(&format!("{LEASES}/released"), &object)
        .await
        .ok();
    let read = client.get(&format!("{LEASES}/released")).await.ok();
    assert_eq!(read["spec"], object["spec"]);
}

async fn a_duration_of_zero_is_invalid(client: Client) {
    let mut object = lease("zero", "n1");
    object["spec"]["leaseDurationSeconds"] = json!(0);
    let created = client.post(LEASES, &object).await;
    assert_eq!(created.failure(), (422, 422, "Invalid"));
    assert_eq!(
        created.body["details"]["causes"][0]["field"],
        "spec.leaseDurationSeconds"
    );
}

async fn a_time_that_is_none_is_a_bad_request(client: Client) {
    let mut object = lease("never", "n1");
    object["spec"]["renewTime"] = json!("yesterday");
    assert_eq!(
        client.post(LEASES, &object).await.failure(),
        (400, 400, "BadRequest")
    );
}

async fn a_time_without_microseconds_is_a_bad_request(client: Client) {
    for time in [
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.12Z",
        "2026-01-02T03:04:05.1234567Z",
    ] {
        let mut object = lease("coarse", "n1");
        object["spec"]["renewTime"] = json!(time);
        let created = client.post(LEASES, &object).await;
        assert_eq!(created.failure(), (400, 400, "BadRequest"), "{time}");
    }
}

async fn one_of_twenty_concurrent_writers_wins(client: Client) {
    let base = client
        .post(LEASES, &lease("contended", "nobody"))
        .await
        .ok();
    let answers = race(&client, |n| {
        let mut object = base.clone();
        object["spec"]["holderIdentity"] = json!(format!("n{n}"));
        ("PUT", format!("{LEASES}/contended"), object)
    });
    let answers = answers.await;
    let won: Vec<&Value> = answers
        .iter()
        .filter(|a| a.0 == 200)
        .map(|a| &a.1)
        .collect();
    let lost = answers
        .iter()
        .filter(|a| a.0 == 409 && a.1["reason"] == "Conflict")
        .count();
    assert_eq!((won.len(), lost), (1, 19));
    let winner = won
        .iter()
        .map(|object| object["spec"]["holderIdentity"].clone())
        .next();
    assert_eq!(winner, Some(json!(holder(&client, "contended").await)));
}

async fn one_of_twenty_concurrent_creators_wins(client: Client) {
    let create = |n| ("POST", LEASES.to_owned(), lease("rushed", &format!("n{n}")));
    let answers = race(&client, create).await;
    let won = answers.iter().filter(|a| a.0 == 201).count();
    let lost = answers
        .iter()
        .filter(|a| a.1["reason"] == "AlreadyExists")
        .count();
    assert_eq!((won, lost), (1, 19));
}

async fn a_lease_made_again_has_another_identity(client: Client) {
    let first = client.post(LEASES, &lease("again", "n1")).await.ok();
    client.delete(&format!("{LEASES}/again")).await.ok();
    let second = client.post(LEASES, &lease("again", "n1")).await.ok();
    assert_ne!(text(&first, "uid"), text(&second, "uid"));
    assert!(
        version(&second) > version(&first) + 1,
        "the deletion has a version too"
    );
}

async fn a_deletion_says_what_was_deleted(client: Client) {
    let path = format!("{LEASES}/gone");
    let created = client.post(LEASES, &lease("gone", "n1")).await.ok();
    let deleted = client.delete(&path).await;
    assert_eq!(
        (deleted.code, &deleted.body["status"]),
        (200, &json!("Success"))
    );
    assert_eq!(deleted.body["kind"], "Status");
    let details = json!({
        "name": "gone",
        "group": "coordination.k8s.io",
        "kind": "leases",
        "uid": text(&created, "uid"),
    });
    assert_eq!(deleted.body["details"], details);
    assert_eq!(client.get(&path).await.code, 404);
    assert_eq!(client.delete(&path).await.failure(), (404, 404, "NotFound"));
}

async fn a_deletion_with_another_uid_is_a_conflict(client: Client) {
    let path = format!("{LEASES}/other-uid");
    client.post(LEASES, &lease("other-uid", "n1")).await.ok();
    let other = json!({"uid": "00000000-0000-4000-8000-000000000000"});
    let deleted = client.delete_if(&path, other).await;
    assert_eq!(deleted.failure(), (409, 409, "Conflict"));
    assert_eq!(client.get(&path).await.code, 200);
}

async fn a_deletion_with_a_stale_version_is_a_conflict(client: Client) {
    let path = format!("{LEASES}/stale-deletion");
    let mut object = client
        .post(LEASES, &lease("stale-deletion", "n1"))
        .await
        .ok();
    let stale = json!({"resourceVersion": text(&object, "resourceVersion")});
    object["spec"]["holderIdentity"] = json!("n2");
    let newest = client.put(&path, &object).await.ok();
    assert_eq!(
        client.delete_if(&path, stale).await.failure(),
        (409, 409, "Conflict")
    );
    let newest = json!({"resourceVersion": text(&newest, "resourceVersion")});
    assert_eq!(client.delete_if(&path, newest).await.code, 200);
}

async fn a_patch_with_a_stale_version_is_a_conflict(client: Client) {
    let path = format!("{LEASES}/stale-patch");
    let created = client.post(LEASES, &lease("stale-patch", "n1")).await.ok();
    let patch = |holder: &str| {
        json!({
            "metadata": {"resourceVersion": text(&created, "resourceVersion")},
            "spec": {"holderIdentity": holder},
        })
    };
    client.merge(&path, &patch("n2")).await.ok();
    assert_eq!(
        client.merge(&path, &patch("n3")).await.failure(),
        (409, 409, "Conflict")
    );
    assert_eq!(holder(&client, "stale-patch").await, "n2");
}

async fn holder(client: &Client, name: &str) -> String {
    let object = client.get(&format!("{LEASES}/{name}")).await.ok();
    object["spec"]["holderIdentity"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Twenty requests at once: their codes and bodies.
async fn race(
    client: &Client,
    request: impl Fn(u32) -> (&'static str, String, Value),
) -> Vec<(u16, Value)> {
    let mut writers = JoinSet::new();
    for n in 0..20 {
        let (method, path, body) = request(n);
        let client = Client::new(client.kube.clone(), None);
        writers.spawn(async move {
            let kind = "application/json";
            let answer = client
                .send(method, &path, kind, body.to_string().into())
                .await;
            (answer.code, answer.body)
        });
    }
    writers.join_all().await
}

fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}
