//! Frames that wait to leave, each no longer than it is permitted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use vipcast_proto::l2::ethernet::MacAddr;
use vipcast_proto::l2::responder::Action;

use crate::admin::responder_metrics::InterfaceCounts;
use crate::net::burst::{BATCH, Sent};
use crate::net::{NetError, frames};

/// Frames in the order in which they were decided.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Outgoing>,
    /// There was no room; until then it is not tried again.
    pub(super) full_until: Option<Instant>,
}

#[derive(Debug)]
struct Outgoing {
    octets: Vec<u8>,
    kind: Kind,
    /// A probe harms nobody, and has no end.
    until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Probe,
    Announcement,
    Answer,
}

impl Outbox {
    /// Puts in what an action asks to be sent from `mac`.
    pub(super) fn put(&mut self, mac: MacAddr, action: &Action, counts: &InterfaceCounts) {
        match *action {
            Action::Probe(vip) => self.push(frames::probe(mac, vip), Kind::Probe, None, counts),
            Action::Announce { vip, until } => {
                for frame in frames::announcement(mac, vip) {
                    self.push(frame, Kind::Announcement, Some(until), counts);
                }
            }
            Action::Answer { ref solicitation, until } => {
                if let Some(frame) = frames::answer(mac, solicitation) {
                    self.push(frame, Kind::Answer, Some(until), counts);
                }
            }
            Action::Tell(_) => {}
        }
    }

    fn push(&mut self, octets: Vec<u8>, kind: Kind, until: Option<Instant>, counts: &InterfaceCounts) {
        if self.frames.len() < MOST {
            self.frames.push_back(Outgoing { octets, kind, until });
        } else {
            counts.unsent.inc();
        }
    }

    /// Whether more may be decided before what is here has left.
    pub(super) fn has_room(&self) -> bool {
        self.frames.len() < ENOUGH
    }

    pub(super) fn clear(&mut self, counts: &InterfaceCounts) {
        counts.unsent.inc_by(self.frames.len().try_into().unwrap_or(u64::MAX));
        self.frames.clear();
        self.full_until = None;
    }

    /// Sends what there is, as far as there is room. The clock is asked before each call of the kernel: a frame
    /// that is not permitted any more by then is thrown away.
    pub(super) fn flush(
        &mut self,
        now: impl Fn() -> Instant,
        mut send: impl FnMut(&mut dyn Iterator<Item = &[u8]>) -> Result<Sent, NetError>,
        counts: &InterfaceCounts,
    ) -> Result<(), NetError> {
        self.full_until = self.full_until.filter(|&until| now() < until);
        while self.full_until.is_none() && !self.frames.is_empty() {
            let at = now();
            self.frames.retain(|frame| frame.until.is_none_or(|until| at < until));
            match send(&mut self.frames.iter().take(BATCH).map(|frame| frame.octets.as_slice()))? {
                Sent::Some(count) => self.sent(count, counts),
                Sent::Full => self.full_until = Some(at + PAUSE),
                Sent::Down => self.clear(counts),
            }
        }
        Ok(())
    }

    fn sent(&mut self, count: usize, counts: &InterfaceCounts) {
        for frame in self.frames.drain(..count.min(self.frames.len())) {
            match frame.kind {
                Kind::Probe => counts.probes.inc(),
                Kind::Announcement => counts.announcements.inc(),
                Kind::Answer => counts.answers.inc(),
            };
        }
    }
}

/// Frames that may wait before nothing more is read or decided.
const ENOUGH: usize = 512;

/// Frames that may wait at all: what is decided at once by one more call.
const MOST: usize = 2048;

/// How long the queue of an interface gets to make room.
const PAUSE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::net::IpAddr;

    use super::*;
    use crate::clock;
    use crate::witness::Witness;

    fn counts() -> InterfaceCounts {
        Witness::for_tests().0.metrics.responder("eth0")
    }

    fn mac() -> MacAddr {
        MacAddr::from([2, 0, 0x5e, 0, 0, 1])
    }

    fn announce(last: u8, until: Instant) -> Action {
        Action::Announce { vip: IpAddr::from([192, 0, 2, last]), until }
    }

    #[test]
    fn a_frame_whose_permission_ends_before_it_leaves_does_not_leave() {
        let (start, counts, mut outbox) = (clock::now(), counts(), Outbox::default());
        let second = Duration::from_secs(1);
        outbox.put(mac(), &announce(1, start + second), &counts);
        outbox.put(mac(), &announce(2, start + second * 2), &counts);
        let (at, left) = (Cell::new(start), RefCell::new(vec![]));
        // The first call takes one frame, and the process sleeps for a second before the next.
        let send = |frames: &mut dyn Iterator<Item = &[u8]>| {
            let frame = frames.next().unwrap();
            left.borrow_mut().push(frame[31]);
            at.set(start + second);
            Ok(Sent::Some(1))
        };
        outbox.flush(|| at.get(), send, &counts).unwrap();
        assert_eq!((left.into_inner(), counts.announcements.get()), (vec![1, 2, 2], 3));
    }

    #[test]
    fn what_finds_no_room_is_tried_again_after_a_pause_and_what_has_no_link_is_forgotten() {
        let (start, counts, mut outbox) = (clock::now(), counts(), Outbox::default());
        outbox.put(mac(), &Action::Probe(IpAddr::from([192, 0, 2, 1])), &counts);
        outbox.flush(|| start, |_| Ok(Sent::Full), &counts).unwrap();
        assert_eq!(outbox.full_until, Some(start + PAUSE));
        outbox.flush(|| start, |_| panic!("too early"), &counts).unwrap();
        outbox.flush(|| start + PAUSE, |_| Ok(Sent::Down), &counts).unwrap();
        assert_eq!((outbox.frames.len(), outbox.full_until, counts.unsent.get()), (0, None, 1));
    }

    #[test]
    fn nothing_grows_where_nothing_leaves() {
        let (start, counts, mut outbox) = (clock::now(), counts(), Outbox::default());
        let until = start + Duration::from_secs(60);
        let room = (0..2 * MOST).filter(|_| {
            outbox.put(mac(), &announce(1, until), &counts);
            outbox.has_room()
        });
        assert_eq!(room.count(), ENOUGH / 2 - 1);
        assert_eq!((outbox.frames.len(), counts.unsent.get()), (MOST, 3 * MOST as u64));
    }
}
