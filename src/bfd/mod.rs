//! The driver of BFD: sessions with other systems, on a thread of its own that does nothing else.
//!
//! ```ignore
//! let bfd = bfd::start(Stats::new())?;
//! let mut session = bfd.add(SessionConfig { remote, local: None, interface: None, hops: Hops::Single, timers })?;
//! loop {
//!     let Report { status, since, trouble } = session.changed().await?; // the newest; status.failures misses none
//! }
//! drop(session); // says AdminDown for a detection time, in the background
//! ```
//! It knows nothing about whom it watches or why.

mod collector;
mod line;
mod priority;
mod quota;
mod stats;
#[cfg(test)]
mod tests;
mod thread;
mod wait;

use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tracing::warn;
use vipcast_proto::bfd::engine::{Admin, SessionId};
pub use vipcast_proto::bfd::path::Hops;
use vipcast_proto::bfd::session::{Config, Status};

use crate::clock;

use self::line::Line;
pub use self::line::Trouble;
pub use self::stats::{Counted, Stats};
use self::thread::{Command, Engine};

/// One session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionConfig {
    /// The other end.
    pub remote: IpAddr,
    /// Our address; the kernel chooses where it is open. Needed where there are several sessions with one remote.
    pub local: Option<IpAddr>,
    /// The interface; needed where the remote is link-local.
    pub interface: Option<String>,
    /// Whether the other end is a neighbour.
    pub hops: Hops,
    /// How often, and how many may be missing.
    pub timers: Config,
}

/// Why a session makes no sense.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// Nobody can be there.
    #[error("{0} is not the address of a system")]
    Remote(IpAddr),
    /// IPv4 here, IPv6 there.
    #[error("{local} and {remote} are not of one family")]
    Family {
        /// Ours.
        local: IpAddr,
        /// Theirs.
        remote: IpAddr,
    },
    /// Every link has such addresses.
    #[error("{0} is link-local: name the interface")]
    Interface(IpAddr),
    /// A router does not forward them.
    #[error("{0} is link-local and cannot be behind a router")]
    Hops(IpAddr),
    /// The thread has ended, which is a bug.
    #[error("the BFD thread has ended")]
    Ended,
}

/// What is known of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Report {
    /// What the protocol says.
    pub status: Status,
    /// Since when the state is what it is.
    pub since: Instant,
    /// What keeps it from speaking or hearing.
    pub trouble: Option<Trouble>,
}

/// The way to the thread. Cheap to clone. When all of them and all sessions are dropped, the thread ends.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: Arc<Commands>,
    stats: Stats,
}

/// A session. Dropping it removes it; the other side is told that this is no failure.
pub struct Session {
    id: SessionId,
    commands: Arc<Commands>,
    reports: watch::Receiver<Report>,
}

#[derive(Debug)]
struct Commands {
    queue: mpsc::Sender<Command>,
    /// An octet wakes the thread, and so does the end of this socket.
    bell: UnixStream,
    next_id: AtomicU64,
}

/// Starts the thread, in the network namespace of the caller.
///
/// # Errors
/// No thread, no descriptors.
pub fn start(stats: Stats) -> io::Result<Handle> {
    let (queue, commands) = mpsc::channel();
    let (bell, ring) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    ring.set_nonblocking(true)?;
    let engine = Engine::new(commands, ring, stats.clone(), fastrand::u64(..));
    std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
        priority::raise();
        engine.run();
    })?;
    let commands = Arc::new(Commands { queue, bell, next_id: AtomicU64::new(0) });
    Ok(Handle { commands, stats })
}

impl Handle {
    /// Begins a session.
    ///
    /// # Errors
    /// The configuration contradicts itself. What is missing at present (the interface, a route, the port) is waited for, and
    /// said in [`Report::trouble`].
    pub fn add(&self, config: SessionConfig) -> Result<Session, SessionError> {
        config.check()?;
        self.warn_of_quota(&config);
        let id = SessionId(self.commands.next_id.fetch_add(1, Ordering::Relaxed));
        let (reporter, reports) =
            watch::channel(Report { status: Status::INITIAL, since: clock::now(), trouble: None });
        let command = Command::Add { id, line: Line::new(&config, reporter), timers: config.timers };
        self.commands.send(command)?;
        Ok(Session { id, commands: Arc::clone(&self.commands), reports })
    }

    /// Removes every session and waits until the other sides know, or for `at_most`.
    pub async fn shutdown(self, at_most: Duration) {
        let (done, ended) = oneshot::channel();
        if self.commands.send(Command::Shutdown(done)).is_ok() {
            // Either way there is nothing left to wait for.
            let _ = timeout(at_most, ended).await;
        }
    }

    /// What is counted.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The kernel freezes a process that has used up its quota until the period ends.
    fn warn_of_quota(&self, config: &SessionConfig) {
        let Some(quota) = self.stats.quota() else { return };
        let timers = config.timers;
        let fastest = timers.desired_min_tx.min(timers.required_min_rx);
        let detection_time = timers.detect_mult.times(fastest);
        if quota.threatens(detection_time) {
            let period = quota.period;
            warn!(remote = %config.remote, ?detection_time, ?period, "BFD is faster than this CPU quota allows");
        }
    }
}

impl Session {
    /// What is known now.
    #[must_use]
    pub fn report(&self) -> Report {
        *self.reports.borrow()
    }

    /// The next news, or those since the last call. Cancelling it loses nothing.
    ///
    /// # Errors
    /// The thread has ended.
    pub async fn changed(&mut self) -> Result<Report, SessionError> {
        self.reports.changed().await.map_err(|_| SessionError::Ended)?;
        Ok(*self.reports.borrow_and_update())
    }

    /// For whoever only looks: a status page, a test.
    #[must_use]
    pub fn reports(&self) -> watch::Receiver<Report> {
        self.reports.clone()
    }

    /// Switches it off; the other side will not take that for a failure.
    pub fn admin_down(&self) {
        // Where the thread has ended, `changed` says so.
        let _ = self.commands.send(Command::Admin(self.id, Admin::Down));
    }

    /// Switches it on again.
    pub fn admin_up(&self) {
        let _ = self.commands.send(Command::Admin(self.id, Admin::Up));
    }

    /// Changes the timers; an Up session stays Up.
    pub fn configure(&self, timers: Config) {
        let _ = self.commands.send(Command::Configure(self.id, timers));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Remove(self.id));
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}

impl Commands {
    fn send(&self, command: Command) -> Result<(), SessionError> {
        self.queue.send(command).map_err(|_| SessionError::Ended)?;
        // Full means that the thread is being woken already.
        let _ = (&self.bell).write(&[0]);
        Ok(())
    }
}

impl SessionConfig {
    fn check(&self) -> Result<(), SessionError> {
        let remote = self.remote;
        if remote.is_unspecified() || remote.is_multicast() || remote == IpAddr::from([255; 4]) {
            return Err(SessionError::Remote(remote));
        }
        if let Some(local) = self.local.filter(|local| local.is_ipv4() != remote.is_ipv4()) {
            return Err(SessionError::Family { local, remote });
        }
        if line::is_link_local(remote) {
            match (self.hops, &self.interface) {
                (Hops::Multiple { .. }, _) => return Err(SessionError::Hops(remote)),
                (Hops::Single, None) => return Err(SessionError::Interface(remote)),
                (Hops::Single, Some(_)) => {}
            }
        }
        Ok(())
    }
}

/// Its name in `ps -L`.
pub const THREAD: &str = "bfd";
