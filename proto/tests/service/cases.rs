//! One case for each rule of the module's description.

use vipcast_proto::ipam::{Family, Forbidden, ForbiddenReason, Labels};
use vipcast_proto::placement::{Facts, Key};
use vipcast_proto::service::{
    Catalog, Change, Changes, ENDPOINTLESS, Event, INTERFACE, LEASE_NAME, Namespace, NamespaceLabels, Node,
    Options, PREFERRED_NODES, Part, Reason, Withheld, Written,
};

use crate::support::*;

const VIP: &str = "192.0.2.7";
const OTHER: &str = "192.0.2.8";

fn three() -> Vec<Node> {
    ["a", "b", "c"].map(node).to_vec()
}

#[test]
fn nothing_is_planned_before_every_kind_is_listed_and_then_everything_at_once() {
    let options = Options { namespace_labels: NamespaceLabels::Needed, ..OPTIONS };
    let mut catalog = Catalog::new(options, Forbidden::default());
    let labels = labels(&[("team", "shop")]);
    let namespace = Namespace { name: "default".into(), labels: labels.clone() };
    let events = [
        Event::Nodes(Change::Listed(vec![node("a")])),
        Event::Services(Change::Applied(read(written("default/early", &[OTHER])))),
        Event::Services(Change::Listed(vec![read(written("default/web", &[VIP]))])),
    ];
    let slices = Event::Slices(Change::Listed(vec![slice("default/web", Family::V4, &["a"])]));
    for event in events {
        assert_eq!(catalog.handle(event), Changes::default());
        assert!(!catalog.is_complete());
        assert_eq!((catalog.addresses().count(), catalog.weight("a")), (0, 0));
    }
    let everything =
        Changes { nodes: ["a".into()].into(), forbidden: true, ..changed(&["default/web"], &[VIP], &[VIP]) };
    assert_eq!(catalog.missing().collect::<Vec<_>>(), ["EndpointSlices", "Namespaces"]);
    assert_eq!(catalog.handle(slices), everything);
    // Only pools may need the labels of namespaces: who has an address need not wait for them.
    assert_eq!((catalog.is_complete(), catalog.is_labelled()), (true, false));
    let relabelled = catalog.handle(Event::Namespaces(Change::Listed(vec![namespace])));
    assert_eq!((relabelled, catalog.is_labelled()), (changed(&["default/web"], &[], &[]), true));
    assert_eq!((catalog.addresses().collect::<Vec<_>>(), catalog.weight("a")), (vec![ip(VIP)], 1));
    let seen = catalog.view(&key("default/web")).map(|view| view.namespace_labels.clone());
    assert_eq!(seen.as_deref(), Some(&labels));
}

#[test]
fn with_cluster_any_member_will_do_while_an_endpoint_is_ready_anywhere() {
    let mut catalog = catalog(
        vec![written("default/web", &[VIP, "2001:db8::7"])],
        vec![slice("default/web", Family::V4, &["a"])],
        three(),
    );
    let everywhere = plan(&[("default/web", Part::Everywhere)], Ok(facts(VIP, None, &[])));
    let nowhere = plan(&[("default/web", Part::NoEndpoint)], Err(Withheld::NoEndpoint));
    assert_eq!(found(&catalog, VIP), Some(everywhere));
    assert_eq!(found(&catalog, "2001:db8::7"), Some(nowhere.clone()));
    assert_eq!(apply_slice(&mut catalog, slice("default/web", Family::V4, &["a", "b"])), Changes::default());
    assert_eq!(apply_slice(&mut catalog, slice("default/web", Family::V4, &[])), changed(&[], &[VIP], &[]));
    assert_eq!(found(&catalog, VIP), Some(nowhere));
    let endpointless = Written {
        annotations: labels(&[(ENDPOINTLESS, "true")]),
        ..written("default/web", &[VIP, "2001:db8::7"])
    };
    // The allocator needs to know nothing of it.
    assert_eq!(apply(&mut catalog, endpointless), changed(&[], &[VIP, "2001:db8::7"], &[]));
    assert_eq!(placed(&catalog, VIP), Some(facts(VIP, None, &[])));
}

#[test]
fn with_local_the_nodes_with_endpoints_will_do_and_the_others_know_why_not() {
    let catalog = catalog(
        vec![local(written("default/web", &[VIP]))],
        vec![slice("default/web", Family::V4, &["a", "b"])],
        vec![node("a"), Node { excluded: true, ready: false, ..node("b") }, node("c")],
    );
    let expected = plan(&[("default/web", Part::ItsNodes)], Ok(facts(VIP, Some(&["a", "b"]), &[])));
    assert_eq!(found(&catalog, VIP), Some(expected));
    let reasons = ["a", "b", "c", "d"].map(|node| catalog.reasons(&ip(VIP), node));
    let absent = || Reason::NoLocalEndpoint(key("default/web"));
    assert_eq!(
        reasons,
        [vec![], vec![Reason::NotReady, Reason::Excluded], vec![absent()], vec![Reason::Unknown, absent()],]
    );
    let eligible = ["a", "b", "c", "d"].map(|node| catalog.is_eligible(&ip(VIP), node));
    assert_eq!(eligible, [true, false, false, false]);
    assert_eq!(["a", "b", "c", "d"].map(|node| catalog.weight(node)), [1, 0, 1, 0]);
}

#[test]
fn one_node_answers_for_all_who_share_an_address_and_the_oldest_counts_first() {
    let services = |created: [i64; 4]| {
        let [web, db, dns, old] = created;
        vec![
            Written { created: web, ..local(written("default/web", &[VIP])) },
            Written { created: db, ..local(written("default/db", &[VIP])) },
            Written { created: dns, ..local(written("default/dns", &[VIP])) },
            Written { created: old, ..written("default/old", &[VIP]) },
        ]
    };
    let slices = vec![
        slice("default/web", Family::V4, &["a", "b"]),
        slice("default/db", Family::V4, &["b", "c"]),
        slice("default/dns", Family::V4, &["c"]),
    ];
    let (its, none, elsewhere) = (Part::ItsNodes, Part::NoEndpoint, Part::Elsewhere);
    let catalog_of = |created| catalog(services(created), slices.clone(), three());
    let first = catalog_of([1, 2, 3, 0]);
    assert_eq!(
        found(&first, VIP),
        Some(plan(
            &[("default/old", none), ("default/web", its), ("default/db", its), ("default/dns", elsewhere)],
            Ok(facts(VIP, Some(&["b"]), &[])),
        ))
    );
    assert_eq!(
        found(&catalog_of([3, 3, 1, 4]), VIP),
        Some(plan(
            &[("default/dns", its), ("default/db", its), ("default/web", elsewhere), ("default/old", none)],
            Ok(facts(VIP, Some(&["c"]), &[])),
        ))
    );
    let absent = |name| Reason::NoLocalEndpoint(key(name));
    assert_eq!(first.reasons(&ip(VIP), "a"), [absent("default/db")]);
}

#[test]
fn an_address_that_would_do_harm_is_not_announced() {
    let mut forbidden = Forbidden::default();
    forbidden.address(ip("192.0.2.100"), ForbiddenReason::ControlPlane);
    let addresses = ["192.0.2.1", "192.0.2.100", "10.244.0.9", VIP];
    let mut catalog = catalog(
        vec![annotated("default/web", &addresses, &[(ENDPOINTLESS, "true")])],
        vec![],
        vec![node("a")],
    );
    assert_eq!(catalog.handle(Event::Forbidden(forbidden.clone())).addresses, [ip("192.0.2.100")].into());
    let net = "10.244.0.0/24".parse().unwrap();
    // The node says that the last one is its own, too: a VIP that a speaker put on an interface.
    let addresses = ["192.0.2.1", "192.0.2.100", VIP].map(ip).to_vec();
    let a = Node { addresses, pod_networks: vec![net], ..node("a") };
    let seen = apply_node(&mut catalog, a);
    assert_eq!(seen, Changes { forbidden: true, ..changed(&[], &["192.0.2.1", "10.244.0.9"], &[]) });
    let why = |address| found(&catalog, address).and_then(|plan| plan.placement.err());
    let forbidden_for = |reason| Some(Withheld::Forbidden(reason));
    assert_eq!(why("192.0.2.1"), forbidden_for(ForbiddenReason::Node("a".into())));
    assert_eq!(why("192.0.2.100"), forbidden_for(ForbiddenReason::ControlPlane));
    assert_eq!(why("10.244.0.9"), forbidden_for(ForbiddenReason::PodNetwork(net)));
    assert_eq!(why(VIP), None);
    assert_eq!(catalog.reasons(&ip("192.0.2.100"), "a"), [Reason::Withheld(why("192.0.2.100").unwrap())]);
    // Given back, it counts as the node's own.
    let gone = catalog.handle(Event::Services(Change::Deleted(key("default/web"))));
    assert!(gone.forbidden);
    assert_eq!(catalog.forbidden().reason(ip(VIP)), Some(&ForbiddenReason::Node("a".into())));
}

#[test]
fn a_cordoned_node_comes_last_and_is_not_ruled_out() {
    let mut catalog = catalog(
        vec![
            annotated("default/web", &[VIP], &[(ENDPOINTLESS, "true")]),
            local(written("default/here", &[OTHER])),
            annotated(
                "default/picky",
                &["192.0.2.9"],
                &[(ENDPOINTLESS, "true"), (PREFERRED_NODES, "disk=ssd")],
            ),
        ],
        vec![slice("default/here", Family::V4, &["a"])],
        vec![Node { labels: labels(&[("disk", "ssd")]), ..node("a") }, node("b"), node("c")],
    );
    let placed =
        |catalog: &Catalog| [VIP, OTHER, "192.0.2.9"].map(|address| placed(catalog, address).unwrap());
    let usual = [facts(VIP, None, &[]), facts(OTHER, Some(&["a"]), &[]), facts("192.0.2.9", None, &["a"])];
    assert_eq!(placed(&catalog), usual);
    assert_eq!(catalog.reasons(&ip("192.0.2.9"), "b"), [Reason::NotPreferred]);
    let cordoned = Node { cordoned: true, ..catalog.node("a").cloned().unwrap() };
    let seen = apply_node(&mut catalog, cordoned);
    assert_eq!(seen, Changes { nodes: ["a".into()].into(), ..changed(&[], &[VIP, "192.0.2.9"], &[]) });
    let without = [
        facts(VIP, None, &["b", "c"]),
        facts(OTHER, Some(&["a"]), &[]),
        facts("192.0.2.9", None, &["b", "c"]),
    ];
    assert_eq!(placed(&catalog), without);
    assert_eq!(catalog.reasons(&ip(VIP), "a"), [Reason::Cordoned]);
    assert_eq!((catalog.is_eligible(&ip(VIP), "a"), catalog.weight("a")), (true, 1));
    for name in ["b", "c"] {
        let _ = apply_node(&mut catalog, Node { cordoned: true, ..node(name) });
    }
    assert_eq!(placed(&catalog)[0], facts(VIP, None, &[]));
}

#[test]
fn those_with_one_lease_name_stay_together_and_prefer_the_same_nodes() {
    let together = [(ENDPOINTLESS, "true"), (LEASE_NAME, "front")];
    let elsewhere = [(ENDPOINTLESS, "true"), (LEASE_NAME, "default/front"), (PREFERRED_NODES, "disk")];
    let mut catalog = catalog(
        vec![
            annotated("default/web", &[VIP], &together),
            local(annotated("default/local", &["192.0.2.9"], &together)),
        ],
        vec![slice("default/local", Family::V4, &["a"])],
        vec![Node { labels: labels(&[("disk", "ssd")]), ..node("a") }, node("b")],
    );
    let group = Key::of_group("default/front");
    let grouped = |address, preferred: &[&str]| Some(Facts { key: group, ..facts(address, None, preferred) });
    assert_eq!(placed(&catalog, VIP), grouped(VIP, &[]));
    assert_eq!(placed(&catalog, "192.0.2.9"), Some(facts("192.0.2.9", Some(&["a"]), &[])));
    let seen = apply(&mut catalog, annotated("shop/db", &[OTHER], &elsewhere));
    assert_eq!(seen, changed(&["shop/db"], &[VIP, OTHER], &[OTHER]));
    assert_eq!([VIP, OTHER].map(|it| placed(&catalog, it)), [grouped(VIP, &["a"]), grouped(OTHER, &["a"])]);
    let gone = catalog.handle(Event::Services(Change::Deleted(key("shop/db"))));
    assert_eq!(gone, changed(&["shop/db"], &[VIP, OTHER], &[OTHER]));
    assert_eq!(placed(&catalog, VIP), grouped(VIP, &[]));
}

#[test]
fn the_oldest_that_names_an_interface_is_heard() {
    let at = |created, name: &str, interface: &[(&str, &str)]| Written {
        created,
        ..annotated(name, &[VIP], interface)
    };
    let catalog = catalog(
        vec![
            at(1, "default/a", &[]),
            at(3, "default/b", &[(INTERFACE, "eth1")]),
            at(2, "default/c", &[(INTERFACE, "auto")]),
        ],
        vec![],
        vec![],
    );
    assert_eq!(found(&catalog, VIP).and_then(|plan| plan.interface).as_deref(), Some("auto"));
}

#[test]
fn a_service_that_is_not_ours_is_kept_for_the_allocator_and_not_announced() {
    let foreign = Written {
        load_balancer_class: Some("other".into()),
        ..annotated("default/web", &[VIP], &[(ENDPOINTLESS, "true")])
    };
    let mut catalog = catalog(vec![foreign], vec![], three());
    assert_eq!(found(&catalog, VIP), None);
    assert_eq!(catalog.services().count(), 1);
    let ours = annotated("default/web", &[VIP], &[(ENDPOINTLESS, "true")]);
    assert_eq!(apply(&mut catalog, ours.clone()), changed(&["default/web"], &[VIP], &[VIP]));
    let leaving = Written { deleting: true, ..ours };
    assert_eq!(apply(&mut catalog, leaving), changed(&["default/web"], &[VIP], &[VIP]));
    assert_eq!(found(&catalog, VIP), None);
}

#[test]
fn a_list_after_a_lost_watch_changes_only_what_is_not_as_it_was() {
    let web = || annotated("default/web", &[VIP], &[(ENDPOINTLESS, "true")]);
    let mut catalog = catalog(
        vec![web(), local(written("default/db", &[OTHER]))],
        vec![slice("default/db", Family::V4, &["a"])],
        three(),
    );
    assert_eq!(
        catalog.handle(Event::Services(Change::Listed(vec![read(web())]))),
        changed(&["default/db"], &[OTHER], &[OTHER])
    );
    assert_eq!(catalog.handle(Event::Slices(Change::Listed(vec![]))), Changes::default());
    let nodes = Change::Listed(vec![node("b"), node("d")]);
    let names = ["a", "c", "d"].map(Into::into);
    assert_eq!(catalog.handle(Event::Nodes(nodes)), Changes { nodes: names.into(), ..Changes::default() });
}

#[test]
fn labels_of_a_namespace_reach_its_services_and_no_others() {
    let mut catalog = catalog(vec![written("shop/web", &[]), written("shop-2/web", &[])], vec![], vec![]);
    let seen = |catalog: &Catalog| {
        ["shop/web", "shop-2/web"]
            .map(|name| catalog.view(&key(name)).unwrap().namespace_labels.as_ref().clone())
    };
    let labelled = Namespace { name: "shop".into(), labels: labels(&[("team", "a")]) };
    let changes = catalog.handle(Event::Namespaces(Change::Applied(labelled.clone())));
    assert_eq!(changes, changed(&["shop/web"], &[], &[]));
    assert_eq!(seen(&catalog), [labelled.labels.clone(), Labels::new()]);
    assert_eq!(catalog.handle(Event::Namespaces(Change::Applied(labelled))), Changes::default());
    assert_eq!(apply(&mut catalog, written("shop/web", &[])), Changes::default());
    assert_eq!(
        catalog.handle(Event::Namespaces(Change::Deleted("shop".into()))),
        changed(&["shop/web"], &[], &[])
    );
    assert_eq!(seen(&catalog), [Labels::new(), Labels::new()]);
}
