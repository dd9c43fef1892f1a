//! The same cases with BIRD and with FRR.

use std::thread::sleep;
use std::time::Duration;

use vipcast::bfd::{Hops, Report, Session, SessionConfig};
use vipcast::clock;
use vipcast::demo::lab::cable::Cable;
use vipcast_proto::bfd::rejected::Rejected;
use vipcast_proto::bfd::session::Verdict;
use vipcast_proto::bfd::types::{Diagnostic, State};

use crate::bed::{Bed, Family, timers, wait_report, wait_up};
use crate::router::{Kind, Neighbor, Router, Seen};
use crate::support::{Needs, Test, trial};

pub(crate) fn all() -> Vec<Test> {
    let mut tests = Vec::new();
    for kind in Kind::ALL {
        for family in Family::ALL {
            let mut add = |name: &str, case: fn(Kind, Family)| {
                let name = format!("{}_{}_{name}", kind.name(), family.name());
                tests.push(trial(name, kind.needs(), move || case(kind, family)));
            };
            add("negotiates_timers", negotiates_timers);
            add("notices_a_cut_and_its_end", notices_a_cut_and_its_end);
            add("learns_of_our_admin_down", learns_of_our_admin_down);
        }
        let mut add = |name: &str, needs: &[Needs], case: fn(Kind)| {
            let needs: Vec<Needs> = kind.needs().iter().chain(needs).copied().collect();
            tests.push(trial(format!("{}_{name}", kind.name()), &needs, move || case(kind)));
        };
        add("is_killed_and_comes_back", &[], is_killed_and_comes_back);
        add("follows_timers_that_change_while_up", &[], follows_timers_that_change_while_up);
        add("is_watched_across_a_router", &[Needs::Program("ip")], is_watched_across_a_router);
        add("is_told_of_a_removal", &[], is_told_of_a_removal);
    }
    for family in Family::ALL {
        let name = format!("frr_{}_admin_down_is_no_failure_of_the_path", family.name());
        tests.push(trial(name, Kind::Frr.needs(), move || its_admin_down_is_no_failure(family)));
    }
    tests
}

/// Both 100 ms × 3, Up on both sides.
fn established(kind: Kind, family: Family) -> (Bed, Router, Session) {
    let bed = Bed::new();
    let router = kind.start(bed.router(), direct(&bed, family));
    let session = bed.session(family, timers(100, 100, 3));
    wait_up(&session);
    router.wait_seen("the router is up", |seen| seen.up);
    (bed, router, session)
}

fn direct(bed: &Bed, family: Family) -> Neighbor {
    Neighbor { address: family.of(bed.node()), local: family.of(bed.router()), multihop: false }
}

fn negotiates_timers(kind: Kind, family: Family) {
    let bed = Bed::new();
    let router = kind.start(bed.router(), direct(&bed, family));
    let session = bed.session(family, timers(200, 150, 4));
    let expected = Seen { up: true, interval: 150 * MILLI, detection_time: 800 * MILLI };
    router.wait_seen("the router has our timers", |seen| *seen == expected);
    let negotiated = |report: &Report| {
        let status = report.status;
        (status.state, status.transmit_interval, status.detection_time)
            == (State::Up, Some(200 * MILLI), Some(450 * MILLI))
    };
    wait_report("we have the router's timers", &session.reports(), negotiated);
    // Three of our detection times, and more than the router's.
    sleep(1500 * MILLI);
    assert_eq!(router.seen(), Some(expected));
    assert!(negotiated(&session.report()) && session.report().status.failures == 0, "{session:?}");
    assert_eq!(session.report().trouble, None);
}

fn notices_a_cut_and_its_end(kind: Kind, family: Family) {
    let (bed, router, session) = established(kind, family);
    let fast = |report: &Report| report.status.detection_time == Some(300 * MILLI);
    wait_report("the router has its fast timers", &session.reports(), fast);
    let before = clock::now();
    bed.lan.cable(bed.router(), Cable::Lossy).unwrap();
    let after = clock::now();
    let failed = |report: &Report| report.status.verdict == Verdict::Failed;
    let report = wait_report("the cut is noticed", &session.reports(), failed);
    // The last packet may have been an interval old.
    let took = [report.since - before, report.since.saturating_duration_since(after)];
    assert!(took[0] >= 190 * MILLI && took[1] <= 300 * MILLI + MARGIN, "{took:?}");
    assert_eq!(
        (report.status.failures, report.status.diagnostic),
        (1, Diagnostic::ControlDetectionTimeExpired)
    );
    router.wait_seen("the router has noticed as well", |seen| !seen.up);

    bed.lan.cable(bed.router(), Cable::Plugged).unwrap();
    wait_up(&session);
    router.wait_seen("the router is up again", |seen| seen.up);
    assert_eq!(session.report().status.failures, 1);
}

fn learns_of_our_admin_down(kind: Kind, family: Family) {
    let (_bed, router, session) = established(kind, family);
    session.admin_down();
    let off = |report: &Report| report.status.verdict == Verdict::AdminDown;
    wait_report("we are off", &session.reports(), off);
    // At once, and not after the detection time.
    router.wait_seen("the router is down", |seen| !seen.up);
    session.admin_up();
    wait_up(&session);
    router.wait_seen("the router is up again", |seen| seen.up);
    assert_eq!(session.report().status.failures, 0);
}

fn its_admin_down_is_no_failure(family: Family) {
    let (_bed, router, session) = established(Kind::Frr, family);
    router.set_shutdown(true);
    let off = |report: &Report| report.status.verdict == Verdict::AdminDown;
    let report = wait_report("the router is off", &session.reports(), off);
    let status = report.status;
    assert_eq!((status.state, status.remote_state, status.failures), (State::Down, State::AdminDown, 0));
    assert_eq!(status.diagnostic, Diagnostic::NeighborSignaledSessionDown);
    router.set_shutdown(false);
    wait_up(&session);
    assert_eq!(session.report().status.failures, 0);
}

fn is_killed_and_comes_back(kind: Kind) {
    let (bed, mut router, session) = established(kind, Family::V4);
    router.kill();
    let failed = |report: &Report| report.status.verdict == Verdict::Failed;
    wait_report("its end is noticed", &session.reports(), failed);
    router.start(bed.router());
    wait_up(&session);
    router.wait_seen("the new router is up", |seen| seen.up);
    assert_eq!(session.report().status.failures, 1);
    assert_eq!(session.report().trouble, None);
}

/// Slower, then faster, each by a Poll Sequence: nobody mistakes it for a failure.
fn follows_timers_that_change_while_up(kind: Kind) {
    let (_bed, router, session) = established(kind, Family::V4);
    for (ours, ms) in [(timers(400, 300, 3), [400, 300]), (timers(100, 100, 3), [100, 100])] {
        session.configure(ours);
        let [tx, rx] = ms.map(|ms| ms * MILLI);
        let expected = Seen { up: true, interval: rx, detection_time: 3 * tx };
        router.wait_seen("the router follows", |seen| *seen == expected);
        let followed = |report: &Report| {
            let status = report.status;
            (status.transmit_interval, status.detection_time) == (Some(tx), Some(3 * rx))
        };
        wait_report("so do we", &session.reports(), followed);
        sleep(1000 * MILLI);
        assert_eq!(router.seen(), Some(expected));
    }
    assert_eq!(session.report().status.failures, 0);
}

/// One hop less than what was sent is enough, and no more than that. RFC 5883 leaves open with which TTL packets leave.
fn is_watched_across_a_router(kind: Kind) {
    let bed = Bed::new();
    let (node, router, middle) = (bed.node(), bed.router(), &bed.lan.observer);
    let [far, near] = ["198.51.100.2", "198.51.100.11"];
    let setup = |host: &vipcast::demo::lab::lan::Host, script: String| {
        let run = || std::process::Command::new("sh").args(["-ec", &script]).status().unwrap();
        assert!(host.namespace.run(run).unwrap().success(), "{script}");
    };
    let quiet = "for f in all eth0; do echo 0 >/proc/sys/net/ipv4/conf/$f/send_redirects; done";
    setup(
        middle,
        format!(
            "{quiet}; echo 1 >/proc/sys/net/ipv4/ip_forward
             ip route add {far}/32 via {}; ip route add {near}/32 via {}",
            router.v4, node.v4
        ),
    );
    for (host, own, other) in [(node, near, far), (router, far, near)] {
        setup(
            host,
            format!("ip addr add {own}/32 dev lo; ip route add {other}/32 via {} src {own}", middle.v4),
        );
    }
    let [far, near] = [far, near].map(|address| address.parse().unwrap());
    let neighbor = Neighbor { address: near, local: far, multihop: true };
    let left = match kind {
        Kind::Bird => 63,
        Kind::Frr => 254,
    };
    let kind = kind.start(router, neighbor);
    let add = |minimum_ttl| {
        let hops = Hops::Multiple { minimum_ttl };
        let timers = timers(100, 100, 3);
        bed.bfd.add(SessionConfig { remote: far, local: Some(near), interface: None, hops, timers }).unwrap()
    };
    let session = add(left);
    wait_up(&session);
    kind.wait_seen("the router is up", |seen| seen.up);
    drop(session);

    let strict = add(left + 1);
    sleep(2500 * MILLI);
    assert_eq!(strict.report().status.state, State::Down);
    let ttl = bed.bfd.stats().counted().rejected[Rejected::TimeToLive.index()];
    assert!(ttl > 0, "{:?}", bed.bfd.stats().counted());
}

/// The router goes down because it was told, not because it noticed.
fn is_told_of_a_removal(kind: Kind) {
    let (_bed, router, session) = established(kind, Family::V4);
    drop(session);
    router.wait_seen("the router is down", |seen| !seen.up);
    assert!(router.was_told(), "{}", router.log());
}

const MILLI: Duration = Duration::from_millis(1);
/// For a machine that does other things as well.
const MARGIN: Duration = Duration::from_millis(60);
