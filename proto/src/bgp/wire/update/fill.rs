//! As many prefixes to an UPDATE as 4096 octets hold.

use bytes::BytesMut;
use ipnet::IpNet;

use super::super::MAX_LENGTH;
use super::pack::Frame;

/// Appends UPDATEs of `ipv4` and `ipv6`, as the prefixes come, and says how many there are.
pub(super) fn fill(
    ipv4: &Frame,
    ipv6: Option<&Frame>,
    prefixes: impl IntoIterator<Item = IpNet>,
    into: &mut BytesMut,
) -> usize {
    let mut updates = 0;
    let mut run = Run::of(ipv4);
    for prefix in prefixes {
        let frame = match (prefix, ipv6) {
            (IpNet::V4(_), _) => ipv4,
            (IpNet::V6(_), Some(ipv6)) => ipv6,
            (IpNet::V6(_), None) => continue,
        };
        let octets = 1 + usize::from(prefix.prefix_len().div_ceil(8));
        if !run.takes(frame, octets) {
            updates += run.flush(into);
            run.restart(frame);
        }
        run.push(prefix, octets);
    }
    updates + run.flush(into)
}

/// The prefixes of one UPDATE, with room for a last one to be written at its full width before it is cut.
struct Run<'a> {
    frame: &'a Frame,
    prefixes: [u8; MAX_LENGTH as usize + MAX_PREFIX],
    used: usize,
    room: usize,
}

impl<'a> Run<'a> {
    fn of(frame: &'a Frame) -> Self {
        let room = usize::from(MAX_LENGTH).saturating_sub(frame.len());
        Self { frame, prefixes: [0; _], used: 0, room }
    }

    fn restart(&mut self, frame: &'a Frame) {
        self.frame = frame;
        self.used = 0;
        self.room = usize::from(MAX_LENGTH).saturating_sub(frame.len());
    }

    #[inline]
    fn takes(&self, frame: &Frame, octets: usize) -> bool {
        std::ptr::eq(self.frame, frame) && self.used + octets <= self.room
    }

    /// Length in bits, then as many octets as those need (RFC 4271 §4.3).
    #[inline]
    fn push(&mut self, prefix: IpNet, octets: usize) {
        match prefix {
            IpNet::V4(net) => {
                let [a, b, c, d] = net.network().octets();
                self.put([net.prefix_len(), a, b, c, d]);
            }
            IpNet::V6(net) => {
                let mut encoded = [net.prefix_len(); MAX_PREFIX];
                let [_, address @ ..] = &mut encoded;
                *address = net.network().octets();
                self.put(encoded);
            }
        }
        self.used += octets;
    }

    #[inline]
    fn put<const N: usize>(&mut self, encoded: [u8; N]) {
        if let Some(place) = self.prefixes.get_mut(self.used..).and_then(<[u8]>::first_chunk_mut) {
            *place = encoded;
        }
    }

    /// How many UPDATEs that makes: none where there is no prefix.
    fn flush(&self, into: &mut BytesMut) -> usize {
        match self.prefixes.get(..self.used) {
            Some(prefixes @ [_, ..]) => {
                self.frame.put(prefixes, into);
                1
            }
            Some([]) | None => 0,
        }
    }
}

/// A /128.
pub(super) const MAX_PREFIX: usize = 17;
