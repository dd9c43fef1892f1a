//! Timers, to the instant where they do not jitter and within their bounds where they do.

use std::time::{Duration, Instant};

use vipcast_proto::bgp::fsm::{Action, Config, DownReason, Event, SendHold, Session, State};
use vipcast_proto::bgp::types::{Family, Message, Open};

use crate::rig::{
    bring_to, closed, config, down, failed, keepalive, keepalive_received, millis, peer_open,
    refresh_received, secs, session_in, stop, tell, update_received, with_hold_time,
};

#[test]
fn silence_for_the_negotiated_hold_time_ends_the_session() {
    let t0 = Instant::now();
    let mut session = session_in(State::Established, with_hold_time(3), t0);
    let expired = vec![tell(4, 0, b""), Action::Close, down(DownReason::HoldTimerExpired(secs(3)))];
    assert_eq!(
        walk(&mut session, t0, 3),
        [(secs(1), vec![keepalive()]), (secs(2), vec![keepalive()]), (secs(3), expired)]
    );
    let (at, reason) = session.last_error().unwrap();
    assert_eq!(
        (at, reason.to_string()),
        (t0 + secs(3), "hold timer expired: nothing heard from the peer for 3s".into())
    );
}

#[test]
fn a_peer_that_never_confirms_is_given_up_after_the_hold_time_too() {
    let t0 = Instant::now();
    let mut session = session_in(State::OpenConfirm, with_hold_time(3), t0);
    assert_eq!(
        walk(&mut session, t0, 3),
        [
            (secs(1), vec![keepalive()]),
            (secs(2), vec![keepalive()]),
            (secs(3), vec![tell(4, 0, b""), Action::Close])
        ]
    );
}

#[test]
fn a_peer_that_sends_no_open_is_given_up_after_four_minutes() {
    let t0 = Instant::now();
    let session = session_in(State::OpenSent, with_hold_time(3), t0);
    assert_eq!(session.deadline(), Some(t0 + secs(240)));
}

#[test]
fn keepalives_and_updates_restart_the_hold_timer_and_route_refreshes_do_not() {
    let cases = [
        (keepalive_received(), secs(5)),
        (update_received(), secs(5)),
        (refresh_received(Family::IPV4_UNICAST, 0), secs(3)),
    ];
    for (event, expires) in cases {
        let t0 = Instant::now();
        let mut session = session_in(State::Established, with_hold_time(3), t0);
        let _ = session.handle(t0 + secs(2), event.clone());
        assert_eq!(lost_at(&mut session, t0), expires, "{event:?}");
    }
}

#[test]
fn a_keepalive_that_races_a_late_tick_keeps_the_session() {
    let t0 = Instant::now();
    let mut session = session_in(State::Established, with_hold_time(3), t0);
    let late = t0 + secs(4);
    assert_eq!(session.handle(late, keepalive_received()), []);
    assert_eq!(session.handle(late, Event::Tick), [keepalive()]);
}

#[test]
fn a_hold_time_of_zero_runs_no_timer() {
    let t0 = Instant::now();
    let config = Config { send_hold: SendHold::Fixed(secs(20)), ..with_hold_time(0) };
    for state in [State::OpenConfirm, State::Established] {
        let mut session = session_in(state, config.clone(), t0);
        assert_eq!(session.handle(t0 + secs(1), Event::UpdateSent), []);
        assert_eq!(session.handle(t0 + secs(1_000_000), Event::Tick), []);
        assert_eq!((session.state(), session.deadline()), (state, None));
    }
}

#[test]
fn keepalives_come_after_a_third_of_the_hold_time_or_up_to_a_quarter_sooner() {
    let gaps = |seed| {
        let t0 = Instant::now();
        let mut session = Session::new(config(), seed);
        bring_to(State::Established, &mut session, t0);
        let mut last = t0;
        let gap = |_| {
            let at = session.deadline().unwrap();
            let _ = session.handle(at, keepalive_received());
            assert_eq!(session.handle(at, Event::Tick), [keepalive()]);
            let _ = session.handle(at, Event::Sent);
            at.duration_since(std::mem::replace(&mut last, at))
        };
        (0..200).map(gap).collect::<Vec<_>>()
    };
    let seen = gaps(7);
    let (shortest, longest) = (*seen.iter().min().unwrap(), *seen.iter().max().unwrap());
    assert!(shortest >= millis(22_500) && longest <= secs(30), "{shortest:?} to {longest:?}");
    assert!(shortest < secs(24) && longest > secs(29), "{shortest:?} to {longest:?}");
    assert_eq!(seen, gaps(7));
    assert_ne!(seen, gaps(8));
}

#[test]
fn keepalives_come_as_often_as_configured_but_not_less_than_three_in_the_negotiated_hold_time() {
    // Configured, the peer's offer, and the longest wait; 90 s is ours.
    for (configured, offer, longest) in
        [(10, 180, secs(10)), (29, 180, secs(29)), (29, 9, secs(3)), (1, 180, secs(1))]
    {
        let t0 = Instant::now();
        let config = Config { keepalive: Some(secs(configured)), ..config() };
        let mut session = session_in(State::OpenSent, config, t0);
        let open = Event::Received(Message::Open(Open { hold_time: offer, ..peer_open() }));
        assert_eq!(session.handle(t0, open), [keepalive()]);
        let wait = session.deadline().unwrap() - t0;
        assert!((longest * 3 / 4).max(secs(1)) <= wait && wait <= longest, "{configured} {offer}: {wait:?}");
    }
}

#[test]
fn an_update_that_was_sent_is_as_good_as_a_keepalive_and_less_is_not() {
    let t0 = Instant::now();
    let mut session = session_in(State::Established, with_hold_time(3), t0);
    let at = t0 + millis(700);
    assert_eq!(session.handle(at, Event::Sent), []);
    assert_eq!(session.deadline(), Some(t0 + secs(1)));
    assert_eq!(session.handle(at, Event::UpdateSent), []);
    assert_eq!(session.deadline(), Some(at + secs(1)));
}

#[test]
fn a_peer_that_talks_and_does_not_read_is_given_up_after_the_send_hold_time() {
    let cases = [
        (SendHold::Default, 3, Some(secs(480))),
        (SendHold::Default, 300, Some(secs(600))),
        (SendHold::Fixed(secs(20)), 3, Some(secs(20))),
        (SendHold::Fixed(secs(3)), 3, Some(secs(6))),
        (SendHold::Off, 3, None),
    ];
    for (send_hold, hold, expires) in cases {
        let t0 = Instant::now();
        let mut session = session_talking(Config { send_hold, ..with_hold_time(hold) }, hold, t0);
        let lost = talk_until_lost(&mut session, t0, secs(1000));
        let expected = expires.map(|span| {
            let lost = down(DownReason::SendHoldTimerExpired(span));
            (span, vec![tell(8, 0, b""), Action::Close, lost, Action::Connect])
        });
        assert_eq!(lost, expected, "{send_hold:?}, hold time {hold}");
    }
}

#[test]
fn whatever_tcp_takes_restarts_the_send_hold_timer() {
    for event in [Event::Sent, Event::UpdateSent] {
        let t0 = Instant::now();
        let config = Config { send_hold: SendHold::Fixed(secs(20)), ..with_hold_time(3) };
        let mut session = session_talking(config, 3, t0);
        assert_eq!(session.handle(t0, event), []);
        let later = t0 + secs(2);
        assert_eq!(session.handle(later, Event::Sent), []);
        let lost = talk_until_lost(&mut session, t0, secs(100)).map(|(at, _)| at);
        assert_eq!(lost, Some(secs(22)));
    }
}

#[test]
fn attempts_that_are_refused_follow_at_once_then_after_a_second_and_then_ever_more_slowly() {
    let t0 = Instant::now();
    let mut session = Session::new(config(), 7);
    assert_eq!(session.handle(t0, Event::Start), [Action::Connect]);
    let mut now = t0;
    for wait in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        assert_eq!(session.handle(now, failed()), []);
        let at = session.deadline().unwrap();
        assert_jittered(at - now, secs(wait));
        assert_eq!(session.handle(at, Event::Tick), [Action::Connect]);
        now = at;
    }
    assert_eq!(session.connect_retry_counter(), 9);
}

#[test]
fn the_wait_runs_while_an_attempt_hangs() {
    let t0 = Instant::now();
    let mut session = Session::new(config(), 7);
    let _ = session.handle(t0, Event::Start);
    let again = || vec![Action::Close, Action::Connect];
    // Waits of one, two and four seconds are over when five seconds have been spent on an attempt.
    let walked = walk(&mut session, t0, 4);
    let expected =
        [(secs(5), again()), (secs(10), again()), (secs(15), again()), (secs(20), vec![Action::Close])];
    assert_eq!(walked, expected);
    assert_jittered(session.deadline().unwrap() - (t0 + secs(15)), secs(8));
}

#[test]
fn a_session_that_stood_for_longer_than_its_hold_time_is_tried_again_at_once() {
    for (stood, expected) in [(secs(90), vec![]), (secs(90) + millis(1), vec![Action::Connect])] {
        let t0 = Instant::now();
        let mut session = session_in(State::Established, config(), t0);
        let lost = vec![Action::Close, down(DownReason::TcpClosed("connection reset by peer".into()))];
        assert_eq!(session.handle(t0 + stood, closed()), [lost, expected].concat(), "{stood:?}");
    }
}

#[test]
fn a_session_that_keeps_flapping_is_tried_ever_more_slowly() {
    let mut now = Instant::now();
    let mut session = session_in(State::Established, config(), now);
    for wait in [1, 2, 4, 8] {
        now += secs(80);
        let _ = session.handle(now, closed());
        let at = session.deadline().unwrap();
        assert_jittered(at - now, secs(wait));
        now = at;
        let _ = session.handle(now, Event::Tick);
        let _ = session.handle(now, Event::TcpConnected);
        let _ = session.handle(now, crate::rig::received_open());
        let _ = session.handle(now, keepalive_received());
        assert_eq!(session.state(), State::Established);
    }
    assert_eq!(session.connect_retry_counter(), 4);
    let _ = session.handle(now + secs(91), closed());
    assert_eq!((session.state(), session.connect_retry_counter()), (State::Connect, 1));
}

#[test]
fn a_stop_and_a_start_begin_anew() {
    let t0 = Instant::now();
    let mut session = session_in(State::Active, config(), t0);
    assert_eq!(session.handle(t0, stop()), []);
    assert_eq!((session.deadline(), session.connect_retry_counter()), (None, 0));
    assert_eq!(session.handle(t0, Event::Start), [Action::Connect]);
    assert_eq!(session.handle(t0, failed()), []);
    assert_jittered(session.deadline().unwrap() - t0, secs(1));
}

#[test]
fn a_version_that_the_peer_does_not_like_does_not_count_as_a_failed_attempt() {
    let counter = |subcode| {
        let t0 = Instant::now();
        let mut session = session_in(State::OpenSent, config(), t0);
        let notification = crate::rig::notification(2, subcode, b"");
        let received = Message::Notification(notification);
        let _ = session.handle(t0, Event::Received(received));
        session.connect_retry_counter()
    };
    assert_eq!((counter(1), counter(2)), (0, 1));
}

/// Ticks at each deadline until the session or the attempt is lost, at most `turns` times.
fn walk(session: &mut Session, t0: Instant, turns: usize) -> Vec<(Duration, Vec<Action>)> {
    let mut seen = vec![];
    while let Some(at) = session.deadline().filter(|_| seen.len() < turns) {
        seen.push((at - t0, session.handle(at, Event::Tick)));
    }
    seen
}

fn lost_at(session: &mut Session, t0: Instant) -> Duration {
    walk(session, t0, 10).into_iter().find(|(_, actions)| actions.contains(&Action::Close)).unwrap().0
}

/// Established, with a peer that offers a hold time of `hold`.
fn session_talking(config: Config, hold: u16, t0: Instant) -> Session {
    let mut session = Session::new(config, 7);
    let open = Open { hold_time: hold, ..peer_open() };
    let _ = session.handle(t0, Event::Start);
    let _ = session.handle(t0, Event::TcpConnected);
    let _ = session.handle(t0, Event::Received(Message::Open(open)));
    let _ = session.handle(t0, keepalive_received());
    assert_eq!(session.state(), State::Established);
    session
}

/// The peer says something at every deadline, but TCP takes nothing.
fn talk_until_lost(session: &mut Session, t0: Instant, limit: Duration) -> Option<(Duration, Vec<Action>)> {
    while let Some(at) = session.deadline().filter(|at| *at <= t0 + limit) {
        let _ = session.handle(at, keepalive_received());
        let actions = session.handle(at, Event::Tick);
        if actions.contains(&Action::Close) {
            return Some((at - t0, actions));
        }
    }
    None
}

fn assert_jittered(seen: Duration, span: Duration) {
    assert!((span * 3 / 4..=span).contains(&seen), "{seen:?} is not within a quarter below {span:?}");
}
