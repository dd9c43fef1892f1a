//! When a peer is told what.

use std::sync::Arc;
use std::time::{Duration, Instant};

use vipcast_proto::bgp::adj_rib_out::{AdjRibOut, Batch, Policy, Snapshot};
use vipcast_proto::bgp::types::Family;
use vipcast_proto::bgp::wire::AsNumbers;

use crate::peer::{Heard, Peer};
use crate::rig::{export, external, prefix, snapshot};

#[test]
fn nothing_is_said_before_it_is_known_what_is_originated() {
    let t0 = Instant::now();
    let mut rib = adj_rib_out();
    assert_eq!((rib.take(t0), rib.deadline(), rib.is_settled()), (None, None, false));
    rib.want(Arc::default());
    assert_eq!(heard(rib.take(t0)), [Heard::EndOfRib(V4), Heard::EndOfRib(V6)]);
    assert_eq!((rib.take(t0 + WINDOW), rib.deadline(), rib.is_settled()), (None, None, true));
}

#[test]
fn a_new_peer_hears_everything_and_then_the_end_of_each_family() {
    let t0 = Instant::now();
    let mut rib = adj_rib_out();
    rib.want(routes(&["10.0.0.1/32", "10.0.0.2/32", "2001:db8::1/128"]));
    let batch = rib.take(t0).unwrap();
    assert_eq!((batch.updates, batch.announced, batch.withdrawn), (4, 3, 0));
    let expected = [
        announced("10.0.0.1/32"),
        announced("10.0.0.2/32"),
        announced("2001:db8::1/128"),
        Heard::EndOfRib(V4),
        Heard::EndOfRib(V6),
    ];
    assert_eq!(heard(Some(batch)), expected);
}

#[test]
fn routes_that_are_left_out_are_known_though_nothing_is_said_of_them() {
    let t0 = Instant::now();
    let (plain, verbose) =
        (Policy::default(), Policy { communities: (0..1100).collect(), ..Policy::default() });
    let mut rib = settled(t0);
    rib.want(routes(&["10.0.0.1/32"]));
    assert_eq!(heard(rib.take(t0 + WINDOW)), [announced("10.0.0.1/32")]);
    let more = [("10.0.0.1/32", &plain), ("10.0.0.2/32", &verbose)];
    rib.want(snapshot(&more, &export(&external(), Policy::default())));
    assert_eq!((rib.take(t0 + 2 * WINDOW), rib.is_settled()), (None, true));
    assert_eq!(rib.known().omitted().iter().map(|omitted| omitted.routes).sum::<usize>(), 1);
}

#[test]
fn the_first_change_goes_at_once_and_those_that_follow_go_together() {
    let t0 = Instant::now();
    let mut rib = settled(t0);
    let now = t0 + WINDOW;
    rib.want(routes(&["10.0.0.1/32"]));
    assert_eq!(heard(rib.take(now)), [announced("10.0.0.1/32")]);
    rib.want(routes(&["10.0.0.1/32", "10.0.0.2/32"]));
    assert_eq!((rib.take(now), rib.deadline()), (None, Some(now + WINDOW)));
    rib.want(routes(&["10.0.0.2/32", "10.0.0.3/32"]));
    assert_eq!(rib.take(now + WINDOW - TICK), None);
    let both = rib.take(now + WINDOW).unwrap();
    assert_eq!((both.updates, both.announced, both.withdrawn), (2, 2, 1));
    let mut peer = Peer::new(AsNumbers::FourOctets);
    rib_octets(&settled_batch("10.0.0.1/32", t0), &mut peer);
    peer.heard.clear();
    rib_octets(&both, &mut peer);
    let withdrawn = Heard::Withdrawn(prefix("10.0.0.1/32"));
    assert_eq!(peer.heard, [withdrawn, announced("10.0.0.2/32"), announced("10.0.0.3/32")]);
}

#[test]
fn a_change_that_is_taken_back_within_the_window_is_never_heard() {
    let t0 = Instant::now();
    let mut rib = settled(t0);
    let now = t0 + WINDOW;
    rib.want(routes(&["10.0.0.1/32"]));
    let _ = rib.take(now);
    rib.want(routes(&[]));
    rib.want(routes(&["10.0.0.1/32"]));
    // Nobody wakes up for it either.
    assert_eq!((rib.deadline(), rib.is_settled()), (None, true));
    assert_eq!((rib.take(now + WINDOW), rib.deadline(), rib.is_settled()), (None, None, true));
}

#[test]
fn one_who_is_leaving_does_not_wait() {
    let t0 = Instant::now();
    let mut rib = settled(t0);
    rib.want(routes(&["10.0.0.1/32"]));
    assert_eq!(rib.take(t0), None);
    rib.hurry();
    assert_eq!(heard(rib.take(t0)), [announced("10.0.0.1/32")]);
}

#[test]
fn a_refresh_says_everything_of_a_family_again_within_its_bounds() {
    for (enhanced, bounds) in [(true, (vec![borr()], vec![eorr()])), (false, (vec![], vec![]))] {
        let t0 = Instant::now();
        let mut rib = adj_rib_out();
        rib.want(routes(&["10.0.0.1/32", "2001:db8::1/128"]));
        let _ = rib.take(t0);
        rib.resend(V4, enhanced);
        rib.resend(V4, enhanced);
        let again = heard(rib.take(t0 + WINDOW));
        assert_eq!(again, [bounds.0, vec![announced("10.0.0.1/32")], bounds.1].concat());
        assert!(rib.is_settled());
    }
}

#[test]
fn a_refresh_before_the_first_dump_comes_after_its_end_of_rib() {
    let t0 = Instant::now();
    let mut rib = adj_rib_out();
    rib.resend(V4, true);
    rib.want(routes(&["10.0.0.1/32"]));
    let route = announced("10.0.0.1/32");
    let expected = [route.clone(), Heard::EndOfRib(V4), Heard::EndOfRib(V6), borr(), route, eorr()];
    assert_eq!(heard(rib.take(t0)), expected);
}

#[test]
fn a_refresh_of_nothing_is_empty_within_its_bounds() {
    let t0 = Instant::now();
    let mut rib = settled(t0);
    rib.resend(V6, true);
    let v6 = |subtype| Heard::Boundary(V6, subtype);
    assert_eq!(heard(rib.take(t0 + WINDOW)), [v6(1), v6(2)]);
}

#[test]
fn what_the_peer_knows_is_what_was_taken_and_not_what_is_wanted() {
    let t0 = Instant::now();
    let mut rib = settled(t0);
    let wanted = routes(&["10.0.0.1/32"]);
    rib.want(wanted.clone());
    assert_eq!(rib.known().len(), 0);
    let _ = rib.take(t0 + WINDOW);
    assert_eq!(**rib.known(), *wanted);
}

fn adj_rib_out() -> AdjRibOut {
    AdjRibOut::new([V4, V6].into(), WINDOW)
}

/// A peer that knows that there is nothing.
fn settled(now: Instant) -> AdjRibOut {
    let mut rib = adj_rib_out();
    rib.want(Arc::default());
    assert_eq!(heard(rib.take(now)).len(), 2);
    rib
}

fn settled_batch(text: &str, now: Instant) -> Batch {
    let mut rib = adj_rib_out();
    rib.want(routes(&[text]));
    rib.take(now).unwrap()
}

fn routes(texts: &[&str]) -> Arc<Snapshot> {
    let policy = Policy::default();
    let routes: Vec<_> = texts.iter().map(|text| (*text, &policy)).collect();
    snapshot(&routes, &export(&external(), Policy::default()))
}

fn heard(batch: Option<Batch>) -> Vec<Heard> {
    let mut peer = Peer::new(AsNumbers::FourOctets);
    rib_octets(&batch.unwrap(), &mut peer);
    peer.heard
}

fn rib_octets(batch: &Batch, peer: &mut Peer) {
    batch.octets.iter().for_each(|octets| peer.read(octets));
}

fn announced(text: &str) -> Heard {
    Heard::Announced(prefix(text))
}

fn borr() -> Heard {
    Heard::Boundary(V4, 1)
}

fn eorr() -> Heard {
    Heard::Boundary(V4, 2)
}

const V4: Family = Family::IPV4_UNICAST;
const V6: Family = Family::IPV6_UNICAST;
const WINDOW: Duration = Duration::from_millis(20);
const TICK: Duration = Duration::from_nanos(1);
