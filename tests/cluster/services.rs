//! Services of type LoadBalancer before real Pods and a real kube-proxy, by ARP and NDP: addresses are reached, filtered, shared,
//! and go from node to node.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::json;
use vipcast::clock;
use vipcast::demo::lab::lan::Host;
use vipcast::demo::lab::sys::Signal;

use super::CLUSTER;
use super::bed::{Bed, Cable, Node, SOON, host, ms, wait};
use super::faults::LEASE;
use super::probes::existing;
use super::shared::Shared;
use super::support::{Test, trial};
use super::web::{self, Answer, Visitor};
use super::wire::Wire;

pub(crate) fn all() -> Vec<Test> {
    let cluster = Shared::new(|| {
        Bed::up(
            3,
            &["--daemonset", "--services", "--lease", "5/3/1", "--env", "enable_service_security=true"],
        )
    });
    let scenario = |name: &str, body: fn(&Bed)| trial(name, CLUSTER, cluster.scenario(body));
    vec![
        scenario("services::an_exposed_deployment_is_reached_by_arp_and_by_ndp", exposed),
        scenario("services::a_rolling_update_loses_no_more_than_kube_proxy_does", rolling_update),
        scenario("services::local_traffic_shows_its_client_and_follows_the_pod", local),
        scenario("services::a_shared_address_moves_for_all_its_services", shared),
        scenario("services::clients_and_ports_that_are_not_permitted_are_not_answered", guarded),
        scenario("services::addresses_leave_a_stopped_a_killed_and_a_lost_node", failed_over),
    ]
}

fn exposed(bed: &Bed) {
    web::serve(bed, "web", 3, None);
    let client = existing(&bed.script, "client");
    let begin = clock::now();
    bed.kubectl(&["expose", "deployment", "web", "--port=80", "--target-port=8080", "--type=LoadBalancer"]);
    let addresses = web::addresses(bed, "web");
    eprintln!("kubectl expose: {addresses:?} after {:?}", clock::now() - begin);
    reached(bed, &client, &addresses, begin);

    let begin = clock::now();
    let addresses =
        web::expose(bed, "both", "web", &json!({}), &json!({ "ipFamilyPolicy": "RequireDualStack" }));
    assert!(matches!(addresses[..], [IpAddr::V4(_), IpAddr::V6(_)]), "{addresses:?}");
    reached(bed, &client, &addresses, begin);
    web::unexpose(bed, &["web", "both"]);
}

/// Each address is answered for by one node and leads to Pods.
fn reached(bed: &Bed, client: &Host, addresses: &[IpAddr], begin: Instant) {
    for address in addresses {
        let server = SocketAddr::new(*address, 80);
        let answer = wait("a Pod answers", SOON, || web::ask(client, server));
        eprintln!("{address}: {answer:?} {:?} after the Service was made", clock::now() - begin);
    }
    let wire = Wire::of(bed, addresses);
    eprintln!("owners: {:?}", wire.owners());
    wire.assert_never_two();
}

/// The same requests at the same time: through the address from the LAN, and from a node straight to kube-proxy.
fn rolling_update(bed: &Bed) {
    web::serve(bed, "web", 3, None);
    let addresses = web::expose(bed, "web", "web", &json!({}), &json!({}));
    let wire = Wire::of(bed, &addresses);
    let owners = wire.owners();
    let client = existing(&bed.script, "client");
    let visitors = [
        Visitor::start(&client, SocketAddr::new(addresses[0], 80)),
        Visitor::start(bed.probes.host(1), SocketAddr::new(web::cluster_ip(bed, "web"), 80)),
    ];
    let begin = clock::now();
    bed.kubectl(&["rollout", "restart", "deployment", "web"]);
    web::rolled_out(bed, "web");
    let [outside, inside] = visitors.map(|visitor| visitor.tally(begin));
    eprintln!(
        "rolling update in {:.1?}: through the address {outside:?}, from a node {inside:?}",
        clock::now() - begin
    );
    assert!(outside.lost <= inside.lost, "{outside:?}, {inside:?}");
    assert_eq!((wire.owners(), outside.nodes), (owners, BTreeSet::from([1, 2, 3])));
    wire.assert_never_two();
    web::unexpose(bed, &["web"]);
}

fn local(bed: &Bed) {
    web::serve(bed, "follower", 1, Some(2));
    let addresses =
        web::expose(bed, "follower", "follower", &json!({}), &json!({ "externalTrafficPolicy": "Local" }));
    let (address, server) = (addresses[0], SocketAddr::new(addresses[0], 80));
    let wire = Wire::of(bed, &addresses);
    wire.wait_owner(address, 2);
    let client = existing(&bed.script, "client");
    let seen = Answer { node: 2, client: client.v4.into() };
    wait("the Pod sees its client", SOON, || web::ask(&client, server).filter(|answer| *answer == seen));

    let visitor = Visitor::start(&client, server);
    let begin = clock::now();
    web::move_to(bed, "follower", 3);
    wire.wait_owner(address, 3);
    web::rolled_out(bed, "follower");
    let tally = visitor.tally(begin);
    eprintln!("the Pod went from n2 to n3: {tally:?}");
    assert_eq!((tally.nodes, tally.clients), (BTreeSet::from([2, 3]), BTreeSet::from([client.v4.into()])));
    assert_eq!(wire.answerers(address, begin), BTreeSet::from([2, 3]));
    assert!(tally.silence < ms(2500), "nobody answered for {:?}", tally.silence);

    bed.kubectl(&["scale", "deployment", "follower", "--replicas=0"]);
    wire.wait_silent(address);
    assert_eq!(web::addresses(bed, "follower"), addresses, "the address is still its own");
    bed.kubectl(&["scale", "deployment", "follower", "--replicas=1"]);
    wire.wait_owner(address, 3);
    wait("the new Pod answers", SOON, || web::ask(&client, server));
    wire.assert_never_two();
    bed.kubectl(&["delete", "deployment", "follower"]);
    web::unexpose(bed, &["follower"]);
    wire.wait_silent(address);
}

/// Two Services with an address in common, whose owner is stopped; then one of them is deleted.
fn shared(bed: &Bed) {
    web::serve(bed, "web", 3, None);
    let key = json!({ "metallb.io/allow-shared-ip": "shop" });
    let port = |port: u16| json!({ "ports": [{ "port": port, "targetPort": 8080 }] });
    let addresses = web::expose(bed, "shop", "web", &key, &port(80));
    assert_eq!(web::expose(bed, "desk", "web", &key, &port(81)), addresses);
    let (address, wire) = (addresses[0], Wire::of(bed, &addresses));
    let owner = wire.owners()[&address];
    let client = existing(&bed.script, "client");
    let visitors = [80, 81].map(|port| Visitor::start(&client, SocketAddr::new(address, port)));

    let begin = clock::now();
    bed.daemon(owner).signal(Signal::Term);
    wait("another node answers", SOON, || taken(&wire, address, owner, begin));
    bed.settle();
    for tally in visitors.each_ref().map(|visitor| visitor.tally(begin)) {
        eprintln!("n{owner} stopped and started: {tally:?}");
        assert!(tally.silence <= STILL, "{tally:?}");
    }
    wire.assert_never_two();

    let [shop, desk] = visitors;
    let begin = clock::now();
    web::unexpose(bed, &["shop"]);
    wait("the port is closed", SOON, || (shop.tally(clock::now() - ms(2500)).nodes.is_empty()).then_some(()));
    let tally = desk.tally(begin);
    assert_eq!(tally.lost, 0, "{tally:?}");
    web::unexpose(bed, &["desk"]);
    wire.wait_silent(address);
}

fn guarded(bed: &Bed) {
    web::serve(bed, "web", 3, None);
    let (client, stranger) = (existing(&bed.script, "client"), existing(&bed.script, "observer"));
    let ranges = [format!("{}/32", client.v4), format!("{}/128", client.v6)];
    let more = json!({ "ipFamilyPolicy": "RequireDualStack", "loadBalancerSourceRanges": ranges });
    let addresses = web::expose(bed, "fenced", "web", &json!({}), &more);
    let wire = Wire::of(bed, &addresses);
    let owners = wire.owners();
    for (address, owner) in &owners {
        let (open, closed) = (SocketAddr::new(*address, 80), SocketAddr::new(*address, 22));
        wait("the client is answered", SOON, || web::ask(&client, open));
        let before = dropped(bed, *owner);
        assert_eq!(web::ask(&stranger, open), None, "{address} answers a stranger");
        let fenced = dropped(bed, *owner);
        assert!(fenced > before, "not we have dropped it:\n{}", table(bed, *owner));
        assert_eq!(web::ask(&client, closed), None);
        assert!(dropped(bed, *owner) > fenced, "a port that no Service has is open:\n{}", table(bed, *owner));
    }
    bed.kubectl(&["patch", "service", "fenced", "-p", r#"{"spec":{"loadBalancerSourceRanges":null}}"#]);
    for address in &addresses {
        wait("the stranger is answered", SOON, || web::ask(&stranger, SocketAddr::new(*address, 80)));
    }
    assert_eq!(wire.owners(), owners);
    web::unexpose(bed, &["fenced"]);
}

fn failed_over(bed: &Bed) {
    web::serve(bed, "web", 3, None);
    let names: Vec<String> = (1..=5).map(|number| format!("web{number}")).collect();
    let expose = |name: &String| {
        web::expose(bed, name, "web", &json!({}), &json!({ "ipFamilyPolicy": "PreferDualStack" }))
    };
    let addresses: Vec<IpAddr> = names.iter().flat_map(expose).collect();
    let wire = Wire::of(bed, &addresses);
    let another = |address, owner, begin| taken(&wire, address, owner, begin);
    // The same process, started anew, may be the next owner.
    let anybody = |address, _, begin: Instant| {
        let begin = begin + IN_FLIGHT;
        (begin < clock::now() && !wire.answerers(address, begin).is_empty()).then_some(())
    };
    faulted(bed, &wire, "stopped", STILL, |node| bed.daemon(node).signal(Signal::Term), another);
    faulted(bed, &wire, "killed", LEASE, |node| bed.kill_daemon(node), anybody);
    faulted(bed, &wire, "cut off", LEASE + ms(1500), |node| bed.cable(node, Cable::Lossy), another);
    web::unexpose(bed, &names.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Something happens to the node that has the most addresses: within the bound each of them has another owner, and those of
/// other nodes stay where they are. In the end all is well.
fn faulted(
    bed: &Bed,
    wire: &Wire<'_>,
    what: &str,
    bound: Duration,
    fault: impl Fn(Node),
    taken: impl Fn(IpAddr, Node, Instant) -> Option<()>,
) {
    let owners = wire.owners();
    let share = |node: &Node| owners.values().filter(|owner| *owner == node).count();
    let victim = *bed.nodes().iter().max_by_key(|node| share(node)).unwrap();
    let begin = clock::now();
    fault(victim);
    let mut away: BTreeMap<IpAddr, Duration> = BTreeMap::new();
    wait("all addresses are answered for", SOON, || {
        for (address, owner) in owners.iter().filter(|(_, owner)| **owner == victim) {
            if !away.contains_key(address) && taken(*address, *owner, begin).is_some() {
                away.insert(*address, clock::now() - begin);
            }
        }
        (away.len() == share(&victim)).then_some(())
    });
    eprintln!("n{victim} {what}: {away:?}");
    for (address, owner) in owners.iter().filter(|(_, owner)| **owner != victim) {
        let silence = wire.silence(*address, begin);
        eprintln!("{address} of n{owner}: no answer for {silence:?}");
        assert_eq!(wire.answerers(*address, begin), BTreeSet::from([*owner]), "{address} moved as well");
        assert!(silence <= STILL, "{address} of n{owner}: no answer for {silence:?}");
    }
    bed.cable(victim, Cable::Plugged);
    bed.settle();
    assert_eq!(wire.owners(), owners, "{} is back", host(victim));
    wire.assert_never_two();
    assert!(away.values().all(|away| *away <= bound), "{what}: {away:?}");
}

/// Whether another node has answered since.
fn taken(wire: &Wire<'_>, address: IpAddr, before: Node, since: Instant) -> Option<()> {
    wire.answerers(address, since).into_iter().any(|node| node != before).then_some(())
}

/// How many packets our table on a node has dropped.
fn dropped(bed: &Bed, node: Node) -> u64 {
    let table = table(bed, node);
    let counts =
        table.lines().filter_map(|line| line.trim().strip_prefix("counter packets ")?.split(' ').next());
    counts.map(|count| count.parse::<u64>().unwrap()).sum()
}

fn table(bed: &Bed, node: Node) -> String {
    bed.exec(node, &["nft", "list", "table", "inet", "vipcast"])
}

/// What is on its way when a process is killed.
const IN_FLIGHT: Duration = ms(100);
/// An ordered hand-over, where two cores carry the whole cluster.
const STILL: Duration = ms(1000);
