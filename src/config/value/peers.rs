//! Lists of mappings as text: as YAML or JSON, and peers also in kube-vip's grammar.

use super::{Wrong, switch_text};
use crate::config::secret::MASK;
use crate::config::setting::Spec;
use crate::config::tree::Tree;
use crate::kubespray;

/// One mapping of a list, and what is wrong with how it was written: of a field, or of the whole. What was written is in
/// none of the words, because it may be a part of a password.
#[derive(Debug)]
pub(in crate::config) struct Item {
    pub(in crate::config) tree: Tree,
    pub(in crate::config) wrong: Vec<(Option<&'static str>, Wrong)>,
}

/// Peers, in kube-vip's grammar or as a list of mappings.
pub(in crate::config) fn peers(spec: &Spec, text: &str) -> Result<Vec<Item>, Wrong> {
    let inside = text.strip_prefix('[').map(str::trim_start);
    if text.starts_with(['{', '-']) || inside.is_some_and(|inside| inside.starts_with('{')) {
        return list(spec, text);
    }
    if kubespray::is_torn(text) {
        let fix = "give Kubespray a list, and not a text, of peers";
        return Err(Wrong::new("taken apart into single characters", fix));
    }
    if text.split(',').nth(MOST).is_some() {
        return Err(Wrong::new(format!("more than {MOST} peers"), "write fewer"));
    }
    Ok(text.split(',').map(|entry| Entry::default().read(entry.trim())).collect())
}

/// Nothing but a list of mappings, which is read before this is asked.
pub(in crate::config) fn list(spec: &Spec, _: &str) -> Result<Vec<Item>, Wrong> {
    let example = match spec.key {
        "services.pools" => "[{name: lan, addresses: 192.0.2.64/26}]",
        "bgp.addressGroups" => "[{addresses: 192.0.2.64/26, med: 10}]",
        _ => "[{address: 192.0.2.1, as: 65001}]",
    };
    // What YAML says of it may quote it, and passwords are in it.
    Err(Wrong::new(
        "not a list of mappings",
        format!("write a list of mappings in YAML or JSON, such as {example}"),
    ))
}

/// Not asked: the reader knows the fields, and shows a list without what is secret in it.
pub(in crate::config) fn show(_: &Vec<Item>) -> String {
    MASK.to_owned()
}

/// kube-vip's grammar without the passwords in it.
pub(in crate::config) fn masked(text: &str) -> String {
    let entry = |entry: &str| {
        let mut fields = fields(entry);
        let password = if fields.first().is_some_and(|first| first.trim() == UNNUMBERED) { 3 } else { 2 };
        if let Some(password) = fields.get_mut(password).filter(|text| !text.is_empty()) {
            *password = MASK;
        }
        fields.join(":")
    };
    text.split(',').map(entry).collect::<Vec<_>>().join(",")
}

/// What has been read of a peer in kube-vip's grammar.
#[derive(Default)]
struct Entry {
    pairs: Vec<(&'static str, Tree)>,
    wrong: Vec<(Option<&'static str>, Wrong)>,
}

impl Entry {
    /// `address:AS[:password[:multihop[:port][:mpbgp][:bfd]]]`, or `unnumbered:interface[:AS…]`. Some of kube-vip's pages
    /// have no port: the last fields are told apart by what they look like.
    fn read(mut self, entry: &str) -> Item {
        let mut fields = fields(entry).into_iter();
        if self.place(entry, &mut fields) {
            for key in ["as", "password"] {
                if let Some(text) = fields.next().filter(|text| !text.is_empty()) {
                    self.pairs.push((key, Tree::text(if key == "password" { text } else { text.trim() })));
                }
            }
            match fields.next().map(str::trim).filter(|text| !text.is_empty()) {
                Some(text) if switch_text(text).is_none() => {
                    self.refuse("multihop", "neither true nor false", OTHER_WAY);
                }
                Some(text) => self.pairs.push(("multihop", Tree::text(text))),
                None => {}
            }
            self.last_fields(fields.map(str::trim));
        }
        Item { tree: Tree::map(self.pairs), wrong: self.wrong }
    }

    /// Where it is; whether the fields behind that can be told apart.
    fn place<'a>(&mut self, entry: &str, fields: &mut (impl Iterator<Item = &'a str> + Clone)) -> bool {
        if entry.is_empty() {
            self.wrong.push((None, Wrong::new("empty", "write peers separated by single commas")));
            return false;
        }
        let first = fields.next().unwrap_or_default().trim();
        if first == UNNUMBERED {
            self.pairs.push(("interface", Tree::text(fields.next().unwrap_or_default().trim())));
            return true;
        }
        let next = fields.clone().next();
        if first.starts_with('[') && !first.contains(']') {
            self.refuse("address", "without its closing bracket", BRACKETS);
        } else if is_hexadecimal(first) && next.is_some_and(is_hexadecimal) {
            self.refuse("address", "an IPv6 address without brackets", BRACKETS);
        } else {
            self.pairs.push(("address", Tree::text(first)));
        }
        self.wrong.is_empty()
    }

    /// Port, next hops and BFD.
    fn last_fields<'a>(&mut self, fields: impl Iterator<Item = &'a str>) {
        let mut kinds = Vec::new();
        for field in fields.filter(|field| !field.is_empty()) {
            let first = field.split(';').next().unwrap_or_default();
            let kind = match field {
                _ if field.bytes().all(|byte| byte.is_ascii_digit()) => "port",
                _ if field.contains('=') => "nextHop",
                _ if switch_text(first).is_some() => "bfd",
                _ => {
                    let reason =
                        "what follows multihop is neither a port nor mpbgp_…=… nor BFD's true;300;300;3";
                    self.wrong.push((None, Wrong::new(reason, OTHER_WAY)));
                    continue;
                }
            };
            if kinds.contains(&kind) {
                self.refuse(kind, "there twice", OTHER_WAY);
                continue;
            }
            kinds.push(kind);
            match kind {
                "port" => self.pairs.push((kind, Tree::text(field))),
                "bfd" => self.bfd(field),
                // What follows is the rest of an address.
                _ if !self.next_hop(field) => return,
                _ => {}
            }
        }
    }

    /// `mpbgp_nexthop=fixed;mpbgp_ipv4=192.0.2.1;mpbgp_ipv6=[2001:db8::1]`; whether it is whole.
    fn next_hop(&mut self, field: &str) -> bool {
        let mut pairs = Vec::new();
        for part in field.split(';').filter(|part| !part.is_empty()) {
            let (name, text) = part.split_once('=').unwrap_or((part, ""));
            let key = match name {
                "mpbgp_nexthop" => "mode",
                "mpbgp_ipv4" => "ipv4",
                // The colons of an address have taken it apart.
                "mpbgp_ipv6" if !text.is_empty() && is_hexadecimal(text) => {
                    let fix = "write brackets around it, such as mpbgp_ipv6=[2001:db8::1]";
                    self.refuse("nextHop.ipv6", "an IPv6 address without brackets", fix);
                    return false;
                }
                "mpbgp_ipv6" => "ipv6",
                _ => {
                    let fix = "write mpbgp_nexthop, mpbgp_ipv4 and mpbgp_ipv6";
                    self.refuse("nextHop", "an unknown name among those of mpbgp", fix);
                    continue;
                }
            };
            pairs.push((key, Tree::text(text)));
        }
        self.pairs.push(("nextHop", Tree::map(pairs)));
        true
    }

    /// `true;300;300;3`: whether, receive interval, transmit interval, multiplier. The intervals are in milliseconds, as
    /// kube-vip documents them; it hands them on as microseconds, and who has found that out writes 300000.
    fn bfd(&mut self, field: &str) {
        let parts: Vec<&str> = field.split(';').collect();
        let mut pairs = Vec::new();
        match parts.as_slice() {
            [on] => pairs.push(("enabled", Tree::text(*on))),
            [on, receive, transmit, multiplier] => {
                pairs.push(("enabled", Tree::text(*on)));
                pairs.push(("multiplier", Tree::text(*multiplier)));
                let intervals = [
                    ("receiveInterval", "bfd.receiveInterval", receive),
                    ("transmitInterval", "bfd.transmitInterval", transmit),
                ];
                for (key, path, text) in intervals {
                    match interval(text) {
                        Ok(milliseconds) => pairs.push((key, milliseconds)),
                        Err(wrong) => self.wrong.push((Some(path), wrong)),
                    }
                }
            }
            _ => self.refuse("bfd", "neither all four fields nor one", "write for example true;300;300;3"),
        }
        self.pairs.push(("bfd", Tree::map(pairs)));
    }

    fn refuse(&mut self, field: &'static str, reason: &str, fix: &str) {
        self.wrong.push((Some(field), Wrong::new(reason, fix)));
    }
}

fn interval(text: &str) -> Result<Tree, Wrong> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(0..MICROSECONDS) if digits => Ok(Tree::text(format!("{text}ms"))),
        Ok(_) | Err(_) if digits => {
            let fix = "write a thousandth of it, such as 300 for 300000";
            Err(Wrong::new("would be milliseconds here, and looks like microseconds", fix))
        }
        Ok(_) | Err(_) => Err(Wrong::new("not a number of milliseconds", "write for example true;300;300;3")),
    }
}

/// Also of no digits at all, as between the colons of `::1`.
fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Parts between colons that are in no brackets. Only an address stands in brackets: at the beginning, or behind a `=`.
fn fields(entry: &str) -> Vec<&str> {
    let mut bracket = false;
    let mut before = None;
    let ends = entry.char_indices().filter_map(|(at, char)| {
        let closes = || entry.get(at..).is_some_and(|rest| rest.contains(']'));
        bracket = match char {
            '[' if matches!(before, None | Some('=')) => closes(),
            ']' => false,
            _ => bracket,
        };
        before = if char.is_whitespace() { before } else { Some(char) };
        (char == ':' && !bracket).then_some(at)
    });
    let mut start = 0;
    let mut fields = Vec::new();
    for end in ends {
        fields.extend(entry.get(start..end));
        start = end + 1;
    }
    fields.extend(entry.get(start..));
    fields
}

/// No node talks to as many; it bounds what a hostile file can ask for.
const MOST: usize = 256;

const UNNUMBERED: &str = "unnumbered";

/// The longest interval that is taken is below it.
const MICROSECONDS: u64 = 60_001;

const BRACKETS: &str = "write for example [2001:db8::1]:65001";

const OTHER_WAY: &str = "write address:AS:password:multihop:port; a password with a colon or a comma goes into a file, a Secret or the list \
     of the configuration file";
