//! What operators get to know of a session: one line for each change, the board, counters and Events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};
use vipcast_proto::bfd::session::Status;
use vipcast_proto::bfd::types::{Diagnostic, State as BfdState};
use vipcast_proto::bgp::adj_rib_out::Snapshot;
use vipcast_proto::bgp::fsm::{DownReason, Negotiated, Outgoing, Session, State};
use vipcast_proto::bgp::types::{Message, Notification};

use super::settings::{At, PeerSettings, Reach, RemoteAs};
use super::words::{Ourselves, Reached, SILENT, WAITS_FOR_BFD};
use crate::admin::bgp_metrics::{Direction, PeerCounts};
use crate::admin::peers::{BfdWord, NegotiatedFact, PeerFact, RemoteAsWord};
use crate::change::Told;
use crate::clock;
use crate::kube::events::Reason;
use crate::witness::Witness;

/// Tells the witnesses of one session.
#[derive(Debug)]
pub(super) struct Reporter {
    name: String,
    witness: Witness,
    counts: PeerCounts,
    fact: PeerFact,
    ourselves: Ourselves,
    /// When it is time to say that nothing comes of this state.
    patience: Option<Instant>,
    /// Something was heard since the session was established.
    heard: bool,
    /// Why there is no session; said once for each reason.
    trouble: Told<String>,
    seen_error: Option<Instant>,
    /// That a session was lost has been said; the error that follows is the same.
    told_lost: bool,
    omitted: Told<String>,
    dirty: bool,
}

impl Reporter {
    pub(super) fn new(name: &str, settings: &PeerSettings, witness: Witness) -> Self {
        let counts = witness.metrics.bgp_peer(name);
        let fact = PeerFact {
            local_as: settings.session.local_as.0,
            peer_as: settings.session.peer_as.0,
            remote_as: match settings.remote_as {
                RemoteAs::Is => None,
                RemoteAs::External => Some(RemoteAsWord::External),
                RemoteAs::Any => Some(RemoteAsWord::Any),
            },
            at: place(&settings.reach),
            port: settings.reach.port,
            local: None,
            state: State::Idle,
            established: None,
            families: settings.session.families.clone(),
            negotiated: None,
            told: Arc::default(),
            waiting: None,
            received: counts.routes_received.clone(),
            last_error: None,
            notified: None,
            notification: None,
            bfd: settings.bfd.map(|_| BfdWord::Down),
            waits_for_bfd: false,
            draining: false,
        };
        Self {
            name: name.to_owned(),
            witness,
            counts,
            fact,
            ourselves: Ourselves::new(&settings.session),
            patience: None,
            heard: false,
            trouble: Told::default(),
            seen_error: None,
            told_lost: false,
            omitted: Told::default(),
            dirty: true,
        }
    }

    /// Where the session stands now.
    pub(super) fn session(&mut self, session: &Session) {
        if let Some((at, reason)) = session.last_error()
            && self.seen_error != Some(at)
        {
            self.seen_error = Some(at);
            let _ = self.failed(at, reason);
        }
        let now = (session.state(), session.waits_for_bfd());
        if (self.fact.state, self.fact.waits_for_bfd) != now {
            debug!(peer = self.name, from = %self.fact.state, to = %session.state(), "BGP state");
            (self.fact.state, self.fact.waits_for_bfd) = now;
            self.patience = matches!(now, (State::OpenSent, _) | (_, true)).then(|| clock::now() + PATIENCE);
            self.dirty = true;
        }
        if self.patience.take_if(|at| *at <= clock::now()).is_some() {
            let _ = self.stuck();
        }
    }

    /// When to look at the session again though nothing has happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.patience
    }

    /// The session waits for somebody else, who does not come.
    fn stuck(&mut self) -> Said {
        if self.fact.waits_for_bfd {
            return self.say(WAITS_FOR_BFD.into());
        }
        self.fact.last_error = Some((clock::wall(), SILENT.into()));
        self.dirty = true;
        self.say(SILENT.into())
    }

    fn explain(&self, reason: &DownReason) -> String {
        self.ourselves.explain(reason, Reached { state: self.fact.state, heard: self.heard })
    }

    fn failed(&mut self, at: Instant, reason: &DownReason) -> Said {
        let words = self.explain(reason);
        let wall = clock::wall().checked_sub(clock::now().saturating_duration_since(at));
        self.fact.last_error = Some((wall.unwrap_or_else(clock::wall), words.clone()));
        self.dirty = true;
        if let DownReason::Received(Notification { code, subcode, .. }) = reason {
            self.fact.notification = Some((*code, *subcode));
        }
        if std::mem::take(&mut self.told_lost) || matches!(reason, DownReason::Stopped(_)) {
            return Said::Nothing;
        }
        self.say(words)
    }

    fn say(&mut self, words: String) -> Said {
        if self.trouble.is_news(words.clone()) {
            warn!(peer = self.name, why = words, "no BGP session");
            Said::News
        } else {
            debug!(peer = self.name, why = words, "still no BGP session");
            Said::Again
        }
    }

    pub(super) fn up(&mut self, negotiated: &Negotiated, session: &Session, draining: bool) {
        let (identifier, hold_time) = (negotiated.peer_identifier, negotiated.hold_time.seconds());
        info!(peer = self.name, peer_as = %negotiated.peer_as, %identifier, hold_time, "BGP session established");
        self.heard = false;
        self.trouble.is_over();
        self.omitted.is_over();
        self.counts.established();
        self.fact.established = session.established_since();
        self.fact.peer_as = negotiated.peer_as.0;
        self.fact.families = negotiated.families.clone();
        self.fact.negotiated = Some(NegotiatedFact { identifier, hold_time });
        self.fact.draining = draining;
        self.dirty = true;
        let note = format!("BGP session with {} (AS {}) is established", self.name, negotiated.peer_as);
        self.witness.event(Reason::PeerUp, &self.name, note);
    }

    pub(super) fn down(&mut self, reason: &DownReason, settings: &PeerSettings) {
        let lasted = self.fact.established.map_or(Duration::ZERO, |at| clock::now() - at);
        let why = self.explain(reason);
        if matches!(reason, DownReason::Stopped(_)) {
            info!(peer = self.name, why, ?lasted, "BGP session ended");
        } else {
            warn!(peer = self.name, why, ?lasted, "BGP session lost");
        }
        self.trouble.is_news(why.clone());
        self.told_lost = true;
        self.counts.lost();
        self.fact.established = None;
        // Another router may come in its place, and say another number.
        self.fact.peer_as = settings.session.peer_as.0;
        self.fact.negotiated = None;
        self.fact.local = None;
        self.fact.families = settings.session.families.clone();
        self.fact.told = Arc::default();
        self.fact.waiting = None;
        self.dirty = true;
        let note = format!("BGP session with {} is down: {why}", self.name);
        self.witness.event(Reason::PeerDown, &self.name, note);
    }

    pub(super) fn connected(&mut self, local: Option<std::net::IpAddr>) {
        self.fact.local = local;
        self.dirty = true;
    }

    pub(super) fn received(&mut self, message: &Message) {
        self.heard = true;
        let kind = match message {
            Message::Open(_) => "open",
            Message::Update(update) => {
                self.counts.routes_received.inc_by(u64::try_from(update.announced).unwrap_or(0));
                if update.treated_as_withdraw || update.attributes_discarded > 0 {
                    self.counts.malformed_update();
                }
                "update"
            }
            Message::Notification(_) => "notification",
            Message::Keepalive => "keepalive",
            Message::RouteRefresh(_) => "route-refresh",
        };
        self.counts.messages(Direction::Received, kind, 1);
    }

    pub(super) fn sent(&mut self, message: &Outgoing) {
        let kind = match message {
            Outgoing::Open(_) => "open",
            Outgoing::Keepalive => "keepalive",
            Outgoing::Notification(Notification { code, subcode, .. }) => {
                self.fact.notified = Some((*code, *subcode));
                self.dirty = true;
                "notification"
            }
        };
        self.counts.messages(Direction::Sent, kind, 1);
    }

    pub(super) fn updates(&self, count: usize) {
        self.counts.messages(Direction::Sent, "update", u64::try_from(count).unwrap_or(0));
    }

    /// What the peer knows, and since when more waits to be told.
    pub(super) fn told(&mut self, told: &Arc<Snapshot>, waiting: Option<Instant>) {
        if !Arc::ptr_eq(&self.fact.told, told) || self.fact.waiting != waiting {
            self.fact.told = told.clone();
            self.fact.waiting = waiting;
            self.dirty = true;
        }
    }

    /// Routes that the peer should hear of and does not.
    pub(super) fn omitted(&mut self, wanted: &Snapshot) {
        let omitted: Vec<String> = wanted
            .omitted()
            .iter()
            .map(|omitted| {
                let family = if omitted.family.afi == 1 { "IPv4" } else { "IPv6" };
                format!("{} {family} routes: {}", omitted.routes, omitted.why)
            })
            .collect();
        let text = omitted.join("; ");
        if self.omitted.is_news(text.clone()) && !text.is_empty() {
            warn!(peer = self.name, why = text, "routes are not announced to a peer");
        }
    }

    pub(super) fn draining(&mut self, draining: bool) {
        self.dirty |= self.fact.draining != draining;
        self.fact.draining = draining;
    }

    pub(super) fn bfd(&mut self, word: BfdWord, status: &Status) {
        if self.fact.bfd != Some(word) {
            info!(peer = self.name, state = ?word, why = diagnosis(status), "BFD");
            self.fact.bfd = Some(word);
            self.dirty = true;
        }
    }

    /// Shows what has changed.
    pub(super) fn publish(&mut self) {
        if std::mem::take(&mut self.dirty) {
            self.witness.board.peer(&self.name, Some(self.fact.clone()));
        }
    }

    /// The peer is not wanted any more.
    pub(super) fn forget(self) {
        self.witness.board.peer(&self.name, None);
    }
}

/// What an operator is told of a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Said {
    /// It was said, or is no failure.
    Nothing,
    News,
    Again,
}

/// Our diagnostic, and the other side's reason where that is ours.
fn diagnosis(status: &Status) -> String {
    match (status.state, status.diagnostic, status.remote_diagnostic) {
        (BfdState::Up, ..) => "both sides hear each other".into(),
        // Where each side has the other's word for it, neither knows more.
        (_, own @ Diagnostic::NeighborSignaledSessionDown, remote)
            if remote != Diagnostic::None && remote != own =>
        {
            format!("{own}: {remote}")
        }
        (_, diagnostic, _) => diagnostic.to_string(),
    }
}

fn place(reach: &Reach) -> String {
    match &reach.at {
        At::Address(address) => address.to_string(),
        At::LinkLocal(address, interface) => format!("{address}%{interface}"),
        At::Unnumbered(interface) => format!("unnumbered:{interface}"),
    }
}

/// A router on this side of the globe has answered by then.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use vipcast_proto::bgp::fsm::{Bfd, Event};
    use vipcast_proto::bgp::types::Asn;

    use super::*;

    #[test]
    fn bfd_says_whose_silence_or_word_it_was() {
        let status = |state, diagnostic, remote_diagnostic| Status {
            state,
            diagnostic,
            remote_diagnostic,
            ..Status::INITIAL
        };
        use Diagnostic::{ControlDetectionTimeExpired as Expired, NeighborSignaledSessionDown as Signaled};
        let said = [
            status(BfdState::Up, Diagnostic::None, Expired),
            status(BfdState::Down, Expired, Signaled),
            status(BfdState::Down, Signaled, Expired),
            status(BfdState::Down, Signaled, Diagnostic::None),
            status(BfdState::Down, Signaled, Signaled),
        ]
        .map(|status| diagnosis(&status));
        assert_eq!(
            said,
            [
                "both sides hear each other",
                "control detection time expired",
                "neighbor signaled session down: control detection time expired",
                "neighbor signaled session down",
                "neighbor signaled session down",
            ]
        );
    }

    #[test]
    fn an_autonomous_system_that_is_not_configured_is_known_while_there_is_a_session() {
        let (witness, status) = Witness::for_tests();
        let mut settings = super::super::fixture::peer(179);
        (settings.session.peer_as, settings.remote_as) = (Asn(0), RemoteAs::Any);
        let mut reporter = Reporter::new("r1", &settings, witness);
        let shown = |reporter: &mut Reporter| {
            reporter.publish();
            status.peers().peers.remove(0)
        };
        let before = shown(&mut reporter);
        reporter.fact.peer_as = 65001;
        reporter.down(&DownReason::BfdDown, &settings);
        let after = shown(&mut reporter);
        let any = Some(RemoteAsWord::Any);
        assert_eq!([before, after].map(|peer| (peer.peer_as, peer.remote_as)), [(0, any); 2]);
    }

    #[test]
    fn a_lost_session_is_said_once_and_the_failure_after_it_too() {
        let (witness, _status) = Witness::for_tests();
        let mut settings = super::super::fixture::peer(179);
        settings.session.bfd = Bfd::Followed;
        let mut reporter = Reporter::new("r1", &settings, witness);
        reporter.down(&DownReason::BfdDown, &settings);
        let at = clock::now();
        let said = |reporter: &mut Reporter, reason| reporter.failed(at, &reason);
        let refused = || DownReason::TcpFailed("connection refused".into());
        let heard = [
            said(&mut reporter, DownReason::BfdDown),
            said(&mut reporter, refused()),
            said(&mut reporter, refused()),
        ];
        assert_eq!(heard, [Said::Nothing, Said::News, Said::Again]);
    }

    /// What is shown, and whether that `words` is the trouble has been said.
    fn shown(reporter: &mut Reporter, words: &str) -> (Option<String>, bool) {
        let said = reporter.say(words.into()) == Said::Again;
        (reporter.fact.last_error.clone().map(|(_, why)| why), said)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_accepts_and_says_nothing_is_named_long_before_the_hold_timer() {
        let (witness, _status) = Witness::for_tests();
        let settings = super::super::fixture::peer(179);
        let mut reporter = Reporter::new("r1", &settings, witness);
        let mut session = Session::new(settings.session, 1);
        for event in [Event::Start, Event::TcpConnected] {
            let _ = session.handle(clock::now(), event);
        }
        reporter.session(&session);
        assert_eq!(
            (reporter.deadline(), reporter.fact.last_error.clone()),
            (Some(clock::now() + PATIENCE), None)
        );
        tokio::time::advance(PATIENCE).await;
        reporter.session(&session);
        assert_eq!(reporter.deadline(), None);
        assert_eq!(shown(&mut reporter, SILENT), (Some(SILENT.into()), true));
        let at = clock::now();
        let expired = DownReason::HoldTimerExpired(Duration::from_secs(240));
        assert_eq!(reporter.failed(at, &expired), Said::Again);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_waits_for_bfd_is_shown_as_such_at_once_and_said_once() {
        let (witness, status) = Witness::for_tests();
        let mut settings = super::super::fixture::peer(179);
        settings.session.bfd = Bfd::Strict;
        let mut reporter = Reporter::new("r1", &settings, witness);
        let mut session = Session::new(settings.session, 1);
        let _ = session.handle(clock::now(), Event::Start);
        reporter.session(&session);
        reporter.publish();
        assert!(status.peers().peers[0].waits_for_bfd);
        tokio::time::advance(PATIENCE).await;
        reporter.session(&session);
        assert_eq!(shown(&mut reporter, WAITS_FOR_BFD), (None, true));
        let _ = session.handle(clock::now(), Event::BfdUp);
        reporter.session(&session);
        reporter.publish();
        assert_eq!((reporter.deadline(), status.peers().peers[0].waits_for_bfd), (None, false));
    }

    #[test]
    fn a_session_in_which_nothing_was_heard_ends_with_what_may_be_the_cause() {
        let (witness, _status) = Witness::for_tests();
        let settings = super::super::fixture::peer(179);
        let mut reporter = Reporter::new("r1", &settings, witness);
        reporter.fact.state = State::Established;
        let expired = DownReason::HoldTimerExpired(Duration::from_secs(9));
        let silent = reporter.explain(&expired);
        reporter.received(&Message::Keepalive);
        let talkative = reporter.explain(&expired);
        assert_eq!((silent.ends_with(&format!("({expired})")), talkative), (true, expired.to_string()));
    }
}
