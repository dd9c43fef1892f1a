//! Puts together what the election wants to know of the rest of the daemon.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use vipcast_proto::health::Verdict;
use vipcast_proto::l2::announcer::Link;
use vipcast_proto::standing::Rivals;

use crate::change::publish;
use crate::drain::Drain;
use crate::election::Conditions;
use crate::kube::nodes::Snapshot;

/// Where the conditions come from.
#[derive(Debug)]
pub struct Sources {
    /// The health gate; `None`: nobody asked for it.
    pub health: Option<watch::Receiver<Verdict>>,
    /// Every interface that carries VIPs.
    pub interfaces: Vec<Interface>,
    /// The Nodes of the cluster.
    pub nodes: watch::Receiver<Snapshot>,
    /// `metadata.name` of this Node.
    pub node_name: String,
    /// When to stop.
    pub drain: Drain,
    /// Whether others announce in place of this node, which is cordoned.
    pub drained: watch::Receiver<bool>,
}

/// An interface that carries VIPs.
#[derive(Debug)]
pub struct Interface {
    /// Its carrier.
    pub link: watch::Receiver<Link>,
    /// Whether the kernel refused an address on it lately.
    pub refused: watch::Receiver<bool>,
}

/// Publishes every change of the conditions, until nobody listens.
pub async fn run(mut sources: Sources, out: watch::Sender<Conditions>) {
    loop {
        let conditions = sources.conditions();
        publish(&out, conditions);
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
        let verdict =
            self.health.as_mut().map_or(Verdict::Healthy, |health| health.borrow_and_update().clone());
        let mut conditions = Conditions {
            healthy: verdict == Verdict::Healthy,
            proven: verdict != Verdict::Unknown,
            link_up: true,
            refused: false,
            rivals: rivals(&self.nodes.borrow_and_update(), &self.node_name),
            stopping: self.drain.has_started(),
            drained: *self.drained.borrow_and_update(),
            courtesy: Duration::ZERO,
        };
        // All of them are asked, so that each is marked as seen.
        for interface in &mut self.interfaces {
            conditions.link_up &= *interface.link.borrow_and_update() == Link::Up;
            conditions.refused |= *interface.refused.borrow_and_update();
        }
        conditions
    }

    async fn changed(&mut self, stopping: bool) {
        let mut interfaces: FuturesUnordered<_> =
            self.interfaces.iter_mut().map(Interface::changed).collect();
        tokio::select! {
            () = changed(self.health.as_mut()) => {}
            () = changed(Some(&mut self.nodes)) => {}
            () = changed(Some(&mut self.drained)) => {}
            Some(()) = interfaces.next() => {}
            () = self.drain.started(), if !stopping => {}
        }
    }
}

impl Interface {
    async fn changed(&mut self) {
        tokio::select! {
            () = changed(Some(&mut self.link)) => {}
            () = changed(Some(&mut self.refused)) => {}
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

/// Nobody, only where a complete snapshot shows this node as the control plane, and no other. Where no Node is
/// labelled as control plane, nobody knows who stands.
fn rivals(snapshot: &Snapshot, node_name: &str) -> Rivals {
    let alone = BTreeSet::from([node_name.to_owned()]);
    match snapshot {
        Snapshot { complete: false, .. } => Rivals::Unknown,
        Snapshot { control_plane, .. } if *control_plane == alone => Rivals::Nobody,
        Snapshot { .. } => Rivals::Present,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake};

    use super::*;
    use crate::drain::Trigger;

    /// Counts how often a future asks to be polled.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Bench {
        health: watch::Sender<Verdict>,
        links: [watch::Sender<Link>; 2],
        refused: watch::Sender<bool>,
        nodes: watch::Sender<Snapshot>,
        trigger: Trigger,
        drained: watch::Sender<bool>,
    }

    fn bench() -> (Bench, Sources) {
        let (health, verdict) = watch::channel(Verdict::Healthy);
        let (nodes, snapshots) = watch::channel(snapshot(true, &["n1", "n2"]));
        let [(one, first), (two, second)] = [Link::Up; 2].map(watch::channel);
        let (refused, refusal) = watch::channel(false);
        let (trigger, drain) = Drain::manual();
        let (drained, is_drained) = watch::channel(false);
        let sources = Sources {
            health: Some(verdict),
            interfaces: [first, second].map(|link| Interface { link, refused: refusal.clone() }).into(),
            nodes: snapshots,
            node_name: "n1".into(),
            drain,
            drained: is_drained,
        };
        (Bench { health, links: [one, two], refused, nodes, trigger, drained }, sources)
    }

    fn snapshot(complete: bool, names: &[&str]) -> Snapshot {
        Snapshot { complete, control_plane: names.iter().map(ToString::to_string).collect() }
    }

    const NOTHING: Conditions = Conditions {
        healthy: false,
        proven: false,
        link_up: false,
        refused: false,
        rivals: Rivals::Unknown,
        stopping: false,
        drained: false,
        courtesy: Duration::ZERO,
    };

    #[tokio::test]
    async fn every_change_of_a_source_is_published_and_nothing_else() {
        let (bench, sources) = bench();
        let (out, mut conditions) = watch::channel(NOTHING);
        let mut running = pin!(run(sources, out));
        let mut published = async || {
            assert!(futures::poll!(&mut running).is_pending());
            conditions.has_changed().unwrap().then(|| *conditions.borrow_and_update())
        };
        assert_eq!(published().await, Some(Conditions::FIT));
        bench.nodes.send_replace(snapshot(true, &["n1", "n3"]));
        assert_eq!(published().await, None);
        bench.nodes.send_replace(snapshot(true, &["n1"]));
        let alone = Conditions { rivals: Rivals::Nobody, ..Conditions::FIT };
        assert_eq!(published().await, Some(alone));
        bench.links[1].send_replace(Link::Down);
        assert_eq!(published().await, Some(Conditions { link_up: false, ..alone }));
        bench.links[0].send_replace(Link::Down);
        assert_eq!(published().await, None);
        for link in &bench.links {
            link.send_replace(Link::Up);
        }
        assert_eq!(published().await, Some(alone));
        bench.refused.send_replace(true);
        assert_eq!(published().await, Some(Conditions { refused: true, ..alone }));
        bench.refused.send_replace(false);
        assert_eq!(published().await, Some(alone));
        bench.health.send_replace(Verdict::Unknown);
        assert_eq!(published().await, Some(Conditions { healthy: false, proven: false, ..alone }));
        bench.health.send_replace(Verdict::Healthy);
        assert_eq!(published().await, Some(alone));
        bench.drained.send_replace(true);
        let alone = Conditions { drained: true, ..alone };
        assert_eq!(published().await, Some(alone));
        bench.trigger.start();
        assert_eq!(published().await, Some(Conditions { stopping: true, ..alone }));
    }

    #[tokio::test]
    async fn sources_that_are_gone_keep_their_last_word_and_are_not_asked_again_and_again() {
        let (bench, sources) = bench();
        let (out, conditions) = watch::channel(NOTHING);
        drop(bench);
        let mut running = pin!(run(sources, out));
        let wakes = Arc::new(Wakes::default());
        let waker = Arc::clone(&wakes).into();
        let mut poll = || running.as_mut().poll(&mut Context::from_waker(&waker));
        assert_eq!((poll(), *conditions.borrow()), (Poll::Pending, Conditions::FIT));
        wakes.0.store(0, Ordering::SeqCst);
        assert_eq!((poll(), wakes.0.load(Ordering::SeqCst)), (Poll::Pending, 0));
        drop(conditions);
        running.await;
    }

    #[tokio::test]
    async fn without_a_gate_and_without_interfaces_nothing_bars_this_node() {
        let (_bench, sources) = bench();
        let (out, conditions) = watch::channel(NOTHING);
        let mut running = pin!(run(Sources { health: None, interfaces: vec![], ..sources }, out));
        assert!(futures::poll!(&mut running).is_pending());
        assert_eq!(*conditions.borrow(), Conditions::FIT);
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
        assert_eq!(judged, [Unknown, Unknown, Nobody, Present, Present, Present]);
    }
}
