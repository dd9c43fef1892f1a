//! Services of type LoadBalancer against a real kube-apiserver: addresses given, answered for, and moved in order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vipcast::clock;
use vipcast::demo::lab::lan::{Host, Mac};
use vipcast::demo::lab::observer::Observer;

use super::REAL;
use super::bed::{Bed, SOON, VIPCAST, http, ms, wait};
use super::census;
use super::objects::{ingress, objects, pool, service_path, slice, slice_path};
use super::support::{Needs, Test, in_path, trial};

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("services::an_address_is_given_and_one_node_answers_for_it", REAL, || given("spread")),
        trial("services::the_holder_of_the_lease_answers_for_all", REAL, || given("lease")),
        trial("services::addresses_are_handed_over_without_a_second_owner", REAL, handed_over),
        trial("services::two_hundred_at_once_are_all_answered_for", REAL, many),
        trial("services::an_address_is_filtered_before_it_is_announced", FILTERED, filtered),
        trial("services::an_address_is_announced_when_kube_proxy_has_its_rules", FILTERED, carried),
        trial("services::an_address_goes_with_its_last_endpoint_and_follows_its_pods", REAL, endpoints),
    ]
}

fn given(distribution: &str) {
    let mut bed = cluster(3, distribution);
    let (address, status) = created(&bed, "web");
    let owner = answered(&bed, address);
    eprintln!("{distribution}: address after {status:?}, answered for after {:?}", owner.1);
    for node in 0..3 {
        wait("each node knows who has it", SOON, || {
            let shown = services(&bed, node);
            let service = shown["services"].get(0)?;
            let address = &service["addresses"][0];
            let known = service["name"] == "web" && address["owners"] == json!([owner.0]);
            (known && address["pool"] == "range-global").then_some(())
        });
    }
    explained(&bed, &owner.0, distribution);
    ready(&bed, &owner.0, distribution);
    let counted = "vipcast_service_addresses{state=\"held\"} 1";
    wait("its metrics count the address", SOON, || {
        let host = &bed.lan.nodes[number(&bed, &owner.0)].namespace;
        http(host, "127.0.0.1:2112", "/metrics").1.contains(counted).then_some(())
    });
    bed.kubernetes().delete(&service_path("web"));
    wait("nobody answers any more", SOON, || asked(&bed, &[address]).is_empty().then_some(()));
    for node in 0..3 {
        assert_eq!(bed.terminate(node).0.code(), Some(0));
    }
}

/// Every node is ready, though it has no VIP of the control plane, and says in its status what it announces.
fn ready(bed: &Bed, owner: &str, distribution: &str) {
    for host in &bed.lan.nodes {
        let expected = json!([distribution, 1, 0, 1, i32::from(host.name == owner), true]);
        wait("its status is as it should be", SOON, || {
            let services = &told(bed, number(bed, &host.name), &["status"])["services"];
            let fields = ["distribution", "services", "waiting", "addresses", "announced", "allocates"];
            (json!(fields.map(|field| &services[field])) == expected).then_some(())
        });
        assert_eq!(http(&host.namespace, "127.0.0.1:2112", "/readyz").0, 200, "{}", host.name);
    }
}

/// Every node explains the Service, whoever announces it and whoever assigns addresses.
fn explained(bed: &Bed, owner: &str, distribution: &str) {
    for node in 0..3 {
        let said = told(bed, node, &["explain", "service", "default/web"]);
        let address = &said["addresses"][0];
        assert_eq!((&said["ours"], &address["owners"]), (&true.into(), &json!([owner])), "{said}");
        let nodes: Vec<_> =
            address["nodes"].as_array().unwrap().iter().map(|node| &node["eligible"]).collect();
        assert_eq!(nodes, [&json!(true); 3], "{said}");
        assert_eq!(
            (&address["why"], &said["lacks"]),
            (&"given from pool range-global".into(), &json!([])),
            "{said}"
        );
        let successor = &address["successors"][0];
        assert_eq!(successor["without"], owner, "{said}");
        assert_eq!(successor["then"].is_string(), distribution == "spread", "{said}");
        let pools = told(bed, node, &["pools"]);
        let usage = &pools["pools"][0]["usage"][0];
        assert_eq!((&usage["used"], &usage["free"]), (&1.into(), &249.into()), "{pools}");
    }
}

fn handed_over() {
    let mut bed = cluster(3, "spread");
    let (address, _) = created(&bed, "web");
    let (owner, _) = answered(&bed, address);
    let node = number(&bed, &owner);
    let mut observer = Observer::start(&bed.lan.observer, address).unwrap();
    std::thread::sleep(ms(500));
    let begin = clock::now();
    let (status, took) = bed.terminate(node);
    assert_eq!(status.code(), Some(0));
    let next = wait("another node answers", SOON, || {
        let owners = asked(&bed, &[address]);
        let mac = owners.get(&address)?.first().copied()?;
        Some(host_of(&bed, mac)).filter(|host| *host != owner)
    });
    let gap = clock::now() - begin;
    std::thread::sleep(ms(500));
    let seen = observer.sightings(begin - ms(500), clock::now());
    eprintln!("{owner} stopped in {took:?}, {next} answered {gap:?} after the signal: {seen:?}");
    assert_eq!(seen.double, 0, "{seen:?}");
    // Without a hand-over it would be the 5 s of a member Lease.
    assert!(gap < ms(3000), "{gap:?}");
}

fn many() {
    let bed = cluster(3, "spread");
    let names: Vec<String> = (0..MANY).map(|number| format!("web{number}")).collect();
    let begin = clock::now();
    let objects = names.iter().flat_map(|name| objects(name, &json!({}), &["node1"])).collect::<Vec<_>>();
    bed.kubernetes().create_all(&objects);
    let created = clock::now();
    let addresses = wait("each has an address", SOON, || {
        let all = bed.kubernetes().get("/api/v1/namespaces/default/services")?;
        let addresses: Vec<IpAddr> = all["items"].as_array()?.iter().filter_map(ingress).collect();
        (addresses.len() == names.len()).then_some(addresses)
    });
    let given = clock::now();
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), names.len(), "each has its own");
    let owners = wait("each is answered for", SOON, || {
        let owners = asked(&bed, &addresses);
        (owners.len() == addresses.len()).then_some(owners)
    });
    let answered = clock::now();
    eprintln!(
        "{MANY} Services created in {:?}; all had an address {:?} after the last, all were answered for {:?} after it",
        created - begin,
        given - created,
        answered - created
    );
    assert!(owners.values().all(|macs| macs.len() == 1), "two answer for one");
    let mut shares: BTreeMap<Mac, usize> = BTreeMap::new();
    owners.values().flatten().for_each(|mac| *shares.entry(*mac).or_default() += 1);
    assert!(shares.len() == 3 && shares.values().all(|share| *share > MANY / 6), "{shares:?}");
    assert!(answered - created < ms(3000), "{:?}", answered - created);
}

fn endpoints() {
    let bed = cluster(3, "spread");
    let local = json!({ "externalTrafficPolicy": "Local" });
    create_with(&bed, "web", &local, &["node2"]);
    let address = wait("it has an address", SOON, || ingress(&bed.kubernetes().get(&service_path("web"))?));
    let owner = |wanted: &str| {
        wait(&format!("{wanted} answers"), SOON, || {
            let owners = asked(&bed, &[address]);
            let macs = owners.get(&address)?;
            (macs.len() == 1 && host_of(&bed, *macs.first()?) == wanted).then_some(())
        });
    };
    owner("node2");
    bed.kubernetes().replace(&slice_path("web"), &slice("web", &["node3"]));
    owner("node3");
    bed.kubernetes().replace(&slice_path("web"), &slice("web", &[]));
    wait("nobody answers without endpoints", SOON, || asked(&bed, &[address]).is_empty().then_some(()));
    assert!(
        ingress(&bed.kubernetes().get(&service_path("web")).unwrap()).is_some(),
        "the address is still its own"
    );
}

fn filtered() {
    let mut bed = cluster(2, "spread");
    create_with(&bed, "web", &json!({ "loadBalancerSourceRanges": ["10.77.0.0/24"] }), &["node1"]);
    let address = wait("it has an address", SOON, || ingress(&bed.kubernetes().get(&service_path("web"))?));
    let (owner, _) = answered(&bed, address);
    let node = number(&bed, &owner);
    let table = table(&bed, node);
    assert!(table.contains(&address.to_string()), "{table}");
    assert_eq!(bed.terminate(node).0.code(), Some(0));
    assert_eq!(self::table(&bed, node), "", "what it has made is gone with it");
}

fn carried() {
    let bed = cluster(1, "spread");
    let map = "service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }";
    nft(&bed, 0, &["add table ip kube-proxy; add chain ip kube-proxy web; add map ip kube-proxy", map]);
    let (address, _) = created(&bed, "web");
    let waits = || told(&bed, 0, &["explain", "service", "default/web"])["addresses"][0]["notes"].clone();
    wait("it is said to wait", SOON, || waits().to_string().contains("kube-proxy").then_some(()));
    assert_eq!(asked(&bed, &[address]), [].into(), "nobody would carry its packets on");
    nft(&bed, 0, &[&format!("add element ip kube-proxy service-ips {{ {address} . tcp . 80 : goto web }}")]);
    answered(&bed, address);
    assert_eq!(waits(), json!([]));
}

/// Our table in the kernel of a node.
fn table(bed: &Bed, node: usize) -> String {
    nft(bed, node, &["list table inet vipcast"])
}

/// What the kernel of a node says to this.
fn nft(bed: &Bed, node: usize, words: &[&str]) -> String {
    let mut nft = bed.lan.nodes[node].namespace.command(&in_path("nft").unwrap()).unwrap();
    let output = nft.arg(words.join(" ")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Nodes whose daemons announce Services and no control plane.
pub(super) fn cluster(nodes: usize, distribution: &str) -> Bed {
    cluster_with(nodes, distribution, &[])
}

pub(super) fn cluster_with(nodes: usize, distribution: &str, more: &[(&str, &str)]) -> Bed {
    let mut bed = Bed::real(nodes);
    bed.kubernetes().create("/api/v1/namespaces/kube-system/configmaps", &pool());
    for node in 0..nodes {
        start(&mut bed, node, distribution, more);
    }
    // Whoever comes later takes its share of what there is.
    for (node, member) in (0..nodes).flat_map(|node| (1..=nodes).map(move |member| (node, member))) {
        wait("each node knows all members", SOON, || {
            let known = bed.logged(node, "Services are known");
            let seen = bed.logged(node, "member seen");
            let takes = |line: &Value| line["member"] == format!("node{member}") && line["weight"] == 1;
            (!known.is_empty() && (distribution != "spread" || seen.iter().any(takes))).then_some(())
        });
    }
    bed
}

/// Starts a daemon of such a cluster, with more settings.
pub(super) fn start(bed: &mut Bed, node: usize, distribution: &str, more: &[(&str, &str)]) {
    let usual = [
        ("cp_enable", "false"),
        ("address", ""),
        ("svc_enable", "true"),
        ("vipcast_services_distribution", distribution),
        ("vip_servicesinterface", "eth0"),
    ];
    bed.start(node, &[&usual, more].concat());
}

/// The address of a Service that was created now, and after how long it had it.
fn created(bed: &Bed, name: &str) -> (IpAddr, Duration) {
    create(bed, name);
    let begin = clock::now();
    let address = wait("it has an address", SOON, || ingress(&bed.kubernetes().get(&service_path(name))?));
    (address, clock::now() - begin)
}

fn create(bed: &Bed, name: &str) {
    create_with(bed, name, &json!({}), &["node1"]);
}

pub(super) fn create_with(bed: &Bed, name: &str, more: &Value, nodes: &[&str]) {
    objects(name, more, nodes).iter().for_each(|(path, object)| bed.kubernetes().create(path, object));
}

/// Who answers for an address, once only one does, and after how long.
pub(super) fn answered(bed: &Bed, address: IpAddr) -> (String, Duration) {
    let begin: Instant = clock::now();
    let mac = wait("one node answers", SOON, || {
        let owners = asked(bed, &[address]);
        owners.get(&address).filter(|macs| macs.len() == 1)?.first().copied()
    });
    (host_of(bed, mac), clock::now() - begin)
}

pub(super) fn asked(bed: &Bed, addresses: &[IpAddr]) -> BTreeMap<IpAddr, BTreeSet<Mac>> {
    census::ask(&bed.lan.client, addresses, ms(100))
}

pub(super) fn host_of(bed: &Bed, mac: Mac) -> String {
    bed.lan.nodes.iter().find(|host: &&Host| host.mac == mac).map(|host| host.name.clone()).unwrap()
}

pub(super) fn number(bed: &Bed, name: &str) -> usize {
    bed.lan.nodes.iter().position(|host| host.name == name).unwrap()
}

/// What `vipcast services` says on a node.
fn services(bed: &Bed, node: usize) -> Value {
    told(bed, node, &["services"])
}

/// What a command says on a node.
pub(super) fn told(bed: &Bed, node: usize, words: &[&str]) -> Value {
    let mut command = std::process::Command::new(VIPCAST);
    command.args(words).args(["-o", "json", "--socket"]).arg(bed.socket(&bed.lan.nodes[node].name));
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}: {output:?}"))
}

const MANY: usize = 200;
const FILTERED: &[Needs] = &[Needs::Root, Needs::RealApi, Needs::Program("nsenter"), Needs::Program("nft")];
