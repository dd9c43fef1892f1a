//! Lists of mappings as text: as YAML or JSON, and peers also in kube-vip's grammar.

use super::{Wrong, address, switch_text};
use crate::config::secret::MASK;
use crate::config::setting::Spec;
use crate::config::tree::Tree;
use crate::kubespray;

/// Peers, in kube-vip's grammar or as a list of mappings.
pub(in crate::config) fn peers(spec: &Spec, text: &str) -> Result<Vec<Tree>, Wrong> {
    if text.starts_with(['{', '-']) || text.starts_with('[') && text.contains('{') {
        return list(spec, text);
    }
    if kubespray::is_torn(text) {
        let fix = "give Kubespray a list, and not a text, of peers";
        return Err(Wrong::new("taken apart into single characters", fix));
    }
    if text.split(',').nth(MOST).is_some() {
        return Err(Wrong::new(format!("more than {MOST} peers"), "write fewer"));
    }
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (number, entry) in split(text, ',').into_iter().enumerate() {
        match peer(entry.trim()) {
            Ok(one) => found.push(one),
            Err(one) => wrong.push(Wrong { reason: format!("peer {number}: {}", one.reason), ..one }),
        }
    }
    address::all_of(wrong).map_or(Ok(found), Err)
}

/// Nothing but a list of mappings, which is read before this is asked.
pub(in crate::config) fn list(_: &Spec, _: &str) -> Result<Vec<Tree>, Wrong> {
    // What YAML says of it may quote it, and passwords are in it.
    let fix = "write a list of mappings in YAML or JSON, such as [{address: 192.0.2.1, as: 65001}]";
    Err(Wrong::new("not a list of mappings", fix))
}

/// Not asked: the reader knows the fields, and shows a list without what is secret in it.
pub(in crate::config) fn show(_: &Vec<Tree>) -> String {
    MASK.to_owned()
}

/// kube-vip's grammar without the passwords in it.
pub(in crate::config) fn masked(text: &str) -> String {
    let entry = |entry: &str| {
        let mut fields = split(entry, ':');
        let password = if fields.first().is_some_and(|first| first.trim() == UNNUMBERED) { 3 } else { 2 };
        if let Some(password) = fields.get_mut(password).filter(|text| !text.is_empty()) {
            *password = MASK;
        }
        fields.join(":")
    };
    split(text, ',').into_iter().map(entry).collect::<Vec<_>>().join(",")
}

/// `address:AS[:password[:multihop[:port][:mpbgp][:bfd]]]`, or `unnumbered:interface[:AS…]`. Some of kube-vip's pages have
/// no port: the last fields are told apart by what they look like.
fn peer(entry: &str) -> Result<Tree, Wrong> {
    if entry.is_empty() {
        return Err(Wrong::new("empty", "write peers separated by single commas"));
    }
    let mut fields = split(entry, ':').into_iter();
    let mut pairs = Vec::new();
    let first = fields.next().unwrap_or_default().trim();
    if first.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Wrong::new("an IPv6 address without brackets", "write for example [2001:db8::1]:65001"));
    }
    if first == UNNUMBERED {
        pairs.push(("interface", Tree::text(fields.next().unwrap_or_default().trim())));
    } else {
        pairs.push(("address", Tree::text(first)));
    }
    for key in ["as", "password", "multihop"] {
        if let Some(text) = fields.next().filter(|text| !text.is_empty()) {
            pairs.push((key, Tree::text(if key == "password" { text } else { text.trim() })));
        }
    }
    if pairs.iter().any(|(key, tree)| *key == "multihop" && tree.as_text().and_then(switch_text).is_none()) {
        return Err(Wrong::new("its multihop is neither true nor false", OTHER_WAY));
    }
    let mut kinds = Vec::new();
    for field in fields.map(str::trim).filter(|field| !field.is_empty()) {
        let (kind, tree) = last_fields(field)?;
        if kinds.contains(&kind) {
            return Err(Wrong::new(format!("{kind} is there twice"), OTHER_WAY));
        }
        kinds.push(kind);
        pairs.push((kind, tree));
    }
    Ok(Tree::map(pairs))
}

/// Port, next hops or BFD.
fn last_fields(field: &str) -> Result<(&'static str, Tree), Wrong> {
    if field.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(("port", Tree::text(field)));
    }
    if field.contains('=') {
        return next_hop(field).map(|tree| ("nextHop", tree));
    }
    if field.split(';').next().is_some_and(|first| switch_text(first).is_some()) {
        return bfd(field).map(|tree| ("bfd", tree));
    }
    // It may be the end of a password: not a word of it.
    Err(Wrong::new(
        "what follows multihop is neither a port nor mpbgp_…=… nor BFD's true;300;300;3",
        OTHER_WAY,
    ))
}

/// `mpbgp_nexthop=fixed;mpbgp_ipv4=192.0.2.1;mpbgp_ipv6=[2001:db8::1]`.
fn next_hop(field: &str) -> Result<Tree, Wrong> {
    let mut pairs = Vec::new();
    for part in field.split(';').filter(|part| !part.is_empty()) {
        let (name, text) = part.split_once('=').unwrap_or((part, ""));
        let key = match name {
            "mpbgp_nexthop" => "mode",
            "mpbgp_ipv4" => "ipv4",
            "mpbgp_ipv6" => "ipv6",
            _ => {
                let fix = "write mpbgp_nexthop, mpbgp_ipv4 and mpbgp_ipv6";
                return Err(Wrong::new("an unknown name among those of mpbgp", fix));
            }
        };
        pairs.push((key, Tree::text(text)));
    }
    Ok(Tree::map(pairs))
}

/// `true;300;300;3`: whether, receive interval, transmit interval, multiplier. The intervals are in milliseconds, as
/// kube-vip documents them; it hands them on as microseconds, and who has found that out writes 300000.
fn bfd(field: &str) -> Result<Tree, Wrong> {
    let parts: Vec<&str> = field.split(';').collect();
    let [on, receive, transmit, multiplier] = parts.as_slice() else {
        if parts.len() == 1 {
            return Ok(Tree::map(vec![("enabled", Tree::text(field))]));
        }
        return Err(Wrong::new("BFD has all four fields or one", "write for example true;300;300;3"));
    };
    let interval = |text: &str| {
        let number: u64 =
            text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(
                || {
                    Wrong::new(
                        "an interval of BFD is no number of milliseconds",
                        "write for example true;300;300;3",
                    )
                },
            )?;
        match number {
            MICROSECONDS.. => Err(Wrong::new(
                format!("BFD's {number} would be milliseconds here, and looks like microseconds"),
                format!("write {}", number / 1000),
            )),
            _ => Ok(Tree::text(format!("{number}ms"))),
        }
    };
    Ok(Tree::map(vec![
        ("enabled", Tree::text(*on)),
        ("receiveInterval", interval(receive)?),
        ("transmitInterval", interval(transmit)?),
        ("multiplier", Tree::text(*multiplier)),
    ]))
}

/// Parts between separators that are in no brackets.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|char: char| {
        match char {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        char == separator && depth <= 0
    })
    .collect()
}

/// No node talks to as many; it bounds what a hostile file can ask for.
const MOST: usize = 256;

const UNNUMBERED: &str = "unnumbered";

/// The longest interval that is taken is below it.
const MICROSECONDS: u64 = 60_001;

const OTHER_WAY: &str = "write address:AS:password:multihop:port; a password with a colon or a comma goes into a file, a Secret or the list \
     of the configuration file";
