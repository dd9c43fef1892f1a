//! What a label selector means that is written as one line, as for `kubectl -l`.

use crate::ipam::{LabelSelector, Operator, Requirement};

/// A requirement of a label selector that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a label selector such as zone=a,disk in (ssd,nvme),!gpu")]
pub struct SelectorError(pub String);

/// Reads `zone=a`, `zone!=a`, `disk in (ssd,nvme)`, `disk notin (hdd)`, `gpu` and `!gpu`, parted by commas.
///
/// # Errors
/// The first requirement that is none of these.
pub fn parse_selector(text: &str) -> Result<LabelSelector, SelectorError> {
    let mut selector = LabelSelector::default();
    for clause in clauses(text) {
        match requirement(clause).ok_or_else(|| SelectorError(clause.chars().take(MAX_SHOWN).collect()))? {
            Clause::Equals(key, value) if !selector.match_labels.contains_key(&key) => {
                selector.match_labels.insert(key, value);
            }
            Clause::Equals(key, value) => {
                let operator = Operator::In([value].into());
                selector.match_expressions.push(Requirement { key, operator });
            }
            Clause::Other(requirement) => selector.match_expressions.push(requirement),
        }
    }
    Ok(selector)
}

enum Clause {
    Equals(String, String),
    Other(Requirement),
}

/// Splits at the commas that are not within parentheses.
fn clauses(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.split(move |c| {
        inside = if inside { c != ')' } else { c == '(' };
        c == ',' && !inside
    })
    .map(str::trim)
}

fn requirement(clause: &str) -> Option<Clause> {
    let other = |key: &str, operator| {
        let key = key.trim();
        is_key(key).then(|| Clause::Other(Requirement { key: key.to_owned(), operator }))
    };
    if let Some(key) = clause.strip_prefix('!') {
        return other(key, Operator::DoesNotExist);
    }
    if let Some((key, set)) = clause.strip_suffix(')').and_then(|clause| clause.split_once('(')) {
        let values = set.split(',').map(value).collect::<Option<_>>()?;
        let (key, word) = key.trim_end().rsplit_once(char::is_whitespace)?;
        return match word {
            "in" => other(key, Operator::In(values)),
            "notin" => other(key, Operator::NotIn(values)),
            _ => None,
        };
    }
    if let Some((key, unwanted)) = clause.split_once("!=") {
        return other(key, Operator::NotIn([value(unwanted)?].into()));
    }
    if let Some((key, wanted)) = clause.split_once("==").or_else(|| clause.split_once('=')) {
        let key = key.trim();
        return is_key(key).then_some(Clause::Equals(key.to_owned(), value(wanted)?));
    }
    other(clause, Operator::Exists)
}

/// A name, perhaps behind a domain, as keys in `metadata.labels` are.
fn is_key(text: &str) -> bool {
    let (domain, name) = text.rsplit_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
    let part = |part: &str| !part.is_empty() && is_word(part);
    domain.is_none_or(|domain| domain.split('.').all(part)) && !name.is_empty() && is_word(name)
}

/// The value of a label may be empty.
fn value(text: &str) -> Option<String> {
    let text = text.trim();
    is_word(text).then(|| text.to_owned())
}

/// At most 63 characters, with a letter or a digit at both ends.
fn is_word(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let end = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let octets = text.as_bytes();
    octets.len() <= 63 && text.bytes().all(inside) && end(octets.first()) && end(octets.last())
}

const MAX_SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipam::Labels;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn selectors_are_read_as_kubectl_reads_them() {
        let node = labels(&[("zone", "a"), ("disk", "ssd"), ("example.com/rack", "1"), ("empty", "")]);
        let selects = |text: &str| parse_selector(text).unwrap().selects(&node);
        for text in [
            "zone=a",
            "zone == a",
            "zone!=b,disk",
            "disk in (ssd, nvme),zone=a",
            "disk notin (hdd),!gpu",
            "gpu!=x",
            "empty=",
            "example.com/rack in (1)",
        ] {
            assert!(selects(text), "{text}");
        }
        for text in ["zone=b", "zone=a,zone=b", "zone!=a", "gpu", "!zone", "disk in (hdd)", "zone notin (a)"]
        {
            assert!(!selects(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_named() {
        for (text, clause) in [
            ("", ""),
            ("zone=a,", ""),
            ("zone=a,=b", "=b"),
            ("a b", "a b"),
            ("disk in ssd", "disk in ssd"),
            ("disk in (ssd", "disk in (ssd"),
            ("disk out (ssd)", "disk out (ssd)"),
            ("zone>1", "zone>1"),
            ("zone=a=b", "zone=a=b"),
            ("zone=a/b", "zone=a/b"),
            ("zone=-a", "zone=-a"),
            ("a/b/=c", "a/b/=c"),
        ] {
            assert_eq!(parse_selector(text), Err(SelectorError(clause.into())), "{text}");
        }
    }
}
