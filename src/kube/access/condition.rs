//! How access to the API server stands, in words for an operator.

use std::fmt;

use super::choice::{File, Reason, Source};
use super::endpoint::Why;
use crate::kube::failure::Failure;

/// How access stands. One log line for each change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Condition {
    /// No candidate can be used.
    Waiting(Vec<(Source, File)>),
    /// A server could not be asked: nobody listens, TLS is not ready, no answer.
    Unreachable {
        /// Where the credentials come from.
        source: String,
        /// What was dialled.
        endpoint: String,
        /// What happened.
        error: String,
    },
    /// A server does not know us (401) or does not permit us (403).
    Refused {
        /// Where the credentials come from.
        source: String,
        /// What was dialled.
        endpoint: String,
        /// What it said.
        error: String,
    },
    /// A server answers, but cannot serve yet.
    NotReady {
        /// Where the credentials come from.
        source: String,
        /// What was dialled.
        endpoint: String,
        /// What it said.
        error: String,
    },
    /// A server answers us.
    Connected {
        /// Where the credentials come from.
        source: String,
        /// What was dialled.
        endpoint: String,
        /// Why these credentials and this address.
        because: String,
    },
}

impl Condition {
    pub(super) fn failed(source: &Source, endpoint: &str, failure: &Failure) -> Self {
        let (source, endpoint, error) = (source.to_string(), endpoint.to_owned(), failure.to_string());
        match failure.code() {
            None => Self::Unreachable { source, endpoint, error },
            Some(401 | 403) => Self::Refused { source, endpoint, error },
            Some(_) => Self::NotReady { source, endpoint, error },
        }
    }

    /// Whether it is worth a line after `earlier`. How exactly a server cannot be reached changes with the
    /// weather: "connection refused", "timed out" and "no route to host" are one condition.
    pub(super) fn is_news_after(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (
                Self::Unreachable { source, endpoint, .. },
                Self::Unreachable { source: before, endpoint: there, .. },
            )
            | (
                Self::NotReady { source, endpoint, .. },
                Self::NotReady { source: before, endpoint: there, .. },
            ) => (source, endpoint) != (before, there),
            _ => self != earlier,
        }
    }

    pub(super) fn connected(source: &Source, endpoint: &str, reason: Reason, why: Why) -> Self {
        let because = format!("{reason}; {why}");
        Self::Connected { source: source.to_string(), endpoint: endpoint.to_owned(), because }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(candidates) => {
                f.write_str("no credentials yet")?;
                candidates.iter().try_for_each(|(source, file)| write!(f, "; {source} {file}"))
            }
            Self::Unreachable { source, endpoint, error } => {
                write!(f, "{endpoint} unreachable with {source}: {error}")
            }
            Self::Refused { source, endpoint, error } => write!(f, "{endpoint} refuses {source}: {error}"),
            Self::NotReady { source, endpoint, error } => {
                write!(f, "{endpoint} not ready for {source}: {error}")
            }
            Self::Connected { source, endpoint, because } => {
                write!(f, "connected to {endpoint} with {source} ({because})")
            }
        }
    }
}

/// Writes one line for a change.
pub fn log(condition: &Condition) {
    const NEXT: &str = "trying again until it changes";
    match condition {
        Condition::Waiting(_) => {
            tracing::info!(%condition, next = NEXT, "waiting for API credentials")
        }
        Condition::Unreachable { source, endpoint, error } => {
            tracing::info!(source, endpoint, error, next = NEXT, "API server unreachable");
        }
        Condition::Refused { source, endpoint, error } => {
            tracing::warn!(source, endpoint, error, next = NEXT, "API server refuses the credentials");
        }
        Condition::NotReady { source, endpoint, error } => {
            tracing::info!(source, endpoint, error, next = NEXT, "API server not ready");
        }
        Condition::Connected { source, endpoint, because } => {
            tracing::info!(source, endpoint, because, "API server connected");
        }
    }
}
