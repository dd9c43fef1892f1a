//! Keys of TCP connections: MD5 (RFC 2385) and TCP-AO (RFC 5925), and what the kernel says about wrong ones.

use std::mem::size_of;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::{fmt, fs, io};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::tcp::DialError;

/// How a TCP connection proves itself.
#[derive(Clone, Eq, PartialEq)]
pub enum Key {
    /// RFC 2385.
    Md5(String),
    /// RFC 5925, one key.
    Ao {
        /// The master key.
        secret: String,
        /// KeyID that we send.
        send_id: u8,
        /// KeyID that we expect.
        receive_id: u8,
        /// As the kernel calls it: `hmac(sha1)`, `cmac(aes128)`, `hmac(sha256)`.
        algorithm: &'static str,
    },
}

/// How often the kernel refused a segment for its signature, in this network namespace.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Refusals {
    /// It had none.
    pub unsigned: u64,
    /// It had a wrong one.
    pub wrong: u64,
}

/// Whether the kernel knows TCP-AO.
#[must_use]
pub fn has_tcp_ao() -> bool {
    let probe = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP));
    let key = Key::Ao { secret: "probe".into(), send_id: 1, receive_id: 1, algorithm: "hmac(sha1)" };
    probe.is_ok_and(|socket| set(&socket, [192, 0, 2, 1].into(), &key).is_ok())
}

/// Signs everything that is exchanged with `remote`, and takes nothing else from it.
pub(super) fn set(socket: &Socket, remote: IpAddr, key: &Key) -> Result<(), DialError> {
    match key {
        Key::Md5(password) => {
            let option = Md5::new(remote, password).ok_or_else(|| too_long("TCP MD5"))?;
            set_option(socket, libc::TCP_MD5SIG, &option).map_err(|source| refusal("TCP MD5", source))
        }
        Key::Ao { secret, send_id, receive_id, algorithm } => {
            let option = Ao::new(remote, secret, [*send_id, *receive_id], algorithm)
                .ok_or_else(|| too_long("TCP-AO"))?;
            set_option(socket, TCP_AO_ADD_KEY, &option).map_err(|source| refusal("TCP-AO", source))
        }
    }
}

impl Refusals {
    /// The counters of the calling thread's network namespace; zero where they cannot be read.
    #[must_use]
    pub fn read() -> Self {
        Self::parse(&fs::read_to_string("/proc/thread-self/net/netstat").unwrap_or_default())
    }

    /// What was refused since `before`, in words for the operator of a connection that does not come about.
    #[must_use]
    pub fn since(self, before: Self) -> Option<&'static str> {
        if self.wrong > before.wrong {
            return Some("segments with a wrong TCP signature come in: the passwords differ");
        }
        (self.unsigned > before.unsigned)
            .then_some("segments without a TCP signature come in: the peer has no password for this node")
    }

    fn parse(netstat: &str) -> Self {
        let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
        let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let mut refusals = Self::default();
        for (name, value) in names.split(' ').zip(values.split(' ')) {
            let value = value.parse::<u64>().unwrap_or_default();
            match name {
                "TCPMD5NotFound" | "TCPAORequired" => refusals.unsigned += value,
                "TCPMD5Failure" | "TCPAOBad" | "TCPAOKeyNotFound" => refusals.wrong += value,
                _ => {}
            }
        }
        refusals
    }
}

/// The secret is not shown.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Key {
    /// What an operator calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Md5(_) => "TCP MD5",
            Self::Ao { .. } => "TCP-AO",
        }
    }
}

/// `struct tcp_md5sig` of linux/tcp.h.
#[repr(C)]
struct Md5 {
    address: libc::sockaddr_storage,
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    interface: libc::c_int,
    key: [u8; MAX_KEY_LEN],
}

/// `struct tcp_ao_add` of linux/tcp.h.
#[repr(C, align(8))]
struct Ao {
    address: libc::sockaddr_storage,
    algorithm: [u8; 64],
    interface: libc::c_int,
    bits: u32,
    reserved: u16,
    prefix_len: u8,
    send_id: u8,
    receive_id: u8,
    mac_len: u8,
    key_flags: u8,
    key_len: u8,
    key: [u8; MAX_KEY_LEN],
}

impl Md5 {
    fn new(remote: IpAddr, password: &str) -> Option<Self> {
        Some(Self {
            address: storage(remote),
            flags: 0,
            prefix_len: 0,
            key_len: u16::try_from(password.len()).ok()?,
            interface: 0,
            key: padded(password)?,
        })
    }
}

impl Ao {
    fn new(remote: IpAddr, secret: &str, [send_id, receive_id]: [u8; 2], algorithm: &str) -> Option<Self> {
        Some(Self {
            address: storage(remote),
            algorithm: padded(algorithm)?,
            interface: 0,
            bits: 0,
            reserved: 0,
            prefix_len: if remote.is_ipv4() { 32 } else { 128 },
            send_id,
            receive_id,
            // The kernel's twelve octets (RFC 5926 §3.1).
            mac_len: 0,
            key_flags: 0,
            key_len: u8::try_from(secret.len()).ok()?,
            key: padded(secret)?,
        })
    }
}

#[expect(unsafe_code, reason = "socket2 has no keys")]
fn set_option<T>(socket: &Socket, option: libc::c_int, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open, and the pointer and the length are those of a value that outlives the call and is
    // laid out as the kernel has it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The kernel looks at the address only.
#[expect(unsafe_code, reason = "socket2 shows the octets of an address, and libc wants its own type")]
fn storage(address: IpAddr) -> libc::sockaddr_storage {
    let address = SockAddr::from(SocketAddr::new(address, 0));
    // SAFETY: a `sockaddr_storage` of zeros is a valid value, and the address is shorter and of plain integers.
    unsafe {
        let mut storage: libc::sockaddr_storage = std::mem::zeroed();
        let length = usize::try_from(address.len()).unwrap_or(0).min(size_of::<libc::sockaddr_storage>());
        std::ptr::copy_nonoverlapping(address.as_ptr().cast::<u8>(), (&raw mut storage).cast::<u8>(), length);
        storage
    }
}

fn padded<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut octets = [0; N];
    octets.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some(octets)
}

fn refusal(what: &'static str, source: io::Error) -> DialError {
    match source.raw_os_error() {
        Some(libc::ENOPROTOOPT) => DialError::Missing(what),
        // The algorithm's module.
        Some(libc::ENOENT) => DialError::Missing("algorithm of that name for TCP-AO"),
        _ => DialError::Option { what: what.into(), source },
    }
}

fn too_long(what: &str) -> DialError {
    DialError::Option { what: what.into(), source: io::Error::other("the password is longer than 80 octets") }
}

/// `TCP_MD5SIG_MAXKEYLEN` and `TCP_AO_MAXKEYLEN`.
const MAX_KEY_LEN: usize = 80;
/// linux/tcp.h, since 6.7.
const TCP_AO_ADD_KEY: libc::c_int = 38;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_laid_out_as_the_kernel_has_them() {
        assert_eq!((size_of::<Md5>(), size_of::<Ao>()), (216, 288));
    }

    #[test]
    fn a_key_is_taken_for_both_families_and_too_long_a_one_is_not() {
        for (domain, remote) in [(Domain::IPV4, "192.0.2.1"), (Domain::IPV6, "2001:db8::1")] {
            let socket = Socket::new(domain, Type::STREAM, None).unwrap();
            let remote = remote.parse().unwrap();
            set(&socket, remote, &Key::Md5("x".repeat(80))).unwrap();
            let refused = set(&socket, remote, &Key::Md5("x".repeat(81))).unwrap_err();
            assert_eq!(refused.to_string(), "TCP MD5: the password is longer than 80 octets");
        }
    }

    #[test]
    fn a_kernel_without_tcp_ao_says_so() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let key = Key::Ao { secret: "s".into(), send_id: 1, receive_id: 1, algorithm: "hmac(sha1)" };
        let answer = set(&socket, [192, 0, 2, 1].into(), &key).map_err(|error| error.to_string());
        let expected = if has_tcp_ao() { Ok(()) } else { Err("this kernel has no TCP-AO".to_owned()) };
        assert_eq!(answer, expected);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let ao = Key::Ao { secret: "s".into(), send_id: 1, receive_id: 1, algorithm: "hmac(sha1)" };
        assert_eq!(format!("{:?} {ao:?}", Key::Md5("s".into())), "TCP MD5 TCP-AO");
    }

    #[test]
    fn refused_signatures_are_counted_apart() {
        let netstat = "TcpExt: SyncookiesSent TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure\n\
                       TcpExt: 1 2 3 4\nIpExt: InNoRoutes\nIpExt: 9\n";
        let seen = Refusals::parse(netstat);
        assert_eq!(seen, Refusals { unsigned: 2, wrong: 4 });
        let none = Refusals::default();
        assert_eq!(
            [seen.since(none), seen.since(Refusals { unsigned: 0, wrong: 4 }), seen.since(seen)],
            [
                Some("segments with a wrong TCP signature come in: the passwords differ"),
                Some("segments without a TCP signature come in: the peer has no password for this node"),
                None,
            ]
        );
    }
}
