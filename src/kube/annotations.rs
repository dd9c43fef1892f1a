//! What is written on this Node for us.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use tokio::sync::watch;

use super::access::Connection;
use super::follow::{Objects, Step, follow};
use crate::change::publish;

/// The annotations of a Node; `None` until they are known.
pub type Annotations = Option<BTreeMap<String, String>>;

/// Publishes the annotations of the Node `name`. What was known last stays while nobody can be asked, and when the Node
/// is deleted; returns only when nobody publishes connections any more.
pub async fn watch_annotations(
    name: String,
    connections: watch::Receiver<Option<Connection>>,
    out: watch::Sender<Annotations>,
) {
    let source = |connection: &Connection| Objects::<Node> {
        api: Api::all(connection.watch.clone()),
        fields: format!("metadata.name={name}"),
    };
    let newest = |step| match step {
        Step::Listed(nodes) => {
            nodes.into_iter().find(|node: &Node| node.metadata.name.as_ref() == Some(&name))
        }
        Step::Applied(node) => Some(node),
        Step::Deleted(_) => None,
    };
    let sink = |step| {
        if let Some(node) = newest(step) {
            publish(&out, Some(node.metadata.annotations.unwrap_or_default()));
        }
    };
    follow("annotations of this Node", connections, source, sink).await;
}
