//! The loop: read everything, then see what is due. No logging, no locks but those of the channels out.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, TryRecvError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use vipcast_proto::bfd::engine::{self, Action, Admin, SessionId};
use vipcast_proto::bfd::path::{Arrival, Interface, Path, Port};
use vipcast_proto::bfd::session::Config;
use vipcast_proto::bfd::wire;

use super::line::{self, Line, Trouble};
use super::stats::Stats;
use super::wait::wait;
use crate::clock;
use crate::net::datagram::{Receiver, unspecified};

/// What is asked of the thread.
#[derive(Debug)]
pub(super) enum Command {
    Add {
        id: SessionId,
        line: Line,
        timers: Config,
    },
    Remove(SessionId),
    Admin(SessionId, Admin),
    Configure(SessionId, Config),
    /// Remove all; the sender is dropped when the last one is gone.
    Shutdown(oneshot::Sender<()>),
}

/// Everything that the thread owns.
#[derive(Debug)]
pub(super) struct Engine {
    commands: mpsc::Receiver<Command>,
    bell: UnixStream,
    stats: Stats,
    sessions: engine::Engine,
    lines: HashMap<SessionId, Line>,
    receivers: Vec<Listener>,
    interfaces: Interfaces,
    /// Sessions on a path that another one watches.
    waiting: Vec<(SessionId, Path, Config)>,
    actions: Vec<Action>,
    /// Nobody can ask for anything any more.
    orphaned: bool,
    ending: Option<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Listener {
    receiver: Receiver,
    is_ipv4: bool,
    port: Port,
    /// What is in the queue has arrived since.
    emptied: Instant,
}

/// Numbers for the names of interfaces, and which of them the kernel's indices mean at present.
#[derive(Debug, Default)]
struct Interfaces {
    names: Vec<String>,
    indices: HashMap<u32, Interface>,
}

impl Engine {
    pub(super) fn new(commands: mpsc::Receiver<Command>, bell: UnixStream, stats: Stats, seed: u64) -> Self {
        Self {
            commands,
            bell,
            stats,
            sessions: engine::Engine::new(seed),
            lines: HashMap::new(),
            receivers: Vec::new(),
            interfaces: Interfaces::default(),
            waiting: Vec::new(),
            actions: Vec::new(),
            orphaned: false,
            ending: None,
        }
    }

    /// Until nobody is left who could ask for something, and every removed session has said good-bye.
    pub(super) fn run(mut self) {
        loop {
            self.obey();
            self.drain();
            let now = clock::now();
            if let Some(lateness) = self.sessions.tick(now, &mut self.actions) {
                self.stats.ticked(lateness, self.sessions.stalls());
            }
            self.perform();
            if self.sessions.is_empty() && (self.orphaned || self.ending.is_some()) {
                return;
            }
            let deadline = self.sessions.deadline();
            let pause = deadline.map(|at| at.saturating_duration_since(clock::now()));
            // The other end of the bell is gone with its last owner, and would be readable for ever.
            let bell = Some(self.bell.as_fd()).filter(|_| !self.orphaned);
            let ports = self.receivers.iter().map(|listener| listener.receiver.as_fd());
            // With hundreds of sessions there is always something due soon, and one awakening less for each packet.
            let soon = pause.is_some_and(|pause| pause <= SOON);
            wait(bell.into_iter().chain(ports).filter(|_| !soon), pause);
        }
    }

    fn obey(&mut self) {
        // As many octets as there are commands, or fewer; what is left of them wakes us once more.
        let _ = self.bell.read(&mut [0; 64]);
        while !self.orphaned {
            match self.commands.try_recv() {
                Ok(command) => self.command(command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.orphaned = true;
                    self.remove_all();
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        let (now, actions) = (clock::now(), &mut self.actions);
        match command {
            Command::Add { id, line, timers } => self.add(id, line, timers),
            Command::Remove(id) => self.remove(id),
            Command::Admin(id, admin) => self.sessions.admin(now, id, admin, actions),
            Command::Configure(id, timers) => self.sessions.configure(now, id, timers, actions),
            Command::Shutdown(done) => {
                self.remove_all();
                self.ending = Some(done);
            }
        }
        self.perform();
    }

    fn add(&mut self, id: SessionId, line: Line, timers: Config) {
        let interface = line.interface.as_deref().map(|name| self.interfaces.number(name));
        let path = Path { remote: line.remote, local: line.local, interface, hops: line.hops };
        self.lines.insert(id, line);
        self.waiting.push((id, path, timers));
        self.admit();
    }

    /// Who replaces a session may begin the new one before the old one is removed.
    fn admit(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        for (id, path, timers) in waiting {
            let added = self.sessions.add(clock::now(), id, path, timers, &mut self.actions);
            if let Some(line) = self.lines.get_mut(&id) {
                line.trouble(added.err().map(|_| Trouble::Overlaps));
            }
            if added.is_err() {
                self.waiting.push((id, path, timers));
            }
        }
    }

    fn remove(&mut self, id: SessionId) {
        let waiting = self.waiting.len();
        self.waiting.retain(|(other, ..)| *other != id);
        if self.waiting.len() < waiting {
            self.forget(id);
        }
        self.sessions.remove(clock::now(), id, &mut self.actions);
        self.admit();
    }

    /// A port that no session needs is free for others.
    fn forget(&mut self, id: SessionId) {
        self.lines.remove(&id);
        let lines = &self.lines;
        self.receivers.retain(|listener| {
            lines.values().any(|line| (line.remote.is_ipv4(), line.port()) == listener.place())
        });
    }

    fn remove_all(&mut self) {
        let now = clock::now();
        self.waiting.clear();
        let ids: Vec<SessionId> = self.sessions.ids().collect();
        for id in ids {
            self.sessions.remove(now, id, &mut self.actions);
        }
        self.perform();
    }

    /// Everything that has arrived until now is heard before anybody's silence is judged.
    fn drain(&mut self) {
        let (sessions, actions, stats, interfaces) =
            (&mut self.sessions, &mut self.actions, &self.stats, &self.interfaces);
        let mut hear = |now: Instant, arrival: &Arrival, payload: &[u8]| {
            stats.received(sessions.receive(now, arrival, payload, actions).err());
        };
        // A broken socket is opened again with the next packet that is sent.
        self.receivers.retain_mut(|listener| listener.drain(interfaces, &mut hear).is_ok());
        self.perform();
    }

    fn perform(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Send(id, packet) => self.send(id, &wire::encode(&packet)),
                Action::Tell(id, status) => {
                    if let Some(line) = self.lines.get(&id) {
                        line.tell(status);
                    }
                }
                Action::Gone(id) => self.forget(id),
            }
        }
        // Nothing of the above adds actions: the memory is kept for the next time.
        self.actions = actions;
    }

    fn send(&mut self, id: SessionId, packet: &[u8; wire::LEN]) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        let place = (line.remote.is_ipv4(), line.port());
        let heard = if self.receivers.iter().any(|listener| listener.place() == place) {
            Ok(())
        } else {
            listen(line.remote, line.port()).map(|listener| self.receivers.push(listener))
        };
        let opened = if line.is_open() { Ok(()) } else { open(line, &mut self.interfaces) };
        let sent = opened.and_then(|()| line.send(packet));
        self.stats.sent(sent.is_ok());
        line.trouble(sent.and(heard).err());
    }
}

impl Listener {
    const fn place(&self) -> (bool, Port) {
        (self.is_ipv4, self.port)
    }

    /// Reads all that was there when it began, and hands each datagram on.
    fn drain(
        &mut self,
        interfaces: &Interfaces,
        hear: &mut impl FnMut(Instant, &Arrival, &[u8]),
    ) -> io::Result<()> {
        // Who sends faster than we read does not keep us for ever.
        for _ in 0..MAX_BATCHES {
            let (now, wall) = (clock::now(), clock::wall());
            let more = self.receiver.receive()?;
            for datagram in self.receiver.datagrams() {
                let arrival = Arrival {
                    at: clock::ago(now, datagram.age(wall), self.emptied),
                    source: datagram.source,
                    destination: datagram.destination,
                    interface: interfaces.indices.get(&datagram.interface).copied(),
                    ttl: datagram.ttl,
                    port: self.port,
                };
                hear(now, &arrival, datagram.payload);
            }
            if !more {
                self.emptied = now;
                break;
            }
        }
        Ok(())
    }
}

fn listen(remote: IpAddr, port: Port) -> Result<Listener, Trouble> {
    let number = line::number(port);
    let emptied = clock::now();
    let receiver = Receiver::bind(unspecified(remote), number)
        .map_err(|error| Trouble::Listen { port: number, errno: line::errno(&error) })?;
    Ok(Listener { receiver, is_ipv4: remote.is_ipv4(), port, emptied })
}

fn open(line: &mut Line, interfaces: &mut Interfaces) -> Result<(), Trouble> {
    let index = line.index()?;
    if let Some((name, index)) = line.interface.as_deref().zip(index) {
        interfaces.is_now(name, index);
    }
    line.open(index)
}

impl Interfaces {
    fn number(&mut self, name: &str) -> Interface {
        let known = self.names.iter().position(|known| known == name);
        let place = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        Interface(u32::try_from(place).unwrap_or(u32::MAX))
    }

    fn is_now(&mut self, name: &str, index: u32) {
        let number = self.number(name);
        self.indices.retain(|_, known| *known != number);
        self.indices.insert(index, number);
    }
}

/// What arrives so shortly before a deadline is read then; its time of arrival is the kernel's.
const SOON: Duration = Duration::from_millis(1);
/// More than the queue of a socket holds.
const MAX_BATCHES: u32 = 1024;
