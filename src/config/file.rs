//! Our own file: YAML (and so JSON) to keys, each with its text and line. What the keys mean is the table's affair.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::hint;
use super::problem::Problem;
use super::setting::{Kind, Spec};
use super::source::Source;
use super::table;
use crate::yaml::{self, Node};

/// One value of the file. `text` is `None` for YAML's null.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) text: Option<String>,
    pub(super) line: u64,
}

/// What the file says, by key.
pub(super) type Entries = BTreeMap<&'static str, Entry>;

/// Reads the file. Unknown keys and wrong shapes are problems; values are not looked at.
/// An error means that nothing is known of what the file says.
pub(super) fn read(path: &str, text: &str) -> Result<(Entries, Vec<Problem>), Box<Problem>> {
    let root = yaml::read(text, MOST_NODES).map_err(|error| Box::new(unreadable(path, &error)))?;
    let (mut entries, mut problems) = (Entries::new(), Vec::new());
    let mut walk = Walk { path, text, entries: &mut entries, problems: &mut problems };
    match &root.value {
        Node::Null => {}
        Node::Map(pairs) => walk.map("", pairs),
        Node::Bool(_) | Node::Text(_) | Node::Number(_) | Node::List(_) => {
            let source = walk.source("", &root);
            let problem = Problem::plain(WHOLE, "not a mapping", "write key: value pairs");
            return Err(Box::new(Problem { source: Some(source), ..problem }));
        }
    }
    Ok((entries, problems))
}

struct Walk<'a> {
    path: &'a str,
    text: &'a str,
    entries: &'a mut Entries,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn map(&mut self, prefix: &str, pairs: &[(String, Spanned<Node>)]) {
        for (name, node) in pairs {
            if self.problems.len() >= MOST {
                return;
            }
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match table::ALL.iter().find(|spec| spec.key == key) {
                Some(spec) => self.setting(spec, node),
                None => self.group(&key, node),
            }
        }
    }

    /// A key that is no setting: the name of a group, or a mistake.
    fn group(&mut self, key: &str, node: &Spanned<Node>) {
        let below = format!("{key}.");
        let known = table::ALL.iter().any(|spec| spec.key.starts_with(&below));
        if !known {
            let reason = hint::unknown(key, names());
            return self.refuse(key, node, &reason, "vipcast config --schema lists every key");
        }
        match &node.value {
            Node::Map(pairs) => self.map(key, pairs),
            Node::Null => {}
            Node::Bool(_) | Node::Text(_) | Node::Number(_) | Node::List(_) => {
                self.refuse(key, node, "a group of settings, not a value", "write its settings below it");
            }
        }
    }

    fn setting(&mut self, spec: &'static Spec, node: &Spanned<Node>) {
        let text = match &node.value {
            Node::Null => None,
            Node::Bool(_) | Node::Text(_) | Node::Number(_) => self.scalar(node),
            Node::List(items) if matches!(spec.kind, Kind::Addresses) => match self.scalars(items) {
                Some(texts) => Some(texts.join(",")),
                None => {
                    return self.refuse(
                        spec.key,
                        node,
                        "not a list of addresses",
                        "write one address per item",
                    );
                }
            },
            Node::List(_) => return self.refuse(spec.key, node, "a list", "write a single value"),
            Node::Map(_) => {
                return self.refuse(spec.key, node, "a mapping", "write a single value");
            }
        };
        self.entries.insert(spec.key, Entry { text, line: node.referenced.line() });
    }

    fn scalars(&self, items: &[Spanned<Node>]) -> Option<Vec<String>> {
        items.iter().map(|item| self.scalar(item)).collect()
    }

    /// The text of a scalar. A number as it was written.
    fn scalar(&self, node: &Spanned<Node>) -> Option<String> {
        match &node.value {
            Node::Text(text) => Some(text.clone()),
            Node::Bool(value) => Some(value.to_string()),
            Node::Number(understood) => Some(yaml::written(self.text, node).unwrap_or(understood).to_owned()),
            Node::Null | Node::List(_) | Node::Map(_) => None,
        }
    }

    fn refuse(&mut self, key: &str, node: &Spanned<Node>, reason: &str, fix: &str) {
        let source = self.source(key, node);
        self.problems.push(Problem { source: Some(source), ..Problem::plain(key, reason, fix) });
    }

    fn source(&self, key: &str, node: &Spanned<Node>) -> Source {
        Source::File { path: self.path.to_owned(), key: key.to_owned(), line: node.referenced.line() }
    }
}

/// Every key and every group.
fn names() -> impl Iterator<Item = &'static str> {
    let groups = table::ALL
        .iter()
        .flat_map(|spec| spec.key.match_indices('.').filter_map(|(at, _)| spec.key.get(..at)));
    table::ALL.iter().map(|spec| spec.key).chain(groups)
}

fn unreadable(path: &str, error: &serde_saphyr::Error) -> Problem {
    let line = error.location().map_or(0, |location| location.line());
    let source = Source::File { path: path.to_owned(), key: String::new(), line };
    // The message may quote the file; one line of it is enough to find the place.
    let message = error.without_snippet().to_string();
    let reason = super::problem::shown(message.lines().next().unwrap_or("not YAML"));
    Problem { source: Some(source), ..Problem::plain(WHOLE, reason, "vipcast reads YAML and JSON") }
}

/// What a problem of the whole file is called.
const WHOLE: &str = "configuration file";

/// Who has as many mistakes has named the wrong file. It bounds the time that hints take.
const MOST: usize = 50;

/// Aliases counted as often as they are used. A file with every setting has fewer than a hundred.
const MOST_NODES: usize = 10_000;
