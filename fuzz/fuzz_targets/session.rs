//! A BGP session under any octets of its peer and any events: one connection at most, every one of them closed, nothing
//! due for ever, and no more to do at once than a driver can.
#![no_main]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vipcast_proto::bgp::fsm::{
    Action, Bfd, Cease, Config, ConnectRetry, Event, Outgoing, Restart, RoutesAfter, SendHold, Session,
    State, Stop,
};
use vipcast_proto::bgp::types::{Asn, Family, HoldTime, Message, Open};
use vipcast_proto::bgp::wire::Decoder;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    seed: u64,
    hold_time: u16,
    strict: bool,
    restarts: bool,
    turns: Vec<(u16, Turn<'a>)>,
}

#[derive(Arbitrary, Debug)]
enum Turn<'a> {
    Start,
    Stop(&'a str, bool),
    Reachable,
    TcpConnected,
    TcpFailed,
    TcpClosed,
    /// A message that keeps the session going, which octets alone hardly ever are.
    Open(u16),
    Keepalive,
    /// A message of the fuzzer's, with a header that fits it.
    Message(u8, &'a [u8]),
    Octets(&'a [u8]),
    Sent,
    UpdateSent,
    Tick,
    BfdUp,
    BfdDown,
    BfdAdminDown,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Link {
    Nothing,
    Dialling,
    Open,
}

struct Driver {
    session: Session,
    decoder: Decoder,
    buffer: BytesMut,
    link: Link,
    up: bool,
    now: Instant,
}

fuzz_target!(|input: Input<'_>| {
    let mut driver = Driver::new(&input);
    for (wait, turn) in input.turns {
        driver.now += Duration::from_millis(u64::from(wait) * 4);
        driver.turn(&turn);
        driver.catch_up();
    }
    driver.handle(stop("", true));
    assert_eq!((driver.session.state(), driver.session.deadline()), (State::Idle, None));
});

impl Driver {
    fn new(input: &Input<'_>) -> Self {
        let config = Config {
            local_as: Asn(65001),
            peer_as: Asn(65002),
            identifier: Ipv4Addr::new(192, 0, 2, 1),
            hold_time: HoldTime::new(input.hold_time)
                .unwrap_or_else(|| HoldTime::new(9).expect("at least 3")),
            keepalive: None,
            families: [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into(),
            extended_next_hop: true,
            graceful_restart: input.restarts.then_some(Restart { time: 120, forwarding_preserved: true }),
            connect_retry: ConnectRetry::default(),
            send_hold: SendHold::Default,
            bfd: if input.strict { Bfd::Strict } else { Bfd::Followed },
        };
        Self {
            session: Session::new(config, input.seed),
            decoder: Decoder::new(),
            buffer: BytesMut::new(),
            link: Link::Nothing,
            up: false,
            now: Instant::now(),
        }
    }

    fn turn(&mut self, turn: &Turn<'_>) {
        match turn {
            Turn::Start => self.handle(Event::Start),
            Turn::Stop(communication, stays) => self.handle(stop(communication, *stays)),
            Turn::Reachable => self.handle(Event::Reachable),
            Turn::TcpConnected if self.link == Link::Dialling => {
                (self.link, self.decoder) = (Link::Open, Decoder::new());
                self.buffer.clear();
                self.handle(Event::TcpConnected);
            }
            Turn::TcpFailed if self.link == Link::Dialling => {
                self.link = Link::Nothing;
                self.handle(Event::TcpFailed("refused".into()));
            }
            Turn::TcpClosed if self.link == Link::Open => self.handle(Event::TcpClosed("reset".into())),
            Turn::Open(hold_time) if self.link == Link::Open => {
                let identifier = Ipv4Addr::new(192, 0, 2, 2);
                let (my_as, hold_time) = (65002, *hold_time);
                let open = Open { my_as, hold_time, identifier, capabilities: vec![] };
                self.handle(Event::Received(Message::Open(open)));
            }
            Turn::Keepalive if self.link == Link::Open => self.handle(Event::Received(Message::Keepalive)),
            Turn::Message(message_type, body) => {
                let length = u16::try_from(19 + body.len()).unwrap_or(u16::MAX);
                let header = [&[0xff; 16][..], &length.to_be_bytes(), &[*message_type]].concat();
                self.read(&[&header, *body].concat());
            }
            Turn::Octets(octets) => self.read(octets),
            Turn::Sent if self.link == Link::Open => self.handle(Event::Sent),
            Turn::UpdateSent if self.link == Link::Open => self.handle(Event::UpdateSent),
            Turn::Tick => self.handle(Event::Tick),
            Turn::BfdUp => self.handle(Event::BfdUp),
            Turn::BfdDown => self.handle(Event::BfdDown),
            Turn::BfdAdminDown => self.handle(Event::BfdAdminDown),
            _ => {}
        }
    }

    /// As a driver does: message by message, until the connection is over.
    fn read(&mut self, octets: &[u8]) {
        if self.link != Link::Open {
            return;
        }
        self.buffer.extend_from_slice(octets);
        while self.link == Link::Open {
            match self.decoder.decode(&mut self.buffer) {
                Ok(None) => return,
                Ok(Some(message)) => self.handle(Event::Received(message)),
                Err(refused) => return self.handle(Event::Refused(refused)),
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let actions = self.session.handle(self.now, event);
        assert!(actions.len() <= 4, "{actions:?}");
        for action in actions {
            self.perform(action);
        }
        assert_eq!(self.up, self.session.state() == State::Established);
        let reason = self.session.last_error().map(|(_, reason)| reason.to_string());
        assert!(reason.is_none_or(|words| !words.is_empty()));
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Connect => {
                assert_eq!(self.link, Link::Nothing);
                self.link = Link::Dialling;
            }
            Action::Send(Outgoing::Open(_) | Outgoing::Keepalive | Outgoing::Notification(_)) => {
                assert_eq!(self.link, Link::Open);
            }
            Action::Close => {
                assert_ne!(self.link, Link::Nothing);
                self.link = Link::Nothing;
            }
            Action::Up(negotiated) => {
                assert!(!self.up && !negotiated.families.is_empty());
                self.decoder.set(negotiated.parameters());
                self.up = true;
            }
            Action::Down(_) => assert!(std::mem::take(&mut self.up)),
            Action::Resend { .. } => assert!(self.up),
        }
    }

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

fn stop(communication: &str, stays: bool) -> Event {
    let routes = if stays { RoutesAfter::Stay } else { RoutesAfter::Go };
    Event::Stop(Stop {
        cease: Cease::AdministrativeShutdown,
        communication: communication.to_owned(),
        routes,
    })
}
