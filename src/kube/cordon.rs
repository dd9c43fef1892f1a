//! Whether this node is cordoned, and another one of the control plane could do its work.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;
use kube::{Api, ResourceExt as _};
use tokio::sync::watch;

use super::access::Connection;
use super::follow::{Labelled, Step, follow};
use crate::change::publish;

/// Publishes whether the Node `name` is cordoned while another Node of the control plane is ready and not cordoned. What
/// was known last stays while nobody can be asked; returns only when nobody publishes connections any more.
///
/// `kubectl drain` cordons first, and evicts no static Pods: the cordon is all that can be seen of a drain. Where all are
/// cordoned, as in clusters that keep their control plane so, there is nobody to leave the work to.
pub async fn watch_cordon(
    name: String,
    connections: watch::Receiver<Option<Connection>>,
    out: watch::Sender<bool>,
) {
    let source =
        |connection: &Connection| Labelled { api: Api::<Node>::all(connection.watch.clone()), labels: LABEL };
    let mut nodes = Nodes::default();
    follow("nodes of the control plane", connections, source, |step| {
        nodes.apply(step);
        publish(&out, nodes.relieve(&name));
    })
    .await;
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Fitness {
    cordoned: bool,
    ready: bool,
}

/// Nothing else is kept of them.
#[derive(Debug, Default)]
struct Nodes(BTreeMap<String, Fitness>);

impl Nodes {
    fn apply(&mut self, step: Step<Node>) {
        match step {
            Step::Listed(nodes) => {
                self.0 = nodes.iter().map(|node| (node.name_any(), fitness(node))).collect();
            }
            Step::Applied(node) => {
                self.0.insert(node.name_any(), fitness(&node));
            }
            Step::Deleted(node) => {
                self.0.remove(&node.name_any());
            }
        }
    }

    fn relieve(&self, name: &str) -> bool {
        let others = || self.0.iter().filter(|(other, _)| *other != name);
        self.0.get(name).is_some_and(|node| node.cordoned)
            && others().any(|(_, other)| other.ready && !other.cordoned)
    }
}

/// The taint comes a moment after the field; somebody may set only one of them.
fn fitness(node: &Node) -> Fitness {
    let spec = node.spec.as_ref();
    let taints = spec.and_then(|spec| spec.taints.as_ref()).into_iter().flatten();
    let unschedulable = spec.and_then(|spec| spec.unschedulable).unwrap_or(false);
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    Fitness {
        cordoned: unschedulable || taints.into_iter().any(|taint| taint.key == TAINT),
        ready: conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True"),
    }
}

const LABEL: &str = "node-role.kubernetes.io/control-plane";
const TAINT: &str = "node.kubernetes.io/unschedulable";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(name: &str, spec: Value, ready: &str) -> Node {
        serde_json::from_value(json!({
            "metadata": { "name": name }, "spec": spec,
            "status": { "conditions": [{ "type": "Ready", "status": ready }] },
        }))
        .unwrap()
    }

    fn fit(name: &str) -> Node {
        node(name, json!({}), "True")
    }

    fn cordoned(name: &str) -> Node {
        node(name, json!({ "unschedulable": true }), "True")
    }

    #[test]
    fn a_cordoned_node_is_relieved_only_by_another_that_is_ready_and_not_cordoned() {
        let mut nodes = Nodes::default();
        nodes.apply(Step::Listed(vec![fit("a"), fit("b")]));
        let mut seen = vec![nodes.relieve("a")];
        let tainted = node("a", json!({ "taints": [{ "key": TAINT, "effect": "NoSchedule" }] }), "True");
        let steps = [
            Step::Applied(cordoned("a")),
            Step::Applied(node("b", json!({}), "Unknown")),
            Step::Applied(fit("b")),
            Step::Applied(tainted),
            Step::Applied(cordoned("b")),
            Step::Applied(fit("c")),
            Step::Deleted(fit("c")),
            Step::Listed(vec![cordoned("a")]),
            Step::Listed(vec![fit("b")]),
        ];
        seen.extend(steps.map(|step| {
            nodes.apply(step);
            nodes.relieve("a")
        }));
        assert_eq!(seen, [false, true, false, true, true, false, true, false, false, false]);
    }
}
