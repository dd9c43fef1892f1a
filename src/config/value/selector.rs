//! Label selectors as `kubectl -l` has them: `app=web,tier in (a,b),!legacy`.

use std::collections::BTreeSet;

use vipcast_proto::ipam::{LabelSelector, Labels, Operator, Requirement};

use super::Wrong;
use crate::config::setting::Spec;

/// Selectors with `;` between them.
pub(in crate::config) fn selectors(_: &Spec, text: &str) -> Result<Vec<LabelSelector>, Wrong> {
    if text.len() > LONGEST {
        return Err(Wrong::new(format!("longer than {LONGEST} octets"), "write fewer selectors"));
    }
    text.split(';').map(selector).collect()
}

#[expect(clippy::ptr_arg, reason = "the table wants a function of &Vec")]
pub(in crate::config) fn show_selectors(selectors: &Vec<LabelSelector>) -> String {
    selectors.iter().map(shown).collect::<Vec<_>>().join(";")
}

fn selector(text: &str) -> Result<LabelSelector, Wrong> {
    let requirements: Result<Vec<_>, _> = clauses(text).map(requirement).collect();
    Ok(LabelSelector { match_labels: Labels::new(), match_expressions: requirements? })
}

/// Between the commas that are in no parentheses.
fn clauses(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.split(move |char| {
        inside = match char {
            '(' => true,
            ')' => false,
            _ => inside,
        };
        char == ',' && !inside
    })
    .map(str::trim)
}

fn requirement(clause: &str) -> Result<Requirement, Wrong> {
    let wrong = || {
        let reason = format!("{clause:?} is no part of a label selector");
        Wrong::new(reason, "write for example app=web, or tier in (front,back), or !internal")
    };
    let (key, operator) = parts(clause).ok_or_else(wrong)?;
    if is_key(key) { Ok(Requirement { key: key.to_owned(), operator }) } else { Err(wrong()) }
}

fn parts(clause: &str) -> Option<(&str, Operator)> {
    if let Some(key) = clause.strip_prefix('!') {
        return Some((key.trim(), Operator::DoesNotExist));
    }
    if let Some(set) = clause.strip_suffix(')') {
        let (words, values) = set.split_once('(')?;
        let values = values.split(',').map(str::trim).map(value).collect::<Option<BTreeSet<_>>>()?;
        let mut words = words.split_whitespace();
        let (key, word) = (words.next()?, words.next()?);
        return match (word, words.next()) {
            ("in", None) => Some((key, Operator::In(values))),
            ("notin", None) => Some((key, Operator::NotIn(values))),
            _ => None,
        };
    }
    if let Some((key, text)) = clause.split_once("!=") {
        return Some((key.trim(), Operator::NotIn([value(text.trim())?].into())));
    }
    if let Some((key, text)) = clause.split_once("==").or_else(|| clause.split_once('=')) {
        return Some((key.trim(), Operator::In([value(text.trim())?].into())));
    }
    Some((clause, Operator::Exists))
}

/// `metadata.labels` has such keys: a name, perhaps behind a subdomain.
fn is_key(text: &str) -> bool {
    let (prefix, name) = text.rsplit_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(super::is_subdomain) && !name.is_empty() && value(name).is_some()
}

/// The value of a label: empty, or of at most 63 characters.
fn value(text: &str) -> Option<String> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let end = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let octets = text.as_bytes();
    let fits = octets.len() <= 63 && text.bytes().all(inside) && end(octets.first()) && end(octets.last());
    fits.then(|| text.to_owned())
}

fn shown(selector: &LabelSelector) -> String {
    let listed = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(",");
    let equal = selector.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
    let others = selector.match_expressions.iter().map(|it| match &it.operator {
        Operator::In(values) => format!("{} in ({})", it.key, listed(values)),
        Operator::NotIn(values) => format!("{} notin ({})", it.key, listed(values)),
        Operator::Exists => it.key.clone(),
        Operator::DoesNotExist => format!("!{}", it.key),
    });
    equal.chain(others).collect::<Vec<_>>().join(",")
}

/// A pool is not described by more.
const LONGEST: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::services::OF_POOL;

    fn read(text: &str) -> Result<String, String> {
        let parsed = selectors(&OF_POOL.service_selector.spec, text);
        parsed.map(|all| show_selectors(&all)).map_err(|wrong| wrong.reason)
    }

    #[test]
    fn what_kubectl_understands_is_understood() {
        let table = [
            ("app=web", "app in (web)"),
            ("app == web , tier!=db", "app in (web),tier notin (db)"),
            ("a in (x, y),b notin (z),c,!d", "a in (x,y),b notin (z),c,!d"),
            ("example.com/a=; b", "example.com/a in ();b"),
        ];
        for (text, meaning) in table {
            assert_eq!(read(text), Ok(meaning.to_owned()), "{text}");
        }
    }

    #[test]
    fn anything_else_is_named() {
        for text in
            ["app web", "=web", "a in x", "a in (x", "a,,b", "a=-b", "a within (b)", "", "a/b/=c", "a=b;"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read("a,b c"), Err("\"b c\" is no part of a label selector".to_owned()));
    }
}
