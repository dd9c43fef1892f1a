//! What waits to be written to a peer: never more than one batch of UPDATEs and a few messages of the session.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem;

use bytes::{Buf, Bytes};

/// Whole messages in order, the first of which may have left in part.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Bytes>,
    /// Octets of the message that has left in part.
    rest: usize,
    /// Octets up to the end of the batch.
    batch: Option<usize>,
    /// Octets up to the end of the KEEPALIVE that was queued last.
    keepalive: usize,
    /// Of all that waits.
    waiting: usize,
}

/// What a write has come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wrote {
    /// Some octets.
    Something,
    /// The last ones of the batch, too.
    Batch,
}

impl Outbox {
    /// A message of the session, after everything else.
    pub(super) fn push(&mut self, message: Bytes) {
        self.waiting += message.len();
        self.queue.push_back(message);
    }

    /// A KEEPALIVE, unless what waits says as much: to a peer that does not read, one is enough.
    pub(super) fn push_keepalive(&mut self, message: Bytes) {
        if self.batch.is_none() && self.keepalive == 0 {
            self.push(message);
            self.keepalive = self.waiting;
        }
    }

    /// Whole UPDATEs; only when no batch is under way.
    pub(super) fn push_batch(&mut self, octets: Vec<Bytes>) {
        octets.into_iter().for_each(|octets| self.push(octets));
        self.batch = Some(self.waiting);
    }

    pub(super) fn has_batch(&self) -> bool {
        self.batch.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// What to write next.
    pub(super) fn slices(&self) -> Vec<IoSlice<'_>> {
        self.queue.iter().take(MOST_SLICES).map(|octets| IoSlice::new(octets)).collect()
    }

    /// So many octets have left.
    pub(super) fn advance(&mut self, mut octets: usize) -> Wrote {
        self.waiting = self.waiting.saturating_sub(octets);
        self.keepalive = self.keepalive.saturating_sub(octets);
        let batch = self.batch.map(|left| left.saturating_sub(octets));
        self.batch = batch.filter(|left| *left > 0);
        while octets > 0
            && let Some(front) = self.queue.front_mut()
        {
            if self.rest == 0 {
                self.rest = message_length(front);
            }
            let step = octets.min(self.rest).min(front.len());
            front.advance(step);
            self.rest -= step;
            octets -= step;
            if front.is_empty() {
                self.rest = 0;
                self.queue.pop_front();
            }
        }
        if batch == Some(0) { Wrote::Batch } else { Wrote::Something }
    }

    /// Everything behind the message that has left in part is not sent, but for a last word.
    pub(super) fn last(&mut self, word: Option<Bytes>) -> VecDeque<Bytes> {
        let queue = mem::take(&mut self.queue);
        let rest = mem::take(&mut self.rest);
        *self = Self::default();
        let begun = queue.front().and_then(|front| (rest > 0).then(|| front.slice(..rest.min(front.len()))));
        begun.into_iter().chain(word).collect()
    }
}

/// Of the message at the beginning, its header included.
fn message_length(octets: &[u8]) -> usize {
    let length = octets.get(LENGTH).and_then(|length| <[u8; 2]>::try_from(length).ok());
    length.map_or(octets.len(), |length| usize::from(u16::from_be_bytes(length))).max(1)
}

/// Where the header has its length (RFC 4271 §4.1).
const LENGTH: std::ops::Range<usize> = 16..18;
/// More than a session ever has.
const MOST_SLICES: usize = 16;

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use vipcast_proto::bgp::types::Family;
    use vipcast_proto::bgp::wire::{encode, update};

    use super::*;

    fn keepalive() -> Bytes {
        let mut octets = BytesMut::new();
        encode::keepalive(&mut octets);
        octets.freeze()
    }

    /// Two UPDATEs of 23 octets.
    fn updates() -> Bytes {
        let mut octets = BytesMut::new();
        update::end_of_rib(Family::IPV4_UNICAST, &mut octets);
        update::end_of_rib(Family::IPV4_UNICAST, &mut octets);
        octets.freeze()
    }

    fn waiting(outbox: &Outbox) -> Vec<u8> {
        outbox.slices().iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn a_batch_is_written_when_its_last_octet_is() {
        let mut outbox = Outbox::default();
        outbox.push(keepalive());
        outbox.push_batch(vec![updates(), updates()]);
        outbox.push(keepalive());
        let wrote = [18, 1 + 91, 1, 19].map(|octets| (outbox.advance(octets), outbox.has_batch()));
        use Wrote::{Batch, Something};
        assert_eq!(wrote, [(Something, true), (Something, true), (Batch, false), (Something, false)]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_peer_that_does_not_read_makes_no_queue_of_keepalives() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            outbox.push_keepalive(keepalive());
        }
        assert_eq!(waiting(&outbox).len(), 19);
        outbox.advance(19);
        outbox.push_batch(vec![updates()]);
        outbox.push_keepalive(keepalive());
        assert_eq!(waiting(&outbox), updates());
        outbox.advance(46);
        outbox.push_keepalive(keepalive());
        assert_eq!(waiting(&outbox), keepalive());
    }

    #[test]
    fn the_last_word_follows_the_message_that_has_left_in_part() {
        for (written, kept) in [(0, 0), (19, 0), (20, 22), (41, 1), (42, 0), (43, 22), (64, 1)] {
            let mut outbox = Outbox::default();
            outbox.push(keepalive());
            outbox.push_batch(vec![updates()]);
            outbox.advance(written);
            let last: Vec<u8> = outbox.last(Some(keepalive())).into_iter().flatten().collect();
            let mut expected = waiting_from(written, kept);
            expected.extend(keepalive());
            assert_eq!(last, expected, "{written} octets written");
            assert!(outbox.is_empty() && !outbox.has_batch());
        }
    }

    fn waiting_from(written: usize, kept: usize) -> Vec<u8> {
        [keepalive(), updates()].concat()[written..written + kept].to_vec()
    }
}
