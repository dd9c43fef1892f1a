//! One file: plain variables as in group_vars, or an Ansible inventory, to a list in which later ones win.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::value::Value;
use crate::config::{Problem, Source};
use crate::yaml::{self, Node};

/// A variable as a file has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) value: Value,
    pub(super) path: String,
    pub(super) line: u64,
}

/// The variables of a file, the more specific ones later, and what is wrong with it.
pub(super) fn variables(path: &str, text: &str) -> (Vec<Written>, Vec<Problem>) {
    let whole = |reason: &str, fix: &str, line| {
        let source = Source::File { path: path.to_owned(), key: String::new(), line };
        (Vec::new(), vec![Problem::of(source, WHOLE, reason, fix)])
    };
    if text.starts_with(VAULT) {
        return whole("encrypted by ansible-vault", "give vipcast what ansible-vault view prints", 1);
    }
    let root = match yaml::read(text, MOST_NODES) {
        Ok(root) => root,
        Err(error) => {
            let line = error.location().map_or(0, |location| location.line());
            let message = error.without_snippet().to_string();
            let reason = message.lines().next().unwrap_or("not YAML").to_owned();
            return whole(&reason, "name YAML files of variables, or a YAML inventory", line);
        }
    };
    match &root.value {
        Node::Null => (Vec::new(), Vec::new()),
        Node::Map(pairs) if is_inventory(pairs) => {
            let mut inventory =
                Inventory { path, text, found: Vec::new(), depth: BTreeMap::new(), problems: Vec::new() };
            for (name, group) in pairs {
                inventory.group(name, group, 0);
            }
            inventory.flat()
        }
        Node::Map(pairs) => (written(path, text, pairs), Vec::new()),
        Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::List(_) => {
            whole("not a mapping", "name YAML files of variables, or a YAML inventory", 1)
        }
    }
}

fn written(path: &str, text: &str, pairs: &[(String, Spanned<Node>)]) -> Vec<Written> {
    let one = |(name, node): &(String, Spanned<Node>)| Written {
        name: name.clone(),
        value: Value::of(text, node),
        path: path.to_owned(),
        line: node.referenced.line(),
    };
    pairs.iter().map(one).collect()
}

/// Whether every entry is a group: a mapping of nothing but hosts, vars and children.
fn is_inventory(pairs: &[(String, Spanned<Node>)]) -> bool {
    let part = |(name, _): &(String, _)| matches!(name.as_str(), "hosts" | "vars" | "children");
    let group = |node: &Node| match node {
        Node::Map(parts) => parts.iter().all(part),
        Node::Null => true,
        Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::List(_) => false,
    };
    let some = pairs.iter().any(|(_, node)| matches!(&node.value, Node::Map(parts) if !parts.is_empty()));
    some && pairs.iter().all(|(_, node)| group(&node.value))
}

struct Inventory<'a> {
    path: &'a str,
    text: &'a str,
    /// By group, in the order in which they stand.
    found: Vec<(String, Vec<Written>)>,
    /// How deep a group lies at most: in Ansible a child's variables win over its parent's.
    depth: BTreeMap<String, usize>,
    problems: Vec<Problem>,
}

impl Inventory<'_> {
    /// Takes in a group; whether it is, or holds, the group of the control plane.
    fn group(&mut self, name: &str, node: &Spanned<Node>, depth: usize) -> bool {
        let deepest = self.depth.entry(name.to_owned()).or_default();
        *deepest = depth.max(*deepest);
        let mut applies = CONTROL_PLANE.contains(&name);
        for (child, group) in part(&node.value, "children") {
            applies |= self.group(child, group, depth + 1);
        }
        let vars = written(self.path, self.text, part(&node.value, "vars"));
        if applies {
            self.found.push((name.to_owned(), vars));
        } else {
            let why = format!("set for the group {name}, which does not hold kube_control_plane");
            self.refuse(&vars, &why, "set it for kube_control_plane, or for a group that holds it");
        }
        for (host, vars) in part(&node.value, "hosts") {
            let Node::Map(pairs) = &vars.value else { continue };
            let vars = written(self.path, self.text, pairs);
            let fix = format!("write it to a file of its own and name that last, for {host}");
            self.refuse(&vars, &format!("set for the host {host} alone"), &fix);
        }
        applies
    }

    /// Says which of our variables are where they cannot be taken from.
    fn refuse(&mut self, vars: &[Written], reason: &str, fix: &str) {
        for variable in vars.iter().filter(|variable| variable.name.starts_with(super::PREFIX)) {
            self.problems.push(Problem::of(variable.source(), &variable.name, reason, fix));
        }
    }

    fn flat(mut self) -> (Vec<Written>, Vec<Problem>) {
        self.found.sort_by_key(|(name, _)| self.depth.get(name).copied());
        (self.found.into_iter().flat_map(|(_, vars)| vars).collect(), self.problems)
    }
}

impl Written {
    pub(super) fn source(&self) -> Source {
        let place = Some((self.path.clone(), self.line));
        Source::Kubespray { variable: self.name.clone(), place }
    }

    /// Whether `ansible-vault encrypt_string` wrote it.
    pub(super) fn is_encrypted(&self) -> bool {
        self.value.texts().iter().any(|text| text.trim_start().starts_with(VAULT))
    }
}

fn part<'a>(group: &'a Node, name: &str) -> &'a [(String, Spanned<Node>)] {
    let Node::Map(parts) = group else { return &[] };
    match parts.iter().find(|(part, _)| part == name).map(|(_, node)| &node.value) {
        Some(Node::Map(pairs)) => pairs,
        _ => &[],
    }
}

/// The groups whose variables every control-plane host has, by their present and former names.
const CONTROL_PLANE: &[&str] = &["all", "k8s_cluster", "k8s-cluster", "kube_control_plane", "kube-master"];

/// How everything begins that ansible-vault encrypts.
const VAULT: &str = "$ANSIBLE_VAULT;";

/// What a problem of the whole file is called.
const WHOLE: &str = "Kubespray file";

/// Kubespray's own defaults are less than a tenth of it.
const MOST_NODES: usize = 100_000;
