//! Who is in the control plane, from the labels of the Nodes.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Node;
use kube::api::PartialObjectMeta;
use kube::{Api, ResourceExt as _};
use tokio::sync::watch;

use super::access::Connection;
use super::follow::{Metadata, Step, follow};
use crate::change::publish;

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
pub async fn watch_nodes(connections: watch::Receiver<Option<Connection>>, out: watch::Sender<Snapshot>) {
    let source = |connection: &Connection| Metadata(Api::<Node>::all(connection.watch.clone()));
    let mut nodes = Nodes::default();
    follow("nodes", connections, source, |step| {
        let snapshot = nodes.apply(step);
        publish(&out, snapshot);
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
                self.0 = nodes.iter().map(|node| (node.name_any(), labelled(node))).collect()
            }
            Step::Applied(node) => {
                self.0.insert(node.name_any(), labelled(&node));
            }
            Step::Deleted(node) => {
                self.0.remove(&node.name_any());
            }
        }
        // Steps begin with a list, so whatever follows one is complete.
        let control_plane =
            self.0.iter().filter(|(_, member)| **member).map(|(name, _)| name.clone()).collect();
        Snapshot { complete: true, control_plane }
    }
}

fn labelled(node: &PartialObjectMeta<Node>) -> bool {
    LABELS.iter().any(|label| node.labels().contains_key(*label))
}

/// The second is what clusters before 1.24 and some distributions set.
const LABELS: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use axum::extract::{Query, State};
    use axum::http::{HeaderMap, StatusCode};
    use axum::response::{IntoResponse as _, Response};
    use axum::routing::get;
    use axum::{Json, Router};
    use serde_json::{Value, json};
    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;
    use crate::kube::testing::{Server, connection};

    /// What a list is answered with, and what each request accepts.
    type Script = Arc<Mutex<(Option<Vec<Value>>, Vec<String>)>>;

    fn node(name: &str, label: &str) -> Value {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": name, "resourceVersion": "5", "labels": {label: ""}},
        })
    }

    fn refusal() -> Response {
        let body = json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": "no"});
        (StatusCode::FORBIDDEN, Json(body)).into_response()
    }

    async fn answer(
        State(script): State<Script>,
        Query(query): Query<BTreeMap<String, String>>,
        headers: HeaderMap,
    ) -> Response {
        let mut script = script.lock().unwrap();
        script.1.push(headers["accept"].to_str().unwrap().to_owned());
        let Some(items) = script.0.clone() else {
            return refusal();
        };
        if query.contains_key("watch") {
            let change = json!({"type": "DELETED", "object": node("b", LABELS[1])});
            return format!("{change}\n").into_response();
        }
        let list = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
            "metadata": {"resourceVersion": "5"}, "items": items,
        });
        Json(list).into_response()
    }

    async fn next(newest: &mut watch::Receiver<Snapshot>) -> Snapshot {
        timeout(Duration::from_secs(10), newest.changed()).await.expect("nothing new in time").unwrap();
        newest.borrow_and_update().clone()
    }

    fn snapshot(names: &[&str]) -> Snapshot {
        Snapshot { complete: true, control_plane: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[tokio::test]
    async fn nothing_is_complete_while_forbidden_and_then_labels_decide() {
        let script = Script::default();
        let server =
            Server::start(Router::new().route("/api/v1/nodes", get(answer)).with_state(script.clone())).await;
        let (_connections, receiver) = watch::channel(Some(connection(&server.url(), 1)));
        let (out, mut newest) = watch::channel(Snapshot::default());
        let mut task = JoinSet::new();
        task.spawn(watch_nodes(receiver, out));
        while script.lock().unwrap().1.len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*newest.borrow(), Snapshot::default());
        let nodes =
            vec![node("a", LABELS[0]), node("b", LABELS[1]), node("c", "node-role.kubernetes.io/worker")];
        script.lock().unwrap().0 = Some(nodes);
        assert_eq!(next(&mut newest).await, snapshot(&["a", "b"]));
        assert_eq!(next(&mut newest).await, snapshot(&["a"]));
        assert!(script.lock().unwrap().1.iter().all(|accept| accept.contains("PartialObjectMetadata")));
        server.stop().await;
        assert_eq!(*newest.borrow(), snapshot(&["a"]));
    }

    #[test]
    fn a_new_list_takes_the_place_of_everything_before_it() {
        let parse = |value| serde_json::from_value(value).unwrap();
        let mut nodes = Nodes::default();
        nodes.apply(Step::Listed(vec![parse(node("a", LABELS[0])), parse(node("b", LABELS[0]))]));
        assert_eq!(nodes.apply(Step::Applied(parse(node("c", LABELS[1])))), snapshot(&["a", "b", "c"]));
        assert_eq!(nodes.apply(Step::Applied(parse(node("a", "none")))), snapshot(&["b", "c"]));
        assert_eq!(nodes.apply(Step::Listed(vec![parse(node("d", LABELS[0]))])), snapshot(&["d"]));
    }
}
