//! What can happen to Services, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use vipcast::allocator::{ASSIGNED, Ask, PoolsAnswer};
use vipcast::clock;
use vipcast::kube::networks::watch_service_networks;
use vipcast_proto::ipam::ServiceKey;

use super::bed::{Bed, Node, connect, service};
use super::feed::ingress;
use super::support::real_api::RealApi;

pub(crate) type Case = fn(&RealApi) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn all() -> Vec<(&'static str, Case)> {
            vec![$((stringify!($name), |api| Box::pin($name(api)))),*]
        }
    };
}

cases![
    a_service_has_its_address_in_milliseconds_and_status_and_annotation_in_one_write,
    two_hundred_services_at_once_have_two_hundred_addresses,
    what_is_right_is_not_written_again_by_the_next_leader,
    a_leader_that_dies_is_followed_and_nothing_is_given_twice,
    a_service_that_is_ignored_or_no_load_balancer_loses_what_we_wrote,
    an_owner_who_writes_all_the_time_does_not_keep_the_address_away,
    services_deleted_while_they_are_written_leave_nothing_behind,
    who_may_not_write_says_so_and_writes_when_permitted,
    an_exhausted_pool_is_an_event_with_numbers_and_a_freed_address_is_given_on,
    pools_of_metallb_are_used_and_the_networks_of_cluster_ips_known,
    addresses_of_both_families_are_written_in_order,
];

async fn a_service_has_its_address_in_milliseconds_and_status_and_annotation_in_one_write(api: &RealApi) {
    let bed = Bed::new(api, "latency", json!({"cidr-global": "192.0.2.0/24"})).await;
    let _node = Node::start(api, &bed, "n1").await.leads().await;
    // The connection is made with the first.
    bed.service("warm").await;
    let warm = bed.has("warm", &["192.0.2.1"]).await;
    let shown = warm.annotations().get(ASSIGNED).map(String::as_str);
    assert_eq!(shown, Some(r#"[{"address":"192.0.2.1","pool":"cidr-global"}]"#));
    let status = serde_json::to_value(&warm.status).expect("can be written");
    let ingress = json!({"ip": "192.0.2.1", "ipMode": "VIP", "ports": [{"port": 80, "protocol": "TCP"}]});
    assert_eq!(status["loadBalancer"], json!({ "ingress": [ingress] }));
    let mut took = vec![];
    for number in 0..40 {
        let arrivals = bed.arrivals(1).await;
        let begun = clock::now();
        let name = format!("s{number}");
        let (_, arrived) = tokio::join!(bed.service(&name), arrivals);
        took.push(arrived[0].2 - begun);
    }
    took.sort_unstable();
    println!(
        "created to address in status, creation included: median {:?}, longest {:?}",
        took[20], took[39]
    );
    assert!(took[20] < Duration::from_millis(100), "{took:?}");
}

async fn two_hundred_services_at_once_have_two_hundred_addresses(api: &RealApi) {
    let bed = Bed::new(api, "burst", json!({"cidr-global": "192.0.2.0/24"})).await;
    let _node = Node::start(api, &bed, "n1").await.leads().await;
    let arrivals = bed.arrivals(200).await;
    let created = create_all(&bed, 200);
    let (last, arrived) = tokio::join!(created, arrivals);
    let addresses: BTreeSet<IpAddr> = arrived.iter().map(|(_, address, _)| *address).collect();
    assert_eq!((arrived.len(), addresses.len()), (200, 200));
    let took = arrived.iter().map(|(_, _, at)| *at).max().map_or(Duration::ZERO, |at| at - last);
    println!("200 at once: the last address {took:?} after the last creation");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// Creates so many Services, sixteen at a time; says when the last one was created.
async fn create_all(bed: &Bed, count: usize) -> Instant {
    let mut creating = JoinSet::new();
    for number in 0..count {
        if creating.len() >= 16 {
            creating.join_next().await;
        }
        let services = bed.services();
        let object: Service = serde_json::from_value(service(&format!("s{number}"))).expect("is a Service");
        creating.spawn(async move { services.create(&PostParams::default(), &object).await.map(drop) });
    }
    while let Some(created) = creating.join_next().await {
        created.expect("does not panic").expect("is created");
    }
    clock::now()
}

async fn what_is_right_is_not_written_again_by_the_next_leader(api: &RealApi) {
    let bed = Bed::new(api, "handover", json!({"cidr-global": "192.0.2.0/28"})).await;
    let first = Node::start(api, &bed, "n1").await.leads().await;
    for name in ["a", "b"] {
        bed.service(name).await;
    }
    for name in ["a", "b"] {
        bed.until(name, |service| !ingress(service).is_empty()).await;
    }
    let mut second = Node::start(api, &bed, "n2").await;
    second.reports(|report| report.leader.as_deref() == Some("n1")).await;
    let used = |usage: &PoolsAnswer| usage.pools.first().map_or(0, |pool| pool.usage[0].used);
    while used(&second.pools().await) < 2 {
        clock::pause(Duration::from_millis(5)).await;
    }
    let before = versions(&bed).await;
    // A standby says the same, from what it sees.
    let key = ServiceKey { namespace: "handover".into(), name: "a".into() };
    let mut decisions = vec![];
    for node in [&first, &second] {
        let (answer, answered) = oneshot::channel();
        node.asks.send(Ask::Decision(key.clone(), answer)).await.expect("the node runs");
        decisions.push(answered.await.expect("the node answers"));
    }
    assert!(decisions[0].is_some());
    assert_eq!(decisions[0], decisions[1]);
    let begun = clock::now();
    first.stop().await;
    bed.service("c").await;
    let third = bed.until("c", |service| !ingress(service).is_empty()).await;
    println!("stopped, and the next leader has given an address: {:?}", clock::now() - begun);
    let mut after = versions(&bed).await;
    after.remove("c");
    assert_eq!(after, before);
    assert_eq!(ingress(&third), ["192.0.2.3".parse::<IpAddr>().expect("is one")]);
    drop(second);
}

async fn versions(bed: &Bed) -> BTreeMap<String, Option<String>> {
    let all = bed.services().list(&ListParams::default()).await.expect("is listed");
    all.into_iter().map(|service| (service.name_any(), service.resource_version())).collect()
}

async fn a_leader_that_dies_is_followed_and_nothing_is_given_twice(api: &RealApi) {
    let bed = Bed::new(api, "crash", json!({"cidr-global": "192.0.2.0/24"})).await;
    let first = Node::start(api, &bed, "n1").await.leads().await;
    let second = Node::start(api, &bed, "n2").await;
    let arrivals = bed.arrivals(60).await;
    let crash = async {
        clock::pause(Duration::from_millis(60)).await;
        drop(first);
    };
    let (_, (), arrived) = tokio::join!(create_all(&bed, 60), crash, arrivals);
    let _second = second.leads().await;
    for (name, _, _) in &arrived {
        let service = bed.until(name, |service| service.annotations().contains_key(ASSIGNED)).await;
        assert_eq!(ingress(&service).len(), 1);
    }
    let all = bed.services().list(&ListParams::default()).await.expect("is listed");
    let addresses: BTreeSet<IpAddr> = all.iter().flat_map(ingress).collect();
    assert_eq!((all.items.len(), addresses.len()), (60, 60));
    let first_seen: BTreeMap<_, _> =
        arrived.iter().map(|(name, address, _)| (name.clone(), *address)).collect();
    let now: BTreeMap<_, _> = all.iter().map(|it| (it.name_any(), ingress(it)[0])).collect();
    assert_eq!(now, first_seen, "no address has changed");
}

async fn a_service_that_is_ignored_or_no_load_balancer_loses_what_we_wrote(api: &RealApi) {
    let bed = Bed::new(api, "release", json!({"cidr-global": "192.0.2.0/30"})).await;
    let _node = Node::start(api, &bed, "n1").await.leads().await;
    bed.service("a").await;
    bed.has("a", &["192.0.2.1"]).await;
    bed.merge("a", json!({"metadata": {"annotations": {"kube-vip.io/ignore": "true"}}})).await;
    let cleared =
        |service: &Service| ingress(service).is_empty() && !service.annotations().contains_key(ASSIGNED);
    bed.until("a", cleared).await;
    bed.service("b").await;
    bed.has("b", &["192.0.2.1"]).await;
    bed.merge("a", json!({"metadata": {"annotations": {"kube-vip.io/ignore": null}}})).await;
    bed.has("a", &["192.0.2.2"]).await;
    bed.merge("b", json!({"spec": {"type": "ClusterIP"}})).await;
    bed.until("b", cleared).await;
    bed.merge("b", json!({"spec": {"type": "LoadBalancer"}})).await;
    bed.has("b", &["192.0.2.1"]).await;
}

async fn an_owner_who_writes_all_the_time_does_not_keep_the_address_away(api: &RealApi) {
    let bed = Bed::new(api, "rapid", json!({"cidr-global": "192.0.2.0/28"})).await;
    let _node = Node::start(api, &bed, "n1").await.leads().await;
    bed.service("a").await;
    for number in 1..=60 {
        let asked = format!("192.0.2.{}", 1 + number % 7);
        bed.merge("a", json!({"metadata": {"annotations": {"kube-vip.io/loadbalancerIPs": asked}}})).await;
    }
    bed.has("a", &["192.0.2.5"]).await;
    let service = bed.until("a", |it| it.annotations()[ASSIGNED].contains("192.0.2.5")).await;
    assert_eq!(service.annotations()[ASSIGNED], r#"[{"address":"192.0.2.5","pool":"cidr-global"}]"#);
}

async fn services_deleted_while_they_are_written_leave_nothing_behind(api: &RealApi) {
    let bed = Bed::new(api, "churn", json!({"cidr-global": "192.0.2.0/28"})).await;
    let mut node = Node::start(api, &bed, "n1").await.leads().await;
    for _ in 0..40 {
        bed.service("a").await;
        bed.services().delete("a", &DeleteParams::default()).await.expect("is deleted");
    }
    bed.service("b").await;
    bed.has("b", &["192.0.2.1"]).await;
    node.reports(|report| report.unwritten == 0 && report.pools[0].usage[0].used == 1).await;
}

async fn who_may_not_write_says_so_and_writes_when_permitted(api: &RealApi) {
    let bed = Bed::new(api, "rbac", json!({"cidr-global": "192.0.2.0/28"})).await;
    let roles = Api::<ClusterRole>::all(bed.client.clone());
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    let mut rules = vec![
        rule("", "services", &["list", "watch"]),
        rule("", "configmaps", &["list", "watch"]),
        rule("metallb.io", "ipaddresspools", &["list", "watch"]),
        rule("coordination.k8s.io", "leases", &["get", "create", "update", "list", "watch"]),
        rule("events.k8s.io", "events", &["create", "patch"]),
    ];
    bed.create(&roles, json!({"metadata": {"name": "allocator"}, "rules": rules})).await;
    let bindings = Api::<ClusterRoleBinding>::all(bed.client.clone());
    let binding = json!({
        "metadata": {"name": "allocator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "allocator"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "allocator"}],
    });
    bed.create(&bindings, binding).await;
    let mut node = Node::of_user(api, &bed, "n1", "allocator").await.leads().await;
    bed.service("a").await;
    let report = node.reports(|report| report.refused.is_some()).await;
    assert_eq!(report.unwritten, 1);
    assert!(report.refused.expect("just seen").contains("services/status"));
    rules.push(rule("", "services/status", &["patch"]));
    let granted = Patch::Merge(json!({ "rules": rules }));
    roles.patch("allocator", &PatchParams::default(), &granted).await.expect("is granted");
    bed.has("a", &["192.0.2.1"]).await;
    node.reports(|report| report.refused.is_none() && report.unwritten == 0).await;
}

async fn an_exhausted_pool_is_an_event_with_numbers_and_a_freed_address_is_given_on(api: &RealApi) {
    let bed = Bed::new(api, "full", json!({"range-global": "192.0.2.1-192.0.2.1"})).await;
    let _node = Node::start(api, &bed, "n1").await.leads().await;
    bed.service("a").await;
    bed.has("a", &["192.0.2.1"]).await;
    bed.service("b").await;
    let event = event(&bed, "b").await;
    let expected = "an IPv4 address: pool range-global (kube-vip): 1 of 1 IPv4 addresses used";
    assert_eq!((event.reason.as_deref(), event.note.as_deref()), (Some("PoolExhausted"), Some(expected)));
    bed.services().delete("a", &DeleteParams::default()).await.expect("is deleted");
    bed.has("b", &["192.0.2.1"]).await;
}

/// The first Event of ours about a Service: the server has some of its own.
async fn event(bed: &Bed, name: &str) -> Event {
    let events = Api::<Event>::namespaced(bed.client.clone(), &bed.namespace);
    let about = |event: &Event| {
        event.reporting_controller.as_deref() == Some("vipcast")
            && event.regarding.as_ref().is_some_and(|it| it.name.as_deref() == Some(name))
    };
    let came = async {
        loop {
            let all = events.list(&ListParams::default()).await.expect("is listed");
            if let Some(event) = all.into_iter().find(about) {
                return event;
            }
            clock::pause(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), came).await.expect("is told in time")
}

async fn pools_of_metallb_are_used_and_the_networks_of_cluster_ips_known(api: &RealApi) {
    let bed = Bed::new(api, "metallb", json!({})).await;
    let definitions = Api::<CustomResourceDefinition>::all(bed.client.clone());
    bed.create(&definitions, definition()).await;
    let kind = GroupVersionKind::gvk("metallb.io", "v1beta1", "IPAddressPool");
    let pools: Api<DynamicObject> = Api::namespaced_with(
        bed.client.clone(),
        "metallb",
        &ApiResource::from_gvk_with_plural(&kind, "ipaddresspools"),
    );
    let object = json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": {"name": "first"}, "spec": {"addresses": ["198.51.100.7-198.51.100.9", "oops"]},
    });
    let object: DynamicObject = serde_json::from_value(object).expect("is an object");
    let created = async {
        // A definition is served a moment after it is there.
        while pools.create(&PostParams::default(), &object).await.is_err() {
            clock::pause(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(30), created).await.expect("is served in time");
    let node = Node::start(api, &bed, "n1").await.leads().await;
    bed.service("a").await;
    bed.has("a", &["198.51.100.7"]).await;
    let answer = node.pools().await;
    let usage: Vec<_> = answer.pools.iter().flat_map(|it| &it.usage).map(ToString::to_string).collect();
    assert_eq!(usage, ["pool first (MetalLB): 1 of 3 IPv4 addresses used"]);
    assert_eq!(answer.faults.iter().map(|it| it.problem.value.as_str()).collect::<Vec<_>>(), ["oops"]);
    let (connections, _access) = connect(api, "admin").await;
    let (out, mut networks) = watch::channel(vec![]);
    let mut task = JoinSet::new();
    task.spawn(watch_service_networks(connections, out));
    let seen = timeout(Duration::from_secs(10), networks.wait_for(|all| !all.is_empty())).await;
    let seen = seen.expect("is seen in time").expect("the task runs").clone();
    assert_eq!(
        seen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.96.0.0/16", "fd00:10:96::/112"]
    );
    definitions.delete("ipaddresspools.metallb.io", &DeleteParams::default()).await.expect("is deleted");
}

fn definition() -> Value {
    json!({
        "metadata": {"name": "ipaddresspools.metallb.io"},
        "spec": {
            "group": "metallb.io", "scope": "Namespaced",
            "names": {"kind": "IPAddressPool", "plural": "ipaddresspools", "singular": "ipaddresspool", "listKind": "IPAddressPoolList"},
            "versions": [{
                "name": "v1beta1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
}

async fn addresses_of_both_families_are_written_in_order(api: &RealApi) {
    let bed = Bed::new(api, "dual", json!({"cidr-global": "192.0.2.0/28,2001:db8:1::/64"})).await;
    let _node = Node::start(api, &bed, "n1").await.leads().await;
    let mut object = service("a");
    object["spec"]["ipFamilyPolicy"] = json!("RequireDualStack");
    object["spec"]["ipFamilies"] = json!(["IPv6", "IPv4"]);
    bed.create(&bed.services(), object).await;
    let service = bed.until("a", |service| ingress(service).len() == 2).await;
    let families: Vec<_> = ingress(&service).iter().map(IpAddr::is_ipv6).collect();
    assert_eq!(families, [true, false]);
    bed.merge("a", json!({"spec": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}})).await;
    bed.until("a", |service| ingress(service).len() == 1 && ingress(service)[0].is_ipv6()).await;
}
