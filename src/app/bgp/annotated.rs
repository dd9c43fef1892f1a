//! The annotations of this Node, from the moment on that they are asked for, and what operators are told of them.

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::admin::board::StatusBoard;
use crate::app::kubernetes::Connections;
use crate::config::bgp::{NodeAnnotations, NodeBgp};
use crate::kube::annotations::{Annotations, watch_annotations};

/// Watches them, and says once what there is of them.
pub(super) struct Annotated {
    node_name: String,
    connections: Connections,
    board: StatusBoard,
    out: watch::Sender<Annotations>,
    newest: watch::Receiver<Annotations>,
    watching: JoinSet<()>,
    said: Word,
}

/// What there is of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Word {
    /// Nobody asks.
    Unasked,
    /// They are not known yet.
    Awaited,
    /// The Node has none of those.
    Missing,
    /// It has.
    Present,
    /// They cannot be understood.
    Wrong,
}

impl Annotated {
    pub(super) fn new(node_name: String, connections: Connections, board: StatusBoard) -> Self {
        let (out, newest) = watch::channel(None);
        let (watching, said) = (JoinSet::new(), Word::Unasked);
        Self { node_name, connections, board, out, newest, watching, said }
    }

    /// There are other ones.
    pub(super) async fn changed(&mut self) {
        if self.newest.changed().await.is_err() {
            // Never: one of the senders is ours.
            std::future::pending().await
        }
    }

    /// What they say; `None`: nothing that can be understood.
    pub(super) fn read(&mut self, asked: Option<&NodeAnnotations>) -> Option<NodeBgp> {
        let Some(asked) = asked else {
            self.tell(Word::Unasked, "");
            return Some(NodeBgp::default());
        };
        if self.watching.is_empty() {
            let (node, connections, out) =
                (self.node_name.clone(), self.connections.clone(), self.out.clone());
            self.watching.spawn(watch_annotations(node, connections, out));
        }
        let annotations = self.newest.borrow_and_update().clone();
        let (word, node) = match annotations.map(|annotations| asked.read(&annotations)) {
            None => (Word::Awaited, Some(NodeBgp::default())),
            Some(Ok(node)) if node == NodeBgp::default() => (Word::Missing, Some(node)),
            Some(Ok(node)) => (Word::Present, Some(node)),
            Some(Err(problems)) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let problems = problems.join("; ");
                warn!(problems, "annotations of this Node are wrong, what held before stays in force");
                (Word::Wrong, None)
            }
        };
        self.tell(word, &asked.prefix);
        node
    }

    fn tell(&mut self, word: Word, prefix: &str) {
        let before = std::mem::replace(&mut self.said, word);
        let (node, names) = (&self.node_name, format!("{prefix}/"));
        let why = match word {
            Word::Unasked => None,
            Word::Awaited => Some(format!("the annotations {names} of Node {node} are not known yet")),
            Word::Missing => Some(format!("Node {node} has no annotations {names}")),
            Word::Present => Some(format!("the annotations {names} of Node {node} name none")),
            Word::Wrong => Some(format!("the annotations {names} of Node {node} are wrong, see the log")),
        };
        self.board.why_no_peers(why);
        match (before, word) {
            (Word::Present | Word::Wrong, Word::Missing) => {
                warn!(node, names, "the BGP annotations of this Node are gone, and what they said with them");
            }
            (Word::Unasked | Word::Awaited, Word::Missing) => {
                warn!(node, names, "this Node has no BGP annotations, waiting for them");
            }
            (Word::Unasked, Word::Awaited) => info!(node, names, "waiting for the annotations of this Node"),
            (Word::Unasked | Word::Awaited | Word::Missing | Word::Wrong, Word::Present) => {
                info!(node, names, "this Node has BGP annotations");
            }
            (_, Word::Unasked | Word::Awaited | Word::Missing | Word::Present | Word::Wrong) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Flags, HostFacts, resolve};
    use crate::log;

    fn asked() -> NodeAnnotations {
        let text = "{controlPlane: {enabled: true, address: 192.0.2.9}, \
                     bgp: {enabled: true, localAs: 65000, nodeAnnotations: bgp.example.org}}";
        let file = Some(("config.yaml".to_owned(), text.to_owned()));
        let host = HostFacts { hostname: "n1".into(), ..HostFacts::default() };
        let resolved = resolve(&Flags::default(), std::iter::empty(), file, &host).unwrap();
        resolved.config.bgp.unwrap().node_annotations.unwrap()
    }

    #[tokio::test]
    async fn what_there_is_of_annotations_is_said_once_and_why_there_are_no_peers() {
        let (board, status) = StatusBoard::new("0.1.0", "n1");
        let mut annotated = Annotated::new("n1".into(), watch::channel(None).1, board);
        let asked = asked();
        let mut peers_and_lines = |given: Option<&[(&str, &str)]>| {
            let map = |given: &[(&str, &str)]| -> BTreeMap<String, String> {
                given.iter().map(|(name, text)| (format!("bgp.example.org/{name}"), (*text).into())).collect()
            };
            annotated.out.send_replace(given.map(map));
            let mut peers = None;
            let lines = log::recorded(|| {
                peers = annotated.read(Some(&asked)).map(|node| node.peers.len());
            });
            let messages = lines.lines().map(|line| line.split(" node=").next().unwrap().to_owned());
            (peers, messages.collect::<Vec<_>>(), status.peers().why_none)
        };
        let said = [
            peers_and_lines(None),
            peers_and_lines(Some(&[])),
            peers_and_lines(Some(&[])),
            peers_and_lines(Some(&[("peer-ip", "192.0.2.1")])),
            peers_and_lines(Some(&[("peer-ip", "nowhere")])),
            peers_and_lines(Some(&[])),
        ];
        let words: Vec<(Option<usize>, &str, &str)> = said
            .iter()
            .map(|(peers, lines, why)| {
                assert!(lines.len() < 2, "{lines:?}");
                let line = lines.first().map_or("", String::as_str);
                (*peers, line.split(" problems=").next().unwrap(), why.as_deref().unwrap())
            })
            .collect();
        assert_eq!(
            words,
            [
                (
                    Some(0),
                    "INFO waiting for the annotations of this Node",
                    "the annotations bgp.example.org/ of Node n1 are not known yet"
                ),
                (
                    Some(0),
                    "WARN this Node has no BGP annotations, waiting for them",
                    "Node n1 has no annotations bgp.example.org/"
                ),
                (Some(0), "", "Node n1 has no annotations bgp.example.org/"),
                (
                    Some(1),
                    "INFO this Node has BGP annotations",
                    "the annotations bgp.example.org/ of Node n1 name none"
                ),
                (
                    None,
                    "WARN annotations of this Node are wrong, what held before stays in force",
                    "the annotations bgp.example.org/ of Node n1 are wrong, see the log"
                ),
                (
                    Some(0),
                    "WARN the BGP annotations of this Node are gone, and what they said with them",
                    "Node n1 has no annotations bgp.example.org/"
                ),
            ]
        );
    }
}
