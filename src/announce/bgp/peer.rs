//! One peer: drives its session, keeps its connection, and tells it what this node originates.
//!
//! Permission comes first. Whenever this task wakes up, and before anything is written, the clock is compared with the
//! permission of what the peer knows and of what is on its way: a process that was frozen withdraws before it speaks.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use vipcast_proto::bfd::session::{Status, Verdict};
use vipcast_proto::bgp::fsm::{Action, Cease, Event, RoutesAfter, Session, Stop};
use vipcast_proto::bgp::types::{Asn, Message, Open};

use super::connection::{Connection, Occurrence};
use super::dial::{Dialled, Surroundings, dial};
use super::origin::Origin;
use super::outbox::Wrote;
use super::report::Reporter;
use super::settings::{PeerSettings, RemoteAs};
use super::table::{Next, Table};
use super::watched::{Watch, Watched};
use crate::admin::peers::BfdWord;
use crate::clock;
use crate::witness::Witness;

/// What the speaker wants of a peer's task.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    /// What it shall know.
    pub(super) origin: Arc<Origin>,
    /// The same session as ever; what is said in it may differ.
    pub(super) settings: Arc<PeerSettings>,
    /// Routes are announced with GRACEFUL_SHUTDOWN.
    pub(super) draining: bool,
    /// How often an operator has reset the session.
    pub(super) resets: u64,
    /// The session has to end, and with it the task.
    pub(super) stop: Option<Stop>,
}

/// Where each peer stands.
pub(super) type Progress = BTreeMap<String, Standing>;

/// Where a peer stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Standing {
    /// The serial of the origin that it knows whole, or does not know anything of.
    pub(super) told: u64,
    /// Whether there is a session.
    pub(super) established: bool,
}

/// One peer.
pub(super) struct Peer {
    name: String,
    settings: Arc<PeerSettings>,
    session: Session,
    wire: Wire,
    /// What it was told, while the session is established.
    table: Option<Table>,
    orders: watch::Receiver<Orders>,
    resets: u64,
    bfd: Watched,
    progress: watch::Sender<Progress>,
    farewells: JoinSet<()>,
    surroundings: Surroundings,
    reporter: Reporter,
}

/// The connection, or the attempt at one.
enum Wire {
    None,
    Dialling(Pin<Box<dyn Future<Output = Result<Dialled, String>> + Send>>),
    Open(Box<Connection>, vipcast_proto::bgp::adj_rib_out::Local),
}

enum Happened {
    Orders,
    Linked,
    Abandoned,
    Bfd(Status),
    Dialled(Result<Dialled, String>),
    Occurred(Occurrence),
    Tick,
}

impl Peer {
    pub(super) fn new(
        name: &str,
        mut orders: watch::Receiver<Orders>,
        bfd: Watch,
        progress: watch::Sender<Progress>,
        mut surroundings: Surroundings,
        witness: Witness,
    ) -> Self {
        let first = orders.borrow_and_update().clone();
        surroundings.links.mark_unchanged();
        let mut config = first.settings.session.clone();
        // The driver gives up first, because it knows more words.
        config.connect_retry.attempt += Duration::from_secs(1);
        Self {
            name: name.to_owned(),
            session: Session::new(config, fastrand::u64(..)),
            wire: Wire::None,
            table: None,
            resets: first.resets,
            orders,
            bfd: Watched::new(bfd, name, &first.settings),
            progress,
            farewells: JoinSet::new(),
            surroundings,
            reporter: Reporter::new(name, &first.settings, witness),
            settings: first.settings,
        }
    }

    /// Runs until the speaker stops it or is gone; what the peer is told last has left by then, or will not.
    pub(super) async fn run(mut self) {
        if let Some(status) = self.bfd.status() {
            self.bfd(status);
        }
        self.take(Event::Start);
        loop {
            self.tell();
            self.reporter.session(&self.session);
            self.reporter.publish();
            match self.next().await {
                Happened::Abandoned => return,
                Happened::Orders => {
                    if self.ordered() {
                        break;
                    }
                }
                Happened::Linked => self.take(Event::Reachable),
                Happened::Bfd(status) => self.bfd(status),
                Happened::Dialled(outcome) => self.dialled(outcome),
                Happened::Occurred(occurrence) => self.occurred(occurrence),
                Happened::Tick => self.take(Event::Tick),
            }
            // A flood of messages does not keep timers from firing.
            if self.session.deadline().is_some_and(|at| at + LATE <= clock::now()) {
                self.take(Event::Tick);
            }
        }
        while self.farewells.join_next().await.is_some() {}
        self.mark(u64::MAX);
        self.reporter.forget();
    }

    async fn next(&mut self) -> Happened {
        let table = self.table.as_ref().and_then(Table::deadline);
        let deadline = [self.session.deadline(), table, self.reporter.deadline()];
        let deadline = deadline.into_iter().flatten().min();
        while self.farewells.try_join_next().is_some() {}
        tokio::select! {
            // What was received comes before the deadline of the same moment.
            biased;
            changed = self.orders.changed() => match changed {
                Ok(()) => Happened::Orders,
                Err(_) => Happened::Abandoned,
            },
            status = self.bfd.changed() => Happened::Bfd(status),
            Ok(()) = self.surroundings.links.changed() => Happened::Linked,
            happened = self.wire.next() => happened,
            () = clock::until(deadline) => Happened::Tick,
        }
    }

    /// Takes new orders; true when there is nothing left to do.
    fn ordered(&mut self) -> bool {
        let orders = self.orders.borrow_and_update().clone();
        if let Some(stop) = orders.stop {
            self.take(Event::Stop(stop));
            return true;
        }
        if orders.resets != self.resets {
            self.resets = orders.resets;
            self.take(Event::Stop(reset()));
            self.take(Event::Start);
        }
        self.reporter.draining(orders.draining);
        if let (Some(table), Some(negotiated)) = (&mut self.table, self.session.negotiated()) {
            table.adjust(&orders.settings, negotiated, orders.draining);
        }
        self.settings = orders.settings;
        false
    }

    fn bfd(&mut self, status: Status) {
        // The path may be back already: what was lost with it is lost all the same.
        if self.bfd.has_failed(&status) {
            self.take(Event::BfdUp);
            self.take(Event::BfdDown);
        }
        let (word, event) = match status.verdict {
            Verdict::Up => (BfdWord::Up, Event::BfdUp),
            Verdict::Failed | Verdict::Unknown => (BfdWord::Down, Event::BfdDown),
            Verdict::AdminDown => (BfdWord::AdminDown, Event::BfdAdminDown),
        };
        self.reporter.bfd(word, &status);
        self.take(event);
    }

    fn dialled(&mut self, outcome: Result<Dialled, String>) {
        match outcome {
            Ok(Dialled { stream, local }) => {
                let connection = Connection::new(stream);
                self.reporter.connected(connection.local());
                self.wire = Wire::Open(Box::new(connection), local);
                self.take(Event::TcpConnected);
            }
            Err(words) => {
                self.wire = Wire::None;
                self.take(Event::TcpFailed(words));
            }
        }
    }

    fn occurred(&mut self, occurrence: Occurrence) {
        match occurrence {
            Occurrence::Received(message) => {
                self.reporter.received(&message);
                if let Message::Open(open) = &message {
                    self.expect(open);
                }
                self.take(Event::Received(message));
            }
            Occurrence::Refused(refused) => self.take(Event::Refused(refused)),
            Occurrence::Wrote(wrote) => {
                let now = clock::now();
                if let Some(table) = &mut self.table {
                    table.wrote(now, wrote);
                }
                self.take(match wrote {
                    Wrote::Something => Event::Sent,
                    Wrote::Batch => Event::UpdateSent,
                });
            }
            // What follows from that is decided next, by the same clock.
            Occurrence::Forbidden => {}
            Occurrence::Closed(words) => {
                self.wire = Wire::None;
                self.take(Event::TcpClosed(words));
            }
        }
    }

    /// Where any number will do, it is the one that the peer says.
    fn expect(&mut self, open: &Open) {
        let said = open.four_octet_as().unwrap_or_else(|| Asn(open.my_as.into()));
        let local = self.settings.session.local_as;
        match self.settings.remote_as {
            RemoteAs::Any => self.session.expect(said),
            RemoteAs::External if said != local => self.session.expect(said),
            RemoteAs::External | RemoteAs::Is => {}
        }
    }

    /// Gives the session an event and does what it asks for.
    fn take(&mut self, event: Event) {
        for action in self.session.handle(clock::now(), event) {
            self.perform(action);
        }
        if let (Wire::Open(connection, _), Some(negotiated)) = (&mut self.wire, self.session.negotiated()) {
            connection.set(negotiated.parameters());
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Connect => self.wire = Wire::Dialling(Box::pin(self.attempt())),
            Action::Send(message) => {
                if let Wire::Open(connection, _) = &mut self.wire {
                    self.reporter.sent(&message);
                    connection.send(&message);
                }
            }
            Action::Close => {
                if let Wire::Open(connection, _) = std::mem::replace(&mut self.wire, Wire::None) {
                    self.farewells.spawn(connection.close());
                }
            }
            Action::Up(negotiated) => {
                let orders = self.orders.borrow();
                if let Wire::Open(_, local) = &self.wire {
                    self.table = Some(Table::new(&orders.settings, &negotiated, *local, orders.draining));
                }
                self.reporter.up(&negotiated, &self.session, orders.draining);
            }
            Action::Down(reason) => {
                self.table = None;
                self.reporter.down(&reason, &self.settings);
            }
            Action::Resend { family, enhanced } => {
                if let Some(table) = &mut self.table {
                    table.resend(family, enhanced);
                }
            }
        }
    }

    fn attempt(&self) -> impl Future<Output = Result<Dialled, String>> + Send + use<> {
        let config = &self.settings.session;
        let silence = config.hold_time.duration().unwrap_or(SUGGESTED_HOLD_TIME).max(SHORTEST_TIMEOUT);
        dial(
            self.settings.reach.clone(),
            self.surroundings.clone(),
            Some(silence),
            config.connect_retry.attempt,
        )
    }

    /// Brings the peer closer to what it shall know.
    fn tell(&mut self) {
        let now = clock::now();
        let origin = self.orders.borrow().origin.clone();
        let (Some(table), Wire::Open(connection, _)) = (&mut self.table, &mut self.wire) else {
            return self.mark(origin.serial);
        };
        match table.next(now, &origin, connection.has_batch()) {
            Next::Write(batch) => {
                self.reporter.updates(batch.updates);
                connection.send_batch(batch.octets);
            }
            Next::Wait => {}
            Next::Abandon(words) => return self.abandon(words),
        }
        connection.permit(table.permitted());
        let serial = table.told();
        self.reporter.told(table.known(), table.waiting());
        self.reporter.omitted(table.wanted());
        self.mark(serial);
    }

    /// The connection ends so that the peer forgets at once what it must not know any more.
    fn abandon(&mut self, words: &'static str) {
        if let Wire::Open(connection, _) = std::mem::replace(&mut self.wire, Wire::None) {
            connection.reset();
        }
        self.take(Event::TcpClosed(words.into()));
        self.mark(self.orders.borrow().origin.serial);
    }

    fn mark(&self, told: u64) {
        let now = Standing { told, established: self.table.is_some() };
        self.progress.send_if_modified(|progress| match progress.get_mut(&self.name) {
            Some(before) if *before != now => {
                *before = now;
                true
            }
            Some(_) | None => false,
        });
    }
}

impl Wire {
    async fn next(&mut self) -> Happened {
        match self {
            Self::None => std::future::pending().await,
            Self::Dialling(attempt) => Happened::Dialled(attempt.await),
            Self::Open(connection, _) => Happened::Occurred(connection.next().await),
        }
    }
}

fn reset() -> Stop {
    Stop {
        cease: Cease::AdministrativeReset,
        communication: "reset by the operator".into(),
        routes: RoutesAfter::Stay,
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("name", &self.name)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Where no Hold Time says how long a peer may be silent (RFC 4271 §10).
const SUGGESTED_HOLD_TIME: Duration = Duration::from_secs(90);
/// The shortest Hold Time there is.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(3);
/// How late a timer may be for the sake of what was received.
const LATE: Duration = Duration::from_millis(100);
