//! Values with structure, from whatever source: what was written, and on which line.

use std::fmt;

use serde_json::{Map, Value as Json};
use serde_saphyr::Spanned;

use super::print::typed;
use super::secret::MASK;
use super::setting::{Kind, Spec};
use crate::yaml::{self, Node};

/// A value and its line; zero where lines mean nothing.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Tree {
    pub(super) line: u64,
    pub(super) value: Value,
}

/// What was written. Numbers as they were written: `1.10` is an AS number.
#[derive(Clone, Eq, PartialEq)]
pub(super) enum Value {
    Null,
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

/// Whether secrets are written as they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Secrets {
    Shown,
    Masked,
}

impl Tree {
    /// From a node of `source`.
    pub(super) fn of(source: &str, node: &Spanned<Node>) -> Self {
        let value = match &node.value {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Text(value.to_string()),
            Node::Number(understood) => {
                Value::Text(yaml::written(source, node).unwrap_or(understood).to_owned())
            }
            Node::Text(text) => Value::Text(text.clone()),
            Node::List(items) => Value::List(items.iter().map(|item| Self::of(source, item)).collect()),
            Node::Map(pairs) => {
                Value::Map(pairs.iter().map(|(key, node)| (key.clone(), Self::of(source, node))).collect())
            }
        };
        Self { line: node.referenced.line(), value }
    }

    /// A mapping without a place.
    pub(super) fn map(pairs: Vec<(&str, Self)>) -> Self {
        let pairs = pairs.into_iter().map(|(key, tree)| (key.to_owned(), tree)).collect();
        Self { line: 0, value: Value::Map(pairs) }
    }

    /// A text without a place.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { line: 0, value: Value::Text(text.into()) }
    }

    /// As JSON, with numbers and switches as such. `prefix` is the key of the mapping that this is.
    pub(super) fn json(&self, fields: &[&'static Spec], prefix: &str, secrets: Secrets) -> Json {
        let spec = fields.iter().find(|spec| spec.key == prefix);
        match &self.value {
            Value::Null => Json::Null,
            Value::Text(_) if secrets == Secrets::Masked && spec.is_some_and(|spec| spec.is_secret()) => {
                MASK.into()
            }
            Value::Text(text) => typed(spec.map(|spec| spec.kind), text),
            Value::List(items) => items.iter().map(|item| item.json(fields, prefix, secrets)).collect(),
            Value::Map(pairs) => {
                let pair = |(key, tree): &(String, Self)| {
                    let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    (key.clone(), tree.json(fields, &path, secrets))
                };
                Json::Object(pairs.iter().map(pair).collect::<Map<_, _>>())
            }
        }
    }
}

/// Nothing of what is in it, which may be a secret.
impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)
    }
}

/// Text that is a list of mappings, as YAML or JSON, and not another way of writing one.
pub(super) fn parse_list(text: &str) -> Option<Vec<Tree>> {
    let inside = text.strip_prefix('[').map(str::trim_start);
    if !inside.is_some_and(|inside| inside.starts_with(['{', ']'])) && !text.starts_with("- ") {
        return None;
    }
    let root = yaml::read(text, MOST_NODES).ok()?;
    match Tree::of(text, &root) {
        tree @ Tree { value: Value::List(_), .. } => Some(tree.without_lines().into_items()),
        Tree { .. } => None,
    }
}

impl Tree {
    /// The items of a list.
    pub(super) fn into_items(self) -> Vec<Self> {
        match self.value {
            Value::List(items) => items,
            Value::Null | Value::Text(_) | Value::Map(_) => Vec::new(),
        }
    }

    /// A line of a variable says nothing to anybody.
    fn without_lines(self) -> Self {
        let value = match self.value {
            Value::List(items) => Value::List(items.into_iter().map(Self::without_lines).collect()),
            Value::Map(pairs) => {
                Value::Map(pairs.into_iter().map(|(key, tree)| (key, tree.without_lines())).collect())
            }
            plain @ (Value::Null | Value::Text(_)) => plain,
        };
        Self { line: 0, value }
    }
}

impl Kind {
    /// The fields, where it is a list of mappings.
    pub(super) fn fields(&self) -> Option<&'static [&'static Spec]> {
        if let Self::Records(fields) = self { Some(fields.all) } else { None }
    }
}

/// A hundred peers with everything that can be said of them.
const MOST_NODES: usize = 20_000;
