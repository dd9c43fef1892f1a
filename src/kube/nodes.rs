//! Who is in the control plane, from the labels of the Nodes.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Node;
use kube::api::PartialObjectMeta;
use kube::{Api, ResourceExt as _};
use tokio::sync::watch;

use super::access::Connection;
use super::follow::{Metadata, Step, follow};

/// What is known of the cluster's nodes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Snapshot {
    /// Whether there has been a complete list. While there has not, absence proves nothing.
    pub complete: bool,
    /// Names of the nodes that carry a control-plane label.
    pub control_plane: BTreeSet<String>,
}

/// Publishes every change of the [`Snapshot`]. The last complete one stays while the API is away or
/// refuses. Returns only when nobody publishes connections any more.
pub async fn watch_nodes(
    connections: watch::Receiver<Option<Connection>>,
    out: watch::Sender<Snapshot>,
) {
    let source = |connection: &Connection| Metadata(Api::<Node>::all(connection.watch.clone()));
    let mut nodes = Nodes::default();
    follow("nodes", connections, source, |step| {
        let snapshot = nodes.apply(step);
        out.send_if_modified(|old| {
            let changed = *old != snapshot;
            *old = snapshot;
            changed
        });
    })
    .await;
}

/// Which nodes exist, and whether each is in the control plane: nothing else is kept of them.
#[derive(Debug, Default)]
struct Nodes(BTreeMap<String, bool>);

impl Nodes {
    fn apply(&mut self, step: Step<PartialObjectMeta<Node>>) -> Snapshot {
        match step {
            Step::Listed(nodes) => {
                self.0 = nodes
                    .iter()
                    .map(|node| (node.name_any(), labelled(node)))
                    .collect()
            }
            Step::Applied(node) => {
                self.0.insert(node.name_any(), labelled(&node));
            }
            Step::Deleted(node) => {
                self.0.remove(&node.name_any());
            }
        }
        // Steps begin with a list, so whatever follows one is complete.
        let control_plane = self
            .0
            .iter()
            .filter(|(_, member)| **member)
            .map(|(name, _)| name.clone())
            .collect();
        Snapshot {
            complete: true,
            control_plane,
        }
    }
}

fn labelled(node: &PartialObjectMeta<Node>) -> bool {
    LABELS
        .iter()
        .any(|label| node.labels().contains_key(*label))
}

/// The second is what clusters before 1.24 and some distributions set.
const LABELS: [&str; 2] = [
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
];
