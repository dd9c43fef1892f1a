//! Label selectors as `kubectl -l` has them: `app=web,tier in (a,b),!legacy`.

use std::collections::BTreeSet;

use vipcast_proto::ipam::{LabelSelector, Operator};
use vipcast_proto::service::{SelectorError, parse_selector};

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
    parse_selector(text).map_err(|SelectorError(clause)| {
        let reason = format!("{clause:?} is no part of a label selector");
        Wrong::new(reason, "write for example app=web, or tier in (front,back), or !internal")
    })
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
            ("app=web", "app=web"),
            ("app == web , tier!=db", "app=web,tier notin (db)"),
            ("a in (x, y),b notin (z),c,!d", "a in (x,y),b notin (z),c,!d"),
            ("example.com/a=; b", "example.com/a=;b"),
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
