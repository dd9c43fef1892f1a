//! Puts together what the election wants to know of the rest of the daemon.

use std::collections::BTreeSet;

use tokio::sync::watch;
use vipcast_proto::health::Verdict;
use vipcast_proto::l2::announcer::Link;
use vipcast_proto::standing::Rivals;

use crate::drain::Drain;
use crate::election::Conditions;
use crate::kube::nodes::Snapshot;

/// Where the conditions come from.
#[derive(Debug)]
pub struct Sources {
    /// The health gate; `None`: nobody asked for it.
    pub health: Option<watch::Receiver<Verdict>>,
    /// Carrier of every interface that carries VIPs.
    pub links: Vec<watch::Receiver<Link>>,
    /// The Nodes of the cluster.
    pub nodes: watch::Receiver<Snapshot>,
    /// `metadata.name` of this Node.
    pub node_name: String,
    /// When to stop.
    pub drain: Drain,
}

/// Publishes every change of the conditions, until nobody listens.
pub async fn run(mut sources: Sources, out: watch::Sender<Conditions>) {
    loop {
        let conditions = sources.conditions();
        out.send_if_modified(|old| std::mem::replace(old, conditions) != conditions);
        tokio::select! {
            () = out.closed() => return,
            () = sources.changed(conditions.stopping) => {}
        }
    }
}

impl Sources {
    /// What they say now.
    #[must_use]
    pub fn conditions(&mut self) -> Conditions {
        let healthy = |health: &mut watch::Receiver<Verdict>| *health.borrow_and_update() == Verdict::Healthy;
        Conditions {
            healthy: self.health.as_mut().is_none_or(healthy),
            // All of them are asked, so that each is marked as seen.
            link_up: self
                .links
                .iter_mut()
                .fold(true, |up, link| up & (*link.borrow_and_update() == Link::Up)),
            rivals: rivals(&self.nodes.borrow_and_update(), &self.node_name),
            stopping: self.drain.has_started(),
        }
    }

    async fn changed(&mut self, stopping: bool) {
        let links =
            futures::future::select_all(self.links.iter_mut().map(|link| Box::pin(changed(Some(link)))));
        tokio::select! {
            () = changed(self.health.as_mut()) => {}
            () = changed(Some(&mut self.nodes)) => {}
            _ = links => {}
            () = self.drain.started(), if !stopping => {}
        }
    }
}

/// A source that has gone away says nothing new.
async fn changed<T>(source: Option<&mut watch::Receiver<T>>) {
    let ended = match source {
        Some(source) => source.changed().await.is_err(),
        None => true,
    };
    if ended {
        std::future::pending::<()>().await;
    }
}

/// Nobody, only where a complete snapshot shows this node and no other.
fn rivals(snapshot: &Snapshot, node_name: &str) -> Rivals {
    let alone = BTreeSet::from([node_name.to_owned()]);
    match snapshot {
        Snapshot { complete: false, .. } => Rivals::Unknown,
        Snapshot { control_plane, .. } if control_plane.is_subset(&alone) => Rivals::Nobody,
        Snapshot { .. } => Rivals::Present,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(complete: bool, names: &[&str]) -> Snapshot {
        Snapshot { complete, control_plane: names.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn only_a_complete_snapshot_without_others_says_that_this_node_is_alone() {
        let judged = [
            snapshot(false, &[]),
            snapshot(false, &["n1"]),
            snapshot(true, &["n1"]),
            snapshot(true, &[]),
            snapshot(true, &["n1", "n2"]),
            snapshot(true, &["n2"]),
        ]
        .map(|snapshot| rivals(&snapshot, "n1"));
        use Rivals::{Nobody, Present, Unknown};
        assert_eq!(judged, [Unknown, Unknown, Nobody, Nobody, Present, Present]);
    }
}
