//! From what an operator writes to values that cannot be wrong.

mod address;
pub(super) mod bgp;
pub(super) mod communities;
pub(super) mod peers;
mod selector;
mod server;
pub(super) mod services;

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

pub(super) use address::{Prefixes, addresses, prefixes, show_addresses};
pub(super) use bgp::{
    MULTIHOP, NEXT_HOPS, NextHopMode, PeerAddress, as_number, host, next_hop, show_next_hop, to_a_router,
    yes_or_no,
};
pub(super) use server::{listen, server, show_listen, show_uri, socket, url, url_path};

use super::setting::{Grain, Kind, Spans, Spec};
use super::types::{LogFormat, LogLevel};

/// Why a value is refused, and what to write instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wrong {
    /// What is wrong with it.
    pub reason: String,
    /// What to write.
    pub fix: String,
}

/// A Lease, with a namespace where the name carried one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct LeaseName {
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

/// What every way of writing "nothing here" looks like in manifests made by templates.
pub(crate) fn is_unset(text: &str) -> bool {
    matches!(text.trim(), "" | "None" | "none" | "null" | "Null" | "NULL" | "~")
}

pub(super) fn switch(_: &Spec, text: &str) -> Result<bool, Wrong> {
    yes_or_no(text)
}

/// Go's booleans.
fn switch_text(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

pub(super) fn span(spec: &Spec, text: &str) -> Result<Duration, Wrong> {
    let Kind::Span(range) = spec.kind else {
        return Err(Wrong::new("not a duration", "report this"));
    };
    let span = amount(text).filter(|span| range.grain == Grain::Millisecond || span.subsec_millis() == 0);
    let span = span.ok_or_else(|| not_a_span(spec, range))?;
    if (range.min..=range.max).contains(&span) {
        return Ok(span);
    }
    let (min, max) = (show_span(&range.min), show_span(&range.max));
    let milliseconds = bgp::digits(text).map(|number| Duration::from_millis(number.into()));
    if milliseconds
        .is_some_and(|span| range.grain == Grain::Millisecond && (range.min..=range.max).contains(&span))
    {
        let reason = "out of range: a number without a unit is seconds";
        return Err(Wrong::new(reason, format!("write {text}ms, or a duration from {min} to {max}")));
    }
    Err(Wrong::new("out of range", format!("write a duration from {min} to {max}")))
}

pub(super) fn show_span(span: &Duration) -> String {
    if span.subsec_millis() == 0 { format!("{}s", span.as_secs()) } else { format!("{}ms", span.as_millis()) }
}

pub(super) fn port(_: &Spec, text: &str) -> Result<NonZeroU16, Wrong> {
    text.parse().map_err(|_| Wrong::new("not a port", "write a number from 1 to 65535"))
}

pub(super) fn count(spec: &Spec, text: &str) -> Result<NonZeroU32, Wrong> {
    let Kind::Count(range) = spec.kind else {
        return Err(Wrong::new("not a number", "report this"));
    };
    let count: Option<NonZeroU32> = text.parse().ok();
    count.filter(|count| (range.min..=range.max).contains(&count.get())).ok_or_else(|| {
        Wrong::new("not a whole number in range", format!("write {} to {}", range.min, range.max))
    })
}

/// kube-vip's numbers are slog's; 5 and 6 were debug and trace on its older scale and lie on no slog level.
pub(super) fn level(_: &Spec, text: &str) -> Result<LogLevel, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "error" | "8" => Ok(LogLevel::Error),
        "warn" | "warning" | "4" => Ok(LogLevel::Warn),
        "info" | "0" => Ok(LogLevel::Info),
        "debug" | "-4" | "5" => Ok(LogLevel::Debug),
        "trace" | "-8" | "6" => Ok(LogLevel::Trace),
        _ => Err(Wrong::new("not a log level", "write error, warn, info, debug or trace")),
    }
}

pub(super) fn format(_: &Spec, text: &str) -> Result<LogFormat, Wrong> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Wrong::new("not a log format", "write text or json")),
    }
}

pub(super) fn path(_: &Spec, text: &str) -> Result<PathBuf, Wrong> {
    if text.contains('\0') {
        return Err(Wrong::new("not a path", "write a path without NUL bytes"));
    }
    Ok(PathBuf::from(text))
}

#[expect(clippy::ptr_arg, reason = "the table wants a function of &PathBuf")]
pub(super) fn show_path(path: &PathBuf) -> String {
    path.display().to_string()
}

pub(super) fn interface(_: &Spec, text: &str) -> Result<String, Wrong> {
    if is_interface(text) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        "not an interface name",
        "write a name of at most 15 characters, such as eth0, or nothing to have it found",
    ))
}

/// What `dev_valid_name` in the kernel permits.
fn is_interface(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && !matches!(text, "." | "..")
        && text.chars().all(|c| c.is_ascii_graphic() && c != '/' && c != ':')
}

pub(super) fn node_name(_: &Spec, text: &str) -> Result<String, Wrong> {
    let name = text.to_ascii_lowercase();
    if is_subdomain(&name) {
        Ok(name)
    } else {
        Err(not_a_name("the name of a Node, as in kubectl get nodes"))
    }
}

pub(super) fn namespace(_: &Spec, text: &str) -> Result<String, Wrong> {
    if is_label(text) { Ok(text.to_owned()) } else { Err(not_a_name("a namespace, such as kube-system")) }
}

pub(super) fn lease_name(_: &Spec, text: &str) -> Result<LeaseName, Wrong> {
    let (namespace, name) = match text.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, text),
    };
    if !is_subdomain(name) || !namespace.is_none_or(is_label) {
        return Err(not_a_name("name or namespace/name, such as kube-system/vipcast"));
    }
    Ok(LeaseName { namespace: namespace.map(str::to_owned), name: name.to_owned() })
}

impl Wrong {
    pub(super) fn new(reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { reason: reason.into(), fix: fix.into() }
    }
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Digits and a unit; seconds where there is none.
fn amount(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match text.strip_prefix(digits)? {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

fn not_a_span(spec: &Spec, range: Spans) -> Wrong {
    let example = spec.default.unwrap_or("1s");
    match range.grain {
        Grain::Second => Wrong::new(
            "not a whole number of seconds",
            format!("write for example {}", example.trim_end_matches('s')),
        ),
        Grain::Millisecond => Wrong::new("not a duration", format!("write for example {example}")),
    }
}

fn not_a_name(what: &str) -> Wrong {
    Wrong::new("not a Kubernetes name (lower-case letters, digits, - and .)", format!("write {what}"))
}

/// A label of RFC 1123 as Kubernetes reads it: the name of a namespace.
pub(crate) fn is_label(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inside)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

pub(crate) fn is_subdomain(text: &str) -> bool {
    // A part of a subdomain may be longer than 63 characters, only the whole is bounded.
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(part)
}
