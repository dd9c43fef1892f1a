//! Faults: how each begins, and how it ends.

use std::time::Duration;

use crate::faults::Fault;
use crate::world::{CALM_FROM, Happening, World};

impl World {
    pub(crate) fn break_something(&mut self) {
        if self.now > CALM_FROM {
            return;
        }
        let pause = self.dice.millis(200, 20_000);
        self.after(pause, Happening::Break);
        let holder = (0..self.nodes.len()).find(|&node| self.nodes[node].holds(self.now));
        let fault = self.dice.fault(self.nodes.len(), holder);
        match fault {
            Fault::Kill(node) => self.kill(node),
            Fault::Terminate(node) => self.terminate(node),
            Fault::Freeze(node, span) => self.trouble(fault, span, |world| world.nodes[node].frozen = true),
            Fault::CutOff(node, span) => self.trouble(fault, span, |world| world.nodes[node].cut_off = true),
            Fault::Unplug(node, span) => {
                self.trouble(fault, span, |world| world.nodes[node].unplugged = true);
            }
            Fault::Sicken(node, span) => {
                self.trouble(fault, span, |world| {
                    world.nodes[node].healthy = false;
                    world.fulfil(node, vec![]);
                });
            }
            Fault::ApiOutage(span) => self.api_back_at = self.now + span,
            Fault::DeleteLease => self.delete_lease(),
        }
    }

    pub(crate) fn trouble(&mut self, fault: Fault, span: Duration, begin: impl FnOnce(&mut Self)) {
        begin(self);
        self.after(span, Happening::Heal(fault));
    }

    /// Kubernetes' grace period is long; ours is a second.
    pub(crate) fn terminate(&mut self, node: usize) {
        if self.nodes[node].frozen {
            return;
        }
        let generation = self.nodes[node].generation;
        if let Some(process) = self.nodes[node].process.as_mut() {
            process.stopping = true;
            self.fulfil(node, vec![]);
            self.after(Duration::from_secs(1), Happening::Kill(node, generation));
            let pause = self.dice.millis(1100, 8_000);
            self.after(pause, Happening::Start(node));
        }
    }

    /// The arbiter itself is gone: what is left is the wire. A node that starts on a cut segment just
    /// then, knowing nothing, cannot be told; that triple fault is left out. So is a holder that believes in its
    /// grant after the Lease has run out: it would write the Lease anew over the head of whoever took it meanwhile,
    /// which is one reason why such timings are refused.
    pub(crate) fn delete_lease(&mut self) {
        let reckless = self.timing.renew_deadline >= self.timing.lease_duration;
        if reckless || self.nodes.iter().any(|node| node.unplugged) {
            return;
        }
        self.version += 1;
        self.lease = None;
        self.tell_watchers();
    }

    pub(crate) fn heal(&mut self, fault: Fault) {
        match fault {
            Fault::Freeze(node, _) => {
                self.nodes[node].frozen = false;
                self.fulfil(node, vec![]);
            }
            Fault::CutOff(node, _) => {
                self.nodes[node].cut_off = false;
                let (generation, version) = (self.nodes[node].generation, self.version);
                self.after(Duration::from_millis(500), Happening::Watch { node, generation, version });
            }
            Fault::Unplug(node, _) => self.nodes[node].unplugged = false,
            Fault::Sicken(node, _) => {
                self.nodes[node].healthy = true;
                self.fulfil(node, vec![]);
            }
            Fault::Kill(_) | Fault::Terminate(_) | Fault::ApiOutage(_) | Fault::DeleteLease => {}
        }
    }

    pub(crate) fn kill(&mut self, node: usize) {
        if self.nodes[node].process.take().is_some() {
            let pause = self.dice.millis(200, 12_000);
            self.after(pause, Happening::Start(node));
        }
    }
}
