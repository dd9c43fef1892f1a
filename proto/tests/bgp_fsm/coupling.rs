//! What BFD and graceful restart do to a session, and how it is stopped.

use std::time::Instant;

use vipcast_proto::bgp::fsm::{
    Action, Bfd, Cease, Config, DownReason, Event, Outgoing, Restart, RoutesAfter, Session, State, Stop,
};
use vipcast_proto::bgp::types::{Capability, Family, GracefulRestart, Message};

use crate::rig::{
    bring_to, closed, config, down, failed, keepalive_received, notification, received_open_of_helper, secs,
    session_in, tell,
};

#[test]
fn a_session_that_bfd_took_down_is_tried_again_when_bfd_is_back_or_after_a_while() {
    let t0 = Instant::now();
    let mut session = session_in(State::Established, config(), t0);
    let _ = session.handle(t0, Event::BfdUp);
    let lost = t0 + secs(100);
    let actions = session.handle(lost, Event::BfdDown);
    assert_eq!(actions, [tell(6, 10, b""), Action::Close, down(DownReason::BfdDown)]);
    let wait = session.deadline().unwrap() - lost;
    assert!(secs(2) < wait && wait <= secs(3), "{wait:?}");
    assert_eq!(session.handle(lost + secs(1), Event::BfdUp), [Action::Connect]);

    let mut without = session_in(State::Established, config(), t0);
    let _ = without.handle(t0, Event::BfdUp);
    let _ = without.handle(lost, Event::BfdDown);
    let at = without.deadline().unwrap();
    assert_eq!(without.handle(at, Event::Tick), [Action::Connect]);
}

#[test]
fn a_peer_whose_bfd_is_down_is_not_asked_before_ours_may_be_up_again() {
    let t0 = Instant::now();
    let cease = Event::Received(Message::Notification(notification(6, 10, b"")));
    let waits = [Bfd::Followed, Bfd::Ignored].map(|bfd| {
        let mut session = session_in(State::Established, Config { bfd, ..config() }, t0);
        let lost = t0 + secs(100);
        let _ = session.handle(lost, cease.clone());
        session.deadline().is_some_and(|at| at > lost + secs(2)) && session.state() == State::Active
    });
    assert_eq!(waits, [true, false]);
}

#[test]
fn bfd_that_was_switched_off_cannot_take_the_session_down() {
    let t0 = Instant::now();
    let mut session = session_in(State::Established, config(), t0);
    for event in [Event::BfdUp, Event::BfdAdminDown, Event::BfdDown, Event::BfdDown] {
        assert_eq!(session.handle(t0, event.clone()), [], "{event:?}");
    }
    assert_eq!(session.state(), State::Established);
}

#[test]
fn bfd_that_nobody_asked_for_is_ignored() {
    let t0 = Instant::now();
    let mut session = session_in(State::Established, Config { bfd: Bfd::Ignored, ..config() }, t0);
    assert_eq!(session.handle(t0, Event::BfdUp), []);
    assert_eq!(session.handle(t0, Event::BfdDown), []);
}

#[test]
fn bfd_that_comes_up_ends_the_wait_once() {
    let t0 = Instant::now();
    let mut session = session_in(State::Active, config(), t0);
    assert_eq!(session.handle(t0, Event::BfdUp), [Action::Connect]);
    assert_eq!(session.handle(t0, Event::BfdUp), []);
    // The wait after it is the longer one: flapping BFD does not begin the count anew.
    assert_eq!(session.handle(t0, failed()), []);
    assert!(session.deadline().unwrap() > t0 + secs(1));
}

#[test]
fn a_strict_session_waits_for_bfd_and_no_longer() {
    let t0 = Instant::now();
    for permission in [Event::BfdUp, Event::BfdAdminDown] {
        let mut session = Session::new(Config { bfd: Bfd::Strict, ..config() }, 7);
        assert_eq!(session.handle(t0, Event::Start), []);
        assert_eq!((session.state(), session.deadline()), (State::Active, None));
        assert_eq!(session.handle(t0, Event::Reachable), []);
        assert_eq!(session.handle(t0, permission), [Action::Connect]);
    }
}

#[test]
fn a_strict_session_gives_up_its_attempt_when_bfd_is_lost() {
    let t0 = Instant::now();
    let mut session = Session::new(Config { bfd: Bfd::Strict, ..config() }, 7);
    let _ = session.handle(t0, Event::BfdUp);
    let _ = session.handle(t0, Event::Start);
    assert_eq!(session.handle(t0, Event::BfdDown), [Action::Close]);
    let at = session.deadline().unwrap();
    assert_eq!(session.handle(at, Event::Tick), []);
    assert_eq!(session.deadline(), None);
    assert_eq!(session.handle(at, Event::BfdUp), [Action::Connect]);
}

#[test]
fn only_what_is_sent_before_the_first_session_says_that_we_restarted() {
    let t0 = Instant::now();
    let config = Config { graceful_restart: Some(RESTART), ..config() };
    let mut session = Session::new(config, 7);
    let _ = session.handle(t0, Event::Start);
    let mut said = vec![offered(&session.handle(t0, Event::TcpConnected))];
    let _ = session.handle(t0, closed());
    said.push(reconnect(&mut session));
    let _ = session.handle(t0, received_open_of_helper(true));
    let _ = session.handle(t0, keepalive_received());
    assert_eq!(session.state(), State::Established);
    let _ = session.handle(t0, closed());
    said.push(reconnect(&mut session));
    let families = vec![(Family::IPV4_UNICAST, true), (Family::IPV6_UNICAST, true)];
    let restart = GracefulRestart { restarting: true, notification: true, restart_time: 120, families };
    let lost = GracefulRestart { restarting: false, ..restart.clone() };
    assert_eq!(said, [restart.clone(), restart, lost]);
}

#[test]
fn the_last_word_decides_what_becomes_of_our_routes() {
    let plain = || Some(tell(6, 2, b"\x05drain"));
    let hard = || Some(tell(6, 9, b"\x06\x02\x05drain"));
    // Whether we ask for graceful restart, whether the peer keeps routes after NOTIFICATIONs, what is wanted.
    let cases = [
        (None, true, RoutesAfter::Go, plain()),
        (None, true, RoutesAfter::Stay, plain()),
        (Some(RESTART), false, RoutesAfter::Go, plain()),
        (Some(RESTART), false, RoutesAfter::Stay, None),
        (Some(RESTART), true, RoutesAfter::Go, hard()),
        (Some(RESTART), true, RoutesAfter::Stay, plain()),
    ];
    for (graceful_restart, notification, routes, told) in cases {
        let t0 = Instant::now();
        let mut session = session_in(State::OpenSent, Config { graceful_restart, ..config() }, t0);
        let _ = session.handle(t0, received_open_of_helper(notification));
        let _ = session.handle(t0, keepalive_received());
        let cease = Cease::AdministrativeShutdown;
        let stop = Stop { cease, communication: "drain".into(), routes };
        let actions = session.handle(t0, Event::Stop(stop));
        let end = [Action::Close, down(DownReason::Stopped(cease))];
        let expected: Vec<_> = told.into_iter().chain(end).collect();
        assert_eq!(actions, expected, "{graceful_restart:?}, N {notification}, {routes:?}");
    }
}

#[test]
fn a_stop_names_its_reason_and_only_shutdown_and_reset_say_more() {
    let cases: [(Cease, &[u8]); 5] = [
        (Cease::AdministrativeShutdown, b"\x05drain"),
        (Cease::PeerDeConfigured, b""),
        (Cease::AdministrativeReset, b"\x05drain"),
        (Cease::OtherConfigurationChange, b""),
        (Cease::BfdDown, b""),
    ];
    for (cease, data) in cases {
        let t0 = Instant::now();
        let mut session = session_in(State::OpenSent, config(), t0);
        let stop = Stop { cease, communication: "drain".into(), routes: RoutesAfter::Go };
        let expected = [tell(6, cease.subcode(), data), Action::Close];
        assert_eq!(session.handle(t0, Event::Stop(stop)), expected);
    }
}

#[test]
fn a_stopped_session_stays_stopped_whatever_bfd_and_time_do() {
    let t0 = Instant::now();
    let mut session = session_in(State::Established, config(), t0);
    let _ = session.handle(t0, crate::rig::stop());
    for event in [Event::Tick, Event::BfdUp, Event::BfdDown, Event::Reachable] {
        assert_eq!(session.handle(t0 + secs(1000), event), []);
    }
    assert_eq!((session.state(), session.deadline()), (State::Idle, None));
    bring_to(State::Connect, &mut session, t0 + secs(1000));
}

/// Makes the next attempt and returns what is offered on it.
fn reconnect(session: &mut Session) -> GracefulRestart {
    let at = session.deadline().unwrap();
    assert_eq!(session.handle(at, Event::Tick), [Action::Connect]);
    offered(&session.handle(at, Event::TcpConnected))
}

fn offered(actions: &[Action]) -> GracefulRestart {
    let [Action::Send(Outgoing::Open(open))] = actions else { panic!("{actions:?}") };
    let restart = open.capabilities.iter().find_map(|capability| {
        if let Capability::GracefulRestart(restart) = capability { Some(restart.clone()) } else { None }
    });
    restart.unwrap()
}

const RESTART: Restart = Restart { time: 120, forwarding_preserved: true };
