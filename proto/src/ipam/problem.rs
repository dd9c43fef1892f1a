//! What is wrong with the description of a pool, for who wrote it.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// It works, but perhaps not as meant.
    Warning,
    /// That part of it is left out.
    Error,
}

/// One thing that is wrong; the rest of the configuration is used all the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The ConfigMap's key, or the pool and its field.
    pub key: String,
    /// What is written there, or the part of it that is wrong.
    pub value: String,
    /// What is wrong with it.
    pub reason: String,
    /// What to write instead.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:?}: {}; {}", self.key, self.value, self.reason, self.fix)
    }
}

/// Problems of one key or pool, as they are found.
pub(super) struct Problems<'a> {
    pub(super) key: &'a str,
    pub(super) found: &'a mut Vec<Problem>,
}

impl Problems<'_> {
    pub(super) fn error(&mut self, value: &str, reason: impl ToString, fix: impl ToString) {
        self.push(Severity::Error, value, &reason, &fix);
    }

    pub(super) fn warn(&mut self, value: &str, reason: impl ToString, fix: impl ToString) {
        self.push(Severity::Warning, value, &reason, &fix);
    }

    fn push(&mut self, severity: Severity, value: &str, reason: &impl ToString, fix: &impl ToString) {
        self.found.push(Problem {
            severity,
            key: self.key.to_owned(),
            value: value.chars().take(MAX_SHOWN).collect(),
            reason: reason.to_string(),
            fix: fix.to_string(),
        });
    }
}

/// A ConfigMap may have a megabyte in one value.
const MAX_SHOWN: usize = 100;
