//! One session's way out: its socket, opened when there is something to send and it is possible.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use socket2::Socket;
use tokio::sync::watch;
use vipcast_proto::bfd::path::Port;
use vipcast_proto::bfd::session::Status;
use vipcast_proto::bfd::wire;

use super::{Hops, Report, SessionConfig};
use crate::clock;
use crate::net::datagram::{Route, sender};
use crate::net::interface_index;

/// What keeps a session from speaking or hearing. It is tried again with every packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// The port for received packets cannot be opened: perhaps another BFD has it.
    Listen {
        /// 3784 or 4784.
        port: u16,
        /// The kernel's reason.
        errno: i32,
    },
    /// There is no such interface.
    NoInterface,
    /// Packets do not leave.
    Send {
        /// The kernel's reason.
        errno: i32,
    },
    /// Another session watches the same path. This one begins when that one is removed.
    Overlaps,
}

/// Where a session's packets go, and who is told about it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) remote: IpAddr,
    pub(super) local: Option<IpAddr>,
    pub(super) interface: Option<String>,
    pub(super) hops: Hops,
    /// "The source port MUST be in the range 49152 through 65535. The same UDP source port number MUST be used for all BFD
    /// Control packets associated with a particular session" (RFC 5881 §4).
    source_port: Option<u16>,
    socket: Option<Socket>,
    reporter: watch::Sender<Report>,
    told: Option<Trouble>,
}

impl Line {
    pub(super) fn new(config: &SessionConfig, reporter: watch::Sender<Report>) -> Self {
        Self {
            remote: config.remote,
            local: config.local,
            interface: config.interface.clone(),
            hops: config.hops,
            source_port: None,
            socket: None,
            reporter,
            told: None,
        }
    }

    pub(super) const fn port(&self) -> Port {
        match self.hops {
            Hops::Single => Port::SingleHop,
            Hops::Multiple { .. } => Port::MultiHop,
        }
    }

    pub(super) fn tell(&self, status: Status) {
        self.reporter.send_modify(|report| {
            if report.status.state != status.state {
                report.since = clock::now();
            }
            report.status = status;
        });
    }

    /// Told only where it is new.
    pub(super) fn trouble(&mut self, trouble: Option<Trouble>) {
        if self.told != trouble {
            self.told = trouble;
            self.reporter.send_modify(|report| report.trouble = trouble);
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// The interface's index, where there has to be one.
    pub(super) fn index(&self) -> Result<Option<u32>, Trouble> {
        let Some(name) = &self.interface else { return Ok(None) };
        interface_index(name).map(Some).ok_or(Trouble::NoInterface)
    }

    /// Opens the socket. Ports are drawn until one is free, which no other session has then.
    pub(super) fn open(&mut self, index: Option<u32>) -> Result<(), Trouble> {
        let port = number(self.port());
        let remote = match self.remote {
            IpAddr::V4(_) => SocketAddr::new(self.remote, port),
            IpAddr::V6(address) => {
                let scope = if is_link_local(self.remote) { index.unwrap_or(0) } else { 0 };
                SocketAddrV6::new(address, port, 0, scope).into()
            }
        };
        let mut attempts = 0;
        loop {
            let source_port = self.source_port.unwrap_or_else(|| fastrand::u16(FIRST_SOURCE_PORT..));
            let route =
                Route { remote, local: self.local, source_port, interface: self.interface.as_deref() };
            match sender(&route) {
                Ok(socket) => {
                    (self.socket, self.source_port) = (Some(socket), Some(source_port));
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts < ATTEMPTS => {
                    attempts += 1;
                    self.source_port = None;
                }
                Err(error) => return Err(Trouble::Send { errno: errno(&error) }),
            }
        }
    }

    /// Sends on the open socket.
    pub(super) fn send(&mut self, packet: &[u8; wire::LEN]) -> Result<(), Trouble> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let sent = match socket.send(packet) {
            // Nobody listened to the packet before: the kernel says so now, instead of sending this one.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => socket.send(packet),
            sent => sent,
        };
        match sent {
            Ok(_) => Ok(()),
            Err(error) => {
                // The route, the address or the interface may be another one by the next time.
                self.socket = None;
                Err(Trouble::Send { errno: errno(&error) })
            }
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = |errno: &i32| io::Error::from_raw_os_error(*errno);
        match self {
            Self::Listen { port, errno } => write!(f, "cannot receive on UDP port {port}: {}", reason(errno)),
            Self::NoInterface => write!(f, "there is no such interface"),
            Self::Send { errno } => write!(f, "cannot send: {}", reason(errno)),
            Self::Overlaps => write!(f, "another session watches the same path"),
        }
    }
}

/// Addresses that mean nothing without their link.
pub(super) const fn is_link_local(address: IpAddr) -> bool {
    match address {
        // 169.254.0.0/16 is routed like any other, if at all.
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The port that packets are sent to.
pub(super) const fn number(port: Port) -> u16 {
    match port {
        Port::SingleHop => 3784,
        Port::MultiHop => 4784,
    }
}

pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or_default()
}

const FIRST_SOURCE_PORT: u16 = 49152;
/// Of sixteen thousand ports.
const ATTEMPTS: u32 = 1000;
