//! What goes wrong, and when: a function of the seed.

use std::time::Duration;

use vipcast_proto::placement::Event;

use crate::world::{CALM_FROM, Happening, Plan, World};

/// What ends by itself.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Trouble {
    /// SIGSTOP.
    Frozen,
    /// It cannot reach the API server.
    CutOff,
    /// Cordoned: it should take nothing.
    Drained,
}

/// Xorshift64: the run is a function of the seed and nothing else.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(from * 1000 + self.below((to - from) * 1000 + 1))
    }

    /// Mostly milliseconds, sometimes seconds.
    pub(crate) fn latency(&mut self) -> Duration {
        match self.below(100) {
            0..90 => self.millis(0, 20),
            90..98 => self.millis(20, 400),
            _ => self.millis(400, 4000),
        }
    }
}

impl World {
    pub(crate) fn break_something(&mut self) {
        if self.now > CALM_FROM {
            return;
        }
        let pause = if self.plan == Plan::Calm {
            self.dice.millis(3_000, 9_000)
        } else {
            self.dice.millis(200, 9_000)
        };
        self.after(pause, Happening::Break);
        let nodes = self.nodes.len() as u64;
        let node = usize::try_from(self.dice.below(nodes)).unwrap();
        let span = self.dice.millis(100, 25_000);
        if self.plan == Plan::Calm {
            let fault = self.dice.below(100);
            return self.move_as_planned(node, span, fault);
        }
        self.disturb();
        match self.dice.below(100) {
            0..12 => self.kill(node),
            12..24 => self.terminate(node),
            24..38 => self.trouble(node, span, Trouble::Frozen),
            38..52 => self.trouble(node, span, Trouble::CutOff),
            52..64 => self.nodes[node].lags_until = self.now + span,
            64..72 => self.trouble(node, span, Trouble::Drained),
            72..78 => self.api_back_at = self.now + span,
            // Two faults by hand, and a start just then: twins that cannot know of each other.
            78..82 if self.plan == Plan::Twins => {}
            78..82 => self.delete_lease(node),
            82..86 => self.relist(node),
            _ => self.change_inputs(),
        }
    }

    /// Nobody fails, and one thing happens at a time.
    fn move_as_planned(&mut self, node: usize, span: Duration, fault: u64) {
        let calm = self.nodes.iter().all(|node| node.process.is_some() && !node.drained);
        match fault {
            0..40 if calm => self.terminate(node),
            40..70 if calm => self.trouble(node, span, Trouble::Drained),
            _ => self.change_inputs(),
        }
    }

    fn trouble(&mut self, node: usize, span: Duration, trouble: Trouble) {
        self.set_trouble(node, trouble, true);
        self.after(span, Happening::Heal(node, trouble));
    }

    pub(crate) fn set_trouble(&mut self, node: usize, trouble: Trouble, begins: bool) {
        self.disturb();
        let there = &mut self.nodes[node];
        match trouble {
            Trouble::Frozen if begins => there.frozen = there.process.is_some(),
            Trouble::Frozen => self.thaw(node),
            Trouble::CutOff => there.cut_off = begins,
            Trouble::Drained => there.drained = begins,
        }
        let weight = u8::from(!self.nodes[node].drained);
        if !self.nodes[node].frozen {
            self.step(node, Event::Weight(weight));
        }
    }

    /// Kubernetes' grace period is long; ours is three seconds.
    fn terminate(&mut self, node: usize) {
        if self.nodes[node].frozen || self.nodes[node].process.is_none() {
            return;
        }
        let generation = self.nodes[node].generation;
        self.nodes[node].stopping = true;
        self.step(node, Event::Leave);
        self.after(Duration::from_secs(3), Happening::Kill(node, generation));
        let pause = self.dice.millis(3_100, 9_000);
        self.after(pause, Happening::Start(node));
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.disturb();
        if self.nodes[node].process.take().is_some() {
            self.thaw(node);
            let pause = self.dice.millis(200, 12_000);
            self.after(pause, Happening::Start(node));
        }
    }
}
