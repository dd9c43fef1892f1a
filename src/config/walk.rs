//! Through a mapping by its keys: which of them are known, and what was written for them.

use std::collections::BTreeMap;
use std::fmt;

use super::hint;
use super::problem::Problem;
use super::secret::MASK;
use super::setting::{Kind, Spec};
use super::source::Source;
use super::tree::{Tree, Value};

/// One value of a mapping. `text` is `None` for YAML's null, and for what has structure.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) text: Option<String>,
    pub(super) tree: Option<Tree>,
    pub(super) line: u64,
}

/// What a mapping says, by key.
pub(super) type Entries = BTreeMap<&'static str, Entry>;

/// On the way through a mapping.
#[derive(Debug)]
pub(super) struct Walk {
    specs: &'static [&'static Spec],
    /// What stands before each key in a message.
    prefix: String,
    source: Source,
    pub(super) entries: Entries,
    pub(super) problems: Vec<Problem>,
}

impl Walk {
    /// Through a mapping with these keys, which was read from `source`.
    pub(super) fn new(specs: &'static [&'static Spec], prefix: &str, source: Source) -> Self {
        Self { specs, prefix: prefix.to_owned(), source, entries: Entries::new(), problems: Vec::new() }
    }

    pub(super) fn map(&mut self, above: &str, pairs: &[(String, Tree)]) {
        for (name, tree) in pairs {
            if self.problems.len() >= MOST {
                return;
            }
            let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            match self.specs.iter().copied().find(|spec| spec.key == key) {
                Some(spec) => self.setting(spec, tree),
                None => self.group(&key, tree),
            }
        }
    }

    /// A key that is no setting: the name of a group, or a mistake.
    fn group(&mut self, key: &str, tree: &Tree) {
        let below = format!("{key}.");
        let known = self.specs.iter().any(|spec| spec.key.starts_with(&below));
        if !known {
            let reason = hint::unknown(key, self.names());
            // `{password: my, secret}`: what looks like a key is the end of the value before it.
            let key = if self.prefix.is_empty() || tree.value != Value::Null { key } else { MASK };
            return self.refuse(key, tree, &reason, "vipcast config --schema lists every key");
        }
        match &tree.value {
            Value::Map(pairs) => self.map(key, pairs),
            Value::Null => {}
            Value::Text(_) | Value::List(_) => {
                self.refuse(key, tree, "a group of settings, not a value", "write its settings below it");
            }
        }
    }

    fn setting(&mut self, spec: &'static Spec, tree: &Tree) {
        let records = matches!(spec.kind, Kind::Records(_));
        let entry = match &tree.value {
            Value::Null => Entry { text: None, tree: None, line: tree.line },
            Value::Text(text) => Entry { text: Some(text.clone()), tree: None, line: tree.line },
            Value::List(_) if records => Entry { text: None, tree: Some(tree.clone()), line: tree.line },
            Value::List(items) if spec.is_list() => match joined(items) {
                Some(text) => Entry { text: Some(text), tree: None, line: tree.line },
                None if matches!(spec.kind, Kind::Addresses) => {
                    return self.refuse(
                        spec.key,
                        tree,
                        "not a list of addresses",
                        "write one address per item",
                    );
                }
                None => return self.refuse(spec.key, tree, "not a list of texts", "write one per item"),
            },
            Value::Map(_) if records => {
                return self.refuse(spec.key, tree, "a mapping", "write a list of mappings");
            }
            Value::List(_) => return self.refuse(spec.key, tree, "a list", "write a single value"),
            Value::Map(_) => {
                let words = if let Kind::Text(words) = spec.kind { words } else { "a single value" };
                return self.refuse(spec.key, tree, "a mapping", &format!("write {words}"));
            }
        };
        self.entries.insert(spec.key, entry);
    }

    fn refuse(&mut self, key: &str, tree: &Tree, reason: &str, fix: &str) {
        let key = format!("{}{key}", self.prefix);
        let source = placed(&self.source, &key, tree.line);
        self.problems.push(Problem::of(source, key, reason, fix));
    }

    /// Every key and every group.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let groups = self
            .specs
            .iter()
            .flat_map(|spec| spec.key.match_indices('.').filter_map(|(at, _)| spec.key.get(..at)));
        self.specs.iter().map(|spec| spec.key).chain(groups)
    }
}

/// The place of a key within a source.
pub(super) fn placed(source: &Source, key: &str, line: u64) -> Source {
    match source {
        Source::File { path, .. } => Source::File { path: path.clone(), key: key.to_owned(), line },
        Source::Flag { .. } | Source::Environment { .. } | Source::Kubespray { .. } => source.clone(),
        Source::Default | Source::Derived(_) => source.clone(),
    }
}

/// The texts of a list; `None` where there is anything else in it. An empty list says nothing.
fn joined(items: &[Tree]) -> Option<String> {
    let text = |item: &Tree| match &item.value {
        Value::Text(text) => Some(text.clone()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    };
    Some(items.iter().map(text).collect::<Option<Vec<_>>>()?.join(","))
}

/// Nothing of what is in it, which may be a secret.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)
    }
}

/// Who has as many mistakes has named the wrong file. It bounds the time that hints take.
const MOST: usize = 50;
