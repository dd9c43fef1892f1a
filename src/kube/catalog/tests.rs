//! What is told of objects, whatever servers and watches do.

#![expect(clippy::wildcard_enum_match_arm, reason = "anything else is as wrong")]

use std::time::Duration;

use axum::http::Request;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use vipcast_proto::ipam::{Family, Labels, Port, Protocol, ServiceKey, TrafficPolicy};
use vipcast_proto::service::{
    Because, Endpoint, EndpointSlice, Namespace, Node, NotOurs, Ownership, Service, SliceKey,
};

use super::*;
use crate::demo::api::{Handle, Server, serve};
use crate::kube::testing::connection;

/// An API server, everybody who watches it, and what they tell.
struct Rig {
    url: String,
    handle: Handle,
    client: kube::Client,
    connections: watch::Sender<Option<Connection>>,
    events: mpsc::Receiver<Event>,
    tasks: JoinSet<()>,
}

impl Rig {
    /// Nobody watches yet.
    async fn new() -> (Self, watch::Receiver<Option<Connection>>, mpsc::Sender<Event>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::new();
        let handle = server.handle();
        let mut tasks = JoinSet::new();
        tasks.spawn(async { serve(listener, server).await.unwrap() });
        let first = connection(&url, 1);
        let client = first.watch.clone();
        let (connections, receiver) = watch::channel(Some(first));
        let (out, events) = mpsc::channel(1);
        (Self { url, handle, client, connections, events, tasks }, receiver, out)
    }

    /// Services are watched.
    async fn services(objects: &[Value]) -> Self {
        let (mut rig, connections, out) = Self::new().await;
        for object in objects {
            rig.create(SERVICES, object).await;
        }
        rig.tasks.spawn(async move { watch_services(connections, &filter(), out).await });
        rig
    }

    async fn create(&self, path: &str, object: &Value) {
        let request = Request::post(path).header("content-type", "application/json");
        let body = serde_json::to_vec(object).unwrap();
        self.client.request::<Value>(request.body(body).unwrap()).await.unwrap();
        // Servers take the status only by itself.
        if let (Some(status), Some(name)) = (object.get("status"), object["metadata"]["name"].as_str()) {
            let request = Request::patch(format!("{path}/{name}/status"));
            let body = serde_json::to_vec(&json!({"status": status})).unwrap();
            let request = request.header("content-type", "application/merge-patch+json").body(body).unwrap();
            self.client.request::<Value>(request).await.unwrap();
        }
    }

    async fn delete(&self, path: &str) {
        self.client.request::<Value>(Request::delete(path).body(vec![]).unwrap()).await.unwrap();
    }

    async fn next(&mut self) -> Event {
        timeout(Duration::from_secs(10), self.events.recv()).await.expect("nothing new in time").unwrap()
    }

    /// The names in the next event about Services.
    async fn names(&mut self) -> String {
        match self.next().await {
            Event::Services(Change::Listed(all)) => {
                format!("listed {}", all.iter().map(|it| &*it.key().name).collect::<Vec<_>>().join(" "))
            }
            Event::Services(Change::Applied(service)) => format!("applied {}", service.key().name),
            Event::Services(Change::Deleted(key)) => format!("deleted {}", key.name),
            other => format!("{other:?}"),
        }
    }

    fn requests(&self, verb: &str, resource: &str) -> u64 {
        let all = self.handle.requests();
        all.iter().filter(|it| it.verb == verb && it.resource == resource).map(|it| it.count).sum()
    }
}

fn filter() -> Filter {
    Filter { namespace: None, terms: Terms::default(), namespace_labels: NamespaceLabels::Needed }
}

fn service(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "spec": spec,
        "metadata": {"name": name, "namespace": "shop", "annotations": {"other": "x"}},
    })
}

fn balanced(name: &str) -> Value {
    service(name, json!({"type": "LoadBalancer", "ports": [{"port": 80}]}))
}

const SERVICES: &str = "/api/v1/namespaces/shop/services";

#[tokio::test]
async fn each_kind_is_told_of_as_the_catalog_knows_it() {
    let (mut rig, connections, out) = Rig::new().await;
    let full = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "annotations": {
            "vipcast.io/assigned": r#"[{"address":"192.0.2.7","pool":"lab"}]"#, "other": "x",
        }},
        "spec": {
            "type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"app": "web"},
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 80}, {"port": 9, "protocol": "DCCP"}],
            "clusterIPs": ["10.96.0.9"], "ipFamilies": null,
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}, {"hostname": "lb.example.com"}]}},
    });
    rig.create(SERVICES, &full).await;
    let endpoints = json!([
        {"addresses": ["10.244.0.2"], "nodeName": "a", "conditions": {"ready": true}},
        {"addresses": ["10.244.0.3"], "nodeName": "b",
         "conditions": {"ready": false, "serving": true, "terminating": true}},
    ]);
    for (name, labels, family) in [
        ("web-1", json!({"kubernetes.io/service-name": "web"}), "IPv4"),
        ("web-2", json!({"kubernetes.io/service-name": "web"}), "FQDN"),
        (
            "headless",
            json!({"kubernetes.io/service-name": "x", "service.kubernetes.io/headless": ""}),
            "IPv4",
        ),
        ("custom", json!({}), "IPv4"),
    ] {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
            "metadata": {"name": name, "namespace": "shop", "labels": labels}, "endpoints": endpoints,
        });
        rig.create("/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", &slice).await;
    }
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "labels": {
            "disk": "ssd", "node.kubernetes.io/exclude-from-external-load-balancers": "",
        }},
        "spec": {"podCIDRs": ["10.244.0.0/24"], "taints": [{"key": "node.kubernetes.io/unschedulable"}]},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "NetworkUnavailable", "status": "False"}],
            "addresses": [
                {"type": "ExternalIP", "address": "203.0.113.1"}, {"type": "Hostname", "address": "a"},
                {"type": "InternalIP", "address": "192.0.2.1"},
            ],
        },
    });
    rig.create("/api/v1/nodes", &node).await;
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "a"}},
    });
    rig.create("/api/v1/namespaces", &namespace).await;
    rig.tasks.spawn(async move { watch_catalog(connections, filter(), out).await });

    let expected_slice = EndpointSlice::new(
        SliceKey { namespace: "shop".into(), name: "web-1".into() },
        "web".into(),
        Family::V4,
        [
            Endpoint { node: Some("a"), ready: Some(true), serving: None, terminating: None },
            Endpoint { node: Some("b"), ready: Some(false), serving: Some(true), terminating: Some(true) },
        ],
    );
    let expected_node = Node {
        name: "a".into(),
        ready: true,
        cordoned: true,
        excluded: true,
        labels: Labels::from([
            ("disk".into(), "ssd".into()),
            ("node.kubernetes.io/exclude-from-external-load-balancers".into(), String::new()),
        ]),
        addresses: vec!["192.0.2.1".parse().unwrap()],
        external_addresses: vec!["203.0.113.1".parse().unwrap()],
        pod_networks: vec!["10.244.0.0/24".parse().unwrap()],
        ..Node::default()
    };
    let expected_namespace =
        Namespace { name: "shop".into(), labels: Labels::from([("team".into(), "a".into())]) };
    for _ in 0..4 {
        match rig.next().await {
            Event::Namespaces(change) => {
                assert_eq!(change, Change::Listed(vec![expected_namespace.clone()]));
            }
            Event::Services(Change::Listed(services)) => is_the_full_one(&services),
            Event::Slices(change) => assert_eq!(change, Change::Listed(vec![expected_slice.clone()])),
            Event::Nodes(change) => assert_eq!(change, Change::Listed(vec![expected_node.clone()])),
            other => panic!("{other:?}"),
        }
    }
}

fn is_the_full_one(services: &[Service]) {
    let [service] = services else { panic!("{services:?}") };
    let view = &service.view;
    let address = "192.0.2.7".parse().unwrap();
    let labels = Labels::from([("app".into(), "web".into())]);
    assert_eq!(service.ownership, Ownership::Ours(Because::NoClass));
    assert_eq!((&view.labels, &view.traffic), (&labels, &TrafficPolicy::Local { selector: labels.clone() }));
    assert_eq!((&view.ingress, &view.families), (&vec![address], &vec![Family::V4]));
    assert!(!view.ports_shown, "the status is one without ports");
    let record: Vec<_> = view.record.iter().map(|it| (it.address, it.pool.as_deref())).collect();
    assert_eq!(record, [(address, Some("lab"))]);
    let port = |protocol, number| Port { protocol, number };
    assert_eq!(view.ports, [port(Protocol::Udp, 53), port(Protocol::Tcp, 80)]);
    assert!(view.created > 1_600_000_000 && !view.uid.is_empty());
}

#[tokio::test]
async fn namespaces_are_watched_where_they_are_asked_for() {
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"a": "b"}}});
    let app = axum::Router::new().route(
        "/api/v1/namespaces",
        axum::routing::get(move || {
            let list = json!({"metadata": {"resourceVersion": "5"}, "items": [namespace]});
            async { axum::Json(list) }
        }),
    );
    let server = crate::kube::testing::Server::start(app).await;
    let (_connections, receiver) = watch::channel(Some(connection(&server.url(), 1)));
    let (out, mut events) = mpsc::channel(1);
    let mut tasks = JoinSet::new();
    tasks.spawn(watch_namespaces(receiver, out));
    let labels = Labels::from([("a".into(), "b".into())]);
    let expected = Event::Namespaces(Change::Listed(vec![Namespace { name: "shop".into(), labels }]));
    assert_eq!(timeout(Duration::from_secs(10), events.recv()).await.unwrap(), Some(expected));
}

#[tokio::test]
async fn a_long_list_comes_in_pages_and_counts_as_one() {
    let objects: Vec<_> = (0..501).map(|n| balanced(&format!("web-{n:03}"))).collect();
    let mut rig = Rig::services(&objects).await;
    match rig.next().await {
        Event::Services(Change::Listed(services)) => assert_eq!(services.len(), 501),
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.requests("list", "services"), 2);
    rig.create(SERVICES, &balanced("late")).await;
    assert_eq!(rig.names().await, "applied late");
}

#[tokio::test]
async fn services_that_are_not_for_load_balancers_are_as_good_as_deleted() {
    let mut rig = Rig::services(&[balanced("web"), service("db", json!({"type": "ClusterIP"}))]).await;
    assert_eq!(rig.names().await, "listed web");
    rig.create(SERVICES, &service("dns", json!({"type": "NodePort"}))).await;
    assert_eq!(rig.names().await, "deleted dns");
    let foreign = service("other", json!({"type": "LoadBalancer", "loadBalancerClass": "other"}));
    rig.create(SERVICES, &foreign).await;
    let Event::Services(Change::Applied(other)) = rig.next().await else { panic!("not applied") };
    assert_eq!(other.ownership, Ownership::Foreign(NotOurs::Class("other".into())));
    rig.delete(&format!("{SERVICES}/other")).await;
    let key = ServiceKey { namespace: "shop".into(), name: "other".into() };
    assert_eq!(rig.next().await, Event::Services(Change::Deleted(key)));
}

#[tokio::test]
async fn an_object_that_cannot_be_read_stops_neither_a_list_nor_a_watch() {
    let broken = |name: &str| service(name, json!({"type": "LoadBalancer", "ports": "many"}));
    let mut rig = Rig::services(&[balanced("a"), broken("b"), balanced("c")]).await;
    assert_eq!(rig.names().await, "listed a c");
    rig.create(SERVICES, &broken("d")).await;
    rig.create(SERVICES, &balanced("e")).await;
    assert_eq!(rig.names().await, "applied e");
    rig.delete(&format!("{SERVICES}/d")).await;
    assert_eq!(rig.names().await, "deleted d");
    assert_eq!(rig.requests("watch", "services"), 1);
}

#[tokio::test]
async fn what_a_compacted_watch_missed_is_in_a_new_list() {
    let mut rig = Rig::services(&[balanced("a"), balanced("b")]).await;
    assert_eq!(rig.names().await, "listed a b");
    rig.create(SERVICES, &balanced("c")).await;
    assert_eq!(rig.names().await, "applied c");
    rig.connections.send_replace(None);
    rig.delete(&format!("{SERVICES}/a")).await;
    rig.create(SERVICES, &balanced("d")).await;
    rig.handle.compact();
    rig.connections.send_replace(Some(connection(&rig.url, 2)));
    assert_eq!(rig.names().await, "listed b c d");
}

#[tokio::test]
async fn a_lost_watch_goes_on_where_it_was() {
    let mut rig = Rig::services(&[balanced("a")]).await;
    assert_eq!(rig.names().await, "listed a");
    rig.handle.close_watches();
    rig.create(SERVICES, &balanced("b")).await;
    assert_eq!(rig.names().await, "applied b");
    assert_eq!(rig.requests("list", "services"), 1);
}

#[tokio::test]
async fn it_ends_when_nobody_listens_or_nobody_publishes_connections() {
    let (rig, connections, out) = Rig::new().await;
    let Rig { events, connections: publisher, .. } = rig;
    drop(events);
    timeout(Duration::from_secs(10), watch_catalog(connections.clone(), filter(), out)).await.unwrap();
    let (out, _events) = mpsc::channel(64);
    drop(publisher);
    timeout(Duration::from_secs(10), watch_catalog(connections, filter(), out)).await.unwrap();
}
