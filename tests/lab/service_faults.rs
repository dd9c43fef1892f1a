//! Owners of Service addresses that crash or freeze, and Services that are announced by NDP and by BGP.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use serde_json::json;
use vipcast::clock;
use vipcast::demo::lab::lan::Host;
use vipcast::demo::lab::observer::Observer;
use vipcast::demo::lab::process::Process;

use super::REAL;
use super::bed::{Bed, SLACK, SOON, ms, wait};
use super::objects::{ingress, objects, service_path, slice, slice_path, slice6};
use super::panel::Panel;
use super::services::{answered, asked, cluster, number, start};
use super::support::{Needs, Test, in_path, trial};

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("services::what_a_killed_owner_had_is_taken_by_others_and_never_has_two", REAL, killed),
        trial("services::a_frozen_owner_is_silent_and_stays_so_when_it_wakes", REAL, frozen),
        trial("services::an_ipv6_address_is_answered_for_by_ndp", REAL, ndp),
        trial("services::every_node_announces_an_address_to_a_router", ROUTED, every_node),
    ]
}

fn killed() {
    let mut bed = cluster(2, "spread");
    let (its, victim) = share(&bed);
    let mut panel = Panel::ask(&bed.lan.observer, &its);
    let killed = clock::now();
    bed.daemon(victim).kill().unwrap();
    let taken = taken(&bed, &mut panel, victim, &its) - killed;
    let (double, _) = panel.double(killed, clock::now());
    eprintln!("{} addresses taken after {taken:?}", its.len());
    assert!(double == 0 && taken < LEASE + SLACK, "{double} double rounds, {taken:?}");
}

fn frozen() {
    let mut bed = cluster(2, "spread");
    let (its, victim) = share(&bed);
    let mut panel = Panel::ask(&bed.lan.observer, &its);
    let frozen = clock::now();
    bed.daemon(victim).stop().unwrap();
    taken(&bed, &mut panel, victim, &its);
    thread::sleep(ms(500));
    let woken = clock::now();
    bed.daemon(victim).cont().unwrap();
    let mac = bed.lan.nodes[victim].mac;
    wait("it has its share again", SOON, || {
        let owners = asked(&bed, &its);
        let only = BTreeSet::from([mac]);
        its.iter().all(|address| owners.get(address) == Some(&only)).then_some(())
    });
    let (double, longest) = panel.double(frozen, clock::now());
    let first = panel.said().iter().find(|said| said.at > woken && said.owner == mac).unwrap().at - woken;
    eprintln!("it spoke again {first:?} after it woke");
    assert_eq!((double, longest), (0, Duration::ZERO));
}

fn ndp() {
    let bed = cluster(2, "spread");
    let six = json!({ "ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack" });
    let [service, (slices, _)] = objects("web", &six, &[]);
    bed.kubernetes().create(&service.0, &service.1);
    bed.kubernetes().create(&slices, &slice6("web", &["node1"]));
    let address = wait("it has an address", SOON, || ingress(&bed.kubernetes().get(&service_path("web"))?));
    assert!(address.is_ipv6(), "{address}");
    let mut observer = Observer::start(&bed.lan.observer, address).unwrap();
    let nodes: BTreeSet<_> = bed.lan.nodes.iter().map(|node| node.mac).collect();
    let begin = wait("somebody answers", SOON, || {
        let now = clock::now();
        (observer.sightings(now - ms(100), now).answered > 0).then_some(now)
    });
    thread::sleep(ms(500));
    let seen = observer.sightings(begin, clock::now() - ms(50));
    assert!(seen.answered == seen.rounds && seen.double == 0, "{seen:?}");
    assert!(seen.owners.len() == 1 && seen.owners.is_subset(&nodes), "{seen:?}");
    bed.kubernetes().replace(&slice_path("web"), &slice6("web", &[]));
    wait("nobody answers without endpoints", SOON, || {
        let now = clock::now();
        let seen = observer.sightings(now - ms(200), now - ms(50));
        (seen.rounds > 0 && seen.answered == 0).then_some(())
    });
}

fn every_node() {
    let mut bed = Bed::real(2);
    bed.kubernetes().create("/api/v1/namespaces/kube-system/configmaps", &super::objects::pool());
    let _bird = bird(&bed);
    for node in 0..2 {
        let own = bed.lan.nodes[node].v4.to_string();
        let routed =
            [("vip_arp", "false"), ("bgp_enable", "true"), ("bgp_as", "65001"), ("bgp_routerid", &own)];
        let peer = [("bgp_peeraddress", "10.77.0.2"), ("bgp_peeras", "65000")];
        start(&mut bed, node, "everyNode", &[&routed[..], &peer].concat());
    }
    objects("web", &json!({}), &["node1"])
        .iter()
        .for_each(|(path, object)| bed.kubernetes().create(path, object));
    let address = wait("it has an address", SOON, || ingress(&bed.kubernetes().get(&service_path("web"))?));
    let both: BTreeSet<_> = bed.lan.nodes.iter().map(|node| node.v4.to_string()).collect();
    wait("the router has a path through each node", SOON, || (paths(&bed, address) == both).then_some(()));
    let (status, _) = bed.terminate(0);
    assert_eq!(status.code(), Some(0));
    let other = BTreeSet::from([bed.lan.nodes[1].v4.to_string()]);
    wait("the other path is left", SOON, || (paths(&bed, address) == other).then_some(()));
    bed.kubernetes().replace(&slice_path("web"), &slice("web", &[]));
    wait("there is no path without endpoints", SOON, || paths(&bed, address).is_empty().then_some(()));
}

/// The addresses of some Services that one node has, and which node.
fn share(bed: &Bed) -> (Vec<IpAddr>, usize) {
    let names: Vec<_> = (0..SERVICES).map(|number| format!("web{number}")).collect();
    let all: Vec<_> = names.iter().flat_map(|name| objects(name, &json!({}), &["node1"])).collect();
    bed.kubernetes().create_all(&all);
    let addresses: Vec<_> = names
        .iter()
        .map(|name| wait("it has an address", SOON, || ingress(&bed.kubernetes().get(&service_path(name))?)))
        .collect();
    let owners: Vec<_> = addresses.iter().map(|&address| number(bed, &answered(bed, address).0)).collect();
    let victim = owners[0];
    let its = addresses.into_iter().zip(owners).filter(|(_, owner)| *owner == victim);
    (its.map(|(address, _)| address).collect(), victim)
}

/// When the last of `its` was announced by another than `victim`.
fn taken(bed: &Bed, panel: &mut Panel, victim: usize, its: &[IpAddr]) -> std::time::Instant {
    let begin = clock::now();
    let others: Vec<_> =
        bed.lan.nodes.iter().map(|node| node.mac).filter(|mac| *mac != bed.lan.nodes[victim].mac).collect();
    wait("others announce what it had", SOON, || {
        let mut first = panel.first(begin, &others);
        first.retain(|address, _| its.contains(address));
        (first.len() == its.len()).then(|| first.into_values().max()).flatten()
    })
}

/// A router on the host of the API server that waits for the nodes.
fn bird(bed: &Bed) -> Process {
    let session = |node: &Host| {
        let Host { name, v4, .. } = node;
        format!(
            "protocol bgp {name} {{ local 10.77.0.2 as 65000; neighbor {v4} as 65001; passive on; ipv4 {{ import all; export none; }}; }}\n"
        )
    };
    let sessions: String = bed.lan.nodes.iter().map(session).collect();
    let config = format!("router id 10.77.0.2;\nprotocol device {{ }}\n{sessions}");
    let config = bed.directory.write("bird.conf", &config).unwrap();
    let mut command = bed.lan.api.namespace.command(&in_path("bird").unwrap()).unwrap();
    command.args(["-f", "-c"]).arg(config).arg("-s").arg(bed.directory.file("bird.ctl"));
    Process::spawn("bird", command, &bed.directory.file("bird.log")).unwrap()
}

/// Through which nodes the router reaches an address.
fn paths(bed: &Bed, address: IpAddr) -> BTreeSet<String> {
    let mut command = std::process::Command::new(in_path("birdc").unwrap());
    command.arg("-s").arg(bed.directory.file("bird.ctl"));
    let shown = command.args(["show", "route", &format!("{address}/32")]).output().unwrap();
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    text.lines()
        .filter_map(|line| Some(line.trim().strip_prefix("via ")?.split(' ').next()?.to_owned()))
        .collect()
}

const SERVICES: usize = 12;
/// Until others may take over, and write that they do.
const LEASE: Duration = ms(5000);
const ROUTED: &[Needs] = &[
    Needs::Root,
    Needs::RealApi,
    Needs::Program("nsenter"),
    Needs::Program("bird"),
    Needs::Program("birdc"),
];
