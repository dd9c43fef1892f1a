//! What holds after any sequence of events, however unlikely, and however late the ticks.

use std::time::Instant;

use proptest::collection::vec;
use proptest::prelude::*;
use vipcast_proto::bgp::fsm::{Action, Bfd, Config, Event, Outgoing, Restart, Session, State};
use vipcast_proto::bgp::types::{Family, Message};
use vipcast_proto::bgp::wire::Refused;

use crate::rig::{
    closed, failed, keepalive_received, millis, notification, peer_open, received_open,
    received_open_of_helper, refresh_received, stop, update_received, with_hold_time,
};

/// What the driver has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Link {
    Nothing,
    Dialling,
    Open,
}

/// A driver that performs every action and complains of those that make no sense.
#[derive(Debug)]
struct Driver {
    session: Session,
    now: Instant,
    link: Link,
    up: bool,
}

impl Driver {
    fn new(config: Config, seed: u64) -> Self {
        let session = Session::new(config, seed);
        Self { session, now: Instant::now(), link: Link::Nothing, up: false }
    }

    /// Only events that can happen with what the driver has.
    fn can(&self, event: &Event) -> bool {
        match event {
            Event::TcpConnected | Event::TcpFailed(_) => self.link == Link::Dialling,
            Event::TcpClosed(_)
            | Event::Received(_)
            | Event::Refused(_)
            | Event::Sent
            | Event::UpdateSent => self.link == Link::Open,
            Event::Start
            | Event::Stop(_)
            | Event::Reachable
            | Event::Tick
            | Event::BfdUp
            | Event::BfdDown
            | Event::BfdAdminDown => true,
        }
    }

    fn handle(&mut self, event: Event) {
        if event == Event::TcpConnected {
            self.link = Link::Open;
        } else if matches!(event, Event::TcpFailed(_)) {
            self.link = Link::Nothing;
        }
        let actions = self.session.handle(self.now, event.clone());
        assert!(actions.len() <= 4, "{event:?} leads to {actions:?}");
        let told = actions.iter().position(|it| matches!(it, Action::Send(Outgoing::Notification(_))));
        assert!(told.is_none_or(|at| actions.get(at + 1) == Some(&Action::Close)), "{actions:?}");
        for action in &actions {
            self.perform(action, &actions);
        }
        self.check();
    }

    fn perform(&mut self, action: &Action, all: &[Action]) {
        match action {
            Action::Connect => {
                assert_eq!(self.link, Link::Nothing, "a second connection: {all:?}");
                self.link = Link::Dialling;
            }
            Action::Send(_) => assert_eq!(self.link, Link::Open, "nobody to send to: {all:?}"),
            Action::Close => {
                assert_ne!(self.link, Link::Nothing, "nothing to close: {all:?}");
                self.link = Link::Nothing;
            }
            Action::Up(_) => assert!(!std::mem::replace(&mut self.up, true), "up twice: {all:?}"),
            Action::Down(_) => assert!(std::mem::replace(&mut self.up, false), "down twice: {all:?}"),
            Action::Resend { .. } => assert!(self.up, "nobody to send routes to: {all:?}"),
        }
    }

    fn check(&self) {
        let link = match self.session.state() {
            State::Idle | State::Active => Link::Nothing,
            State::Connect => Link::Dialling,
            State::OpenSent | State::OpenConfirm | State::Established => Link::Open,
        };
        assert_eq!(self.link, link, "{:?}", self.session);
        assert_eq!(self.up, self.session.state() == State::Established, "{:?}", self.session);
        assert_eq!(self.up, self.session.established_since().is_some(), "{:?}", self.session);
    }

    /// Whatever is due is done by ticks, in a few of them, and none stays due.
    fn catch_up(&mut self) {
        for _ in 0..4 {
            match self.session.deadline() {
                Some(at) if at <= self.now => self.handle(Event::Tick),
                _ => return,
            }
        }
        panic!("still due after four ticks: {:?}", self.session);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_connection_is_closed_and_every_deadline_met(
        config in configs(),
        seed: u64,
        turns in vec((events(), 0_u64..400_000), 0..60),
    ) {
        let mut driver = Driver::new(config, seed);
        for (event, wait) in turns {
            driver.now += millis(wait * wait / 400_000);
            if driver.can(&event) {
                driver.handle(event);
            }
            driver.catch_up();
        }
        driver.handle(stop());
        prop_assert_eq!((driver.session.state(), driver.session.deadline()), (State::Idle, None));
    }

    #[test]
    fn events_that_cannot_happen_break_nothing(
        config in configs(),
        seed: u64,
        turns in vec((events(), 0_u64..400_000), 0..60),
    ) {
        let (mut session, mut now, mut up) = (Session::new(config, seed), Instant::now(), false);
        for (event, wait) in turns {
            now += millis(wait);
            let actions = session.handle(now, event);
            prop_assert!(actions.len() <= 4);
            for action in actions {
                match action {
                    Action::Up(_) => prop_assert!(!std::mem::replace(&mut up, true)),
                    Action::Down(_) => prop_assert!(std::mem::replace(&mut up, false)),
                    Action::Connect | Action::Send(_) | Action::Close | Action::Resend { .. } => {}
                }
            }
        }
    }

    #[test]
    fn a_peer_that_answers_is_reached_whatever_happened_before(
        config in configs(),
        seed: u64,
        turns in vec((events(), 0_u64..10_000), 0..40),
    ) {
        let mut driver = Driver::new(config, seed);
        for (event, wait) in turns {
            driver.now += millis(wait);
            if driver.can(&event) {
                driver.handle(event);
            }
        }
        driver.handle(Event::BfdUp);
        driver.handle(Event::Start);
        for _ in 0..12 {
            match driver.session.state() {
                State::Established => return Ok(()),
                State::Connect => driver.handle(Event::TcpConnected),
                State::OpenSent => driver.handle(received_open()),
                State::OpenConfirm => driver.handle(keepalive_received()),
                State::Idle | State::Active => {
                    driver.now = driver.session.deadline().unwrap();
                    driver.handle(Event::Tick);
                }
            }
        }
        prop_assert!(false, "{:?}", driver.session);
    }
}

fn configs() -> impl Strategy<Value = Config> {
    let bfd = prop_oneof![Just(Bfd::Ignored), Just(Bfd::Followed), Just(Bfd::Strict)];
    let hold_time = prop_oneof![Just(0_u16), Just(3), Just(9), Just(90)];
    (bfd, hold_time, any::<bool>()).prop_map(|(bfd, hold, restarts)| Config {
        bfd,
        graceful_restart: restarts.then_some(Restart { time: 120, forwarding_preserved: true }),
        ..with_hold_time(hold)
    })
}

fn events() -> impl Strategy<Value = Event> {
    let tcp = prop_oneof![
        5 => Just(Event::TcpConnected),
        1 => Just(failed()),
        1 => Just(closed()),
        2 => Just(Event::Sent),
        1 => Just(Event::UpdateSent),
    ];
    let operator = prop_oneof![4 => Just(Event::Start), 1 => Just(stop()), 1 => Just(Event::Reachable)];
    let bfd = prop_oneof![2 => Just(Event::BfdUp), 1 => Just(Event::BfdDown), 1 => Just(Event::BfdAdminDown)];
    let refused = prop_oneof![Just(Refused::Marker), Just(Refused::Version(3)), Just(Refused::Network)];
    prop_oneof![
        4 => tcp,
        2 => operator,
        1 => bfd,
        6 => messages(),
        1 => refused.prop_map(Event::Refused),
        2 => Just(Event::Tick),
    ]
}

fn messages() -> impl Strategy<Value = Event> {
    let mut bad = peer_open();
    bad.hold_time = 1;
    prop_oneof![
        6 => Just(received_open()),
        2 => Just(received_open_of_helper(true)),
        1 => Just(Event::Received(Message::Open(bad))),
        6 => Just(keepalive_received()),
        2 => Just(update_received()),
        1 => Just(Event::Received(Message::Notification(notification(6, 4, b"")))),
        2 => (0_u8..4).prop_map(|subtype| refresh_received(Family::IPV4_UNICAST, subtype)),
    ]
}
