//! The laboratory measures what is there: known gaps, known double owners, known cables.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::cable::Cable;
use super::client::Client;
use super::echo::Echo;
use super::lan::Lan;
use super::namespace::Namespace;
use super::observer::Observer;
use super::process::Process;
use super::work_dir::WorkDir;
use crate::clock;

const V4: &str = "10.77.0.100";
const V6: &str = "fd00:77::100";

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn service(text: &str) -> SocketAddr {
    SocketAddr::new(address(text), 7)
}

fn wait_until(what: &str, mut true_now: impl FnMut() -> bool) -> Instant {
    let deadline = clock::now() + Duration::from_secs(10);
    while !true_now() {
        assert!(clock::now() < deadline, "waited in vain until {what}");
        thread::sleep(ms(2));
    }
    clock::now()
}

fn echoes(lan: &Lan, vip: &str) -> Vec<Echo> {
    let nodes = lan.nodes.iter().zip(0..);
    nodes.map(|(node, identity)| Echo::start(node, service(vip), identity).unwrap()).collect()
}

fn observes_two_owners(vip: &str) {
    let lan = Lan::build(2).unwrap();
    let vip = address(vip);
    let mut observer = Observer::start(&lan.observer, vip).unwrap();

    lan.nodes[0].add_address(vip, None).unwrap();
    let one = clock::now();
    wait_until("twenty rounds were answered", || observer.sightings(one, clock::now()).answered >= 20);
    lan.nodes[1].add_address(vip, None).unwrap();
    let two = clock::now();
    wait_until("twenty rounds were answered twice", || observer.sightings(two, clock::now()).double >= 20);
    lan.nodes[0].remove_address(vip).unwrap();
    let three = clock::now();
    wait_until("twenty more were answered", || observer.sightings(three, clock::now()).answered >= 20);

    let (first, second) = (lan.nodes[0].mac, lan.nodes[1].mac);
    let alone = observer.sightings(one, one + ms(200));
    assert_eq!((alone.double, alone.longest_double, alone.owners), (0, ms(0), BTreeSet::from([first])));
    let both = observer.sightings(two, three);
    assert!(both.longest_double >= ms(300), "{both:?}");
    assert_eq!(both.owners, BTreeSet::from([first, second]));
    let after = observer.sightings(three, clock::now());
    assert_eq!((after.double, after.owners), (0, BTreeSet::from([second])));
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn two_owners_of_an_ipv4_address_are_seen() {
    observes_two_owners(V4);
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn two_owners_of_an_ipv6_address_are_seen() {
    observes_two_owners(V6);
}

fn measures_a_gap(vip: &str) {
    let lan = Lan::build(1).unwrap();
    let _echoes = echoes(&lan, vip);
    let (node, vip) = (&lan.nodes[0], vip);
    node.add_address(address(vip), None).unwrap();
    let mut client = Client::start(&lan.client, service(vip)).unwrap();
    let begin = clock::now();
    wait_until("the VIP answers", || client.first_after(begin, |_| true).is_some());

    let before = clock::now();
    thread::sleep(ms(200));
    let gone = clock::now();
    node.remove_address(address(vip)).unwrap();
    thread::sleep(ms(400));
    node.add_address(address(vip), None).unwrap();
    let back = clock::now();
    let silence = back - gone;
    wait_until("the VIP answers again", || client.first_after(back, |_| true).is_some());

    let reach = client.reach(before, clock::now());
    assert_eq!((reach.before, reach.after), (Some(0), Some(0)));
    // The address goes and comes within the netlink calls, which are part of the silence.
    assert!(reach.gap <= silence + ms(150) && reach.gap + ms(150) >= silence, "{silence:?} {reach:?}");
    assert!(reach.lost >= 200, "{reach:?}");
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn a_known_gap_of_an_ipv4_address_is_measured() {
    measures_a_gap(V4);
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn a_known_gap_of_an_ipv6_address_is_measured() {
    measures_a_gap(V6);
}

/// The carrier as the host's kernel reports it in `operstate`, read by netlink's older sibling from inside.
fn has_carrier(namespace: &Namespace) -> bool {
    use futures::TryStreamExt;
    use rtnetlink::packet_route::link::LinkFlags;
    let links = namespace
        .netlink(async |handle| handle.link().get().execute().try_collect::<Vec<_>>().await, "reading links");
    let running = |flags: LinkFlags| flags.contains(LinkFlags::LowerUp);
    links.unwrap().iter().skip(1).all(|link| running(link.header.flags))
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn a_pulled_cable_and_a_lossy_one_lose_traffic_and_differ_in_carrier() {
    let lan = Lan::build(1).unwrap();
    let _echoes = echoes(&lan, V4);
    let node = &lan.nodes[0];
    node.add_address(address(V4), None).unwrap();
    let mut client = Client::start(&lan.client, service(V4)).unwrap();
    for (cable, carrier) in [(Cable::Unplugged, false), (Cable::Lossy, true)] {
        let whole = clock::now();
        wait_until("the VIP answers", || client.first_after(whole, |_| true).is_some());
        lan.cable(node, cable).unwrap();
        wait_until("the carrier is as expected", || has_carrier(&node.namespace) == carrier);
        let pulled = clock::now();
        thread::sleep(ms(300));
        assert_eq!(client.reach(pulled, clock::now()).answerers, BTreeSet::new(), "{cable:?}");
        lan.cable(node, Cable::Plugged).unwrap();
        wait_until("the carrier is back", || has_carrier(&node.namespace));
    }
    let whole = clock::now();
    wait_until("the VIP answers", || client.first_after(whole, |_| true).is_some());
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn an_address_with_a_lifetime_leaves_the_kernel_by_itself() {
    let lan = Lan::build(1).unwrap();
    let node = &lan.nodes[0];
    node.add_address(address(V4), Some(1)).unwrap();
    let added = clock::now();
    assert!(node.addresses().unwrap().contains(&address(V4)));
    let gone = wait_until("it is gone", || !node.addresses().unwrap().contains(&address(V4)));
    assert!(gone - added < Duration::from_secs(3));
}

fn state_of(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn sleeper(namespace: &Namespace, work_dir: &WorkDir) -> Process {
    let mut command = namespace.command(Path::new("/bin/sh")).unwrap();
    command.args(["-c", "echo begun; exec sleep 1000"]);
    Process::spawn("sleeper", command, &work_dir.file("sleeper.log")).unwrap()
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn a_process_lives_in_its_namespace_and_is_frozen_thawed_and_ended() {
    let (namespace, work_dir) = (Namespace::create().unwrap(), WorkDir::create().unwrap());
    let mut process = sleeper(&namespace, &work_dir);
    let network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    let inside = namespace.run(|| network("thread-self")).unwrap();
    assert_eq!(network(&process.pid().to_string()), inside);
    wait_until("it has printed", || process.last_lines(5) == ["begun"]);
    process.stop().unwrap();
    wait_until("it is frozen", || state_of(process.pid()) == Some('T'));
    process.cont().unwrap();
    wait_until("it is thawed", || state_of(process.pid()) == Some('S'));
    process.term().unwrap();
    let status = process.wait(Duration::from_secs(5)).unwrap().expect("it ends");
    assert!(!status.success());
    assert!(process.kill().is_err(), "a dead process cannot be signalled");
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn nothing_is_left_of_a_laboratory() {
    let work_dir = WorkDir::create().unwrap();
    let directory = work_dir.file("");
    let lan = Lan::build(1).unwrap();
    let mut process = sleeper(&lan.nodes[0].namespace, &work_dir);
    process.stop().unwrap();
    let network = std::fs::read_link(format!("/proc/{}/ns/net", process.pid())).unwrap();
    let pid = process.pid();
    drop((process, lan, work_dir));
    assert_eq!(state_of(pid), None);
    assert!(!directory.exists());
    let still_there = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .any(|entry| std::fs::read_link(entry.path().join("ns/net")).is_ok_and(|other| other == network));
    assert!(!still_there);
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn a_process_dies_with_the_thread_that_started_it() {
    let work_dir = WorkDir::create().unwrap();
    let path = &work_dir;
    let pid = thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let process = sleeper(&Namespace::create().unwrap(), path);
            let pid = process.pid();
            std::mem::forget(process);
            pid
        });
        thread.join().unwrap()
    });
    // Nobody reaps it before this process ends: a zombie is as dead as it gets.
    wait_until("it is dead", || matches!(state_of(pid), None | Some('Z')));
}
