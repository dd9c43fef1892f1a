//! What each event does in each state.

use std::mem;
use std::time::{Duration, Instant};

use super::clocks::{Clocks, Due};
use super::phase::{Live, Phase};
use super::reason::{kind, refused_kind};
use super::{Action, Bfd, BfdState, DownReason, Outgoing, Session, State, Stop};
use crate::bgp::negotiation::{negotiate, offer};
use crate::bgp::types::{Message, Notification, Open, RouteRefresh};
use crate::bgp::wire::Refused;
use crate::bgp::wire::iana::{message_type, refresh};

/// What TCP took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sent {
    Something,
    Update,
}

impl Session {
    pub(super) fn start(&mut self, now: Instant) -> Vec<Action> {
        if !matches!(self.phase, Phase::Idle) {
            return vec![];
        }
        self.connect_retry_counter = 0;
        self.backoff.start_anew();
        // The first attempt is this one.
        let _ = self.backoff.next(&self.config.connect_retry);
        self.dial(now)
    }

    pub(super) fn stop(&mut self, now: Instant, stop: &Stop) -> Vec<Action> {
        let farewell = stop.notification(self.phase.negotiated());
        let was_idle = matches!(self.phase, Phase::Idle);
        let reason = DownReason::Stopped(stop.cease);
        let actions = self.leave(&reason, farewell);
        self.connect_retry_counter = 0;
        if !was_idle {
            self.last_error = Some((now, reason));
        }
        actions
    }

    /// An attempt that hangs would go on asking at intervals that have grown; a new one asks now.
    pub(super) fn hurry(&mut self, now: Instant) -> Vec<Action> {
        match &self.phase {
            Phase::Active { .. } => self.dial(now),
            Phase::Connect { .. } => [vec![Action::Close], self.dial(now)].concat(),
            Phase::Idle | Phase::OpenSent { .. } | Phase::OpenConfirm(_) | Phase::Established { .. } => {
                vec![]
            }
        }
    }

    pub(super) fn connected(&mut self, now: Instant) -> Vec<Action> {
        match &self.phase {
            Phase::Connect { .. } => {
                self.phase = Phase::OpenSent { hold_until: now + OPEN_SENT_HOLD_TIME };
                vec![Action::Send(Outgoing::Open(offer(&self.config, self.restarting)))]
            }
            // Nobody asked for it.
            Phase::Idle | Phase::Active { .. } => vec![Action::Close],
            Phase::OpenSent { .. } | Phase::OpenConfirm(_) | Phase::Established { .. } => vec![],
        }
    }

    pub(super) fn disconnected(&mut self, now: Instant, reason: DownReason) -> Vec<Action> {
        match &self.phase {
            Phase::Idle | Phase::Active { .. } => vec![],
            Phase::Connect { began } => {
                let began = *began;
                self.phase = Phase::Idle;
                self.retry(now, began, reason, vec![])
            }
            Phase::OpenSent { .. } | Phase::OpenConfirm(_) | Phase::Established { .. } => {
                self.lose(now, reason)
            }
        }
    }

    pub(super) fn received(&mut self, now: Instant, message: Message) -> Vec<Action> {
        let unexpected = DownReason::Unexpected { message: kind(&message), state: self.state() };
        match (&mut self.phase, message) {
            (Phase::Idle | Phase::Connect { .. } | Phase::Active { .. }, _) => vec![],
            (_, Message::Notification(notification)) => self.lose(now, DownReason::Received(notification)),

            (Phase::OpenSent { .. }, Message::Open(open)) => self.opened(now, &open),
            (Phase::OpenConfirm(_), Message::Keepalive) => self.established(now),
            (Phase::Established { live, .. }, Message::Keepalive | Message::Update(_)) => {
                live.clocks.heard(now);
                vec![]
            }
            (Phase::Established { live, .. }, Message::RouteRefresh(refresh)) => live.resend(refresh),

            (Phase::OpenSent { .. }, Message::Keepalive | Message::Update(_) | Message::RouteRefresh(_))
            | (Phase::OpenConfirm(_), Message::Open(_) | Message::Update(_) | Message::RouteRefresh(_))
            | (Phase::Established { .. }, Message::Open(_)) => self.lose(now, unexpected),
        }
    }

    /// A message that has no place in this state has none when it is malformed either (RFC 4271 §8.2.2, events 22
    /// and 28); the header is judged in all of them.
    pub(super) fn refused(&mut self, now: Instant, refused: Refused) -> Vec<Action> {
        let state = self.state();
        let reason = match (state, refused_kind(&refused)) {
            (State::Idle | State::Connect | State::Active, _) => return vec![],
            (State::OpenSent | State::OpenConfirm, Some(message)) if message != message_type::OPEN => {
                DownReason::Unexpected { message, state }
            }
            (State::Established, Some(message @ message_type::OPEN)) => {
                DownReason::Unexpected { message, state }
            }
            (State::OpenSent | State::OpenConfirm | State::Established, _) => DownReason::Refused(refused),
        };
        self.lose(now, reason)
    }

    pub(super) fn sent(&mut self, now: Instant, what: Sent) -> Vec<Action> {
        if let Phase::Established { live, .. } = &mut self.phase {
            live.clocks.was_read(now);
            if what == Sent::Update {
                live.clocks.spoke(now, &mut self.jitter);
            }
        }
        vec![]
    }

    pub(super) fn tick(&mut self, now: Instant) -> Vec<Action> {
        match &self.phase {
            Phase::Connect { began } if now >= *began + self.config.connect_retry.attempt => {
                self.lose(now, DownReason::ConnectTimedOut(self.config.connect_retry.attempt))
            }
            Phase::Active { retry_at: Some(at) } if now >= *at => self.dial(now),
            Phase::OpenSent { hold_until } if now >= *hold_until => {
                self.lose(now, DownReason::HoldTimerExpired(OPEN_SENT_HOLD_TIME))
            }
            Phase::OpenConfirm(live) | Phase::Established { live, .. } => match live.clocks.due(now) {
                Due::Nothing => vec![],
                Due::Keepalive => self.keepalive(now),
                Due::HoldTimerExpired(span) => self.lose(now, DownReason::HoldTimerExpired(span)),
                Due::SendHoldTimerExpired(span) => self.lose(now, DownReason::SendHoldTimerExpired(span)),
            },
            Phase::Idle | Phase::Connect { .. } | Phase::Active { .. } | Phase::OpenSent { .. } => vec![],
        }
    }

    /// Only what was up can go down (RFC 5882 §4.1), and what an operator switched off did not.
    pub(super) fn bfd(&mut self, now: Instant, state: BfdState) -> Vec<Action> {
        let before = mem::replace(&mut self.bfd, state);
        match (self.config.bfd, before, state) {
            (Bfd::Ignored, _, _) => vec![],
            (Bfd::Followed | Bfd::Strict, BfdState::Up, BfdState::Down) => self.bfd_lost(now),
            (Bfd::Followed | Bfd::Strict, BfdState::Down | BfdState::AdminDown, BfdState::Up) => {
                self.hurry(now)
            }
            (Bfd::Strict, BfdState::Down, BfdState::AdminDown) => self.hurry(now),
            (Bfd::Followed | Bfd::Strict, _, _) => vec![],
        }
    }

    fn bfd_lost(&mut self, now: Instant) -> Vec<Action> {
        let attempt = matches!(self.phase, Phase::Connect { .. });
        if self.phase.is_connected() || attempt && !self.may_dial() {
            return self.lose(now, DownReason::BfdDown);
        }
        vec![]
    }

    fn opened(&mut self, now: Instant, open: &Open) -> Vec<Action> {
        match negotiate(&self.config, open) {
            Ok(negotiated) => {
                let Self { config, jitter, .. } = self;
                let clocks = Clocks::start(now, negotiated.hold_time, config, jitter);
                self.phase = Phase::OpenConfirm(Box::new(Live { negotiated, clocks }));
                vec![Action::Send(Outgoing::Keepalive)]
            }
            Err(error) => self.lose(now, DownReason::OpenRefused(error)),
        }
    }

    fn established(&mut self, now: Instant) -> Vec<Action> {
        let Phase::OpenConfirm(mut live) = mem::replace(&mut self.phase, Phase::Idle) else { return vec![] };
        live.clocks.heard(now);
        live.clocks.was_read(now);
        let negotiated = Box::new(live.negotiated.clone());
        self.phase = Phase::Established { live, since: now };
        self.restarting = false;
        vec![Action::Up(negotiated)]
    }

    fn keepalive(&mut self, now: Instant) -> Vec<Action> {
        match &mut self.phase {
            Phase::OpenConfirm(live) | Phase::Established { live, .. } => {
                live.clocks.spoke(now, &mut self.jitter);
                vec![Action::Send(Outgoing::Keepalive)]
            }
            Phase::Idle | Phase::Connect { .. } | Phase::Active { .. } | Phase::OpenSent { .. } => vec![],
        }
    }

    fn dial(&mut self, now: Instant) -> Vec<Action> {
        if self.may_dial() {
            self.phase = Phase::Connect { began: now };
            return vec![Action::Connect];
        }
        self.phase = Phase::Active { retry_at: None };
        vec![]
    }

    fn may_dial(&self) -> bool {
        match self.config.bfd {
            Bfd::Ignored | Bfd::Followed => true,
            Bfd::Strict => self.bfd != BfdState::Down,
        }
    }

    /// The session, or the attempt at one, failed; another follows.
    fn lose(&mut self, now: Instant, reason: DownReason) -> Vec<Action> {
        if self.phase.stood(now) {
            self.connect_retry_counter = 0;
            self.backoff.start_anew();
        }
        // An attempt has waited already while it was made.
        let waits_from = if let Phase::Connect { began } = &self.phase { *began } else { now };
        let left = self.leave(&reason, reason.notification());
        self.retry(now, waits_from, reason, left)
    }

    /// Every connection and every attempt at one is given up here, so that no event can forget to.
    fn leave(&mut self, reason: &DownReason, farewell: Option<Notification>) -> Vec<Action> {
        let phase = mem::replace(&mut self.phase, Phase::Idle);
        let farewell = farewell.filter(|_| phase.is_connected());
        let mut actions: Vec<_> = farewell
            .map(|notification| Action::Send(Outgoing::Notification(notification)))
            .into_iter()
            .collect();
        match phase.state() {
            State::Idle | State::Active => {}
            State::Connect | State::OpenSent | State::OpenConfirm => actions.push(Action::Close),
            State::Established => actions.extend([Action::Close, Action::Down(reason.clone())]),
        }
        actions
    }

    fn retry(
        &mut self,
        now: Instant,
        waits_from: Instant,
        reason: DownReason,
        mut actions: Vec<Action>,
    ) -> Vec<Action> {
        self.connect_retry_counter = self.connect_retry_counter.saturating_add(reason.counts().into());
        let mut wait = self.backoff.next(&self.config.connect_retry);
        // Routers (FRR) end a session that is there before their BFD is back. That it is back ends the wait.
        if self.config.bfd != Bfd::Ignored && reason.is_bfd() {
            wait = wait.max(BFD_SLOW_START);
        }
        self.last_error = Some((now, reason));
        let retry_at = waits_from + self.jitter.shorten(wait);
        if retry_at > now {
            self.phase = Phase::Active { retry_at: Some(retry_at) };
        } else {
            actions.extend(self.dial(now));
        }
        actions
    }
}

impl Live {
    /// What the peer wants again. BoRR and EoRR are about routes, and we keep none; a family that the OPENs did not
    /// agree on and a subtype that RFC 7313 does not know are ignored, as RFC 2918 §4 and RFC 7313 §5 demand.
    fn resend(&self, RouteRefresh { family, subtype }: RouteRefresh) -> Vec<Action> {
        let wanted = subtype == refresh::REQUEST && self.negotiated.families.contains(&family);
        let enhanced = self.negotiated.enhanced_route_refresh;
        wanted.then_some(Action::Resend { family, enhanced }).into_iter().collect()
    }
}

/// Within it BFD comes up on a path that works: while it is down it speaks once a second (RFC 5880 §6.8.3).
const BFD_SLOW_START: Duration = Duration::from_secs(3);
/// "A HoldTimer value of 4 minutes is suggested as a 'large value'" (RFC 4271 §8.2.2).
const OPEN_SENT_HOLD_TIME: Duration = Duration::from_secs(240);
