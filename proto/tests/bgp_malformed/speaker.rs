//! The decoder and the session together, as a driver has them.

use std::net::Ipv4Addr;
use std::time::Instant;

use bytes::BytesMut;
use vipcast_proto::bgp::fsm::{
    Action, Bfd, Config, ConnectRetry, Event, Outgoing, SendHold, Session as Machine, State as Phase,
};
use vipcast_proto::bgp::types::{Asn, Family, HoldTime, Message, Notification, Update};
use vipcast_proto::bgp::wire::Decoder;

use crate::cases::{self, Case, Place, Route, Session, State};

/// A speaker with one connection.
pub(crate) struct Speaker {
    machine: Machine,
    decoder: Decoder,
    buffer: BytesMut,
    now: Instant,
}

/// What some octets did.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) notification: Option<Notification>,
    pub(crate) closed: bool,
    /// The last one that was taken.
    update: Option<Update>,
    /// What else it has to say: a KEEPALIVE, routes.
    answered: bool,
}

impl Said {
    pub(crate) fn is_calm(&self) -> bool {
        self.notification.is_none() && !self.closed
    }

    /// Whether that is what the session was told of the route.
    pub(crate) fn routes(&self, route: Route) -> bool {
        let update = self.update.clone().unwrap_or_default();
        let found = (update.announced > 0, update.treated_as_withdraw, update.attributes_discarded);
        match route {
            Route::Announced => found == (true, false, 0),
            Route::Discarded => found == (true, false, 1),
            Route::Withdrawn => (found.0, found.1) == (false, true) && update.withdrawn > 0,
            Route::Unsaid => !update.treated_as_withdraw && update.attributes_discarded == 0,
        }
    }
}

impl Said {
    fn take(&mut self, action: Action) {
        match action {
            Action::Send(Outgoing::Notification(notification)) => self.notification = Some(notification),
            Action::Close => self.closed = true,
            Action::Send(_) | Action::Resend { .. } | Action::Connect | Action::Up(_) | Action::Down(_) => {
                self.answered = true
            }
        }
    }
}

impl Speaker {
    /// Where the message of the case comes.
    pub(crate) fn in_state(case: &Case, place: &Place) -> Self {
        let now = Instant::now();
        let mut machine = Machine::new(config(case.session), 7);
        let _ = machine.handle(now, Event::Start);
        let _ = machine.handle(now, Event::TcpConnected);
        let mut speaker = Self { machine, decoder: Decoder::new(), buffer: BytesMut::new(), now };
        if case.state != State::OpenSent {
            speaker.hear(&case.session.open(place));
        }
        if case.state == State::Established {
            speaker.hear(&cases::message(4, &[]));
        }
        let expected = match case.state {
            State::OpenSent => Phase::OpenSent,
            State::OpenConfirm => Phase::OpenConfirm,
            State::Established => Phase::Established,
        };
        assert_eq!(speaker.machine.state(), expected, "{}", case.what);
        speaker
    }

    pub(crate) fn hear(&mut self, octets: &[u8]) -> Said {
        self.buffer.extend_from_slice(octets);
        let mut said = Said::default();
        while !said.closed {
            let event = match self.decoder.decode(&mut self.buffer) {
                Ok(None) => break,
                Ok(Some(message)) => {
                    if let Message::Update(update) = &message {
                        said.update = Some(update.clone());
                    }
                    Event::Received(message)
                }
                Err(refused) => Event::Refused(refused),
            };
            for action in self.machine.handle(self.now, event) {
                said.take(action);
            }
            if let Some(negotiated) = self.machine.negotiated() {
                self.decoder.set(negotiated.parameters());
            }
        }
        said
    }
}

fn config(session: Session) -> Config {
    let all = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];
    Config {
        local_as: Asn(cases::session::SPEAKER_AS.into()),
        peer_as: Asn(session.system().into()),
        identifier: IDENTIFIER,
        hold_time: HoldTime::new(90).unwrap(),
        keepalive: None,
        families: if session == Session::Ipv6 { [Family::IPV6_UNICAST].into() } else { all.into() },
        extended_next_hop: false,
        graceful_restart: None,
        connect_retry: ConnectRetry::default(),
        send_hold: SendHold::Default,
        bfd: Bfd::Followed,
    }
}

pub(crate) const IDENTIFIER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
