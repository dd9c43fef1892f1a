//! Whether this node may stand for election: health, link, rivals and shutdown in one place.

use std::fmt;

/// What a candidate may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It may claim and hold.
    Candidate {
        /// No other node could take over: the last complete snapshot shows no rival.
        alone: bool,
    },
    /// It may not claim, and hands over what it holds as soon as it knows that it can say so.
    Barred,
    /// It shuts down: it hands over now.
    Withdrawn,
}

/// Whether anybody else could take over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rivals {
    /// No complete snapshot yet.
    Unknown,
    /// The last complete snapshot shows nobody but this node.
    Nobody,
    /// There are others.
    Present,
}

/// What the standing follows from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facts {
    /// The local API server answers as healthy (or nobody asked for the gate).
    pub healthy: bool,
    /// Every interface that carries one of the VIPs has carrier.
    pub link_up: bool,
    /// The kernel refused to hold one of the VIPs a short while ago.
    pub refused: bool,
    /// Who else is there.
    pub rivals: Rivals,
    /// This node holds the scope now.
    pub holding: bool,
    /// The process was asked to stop.
    pub stopping: bool,
}

/// Why a node does not stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bar {
    /// Whether the local API server is healthy is not known yet.
    Unproven,
    /// The local API server is not healthy.
    Health,
    /// Nothing new shall run on this node, and others announce.
    Drained,
    /// The interface has no carrier, or no router listens.
    Link,
    /// The kernel refuses a VIP, which another node's may not.
    Refusal,
    /// The process was asked to stop.
    Stopping,
}

impl Facts {
    /// Judges the facts. A lone holder keeps what it has: nobody could do better.
    #[must_use]
    pub fn standing(self) -> Standing {
        match self.bar() {
            None => Standing::Candidate { alone: self.rivals == Rivals::Nobody },
            Some(Bar::Stopping) => Standing::Withdrawn,
            Some(Bar::Unproven | Bar::Health | Bar::Drained | Bar::Link | Bar::Refusal) => Standing::Barred,
        }
    }

    /// What keeps this node from standing, if anything.
    #[must_use]
    pub fn bar(self) -> Option<Bar> {
        if self.stopping {
            return Some(Bar::Stopping);
        }
        if self.holding && self.rivals == Rivals::Nobody {
            return None;
        }
        if !self.link_up {
            return Some(Bar::Link);
        }
        // Where nobody else could hold it either, trying again is all there is.
        if self.refused && self.rivals != Rivals::Nobody {
            return Some(Bar::Refusal);
        }
        (!self.healthy).then_some(Bar::Health)
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unproven => "the local API server has not been probed often enough yet",
            Self::Health => "the local API server is not healthy",
            Self::Drained => "this node is cordoned, and others announce",
            Self::Link => "no link: the interface has no carrier, or no BGP session is established",
            Self::Refusal => "the kernel refuses the address",
            Self::Stopping => "this process is stopping",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIT: Facts = Facts {
        healthy: true,
        link_up: true,
        refused: false,
        rivals: Rivals::Present,
        holding: true,
        stopping: false,
    };

    #[test]
    fn an_unhealthy_node_is_barred_unless_it_holds_and_nobody_else_could() {
        let sick = Facts { healthy: false, ..FIT };
        let judged = [Rivals::Unknown, Rivals::Present, Rivals::Nobody]
            .map(|rivals| Facts { rivals, ..sick }.standing());
        assert_eq!(judged, [Standing::Barred, Standing::Barred, Standing::Candidate { alone: true }]);
        let newcomer = Facts { rivals: Rivals::Nobody, holding: false, ..sick };
        assert_eq!(newcomer.standing(), Standing::Barred);
    }

    #[test]
    fn a_pulled_cable_bars_and_is_named_before_health() {
        let cut = Facts { link_up: false, healthy: false, ..FIT };
        assert_eq!((cut.standing(), cut.bar()), (Standing::Barred, Some(Bar::Link)));
        assert_eq!(Facts { rivals: Rivals::Nobody, ..cut }.bar(), None);
    }

    #[test]
    fn a_refusing_kernel_bars_where_another_nodes_may_not_refuse() {
        let refused = Facts { refused: true, ..FIT };
        let judged = [Rivals::Present, Rivals::Unknown, Rivals::Nobody]
            .map(|rivals| Facts { rivals, ..refused }.bar());
        assert_eq!(judged, [Some(Bar::Refusal), Some(Bar::Refusal), None]);
        assert_eq!(Facts { rivals: Rivals::Nobody, holding: false, ..refused }.bar(), None);
    }

    #[test]
    fn stopping_outweighs_everything() {
        let last = Facts { rivals: Rivals::Nobody, stopping: true, ..FIT };
        assert_eq!(last.standing(), Standing::Withdrawn);
    }
}
