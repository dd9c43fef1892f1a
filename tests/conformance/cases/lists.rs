//! What a list contains: selectors, namespaces, pages.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use super::{CONFIG_MAPS, LEASES, NODES, config_map, lease, service};
use crate::client::{Client, names, text, version};

super::cases![
    a_list_has_a_kind_and_the_newest_version,
    labels_are_selected_by_equality,
    labels_are_selected_by_set_and_presence,
    a_selector_that_cannot_be_read_is_a_bad_request,
    names_and_namespaces_are_selected_as_fields,
    a_field_that_cannot_be_selected_is_a_bad_request,
    a_list_over_all_namespaces_has_every_namespace,
    pages_cover_every_object_once,
    a_list_at_a_compacted_version_is_gone,
    every_resource_lists_as_its_type,
    what_is_not_served_is_not_found,
    the_server_says_that_it_is_well,
    the_resources_are_discovered,
];

async fn a_list_has_a_kind_and_the_newest_version(client: Client) {
    let created = client.post(LEASES, &lease("listed", "n1")).await.ok();
    let list = client.get(LEASES).await.ok();
    assert_eq!(list["kind"], "LeaseList");
    assert_eq!(list["apiVersion"], "coordination.k8s.io/v1");
    assert!(version(&list) >= version(&created));
    let items = list["items"].as_array().expect("a list has items");
    let item = items
        .iter()
        .find(|item| text(item, "name") == "listed")
        .expect("was created");
    assert_eq!(item["spec"], created["spec"]);
}

async fn labels_are_selected_by_equality(client: Client) {
    labelled(&client, "equal").await;
    let select = async |selector: &str| selected(&client, "equal", selector).await;
    assert_eq!(select("tier=front").await, ["equal-a"]);
    assert_eq!(select("tier==back").await, ["equal-b"]);
    assert_eq!(select("tier!=front").await, ["equal-b", "equal-c"]);
    assert_eq!(select("tier=front,tier=back").await, Vec::<String>::new());
}

async fn labels_are_selected_by_set_and_presence(client: Client) {
    labelled(&client, "set").await;
    let select = async |selector: &str| selected(&client, "set", selector).await;
    assert_eq!(select("tier in (front,back)").await, ["set-a", "set-b"]);
    assert_eq!(select("tier notin (front)").await, ["set-b", "set-c"]);
    assert_eq!(select("tier").await, ["set-a", "set-b"]);
    assert_eq!(select("!tier").await, ["set-c"]);
}

async fn a_selector_that_cannot_be_read_is_a_bad_request(client: Client) {
    let list = client
        .get(&format!("{CONFIG_MAPS}?labelSelector=a%20in%20b"))
        .await;
    assert_eq!(list.failure(), (400, 400, "BadRequest"));
}

async fn names_and_namespaces_are_selected_as_fields(client: Client) {
    labelled(&client, "field").await;
    let fields = async |fields: &str| {
        let path = format!("/api/v1/configmaps?labelSelector=case%3Dfield&fieldSelector={fields}");
        names(&client.get(&path).await.ok())
    };
    assert_eq!(fields("metadata.name%3Dfield-b").await, ["field-b"]);
    assert_eq!(
        fields("metadata.name!%3Dfield-b").await,
        ["field-a", "field-c"]
    );
    assert_eq!(
        fields("metadata.namespace%3Dkube-system").await,
        Vec::<String>::new()
    );
    let both = "metadata.namespace%3Ddefault,metadata.name%3Dfield-a";
    assert_eq!(fields(both).await, ["field-a"]);
}

async fn a_field_that_cannot_be_selected_is_a_bad_request(client: Client) {
    let list = client
        .get(&format!("{CONFIG_MAPS}?fieldSelector=data.key%3Dvalue"))
        .await;
    assert_eq!(list.failure(), (400, 400, "BadRequest"));
}

async fn a_list_over_all_namespaces_has_every_namespace(client: Client) {
    let labels = json!({"case": "everywhere"});
    for namespace in ["default", "kube-system"] {
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        client
            .post(&path, &config_map("everywhere", labels.clone()))
            .await
            .ok();
    }
    let list = client
        .get("/api/v1/configmaps?labelSelector=case%3Deverywhere")
        .await
        .ok();
    let items = list["items"].as_array().expect("a list has items");
    let namespaces: Vec<String> = items.iter().map(|item| text(item, "namespace")).collect();
    assert_eq!(namespaces, ["default", "kube-system"]);
    assert_eq!(
        selected(&client, "everywhere", "case").await,
        ["everywhere"]
    );
}

async fn pages_cover_every_object_once(client: Client) {
    for n in 0..5 {
        let object = config_map(&format!("page-{n}"), json!({"case": "page"}));
        client.post(CONFIG_MAPS, &object).await.ok();
    }
    let api = Api::<ConfigMap>::namespaced(client.kube.clone(), "default");
    let mut params = ListParams::default().labels("case=page").limit(2);
    let mut pages = Vec::new();
    loop {
        let page = api.list(&params).await.expect("the page is there");
        pages.push(
            page.items
                .into_iter()
                .filter_map(|o| o.metadata.name)
                .collect::<Vec<_>>(),
        );
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    let expected = [
        vec!["page-0", "page-1"],
        vec!["page-2", "page-3"],
        vec!["page-4"],
    ];
    assert_eq!(pages, expected);
}

async fn a_list_at_a_compacted_version_is_gone(client: Client) {
    let path = format!("{CONFIG_MAPS}?resourceVersion=5&resourceVersionMatch=Exact");
    assert_eq!(client.get(&path).await.failure(), (410, 410, "Expired"));
}

async fn every_resource_lists_as_its_type(client: Client) {
    let kube = &client.kube;
    let default = ListParams::default();
    let node = json!({"metadata": {"name": "typed"}});
    client.post(NODES, &node).await.ok();
    client.post(super::SERVICES, &service("typed")).await.ok();
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let slice = json!({
        "metadata": {"name": "typed", "labels": {"kubernetes.io/service-name": "typed"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "nodeName": "n1"}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    });
    client.post(slices, &slice).await.ok();
    Api::<Lease>::all(kube.clone())
        .list(&default)
        .await
        .expect("leases");
    Api::<ConfigMap>::all(kube.clone())
        .list(&default)
        .await
        .expect("config maps");
    Api::<Event>::all(kube.clone())
        .list(&default)
        .await
        .expect("events");
    let nodes = Api::<Node>::all(kube.clone())
        .list(&default)
        .await
        .expect("nodes");
    let services = Api::<Service>::all(kube.clone())
        .list(&default)
        .await
        .expect("services");
    let of = ListParams::default().labels("kubernetes.io/service-name=typed");
    let slices = Api::<EndpointSlice>::all(kube.clone())
        .list(&of)
        .await
        .expect("slices");
    let is = |name: &Option<String>| name.as_deref() == Some("typed");
    assert!(nodes.iter().any(|node| is(&node.metadata.name)));
    assert!(services.iter().any(|service| is(&service.metadata.name)));
    let addresses: Vec<_> = slices
        .iter()
        .flat_map(|s| &s.endpoints)
        .map(|e| &e.addresses)
        .collect();
    assert_eq!(addresses, [&["10.0.0.1"]]);
}

async fn what_is_not_served_is_not_found(client: Client) {
    for path in [
        "/api/v1/namespaces/default/nothings",
        "/apis/nothing.example/v1/things",
    ] {
        assert_eq!(client.get(path).await.code, 404, "{path}");
    }
}

async fn the_server_says_that_it_is_well(client: Client) {
    for path in ["/readyz", "/livez", "/healthz"] {
        let answer = client.get(path).await;
        assert_eq!((answer.code, answer.body), (200, json!("ok")), "{path}");
    }
    let version = client
        .kube
        .apiserver_version()
        .await
        .expect("there is a version");
    assert_eq!(
        (version.major.as_str(), version.minor.as_str()),
        ("1", "36")
    );
}

async fn the_resources_are_discovered(client: Client) {
    let groups = client
        .kube
        .list_api_groups()
        .await
        .expect("there are groups")
        .groups;
    for (group, plural, namespaced) in [
        ("coordination.k8s.io/v1", "leases", true),
        ("discovery.k8s.io/v1", "endpointslices", true),
        ("events.k8s.io/v1", "events", true),
    ] {
        assert!(groups.iter().any(|g| group.starts_with(&g.name)), "{group}");
        let list = client
            .kube
            .list_api_group_resources(group)
            .await
            .expect("the group is there");
        let found = list
            .resources
            .iter()
            .find(|r| r.name == plural)
            .expect("the resource is there");
        assert_eq!(found.namespaced, namespaced);
    }
    let core = client
        .kube
        .list_core_api_resources("v1")
        .await
        .expect("the core group is there");
    for name in [
        "configmaps",
        "events",
        "nodes",
        "nodes/status",
        "services",
        "services/status",
    ] {
        assert!(core.resources.iter().any(|r| r.name == name), "{name}");
    }
}

/// Three config maps of a case: two with a tier, one without.
async fn labelled(client: &Client, case: &str) {
    for (suffix, tier) in [("a", Some("front")), ("b", Some("back")), ("c", None)] {
        let mut labels = json!({"case": case});
        if let Some(tier) = tier {
            labels["tier"] = json!(tier);
        }
        client
            .post(
                CONFIG_MAPS,
                &config_map(&format!("{case}-{suffix}"), labels),
            )
            .await
            .ok();
    }
}

async fn selected(client: &Client, case: &str, selector: &str) -> Vec<String> {
    let api = Api::<ConfigMap>::namespaced(client.kube.clone(), "default");
    let params = ListParams::default().labels(&format!("case={case},{selector}"));
    let list = api.list(&params).await.expect("the selector is understood");
    list.items
        .into_iter()
        .filter_map(|object| object.metadata.name)
        .collect()
}
