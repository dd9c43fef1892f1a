//! TCP connections to routers: dialled with what the kernel can do for a BGP session.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

use super::tcp_key::{self, Key};

/// How a peer is dialled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dial {
    /// The peer, with the scope of a link-local address.
    pub remote: SocketAddr,
    /// Our end, where it is fixed.
    pub local: Option<IpAddr>,
    /// The only interface that the connection may use.
    pub interface: Option<String>,
    /// TTL or hop limit of what we send; `None`: the kernel's.
    pub ttl: Option<u8>,
    /// The least TTL or hop limit that is taken from the peer (RFC 5082); `None`: any.
    pub minimum_ttl: Option<u8>,
    /// How the connection proves itself.
    pub key: Option<Key>,
    /// How long octets may stay unacknowledged (RFC 5482); `None`: as long as the kernel likes.
    pub user_timeout: Option<Duration>,
}

/// Why there is no connection, in words for operators.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The kernel refuses something that was asked for.
    #[error("{what}: {source}")]
    Option {
        /// What was asked for.
        what: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Not in this kernel.
    #[error("this kernel has no {0}")]
    Missing(&'static str),
    /// Our end is somebody else's.
    #[error("source address {0} is not on this node")]
    NotOurs(IpAddr),
    /// Nobody listens there.
    #[error("connection refused by {0}: nothing listens on that port, or not for us")]
    Refused(String),
    /// No way there.
    #[error("{remote} cannot be reached: {source}{}", hint(*.ttl))]
    Unreachable {
        /// The peer.
        remote: String,
        /// The TTL that was not enough, perhaps.
        ttl: Option<u8>,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot connect to {remote}: {source}")]
    Other {
        /// The peer.
        remote: String,
        /// The kernel's reason.
        source: io::Error,
    },
}

impl Dial {
    /// Connects; the kernel decides how long that may take.
    ///
    /// # Errors
    /// An option is refused, or the peer does not answer.
    pub async fn connect(&self) -> Result<TcpStream, DialError> {
        let socket = self.socket()?;
        // Both are sockets that do not block.
        TcpSocket::from_std_stream(socket.into())
            .connect(self.remote)
            .await
            .map_err(|source| self.refusal(source))
    }

    /// The peer as operators write it: a link-local address with its interface's name.
    #[must_use]
    pub fn peer(&self) -> String {
        match (self.remote, &self.interface) {
            (SocketAddr::V6(remote), Some(interface)) if remote.scope_id() != 0 => {
                format!("[{}%{interface}]:{}", remote.ip(), remote.port())
            }
            (remote, _) => remote.to_string(),
        }
    }

    fn socket(&self) -> Result<Socket, DialError> {
        let remote = self.remote.ip();
        let refused = |what: &str| {
            let what = what.to_owned();
            |source| DialError::Option { what, source }
        };
        let domain = Domain::for_address(self.remote);
        let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))
            .map_err(refused("no TCP socket"))?;
        socket.set_tcp_nodelay(true).map_err(refused("TCP_NODELAY"))?;
        socket.set_tcp_notsent_lowat(QUEUE_LEN).map_err(refused("TCP_NOTSENT_LOWAT"))?;
        socket.set_tcp_user_timeout(self.user_timeout).map_err(refused("TCP_USER_TIMEOUT"))?;
        network_control(&socket, remote).map_err(refused("type of service"))?;
        if let Some(interface) = &self.interface {
            socket
                .bind_device(Some(interface.as_bytes()))
                .map_err(refused(&format!("cannot use interface {interface}")))?;
        }
        if let Some(ttl) = self.ttl {
            set_ttl(&socket, remote, ttl).map_err(refused("TTL"))?;
        }
        if let Some(ttl) = self.minimum_ttl {
            set_minimum_ttl(&socket, remote, ttl).map_err(refused("GTSM"))?;
        }
        if let Some(key) = &self.key {
            tcp_key::set(&socket, remote, key)?;
        }
        self.bind(&socket)?;
        Ok(socket)
    }

    fn bind(&self, socket: &Socket) -> Result<(), DialError> {
        let Some(local) = self.local else { return Ok(()) };
        let mut address = SocketAddr::new(local, 0);
        if let (SocketAddr::V6(address), SocketAddr::V6(remote)) = (&mut address, self.remote)
            && address.ip().is_unicast_link_local()
        {
            address.set_scope_id(remote.scope_id());
        }
        socket.bind(&address.into()).map_err(|source| match source.raw_os_error() {
            Some(libc::EADDRNOTAVAIL) => DialError::NotOurs(local),
            _ => DialError::Option { what: format!("cannot use source address {local}"), source },
        })
    }

    fn refusal(&self, source: io::Error) -> DialError {
        let remote = self.peer();
        match source.raw_os_error() {
            Some(libc::ECONNREFUSED) => DialError::Refused(remote),
            Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::ENETDOWN) => {
                DialError::Unreachable { remote, ttl: self.ttl, source }
            }
            _ => DialError::Other { remote, source },
        }
    }
}

/// Drops a connection so that the other end hears of it even if it reads nothing, and what is queued is not sent.
pub fn reset(stream: TcpStream) {
    // Where this fails the connection ends in the ordinary way.
    drop(SockRef::from(&stream).set_linger(Some(Duration::ZERO)));
    drop(stream);
}

/// How many octets were written that have not been sent even once: the other end does not take them at present.
#[expect(unsafe_code, reason = "neither socket2 nor tokio has SIOCOUTQNSD")]
pub fn unsent(stream: &TcpStream) -> usize {
    let mut octets: libc::c_int = 0;
    // SAFETY: the descriptor is open, and the kernel writes one integer.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), SIOCOUTQNSD.into(), &raw mut octets) };
    if result == 0 { usize::try_from(octets).unwrap_or(0) } else { 0 }
}

fn hint(ttl: Option<u8>) -> &'static str {
    match ttl {
        Some(1) => "; it may be more than one hop away, which needs multihop",
        Some(_) | None => "",
    }
}

/// Network control, CS6 (RFC 4594 §3.1).
fn network_control(socket: &Socket, remote: IpAddr) -> io::Result<()> {
    match remote {
        IpAddr::V4(_) => socket.set_tos_v4(NETWORK_CONTROL),
        IpAddr::V6(_) => socket.set_tclass_v6(NETWORK_CONTROL),
    }
}

fn set_ttl(socket: &Socket, remote: IpAddr, ttl: u8) -> io::Result<()> {
    match remote {
        IpAddr::V4(_) => socket.set_ttl_v4(ttl.into()),
        IpAddr::V6(_) => socket.set_unicast_hops_v6(ttl.into()),
    }
}

#[expect(unsafe_code, reason = "socket2 has neither IP_MINTTL nor IPV6_MINHOPCOUNT")]
fn set_minimum_ttl(socket: &Socket, remote: IpAddr, ttl: u8) -> io::Result<()> {
    let (level, option) = match remote {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MINTTL),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT),
    };
    let ttl = libc::c_int::from(ttl);
    // SAFETY: the descriptor is open, and the pointer and the length are those of a local that outlives the call.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const ttl).cast(), INT_LEN) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What the kernel takes before what it has was sent: enough to keep a router busy, and soon over for one that reads nothing.
const QUEUE_LEN: u32 = 256 * 1024;
/// linux/sockios.h.
const SIOCOUTQNSD: u16 = 0x894b;
const NETWORK_CONTROL: u32 = 0xc0;
const INT_LEN: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV6;

    use socket2::SockRef;
    use tokio::net::TcpListener;

    use super::*;

    fn dial(remote: SocketAddr) -> Dial {
        Dial {
            remote,
            local: None,
            interface: None,
            ttl: None,
            minimum_ttl: None,
            key: None,
            user_timeout: None,
        }
    }

    async fn listener(ip: &str) -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_connection_has_every_option_that_was_asked_for() {
        let (_listener, remote) = listener("127.0.0.1").await;
        let wanted = Dial {
            local: Some("127.0.0.2".parse().unwrap()),
            interface: Some("lo".into()),
            ttl: Some(255),
            minimum_ttl: Some(64),
            user_timeout: Some(Duration::from_secs(9)),
            ..dial(remote)
        };
        let stream = wanted.connect().await.unwrap();
        let socket = SockRef::from(&stream);
        let seen = (
            stream.local_addr().unwrap().ip().to_string(),
            socket.tcp_nodelay().unwrap(),
            socket.tos_v4().unwrap(),
            socket.ttl_v4().unwrap(),
            socket.tcp_user_timeout().unwrap(),
        );
        assert_eq!(seen, ("127.0.0.2".into(), true, 0xc0, 255, wanted.user_timeout));
    }

    #[tokio::test]
    async fn why_there_is_no_connection_is_said_in_words() {
        let (listener, remote) = listener("127.0.0.1").await;
        drop(listener);
        let words = async |dial: Dial| dial.connect().await.unwrap_err().to_string();
        assert_eq!(
            words(dial(remote)).await,
            format!("connection refused by {remote}: nothing listens on that port, or not for us")
        );
        let foreign = Dial { local: Some("192.0.2.77".parse().unwrap()), ..dial(remote) };
        assert_eq!(words(foreign).await, "source address 192.0.2.77 is not on this node");
        let missing = Dial { interface: Some("nowhere0".into()), ..dial(remote) };
        assert_eq!(words(missing).await, "cannot use interface nowhere0: No such device (os error 19)");
    }

    #[test]
    fn a_link_local_peer_is_named_with_its_interface() {
        let link_local = SocketAddrV6::new("fe80::1".parse().unwrap(), 179, 0, 3);
        let named = Dial { interface: Some("eth0".into()), ..dial(link_local.into()) };
        assert_eq!(named.peer(), "[fe80::1%eth0]:179");
        let refused = named.refusal(io::Error::from_raw_os_error(libc::ECONNREFUSED)).to_string();
        assert!(refused.starts_with("connection refused by [fe80::1%eth0]:179: "), "{refused}");
        let global = Dial { remote: "[2001:db8::1]:179".parse().unwrap(), ..named };
        assert_eq!(global.peer(), "[2001:db8::1]:179");
    }

    #[tokio::test]
    async fn a_peer_from_too_far_away_is_not_heard() {
        let (listener, remote) = listener("127.0.0.1").await;
        SockRef::from(&listener).set_ttl_v4(254).unwrap();
        let near = Dial { minimum_ttl: Some(255), ..dial(remote) };
        let attempt = tokio::time::timeout(Duration::from_millis(200), near.connect()).await;
        assert!(attempt.is_err(), "its SYN-ACK came from a hop away");
        SockRef::from(&listener).set_ttl_v4(255).unwrap();
        near.connect().await.unwrap();
    }
}
