//! Our own file: YAML (and so JSON) to keys, each with its text and line. What the keys mean is the table's affair.

use serde_saphyr::Spanned;

use super::problem::Problem;
use super::source::Source;
use super::table;
use super::tree::{Tree, Value};
use super::walk::{Entries, Walk};
use crate::yaml::{self, Node};

/// Reads the file. Unknown keys and wrong shapes are problems; values are not looked at.
/// An error means that nothing is known of what the file says.
pub(super) fn read(path: &str, text: &str) -> Result<(Entries, Vec<Problem>), Box<Problem>> {
    let root = yaml::read(text, MOST_NODES).map_err(|error| Box::new(unreadable(path, &error)))?;
    let whole = |reason, fix| Err(Box::new(Problem::of(place(path, &root), WHOLE, reason, fix)));
    let tree = Tree::of(text, &root);
    match &tree.value {
        Value::Null => Ok((Entries::new(), Vec::new())),
        Value::Map(_) if is_kubeconfig(&root.value) => whole("a kubeconfig", "name it with --k8sConfigPath"),
        Value::Map(pairs) => {
            let source = Source::File { path: path.to_owned(), key: String::new(), line: 0 };
            let mut walk = Walk::new(table::ALL, "", source);
            walk.map("", pairs);
            Ok((walk.entries, walk.problems))
        }
        Value::Text(_) | Value::List(_) => whole("not a mapping", "write key: value pairs"),
    }
}

/// `kube-vip kubeadm join --config` means such a file.
fn is_kubeconfig(root: &Node) -> bool {
    let Node::Map(pairs) = root else { return false };
    pairs
        .iter()
        .any(|(key, node)| key == "kind" && matches!(&node.value, Node::Text(kind) if kind == "Config"))
}

fn place(path: &str, node: &Spanned<Node>) -> Source {
    Source::File { path: path.to_owned(), key: String::new(), line: node.referenced.line() }
}

fn unreadable(path: &str, error: &serde_saphyr::Error) -> Problem {
    let (line, reason) = yaml::complaint(error);
    let source = Source::File { path: path.to_owned(), key: String::new(), line };
    let reason = super::problem::shown(&reason);
    Problem { source: Some(source), ..Problem::plain(WHOLE, reason, "vipcast reads YAML and JSON") }
}

/// What a problem of the whole file is called.
const WHOLE: &str = "configuration file";

/// Aliases counted as often as they are used. A file with every setting, and with a hundred peers of which everything is
/// said, has fewer.
const MOST_NODES: usize = 10_000;
