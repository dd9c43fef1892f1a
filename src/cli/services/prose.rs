//! Everything about one Service, for people.

use std::fmt::Write;

use comfy_table::Table;

use crate::admin::services::{AddressExplanation, ServiceExplanation, Successor};
use crate::cli::answer::bare;

/// Whose it is, each address with who announces it, what is lacking, and every pool.
pub(super) fn service(it: &ServiceExplanation) -> String {
    let mut text = format!("Service {}/{}\n", it.namespace, it.name);
    let ours = if it.ours { "ours" } else { "not ours" };
    line(&mut text, "class", it.class.as_deref().unwrap_or("none"));
    line(&mut text, ours, &it.why_ours);
    if let Some(allocator) = &it.allocator {
        line(&mut text, "addresses are given by", allocator);
    }
    all(&mut text, "note", &it.notes);
    all(&mut text, "lacks", &it.lacks);
    it.addresses.iter().for_each(|one| address(&mut text, one));
    if !it.pools.is_empty() {
        let mut table = bare(&["POOL", "SOURCE", "VERDICT"]);
        for pool in &it.pools {
            table.add_row([pool.pool.clone(), pool.source.clone(), pool.verdict.clone()]);
        }
        let _ = write!(text, "\nPools, in the order in which they are tried\n{}", indented(&table));
    }
    text
}

fn address(text: &mut String, it: &AddressExplanation) {
    let _ = writeln!(text, "\n{}", it.address);
    line(text, "assigned", &it.why);
    if let Some(pool) = &it.pool {
        line(text, "pool", pool);
    }
    all(text, "shared with", &it.shared_with);
    line(text, "announced by", &announced(it));
    line(text, "lease", it.lease.as_deref().unwrap_or_default());
    line(text, "because", &it.why_owners);
    all(text, "note", &it.notes);
    it.successors.iter().for_each(|one| successor(text, one));
    if !it.nodes.is_empty() {
        let mut table = bare(&["NODE", "ELIGIBLE", "WHY"]);
        for node in &it.nodes {
            let eligible = if node.eligible { "yes" } else { "no" };
            table.add_row([node.node.as_str(), eligible, &node.why]);
        }
        text.push_str(&indented(&table));
    }
}

fn announced(it: &AddressExplanation) -> String {
    let owners = match (it.owners.is_empty(), it.also_by_others) {
        (true, false) => "nobody".to_owned(),
        (true, true) => "other eligible nodes, not this one".to_owned(),
        (false, false) => it.owners.join(", "),
        (false, true) => format!("{}, and other eligible nodes", it.owners.join(", ")),
    };
    let modes = if it.modes.is_empty() { String::new() } else { format!(" ({})", it.modes.join(", ")) };
    let interface = it.interface.as_ref().map(|name| format!(", on {name}")).unwrap_or_default();
    format!("{owners}{modes}{interface}")
}

fn successor(text: &mut String, it: &Successor) {
    let then = match (&it.then, &it.why) {
        (Some(node), Some(why)) => format!("{node} announces it: {why}"),
        (Some(node), None) => format!("{node} announces it"),
        (None, Some(why)) => why.clone(),
        (None, None) => "nobody announces it".to_owned(),
    };
    line(text, &format!("without {}", it.without), &then);
}

fn all(text: &mut String, name: &str, values: &[String]) {
    values.iter().for_each(|value| line(text, name, value));
}

/// Nothing is said of what is empty.
fn line(text: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let _ = writeln!(text, "  {name}: {value}");
    }
}

fn indented(table: &Table) -> String {
    table.trim_fmt().lines().map(|line| format!("  {line}\n")).collect()
}
