//! The control messages that come with a datagram (cmsg(3)).

use std::mem::size_of;
use std::net::IpAddr;
use std::time::Duration;

/// What they say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Control {
    pub(super) ttl: Option<u8>,
    pub(super) interface: Option<u32>,
    pub(super) destination: Option<IpAddr>,
    /// Since the epoch.
    pub(super) stamp: Option<Duration>,
}

/// Reads what the kernel has written; what is not asked for is passed over.
pub(super) fn parse(mut octets: &[u8]) -> Control {
    let mut control = Control::default();
    while let Some((message, rest)) = message(octets) {
        control.take(&message);
        octets = rest;
    }
    control
}

struct Message<'a> {
    level: libc::c_int,
    kind: libc::c_int,
    data: &'a [u8],
}

fn message(octets: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = usize::from_ne_bytes(array(octets, 0)?);
    let level = libc::c_int::from_ne_bytes(array(octets, size_of::<usize>())?);
    let kind = libc::c_int::from_ne_bytes(array(octets, size_of::<usize>() + size_of::<libc::c_int>())?);
    let data = octets.get(HEADER_LEN..length)?;
    let next = length.checked_next_multiple_of(size_of::<usize>())?;
    Some((Message { level, kind, data }, octets.get(next..).unwrap_or_default()))
}

impl Control {
    fn take(&mut self, message: &Message<'_>) {
        let data = message.data;
        match (message.level, message.kind) {
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                self.ttl = integer(data, 0).and_then(|ttl| u8::try_from(ttl).ok());
            }
            // struct in_pktinfo: index, the local address that answers, the address in the header.
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                self.interface = array(data, 0).map(u32::from_ne_bytes);
                self.destination = array::<4>(data, 8).map(IpAddr::from);
            }
            // struct in6_pktinfo: the address in the header, index.
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                self.destination = array::<16>(data, 0).map(IpAddr::from);
                self.interface = array(data, 16).map(u32::from_ne_bytes);
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => self.stamp = timespec(data),
            _ => {}
        }
    }
}

/// struct timespec of the 64-bit kernels.
fn timespec(data: &[u8]) -> Option<Duration> {
    let seconds = u64::try_from(i64::from_ne_bytes(array(data, 0)?)).ok()?;
    let nanos = u32::try_from(i64::from_ne_bytes(array(data, 8)?)).ok()?;
    Some(Duration::new(seconds, nanos.min(999_999_999)))
}

fn integer(data: &[u8], at: usize) -> Option<i32> {
    array(data, at).map(i32::from_ne_bytes)
}

fn array<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..)?.first_chunk().copied()
}

const HEADER_LEN: usize = size_of::<usize>() + 2 * size_of::<libc::c_int>();

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut octets = (HEADER_LEN + data.len()).to_ne_bytes().to_vec();
        octets.extend(level.to_ne_bytes());
        octets.extend(kind.to_ne_bytes());
        octets.extend(data);
        octets.resize(octets.len().next_multiple_of(size_of::<usize>()), 0);
        octets
    }

    #[test]
    fn messages_of_either_family_are_read_and_strange_ones_passed_over() {
        let v4 = [7_u32.to_ne_bytes(), [192, 0, 2, 9], [192, 0, 2, 1]].concat();
        let all = [
            encoded(libc::SOL_SOCKET, 99, b"strange"),
            encoded(libc::IPPROTO_IP, libc::IP_PKTINFO, &v4),
            encoded(libc::IPPROTO_IP, libc::IP_TTL, &254_i32.to_ne_bytes()),
        ];
        let expected = Control {
            ttl: Some(254),
            interface: Some(7),
            destination: Some("192.0.2.1".parse().unwrap()),
            stamp: None,
        };
        assert_eq!(parse(&all.concat()), expected);
    }

    #[test]
    fn lengths_that_lie_end_the_list() {
        let honest = encoded(libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &255_i32.to_ne_bytes());
        for length in [0, 1, HEADER_LEN - 1, usize::MAX, usize::MAX - 2, 60] {
            let mut lying = honest.clone();
            lying[..size_of::<usize>()].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(parse(&[lying, honest.clone()].concat()), Control::default(), "{length}");
        }
        for cut in 0..honest.len() - 4 {
            assert_eq!(parse(&honest[..cut]), Control::default(), "{cut}");
        }
    }
}
