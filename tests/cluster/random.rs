//! A day in little: random events, each followed by the question who owns the VIP, and at the end what is left behind.
//!
//! The seed is printed; `VIPCAST_SEED=…` repeats a run, `VIPCAST_EVENTS=…` says how many there are.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use vipcast::clock;
use vipcast::demo::lab::sys::Signal;

use super::bed::{Bed, Cable, Node, Remains, Service, VIP, host, ms};
use super::shared::Shared;
use super::span::Span;
use super::support::{Test, on_request, trial};
use super::{CLUSTER, daemonset, rival};

pub(crate) fn all(cluster: &Shared) -> Vec<Test> {
    let few = "ten_random_events_leave_one_owner_each_time_and_nothing_at_the_end";
    let many = "soak_of_two_hundred_random_events";
    vec![
        trial(few, CLUSTER, cluster.scenario(|bed| run(bed, 10, Extent::Short))),
        on_request(many, CLUSTER, cluster.scenario(|bed| run(bed, 200, Extent::Whole))),
    ]
}

/// What can happen in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    KubeletKilled,
    ContainerdKilled,
    KubeProxyKilled,
    ContainerKilled,
    DaemonFrozen,
    ManifestRemoved,
    CableUnplugged,
    CableLossy,
    ApiServerKilled,
    QuorumLost,
    CertificatesRenewed,
    Drained,
    RivalInBetween,
    /// Minutes each, and with conditions of their own on what the client sees.
    NodeReset,
    DaemonSetInBetween,
    ForeignKubeconfigs,
}

/// Which events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Those of seconds.
    Short,
    /// All of them, those of seconds twice as often.
    Whole,
}

/// To whom an event happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Holder,
    /// One of the others.
    Standby(usize),
}

fn run(bed: &Bed, count: usize, extent: Extent) {
    let seed = number("VIPCAST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let count = number("VIPCAST_EVENTS").map_or(count, |count| count.try_into().unwrap());
    eprintln!("VIPCAST_SEED={seed} VIPCAST_EVENTS={count}");
    rival::load(bed);
    let before = state(bed);
    let begin = Span::begin(bed);
    for (n, (event, victim)) in plan(seed, count, extent).into_iter().enumerate() {
        let node = chosen(bed, victim);
        let span = Span::begin(bed);
        event.happen(bed, node);
        // One owner on the wire, who is the holder of the Lease and alone has the VIP in its kernel; every pod ready.
        bed.settle_within(PATIENCE);
        assert_eq!(bed.in_kernel(), [bed.holder()].into(), "VIPCAST_SEED={seed}: after {event:?} on n{node}");
        let seen = span.tell(&format!("{:>3}. {event:?} on n{node}, {victim:?}", n + 1));
        assert_eq!(seen.double, 0, "VIPCAST_SEED={seed}: two owners after {event:?} on n{node}");
        if let Some(most) = event.longest_gap() {
            assert!(
                seen.gap <= most,
                "VIPCAST_SEED={seed}: away for {:?} after {event:?} on n{node}",
                seen.gap
            );
        }
    }
    let after = state(bed);
    eprintln!(
        "{count} events in {:.0?}: Events {} -> {}, resident {:?} -> {:?}",
        clock::now() - begin.begin,
        before.remains.events,
        after.remains.events,
        before.resident,
        after.resident
    );
    left_behind(&before, &after, count);
}

/// The order of events: each kind before any comes again.
fn plan(seed: u64, count: usize, extent: Extent) -> Vec<(Event, Victim)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut plan = Vec::new();
    while plan.len() < count {
        let mut bag = match extent {
            Extent::Short => SECONDS.to_vec(),
            Extent::Whole => [&SECONDS[..], &SECONDS, &MINUTES].concat(),
        };
        random.shuffle(&mut bag);
        plan.extend(bag.into_iter().map(|event| {
            let victim = if random.bool() { Victim::Holder } else { Victim::Standby(random.usize(..16)) };
            (event, victim)
        }));
    }
    plan.truncate(count);
    plan
}

fn chosen(bed: &Bed, victim: Victim) -> Node {
    let holder = bed.holder();
    match victim {
        Victim::Holder => holder,
        Victim::Standby(n) => bed.others(holder)[n % (bed.nodes().len() - 1)],
    }
}

impl Event {
    /// Begins, lasts for a few seconds where it is a condition, and is over.
    fn happen(self, bed: &Bed, node: Node) {
        match self {
            Self::KubeletKilled => bed.kill_service(node, Service::Kubelet),
            Self::ContainerdKilled => bed.kill_service(node, Service::Containerd),
            Self::KubeProxyKilled => bed.kill_service(node, Service::KubeProxy),
            Self::ContainerKilled => bed.kill_daemon(node),
            Self::DaemonFrozen => frozen(bed, node),
            Self::ManifestRemoved => {
                let daemon = bed.daemon(node);
                bed.remove_manifest(node);
                super::bed::wait("our container has ended", PATIENCE, || (!daemon.lives()).then_some(()));
                bed.restore_manifest(node);
            }
            Self::CableUnplugged => cut_off(bed, node, Cable::Unplugged),
            Self::CableLossy => cut_off(bed, node, Cable::Lossy),
            Self::ApiServerKilled => bed.process(node, "kube-apiserver").unwrap().signal(Signal::Kill),
            Self::QuorumLost => {
                let lost = bed.others(node);
                bed.freeze_etcd(&lost);
                sleep(CONDITION);
                bed.thaw_etcd(&lost);
            }
            Self::CertificatesRenewed => drop(bed.exec(node, &["kubeadm", "certs", "renew", "all"])),
            Self::Drained => {
                bed.kubectl(&["drain", &host(node), "--ignore-daemonsets", "--delete-emptydir-data"]);
                bed.kubectl(&["uncordon", &host(node)]);
            }
            Self::RivalInBetween => {
                rival::replace_vipcast(bed, node);
                rival::replace_elector(bed, node);
            }
            Self::NodeReset => {
                bed.reset(node);
                bed.join(node);
            }
            Self::DaemonSetInBetween => daemonset::daemonset(bed),
            Self::ForeignKubeconfigs => daemonset::kubeconfigs(bed),
        }
    }

    /// For which the VIP may be away; nothing where that is another test's business.
    fn longest_gap(self) -> Option<Duration> {
        match self {
            Self::KubeletKilled
            | Self::ContainerdKilled
            | Self::KubeProxyKilled
            | Self::CertificatesRenewed
            | Self::Drained
            | Self::ManifestRemoved => Some(STILL),
            Self::RivalInBetween => Some(RIVAL),
            Self::ContainerKilled
            | Self::DaemonFrozen
            | Self::CableUnplugged
            | Self::CableLossy
            | Self::ApiServerKilled => Some(LEASE + ms(1000)),
            Self::QuorumLost => Some(CONDITION + RECOVERY),
            Self::NodeReset | Self::DaemonSetInBetween | Self::ForeignKubeconfigs => None,
        }
    }
}

fn frozen(bed: &Bed, node: Node) {
    let daemon = bed.daemon(node);
    daemon.signal(Signal::Stop);
    sleep(CONDITION);
    daemon.signal(Signal::Continue);
}

fn cut_off(bed: &Bed, node: Node, cable: Cable) {
    bed.cable(node, cable);
    sleep(CONDITION);
    bed.cable(node, Cable::Plugged);
}

/// What would show that something is left behind.
#[derive(Debug)]
struct State {
    remains: Remains,
    /// Of each node: tables, routing rules and addresses, without the VIP.
    network: BTreeMap<Node, String>,
    /// Of our process on each node, in KiB.
    resident: BTreeMap<Node, u64>,
}

fn state(bed: &Bed) -> State {
    let network = |node: &Node| {
        let ask = format!("nft list tables; ip rule; ip -6 rule; ip -o addr show dev eth0 | grep -v {VIP}");
        (*node, bed.exec(*node, &["bash", "-c", &ask]))
    };
    State {
        remains: bed.remains(),
        network: bed.nodes().iter().map(network).collect(),
        resident: bed.nodes().iter().map(|node| (*node, bed.daemon(*node).resident() / 1024)).collect(),
    }
}

fn left_behind(before: &State, after: &State, count: usize) {
    assert_eq!(after.remains.vips.len(), 1, "{after:?}");
    assert_eq!(after.remains.leases, before.remains.leases);
    assert_eq!(after.network, before.network);
    let most = before.remains.events + EVENTS_EACH * count;
    assert!(after.remains.events <= most, "{} Events", after.remains.events);
    let flat = before.resident.values().max().unwrap() + GROWTH;
    assert!(after.resident.values().all(|resident| *resident <= flat), "{:?}", after.resident);
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|value| value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

const SECONDS: [Event; 13] = [
    Event::KubeletKilled,
    Event::ContainerdKilled,
    Event::KubeProxyKilled,
    Event::ContainerKilled,
    Event::DaemonFrozen,
    Event::ManifestRemoved,
    Event::CableUnplugged,
    Event::CableLossy,
    Event::ApiServerKilled,
    Event::QuorumLost,
    Event::CertificatesRenewed,
    Event::Drained,
    Event::RivalInBetween,
];
const MINUTES: [Event; 3] = [Event::NodeReset, Event::DaemonSetInBetween, Event::ForeignKubeconfigs];
const LEASE: Duration = Duration::from_secs(5);
/// How long a condition lasts: longer than a lease duration.
const CONDITION: Duration = ms(6500);
/// Two cores carry the whole cluster.
const STILL: Duration = ms(500);
/// client-go asks once in a retry period of a second, give or take a fifth.
const RIVAL: Duration = ms(1800);
/// An election of etcd's among members on two cores that have all just been woken, before our own.
const RECOVERY: Duration = ms(6000);
/// A container that was killed twice within ten minutes is started later each time.
const PATIENCE: Duration = Duration::from_secs(360);
/// Event objects that an event may leave for the hour that Kubernetes keeps them.
const EVENTS_EACH: usize = 4;
/// In KiB.
const GROWTH: u64 = 4096;
