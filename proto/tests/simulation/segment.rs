//! The segment and the kernels on it: addresses with a lifetime, probes and announcements.

use std::time::{Duration, Instant};

use vipcast_proto::l2::announcer::{self, kernel_lifetime};
use vipcast_proto::l2::ethernet::{MacAddr, SightingKind};

use crate::node::{LIFETIME, Process, vip};
use crate::world::{Happening, RUN_FOR, World};

impl World {
    pub(crate) fn perform(&mut self, node: usize, action: announcer::Action) {
        match action {
            announcer::Action::Probe(_) => self.ask_segment(node, true),
            announcer::Action::Announce(_) => self.ask_segment(node, false),
            announcer::Action::Hold { fence, .. } => self.hold(node, fence),
            announcer::Action::Drop(_) => {
                let generation = self.nodes[node].generation;
                let delay = self.dice.millis(0, 20);
                self.after(delay, Happening::Dropped { node, generation });
            }
            announcer::Action::Tell(_) => {}
        }
    }

    pub(crate) fn hold(&mut self, node: usize, fence: Instant) {
        let now = self.nodes[node].local(self.now);
        let seconds = kernel_lifetime(now, fence, LIFETIME);
        let seconds = if self.mutation.unfenced_lifetime { Some(9) } else { seconds };
        let Some(seconds) = seconds else { return };
        let held = self.nodes[node].holds(self.now);
        let lateness = self.dice.millis(0, 250);
        let lifetime =
            if self.mutation.eternal_addresses { RUN_FOR } else { Duration::from_secs(seconds.into()) };
        self.nodes[node].address_until = Some(self.now + lifetime + lateness);
        if held {
            return;
        }
        self.outcome.takeovers += 1;
        let handed = self.nodes[node].process.as_ref().is_some_and(Process::took_a_hand_over);
        self.outcome.handovers += u64::from(handed);
        for other in 0..self.nodes.len() {
            if other != node && self.nodes[other].holds(self.now) {
                self.outcome.overlaps.push((self.now, node, other));
            }
        }
    }

    pub(crate) fn dropped(&mut self, node: usize, generation: u64) {
        if !self.runs(node, generation) {
            return;
        }
        self.nodes[node].address_until = None;
        let now = self.nodes[node].local(self.now);
        let early = self.mutation.release_before_drop;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        process.dropping = false;
        let wishes = process.settle(now, early);
        self.fulfil(node, wishes);
    }

    /// The kernels of the others answer a probe, whether their processes run or not; an announcement
    /// is heard by those who hold, or ask, themselves.
    pub(crate) fn ask_segment(&mut self, node: usize, probe: bool) {
        if self.nodes[node].unplugged {
            return;
        }
        for other in (0..self.nodes.len()).filter(|&other| other != node) {
            if self.nodes[other].unplugged {
                continue;
            }
            let delay = self.dice.millis(0, 2);
            self.after(delay, Happening::Seen { node: other, by: node, probe });
            if probe && self.nodes[other].holds(self.now) {
                let delay = self.dice.millis(0, 4);
                self.after(delay, Happening::Seen { node, by: other, probe: false });
            }
        }
    }

    pub(crate) fn seen(&mut self, node: usize, by: usize, probe: bool) {
        let kind = if probe { SightingKind::Probe } else { SightingKind::Claim };
        let by = MacAddr::from([2, 0, 0, 0, 0, u8::try_from(by).unwrap()]);
        self.announce(node, announcer::Event::Seen { vip: vip(), by, kind });
    }
}
