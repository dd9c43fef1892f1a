//! What an operator said, and only that: as kube-vip's environment variables, and as a file of our own.

use super::effective::document;
use crate::config::setting::{Kind, Spec, Unit};
use crate::config::table::ALL;
use crate::config::{Effective, Secret};

/// Every setting that was given, under the name to recommend and as kube-vip would read it, in the order of the
/// documentation. Secrets as they are.
#[must_use]
pub fn environment(sources: &[Effective]) -> Vec<(&'static str, String)> {
    let variable = |row: &Effective| {
        let spec = ALL.iter().find(|spec| spec.key == row.key)?;
        Some((spec.env.first()?.text, bare(spec, as_given(row)?)))
    };
    given(sources).filter_map(variable).collect()
}

/// A file of our own with every setting that was given. Secrets as they are.
#[must_use]
pub fn file(sources: &[Effective]) -> String {
    document(given(sources), as_given, |_| String::new())
}

/// The value, also where it may not be shown.
fn as_given(row: &Effective) -> Option<&str> {
    row.secret.as_ref().map(Secret::expose).or(row.value.as_deref())
}

fn given(sources: &[Effective]) -> impl Iterator<Item = &Effective> {
    sources.iter().filter(|row| row.source.name().is_some())
}

/// kube-vip knows no units: a duration is a number in the unit that the name implies, where it is a whole one.
fn bare(spec: &Spec, text: &str) -> String {
    let unit = spec.env.first().map_or(Unit::Seconds, |name| name.bare);
    let number = |suffix: &str| {
        let digits = text.strip_suffix(suffix)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)
    };
    let bare = match (spec.kind, unit) {
        (Kind::Span(_), Unit::Seconds) => number("s").map(str::to_owned),
        (Kind::Span(_), Unit::Milliseconds) => {
            number("ms").map(str::to_owned).or_else(|| number("s").map(|seconds| format!("{seconds}000")))
        }
        _ => None,
    };
    bare.unwrap_or_else(|| text.to_owned())
}
